//! Which push each stored record came with: the source and the second that was signed.
//!
//! A signature covers the second only, so whoever has captured one can attach records to it. Then
//! these two are all that tells the forged records from others. They are stored by run of ids and
//! not with each record: under load one row stands for a whole batch.
use std::net::IpAddr;

use super::{Writer, prune::Pruning, round::Round, run};
use crate::{
    domain::NO_DATE_PUSH_S,
    store::{StoreError, push::source_octets},
};

/// Records with neighbouring ids that share source and `datePush`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    date_push_s: i64,
    source: Option<IpAddr>,
    first_id: i64,
    last_id: i64,
}

/// The runs of one table's new records in a batch.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    /// Adds a record that is new, in the order of ids. What came without `datePush` has no push.
    pub(super) fn add(&mut self, id: i64, source: Option<IpAddr>, date_push_s: i64) {
        if date_push_s == NO_DATE_PUSH_S {
            return;
        }
        match self.0.last_mut() {
            // A repeat between two records had an id, too, that stays unused.
            Some(run) if (run.date_push_s, run.source) == (date_push_s, source) => {
                run.last_id = id;
            }
            _ => self.0.push(Run { date_push_s, source, first_id: id, last_id: id }),
        }
    }

    /// Adds the statement that stores them.
    pub(super) fn write(&self, round: &mut Round) -> Result<(), StoreError> {
        const ONE: &str = "insert into push (date_push_s, id, ids, source) values (?, ?, ?, ?);";
        const MANY: &str = "
            insert into push (date_push_s, id, ids, source)
            select row.value ->> 0, row.value ->> 1, row.value ->> 2, unhex(row.value ->> 3)
            from json_each(?) as row;";
        match &self.0[..] {
            [] => (),
            // The usual case: all that is committed together came from one source.
            [run] => {
                round
                    .add(ONE)
                    .bind(run.date_push_s)?
                    .bind(run.first_id)?
                    .bind(run.ids())?
                    .bind(run.octets())?;
            }
            runs => {
                let row = |run: &Run| {
                    (run.date_push_s, run.first_id, run.ids(), hex::encode(run.octets()))
                };
                let rows: Vec<_> = runs.iter().map(row).collect();
                round.add(MANY).bind(serde_json::to_string(&rows)?)?;
            }
        }
        Ok(())
    }
}

impl Run {
    /// How many ids it spans.
    fn ids(&self) -> i64 {
        self.last_id - self.first_id + 1
    }

    fn octets(&self) -> Vec<u8> {
        self.source.map(source_octets).unwrap_or_default()
    }
}

impl Writer {
    /// Forgets pushes of which no record is left, as far as they are old enough to have lost any.
    pub(super) async fn prune_pushes(&mut self, pruning: &mut Pruning) -> Result<bool, StoreError> {
        const OLD: &str = "
            select date_push_s, id from push
            where (date_push_s, id) > ($1, $2) and date_push_s < $3
            order by date_push_s, id limit $4";
        const FORGET: &str = "
            delete from push where (date_push_s, id) > ($1, $2) and (date_push_s, id) <= ($3, $4)
                and not exists (
                    select 1 from usage where usage.id between push.id and push.id + ids - 1)
                and not exists (
                    select 1 from sms where sms.id between push.id and push.id + ids - 1)
                and not exists (
                    select 1 from notification as one
                    where one.id between push.id and push.id + ids - 1)";
        let (from, before_s) = (pruning.at_push, pruning.pushes_before_s());
        let old: Vec<(i64, i64)> = sqlx::query_as(OLD)
            .bind(from.0)
            .bind(from.1)
            .bind(before_s)
            .bind(pruning.limit())
            .fetch_all(&mut self.connection)
            .await?;
        let Some(last) = old.last().copied() else { return Ok(true) };
        run(&mut self.connection, "begin immediate").await?;
        sqlx::query(FORGET)
            .bind(from.0)
            .bind(from.1)
            .bind(last.0)
            .bind(last.1)
            .execute(&mut self.connection)
            .await?;
        run(&mut self.connection, "commit").await?;
        pruning.at_push = last;
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_that_share_source_and_date_are_one_run_and_no_others_are() {
        let (one, other) = (Some([192, 0, 2, 1].into()), Some([192, 0, 2, 2].into()));
        let mut runs = Runs::default();
        for (id, source, date_push_s) in [
            (5, one, 100),
            (7, one, 100),
            (8, one, 101),
            (9, other, 101),
            (10, None, NO_DATE_PUSH_S),
            (11, other, 101),
            (12, None, 101),
        ] {
            runs.add(id, source, date_push_s);
        }
        let found: Vec<_> = runs.0.iter().map(|run| (run.first_id, run.last_id)).collect();
        assert_eq!(found, [(5, 7), (8, 8), (9, 11), (12, 12)]);
    }
}
