//! The banner that a worker prints on standard output at start-up (contract E.6).

use std::fmt::Write as _;

use jiff::ZonedDateTime;

use super::config::WorkerConfig;
use crate::task::registry::Registry;

/// Returns Celery's banner for this worker. `app` is the name of the application, and `with_tasks` adds the
/// registered tasks.
pub fn banner(
    config: &WorkerConfig,
    registry: &Registry,
    app: &str,
    with_tasks: bool,
    now: &ZonedDateTime,
) -> String {
    let platform = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let platform = format!(
        "{}-{}-{}",
        std::env::consts::OS,
        platform.trim(),
        std::env::consts::ARCH
    );
    let mut text = format!(
        " \n -------------- {} v{} ({})\n--- ***** ----- \n-- ******* ---- {platform} {}\n- *** --- * --- \n\
         - ** ---------- [config]\n\
         - ** ---------- .> app:         {app}\n\
         - ** ---------- .> transport:   {}\n\
         - ** ---------- .> results:     {}\n\
         - *** --- * --- .> concurrency: {} (tokio)\n\
         -- ******* ---- .> task events: OFF\n\
         --- ***** ----- \n -------------- [queues]\n",
        config.nodename,
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_NAME"),
        now.strftime("%F %T"),
        config.broker,
        config.result_backend,
        config.concurrency,
    );
    let mut queues: Vec<&String> = config.queues.iter().collect();
    queues.sort();
    for queue in queues {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "                .> {queue:<16} exchange={queue}(direct) key={queue}"
        );
    }
    text.push_str("                \n\n");
    if with_tasks {
        text.push_str("[tasks]\n");
        for name in registry.names() {
            let _ = writeln!(text, "  . {name}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::options::TaskOptions;

    #[test]
    fn shows_the_configuration_and_no_password() {
        let mut registry = Registry::new();
        registry.register(TaskOptions::named("demo.say"), |_| async {
            Ok(celery_protocol::Value::None)
        });
        let broker = "amqp://guest:secret@127.0.0.1:5672//".parse().unwrap();
        let config = WorkerConfig {
            concurrency: 2,
            ..WorkerConfig::new(broker, "celery@host")
        };
        let text = banner(&config, &registry, "demo", true, &ZonedDateTime::now());
        for line in [
            "- ** ---------- .> transport:   amqp://guest:**@127.0.0.1:5672//",
            "- ** ---------- .> results:     disabled://",
            "- *** --- * --- .> concurrency: 2 (tokio)",
            "                .> celery           exchange=celery(direct) key=celery",
            "  . demo.say",
        ] {
            assert!(
                text.lines().any(|shown| shown == line),
                "{line} is not in\n{text}"
            );
        }
        assert!(text.starts_with(" \n -------------- celery@host v"));
        assert!(!text.contains("secret"));
    }
}
