use futures_util::StreamExt;
use sqlx::{
    AssertSqlSafe, Encode, Executor, Sqlite, SqliteConnection, Type, sqlite::SqliteArguments,
};

use crate::store::StoreError;

/// Statements that go to the database together.
///
/// The database has a thread of its own, and a trip there and back costs more than most statements
/// do. Parameters are `?`, in the order of all statements.
#[derive(Default)]
pub(super) struct Round {
    sql: String,
    arguments: SqliteArguments,
}

impl Round {
    /// Adds a statement, or a part of one, in SQL of our own.
    pub(super) fn add(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// Gives the next parameter its value.
    pub(super) fn bind<'t, T>(&mut self, value: T) -> Result<&mut Self, StoreError>
    where
        T: Encode<'t, Sqlite> + Type<Sqlite>,
    {
        sqlx::Arguments::add(&mut self.arguments, value).map_err(sqlx::Error::Encode)?;
        Ok(self)
    }

    /// Runs what was added, and is empty again. Gives the number of rows that the last statement
    /// changed.
    pub(super) async fn run(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<u64, StoreError> {
        let Self { sql, arguments } = std::mem::take(self);
        let mut changed = 0;
        if !sql.is_empty() {
            let mut results =
                connection.fetch_many(sqlx::query_with(AssertSqlSafe(sql), arguments));
            while let Some(result) = results.next().await {
                if let Some(done) = result?.left() {
                    changed = done.rows_affected();
                }
            }
        }
        Ok(changed)
    }
}

/// Rows of so many parameters for a `values` clause. Fewer rows may be bound than there is room
/// for; the rest is null. Few lengths, so that few statements have to be prepared.
pub(super) fn values(rows: usize, columns: usize) -> String {
    let room = ROOM.into_iter().find(|room| rows <= *room).unwrap_or(ROWS_MAX);
    let row = format!(",({})", vec!["?"; columns].join(","));
    row.repeat(room)[1..].to_owned()
}

const ROOM: [usize; 4] = [8, 32, 128, ROWS_MAX];

/// The most rows that one `values` clause has.
pub(super) const ROWS_MAX: usize = 512;
