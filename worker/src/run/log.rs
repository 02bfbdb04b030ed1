//! The destination of the log.

use std::fs::{File, OpenOptions};

use anyhow::Context as _;
use celery_runtime::{CeleryFormat, TaskFields};
use service_kit::telemetry::{self, LogWriter};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;

/// Writes the log as Celery's log lines, to standard error or to a file.
pub(super) fn log_to(file: Option<&str>, filter: EnvFilter) -> anyhow::Result<()> {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .event_format(CeleryFormat)
        .fmt_fields(TaskFields);
    // Fails only if a subscriber exists already.
    let _ = match file {
        None => {
            let subscriber = subscriber
                .with_writer(LogWriter::stderr(CeleryFormat::error))
                .finish();
            tracing::subscriber::set_global_default(subscriber.with(telemetry::no_wire()))
        }
        Some(path) => {
            let file: File = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("cannot write the log file {path}"))?;
            let subscriber = subscriber
                .with_writer(LogWriter::new(file, CeleryFormat::error))
                .finish();
            tracing::subscriber::set_global_default(subscriber.with(telemetry::no_wire()))
        }
    };
    Ok(())
}
