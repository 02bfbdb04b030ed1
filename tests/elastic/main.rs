//! The audit log in a genuine Elasticsearch, beside Python's. `make test-elastic` runs these tests.

mod path;
mod records;
mod sink;
mod trouble;
