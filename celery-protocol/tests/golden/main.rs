//! Messages captured from real Celery programs, and tables of reference values, held against this crate.
//!
//! The files lie in `tests/golden/celery` of the workspace; `INDEX.md` there says what each of them is.

mod capture;
mod decode;
mod encode;
mod malformed;
mod observed;
mod reference;
