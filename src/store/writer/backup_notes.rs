use sqlx::query;

use super::Writer;
use crate::store::{RememberedBackups, StoreError};

impl Writer {
    /// Keeps which copies were made, in place of what was kept before.
    pub async fn remember_backups(&mut self, made: &RememberedBackups) -> Result<(), StoreError> {
        const KEEP: &str = "insert or replace into meta (name, value) values ($1, $2)";
        const FORGET: &str = "delete from meta where name = $1";
        self.refresh().await?;
        for (name, value) in made.facts() {
            let statement = match value {
                Some(value) => query(KEEP).bind(name).bind(value),
                None => query(FORGET).bind(name),
            };
            statement.execute(&mut self.connection).await?;
        }
        Ok(())
    }
}
