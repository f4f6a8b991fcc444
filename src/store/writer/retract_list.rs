//! What was retracted, and what of it was lifted. Held by `front::retract`.
use super::{Lift, Writer, audit::audit, retract::octets, run};
use crate::{
    domain::{AuditAction, Caller, RetractQuestion, Retracted, Timestamp},
    store::{StoreError, push::source_of},
};
use std::sync::Arc;

impl Writer {
    pub(super) async fn load_retracted(&mut self) -> Result<Retracted, StoreError> {
        const LIVE: &str =
            "select distinct date_push_s, source from retracted where lifted_ms is null";
        let rows: Vec<(i64, Vec<u8>)> =
            sqlx::query_as(LIVE).fetch_all(&mut self.connection).await?;
        let question = |(date_push_s, source): (i64, Vec<u8>)| RetractQuestion {
            date_push_s,
            source: source_of(&source),
        };
        Ok(rows.into_iter().map(question).collect())
    }

    /// Takes back that what comes under a retracted `datePush` is set aside, for all retractions of
    /// the same one. What was taken out stays so.
    pub async fn lift_retraction(
        &mut self,
        id: i64,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Lift, StoreError> {
        const FIND: &str = "
            select date_push_s, source, exists (
                select 1 from retracted as one where one.pending
                    and (one.date_push_s, one.source) = (retracted.date_push_s, retracted.source)),
                lifted_ms
            from retracted where id = $1";
        self.refresh().await?;
        let found: Option<(i64, Vec<u8>, bool, Option<i64>)> =
            sqlx::query_as(FIND).bind(id).fetch_optional(&mut self.connection).await?;
        let Some((date_push_s, source, is_pending, lifted_ms)) = found else {
            return Ok(Lift::NotThere);
        };
        if let Some(lifted_ms) = lifted_ms {
            return Ok(Lift::Already(Timestamp::from_unix_ms(lifted_ms)));
        }
        if is_pending {
            return Ok(Lift::Pending);
        }
        let question = RetractQuestion { date_push_s, source: source_of(&source) };
        let done = self.try_lift_retraction(question, caller, now).await;
        self.undo_unless(done).await?;
        self.retracted = Arc::new(self.load_retracted().await?);
        Ok(Lift::Done)
    }

    async fn try_lift_retraction(
        &mut self,
        question: RetractQuestion,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const LIFT: &str = "
            update retracted set lifted_ms = $3
            where date_push_s = $1 and source = $2 and lifted_ms is null";
        run(&mut self.connection, "begin immediate").await?;
        sqlx::query(LIFT)
            .bind(question.date_push_s)
            .bind(octets(question.source))
            .bind(now.unix_ms())
            .execute(&mut self.connection)
            .await?;
        let target = question.to_string();
        let action = AuditAction::RetractLift;
        audit(&mut self.connection, &self.erased_sims, caller, action, &target, now).await?;
        run(&mut self.connection, "commit").await
    }
}
