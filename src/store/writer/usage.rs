use std::collections::BTreeMap;

use super::{
    TallyChange, Verdict, Writer, count,
    insert::{Row, is_redated, repeat},
    intern::SeriesKey,
    push::Runs,
    push_repeat::Repeats,
    round::{ROWS_MAX, Round, portions, values},
    sims::{SimIds, SimKey},
    tail::{First, UsageKey},
};
use crate::{
    domain::{Timestamp, UsageRecord},
    store::{
        StoreError,
        rollup::{DAY_MS, TailUsage},
    },
};

/// A usage record that is not in the tail; the key tree decides whether it is new.
struct Candidate<'a> {
    id: i64,
    row: &'a Row<'a, UsageRecord>,
    folded: TailUsage,
}

impl Candidate<'_> {
    fn key(&self) -> UsageKey {
        let TailUsage { sim_id, start_ms, .. } = self.folded;
        UsageKey { sim_id, start_ms, h: self.row.new.identity }
    }
}

impl Writer {
    /// Inserts usage records inside the open transaction.
    pub(super) async fn insert_usage(
        &mut self,
        rows: &[Row<'_, UsageRecord>],
        ids: &mut impl Iterator<Item = i64>,
        verdicts: &mut [Verdict],
        tally: &mut TallyChange,
        round: &mut Round,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let sims: Vec<_> =
            rows.iter().map(|row| SimKey::new(&row.record.giccid, &row.record.imsi)).collect();
        let sims = self.interned.sims(&mut self.connection, round, &sims).await?;
        let series: Vec<_> = rows.iter().map(|row| SeriesKey::of(row.record)).collect();
        let series = self.interned.series(&mut self.connection, round, &series).await?;
        let mut candidates = Vec::with_capacity(rows.len());
        let mut repeats = Vec::new();
        for ((row, id), (SimIds { sim_id, card_id }, series_id)) in
            rows.iter().zip(ids).zip(sims.into_iter().zip(series))
        {
            let UsageRecord { start_ms, data_usage, .. } = *row.record;
            let (h, date_push_s) = (row.new.identity, row.new.date_push_s);
            let key = UsageKey { sim_id, start_ms, h };
            if !self.tail.take(key, First { id, date_push_s }) {
                repeats.push((row, key));
                continue;
            }
            let folded = TailUsage { sim_id, card_id, series_id, start_ms, data_usage };
            candidates.push(Candidate { id, row, folded });
        }
        let there = self.append(&candidates, round, now).await?;
        let mut runs = Runs::default();
        for candidate in candidates {
            if let Some(first) = there.get(&candidate.id) {
                self.tail.came_first_with(candidate.key(), *first);
                repeats.push((candidate.row, candidate.key()));
                continue;
            }
            let volume = tally.data_usage.checked_add(candidate.folded.data_usage);
            tally.data_usage = volume.ok_or(StoreError::VolumeOverflow)?;
            tally.records += 1;
            self.tail.add_usage(candidate.folded, now);
            runs.add(candidate.id, candidate.row.source, candidate.row.new.date_push_s);
            count(verdicts, candidate.row.submission, |outcome| outcome.stored += 1);
        }
        runs.write(round)?;
        // Only now is it known of all of them with which record they came first.
        let mut noted = Repeats::default();
        for (row, key) in repeats {
            let (first, again_s) = (self.tail.first_of(key), row.new.date_push_s);
            let redated = first.is_none_or(|first| is_redated(first.date_push_s, again_s));
            repeat(verdicts, row.submission, tally, redated);
            if let Some(first) = first {
                noted.add(first, row);
            }
        }
        noted.write(round)
    }

    /// Appends what the key tree does not have; gives the ids of what it has, with the record that
    /// came first.
    async fn append(
        &mut self,
        candidates: &[Candidate<'_>],
        round: &mut Round,
        now: Timestamp,
    ) -> Result<BTreeMap<i64, First>, StoreError> {
        const INSERT: &str = "
            insert into usage (id, received_ms, sim_id, series_id, start_ms, data_usage, duration,
                date_push_s, h, extra)
            select column1, column2, column3, column4, column5, column6, column7, column8, column9,
                column10
            from (values ";
        const UNLESS_THERE: &str = ")
            where column1 is not null and not exists (
                select 1 from usage_key as key
                where key.day = column5 / 86400000 and key.sim_id = column3
                    and key.start_ms = column5 and key.h = column9);";
        const THERE: &str = "
            select row.value ->> 0, first.id, first.date_push_s from json_each($1) as row
            join usage_key as key on key.day = row.value ->> 1 and key.sim_id = row.value ->> 2
                and key.start_ms = row.value ->> 3 and key.h = row.value ->> 4
            join usage as first on first.id = key.id";
        let mut appended = 0;
        for chunk in
            portions(candidates, ROWS_MAX, |it| it.row.record.extra.as_deref().map_or(0, str::len))
        {
            round.add(INSERT).add(&values(chunk.len(), 10)).add(UNLESS_THERE);
            for Candidate { id, row, folded } in chunk {
                let (new, record) = (row.new, row.record);
                round
                    .bind(id)?
                    .bind(now.unix_ms())?
                    .bind(folded.sim_id)?
                    .bind(folded.series_id)?
                    .bind(folded.start_ms)?
                    .bind(folded.data_usage)?
                    .bind(record.duration)?
                    .bind(new.date_push_s)?
                    .bind(new.identity)?
                    .bind(record.extra.as_deref())?;
            }
            appended += round.run(&mut self.connection).await?;
        }
        if appended == candidates.len() as u64 {
            return Ok(BTreeMap::new());
        }
        let keys: Vec<_> = candidates
            .iter()
            .map(|candidate| {
                let UsageKey { sim_id, start_ms, h } = candidate.key();
                (candidate.id, start_ms / DAY_MS, sim_id, start_ms, h)
            })
            .collect();
        let there: Vec<(i64, i64, i64)> = sqlx::query_as(THERE)
            .bind(serde_json::to_string(&keys)?)
            .fetch_all(&mut self.connection)
            .await?;
        let first = |(again, id, date_push_s)| (again, First { id, date_push_s });
        Ok(there.into_iter().map(first).collect())
    }
}
