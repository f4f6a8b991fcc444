use std::collections::BTreeMap;

use super::{Writer, audit::insert, run};
use crate::{
    domain::{AuditAction, AuditNote, AuditOutcome, Caller, LabelChange, ShortText, Timestamp},
    store::{StoreError, card::reversed},
};

impl Writer {
    /// Changes what people say of SIMs, in one transaction with the row that says who did it. A SIM
    /// that stands there twice is changed twice. Gives how many changes were of SIMs that have no
    /// record yet.
    pub async fn label_sims(
        &mut self,
        changes: &[LabelChange],
        caller: &Caller,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.refresh().await?;
        let subject = match changes {
            [change] => self.erased_sims.shown(change.giccid.as_str()),
            _ => format!("{} SIMs", changes.len()),
        };
        let note = AuditNote::by(caller, AuditAction::SimLabel, subject);
        // A SIM that was erased gets no name again.
        let mut changes: Vec<LabelChange> = changes
            .iter()
            .filter(|it| !self.erased_sims.has(it.giccid.as_str()))
            .cloned()
            .collect();
        // Nor may the name of another hold its number.
        for name in changes.iter_mut().filter_map(|change| change.name.as_mut()) {
            if let Ok(shown) = ShortText::try_from(&*self.erased_sims.shown(name)) {
                *name = shown;
            }
        }
        let done = self.try_label_sims(&changes, note, now).await;
        self.undo_unless(done).await
    }

    async fn try_label_sims(
        &mut self,
        changes: &[LabelChange],
        note: AuditNote,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        const LABELLED: &str = "
            select exists (
                select 1 from json_each($1) as asked join sim_label on giccid = asked.value)";
        const MAKE: &str = "
            insert into sim_label (giccid, name, device_sn)
            select row.value ->> 0, '', '' from json_each($1) as row where true
            on conflict do nothing";
        const CHANGE: &str = "
            update sim_label set name = coalesce(row.value ->> 1, name),
                device_sn = coalesce(row.value ->> 2, device_sn)
            from json_each($1) as row where sim_label.giccid = row.value ->> 0";
        const FORGET: &str = "
            delete from sim_label where name = '' and device_sn = ''
                and giccid in (select row.value ->> 0 from json_each($1) as row)";
        const UNKNOWN: &str = "
            select count(*) from json_each($1) as asked
            where not exists (select 1 from card where giccid_reversed = asked.value)";
        let rows = serde_json::to_string(&merged(changes))?;
        let giccids: Vec<_> = changes.iter().map(|change| change.giccid.as_str()).collect();
        let backwards: Vec<_> = giccids.iter().map(|giccid| reversed(giccid, usize::MAX)).collect();
        let numbers = serde_json::to_string(&giccids)?;
        run(&mut self.connection, "begin immediate").await?;
        let had_label: bool =
            sqlx::query_scalar(LABELLED).bind(&numbers).fetch_one(&mut self.connection).await?;
        for statement in [MAKE, CHANGE, FORGET] {
            sqlx::query(statement).bind(&rows).execute(&mut self.connection).await?;
        }
        let unknown: i64 = sqlx::query_scalar(UNKNOWN)
            .bind(serde_json::to_string(&backwards)?)
            .fetch_one(&mut self.connection)
            .await?;
        let has_label: bool =
            sqlx::query_scalar(LABELLED).bind(&numbers).fetch_one(&mut self.connection).await?;
        // Nothing is known of any of them: there was nothing to change.
        let is_known = had_label || has_label || unknown.unsigned_abs() < giccids.len() as u64;
        let note = match is_known {
            true => note,
            false => note.ended(AuditOutcome::Failed, "there is no such SIM"),
        };
        insert(&mut self.connection, &self.erased_sims, &note, 1, now).await?;
        run(&mut self.connection, "commit").await?;
        Ok(unknown.unsigned_abs())
    }
}

type Row<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

/// One row for each SIM, null where nothing changes and '' where something is taken away.
fn merged(changes: &[LabelChange]) -> Vec<Row<'_>> {
    let mut rows: BTreeMap<&str, Row<'_>> = BTreeMap::new();
    for LabelChange { giccid, name, device_sn } in changes {
        let row = rows.entry(giccid.as_str()).or_insert((giccid.as_str(), None, None));
        row.1 = name.as_deref().or(row.1);
        let sn = device_sn.as_ref().map(|sn| sn.as_ref().map_or("", |sn| sn.as_str()));
        row.2 = sn.or(row.2);
    }
    rows.into_values().collect()
}
