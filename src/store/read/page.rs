use sqlx::{QueryBuilder, Sqlite};

use crate::domain::{Place, Walk};

/// Adds which rows of a walk are on this page, and their order. `id` is the SQL name of the column.
pub(super) fn narrow(sql: &mut QueryBuilder<Sqlite>, id: &'static str, walk: &Walk) {
    // One upper end: of two, SQLite would seek to the first and pass over all rows to the other.
    let newest = match walk.place {
        Place::OlderThan(place) => walk.top.min(place.saturating_sub(1)),
        Place::Newest | Place::NewerThan(_) | Place::Skip(_) | Place::Oldest => walk.top,
    };
    sql.push(format_args!(" and {id} <= ")).push_bind(newest);
    if let Place::NewerThan(place) = walk.place {
        sql.push(format_args!(" and {id} > ")).push_bind(place);
    }
    let order = if is_upwards(walk) { "" } else { " desc" };
    sql.push(format_args!(" order by {id}{order} limit ")).push_bind(i64::from(walk.size.rows()));
    if let Place::Skip(rows) = walk.place {
        sql.push(" offset ").push_bind(i64::from(rows));
    }
}

/// Puts the newest first, whichever way they were read.
pub(super) fn newest_first<T>(walk: &Walk, mut rows: Vec<T>) -> Vec<T> {
    if is_upwards(walk) {
        rows.reverse();
    }
    rows
}

/// Whether a walk reads against the list's order.
pub(super) fn is_upwards<K>(walk: &Walk<K>) -> bool {
    matches!(walk.place, Place::NewerThan(_) | Place::Oldest)
}

/// `($1, $2, …)`
pub(super) fn push_ids(sql: &mut QueryBuilder<Sqlite>, ids: &[i64]) {
    let mut list = sql.push("(").separated(", ");
    for id in ids {
        list.push_bind(*id);
    }
    sql.push(")");
}
