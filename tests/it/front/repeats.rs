//! What is kept of pushes that repeat a record has a bound, and no true record is lost for it.
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::retract::{FORGER, SIM, TRUE_SENDER};
use crate::server::{Simdeck, now_s, proof, usage};

/// So many seconds of one record are kept, one row for all others, and so many sources of a second.
const SECONDS: i64 = 256;
const SOURCES: i64 = 16;
const REPEATS: i64 = 10_000;

async fn rows(simdeck: &Simdeck) -> i64 {
    let database = simdeck.folder().path().join("data/simdeck.db");
    let options = SqliteConnectOptions::new().filename(database).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let rows = sqlx::query_scalar("select count(*) from push_repeat");
    rows.fetch_one(&mut connection).await.unwrap()
}

impl Simdeck {
    /// Pushes one record under each of these seconds, many in one body.
    async fn repeat(&self, source: &str, seconds: Vec<i64>, record: &str) {
        for seconds in seconds.chunks(1_000) {
            let elements = seconds.iter().map(|second| format!("{{{},{record}}}", proof(*second)));
            let body = format!("[{}]", elements.collect::<Vec<_>>().join(","));
            let from = [("X-Forwarded-For", source)];
            assert_eq!(self.post_with("data-usage", body, &from).await.status, 200);
        }
    }

    async fn take_out(&self, question: Value) -> Value {
        let (status, answer) =
            self.send_json(Method::POST, "/v1/retract", &question.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

#[tokio::test]
async fn a_record_that_is_repeated_for_ever_takes_little_room_and_stays_whatever_is_retracted() {
    let simdeck = Simdeck::start(&[]);
    let (first, record) = (now_s() - 2 * REPEATS, usage(SIM));
    simdeck.repeat(TRUE_SENDER, (first..=first + REPEATS).collect(), &record).await;
    let kept = rows(&simdeck).await;
    assert_eq!(kept, SECONDS + 1, "after {REPEATS} repeats");
    // Its own second, then all of those that are kept: others brought it, too.
    for second in first..=first + SECONDS {
        let answer = simdeck.take_out(json!({"datePush": second})).await;
        assert_eq!((&answer["data_usage"], &answer["kept"]), (&json!(0), &json!(1)), "{answer}");
    }
    let left = simdeck.rows("/v1/data-usage").await;
    assert_eq!((left.len(), &left[0]["giccid"]), (1, &json!(SIM)), "{left:?}");
    let sum = simdeck.get("/v1/data-usage/aggregate?interval=none").await;
    assert_eq!(sum[0]["records"], 1, "{sum}");
    simdeck.repeat(TRUE_SENDER, vec![now_s()], &record).await;
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1, "it is known as the same one");
    let simdeck = simdeck.restart(&[]);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    simdeck.end();
}

#[tokio::test]
async fn one_captured_second_is_taken_out_whole_however_many_sources_repeat_it() {
    let simdeck = Simdeck::start(&[]);
    let (second, record) = (now_s() - 60, usage(SIM));
    simdeck.repeat("2001:db8::ffff", vec![second], &record).await;
    for nth in 0..300 {
        simdeck.repeat(&format!("2001:db8::{nth:x}"), vec![second], &record).await;
    }
    let kept = rows(&simdeck).await;
    assert_eq!(kept, SOURCES + 1, "of 300 sources");
    // Of one source it is one of many that brought it.
    let one = json!({"datePush": second, "source": "2001:db8::ffff"});
    assert_eq!(simdeck.take_out(one).await["kept"], 1);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    simdeck.take_out(json!({"datePush": second})).await;
    assert!(simdeck.rows("/v1/data-usage").await.is_empty(), "nobody else has brought it");
    assert_eq!(rows(&simdeck).await, 0);
    // What is forged under fewer seconds than are kept goes with the last of them.
    let forged = usage("8944501503181377666");
    let seconds: Vec<_> = (second - 20..second - 10).collect();
    simdeck.repeat(FORGER, seconds.clone(), &forged).await;
    for second in seconds {
        simdeck.take_out(json!({"datePush": second})).await;
    }
    assert!(simdeck.rows("/v1/data-usage").await.is_empty());
    simdeck.end();
}
