//! What one read holds at most, in bytes as well as in rows.
//!
//! What the platform sent with a record may be as long as a body: a thousand of those fit neither
//! in memory nor in one text of SQLite. So a read leaves out what is long and says how long it is;
//! then that is read row by row until there is enough.
use std::collections::HashMap;

use sqlx::{Connection, FromRow, QueryBuilder, Sqlite, SqliteConnection, sqlite::SqliteRow};

use super::{READ_TIME_MAX, Store, page};
use crate::{
    domain::Walk,
    store::{StoreError, error::of_read},
};

/// How much long text one portion holds, unless a single row alone has more.
const LONG_TEXT_BYTES_MAX: i64 = 8 << 20;

/// A column of text and its length in bytes; null instead of text that is long. As many rows as a
/// page may have, each with a text that is not, are no more than a portion.
macro_rules! unless_long {
    ($column:literal) => {
        concat!(
            "iif(octet_length(",
            $column,
            ") > 8192, null, ",
            $column,
            ") as ",
            $column,
            ", octet_length(",
            $column,
            ") as text_bytes"
        )
    };
}
pub(super) use unless_long;

/// Rows that were read together, and which of those asked for were not, because that were too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion<R, K = i64> {
    /// In the list's order.
    pub rows: Vec<R>,
    /// What tells the place of each row that follows these and was asked for.
    pub left: Vec<K>,
}

impl<R, K> From<Vec<R>> for Portion<R, K> {
    fn from(rows: Vec<R>) -> Self {
        Self { rows, left: Vec::new() }
    }
}

impl<R> Portion<R> {
    pub(super) fn read_as<T: TryFrom<R, Error = StoreError>>(
        self,
    ) -> Result<Portion<T>, StoreError> {
        let rows = self.rows.into_iter().map(T::try_from).collect::<Result<_, _>>()?;
        Ok(Portion { rows, left: self.left })
    }
}

/// A row with a text that [`unless_long`] selected.
pub(super) trait HasText {
    /// The text of the row with this id.
    const TEXT_OF_ID: &'static str;

    fn id(&self) -> i64;
    /// The text, and how long it is if there is one.
    fn text(&mut self) -> (&mut Option<String>, Option<i64>);
}

/// How much of what was asked for is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// All: who asks knows that it is not too much.
    None,
    /// One portion.
    Portion,
}

/// Adds the long texts to rows of the same moment, as far as they fit.
pub(super) async fn with_texts<R: HasText>(
    rows: Vec<R>,
    bound: Bound,
    moment: &mut SqliteConnection,
) -> Result<Portion<R>, StoreError> {
    let mut portion = Portion { rows: Vec::with_capacity(rows.len()), left: Vec::new() };
    let mut bytes = 0;
    for mut row in rows {
        let id = row.id();
        let (text, text_bytes) = row.text();
        if let Some(long) = text_bytes.filter(|_| text.is_none()) {
            bytes += long;
            let is_enough = bound == Bound::Portion && bytes > LONG_TEXT_BYTES_MAX;
            if portion.left.is_empty() && (portion.rows.is_empty() || !is_enough) {
                let query = sqlx::query_scalar(R::TEXT_OF_ID).bind(id);
                *text = Some(query.fetch_one(&mut *moment).await.map_err(of_read)?);
            } else {
                portion.left.push(id);
                continue;
            }
        }
        if portion.left.is_empty() { portion.rows.push(row) } else { portion.left.push(id) }
    }
    Ok(portion)
}

impl Store {
    /// The rows that a question asks for, the newest first if they are of a walk.
    pub(super) async fn portion<R, T>(
        &self,
        mut sql: QueryBuilder<Sqlite>,
        walk: Option<&Walk>,
    ) -> Result<Portion<T>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + HasText + Send + Unpin,
        T: TryFrom<R, Error = StoreError>,
    {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let rows: Vec<R> = sql.build_query_as().fetch_all(&mut *moment).await.map_err(of_read)?;
        let (rows, bound) = match walk {
            Some(walk) => (page::newest_first(walk, rows), Bound::Portion),
            None => (rows, Bound::None),
        };
        with_texts(rows, bound, &mut moment).await?.read_as()
    }

    /// How many of the records with these ids, in this order, make one portion.
    pub(super) async fn fitting(&self, ids: &[i64]) -> Result<usize, StoreError> {
        const LONG: &str = "
            with asked(id) as materialized (select value from json_each($1))
            select usage.id, octet_length(extra) from asked cross join usage
                on usage.id = asked.id where octet_length(extra) > 8192
            union all select sms.id, octet_length(extra) from asked cross join sms
                on sms.id = asked.id where octet_length(extra) > 8192
            union all select notification.id, octet_length(payload) from asked
                cross join notification
                on notification.id = asked.id where octet_length(payload) > 8192";
        if ids.is_empty() {
            return Ok(0);
        }
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let long: Vec<(i64, i64)> = sqlx::query_as(LONG)
            .bind(serde_json::to_string(ids)?)
            .fetch_all(&mut *reader)
            .await
            .map_err(of_read)?;
        let long: HashMap<i64, i64> = long.into_iter().collect();
        let mut bytes = 0;
        let fit = ids.iter().take_while(|id| {
            bytes += long.get(id).copied().unwrap_or(0);
            bytes <= LONG_TEXT_BYTES_MAX
        });
        Ok(fit.count().max(1).min(ids.len()))
    }
}
