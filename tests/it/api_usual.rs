//! What sums usually are, by the front door.
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use jiff::{civil::date, tz::TimeZone};
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use crate::api_harness::Api;

const SIM: &str = "89860012345678901230";
const OTHER_SIM: &str = "89860012345678901231";

/// Half past ten in Berlin, so many weeks before 2024-04-08; the clock went forward on 31 March.
fn start_ms(weeks_before: i8) -> i64 {
    let day = date(2024, 4, 8) - jiff::Span::new().weeks(weeks_before);
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    day.at(10, 30, 0, 0).to_zoned(zone).unwrap().timestamp().as_millisecond()
}

async fn push(api: &Api, giccid: &str, start_ms: i64, volume: i64, country: &str) {
    let record = format!(
        r#""giccid":"{giccid}","start_time":{start_ms},"data_usage":{volume},"country_code":"{country}""#
    );
    api.push("data-usage", &record).await;
}

/// A store with five Mondays: 10, 40, 20 and 30 in China, the other country as much again and one
/// more, and today 100 in China alone.
async fn five_weeks() -> Api {
    let api = Api::new(ApiSettings::default()).await;
    for (weeks_before, volume) in [(4, 10), (3, 40), (2, 20), (1, 30)] {
        push(&api, SIM, start_ms(weeks_before), volume, "CN").await;
        push(&api, OTHER_SIM, start_ms(weeks_before) + 1, volume + 1, "JP").await;
    }
    push(&api, SIM, start_ms(0), 100, "CN").await;
    api
}

const HOUR: &str = "from=2024-04-08T08:00:00Z&to=2024-04-08T09:00:00Z&tz=Europe/Berlin";

async fn sums(api: &Api, query: &str) -> Vec<Value> {
    api.rows(&format!("/v1/data-usage/aggregate?usual=true&{query}")).await
}

fn usual(row: &Value) -> (Option<i64>, Option<i64>, i64) {
    (row["usual_p10"].as_i64(), row["usual_p90"].as_i64(), row["data_usage"].as_i64().unwrap())
}

#[tokio::test]
async fn a_sum_stands_beside_what_the_same_hour_of_the_week_had_in_four_weeks() {
    let api = five_weeks().await;
    // 21, 41, 61 and 81 in all, by the clock of Berlin, although it was moved in between.
    let rows = sums(&api, &format!("interval=1h&{HOUR}")).await;
    assert_eq!(rows.iter().map(usual).collect::<Vec<_>>(), [(Some(27), Some(75), 100)]);
    // In UTC it was an hour later before the clock was moved: 0, 41, 81 and 21.
    let utc = "from=2024-04-08T09:00:00Z&to=2024-04-08T10:00:00Z&tz=UTC";
    let rows = sums(&api, &format!("interval=1h&{utc}")).await;
    assert_eq!(rows.iter().map(usual).collect::<Vec<_>>(), [(Some(6), Some(69), 0)]);
    let plain = api.rows(&format!("/v1/data-usage/aggregate?interval=1h&{HOUR}")).await;
    assert_eq!(plain[0].get("usual_p10"), None);
}

#[tokio::test]
async fn what_usually_comes_and_did_not_has_a_row() {
    let api = five_weeks().await;
    let rows = sums(&api, &format!("interval=15m&group_by=country_code&{HOUR}")).await;
    let told: Vec<_> = rows.iter().map(|row| (row["country_code"].clone(), usual(row))).collect();
    let (china, japan) = ((Some(13), Some(37), 100), (Some(14), Some(38), 0));
    assert_eq!(told, [(json!("CN"), china), (json!("JP"), japan)]);
    assert!(rows.iter().all(|row| row["start"] == "2024-04-08T08:30:00.000Z"));
    assert_eq!(rows[1]["records"], 0);
    // A week later there is no record at all, and still a week that is usual.
    let next = "from=2024-04-15T08:00:00Z&to=2024-04-15T09:00:00Z&tz=Europe/Berlin";
    let rows = sums(&api, &format!("interval=1h&{next}")).await;
    assert_eq!(rows.iter().map(usual).collect::<Vec<_>>(), [(Some(47), Some(94), 0)]);
    // Without an end the answer goes as far as the records do.
    let rows = sums(&api, "interval=1h&from=2024-04-08T00:00:00Z").await;
    assert_eq!(rows.last().unwrap()["start"], "2024-04-08T08:00:00.000Z");
}

