//! A change of the days' time zone that is begun anew, or given up.
use sqlx::AssertSqlSafe;

use super::{Writer, audit, run};
use crate::{
    domain::{AUDITED_SERVER, AuditAction, AuditNote, AuditOutcome, Timestamp},
    store::{StoreError, days::name_of},
};

impl Writer {
    /// Gives up the change to a zone, and notes that: no later start asks for it.
    pub(in crate::store) async fn give_up_zone(
        &mut self,
        zone: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const NOTE: &str = "
            insert or replace into meta (name, value) values ('zone_given_up', $1)";
        let kept = name_of(self.days.zone());
        let details =
            format!("given up: this start does not ask for it; the days stay those of {kept}");
        let note = AuditNote::by_itself(AUDITED_SERVER, AuditAction::Rebuild, zone, "");
        let note = note.ended(AuditOutcome::Failed, details);
        run(&mut self.connection, "begin immediate").await?;
        sqlx::query(NOTE).bind(zone).execute(&mut self.connection).await?;
        audit::insert(&mut self.connection, &self.erased_sims, &note, 1, now).await?;
        run(&mut self.connection, "commit").await?;
        self.drop_rebuild().await
    }

    /// Forgets a rebuild that was broken off.
    pub(in crate::store) async fn drop_rebuild(&mut self) -> Result<(), StoreError> {
        const IS_THERE: &str = "
            select exists (select 1 from sqlite_schema where name = 'usage_sim_day_next')";
        let is_there: bool = sqlx::query_scalar(IS_THERE).fetch_one(&mut self.connection).await?;
        if is_there {
            self.without_wiping(&[
                "begin immediate",
                "drop table if exists usage_sim_day_next",
                "drop table if exists usage_card_month_next",
                "delete from meta where name = 'rebuild'",
                "commit",
            ])
            .await?;
        }
        Ok(())
    }

    /// Lets a rebuild on its way begin anew: its sums may hold what is taken out of those in force.
    pub async fn restart_rebuild(&mut self) -> Result<(), StoreError> {
        self.refresh().await?;
        run(&mut self.connection, "delete from meta where name = 'rebuild'").await
    }

    /// Runs statements that drop tables. These hold numbers of ours and sums, nothing that has to be
    /// wiped off the disk: writing each page once more would take as long as all the rest.
    pub(super) async fn without_wiping(
        &mut self,
        statements: &[&'static str],
    ) -> Result<(), StoreError> {
        run(&mut self.connection, "pragma secure_delete = off").await?;
        for statement in statements {
            sqlx::query(AssertSqlSafe(*statement)).execute(&mut self.connection).await?;
        }
        run(&mut self.connection, "pragma secure_delete = on").await
    }
}
