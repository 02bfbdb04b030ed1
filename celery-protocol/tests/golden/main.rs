//! Compares this crate with messages captured from real Celery programs, and with tables of reference values.
//!
//! The files are in `tests/golden/celery` of the workspace; `INDEX.md` there describes each of them.

mod capture;
mod decode;
mod encode;
mod malformed;
mod observed;
mod reference;
