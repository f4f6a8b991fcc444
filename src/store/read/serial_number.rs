//! Serial numbers are stored as they are written, and compared without regard to the case of letters.
use sqlx::{QueryBuilder, Sqlite};

/// Adds a comparison of a column with a serial number. By an index of bytes SQLite finds nothing
/// whatever the case, but it finds the range in which all spellings lie: from all letters in upper case
/// to all in lower case.
pub(super) fn push_equal(sql: &mut QueryBuilder<Sqlite>, column: &str, sn: &str) {
    let (first, last) = (sn.to_ascii_uppercase(), sn.to_ascii_lowercase());
    sql.push(format_args!("({column} between ")).push_bind(first).push(" and ").push_bind(last);
    sql.push(format_args!(" and {column} = ")).push_bind(sn.to_owned()).push(" collate nocase)");
}
