//! Whether a copy of the database is whole.
use sqlx::SqliteConnection;

use super::backup::BackupError;

/// How thoroughly a copy is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Whether each page can be read, and lists have as many rows as were counted.
    Quick,
    /// Every index against its table, and sums against records.
    Whole,
}

/// Whether a database is in order, and has as many records as it counted.
pub(super) async fn check(copy: &mut SqliteConnection, depth: Depth) -> Result<(), BackupError> {
    const COUNTS: [(&str, &str); 3] = [
        (
            "usage records",
            "select (select count(*) from usage)
                - coalesce((select sum(records - gone) from tally where kind = 'data-usage'), 0)",
        ),
        (
            "messages",
            "select (select count(*) from sms)
                - coalesce((select sum(records - gone) from tally where kind = 'mo-sms'), 0)",
        ),
        (
            "notifications",
            "select (select count(*) from notification) - coalesce((select sum(records - gone)
                from tally where kind not in ('data-usage', 'mo-sms')), 0)",
        ),
    ];
    // From the first quarter of an hour on that has lost no record to its age.
    const SUMS: &str = "
        with first(ms) as (
            select coalesce(
                (select (from_ms / 900000 + 1) * 900000 from kept where what = 'data-usage'),
                -9000000000000000000))
        select coalesce((select sum(data_usage) from usage, first where start_ms >= ms), 0)
            - coalesce((select sum(data_usage) from usage_quarter_hour, first
                where start_ms >= ms), 0)
            - coalesce((select sum(data_usage) from usage, first where start_ms >= ms
                and id > (select complete_to from mark where summary = 'sums')), 0)";
    let pragma = match depth {
        Depth::Quick => "pragma quick_check(1)",
        Depth::Whole => "pragma integrity_check(1)",
    };
    let told: String = sqlx::query_scalar(pragma).fetch_one(&mut *copy).await?;
    if told != "ok" {
        return Err(BackupError::NotWhole(told));
    }
    for (what, sql) in COUNTS {
        let more: i64 = sqlx::query_scalar(sql).fetch_one(&mut *copy).await?;
        if more != 0 {
            return Err(BackupError::NotWhole(format!("{what}: {more} more than were counted")));
        }
    }
    if depth == Depth::Whole {
        let more: i64 = sqlx::query_scalar(SUMS).fetch_one(&mut *copy).await?;
        if more != 0 {
            let told = format!("the volumes of the records are {more} more than their sums");
            return Err(BackupError::NotWhole(told));
        }
    }
    Ok(())
}
