use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use simdeck::{
    domain::{PageSize, Place as At, Sim, SimFilter, SimSort, Timestamp, Walk},
    store::{Limits, Opened, Pruning, Retention, SimMoment, SimQuestion, StoreError},
};

use super::{Place, commit, giccid, push, sms, usage};

const HOUR_MS: i64 = 3_600_000;
/// 2024-03-31T22:00:00Z: an hour later the clocks of most of Europe have gone forward for 22 hours,
/// and in Asia it is April.
const LAST_MS: i64 = 1_711_922_400_000;

async fn sims(opened: &Opened, zone: &str, now_ms: i64) -> Vec<Sim> {
    let zone = TimeZone::get(zone).unwrap();
    let as_of = &SimMoment { now: Timestamp::from_unix_ms(now_ms), zone };
    let ask = SimQuestion { filter: &SimFilter::default(), sort: SimSort::DataUsage, as_of };
    let walk = Walk { top: i64::MAX, place: At::Newest, size: PageSize::LARGEST };
    let listed = opened.store.sims(ask, &walk).await.unwrap();
    for (spot, sim) in &listed {
        let alone = opened.store.sim(&sim.giccid, as_of).await.unwrap();
        assert_eq!(alone.as_ref(), Some(sim));
        assert_eq!(spot.value, sim.this_month.data_usage);
    }
    listed.into_iter().map(|(_, sim)| sim).collect()
}

/// A place whose marks move at every so many records.
fn place(tail_records_max: usize) -> Place {
    let limits = Limits { tail_records_max, ..Limits::of_quarantine(0) };
    Place { limits, ..Place::new() }
}

#[tokio::test]
async fn today_and_this_month_are_those_of_the_asked_zone_whatever_the_stores() {
    for (stores, tail) in [("UTC", 1), ("UTC", 1_000), ("Asia/Tokyo", 7), ("Pacific/Apia", 3)] {
        let place = place(tail);
        let mut opened = place.try_open(Some(stores)).await.unwrap();
        let mut records: Vec<(usize, i64, i64)> = Vec::new();
        // Every hour of five days around the end of a month, each with a volume of its own.
        for (nth, hour) in (-60..60).enumerate() {
            let record = (nth % 3, LAST_MS + hour * HOUR_MS, 1 << (nth % 40));
            commit(&mut opened, &[push(vec![usage(record.0, record.1, record.2)])]).await;
            records.push(record);
        }
        for zone in ["UTC", "Asia/Tokyo", "America/St_Johns", "Pacific/Apia", "Pacific/Kiritimati"]
        {
            for now_ms in [LAST_MS - 30 * HOUR_MS, LAST_MS, LAST_MS + 5 * HOUR_MS] {
                let date = |ms| {
                    let moment = jiff::Timestamp::from_millisecond(ms).unwrap();
                    moment.to_zoned(TimeZone::get(zone).unwrap()).date()
                };
                let today = date(now_ms);
                let mut wanted: BTreeMap<_, (i64, i64)> = BTreeMap::new();
                for (sim, ms, volume) in &records {
                    let sums = wanted.entry(giccid(*sim)).or_default();
                    sums.0 += if date(*ms) == today { *volume } else { 0 };
                    let is_in = date(*ms).first_of_month() == today.first_of_month();
                    sums.1 += if is_in { *volume } else { 0 };
                }
                let told = sims(&opened, zone, now_ms).await;
                assert!(told.is_sorted_by_key(|sim| -sim.this_month.data_usage));
                let told = told
                    .into_iter()
                    .map(|sim| (sim.giccid, (sim.today.data_usage, sim.this_month.data_usage)));
                let told: BTreeMap<_, _> = told.collect();
                assert_eq!(told, wanted, "{stores} {tail} {zone} {now_ms}");
            }
        }
    }
}

