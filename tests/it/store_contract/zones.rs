//! The days of a store in another time zone than before.
use simdeck::{
    domain::Timestamp,
    store::{OpenError, Opened, Pruning, Retention, SimDay},
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

async fn closed(opened: Opened) {
    opened.store.close().await;
    opened.writer.close().await.unwrap();
}

/// Steps of four records.
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
    let opened = place.try_open(Some("Asia/Shanghai")).await.unwrap();
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
        let broken = place.try_open(Some("Asia/Shanghai")).await.unwrap_err();
        assert!(matches!(&broken, OpenError::Rebuild { kept, .. } if kept == "UTC"), "{broken}");
        place.sql("drop trigger ends").await;
        let notes = "select max(value ->> 'id') from meta where name = 'rebuild'";
        assert!(place.number(notes).await < ends_at, "it noted what it had not done");
    }
    assert!(place.number("select count(*) from usage_sim_day_next").await > 0);
    let opened = place.try_open(Some("Asia/Shanghai")).await.unwrap();
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
    place.try_open(Some("Asia/Shanghai")).await.unwrap_err();
    place.sql("drop trigger ends").await;
    let opened = place.try_open(None).await.unwrap();
    assert_eq!(days(&opened).await, wanted(0));
    closed(opened).await;
    let left = "select count(*) from sqlite_schema where name like '%_next'";
    assert_eq!(place.number(left).await, 0);
    let opened = place.try_open(Some("Asia/Shanghai")).await.unwrap();
    assert_eq!(days(&opened).await, wanted(8));
}

#[tokio::test]
async fn days_whose_records_are_gone_stay_days_of_the_zone_before() {
    let place = place();
    let mut opened = filled(&place).await;
    let zero = Duration::ZERO;
    let retention = Retention { records: zero, messages: zero, refused: zero };
    let before = Timestamp::from_unix_ms(FIRST_MS + 24 * HOUR_MS);
    let mut pruning = Pruning::new(&retention, before);
    while !pruning.is_done() {
        opened.writer.prune_some(&mut pruning).await.unwrap();
    }
    closed(opened).await;
    let opened = place.try_open(Some("Asia/Shanghai")).await.unwrap();
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
    let opened = place.try_open(Some("UTC")).await.unwrap();
    assert_eq!(days(&opened).await, wanted(0));
}
