//! A panic that a test plants in a program. It occurs once, in whichever task writes a certain log line.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};

use service_kit::env::{Env, Variable};
use service_kit::telemetry::LogWriter;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Part of the log line at which the program panics. If unset, the program does not panic.
const PANIC_AT: Variable = Variable {
    name: "TEST_PANIC_AT",
    default: None,
    meaning: "part of a log line",
};

/// Reads `TEST_PANIC_AT`. If it is set, this installs a subscriber, and the log that the program sets up
/// later has no effect.
pub fn plant_a_panic() {
    let env = Env::process();
    let Some(text) = env.reader().optional(&PANIC_AT) else {
        return;
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(LogWriter::stderr(|text| format!("{text}\n")))
        .log_internal_errors(false);
    let planted = Planted {
        text,
        is_armed: AtomicBool::new(true),
    };
    let subscriber = tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(lines)
        .with(planted);
    // Fails only if a subscriber is already set.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

struct Planted {
    text: String,
    is_armed: AtomicBool,
}

impl<S: Subscriber> Layer<S> for Planted {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let is_here = message.0.contains(&self.text);
        assert!(
            !is_here || !self.is_armed.swap(false, Ordering::Relaxed),
            "planted by the test"
        );
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
