//! `standalone log` and `standalone queue`: the contents of the file, whether or not the services are running on it.

use std::path::Path;

use celery_protocol::Incoming;

use crate::audit_log::Entry;
use crate::database;
use crate::queue::{Queue, Waiting};
use crate::terminal::{indented, plain, print};

/// Prints the newest audit records, the newest one last.
pub(crate) fn log(file: &Path, last: u32) -> anyhow::Result<()> {
    let entries = Entry::newest(&database::view(file)?, last)?;
    if entries.is_empty() {
        print(format!("no records yet in {}", file.display()));
    }
    for entry in entries {
        print(format!("{entry}\n"));
    }
    Ok(())
}

/// Prints the waiting messages, the next one first, and those that could not be run.
pub(crate) fn queue(file: &Path, first: u32) -> anyhow::Result<()> {
    let connection = database::view(file)?;
    print(format!(
        "{} waiting in {}",
        requests(Queue::count(&connection)?),
        file.display()
    ));
    for waiting in Queue::page(&connection, 0, first)? {
        print(indented(&described(waiting), 2));
    }
    let dead_letters = Queue::dead_letters(&connection, first)?;
    if !dead_letters.is_empty() {
        print("These could not be run and were set aside:");
    }
    for letter in dead_letters {
        print(indented(
            &format!("{}: {}", described(letter.waiting), plain(&letter.reason)),
            2,
        ));
    }
    Ok(())
}

fn requests(count: i64) -> String {
    match count {
        1 => "1 request is".to_owned(),
        count => format!("{count} requests are"),
    }
}

/// Returns number, task and task id, but not the arguments, which contain the driver's token.
fn described(Waiting { id, message }: Waiting) -> String {
    match message.map(Incoming::identify) {
        Ok(Ok(incoming)) => {
            let task_id = incoming.id().unwrap_or_default();
            format!("{id}  {}[{}]", plain(incoming.task()), plain(&task_id))
        }
        Ok(Err(_)) => format!("{id}  not a task message"),
        Err(_) => format!("{id}  unreadable"),
    }
}
