//! Numbers by which records know their SIM.
use serde_json::json;

use super::retract::{FORGED_SIM, FORGER, HOUR_MS, OTHER_SIM, SIM, TRUE_SENDER, usage};
use crate::{
    kill::read,
    server::{Simdeck, now_s},
};

/// The largest number of a SIM, and of a card.
async fn largest(simdeck: &Simdeck) -> (i64, i64) {
    let mut connection = read(&simdeck.folder().path().join("data/simdeck.db")).await;
    sqlx::query_as("select (select max(id) from sim), (select max(id) from card)")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_new_sim_never_gets_the_number_of_one_that_was_retracted_or_erased() {
    for is_retracted in [true, false] {
        for restarts in [false, true] {
            let mut simdeck = Simdeck::start(&[]);
            let second = now_s() - 60;
            let record = |giccid: &str| usage(giccid, second * 1000 - HOUR_MS, 1, "CN");
            simdeck.push_as(TRUE_SENDER, "data-usage", second, &record(SIM)).await;
            simdeck.push_as(FORGER, "data-usage", second + 1, &record(FORGED_SIM)).await;
            let before = largest(&simdeck).await;
            let (path, asked) = match is_retracted {
                true => ("/v1/retract", json!({"datePush": second + 1})),
                false => ("/v1/erase", json!({"giccid": FORGED_SIM})),
            };
            let done = simdeck.send_json(reqwest::Method::POST, path, &asked.to_string()).await;
            assert_eq!(done.0, 200, "{}", done.1);
            assert!(largest(&simdeck).await < before, "it is gone");
            if restarts {
                simdeck = simdeck.restart(&[]);
            }
            simdeck.push_as(TRUE_SENDER, "data-usage", second + 2, &record(OTHER_SIM)).await;
            let after = largest(&simdeck).await;
            assert!(after.0 > before.0 && after.1 > before.1, "{after:?} after {before:?}");
            simdeck.end();
        }
    }
}
