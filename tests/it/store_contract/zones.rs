//! The days of a store in another time zone than before.
use simdeck::{
    domain::Timestamp,
    store::{Opened, Pruning, Rebuilding, Retention, SimDay, StoreError},
};
use std::time::Duration;

use super::{Place, commit, push, stored, usage};

const HOUR_MS: i64 = 3_600_000;
/// 2024-09-01T00:00:00Z
const FIRST_MS: i64 = 1_725_148_800_000;
/// Its number.
const FIRST_DAY: i64 = 19_967;

/// Day, volume and number of records of each SIM.
async fn days(opened: &Opened) -> Vec<(i64, String, i64, i64)> {
    let days = opened.store.sim_days(0, i64::MAX).await.unwrap();
    let told = |SimDay { day, giccid, data_usage, records, .. }| (day, giccid, data_usage, records);
    let mut days: Vec<_> = days.into_iter().map(told).collect();
    days.sort();
    days
}

/// A record of each of two SIMs in each hour of three days; in UTC and in Shanghai no day has as much.
async fn filled(place: &Place) -> Opened {
    let mut opened = place.open().await;
    for hour in 0..72 {
        let records = [0, 1].map(|sim| usage(sim, FIRST_MS + hour * HOUR_MS, 1_000 + hour));
        assert_eq!(commit(&mut opened, &[push(records.to_vec())]).await, [stored(2)]);
    }
    opened
}

/// What the days of a zone so far ahead of UTC must be.
fn wanted(hours_ahead: i64) -> Vec<(i64, String, i64, i64)> {
    let mut days = std::collections::BTreeMap::new();
    for hour in 0..72 {
        for sim in [0, 1] {
            let day = FIRST_DAY + (hour + hours_ahead).div_euclid(24);
            let sum = days.entry((day, super::giccid(sim).to_string())).or_insert((0, 0));
            *sum = (sum.0 + 1_000 + hour, sum.1 + 1);
        }
    }
    days.into_iter().map(|((day, giccid), (sum, records))| (day, giccid, sum, records)).collect()
}

/// Opens it with another zone than its days have.
async fn begun(place: &Place, zone: &str) -> (Opened, Rebuilding) {
    let mut opened = place.try_open(Some(zone)).await.unwrap();
    let zone = opened.next_zone.take().expect("it is another");
    (opened, Rebuilding::new(zone, Duration::ZERO))
}

async fn finish(opened: &mut Opened, mut work: Rebuilding) -> Result<(), StoreError> {
    while !opened.writer.rebuild_some(&mut work, super::NOW).await? {}
    opened.store.note_rezoned(&opened.writer);
    Ok(())
}

/// Opens it, and cuts its days by another zone.
async fn rezoned(place: &Place, zone: &str) -> Opened {
    let (mut opened, work) = begun(place, zone).await;
    finish(&mut opened, work).await.unwrap();
    opened
}

/// Opens it, and fails to do that.
async fn broken(place: &Place, zone: &str) {
    let (mut opened, work) = begun(place, zone).await;
    finish(&mut opened, work).await.unwrap_err();
    assert_eq!(opened.store.zone().iana_name(), Some("UTC"));
    assert_eq!(days(&opened).await, wanted(0));
    closed(opened).await;
}

async fn closed(opened: Opened) {
    opened.store.close().await;
    opened.writer.close().await.unwrap();
}

/// Steps of four records at most.
fn place() -> Place {
    let mut place = Place::new();
    place.limits.tail_records_max = 1;
    place
}

#[tokio::test]
async fn without_a_zone_a_store_keeps_its_own_and_with_another_its_days_are_cut_anew() {
    let place = place();
    let opened = filled(&place).await;
    assert_eq!(opened.store.zone().iana_name(), Some("UTC"));
    assert_eq!(days(&opened).await, wanted(0));
    closed(opened).await;
    let opened = rezoned(&place, "Asia/Shanghai").await;
    assert_eq!(opened.store.zone().iana_name(), Some("Asia/Shanghai"));
    assert_eq!(days(&opened).await, wanted(8));
    closed(opened).await;
    let mut opened = place.try_open(None).await.unwrap();
    assert_eq!(opened.store.zone().iana_name(), Some("Asia/Shanghai"));
    // What comes now goes by the new days.
    let late = FIRST_MS + 71 * HOUR_MS + 1;
    assert_eq!(commit(&mut opened, &[push(vec![usage(0, late, 5)])]).await, [stored(1)]);
    let records: i64 = days(&opened).await.iter().map(|day| day.3).sum();
    assert_eq!(records, 2 * 72 + 1);
}

#[tokio::test]
async fn a_rebuild_that_is_broken_off_leaves_the_days_whole_and_goes_on() {
    let place = place();
    closed(filled(&place).await).await;
    // As if the process had ended at each step in turn.
    for ends_at in [4, 40, 144] {
        let breaks = format!(
            "create trigger ends before insert on meta when new.name = 'rebuild'
                and new.value ->> 'id' >= {ends_at} begin select raise(abort, 'ended'); end"
        );
        let mut raw = place.raw().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(breaks)).execute(&mut raw).await.unwrap();
        drop(raw);
        broken(&place, "Asia/Shanghai").await;
        place.sql("drop trigger ends").await;
        let notes = "select max(value ->> 'id') from meta where name = 'rebuild'";
        assert!(place.number(notes).await < ends_at, "it noted what it had not done");
    }
    assert!(place.number("select count(*) from usage_sim_day_next").await > 0);
    let opened = rezoned(&place, "Asia/Shanghai").await;
    assert_eq!(days(&opened).await, wanted(8));
    assert_eq!(place.number("select count(*) from meta where name = 'rebuild'").await, 0);
}

