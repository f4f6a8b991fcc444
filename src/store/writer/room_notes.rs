use sqlx::query;

use super::Writer;
use crate::store::{RoomNote, StoreError, read::ROOM_NOTES};

impl Writer {
    /// Keeps how large the database was, in place of what was kept before.
    pub async fn keep_room_notes(&mut self, notes: &[RoomNote]) -> Result<(), StoreError> {
        const KEEP: &str = "insert or replace into meta (name, value) values ($1, $2)";
        self.refresh().await?;
        let told: Vec<String> = notes
            .iter()
            .map(|RoomNote { at, used_bytes }| format!("{}:{used_bytes}", at.unix_ms()))
            .collect();
        query(KEEP).bind(ROOM_NOTES).bind(told.join(" ")).execute(&mut self.connection).await?;
        Ok(())
    }
}
