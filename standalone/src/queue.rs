//! The task queue in the database: encoded messages in the order of their arrival.

use std::sync::Arc;

use celery_protocol::{Message, TaskCall};
use explain::explain;
use public_api::{TaskQueue, Unavailable};
use rusqlite::{Connection, OptionalExtension as _, Row};
use tokio::sync::Notify;

use crate::database::{Database, DatabaseError};

/// The maximum number of messages that are read at a time.
const PAGE: u32 = 64;

/// A queue that keeps every accepted message, whatever happens to this process. Clones share it.
#[derive(Clone)]
pub(crate) struct Queue {
    database: Database,
    stored: Arc<Notify>,
}

/// The number of a message; a later message has a greater number.
pub(crate) type RowId = i64;

/// A message in the queue.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) id: RowId,
    /// The message, or an error if another program has written into the table.
    pub(crate) message: Result<Message, serde_json::Error>,
}

/// A message that could not be run.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) waiting: Waiting,
    pub(crate) reason: String,
}

/// The fate of a message that has been taken from the queue's front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It has been run and is deleted.
    Delete,
    /// It cannot be run and is set aside, with the reason.
    SetAside(String),
    /// It will be run again, after all the others.
    Requeue,
}

impl Queue {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            stored: Arc::new(Notify::new()),
        }
    }

    /// Returns the number of the last message so far; 0 if there was none.
    pub(crate) async fn last(&self) -> Result<RowId, DatabaseError> {
        let last = "SELECT coalesce(max(id), 0) FROM queue";
        self.database
            .read(|connection| connection.query_row(last, [], |row| row.get(0)))
            .await
    }

    /// Returns how many messages are waiting.
    pub(crate) async fn len(&self) -> Result<i64, DatabaseError> {
        self.database.read(Self::count).await
    }

    /// Returns the first messages after this number, and waits for them if there are none.
    pub(crate) async fn after(&self, id: RowId) -> Result<Vec<Waiting>, DatabaseError> {
        loop {
            let page = self
                .database
                .read(move |connection| Self::page(connection, id, PAGE))
                .await?;
            if !page.is_empty() {
                return Ok(page);
            }
            self.stored.notified().await;
        }
    }

    /// Returns one message, if it still exists.
    pub(crate) async fn get(&self, id: RowId) -> Result<Option<Waiting>, DatabaseError> {
        let select = "SELECT id, message FROM queue WHERE id = ?";
        let found = self.database.read(move |connection| {
            connection
                .prepare_cached(select)?
                .query_row([id], Waiting::read)
                .optional()
        });
        found.await
    }

    /// Takes a message out of the queue.
    pub(crate) async fn remove(&self, id: RowId, removal: Removal) -> Result<(), DatabaseError> {
        let requeued = removal == Removal::Requeue;
        let removed = self.database.write(move |connection| {
            match removal {
                Removal::Delete => {}
                Removal::SetAside(reason) => {
                    let copy =
                        "INSERT OR REPLACE INTO dead_letter SELECT id, message, ?2 FROM queue WHERE id = ?1";
                    connection.execute(copy, (id, reason))?;
                }
                Removal::Requeue => {
                    let copy = "INSERT INTO queue (message) SELECT message FROM queue WHERE id = ?";
                    connection.execute(copy, [id])?;
                }
            }
            connection
                .prepare_cached("DELETE FROM queue WHERE id = ?")?
                .execute([id])
        });
        removed.await?;
        if requeued {
            self.stored.notify_one();
        }
        Ok(())
    }

    /// Returns how many messages are waiting.
    pub(crate) fn count(connection: &Connection) -> rusqlite::Result<i64> {
        connection.query_row("SELECT count(*) FROM queue", [], |row| row.get(0))
    }

    /// Returns the first `limit` messages after this number.
    pub(crate) fn page(connection: &Connection, after: RowId, limit: u32) -> rusqlite::Result<Vec<Waiting>> {
        let sql = "SELECT id, message FROM queue WHERE id > ? ORDER BY id LIMIT ?";
        let mut select = connection.prepare_cached(sql)?;
        select.query_map((after, limit), Waiting::read)?.collect()
    }

    /// Returns the last `limit` messages that could not be run, oldest first.
    pub(crate) fn dead_letters(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<DeadLetter>> {
        let mut select = connection.prepare("SELECT * FROM dead_letter ORDER BY id DESC LIMIT ?")?;
        let read = |row: &Row<'_>| {
            Ok(DeadLetter {
                waiting: Waiting::read(row)?,
                reason: row.get("reason")?,
            })
        };
        let mut letters = select.query_map([limit], read)?.collect::<Result<Vec<_>, _>>()?;
        letters.reverse();
        Ok(letters)
    }

    async fn store(&self, message: &Message) -> Result<(), Unavailable> {
        let message = serde_json::to_string(message).map_err(|error| Unavailable(error.into()))?;
        let stored = self.database.write(move |connection| {
            connection
                .prepare_cached("INSERT INTO queue (message) VALUES (?)")?
                .execute([message])
        });
        if let Err(error) = stored.await {
            tracing::warn!("a request could not be stored: {}", explain(&error));
            return Err(Unavailable(error.into()));
        }
        self.stored.notify_one();
        Ok(())
    }
}

