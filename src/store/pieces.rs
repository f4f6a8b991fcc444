//! Looks through whole tables a piece at a time. A statement reads one snapshot, and for as long as that
//! is read the log cannot be brought back into the database: so each piece is a statement of its own, of
//! so many rows as are read in a moment.
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{StoreError, error::of_read};

/// Rows may be as large as a push: it is begun with few …
const FIRST_ROWS: i64 = 16;
/// … and goes on with so many that a piece takes less than this.
const PIECE_TIME: Duration = Duration::from_millis(250);
const ROWS_MAX: i64 = 1 << 20;

/// The pieces of a table, in the order of its key.
pub(super) struct Pieces {
    table: String,
    key: Vec<String>,
    rows: i64,
    /// The key that the last piece ended with, as SQL writes it.
    after: Option<String>,
    given: Option<Instant>,
    is_done: bool,
}

impl Pieces {
    pub(super) async fn of(
        connection: &mut SqliteConnection,
        table: &str,
    ) -> Result<Self, StoreError> {
        const KEY: &str = "
            select info.name from pragma_table_list as list, pragma_table_info($1) as info
            where list.name = $1 and list.schema = 'main' and list.wr = 1 and info.pk > 0
            order by info.pk";
        let mut key: Vec<String> =
            sqlx::query_scalar(KEY).bind(table).fetch_all(connection).await.map_err(of_read)?;
        if key.is_empty() {
            key.push("rowid".to_owned());
        }
        let table = table.to_owned();
        Ok(Self { table, key, rows: FIRST_ROWS, after: None, given: None, is_done: false })
    }

    /// The condition that the rows of the next piece meet, and no others; none when all were given. How
    /// long the last one took tells how large the next may be.
    pub(super) async fn next(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<Option<String>, StoreError> {
        if self.is_done {
            return Ok(None);
        }
        match self.given.map(|given| given.elapsed()) {
            Some(took) if took > PIECE_TIME => self.rows = (self.rows / 4).max(1),
            Some(took) if took < PIECE_TIME / 4 => self.rows = (self.rows * 2).min(ROWS_MAX),
            _ => (),
        }
        let key = self.key.join(", ");
        let from = match &self.after {
            Some(after) => format!("({key}) > ({after})"),
            None => "true".to_owned(),
        };
        let quoted = self.key.iter().map(|column| format!("quote({column})"));
        let end = format!(
            "select {} from {} where {from} order by {key} limit 1 offset {}",
            quoted.collect::<Vec<_>>().join(" || ', ' || "),
            self.table,
            self.rows - 1
        );
        let end: Option<String> = sqlx::query_scalar(AssertSqlSafe(end))
            .fetch_optional(connection)
            .await
            .map_err(of_read)?;
        self.given = Some(Instant::now());
        match end.filter(|end| self.after.as_ref() != Some(end)) {
            Some(end) => {
                let piece = format!("{from} and ({key}) <= ({end})");
                self.after = Some(end);
                Ok(Some(piece))
            }
            None => {
                self.is_done = true;
                Ok(Some(from))
            }
        }
    }
}