#[tokio::test]
async fn the_largest_and_the_others_have_what_they_usually_are() {
    let api = five_weeks().await;
    for by in ["country_code", "giccid"] {
        let rows = sums(&api, &format!("interval=1h&group_by={by}&top=1&{HOUR}")).await;
        let told: Vec<_> = rows.iter().map(usual).collect();
        assert_eq!(told, [(Some(13), Some(37), 100), (Some(14), Some(38), 0)], "{by}");
        assert_eq!((&rows[0]["other"], &rows[1]["other"]), (&Value::Null, &json!(true)), "{by}");
    }
}

#[tokio::test]
async fn where_four_weeks_are_not_known_nothing_is_called_usual() {
    let api = five_weeks().await;
    let before = "interval=1h&from=2024-04-01T00:00:00Z&to=2024-04-02T00:00:00Z&tz=Europe/Berlin";
    let rows = sums(&api, before).await;
    assert_eq!(rows.iter().map(usual).collect::<Vec<_>>(), [(None, None, 61)]);
    for whole in ["1M", "none"] {
        let rows = sums(&api, &format!("interval={whole}&{HOUR}")).await;
        assert_eq!(rows.iter().map(usual).collect::<Vec<_>>(), [(None, None, 100)], "{whole}");
    }
    let received = format!("interval=1h&received_from=2000-01-01T00:00:00Z&{HOUR}");
    assert_eq!(usual(&sums(&api, &received).await[0]), (None, None, 100));
    let nobody = sums(&api, &format!("interval=1h&apn=nowhere&{HOUR}")).await;
    assert_eq!(nobody, Vec::<Value>::new());
    let empty = Api::new(ApiSettings::default()).await;
    assert_eq!(sums(&empty, "interval=1d").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_table_has_columns_for_it_and_messages_are_counted() {
    let api = five_weeks().await;
    let url = format!("/v1/data-usage/aggregate?usual=true&format=csv&interval=1h&{HOUR}");
    let table = api.get(&url).await.text().await.unwrap();
    let mut lines = table.split("\r\n");
    assert_eq!(lines.next(), Some("start,end,day,data_usage,records,usual_p10,usual_p90"));
    assert!(lines.next().unwrap().ends_with(",100,1,27,75"), "{table}");

    for weeks_before in 0..5 {
        let event_ms = start_ms(weeks_before);
        for nth in 0..=i64::from(weeks_before) {
            let event_ms = event_ms + nth;
            api.push("mo-sms", &format!(r#""giccid":"{SIM}","event_time":{event_ms}"#)).await;
        }
    }
    let url = format!("/v1/mo-sms/aggregate?usual=true&interval=1h&{HOUR}");
    let rows = api.rows(&url).await;
    let (p10, p90) = (&rows[0]["usual_p10"], &rows[0]["usual_p90"]);
    assert_eq!((&rows[0]["records"], p10, p90), (&json!(1), &json!(2), &json!(4)));
}

#[tokio::test]
async fn one_record_of_long_ago_holds_no_thread_and_costs_no_time() {
    let api = five_weeks().await;
    // A router without a clock.
    push(&api, SIM, 946_814_400_000, 7, "CN").await;
    push(&api, SIM, 1_234_567_890_000, 9, "CN").await;
    for interval in ["15m", "1h", "1d"] {
        let began = Instant::now();
        let over = AtomicBool::new(false);
        // Runs on the same thread, so that it waits whenever an answer is computed there.
        let longest_wait = async {
            let mut longest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let slept = Instant::now();
                tokio::time::sleep(Duration::from_millis(1)).await;
                longest = longest.max(slept.elapsed());
            }
            longest
        };
        let asked = async {
            let rows = sums(&api, &format!("interval={interval}&tz=Europe/Berlin")).await;
            over.store(true, Ordering::Relaxed);
            rows
        };
        let (rows, longest_wait) = tokio::join!(asked, longest_wait);
        assert!(longest_wait < Duration::from_millis(500), "{interval}: {longest_wait:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{interval}: {:?}", began.elapsed());
        // Each of them, and nothing where there is nothing.
        let volume = |volume: i64| rows.iter().filter(|row| row["data_usage"] == volume).count();
        assert_eq!((volume(7), volume(9), volume(100)), (1, 1, 1), "{interval}");
        let times: Vec<_> = rows.iter().map(|row| row["start"].as_str().unwrap()).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!(rows.len(), times.iter().collect::<BTreeSet<_>>().len(), "{interval}");
        // The record, and four weeks after it, in which something is usual. The first weeks of all have
        // no four before them.
        let of = |year: &str| times.iter().filter(|time| time.starts_with(year)).count();
        assert_eq!((of("2000-"), of("2009-")), (2, 5), "{interval}: {times:?}");
    }
}
