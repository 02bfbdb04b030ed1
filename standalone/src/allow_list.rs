//! Permissions in the database.

use std::sync::Arc;

use acl_service::{AllowList, Unavailable};
use explain::explain;
use rusqlite::Connection;
use uuid::Uuid;

use crate::database::{Database, DatabaseError};

/// The driver tokens that are allowed at each station. An answered change is on the disk.
pub(crate) struct SqliteAllowList {
    pub(crate) database: Database,
}

impl AllowList for SqliteAllowList {
    async fn contains(&self, station: Uuid, token: &str) -> Result<bool, Unavailable> {
        let (station, token) = (station.to_string(), token.to_owned());
        let found = self.database.read(move |connection| {
            let mut select =
                connection.prepare_cached("SELECT 1 FROM allow_list WHERE station = ? AND token = ?")?;
            select.exists([station, token])
        });
        found.await.map_err(unavailable)
    }

    async fn add(&self, station: Uuid, token: &str) -> Result<bool, Unavailable> {
        self.change("INSERT OR IGNORE INTO allow_list VALUES (?, ?)", station, token)
            .await
    }

    async fn remove(&self, station: Uuid, token: &str) -> Result<bool, Unavailable> {
        self.change(
            "DELETE FROM allow_list WHERE station = ? AND token = ?",
            station,
            token,
        )
        .await
    }
}

impl SqliteAllowList {
    async fn change(&self, sql: &'static str, station: Uuid, token: &str) -> Result<bool, Unavailable> {
        let (station, token) = (station.to_string(), token.to_owned());
        let change = move |connection: &Connection| connection.prepare_cached(sql)?.execute([station, token]);
        let changed = self.database.write(change).await;
        changed.map(|rows| rows > 0).map_err(unavailable)
    }
}

fn unavailable(error: DatabaseError) -> Unavailable {
    tracing::warn!("the allow-list is not available: {}", explain(&error));
    Unavailable::Down(Arc::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn permissions_are_per_station_and_token() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&directory.path().join("a.db")).unwrap();
        let list = SqliteAllowList { database };
        let (here, there) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let odd = "a\0b'\u{202e}\u{1f50c}";
        assert!(list.add(here, "token").await.unwrap());
        assert!(!list.add(here, "token").await.unwrap());
        assert!(list.add(here, odd).await.unwrap());
        assert!(list.contains(here, "token").await.unwrap());
        assert!(list.contains(here, odd).await.unwrap());
        assert!(!list.contains(here, "a").await.unwrap());
        assert!(!list.contains(there, "token").await.unwrap());
        assert!(list.remove(here, "token").await.unwrap());
        assert!(!list.remove(here, "token").await.unwrap());
        assert!(!list.contains(here, "token").await.unwrap());
    }
}
