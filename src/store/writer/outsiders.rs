//! Other processes that write the database while it is open. Memory speaks for it only as long as nobody
//! else does.
use sqlx::SqliteConnection;

use super::Writer;
use crate::store::StoreError;

/// Begins a transaction, unless another connection has changed the database since that number was read:
/// `abs()` of the least number is an error, which ends it before anything is stored. It gives no row
/// where nothing was changed, because each one costs a push as much as asking does.
pub(super) const BEGIN_UNLESS_CHANGED: &str = "
    begin immediate;
    select abs(iif(data_version, -9223372036854775808, 0)) from pragma_data_version
    where data_version <> ?;";

/// SQLite's number for what other connections have changed, as this one sees it.
pub(super) async fn data_version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("pragma data_version").fetch_one(connection).await?)
}

impl Writer {
    /// Whether another connection has changed the database since memory was read.
    pub(super) async fn is_changed_by_others(&mut self) -> bool {
        let version = data_version(&mut self.connection).await;
        version.is_ok_and(|version| version != self.data_version)
    }
}
