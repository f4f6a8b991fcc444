//! Rows of the audit that say that something has begun, when the process that began it is gone. Held by
//! `front::unfinished`.
use sqlx::SqliteConnection;

use super::Writer;
use crate::{domain::AuditAction, store::StoreError};

/// What a row says whose work another one did.
const BY_ANOTHER: &str = "done by another request for the same";
/// What a row says whose work nobody goes on with.
const CUT_SHORT: &str = "cut short: the server ended, or this copy was made, before it did";

impl Writer {
    /// Ends the rows with whose work nobody goes on. The data directory is ours: whoever began them is
    /// gone.
    pub(in crate::store) async fn end_cut_short(&mut self) -> Result<(), StoreError> {
        const ERASED: &str = "
            update audit set outcome = 'done', details = $1
            where outcome = 'begun' and action = 'erase' and exists (
                select 1 from erased where giccid_hmac = audit.target and pending is null)";
        const RETRACTED: &str = "
            update audit set outcome = 'done', details = $1
            where outcome = 'begun' and action = 'retract'
                and exists (select 1 from retracted where audit_id = audit.id)
                and not exists (
                    select 1 from retracted join retracted as other
                        on other.date_push_s = retracted.date_push_s
                        and other.source = retracted.source
                    where retracted.audit_id = audit.id and other.pending)";
        // A copy that is there was made.
        const COPIED: &str = "
            update audit set outcome = 'done', details = 'this copy'
            where outcome = 'begun' and action = 'backup' and id = (
                select max(id) from audit where action = 'backup' and outcome = 'begun')
                and at_ms <= (
                    select cast(value as integer) from meta where name = 'backed_up_ms')";
        const OTHERS: &str = "
            update audit set outcome = 'failed', details = $1
            where outcome = 'begun'
                and not (action = 'erase' and exists (
                    select 1 from erased
                    where giccid_hmac = audit.target and pending is not null))
                and not (action = 'retract' and exists (
                    select 1 from retracted join retracted as other
                        on other.date_push_s = retracted.date_push_s
                        and other.source = retracted.source
                    where retracted.audit_id = audit.id and other.pending))";
        for statement in [ERASED, RETRACTED] {
            sqlx::query(statement).bind(BY_ANOTHER).execute(&mut self.connection).await?;
        }
        sqlx::query(COPIED).execute(&mut self.connection).await?;
        sqlx::query(OTHERS).bind(CUT_SHORT).execute(&mut self.connection).await?;
        Ok(())
    }
}

/// Ends the rows of others who asked for the same as this one, which has ended well, inside the open
/// transaction. Where they go on as well, they say more in the end.
pub(super) async fn end_others(
    connection: &mut SqliteConnection,
    id: Option<i64>,
    action: AuditAction,
) -> Result<(), StoreError> {
    const END: &str = "
        update audit set outcome = 'done', details = $3
        where outcome = 'begun' and action = $2 and id <> $1
            and target = (select target from audit where id = $1)";
    sqlx::query(END).bind(id).bind(action.as_str()).bind(BY_ANOTHER).execute(connection).await?;
    Ok(())
}
