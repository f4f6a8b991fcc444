//! How many SIMs were silent, counted when each quarter hour ends.
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use simdeck::http::ApiSettings;
use tokio::time::timeout;

use crate::{
    api_harness::{ADMIN_KEY, Api},
    page::Browser,
};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// The harness's clock begins at 01:30:49; from then on the server does not count that quarter hour
/// itself.
const TO_LATE_S: i64 = 10 * 60;

fn giccid(sim: usize) -> String {
    format!("8986001234567890{sim:04}")
}

/// The SIM used data so many hours ago, by the clock.
async fn used(api: &Api, sim: usize, hours_ago: i64) {
    let start_ms = api.freshness().now.unix_ms() - hours_ago * HOUR_S * 1_000;
    let giccid = giccid(sim);
    let record = format!(r#""giccid":"{giccid}","start_time":{start_ms},"data_usage":1"#);
    api.push_now("data-usage", &record).await;
}

async fn silent(api: &Api, query: &str) -> Value {
    let response = api.get(&format!("/v1/summary{query}")).await;
    assert_eq!(response.status(), 200, "{query}");
    response.json::<Value>().await.unwrap()["silent_sims"].clone()
}

/// The counts, and which of the intervals before the end have one.
fn known(silent: &Value) -> Vec<(usize, u64)> {
    let counts = silent["by_interval"].as_array().unwrap();
    let ended = counts.len() - 1;
    assert_eq!(counts[ended], silent["value"], "{silent}");
    let known = counts[..ended].iter().enumerate();
    known.filter_map(|(nth, count)| Some((ended - nth, count.as_u64()?))).collect()
}

/// Waits until the server itself has counted for the quarter hour that has just ended.
async fn counted(api: &Api) -> Value {
    let counted = async {
        loop {
            let silent = silent(api, "").await;
            if known(&silent).last().is_some_and(|(ago, _)| *ago == 1) {
                return silent;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), counted).await.expect("a quarter hour is counted at its end")
}

#[tokio::test]
async fn a_sim_that_wakes_or_is_erased_changes_nothing_in_how_many_were_silent() {
    let api = Api::new(ApiSettings::default()).await;
    // What the server counts of the quarter hour before it began is not looked at.
    api.advance(15 * 60 - 44);
    for sim in 1..4 {
        used(&api, sim, 30).await;
    }
    used(&api, 4, 1).await;
    api.advance(15 * 60);
    let before = counted(&api).await;
    assert_eq!((&before["value"], known(&before).last()), (&json!(3), Some(&(1, 3))), "{before}");

    used(&api, 1, 0).await;
    let erased = json!({"giccid": giccid(2)}).to_string();
    assert_eq!(api.post("/v1/erase", ADMIN_KEY, &erased).await.status(), 200);
    let after = silent(&api, "").await;
    assert_eq!((&after["value"], known(&after)), (&json!(1), known(&before)), "{after}");

    api.advance(15 * 60);
    let later = counted(&api).await;
    let told = known(&later);
    assert_eq!(told[told.len() - 2..], [(2, 3), (1, 1)], "{later}");
    // An hour has the last count in it.
    let by_hour = silent(&api, "?from=2024-09-01T00:00:00Z").await;
    assert_eq!(known(&by_hour).last(), Some(&(1, 3)), "{by_hour}");
}

#[tokio::test]
async fn a_quarter_hour_in_which_nobody_counted_is_unknown() {
    let api = Api::new(ApiSettings::default()).await;
    api.advance(DAY_S + TO_LATE_S);
    used(&api, 1, 30).await;
    let none = silent(&api, "").await;
    assert_eq!((known(&none), &none["first_count_at"]), (vec![], &Value::Null));
    api.count_silent().await;
    api.advance(45 * 60);
    api.count_silent().await;
    let told = silent(&api, "").await;
    assert_eq!(known(&told), [(4, 1), (1, 1)], "{told}");
    assert_eq!(told["first_count_at"], "2024-09-06T01:30:00.000Z");
}

#[tokio::test]
async fn a_clock_that_was_wrong_leaves_no_false_count_and_takes_no_true_one() {
    let api = Api::new(ApiSettings::default()).await;
    api.advance(DAY_S + TO_LATE_S);
    used(&api, 1, 30).await;
    used(&api, 2, 20).await;
    api.count_silent().await;
    // Ahead, where the other one is silent, too.
    for ahead_s in [5 * HOUR_S, 500 * DAY_S] {
        api.advance(ahead_s);
        api.count_silent().await;
        api.advance(-ahead_s);
    }
    assert_eq!(known(&silent(&api, "").await), [(1, 1)]);
    api.advance(15 * 60);
    api.count_silent().await;
    api.advance(6 * HOUR_S);
    let told = silent(&api, "").await;
    assert_eq!((known(&told), &told["value"]), (vec![(26, 1), (25, 1)], &json!(2)), "{told}");

    // Behind: a push has proved that this time is over.
    used(&api, 3, 30).await;
    api.count_silent().await;
    let before = known(&silent(&api, "").await);
    assert_eq!(before, [(26, 1), (25, 1), (1, 3)]);
    for behind_s in [3 * HOUR_S, 2 * DAY_S] {
        api.advance(-behind_s);
        api.count_silent().await;
        api.advance(behind_s);
        assert_eq!(known(&silent(&api, "").await), before, "{behind_s}");
    }
}

#[tokio::test]
async fn counts_go_with_the_age_of_records() {
    let api = Api::new(ApiSettings::default()).await;
    api.advance(DAY_S + TO_LATE_S);
    used(&api, 1, 30).await;
    api.count_silent().await;
    let first = async || silent(&api, "?from=0").await["first_count_at"].clone();
    for (later_days, is_there) in [(398, true), (4, false)] {
        api.advance(later_days * DAY_S);
        used(&api, 1, 0).await;
        assert_eq!(api.post("/v1/prune", ADMIN_KEY, "").await.status(), 200);
        let first = first().await;
        assert_eq!(first == "2024-09-06T01:30:00.000Z", is_there, "{later_days}: {first}");
    }
}

#[tokio::test]
async fn the_page_says_since_when_silent_sims_are_counted() {
    let api = Api::new(ApiSettings::default()).await;
    api.advance(DAY_S + TO_LATE_S);
    used(&api, 1, 30).await;
    let overview = async |language: &str| {
        let browser = Browser::with_key(&api, ADMIN_KEY).await;
        browser.send(Method::GET, "/", language).await.text().await.unwrap()
    };
    let page = overview("en").await;
    assert!(page.contains("no earlier count to compare with"), "{page}");
    let page = overview("zh").await;
    assert!(page.contains("此前没有统计可供比较"), "{page}");
    api.count_silent().await;
    used(&api, 2, 30).await;
    // For the same quarter hour the page keeps what it was answered a moment ago.
    api.advance(15 * 60);
    let page = overview("en").await;
    assert!(page.contains("1 more than at 01:30, the first count"), "{page}");
    let page = overview("zh").await;
    assert!(page.contains("较首次统计（01:30）多 1 张"), "{page}");
    api.advance(DAY_S - 45 * 60);
    let page = overview("en").await;
    assert!(page.contains("1 more than at the start"), "{page}");
    let page = overview("zh").await;
    assert!(page.contains("较期初多 1 张"), "{page}");
}
