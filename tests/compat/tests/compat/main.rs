//! Compatibility with Celery: every recorded bad message, and other versions in both directions.

mod bad_messages;
mod demo;
mod log_line;
mod recording;
mod rusty_celery;
mod table;
mod venv;
mod versions;
mod wire;
