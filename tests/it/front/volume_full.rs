//! A forger may use up the sum of all volumes: whoever looks is told how to get it back.
use reqwest::Method;
use serde_json::{Value, json};

use super::retract::{FORGER, SIM, TRUE_SENDER};
use crate::server::{Simdeck, now_s, proof, usage};

/// The largest volume that one record may have.
const LARGEST: i64 = 1_000_000_000_000_000;

#[tokio::test]
async fn where_no_volume_fits_any_more_it_is_said_how_to_take_out_what_is_too_large() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s() - 5;
    let large = |nth: i64| {
        let start_ms = (second - nth) * 1_000;
        format!(
            r#"{{"giccid":"8944501503181377000","data_usage":{LARGEST},"start_time":{start_ms}}}"#
        )
    };
    let all: Vec<String> = (0..9_223).map(large).collect();
    let forged = format!(r#"{{{},"records":[{}]}}"#, proof(second), all.join(","));
    simdeck.send_from_each(&forged, &[FORGER]).await;
    let record = usage(SIM).replace("1302", &LARGEST.to_string());
    let honest = format!("{{{},{record}}}", proof(now_s()));
    simdeck.send_from_each(&honest, &[TRUE_SENDER]).await;
    let held = simdeck.held(1).await;
    assert_eq!(held[0]["reason"], "store_refused");
    let attention = simdeck.get("/v1/attention").await;
    let item = attention
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["kind"] == "pushes_quarantined")
        .unwrap();
    let condition = |status: &Value| -> String {
        let all = status["conditions"].as_array().unwrap().clone();
        let one = all.into_iter().find(|it| it["name"] == "quarantining").unwrap();
        one["sentence"].as_str().unwrap().to_owned()
    };
    let told = condition(&simdeck.get("/v1/status").await);
    for sentence in [item["sentence"].as_str().unwrap(), &told] {
        assert!(sentence.contains("the sum of all volumes"), "{sentence}");
        assert!(sentence.contains("`simdeck retract`"), "{sentence}");
    }
    let taken_out = simdeck.retract_from(second, FORGER).await;
    assert_eq!(taken_out["data_usage"], 9_223, "{taken_out}");
    let (status, tried) = simdeck.ask(Method::POST, "/v1/held/retry?reason=store_refused").await;
    assert_eq!((status, &tried["stored"]), (200, &json!(1)), "{tried}");
    simdeck.end();
}
