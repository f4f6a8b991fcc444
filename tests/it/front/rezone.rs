//! Another time zone than the store has.
use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::server::{Simdeck, counts, now_s, signed};

const SIM: &str = "8944501503181377993";
const HOUR_MS: i64 = 3_600_000;
pub(super) const SHANGHAI: [(&str, &str); 1] = [("SIMDECK_TIME_ZONE", "Asia/Shanghai")];

/// How many records each day has, by the sums of each SIM in the zone that the store has.
async fn days(simdeck: &Simdeck) -> BTreeMap<String, i64> {
    let rows = simdeck.get("/v1/data-usage/aggregate?interval=1d&group_by=giccid").await;
    let rows = rows.as_array().unwrap();
    rows.iter()
        .filter(|row| row["records"] != 0)
        .map(|row| (row["day"].as_str().unwrap().to_owned(), row["records"].as_i64().unwrap()))
        .collect()
}

/// The same by the hours of the records.
fn wanted(hours: &[i64], hours_ahead: i64) -> BTreeMap<String, i64> {
    let mut days = BTreeMap::new();
    for hour in hours {
        let at = jiff::Timestamp::from_second((hour + hours_ahead) * 3_600).unwrap();
        *days.entry(at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()).or_default() += 1;
    }
    days
}

pub(crate) async fn sql(simdeck_folder: &std::path::Path, sql: &str) {
    let options = SqliteConnectOptions::new().filename(simdeck_folder.join("data/simdeck.db"));
    let mut raw = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
}

async fn zone(simdeck: &Simdeck) -> Value {
    simdeck.get("/v1/status").await["time_zone"].clone()
}

#[tokio::test]
async fn pushes_are_stored_while_the_days_of_a_store_are_cut_by_another_zone() {
    let simdeck = Simdeck::start(&[]);
    let first = (now_s() / 86_400 - 4) * 24;
    let mut hours: Vec<i64> = (0..600).map(|nth| first + nth % 48).collect();
    let record = |nth: usize, hour: i64| {
        let start_ms = hour * HOUR_MS + nth as i64;
        format!(r#""giccid":"{SIM}","data_usage":1,"start_time":{start_ms}"#)
    };
    let all = hours.iter().enumerate().map(|(nth, hour)| format!("{{{}}}", record(nth, *hour)));
    let all: Vec<_> = all.collect();
    let body = signed(&format!(r#""rows":[{}]"#, all.join(",")));
    assert_eq!(simdeck.push("data-usage", body).await, (600, 0, 0));
    assert_eq!(days(&simdeck).await, wanted(&hours, 0));
    let folder = simdeck.folder();
    simdeck.end();

    // It comes as far as a part of the records, each time that it tries.
    sql(
        folder.path(),
        "create trigger ends before insert on meta when new.name = 'rebuild'
            and new.value ->> 'id' >= 300 begin select raise(abort, 'ended'); end",
    )
    .await;
    let mut simdeck = Simdeck::start_in(folder.clone(), &SHANGHAI);
    simdeck.wait_for("Work on the store failed, and is tried again");
    let told = zone(&simdeck).await;
    assert_eq!((&told["name"], &told["next"]), (&"UTC".into(), &"Asia/Shanghai".into()));
    let progress = told["progress"].as_f64().unwrap();
    assert!((0.1..0.6).contains(&progress), "{told}");
    let answer = simdeck.post("data-usage", signed(&record(600, first))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(counts(&serde_json::from_str(&answer.body).unwrap()), (1, 0, 0));
    hours.push(first);
    assert_eq!(days(&simdeck).await, wanted(&hours, 0), "by the zone before");
    // Killed, at a moment that it does not choose.
    drop(simdeck);

    sql(folder.path(), "drop trigger ends").await;
    let mut simdeck = Simdeck::start_in(folder.clone(), &SHANGHAI);
    assert_eq!(simdeck.push("data-usage", signed(&record(601, first + 20))).await, (1, 0, 0));
    hours.push(first + 20);
    simdeck.says("Sums by day now go by the new time zone");
    assert_eq!(
        zone(&simdeck).await,
        serde_json::json!({
            "name": "Asia/Shanghai", "next": null, "progress": null, "given_up": null,
        })
    );
    assert_eq!(days(&simdeck).await, wanted(&hours, 8));
    assert_eq!(simdeck.push("data-usage", signed(&record(602, first + 16))).await, (1, 0, 0));
    hours.push(first + 16);
    assert_eq!(days(&simdeck).await, wanted(&hours, 8));
    simdeck.end();
    let simdeck = Simdeck::start_in(folder, &[]);
    assert_eq!(days(&simdeck).await, wanted(&hours, 8), "without a setting it keeps its zone");
    simdeck.end();
}