#[tokio::test]
async fn under_a_short_retention_sums_in_another_zone_are_exact_or_refused() {
    for stores in ["UTC", "Asia/Tokyo"] {
        let (mut told, mut refused) = (0, 0);
        for pruned_hours in [-60, -30, -20, -10, -2, 3, 10, 20] {
            let place = place(7);
            let mut opened = place.try_open(Some(stores)).await.unwrap();
            let mut records: Vec<(i64, i64)> = Vec::new();
            for (nth, hour) in (-60..60).enumerate() {
                let record = (LAST_MS + hour * HOUR_MS, 1 << (nth % 40));
                commit(&mut opened, &[push(vec![usage(0, record.0, record.1)])]).await;
                records.push(record);
            }
            let kept_from_ms = LAST_MS + pruned_hours * HOUR_MS;
            let zero = std::time::Duration::ZERO;
            let retention = Retention {
                records: zero,
                messages: zero,
                refused: zero,
                audit: zero,
                devices: zero,
            };
            let mut pruning = Pruning::new(&retention, Timestamp::from_unix_ms(kept_from_ms));
            while !pruning.is_done() {
                opened.writer.prune_some(&mut pruning).await.unwrap();
            }
            for zone in ["UTC", "Asia/Tokyo", "America/St_Johns", "Pacific/Kiritimati"] {
                let now_ms = LAST_MS + 50 * HOUR_MS;
                let zone = TimeZone::get(zone).unwrap();
                let date = |ms| {
                    let moment = jiff::Timestamp::from_millisecond(ms).unwrap();
                    moment.to_zoned(zone.clone()).date()
                };
                let as_of = &SimMoment { now: Timestamp::from_unix_ms(now_ms), zone: zone.clone() };
                let ask =
                    SimQuestion { filter: &SimFilter::default(), sort: SimSort::DataUsage, as_of };
                let walk = Walk { top: i64::MAX, place: At::Newest, size: PageSize::LARGEST };
                let month = date(now_ms).first_of_month();
                let from_ms = month.to_zoned(zone.clone()).unwrap().timestamp().as_millisecond();
                let wanted = |is_in: &dyn Fn(i64) -> bool| -> i64 {
                    records.iter().filter(|(ms, _)| is_in(*ms)).map(|(_, volume)| volume).sum()
                };
                match opened.store.sims(ask, &walk).await {
                    Ok(listed) => {
                        let (spot, sim) = &listed[0];
                        let today = wanted(&|ms| date(ms) == date(now_ms));
                        let this_month = wanted(&|ms| date(ms).first_of_month() == month);
                        assert_eq!(sim.today.data_usage, today, "{stores} {pruned_hours}");
                        assert_eq!(
                            sim.this_month.data_usage, this_month,
                            "{stores} {pruned_hours}"
                        );
                        assert_eq!(spot.value, this_month);
                        told += 1;
                    }
                    Err(StoreError::Pruned { what, from_ms: kept_ms }) => {
                        assert_eq!(what, "sims", "what to do about it is told by that");
                        assert!(from_ms < kept_ms, "{stores} {pruned_hours}: all of it is kept");
                        refused += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert!(told > 10 && refused > 3, "{told} {refused}");
    }
}

/// Brings a store back to what it was before SIMs had a summary of their own.
const BEFORE: &str = "
    create table sim_seen (
        sim_id integer primary key, first_ms integer not null, last_ms integer not null) strict;
    insert into sim_seen (sim_id, first_ms, last_ms)
    select sim_id, min(ms), max(ms) from (
        select id, sim_id, start_ms as ms from usage union all select id, sim_id, event_ms from sms)
    where id <= (select complete_to from mark where summary = 'sims') group by sim_id;
    drop table card; drop table card_seen; drop table usage_card_month; drop table sim_label;
    drop index sms_from; drop index sms_to;
    create table old_sim (
        id integer primary key, giccid text not null, imsi text not null, unique (giccid, imsi)) strict;
    insert into old_sim (id, giccid, imsi) select id, giccid, imsi from sim;
    drop table sim; alter table old_sim rename to sim; create index sim_of_imsi on sim (imsi);
    delete from _sqlx_migrations where version = 5;";

#[tokio::test]
async fn a_store_of_an_older_version_tells_the_same_of_its_sims() {
    for tail in [1, 5, 1_000] {
        let place = place(tail);
        let mut opened = place.open().await;
        for nth in 0..60_i64 {
            let sim = usize::try_from(nth * 7 % 11).unwrap();
            let own_ms = LAST_MS - (nth * 37 % 60) * 20 * HOUR_MS;
            let record =
                if nth % 4 == 0 { sms(sim, own_ms + 7) } else { usage(sim, own_ms, 100 + nth) };
            commit(&mut opened, &[push(vec![record])]).await;
        }
        let told = sims(&opened, "UTC", LAST_MS).await;
        assert_eq!(told.len(), 11);
        opened.store.close().await;
        opened.writer.close().await.unwrap();
        place.sql(BEFORE).await;
        let mut opened = place.open().await;
        assert_eq!(sims(&opened, "UTC", LAST_MS).await, told, "{tail}");
        assert_eq!(sims(&opened, "Asia/Tokyo", LAST_MS).await.len(), 11);
        // And goes on from there.
        let later = usage(3, LAST_MS + 1, 1);
        commit(&mut opened, &[push(vec![later])]).await;
        let told = sims(&opened, "UTC", LAST_MS).await;
        let sim = told.iter().find(|sim| sim.giccid == giccid(3)).unwrap();
        assert_eq!(sim.seen.as_ref().unwrap().last.unix_ms(), LAST_MS + 1);
    }
}

#[tokio::test]
async fn questions_at_once_and_after_another_tell_the_same_while_records_come() {
    let place = place(9);
    let mut opened = place.open().await;
    for nth in 0..40_i64 {
        let sim = usize::try_from(nth % 5).unwrap();
        commit(&mut opened, &[push(vec![usage(sim, LAST_MS - nth * HOUR_MS, 1 + nth)])]).await;
        let (a, b) = tokio::join!(sims(&opened, "UTC", LAST_MS), sims(&opened, "UTC", LAST_MS));
        assert_eq!(a, b);
        let all: i64 = a.iter().map(|sim| sim.this_month.records).sum();
        assert_eq!(all, nth + 1);
    }
}
