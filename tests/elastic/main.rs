//! Tests of the audit log in a genuine Elasticsearch, compared with Python's. `make test-elastic` runs these
//! tests.

mod path;
mod records;
mod sink;
mod trouble;