#[tokio::test]
async fn a_rebuild_that_was_given_up_takes_no_part_in_the_next() {
    let place = place();
    closed(filled(&place).await).await;
    place
        .sql(
            "create trigger ends before insert on meta when new.name = 'rebuild'
                and new.value ->> 'id' >= 40 begin select raise(abort, 'ended'); end",
        )
        .await;
    broken(&place, "Asia/Shanghai").await;
    place.sql("drop trigger ends").await;
    let opened = place.try_open(None).await.unwrap();
    assert_eq!(days(&opened).await, wanted(0));
    closed(opened).await;
    let left = "select count(*) from sqlite_schema where name like '%_next'";
    assert_eq!(place.number(left).await, 0);
    let opened = rezoned(&place, "Asia/Shanghai").await;
    assert_eq!(days(&opened).await, wanted(8));
}

#[tokio::test]
async fn what_comes_and_goes_while_days_are_cut_anew_is_in_the_sums_of_either_zone() {
    for (is_pruned, is_retracted) in [(false, false), (true, false), (true, true)] {
        let place = place();
        let mut opened = filled(&place).await;
        let mut hours: Vec<i64> = (0..72).flat_map(|hour| [hour, hour]).collect();
        if is_pruned {
            // Half of the first day: the rest of it may still get records.
            prune(&mut opened, FIRST_MS + 12 * HOUR_MS).await;
        }
        closed(opened).await;
        let (mut opened, mut work) = begun(&place, "Asia/Shanghai").await;
        let records = |days: &[(i64, String, i64, i64)]| days.iter().map(|day| day.3).sum::<i64>();
        let mut steps = 0;
        while !opened.writer.rebuild_some(&mut work, super::NOW).await.unwrap() {
            steps += 1;
            let told = days(&opened).await;
            let mut by_day = std::collections::BTreeMap::new();
            for hour in &hours {
                *by_day.entry(FIRST_DAY + hour / 24).or_insert(0) += 1;
            }
            for (day, wanted) in by_day {
                let of_day: Vec<_> = told.iter().filter(|told| told.0 == day).cloned().collect();
                assert_eq!(records(&of_day), wanted, "step {steps}, day {day}");
            }
            if steps < 40 {
                let hour = 12 + steps % 60;
                let late = usage(2, FIRST_MS + hour * HOUR_MS + steps, 1);
                assert_eq!(commit(&mut opened, &[push(vec![late])]).await, [stored(1)]);
                hours.push(hour);
            }
            if is_retracted && steps == 60 {
                opened.writer.restart_rebuild().await.unwrap();
            }
        }
        assert!(steps > 40, "{steps}");
        let told = days(&opened).await;
        assert_eq!(opened.store.zone().iana_name(), Some("UTC"), "nobody told it yet");
        opened.store.note_rezoned(&opened.writer);
        assert_eq!(days(&opened).await, told);
        assert_eq!(records(&told), hours.len() as i64);
        if !is_pruned {
            let of_first =
                told.iter().filter(|day| day.0 == FIRST_DAY).cloned().collect::<Vec<_>>();
            let before_16 = hours.iter().filter(|hour| **hour < 16).count() as i64;
            assert_eq!(records(&of_first), before_16, "Shanghai's first day ends at 16:00 UTC");
        }
    }
}

async fn prune(opened: &mut Opened, before_ms: i64) {
    let zero = Duration::ZERO;
    let retention =
        Retention { records: zero, messages: zero, refused: zero, audit: zero, devices: zero };
    let mut pruning = Pruning::new(&retention, Timestamp::from_unix_ms(before_ms));
    while !pruning.is_done() {
        opened.writer.prune_some(&mut pruning).await.unwrap();
    }
}

#[tokio::test]
async fn days_whose_records_are_gone_stay_days_of_the_zone_before() {
    let place = place();
    let mut opened = filled(&place).await;
    prune(&mut opened, FIRST_MS + 24 * HOUR_MS).await;
    closed(opened).await;
    let opened = rezoned(&place, "Asia/Shanghai").await;
    let told = days(&opened).await;
    assert_eq!(told[..2], wanted(0)[..2], "the day before the border is UTC's");
    // The day of the border has lost its first eight hours to the one before; from then on all days
    // are Shanghai's.
    let last = |days: &[(i64, String, i64, i64)]| days[days.len() - 4..].to_vec();
    assert_eq!(last(&told), last(&wanted(8)));
    let sums = |days: &[(i64, String, i64, i64)]| days.iter().map(|day| day.2).sum::<i64>();
    assert_eq!(sums(&told), sums(&wanted(0)));
    closed(opened).await;
    // Back again it is what it was.
    let opened = rezoned(&place, "UTC").await;
    assert_eq!(days(&opened).await, wanted(0));
}
