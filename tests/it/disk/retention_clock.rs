//! Retention and backups under a clock that is wrong for a while.
use std::{fs, sync::Arc, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{Disk, Number};
use crate::{
    conditions::on,
    server::{Simdeck, now_s, signed},
};

const AHEAD_S: i64 = 500 * 86_400;
const SIM: &str = "8944501503181377993";

fn usage(nth: i64) -> String {
    let start_ms = (now_s() - 3_600) * 1_000 + nth;
    signed(&format!(r#""giccid":"{SIM}","data_usage":1,"start_time":{start_ms}"#))
}

fn sms(nth: i64) -> String {
    let event_ms = (now_s() - 3_600) * 1_000 + nth;
    signed(&format!(r#""giccid":"{SIM}","event_time":{event_ms}"#))
}

pub(super) async fn prune(simdeck: &Simdeck, query: &str) -> Value {
    let (status, pruned) = simdeck.ask(Method::POST, &format!("/v1/prune{query}")).await;
    assert_eq!(status, 200, "{pruned}");
    pruned
}

/// A server whose clock the test turns.
pub(super) fn start(disk: &Disk, folder: Arc<TempDir>, more: &[(&str, &str)]) -> Simdeck {
    let environment = disk.environment(&folder.path().join("data"));
    let variables: Vec<_> = environment
        .iter()
        .map(|(name, value)| (*name, value.to_str().unwrap()))
        .chain(more.iter().copied())
        .collect();
    Simdeck::start_in(folder, &variables)
}

/// One that has a push of each kind and a refused one.
async fn server(disk: &Disk, more: &[(&str, &str)]) -> Simdeck {
    let simdeck = start(disk, Arc::new(TempDir::new().unwrap()), more);
    for (kind, body) in
        [("data-usage", usage(0)), ("mo-sms", sms(0)), ("sim-status", signed(r#""n":0"#))]
    {
        assert_eq!(simdeck.push(kind, body).await, (1, 0, 0), "{kind}");
    }
    assert_eq!(simdeck.push("data-usage", signed(r#""giccid":"x""#)).await, (0, 0, 1));
    let unproved = r#"{"datePush":1725499848,"signature":"00"}"#;
    assert_eq!(simdeck.post("data-usage", unproved).await.status, 401);
    simdeck
}

#[tokio::test]
async fn a_prune_by_a_clock_that_is_500_days_ahead_deletes_nothing_and_refuses_nothing_after() {
    let disk = Disk::new();
    let simdeck = server(&disk, &[]).await;
    let nothing = json!({
        "data_usage": 0, "mo_sms": 0, "notifications": 0, "quarantined": 0, "stale": 0,
        "refused": 0, "audit": 0, "device_history": 0, "devices": 0,
    });
    let prune_nothing = async || {
        let mut pruned = prune(&simdeck, "").await;
        // It says that it does not go by this clock.
        let from = pruned.as_object_mut().unwrap().remove("counted_from").unwrap();
        assert!(from.as_str().unwrap().starts_with("20"), "{from}");
        assert_eq!(pruned, nothing);
    };
    disk.set(Number::ClockAheadS, AHEAD_S);
    prune_nothing().await;
    // Authentic pushes go on, and are too old by this clock.
    assert_eq!(simdeck.push("data-usage", usage(1)).await, (0, 0, 1));
    prune_nothing().await;
    // So does one of our own tests, which no SmartHub made.
    let (_, nonce) = simdeck.send_json(Method::POST, "/v1/test-nonces", r#"{"pushes":1}"#).await;
    let date = now_s() + AHEAD_S;
    let signature = crate::server::signature(crate::server::PUSH_KEY, date);
    let test = format!(
        r#"{{"datePush":{date},"signature":"{signature}","giccid":"{SIM}","data_usage":1,"start_time":{}}}"#,
        now_s() * 1_000
    );
    let header = [("simdeck-test", nonce["nonce"].as_str().unwrap())];
    assert_eq!(simdeck.post_with("data-usage", test, &header).await.status, 200);
    prune_nothing().await;

    disk.set(Number::ClockAheadS, 0);
    for (kind, body) in
        [("data-usage", usage(2)), ("mo-sms", sms(2)), ("sim-status", signed(r#""n":2"#))]
    {
        assert_eq!(simdeck.push(kind, body).await, (1, 0, 0), "{kind}");
    }
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 2);
    assert_eq!(simdeck.rows("/v1/held").await.len(), 3);
    // A person may vouch for a clock that no push confirms.
    disk.set(Number::ClockAheadS, AHEAD_S);
    assert_eq!(prune(&simdeck, "?by_clock=true").await["data_usage"], 2);
    disk.set(Number::ClockAheadS, 0);
    assert_eq!(simdeck.push("data-usage", usage(4)).await, (1, 0, 0), "it is newer than all");
    disk.set(Number::ClockAheadS, AHEAD_S);
    let told = simdeck.run(&["prune", "--output", "table"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("Age counts from") && told.contains("--by-clock"), "{told}");
    simdeck.end();
}

#[tokio::test]
async fn a_clock_a_day_from_authentic_pushes_is_told_until_it_is_right_again() {
    let disk = Disk::new();
    let mut simdeck = server(&disk, &[]).await;
    assert!(on(&simdeck.get("/v1/status").await, "clock_wrong").is_empty());
    for (nth, step_s, reason) in [(1, AHEAD_S, "date_old"), (2, -AHEAD_S, "date_ahead")] {
        disk.set(Number::ClockAheadS, step_s);
        // Some second of its own: what was pushed before it proves nothing.
        let later = now_s() + 1;
        while now_s() <= later {
            tokio::task::yield_now().await;
        }
        assert_eq!(simdeck.push("data-usage", usage(nth)).await, (0, 0, 1));
        let [told] = on(&simdeck.get("/v1/status").await, "clock_wrong").try_into().unwrap();
        assert!(told["todo"].as_str().unwrap().contains(reason), "{told}");
        let by_clock = simdeck.ask(Method::POST, "/v1/prune?by_clock=true").await;
        assert_eq!(by_clock.0, 409, "a clock that is known to be wrong: {}", by_clock.1);
        let doctor = simdeck.run(&["doctor", "--output", "json"]);
        assert_eq!(doctor.status.code(), Some(1));
        let found = String::from_utf8(doctor.stdout).unwrap();
        assert!(found.contains("This server's clock is more than a day"), "{found}");
        disk.set(Number::ClockAheadS, 0);
        assert!(on(&simdeck.get("/v1/status").await, "clock_wrong").is_empty());
    }
    simdeck.wait_for("It is over: This server's clock");
    simdeck.end();
}

/// A body that proves to be of `now_s() + ahead_s`.
pub(super) fn signed_at(ahead_s: i64, members: &str) -> String {
    let date = now_s() + ahead_s;
    let signature = crate::server::signature(crate::server::PUSH_KEY, date);
    format!(r#"{{"datePush":{date},"signature":"{signature}",{members}}}"#)
}

#[tokio::test]
async fn what_was_held_under_a_wrong_clock_is_as_old_as_the_clock_is_known_to_be_right() {
    const DAYS: i64 = 86_400;
    for (is_first, wrong_s) in
        [(true, -3 * 365 * DAYS), (false, -3 * 365 * DAYS), (false, -20 * DAYS), (false, AHEAD_S)]
    {
        let disk = Disk::new();
        disk.set(Number::ClockAheadS, if is_first { wrong_s } else { 0 });
        let simdeck = start(&disk, Arc::new(TempDir::new().unwrap()), &[]);
        if !is_first {
            assert_eq!(simdeck.push("data-usage", usage(0)).await, (1, 0, 0));
        }
        disk.set(Number::ClockAheadS, wrong_s);
        let unproved = r#"{"datePush":1725499848,"signature":"00"}"#;
        assert_eq!(simdeck.post("data-usage", unproved).await.status, 401);
        assert_eq!(simdeck.push("data-usage", signed(r#""giccid":"x""#)).await, (0, 0, 1));
        let held = async || simdeck.rows("/v1/held").await.len();
        let both = async {
            while held().await != 2 {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), both).await.expect("what was refused is held soon");

        // The clock is better, but not right: nobody knows yet how old these are.
        disk.set(Number::ClockAheadS, -2 * DAYS);
        assert_eq!(simdeck.push("data-usage", usage(1)).await, (0, 0, 1));
        prune(&simdeck, "").await;
        assert_eq!(held().await, 3, "{wrong_s}");
        disk.set(Number::ClockAheadS, 0);
        prune(&simdeck, "").await;
        assert_eq!(simdeck.push("sim-status", signed(r#""n":1"#)).await, (1, 0, 0));
        prune(&simdeck, "").await;
        prune(&simdeck, "?by_clock=true").await;
        assert_eq!(held().await, 3, "{wrong_s}");

        // From then on they age: the refused one for a week, the others as long as records.
        let classes = async || {
            let rows = simdeck.rows("/v1/held").await;
            let refused = rows.iter().filter(|row| row["class"] == "refused").count();
            [refused, rows.len() - refused]
        };
        // The one before may have been too soon to settle that.
        for (later_days, left) in [(6, [1, 2]), (14, [0, 2]), (399, [0, 2]), (407, [0, 0])] {
            // A time far ahead of the last is believed once it has been borne out for a day.
            for days in [later_days - 2, later_days] {
                disk.set(Number::ClockAheadS, days * DAYS);
                let later = signed_at(days * DAYS, &format!(r#""n":{days}"#));
                assert_eq!(simdeck.push("sim-status", later).await, (1, 0, 0));
            }
            prune(&simdeck, "").await;
            assert_eq!(classes().await, left, "{wrong_s} {later_days}");
        }
        simdeck.end();
    }
}

#[tokio::test]
async fn pushes_that_a_wrong_clock_of_ours_has_signed_do_not_confirm_it() {
    let disk = Disk::new();
    let mut simdeck = server(&disk, &[]).await;
    disk.set(Number::ClockAheadS, AHEAD_S);
    // As `simdeck push --real` does it.
    for nth in 0..3 {
        let ours = signed_at(AHEAD_S + nth, &format!(r#""ours":{nth}"#));
        assert_eq!(simdeck.push("sim-status", ours).await, (1, 0, 0));
    }
    let lists = ["/v1/data-usage", "/v1/mo-sms", "/v1/notifications", "/v1/held"];
    let there = async |simdeck: &Simdeck| {
        let mut counts = Vec::new();
        for list in lists {
            counts.push(simdeck.rows(list).await.len());
        }
        counts
    };
    let all = there(&simdeck).await;
    prune(&simdeck, "").await;
    assert_eq!(there(&simdeck).await, all);
    // True ones come as before, also across a restart, and it is right again.
    assert_eq!(simdeck.push("sim-status", signed(r#""n":1"#)).await, (0, 0, 1));
    let folder = simdeck.folder();
    simdeck.end();
    simdeck = start(&disk, folder, &[]);
    let ours = signed_at(AHEAD_S + 9, r#""ours":9"#);
    assert_eq!(simdeck.push("sim-status", ours).await, (1, 0, 0));
    prune(&simdeck, "").await;
    disk.set(Number::ClockAheadS, 0);
    assert_eq!(simdeck.push("sim-status", signed(r#""n":2"#)).await, (1, 0, 0));
    prune(&simdeck, "").await;
    let before = all.iter().sum::<usize>();
    assert_eq!(there(&simdeck).await.iter().sum::<usize>(), before + 3);
    assert!(on(&simdeck.get("/v1/status").await, "clock_wrong").is_empty());
    prune(&simdeck, "?by_clock=true").await;
    assert_eq!(there(&simdeck).await.iter().sum::<usize>(), before + 3);
    simdeck.end();
}

#[tokio::test]
async fn a_clock_that_a_push_speaks_against_is_doubted_after_a_restart_as_well() {
    let disk = Disk::new();
    let simdeck = server(&disk, &[]).await;
    let quarantined = simdeck.rows("/v1/held?class=quarantined").await.len();
    disk.set(Number::ClockAheadS, -AHEAD_S);
    // It was made before the last one, so that it is no newer evidence, and yet the clock is wrong.
    let earlier = signed_at(-3_600, r#""giccid":"x""#);
    assert_eq!(simdeck.push("data-usage", earlier).await, (0, 0, 1));
    disk.set(Number::ClockAheadS, 0);
    let folder = simdeck.folder();
    simdeck.end();
    let simdeck = start(&disk, folder, &[]);
    prune(&simdeck, "?by_clock=true").await;
    assert_eq!(simdeck.rows("/v1/held?class=quarantined").await.len(), quarantined + 1);
    simdeck.end();
}

#[tokio::test]
async fn backups_of_a_clock_that_was_ahead_push_out_no_newer_copy() {
    let disk = Disk::new();
    let simdeck = server(&disk, &[("SIMDECK_BACKUP_KEEP", "2")]).await;
    let made = async || {
        let (status, backup) = simdeck.ask(Method::POST, "/v1/backup").await;
        assert_eq!(status, 200, "{backup}");
        simdeck.folder().path().join(backup["path"].as_str().unwrap())
    };
    let first = made().await;
    disk.set(Number::ClockAheadS, AHEAD_S);
    let ahead = made().await;
    disk.set(Number::ClockAheadS, 0);
    let second = made().await;
    let third = made().await;
    let there = [&first, &ahead, &second, &third].map(|path| path.exists());
    assert_eq!(there, [false, false, true, true]);
    simdeck.end();
}

#[tokio::test]
async fn a_backup_that_cannot_be_made_is_told_until_one_is() {
    let folder = Arc::new(TempDir::new().unwrap());
    let copies = folder.path().join("copies");
    fs::write(&copies, "a file in its place").unwrap();
    let settings =
        [("SIMDECK_BACKUP_EVERY", "1d"), ("SIMDECK_BACKUP_DIR", copies.to_str().unwrap())];
    let mut simdeck = Simdeck::start_in(Arc::clone(&folder), &settings);
    simdeck.wait_for("condition=backup_failing");
    let [told] = on(&simdeck.get("/v1/status").await, "backup_failing").try_into().unwrap();
    assert!(told["sentence"].as_str().unwrap().contains("copies"), "{told}");
    let (_, metrics) = simdeck.ask_text(Method::GET, "/metrics").await;
    assert!(metrics.contains("simdeck_conditions{condition=\"backup_failing\"} 1"), "{metrics}");
    fs::remove_file(&copies).unwrap();
    assert_eq!(simdeck.ask(Method::POST, "/v1/backup").await.0, 200);
    assert!(on(&simdeck.get("/v1/status").await, "backup_failing").is_empty());
    simdeck.end();
}

#[tokio::test]
async fn a_backup_that_the_disk_has_no_room_for_or_fails_says_what_to_do() {
    let disk = Disk::new();
    let simdeck = server(&disk, &[]).await;
    // Room for what says in the database that one was asked for, and for a part of the copy.
    disk.set(Number::Room, 160_000);
    disk.set(Number::RoomIsSmall, 1);
    let (status, problem) = simdeck.ask(Method::POST, "/v1/backup").await;
    disk.set(Number::RoomIsSmall, 0);
    assert_eq!((status, &problem["title"]), (507, &"Insufficient Storage".into()), "{problem}");
    for part in ["No backup was made", "Free some room", "SIMDECK_BACKUP_DIR"] {
        assert!(problem["detail"].as_str().unwrap().contains(part), "{problem}");
    }
    assert_eq!(simdeck.ask(Method::POST, "/v1/backup").await.0, 200);
    simdeck.end();
}
