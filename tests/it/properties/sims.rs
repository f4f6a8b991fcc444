//! What the store tells of SIMs, against its records.
use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use proptest::{prelude::*, test_runner::TestCaseError};
use simdeck::{
    domain::{
        self, PageSize, Place, Sim, SimActivity, SimActivityQuestion, SimFilter, SimSort, SimSpot,
        Walk,
    },
    store::{SimMoment, SimQuestion, Store},
};
use sqlx::SqliteConnection;

/// A SIM by its records.
#[derive(Debug, Default)]
struct Recorded {
    /// The larger, the later it was first heard of.
    number: i64,
    /// Own time, number of the subscriber, subscriber.
    records: Vec<(i64, i64, String)>,
    /// Own time, number of the network context, country, volume.
    usage: Vec<(i64, i64, String, i64)>,
}

/// What is told of a SIM: first, last, subscriber, country, today and this month.
type Told = (i64, i64, String, String, (i64, i64), (i64, i64));

impl Recorded {
    fn last_ms(&self) -> i64 {
        self.records.iter().map(|record| record.0).max().unwrap()
    }

    fn country(&self) -> String {
        self.usage.iter().max().map(|usage| usage.2.clone()).unwrap_or_default()
    }

    fn sum(&self, is_in: impl Fn(i64) -> bool) -> (i64, i64) {
        let usage = self.usage.iter().filter(|usage| is_in(usage.0));
        usage.fold((0, 0), |sum, usage| (sum.0 + usage.3, sum.1 + 1))
    }

    fn told(&self, as_of: &SimMoment) -> Told {
        let date = |ms| Timestamp::from_millisecond(ms).unwrap().to_zoned(as_of.zone.clone());
        let today = date(as_of.now.unix_ms()).date();
        let first = self.records.iter().map(|record| record.0).min().unwrap();
        let (last, _, imsi) = self.records.iter().max().unwrap();
        (
            first,
            *last,
            imsi.clone(),
            self.country(),
            self.sum(|ms| date(ms).date() == today),
            self.sum(|ms| date(ms).date().first_of_month() == today.first_of_month()),
        )
    }
}

fn told(sim: &Sim) -> Told {
    let seen = sim.seen.as_ref().unwrap();
    (
        seen.first.unix_ms(),
        seen.last.unix_ms(),
        seen.imsi.to_string(),
        seen.network.country_code.to_string(),
        (sim.today.data_usage, sim.today.records),
        (sim.this_month.data_usage, sim.this_month.records),
    )
}

/// Walks through the list of SIMs in every order and both directions, as of some moments.
pub(super) async fn agree(
    store: &Store,
    raw: &mut SqliteConnection,
    zone: &TimeZone,
) -> Result<(), TestCaseError> {
    let sims = recorded(raw).await;
    let newest = sims.values().map(Recorded::last_ms).max().unwrap_or_default();
    let filters = [
        SimFilter::default(),
        SimFilter { country_code: vec!["CN".to_owned()], ..SimFilter::default() },
        SimFilter { silent_for: Some(Duration::from_secs(3_600)), ..SimFilter::default() },
    ];
    for zone in [zone.clone(), TimeZone::get("Pacific/Auckland").unwrap()] {
        let as_of = &SimMoment { now: domain::Timestamp::from_unix_ms(newest), zone };
        for filter in &filters {
            let mut all: Vec<(&String, Told)> = sims
                .iter()
                .filter(|(_, sim)| filter.country_code.is_empty() || sim.country() == "CN")
                .filter(|(_, sim)| {
                    filter.silent_for.is_none() || sim.last_ms() < newest - 3_600_000
                })
                .map(|(giccid, sim)| (giccid, sim.told(as_of)))
                .collect();
            for sort in [SimSort::Newest, SimSort::LastSeen, SimSort::DataUsage] {
                let value = |told: &Told| match sort {
                    SimSort::Newest => 0,
                    SimSort::LastSeen => told.1,
                    SimSort::DataUsage => told.5.0,
                };
                all.sort_by_key(|(giccid, told)| Reverse((value(told), sims[*giccid].number)));
                let ask = SimQuestion { filter, sort, as_of };
                for upwards in [false, true] {
                    let walked = walk(store, ask, upwards).await;
                    let walked: Vec<_> =
                        walked.iter().map(|sim| (sim.giccid.to_string(), told(sim))).collect();
                    let wanted: Vec<_> = all
                        .iter()
                        .map(|(giccid, told)| ((*giccid).clone(), told.clone()))
                        .collect();
                    prop_assert_eq!(walked, wanted, "{:?} {:?} {}", sort, filter, upwards);
                }
                let count = store.sim_count(ask, i64::MAX).await.unwrap();
                prop_assert_eq!(count, all.len() as u64);
            }
        }
    }
    let before = |ms: i64| sims.values().filter(|sim| sim.last_ms() < ms).count() as u64;
    let known = sims.len() as u64;
    for silent_since_ms in [newest - 50 * 3_600_000, newest - 3_600_000, newest] {
        let active_from_ms = newest - 3_600_000;
        let ask = SimActivityQuestion { active_from_ms, silent_since_ms };
        let (active, silent) = (known - before(active_from_ms), before(silent_since_ms));
        let told = store.sim_activity(&ask).await.unwrap();
        prop_assert_eq!(told, SimActivity { known, active, silent });
    }
    Ok(())
}

/// The whole list by pages of three.
async fn walk(store: &Store, ask: SimQuestion<'_>, upwards: bool) -> Vec<Sim> {
    let size = PageSize::within(3, 3).unwrap();
    let mut place = if upwards { Place::Oldest } else { Place::Newest };
    let mut all: Vec<(SimSpot, Sim)> = Vec::new();
    loop {
        let page = store.sims(ask, &Walk { top: i64::MAX, place, size }).await.unwrap();
        let Some((first, last)) = page.first().zip(page.last()) else { break };
        place = if upwards { Place::NewerThan(first.0) } else { Place::OlderThan(last.0) };
        let at = if upwards { 0 } else { all.len() };
        all.splice(at..at, page);
    }
    all.into_iter().map(|(_, sim)| sim).collect()
}

async fn recorded(raw: &mut SqliteConnection) -> BTreeMap<String, Recorded> {
    const USAGE: &str = "
        select giccid, card_id, start_ms, sim_id, imsi, series_id, country_code, data_usage
        from usage join sim on sim.id = sim_id join series on series.id = series_id";
    const SMS: &str =
        "select giccid, card_id, event_ms, sim_id, imsi from sms join sim on sim.id = sim_id";
    type Usage = (String, i64, i64, i64, String, i64, String, i64);
    let usage: Vec<Usage> = sqlx::query_as(USAGE).fetch_all(&mut *raw).await.unwrap();
    let sms: Vec<(String, i64, i64, i64, String)> =
        sqlx::query_as(SMS).fetch_all(&mut *raw).await.unwrap();
    let mut sims: BTreeMap<String, Recorded> = BTreeMap::new();
    for (giccid, number, ms, sim_id, imsi, series_id, country, volume) in usage {
        let sim = sims.entry(giccid).or_default();
        sim.number = number;
        sim.records.push((ms, sim_id, imsi));
        sim.usage.push((ms, series_id, country, volume));
    }
    for (giccid, number, ms, sim_id, imsi) in sms {
        let sim = sims.entry(giccid).or_default();
        sim.number = number;
        sim.records.push((ms, sim_id, imsi));
    }
    sims
}
