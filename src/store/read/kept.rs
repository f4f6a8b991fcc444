//! From when on records are kept, and what cannot be told for that.
use sqlx::SqliteConnection;

use super::{READ_TIME_MAX, Store};
use crate::store::{StoreError, error::of_read};

/// Records that were gone before a reader came to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The largest id among them.
    pub through: i64,
    /// How often stored records had gone by then.
    pub generation: i64,
}

impl Store {
    /// How often stored records have gone, as [`Store::has_missed`] needs it.
    pub async fn generation(&self) -> Result<i64, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sqlx::query_scalar("select coalesce(max(generation), 0) from removed")
            .fetch_one(&mut *reader)
            .await
            .map_err(of_read)
    }

    /// Bytes within the database that hold nothing.
    pub async fn free_inside(&self) -> Result<u64, StoreError> {
        const FREE: &str = "
            select freelist_count * page_size from pragma_freelist_count, pragma_page_size";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let bytes: i64 = sqlx::query_scalar(FREE).fetch_one(&mut *reader).await.map_err(of_read)?;
        Ok(bytes.unsigned_abs())
    }

    /// SIMs that were erased, and what has come of them since.
    pub async fn erasures(&self) -> Result<(i64, i64), StoreError> {
        const ERASED: &str = "select count(*), coalesce(sum(came_again), 0) from erased";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sqlx::query_as(ERASED).fetch_one(&mut *reader).await.map_err(of_read)
    }

    /// Whether records after this id, which were there at this generation, are gone.
    pub async fn has_missed(&self, after: i64, generation: i64) -> Result<bool, StoreError> {
        Ok(self.missed(after, generation).await?.is_some())
    }

    /// The same, and how far.
    pub async fn missed(&self, after: i64, generation: i64) -> Result<Option<Missed>, StoreError> {
        const MISSED: &str = "
            select max(last_id), max(generation) from removed
            where generation > $2 and last_id > $1";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let row: (Option<i64>, Option<i64>) = sqlx::query_as(MISSED)
            .bind(after)
            .bind(generation)
            .fetch_one(&mut *reader)
            .await
            .map_err(of_read)?;
        Ok(row.0.zip(row.1).map(|(through, generation)| Missed { through, generation }))
    }
}

/// Refuses to add up records from this own time on if some of them are gone.
pub(super) async fn need_from(
    first_ms: Option<i64>,
    what: &'static str,
    moment: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let Some(first_ms) = first_ms else { return Ok(()) };
    let from_ms: Option<i64> = sqlx::query_scalar("select from_ms from kept where what = $1")
        .bind(what)
        .fetch_optional(moment)
        .await
        .map_err(of_read)?;
    match from_ms {
        Some(from_ms) if first_ms < from_ms => Err(StoreError::Pruned { what, from_ms }),
        _ => Ok(()),
    }
}