impl TaskQueue for Queue {
    async fn put(&self, call: TaskCall) -> Result<(), Unavailable> {
        self.store(&call.encode()).await
    }

    fn is_ready(&self) -> bool {
        self.database.is_open()
    }
}

impl Waiting {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let message = row.get_ref("message")?.as_str()?;
        Ok(Self {
            id: row.get("id")?,
            message: serde_json::from_str(message),
        })
    }
}

#[cfg(test)]
mod tests {
    use celery_protocol::{FieldValue, Properties, Sender};

    use super::*;

    fn call(id: &str) -> TaskCall {
        let sender = Sender {
            origin: "gen1@host".to_owned(),
            reply_to: "reply".to_owned(),
        };
        TaskCall::new("tasks.echo", id, &sender)
    }

    fn ids(page: &[Waiting]) -> Vec<RowId> {
        page.iter().map(|waiting| waiting.id).collect()
    }

    #[tokio::test]
    async fn messages_come_back_to_the_byte_in_order_and_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let mut odd = Message {
            properties: Properties {
                content_type: Some("x\0y".to_owned()),
                ..Properties::default()
            },
            body: (0..=255).collect(),
        };
        odd.properties
            .headers
            .insert("nan", FieldValue::F64(f64::from_bits(0x7ff8_0000_dead_beef)));
        odd.properties
            .headers
            .insert("bytes", FieldValue::LongString(vec![0xff, 0]));
        let queue = Queue::new(Database::open(&path).unwrap());
        assert_eq!(queue.last().await.unwrap(), 0);
        queue.put(call("one")).await.unwrap();
        queue.store(&odd).await.unwrap();
        queue.database.close().await;

        let queue = Queue::new(Database::open(&path).unwrap());
        assert_eq!((queue.len().await.unwrap(), queue.last().await.unwrap()), (2, 2));
        let page = queue.after(0).await.unwrap();
        assert_eq!(ids(&page), [1, 2]);
        assert_eq!(page[0].message.as_ref().unwrap(), &call("one").encode());
        let Message { properties, body } = page[1].message.as_ref().unwrap();
        assert_eq!(
            format!("{properties:?} {body:?}"),
            format!("{:?} {:?}", odd.properties, odd.body)
        );
        let Some(FieldValue::F64(nan)) = properties.headers.get("nan") else {
            panic!()
        };
        assert_eq!(nan.to_bits(), 0x7ff8_0000_dead_beef);
    }

    #[tokio::test]
    async fn numbers_are_never_used_again() {
        let directory = tempfile::tempdir().unwrap();
        let queue = Queue::new(Database::open(&directory.path().join("a.db")).unwrap());
        queue.put(call("one")).await.unwrap();
        queue.remove(1, Removal::Delete).await.unwrap();
        assert!(queue.get(1).await.unwrap().is_none());
        queue.put(call("two")).await.unwrap();
        assert_eq!(ids(&queue.after(1).await.unwrap()), [2]);
        queue.remove(2, Removal::Requeue).await.unwrap();
        assert_eq!(ids(&queue.after(2).await.unwrap()), [3]);
        queue
            .remove(3, Removal::SetAside("why".to_owned()))
            .await
            .unwrap();
        assert_eq!(queue.len().await.unwrap(), 0);
        let letters = queue
            .database
            .read(|connection| Queue::dead_letters(connection, 10))
            .await
            .unwrap();
        assert_eq!((letters[0].waiting.id, letters[0].reason.as_str()), (3, "why"));
        assert_eq!(
            letters[0].waiting.message.as_ref().unwrap(),
            &call("two").encode()
        );
    }

    #[tokio::test]
    async fn a_full_file_takes_nothing_until_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let queue = Queue::new(Database::open(&directory.path().join("a.db")).unwrap());
        let limit = |pages: u32| {
            queue.database.write(move |connection| {
                connection.execute_batch(&format!("PRAGMA max_page_count = {pages}"))
            })
        };
        limit(1).await.unwrap();
        let mut large = call("large");
        large.args = vec!["x".repeat(100_000).into()];
        let refused = queue.put(large.clone()).await;
        assert!(format!("{:?}", refused.unwrap_err()).contains("DiskFull"));
        limit(1_000_000).await.unwrap();
        queue.put(large).await.unwrap();
        assert_eq!(ids(&queue.after(0).await.unwrap()).len(), 1);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_notified_of_a_message() {
        let directory = tempfile::tempdir().unwrap();
        let queue = Queue::new(Database::open(&directory.path().join("a.db")).unwrap());
        let (page, put) = tokio::join!(queue.after(0), queue.put(call("one")));
        put.unwrap();
        assert_eq!(ids(&page.unwrap()), [1]);
    }
}
