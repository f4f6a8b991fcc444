use std::collections::BTreeMap;

use futures_util::StreamExt;
use serde::Serialize;
use sqlx::{
    AssertSqlSafe, Encode, Executor, Sqlite, SqliteConnection, Type, sqlite::SqliteArguments,
};

use super::{Writer, tail::First};
use crate::{domain::Timestamp, store::StoreError};

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

/// Rows for one statement after another: so many at most, and no more long text than is worth a
/// statement, unless a single row has more. What a statement is given lies in memory several times.
pub(super) fn portions<T>(
    rows: &[T],
    rows_max: usize,
    text_bytes: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take(rows_max).take_while(|row| {
            let is_first = bytes == 0;
            bytes += text_bytes(row).max(1);
            is_first || bytes <= STATEMENT_TEXT_BYTES_MAX
        });
        let (portion, after) = rest.split_at(fits.count());
        rest = after;
        (!portion.is_empty()).then_some(portion)
    })
}

/// How much long text one statement is given.
const STATEMENT_TEXT_BYTES_MAX: usize = 1 << 20;

/// A column that may hold a long text.
type Text<'t> = Option<&'t str>;

impl Writer {
    /// Inserts rows, whose first column is the id, and whose text may be long; gives the ids of those
    /// that were there already, with the record that came first.
    pub(super) async fn insert_rows<'t, T: Serialize + Copy>(
        &mut self,
        insert: &'static str,
        there: &'static str,
        rows: &[T],
        text: impl Fn(&mut T) -> &mut Text<'t>,
        now: Timestamp,
    ) -> Result<BTreeMap<i64, First>, StoreError> {
        let mut all_there = BTreeMap::new();
        let text_of = |mut row: T| *text(&mut row);
        for rows in portions(rows, usize::MAX, |row| text_of(*row).map_or(0, str::len)) {
            // The database makes several copies of what is in JSON: a text that goes alone goes beside.
            let (json, beside) = match rows {
                [row] => {
                    let mut row = *row;
                    let beside = text(&mut row).take();
                    (serde_json::to_string(&[row])?, beside)
                }
                rows => (serde_json::to_string(rows)?, None),
            };
            let inserted = sqlx::query(insert)
                .bind(&json)
                .bind(now.unix_ms())
                .bind(beside)
                .execute(&mut self.connection)
                .await?
                .rows_affected();
            if inserted < rows.len() as u64 {
                let there: Vec<(i64, i64, i64)> =
                    sqlx::query_as(there).bind(&json).fetch_all(&mut self.connection).await?;
                let first = |(again, id, date_push_s)| (again, First { id, date_push_s });
                all_there.extend(there.into_iter().map(first));
            }
        }
        Ok(all_there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_ends_by_rows_and_by_text_and_one_long_row_goes_alone() {
        let most = STATEMENT_TEXT_BYTES_MAX;
        for (rows, lengths) in [
            (vec![], vec![]),
            (vec![0; 7], vec![3, 3, 1]),
            (vec![most / 2, most / 2, 1], vec![2, 1]),
            (vec![2 * most, 0, 2 * most, 1, 1], vec![1, 1, 1, 2]),
            (vec![1, most, most], vec![1, 1, 1]),
        ] {
            let found: Vec<_> = portions(&rows, 3, |bytes| *bytes).map(<[_]>::len).collect();
            assert_eq!(found, lengths, "{rows:?}");
        }
    }
}
