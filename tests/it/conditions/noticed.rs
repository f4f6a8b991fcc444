//! What the public listener notices, on the real program.
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tokio::time::timeout;

use super::{on, text};
use crate::server::{PUSH_KEY, Simdeck, UNSET, now_s, signature, signed, usage};

const SIM: &str = "8944501503181377993";

async fn told(simdeck: &Simdeck, name: &str) -> Vec<Value> {
    on(&simdeck.get("/v1/status").await, name)
}

/// A body whose `datePush` is eight hours ahead of what was hashed, as by a clock of UTC+8 that
/// calls itself UTC.
fn eight_hours_ahead(nth: usize) -> String {
    let hashed = now_s();
    let date = Timestamp::from_second(hashed + 8 * 3_600).unwrap();
    let signature = signature(PUSH_KEY, hashed);
    format!(r#"{{"datePush":"{date}","signature":"{signature}","n":{nth}}}"#)
}

/// The lines of a log about this state: those that say that it began, and those that it ended.
fn logged(log: &str, name: &str) -> (usize, usize) {
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(name)).collect();
    let ended = lines.iter().filter(|line| line.contains("It is over: ")).count();
    (lines.len() - ended, ended)
}

#[tokio::test]
async fn a_run_of_refusals_is_told_once_with_what_would_make_them_valid() {
    let simdeck = Simdeck::start(&[]);
    for nth in 0..4 {
        assert_eq!(simdeck.post("sim-status", eight_hours_ahead(nth)).await.status, 401);
    }
    assert!(told(&simdeck, "refused_run").await.is_empty(), "four are no run");
    // What others push meanwhile is another kind's business, and our own test proves nothing.
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    assert_eq!(simdeck.post("sim-status", eight_hours_ahead(4)).await.status, 401);
    let nonce = simdeck.send_json(reqwest::Method::POST, "/v1/test-nonces", r#"{"pushes":1}"#);
    let (_, nonce) = nonce.await;
    let header = [("simdeck-test", text(&nonce, "nonce"))];
    let test = simdeck.post_with("sim-status", signed(r#""t":1"#), &header).await;
    assert_eq!(test.status, 200);
    let [run] = told(&simdeck, "refused_run").await.try_into().unwrap();
    assert_eq!(run["kind"], "sim-status");
    let says = "The last 5 sim-status pushes were all refused, for a signature that no key of this \
                server makes.";
    assert_eq!(run["sentence"], says);
    let todo = "Their signature matches the key if datePush is read as UTC+8: all pushes are \
                8 h 00 m ahead; set SIMDECK_PUSH_DATE_SHIFT=-28800.";
    assert_eq!(run["todo"], todo);
    assert_eq!(simdeck.push("sim-status", signed(r#""a":1"#)).await, (1, 0, 0));
    assert!(told(&simdeck, "refused_run").await.is_empty());
    let log = simdeck.end();
    assert_eq!(logged(&log, "condition=refused_run"), (1, 1), "{log}");
    assert!(log.contains("8 h 00 m ahead") && !log.contains(PUSH_KEY), "{log}");
}

#[tokio::test]
async fn refusals_of_a_kind_that_anybody_can_invent_are_no_run() {
    let simdeck = Simdeck::start(&[]);
    for nth in 0..10 {
        assert_eq!(simdeck.post("login", eight_hours_ahead(nth)).await.status, 401);
    }
    assert!(told(&simdeck, "refused_run").await.is_empty());
    // A key that is somebody else's has no explanation, only advice.
    for nth in 0..5 {
        let body =
            format!(r#"{{"datePush":{0},"signature":"{1}","n":{nth}}}"#, now_s(), "0".repeat(64));
        assert_eq!(simdeck.post("mo-sms", body).await.status, 401);
    }
    let run = &told(&simdeck, "refused_run").await[0];
    assert!(text(run, "todo").contains("set the key that is registered there"), "{run}");
    simdeck.end();
}

#[tokio::test]
async fn a_proxy_that_is_not_trusted_is_told_when_authentic_pushes_come_by_it() {
    let simdeck = Simdeck::start(&[("SIMDECK_PUBLIC_TRUSTED_PROXIES", UNSET)]);
    let forwarded = [("x-forwarded-for", "203.0.113.9")];
    assert_eq!(simdeck.post_with("data-usage", "{}", &forwarded).await.status, 401);
    assert!(told(&simdeck, "proxy_not_trusted").await.is_empty(), "anybody can send a header");
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    assert!(told(&simdeck, "proxy_not_trusted").await.is_empty());
    let answer = simdeck.post_with("data-usage", signed(&usage(SIM)), &forwarded).await;
    assert_eq!(answer.status, 200);
    let proxy = &told(&simdeck, "proxy_not_trusted").await[0];
    assert!(text(proxy, "todo").contains("add 127.0.0.1 to SIMDECK_PUBLIC_TRUSTED_PROXIES"));
    assert!(!proxy.to_string().contains("203.0.113.9"), "what it says is not believed");

    let simdeck = simdeck.restart(&[]);
    let answer = simdeck.post_with("data-usage", signed(&usage(SIM)), &forwarded).await;
    assert_eq!(answer.status, 200);
    assert!(told(&simdeck, "proxy_not_trusted").await.is_empty(), "now it is trusted");
    simdeck.end();
}

#[tokio::test]
async fn authentic_pushes_that_are_sent_away_in_a_row_are_told_until_one_is_stored() {
    let simdeck = Simdeck::start(&[("SIMDECK_QUARANTINE_MAX", "1MiB")]);
    let unreadable = |nth: usize| signed(&format!(r#""giccid":"{nth}{}""#, "x".repeat(700_000)));
    assert_eq!(simdeck.push("data-usage", unreadable(0)).await, (0, 0, 1));
    for nth in 1..=5 {
        assert!(told(&simdeck, "not_acknowledged").await.is_empty());
        assert_eq!(simdeck.post("data-usage", unreadable(nth)).await.status, 503);
    }
    let row = &told(&simdeck, "not_acknowledged").await[0];
    assert_eq!(row["sentence"], "The last 5 authentic pushes were answered 503.");
    assert_eq!(simdeck.push("sim-status", signed(r#""a":1"#)).await, (1, 0, 0));
    assert!(told(&simdeck, "not_acknowledged").await.is_empty());
    let log = simdeck.end();
    assert_eq!(logged(&log, "condition=not_acknowledged"), (1, 1), "{log}");
}

#[tokio::test]
async fn an_acknowledgement_that_takes_two_seconds_is_told() {
    let simdeck = Simdeck::start(&[]);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    assert!(told(&simdeck, "slow_acknowledgement").await.is_empty());
    let database = simdeck.folder().path().join("data/simdeck.db");
    let mut other = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    let lock = other.begin_with("begin immediate").await.unwrap();
    let mut push = Box::pin(simdeck.push("data-usage", signed(&usage("8944501503181377994"))));
    assert!(timeout(Duration::from_millis(2_100), &mut push).await.is_err(), "the lock holds it");
    lock.rollback().await.unwrap();
    assert_eq!(push.await, (1, 0, 0));
    let slow = &told(&simdeck, "slow_acknowledgement").await[0];
    let says = "1 authentic pushes waited 2 s or longer for their answer.";
    assert_eq!(slow["sentence"], says);
    simdeck.end();
}

/// What the rules for Prometheus say of a condition.
fn severity_in_the_rules(condition: &str) -> &'static str {
    let rules = include_str!("../../../deploy/prometheus/rules.yml");
    let (_, rule) = rules.split_once(&format!("{{condition=\"{condition}\"}}")).unwrap();
    let (_, severity) = rule.split_once("severity: ").unwrap();
    severity.split_once('}').unwrap().0
}

#[tokio::test]
async fn a_disk_below_its_reserve_is_told_and_logged_where_it_is_found() {
    let mut simdeck = Simdeck::start(&[("SIMDECK_DISK_RESERVE", "1000TiB")]);
    simdeck.says("Pushes cannot be stored");
    let disk = &told(&simdeck, "disk_low").await[0];
    assert!(text(disk, "todo").contains("SIMDECK_DISK_RESERVE"), "{disk}");
    let items = simdeck.get("/v1/attention").await;
    let item = items.as_array().unwrap().iter().find(|item| item["reason"] == "disk_low").unwrap();
    assert_eq!(item["severity"], severity_in_the_rules("disk_low"), "{item}");
    let log = simdeck.end();
    assert_eq!(logged(&log, "condition=disk_low"), (0, 0), "it stands in the log already: {log}");
}

#[tokio::test]
async fn nothing_personal_stands_above_debug() {
    let (imsi, msisdn, words) = ("460001234567890", "+8613812345678", "meet-me-at-nine");
    let simdeck = Simdeck::start(&[]);
    let now = now_s();
    let sms = format!(
        r#""giccid":"{SIM}","imsi":"{imsi}","event_time":{now}000,"from_msisdn":"{msisdn}",
            "content":"{words}""#
    );
    assert_eq!(simdeck.push("mo-sms", signed(&sms)).await, (1, 0, 0));
    let broken = sms.replace("event_time", "time");
    assert_eq!(simdeck.push("mo-sms", signed(&broken)).await, (0, 0, 1));
    assert_eq!(simdeck.post("mo-sms", format!("{{{sms}}}")).await.status, 401);
    assert_eq!(simdeck.post("mo-smss", signed(&sms)).await.status, 200);
    for path in [
        format!("/v1/search?q={SIM}"),
        format!("/v1/mo-sms?giccid={SIM}&imsi={imsi}"),
        format!("/v1/sims/{SIM}/timeline"),
        format!("/v1/mo-sms?nothing={words}"),
        format!("/v1/{SIM}"),
        format!("/v1/held?reason={msisdn}"),
    ] {
        simdeck.ask(reqwest::Method::GET, &path).await;
    }
    let put = json!({"name": words, "device_sn": "RT1"}).to_string();
    let put = simdeck.send_json(reqwest::Method::PUT, &format!("/v1/sims/{SIM}"), &put).await;
    assert_eq!(put.0, 200, "{}", put.1);
    let status = simdeck.get("/v1/status").await.to_string();
    let (_, metrics) = simdeck.ask_text(reqwest::Method::GET, "/metrics").await;
    let log = simdeck.end();
    assert!(log.contains("condition=quarantining"), "there is something to look at: {log}");
    for personal in [SIM, imsi, msisdn, words] {
        assert!(!log.contains(personal), "{personal} is in the log:\n{log}");
        assert!(!status.contains(personal) && !metrics.contains(personal), "{personal}");
    }
}
