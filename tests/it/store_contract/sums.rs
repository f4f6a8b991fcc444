//! Sums of messages: filled by the migration that brought them, and kept from then on. Sums of usage
//! where a question's ends cut those that are kept.
use simdeck::domain::{AggregateQuestion, Filter, GroupBy, Interval};

use super::*;

async fn counts(opened: &Opened) -> Vec<(i64, i64)> {
    let question = AggregateQuestion {
        filter: Filter::default(),
        interval: Interval::QuarterHour,
        zone: TimeZone::UTC,
        group_by: vec![GroupBy::SimGroup],
        top: None,
    };
    let rows = opened.store.sms_aggregate(&question).await.unwrap();
    rows.iter().map(|row| (row.span.start_ms, row.records)).collect()
}

#[tokio::test]
async fn a_store_that_knew_no_sums_of_messages_has_them_after_its_next_start() {
    const QUARTER_HOUR_MS: i64 = 900_000;
    let place = Place::new();
    let first_ms = NOW.unix_ms() / QUARTER_HOUR_MS * QUARTER_HOUR_MS;
    let mut opened = place.open().await;
    for sim in 0..3 {
        commit(&mut opened, &[push(vec![sms(sim, first_ms)])]).await;
    }
    commit(&mut opened, &[push(vec![sms(0, first_ms + QUARTER_HOUR_MS - 1)])]).await;
    opened.store.close().await;
    opened.writer.close().await.unwrap();
    place
        .sql(
            "drop trigger sms_counted; drop table sms_quarter_hour;
            delete from _sqlx_migrations where version = 3;",
        )
        .await;
    let mut opened = place.open().await;
    assert_eq!(counts(&opened).await, [(first_ms, 4)]);
    let repeated_and_new = vec![sms(0, first_ms), sms(0, first_ms + QUARTER_HOUR_MS)];
    commit(&mut opened, &[push(repeated_and_new)]).await;
    assert_eq!(counts(&opened).await, [(first_ms, 4), (first_ms + QUARTER_HOUR_MS, 1)]);
}

#[tokio::test]
async fn a_record_on_a_border_belongs_to_what_begins_there() {
    const HOUR_MS: i64 = 3_600_000;
    let mut place = Place::new();
    (place.limits.tail_records_max, place.limits.sums_tail_records_max) = (1, 1);
    let mut opened = place.open().await;
    let first_ms = NOW.unix_ms() / HOUR_MS * HOUR_MS;
    let starts = [-1, 0, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1];
    for (nth, after_ms) in starts.into_iter().enumerate() {
        let volume = 10_i64.pow(u32::try_from(nth).unwrap());
        commit(&mut opened, &[push(vec![usage(0, first_ms + after_ms, volume)])]).await;
    }
    for (from, to, volume) in [
        (-1, HOUR_MS + 1, 1_111),
        (0, HOUR_MS, 110),
        (-1, 0, 1),
        (1, HOUR_MS + 2, 11_100),
        (HOUR_MS, HOUR_MS + 1, 1_000),
    ] {
        let (from_ms, to_ms) = (Some(first_ms + from), Some(first_ms + to));
        let question = AggregateQuestion {
            filter: Filter { from_ms, to_ms, ..Filter::default() },
            interval: Interval::Whole,
            zone: TimeZone::UTC,
            group_by: Vec::new(),
            top: None,
        };
        let rows = opened.store.usage_aggregate(&question).await.unwrap();
        let told: i64 = rows.iter().map(|row| row.data_usage).sum();
        assert_eq!(told, volume, "from {from} to {to}");
    }
}
