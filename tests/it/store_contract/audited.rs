//! Rows of the audit that count what comes again and again.
use std::net::{IpAddr, Ipv4Addr};

use simdeck::domain::{AuditAction, AuditNote, SourceBlock, Timestamp};

use super::{NOW, Place};

const MINUTE_MS: i64 = 60_000;

fn later(minutes: i64) -> Timestamp {
    Timestamp::from_unix_ms(NOW.unix_ms() + minutes * MINUTE_MS)
}

#[tokio::test]
async fn what_happened_often_is_one_row_or_none_however_the_database_fails_between() {
    let place = Place::new();
    let mut opened = place.open().await;
    // Whoever writes the row first and then its count fails between both, and tries again.
    place
        .sql(
            "create trigger no_change before update on audit begin
                select raise(abort, 'not now'); end",
        )
        .await;
    let note = AuditNote::by_itself("a test", AuditAction::Prune, "records", "");
    opened.writer.audit_times(&note, 5, NOW).await.unwrap();
    assert_eq!(place.number("select count from audit").await, 5);
    let source = Some(IpAddr::from([192, 0, 2, 1]).into());
    opened.writer.audit_failed_sign_ins(&[(source, 7)], NOW).await.unwrap();
    assert_eq!(place.number("select sum(count) from audit").await, 12);
}

#[tokio::test]
async fn failed_sign_ins_of_a_day_have_so_many_rows_and_all_are_counted() {
    let place = Place::new();
    let mut opened = place.open().await;
    let mut all = 0;
    for minute in 0..60 {
        let of = |nth: u32| Ipv4Addr::from_bits(0xC000_0000 + minute * 100 + nth);
        let failures: Vec<(Option<SourceBlock>, u64)> =
            (0..100).map(|nth| (Some(IpAddr::from(of(nth)).into()), 1)).collect();
        all += 100;
        opened.writer.audit_failed_sign_ins(&failures, later(minute.into())).await.unwrap();
    }
    let rows = place.number("select count(*) from audit").await;
    assert!((100..=1_100).contains(&rows), "{rows}");
    assert_eq!(place.number("select sum(count) from audit").await, all);
    // The day after has rows of its own.
    let source = Some(IpAddr::from([203, 0, 113, 1]).into());
    opened.writer.audit_failed_sign_ins(&[(source, 1)], later(26 * 60)).await.unwrap();
    let own = place.number("select count(*) from audit where source = '203.0.113.1'").await;
    assert_eq!(own, 1);
}
