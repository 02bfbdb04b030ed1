//! A thread that owns a connection and performs the work of many callers in one transaction, so that they share the
//! wait for the disk.

use std::io;
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::error::DatabaseError;

/// The maximum number of jobs that wait; beyond that, callers wait.
const WAITING: usize = 1024;

/// The maximum number of jobs in one transaction.
const BATCH: usize = 256;

/// A handle to the thread. Clones share it.
#[derive(Clone)]
pub(super) struct ConnectionThread {
    orders: mpsc::Sender<Order>,
}

enum Order {
    Do(Job),
    Close(oneshot::Sender<()>),
}

/// A job. It gets the connection or, if there is no transaction for it, the reason.
type Job = Box<dyn FnOnce(Result<&Connection, DatabaseError>) -> Answer + Send>;

/// Answers the caller, once the outcome of the transaction is known.
type Answer = Box<dyn FnOnce(Result<(), DatabaseError>) + Send>;

impl ConnectionThread {
    /// Starts the thread. `begin` begins its transactions; `held` is dropped after the connection is closed.
    pub(super) fn start(
        name: &str,
        begin: &'static str,
        connection: Connection,
        held: impl Send + 'static,
    ) -> io::Result<Self> {
        let (orders, receiver) = mpsc::channel(WAITING);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let closing = obey(receiver, begin, &connection);
            drop(connection);
            drop(held);
            if let Some(closing) = closing {
                let _nobody_waits = closing.send(());
            }
        })?;
        Ok(Self { orders })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (sender, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let done = connection.and_then(|connection| Ok(undivided(connection, work)?));
            Box::new(move |committed| {
                let _nobody_waits = sender.send(done.and_then(|value| committed.map(|()| value)));
            })
        });
        self.orders
            .send(Order::Do(job))
            .await
            .map_err(|_| DatabaseError::Closed)?;
        answer.await.map_err(|_| DatabaseError::Closed)?
    }

    pub(super) fn is_running(&self) -> bool {
        !self.orders.is_closed()
    }

    pub(super) async fn has_ended(&self) {
        self.orders.closed().await;
    }

    /// Returns when all ordered jobs are done and the connection is closed.
    pub(super) async fn close(&self) {
        let (sender, closed) = oneshot::channel();
        if self.orders.send(Order::Close(sender)).await.is_ok() {
            // An error means that another caller has closed it.
            let _ = closed.await;
        }
    }
}

fn obey(
    mut orders: mpsc::Receiver<Order>,
    begin: &str,
    connection: &Connection,
) -> Option<oneshot::Sender<()>> {
    loop {
        let mut next = orders.blocking_recv();
        let mut batch = Vec::new();
        let closing = loop {
            match next {
                Some(Order::Do(job)) => batch.push(job),
                Some(Order::Close(closing)) => break Some(closing),
                None if batch.is_empty() => return None,
                None => break None,
            }
            if batch.len() == BATCH {
                break None;
            }
            next = orders.try_recv().ok();
        };
        if !batch.is_empty() {
            perform(batch, begin, connection);
        }
        if closing.is_some() {
            return closing;
        }
    }
}

fn perform(batch: Vec<Job>, begin: &str, connection: &Connection) {
    let opened = connection.execute_batch(begin).map_err(DatabaseError::from);
    let mut answers = Vec::with_capacity(batch.len());
    for job in batch {
        let usable = opened.clone().and_then(|()| still_open(connection));
        answers.push(job(usable.map(|()| connection)));
    }
    let committed = opened
        .and_then(|()| still_open(connection))
        .and_then(|()| Ok(connection.execute_batch("COMMIT")?));
    if committed.is_err() && !connection.is_autocommit() {
        // If this fails, so does the next BEGIN, which reports it.
        let _ = connection.execute_batch("ROLLBACK");
    }
    for answer in answers {
        answer(committed.clone());
    }
}

/// Checks that the transaction is still open. SQLite ends one by itself in case of a full disk, for example.
fn still_open(connection: &Connection) -> Result<(), DatabaseError> {
    if connection.is_autocommit() {
        Err(DatabaseError::RolledBack)
    } else {
        Ok(())
    }
}

/// Performs all of `work`, or nothing.
fn undivided<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let step = |sql| connection.prepare_cached(sql)?.execute([]);
    step("SAVEPOINT job")?;
    let done = work(connection);
    if done.is_err() && !connection.is_autocommit() {
        step("ROLLBACK TO job")?;
    }
    if !connection.is_autocommit() {
        step("RELEASE job")?;
    }
    done
}
