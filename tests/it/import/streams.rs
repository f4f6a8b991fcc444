//! Files of any length, and those that never end.
use std::time::{Duration, Instant};

use futures_util::stream;
use reqwest::StatusCode;
use serde_json::Value;
use simdeck::http::ApiSettings;
use tokio::sync::mpsc;

use super::{SIM, counts, import, substance};
use crate::api_harness::{ADMIN_KEY, Api};

/// What should come comes far sooner.
const GUARD: Duration = Duration::from_secs(120);

/// Rows that differ in their time.
fn rows(numbers: std::ops::Range<usize>) -> String {
    numbers
        .map(|number| {
            format!(
                "{{\"giccid\":\"{SIM}\",\"data_usage\":{number},\"start_time\":{}}}\n",
                1_700_000_000_000 + number
            )
        })
        .collect()
}

#[tokio::test]
async fn a_row_that_is_too_long_is_refused_and_the_next_is_read() {
    let api = Api::new(ApiSettings::default()).await;
    let long = "x".repeat((16 << 20) + 1);
    let lines = format!("{}{long}\n{}", rows(0..1), rows(1..2));
    let report = import(&api, "kind=data-usage", &lines).await;
    assert_eq!(counts(&report), (2, 0, 1), "{report}");
    assert_eq!(
        (&report["refused"][0]["line"], &report["refused"][0]["reason"]),
        (&2.into(), &"too_long".into())
    );

    let table = format!(
        "giccid,data_usage,start_time\n\"{long}\",1,1\n{SIM},{}1,1700000000000\n{SIM},2,1700000000001\n",
        ",".repeat(2_000)
    );
    let report = import(&api, "kind=data-usage&format=csv", &table).await;
    assert_eq!(counts(&report), (1, 0, 2), "{report}");
    for nth in [0, 1] {
        assert_eq!(report["refused"][nth]["line"], nth + 2);
        assert_eq!(report["refused"][nth]["reason"], "too_long");
    }
}

#[tokio::test]
async fn a_long_file_is_committed_in_parts_and_a_cut_one_leaves_those() {
    let api = Api::new(ApiSettings::default()).await;
    let (pieces, taken) = mpsc::channel::<Result<String, std::io::Error>>(1);
    let body = stream::unfold(taken, async |mut taken| Some((taken.recv().await?, taken)));
    let sending = reqwest::Client::new()
        .post(format!("{}/v1/import?kind=data-usage", api.base))
        .bearer_auth(ADMIN_KEY)
        .body(reqwest::Body::wrap_stream(body))
        .send();
    let sending = tokio::spawn(sending);
    pieces.send(Ok(rows(0..2_500))).await.unwrap();
    // Not all was sent, and something is there.
    let stored = async || {
        let response = api.get("/v1/data-usage?size=1").await;
        response.headers()["x-total-count"].to_str().unwrap().parse::<usize>().unwrap()
    };
    let began = Instant::now();
    while stored().await < 2_000 {
        assert!(began.elapsed() < GUARD, "nothing is committed before the end");
        tokio::task::yield_now().await;
    }
    pieces.send(Err(std::io::Error::other("cut"))).await.unwrap();
    drop(pieces);
    assert!(sending.await.unwrap().is_err());

    let report = import(&api, "kind=data-usage", &rows(0..5_000)).await;
    let (new, there, refused) = counts(&report);
    assert!((2_000..=2_500).contains(&there), "{report}");
    assert_eq!((new + there, refused), (5_000, 0));
    assert_eq!(stored().await, 5_000);
}

#[tokio::test]
async fn pushes_are_stored_while_a_file_is_read_in() {
    let api = Api::new(ApiSettings::default()).await;
    let file = rows(0..20_000);
    let pushed = async {
        for _ in 0..50 {
            api.add_usage(1).await;
        }
    };
    let (report, ()) = tokio::join!(import(&api, "kind=data-usage", &file), pushed);
    assert_eq!(counts(&report), (20_000, 0, 0));
    assert_eq!(substance(&api, "data-usage").await.len(), 20_050);
}

#[tokio::test]
async fn the_contents_type_tells_a_table() {
    let api = Api::new(ApiSettings::default()).await;
    let table = format!("giccid,data_usage,start_time\n{SIM},1,1700000000000\n");
    let answer = reqwest::Client::new()
        .post(format!("{}/v1/import?kind=data-usage", api.base))
        .bearer_auth(ADMIN_KEY)
        .header("Content-Type", "Text/CSV; charset=utf-8")
        .body(table)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(counts(&answer.json::<Value>().await.unwrap()), (1, 0, 0));
}
