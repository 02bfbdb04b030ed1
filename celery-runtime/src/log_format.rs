//! Celery's log format for `tracing` (contract E.6).

use std::fmt::{self, Write as _};

use jiff::ZonedDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes `[2026-11-22 10:06:31,510: INFO/MainProcess] message`. Within a task, `name[id]: ` precedes the message,
/// as in Celery's task logger. Fields of the event follow as ` name=value`. An error with the field `critical` has
/// Python's level `CRITICAL`, which `tracing` lacks.
#[derive(Debug, Clone, Copy, Default)]
pub struct CeleryFormat;

/// Formats the fields of the worker's `task` span as `name[id]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskFields;

impl<S, N> FormatEvent<S, N> for CeleryFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = Text::default();
        event.record(&mut text);
        let level = if text.critical {
            "CRITICAL"
        } else {
            level(*event.metadata().level())
        };
        prefix(&mut writer, level)?;
        let task = context
            .event_scope()
            .into_iter()
            .flatten()
            .find(|span| span.name() == "task");
        if let Some(task) = task
            && let Some(fields) = task.extensions().get::<FormattedFields<N>>()
            && !fields.is_empty()
        {
            write!(writer, "{fields}: ")?;
        }
        writeln!(writer, "{}{}", text.message, text.fields)
    }
}

impl CeleryFormat {
    /// Returns a line of level `ERROR` with its line feed, for code that writes the log itself and so cannot log.
    pub fn error(text: &str) -> String {
        let mut line = String::new();
        // Writing to a String cannot fail.
        let _ = prefix(&mut line, "ERROR").and_then(|()| writeln!(line, "{text}"));
        line
    }
}

fn prefix(writer: &mut impl fmt::Write, level: &str) -> fmt::Result {
    let now = ZonedDateTime::now();
    let millisecond = now.millisecond();
    write!(
        writer,
        "[{},{millisecond:03}: {level}/MainProcess] ",
        now.strftime("%F %T"),
    )
}

impl<'writer> FormatFields<'writer> for TaskFields {
    fn format_fields<R: tracing_subscriber::field::RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut task = TaskName::default();
        fields.record(&mut task);
        if task.name.is_empty() {
            Ok(())
        } else {
            write!(writer, "{}[{}]", task.name, task.id)
        }
    }
}

/// Returns Python's name of the level.
fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
    critical: bool,
}

impl Visit for Text {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "critical" {
            self.critical = value;
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }
}

#[derive(Default)]
struct TaskName {
    name: String,
    id: String,
}

impl Visit for TaskName {
    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "task.name" => value.clone_into(&mut self.name),
            "task.id" => value.clone_into(&mut self.id),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_have_celerys_format() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(CeleryFormat)
            .fmt_fields(TaskFields)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(queue = "celery", quorum = false, "celery@host ready.");
            let span = tracing::info_span!(parent: None, "task", task.id = "42", task.name = "demo.say");
            span.in_scope(|| tracing::info!("hello"));
            tracing::error!(critical = true, "Can't decode message body");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let mut lines = text.lines();
        let [first, second, third] = [(); 3].map(|()| lines.next().unwrap());
        let (time, first) = first.split_at(25);
        assert!(
            jiff::civil::DateTime::strptime("[%F %T,%f:", time).is_ok(),
            "{time}"
        );
        assert_eq!(
            first,
            " WARNING/MainProcess] celery@host ready. queue=\"celery\" quorum=false"
        );
        assert!(
            second.ends_with(": INFO/MainProcess] demo.say[42]: hello"),
            "{second}"
        );
        assert!(
            third.ends_with(": CRITICAL/MainProcess] Can't decode message body"),
            "{third}"
        );
    }
}
