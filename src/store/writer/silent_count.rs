//! Counts of silent SIMs, kept as they were at the time.
use super::{Writer, prune::Pruning, run};
use crate::{
    domain::{SilentCount, Timestamp},
    store::StoreError,
};

impl Writer {
    /// Keeps a count, and takes away those of later times: only a clock that was ahead can have dated
    /// them. Under a clock that authentic pushes contradict nothing is changed.
    pub async fn keep_silent_count(
        &mut self,
        count: SilentCount,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.refresh().await?;
        // A quarter hour that is over by two clocks has its count, or nobody can count it any more.
        let is_over = self
            .newest_confirmed()
            .is_some_and(|confirmed| count.at.plus(SilentCount::EVERY) <= confirmed);
        if is_over || self.clock_is_wrong(now) {
            return Ok(());
        }
        let done = self.try_keep_silent_count(count).await;
        self.undo_unless(done).await
    }

    async fn try_keep_silent_count(&mut self, count: SilentCount) -> Result<(), StoreError> {
        const LATER: &str = "delete from silent_count where at_ms > $1";
        const KEEP: &str = "
            insert into silent_count (at_ms, sims) values ($1, $2)
            on conflict (at_ms) do update set sims = excluded.sims";
        run(&mut self.connection, "begin immediate").await?;
        sqlx::query(LATER).bind(count.at.unix_ms()).execute(&mut self.connection).await?;
        sqlx::query(KEEP)
            .bind(count.at.unix_ms())
            .bind(i64::try_from(count.sims).unwrap_or(i64::MAX))
            .execute(&mut self.connection)
            .await?;
        run(&mut self.connection, "commit").await
    }

    /// Takes away the oldest counts that are too old; gives how many.
    pub(super) async fn prune_silent_counts(
        &mut self,
        before_ms: i64,
        pruning: &Pruning,
    ) -> Result<u64, StoreError> {
        const OLD: &str = "
            delete from silent_count where at_ms in (
                select at_ms from silent_count where at_ms < $1 order by at_ms limit $2)";
        let gone = sqlx::query(OLD)
            .bind(before_ms)
            .bind(pruning.limit())
            .execute(&mut self.connection)
            .await?;
        Ok(gone.rows_affected())
    }
}
