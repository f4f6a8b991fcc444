//! How the records of a piece of time are found.
use sqlx::SqliteConnection;

use super::plan::{Piece, by_key_day};
use crate::store::{StoreError, error::of_read, read::usage_tail::Marks};

/// By what records are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// By their keys, which are kept by day and SIM.
    ByKey,
    /// By the stretches of the table that were stored about when they were.
    ByStretch,
}

impl Found {
    /// What looks at fewer records that nobody asks about. Of a few minutes the keys know only the
    /// day, which may be a busy one; but a stretch with records of long ago lies in many pieces.
    pub(super) async fn sooner(
        pieces: &[Piece],
        moment: &mut SqliteConnection,
    ) -> Result<Self, StoreError> {
        const LOOKED_AT: &str = "
            select (
                select coalesce(sum(block.records), 0)
                from json_each($1) as piece cross join usage_block as block
                    on block.start_max_ms >= piece.value ->> 0
                    and block.start_min_ms < piece.value ->> 1
            ), (
                select coalesce(sum(hour.records), 0)
                from (select distinct value ->> 0 as day from json_each($2)) as piece
                cross join usage_hour as hour on hour.dimension = 'country_code'
                    and hour.start_ms >= piece.day * 86400000
                    and hour.start_ms < (piece.day + 1) * 86400000
            )";
        if pieces.is_empty() {
            return Ok(Self::ByKey);
        }
        let (in_stretches, in_days): (i64, i64) = sqlx::query_as(LOOKED_AT)
            .bind(serde_json::to_string(pieces)?)
            .bind(serde_json::to_string(&by_key_day(pieces))?)
            .fetch_one(moment)
            .await
            .map_err(of_read)?;
        Ok(if in_stretches <= in_days { Self::ByStretch } else { Self::ByKey })
    }

    /// The id up to which records are found so.
    pub(super) fn reach(self, marks: Marks) -> i64 {
        match self {
            Self::ByKey => marks.keys,
            Self::ByStretch => marks.sums,
        }
    }
}
