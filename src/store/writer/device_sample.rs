//! Samples as rows of a router's history. One that says the same as the one before it, but for clocks
//! that run on, only moves the end of that one's row: a history grows with what happens, and not with
//! how often a router tells of itself. Held by `store_contract::devices::runs`.
use std::collections::HashMap;

use sha2::{Digest, Sha256};
use sqlx::FromRow;

use super::Writer;
use crate::{
    domain::{DeviceStatus, Lasting, StatusSample, Timestamp},
    store::StoreError,
};

/// In so many rows before the oldest sample it is looked whether a sample is there already.
const ROWS_BEFORE: i64 = 8;
/// The same, where one says no time: whenever it comes again, it seems to be of now.
const ROWS_BEFORE_WITHOUT_TIME: i64 = 256;
/// By so much a clock that runs on may differ from the time that has passed.
const SLACK_MS: i64 = 30_000;

/// A row: samples that say the same, one after another.
#[derive(Debug, FromRow)]
struct Run {
    /// Of the device among those that were asked.
    place: i64,
    /// None while it is not stored.
    id: Option<i64>,
    at_ms: i64,
    until_ms: i64,
    samples: i64,
    has_own_time: Option<bool>,
    h: i64,
    facts_h: Option<i64>,
    up_s: Option<i64>,
    link_up_s: Option<i64>,
    /// The sample that it begins with, where it is not stored.
    #[sqlx(skip)]
    nth: usize,
    #[sqlx(skip)]
    is_moved: bool,
}

/// A sample to be kept.
struct Taken<'s> {
    at_ms: i64,
    h: i64,
    sample: &'s StatusSample,
}

impl Writer {
    /// Keeps samples inside the open transaction: in rows of their own, or in that of the sample before.
    pub(super) async fn keep_samples(
        &mut self,
        statuses: &[DeviceStatus],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut runs = self.runs_near(statuses, now).await?;
        let (mut new, mut moved) = (Vec::new(), Vec::new());
        for (place, status) in (0..).zip(statuses) {
            let mut samples: Vec<_> = status.samples.iter().map(|it| Taken::of(it, now)).collect();
            // In whatever order RCMS gives them.
            samples.sort_by_key(|taken| taken.at_ms);
            let mut runs = runs.remove(&place).unwrap_or_default();
            for (nth, taken) in samples.iter().enumerate() {
                keep(&mut runs, (place, nth), taken);
            }
            for run in runs {
                if run.id.is_some() {
                    moved.extend(run.is_moved.then(|| moved_row(&run)));
                } else if let Some(taken) = samples.get(run.nth) {
                    new.push(new_row(status.sn.as_str(), &run, &taken.sample.whole));
                }
            }
        }
        self.move_runs(&moved).await?;
        // A history reads in the order of time.
        new.sort_by_key(|(_, at_ms, ..)| *at_ms);
        self.insert_runs(&new).await
    }

    /// The rows among which these samples may be, in order of time.
    async fn runs_near(
        &mut self,
        statuses: &[DeviceStatus],
        now: Timestamp,
    ) -> Result<HashMap<i64, Vec<Run>>, StoreError> {
        const NEAR: &str = "
            select row.key as place, history.id, history.at_ms,
                coalesce(history.until_ms, history.at_ms) as until_ms,
                coalesce(history.samples, 1) as samples, history.has_own_time, history.h,
                history.facts_h, history.up_s, history.link_up_s
            from json_each($1) as row join device on device.sn = row.value ->> 0
            join device_history as history
                on history.device_id = device.id and history.what = 'status'
                and history.at_ms <= row.value ->> 2
                and history.at_ms >= coalesce((
                    select before.at_ms from device_history as before
                    where before.device_id = device.id and before.what = 'status'
                        and before.at_ms < row.value ->> 1
                    order by before.at_ms desc limit 1 offset $2 - 1), 0)
            order by row.key, history.at_ms, history.id";
        let samples = || statuses.iter().flat_map(|status| &status.samples);
        let has_untimed = samples().any(|sample| sample.sampled_at.is_none());
        let spans: Vec<_> = statuses
            .iter()
            .map(|status| {
                let times = || status.samples.iter().map(|sample| taken_ms(sample, now));
                (status.sn.as_str(), times().min(), times().max())
            })
            .collect();
        let runs: Vec<Run> = sqlx::query_as(NEAR)
            .bind(serde_json::to_string(&spans)?)
            .bind(if has_untimed { ROWS_BEFORE_WITHOUT_TIME } else { ROWS_BEFORE })
            .fetch_all(&mut self.connection)
            .await?;
        let mut by_place: HashMap<i64, Vec<Run>> = HashMap::new();
        for run in runs {
            by_place.entry(run.place).or_default().push(run);
        }
        Ok(by_place)
    }

    async fn move_runs(&mut self, moved: &[MovedRow]) -> Result<(), StoreError> {
        const MOVE: &str = "
            update device_history set until_ms = row.value ->> 1, samples = row.value ->> 2,
                up_s = row.value ->> 3, link_up_s = row.value ->> 4
            from json_each($1) as row where device_history.id = row.value ->> 0";
        if !moved.is_empty() {
            sqlx::query(MOVE)
                .bind(serde_json::to_string(moved)?)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    async fn insert_runs(&mut self, new: &[NewRow<'_>]) -> Result<(), StoreError> {
        const INSERT: &str = "
            insert into device_history (id, device_id, at_ms, what, sample, h, until_ms, samples,
                has_own_time, facts_h, up_s, link_up_s)
            select (select last from seq) + 1 + row.key, device.id, row.value ->> 1, 'status',
                row.value ->> 2, row.value ->> 3, row.value ->> 4, row.value ->> 5, row.value ->> 6,
                row.value ->> 7, row.value ->> 8, row.value ->> 9
            from json_each($1) as row join device on device.sn = row.value ->> 0";
        if new.is_empty() {
            return Ok(());
        }
        sqlx::query(INSERT).bind(serde_json::to_string(new)?).execute(&mut self.connection).await?;
        self.use_ids(new.len() as u64).await
    }
}

/// Whose, when, the whole sample and its digest, and then as in [`Run`].
type NewRow<'s> =
    (&'s str, i64, &'s str, i64, i64, i64, Option<bool>, Option<i64>, Option<i64>, Option<i64>);

fn new_row<'s>(sn: &'s str, run: &Run, whole: &'s str) -> NewRow<'s> {
    let Run { at_ms, until_ms, samples, has_own_time, h, facts_h, up_s, link_up_s, .. } = *run;
    (sn, at_ms, whole, h, until_ms, samples, has_own_time, facts_h, up_s, link_up_s)
}

/// Puts a sample where it belongs. It may be there: RCMS is asked for each span a little more than once.
fn keep(runs: &mut Vec<Run>, (place, nth): (i64, usize), taken: &Taken<'_>) {
    let Taken { at_ms, h, sample } = taken;
    let Lasting { digest, up_s, link_up_s } = sample.lasting;
    let (has_own_time, facts_h) = (Some(sample.sampled_at.is_some()), Some(digest));
    let says_same = |run: &Run| (run.facts_h, run.has_own_time) == (facts_h, has_own_time);
    let is_within = |run: &Run| (run.at_ms..=run.until_ms).contains(at_ms);
    let is_stored = || runs.iter().any(|run| run.h == *h);
    if runs.iter().any(|run| says_same(run) && is_within(run))
        || sample.sampled_at.is_some() && is_stored()
    {
        return;
    }
    let behind = runs.partition_point(|run| run.at_ms <= *at_ms);
    let before = behind.checked_sub(1).and_then(|place| runs.get(place));
    let goes_on = before.is_some_and(|run| says_same(run) && run.runs_on(*at_ms, sample.lasting));
    if !goes_on && is_stored() {
        return;
    }
    match behind.checked_sub(1).and_then(|place| runs.get_mut(place)).filter(|_| goes_on) {
        Some(run) => {
            (run.until_ms, run.samples, run.is_moved) = (*at_ms, run.samples + 1, true);
            (run.up_s, run.link_up_s) = (up_s, link_up_s);
        }
        None => runs.insert(
            behind,
            Run {
                place,
                id: None,
                at_ms: *at_ms,
                until_ms: *at_ms,
                samples: 1,
                has_own_time,
                h: *h,
                facts_h,
                up_s,
                link_up_s,
                nth,
                is_moved: false,
            },
        ),
    }
}

impl Run {
    /// Whether the router and its link have been up since the last sample. Where they have not, that is
    /// news.
    fn runs_on(&self, at_ms: i64, lasting: Lasting) -> bool {
        let passed_ms = at_ms.saturating_sub(self.until_ms);
        let runs_on = |was_s: Option<i64>, is_s: Option<i64>| match (was_s, is_s) {
            // A router may say anything.
            (Some(was_s), Some(is_s)) => {
                let ran_ms = is_s.saturating_sub(was_s).saturating_mul(1_000);
                ran_ms.abs_diff(passed_ms) <= SLACK_MS.unsigned_abs()
            }
            (was_s, is_s) => was_s == is_s,
        };
        runs_on(self.up_s, lasting.up_s) && runs_on(self.link_up_s, lasting.link_up_s)
    }
}

/// Id, end, samples, and for how long router and link were up.
type MovedRow = (Option<i64>, i64, i64, Option<i64>, Option<i64>);

fn moved_row(run: &Run) -> MovedRow {
    (run.id, run.until_ms, run.samples, run.up_s, run.link_up_s)
}

impl<'s> Taken<'s> {
    fn of(sample: &'s StatusSample, now: Timestamp) -> Self {
        Self { at_ms: taken_ms(sample, now), h: digest(sample), sample }
    }
}

/// When a sample was taken, or else seen.
pub(super) fn taken_ms(sample: &StatusSample, now: Timestamp) -> i64 {
    sample.sampled_at.unwrap_or(now).unix_ms()
}

/// The first 64 bits of the digest; compared only among one device's samples.
fn digest(sample: &StatusSample) -> i64 {
    let digest = Sha256::digest(sample.whole.as_bytes());
    let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    i64::from_le_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_router_says_of_its_uptime_is_a_number_like_any_other() {
        let run = |up_s| Run {
            place: 0,
            id: None,
            at_ms: 0,
            until_ms: 0,
            samples: 1,
            has_own_time: None,
            h: 0,
            facts_h: None,
            up_s: Some(up_s),
            link_up_s: None,
            nth: 0,
            is_moved: false,
        };
        let runs_on = |was_s, is_s, at_ms| {
            run(was_s).runs_on(at_ms, Lasting { up_s: Some(is_s), ..Lasting::default() })
        };
        assert!(runs_on(10, 70, 60_000));
        assert!(!runs_on(10, i64::MAX / 100, 60_000));
        assert!(!runs_on(i64::MAX, 1, 60_000));
    }
}
