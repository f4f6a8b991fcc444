//! What is on record first, and what may not fill the record.
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simdeck::http::ApiSettings;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::recorded::{rows_of, until};
use crate::{
    api_harness::Api,
    server::{Simdeck, signed},
};

#[tokio::test]
async fn who_guesses_from_many_addresses_of_one_network_has_one_row() {
    let trusted_proxies = ["127.0.0.1/32".parse().unwrap()].into();
    let api = Api::new(ApiSettings { trusted_proxies, ..ApiSettings::default() }).await;
    let client = reqwest::Client::new();
    let mut sources: Vec<String> = (1..=70).map(|nth| format!("2001:db8:0:7::{nth:x}")).collect();
    sources.extend(["2001:db8:0:8::1".to_owned(), "192.0.2.1".to_owned()]);
    for source in &sources {
        let guess = client.get(format!("{}/v1/sims", api.base));
        let guess = guess.bearer_auth("sd_wrong_secret").header("X-Forwarded-For", source);
        let status = guess.send().await.unwrap().status();
        assert!([StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS].contains(&status));
    }
    let count = |rows: &[Value]| rows.iter().map(|row| row["count"].as_u64().unwrap()).sum::<u64>();
    let began = std::time::Instant::now();
    let rows = loop {
        let rows = until(&api, "sign_in.failed", |_| true).await;
        if count(&rows) == sources.len() as u64 {
            break rows;
        }
        assert!(began.elapsed().as_secs() < 30, "{rows:?}");
    };
    let mut told: Vec<_> =
        rows.iter().map(|row| (row["source"].as_str().unwrap(), &row["count"])).collect();
    told.sort_by_key(|(source, _)| *source);
    let of_network = "2001:db8:0:7::";
    let expected =
        [("192.0.2.1", &json!(1)), (of_network, &json!(70)), ("2001:db8:0:8::", &json!(1))];
    assert_eq!(told, expected, "{rows:?}");
    let found = rows_of(&api, &format!("sign_in.failed&source={of_network}")).await;
    assert_eq!(found.len(), 1, "and is found by it");
}

#[tokio::test]
async fn a_retry_that_cannot_be_put_on_record_stores_nothing() {
    let simdeck = Simdeck::start(&[]);
    let body = signed(r#""giccid":"8944501503181377993","status":"ACTIVE""#);
    assert_eq!(simdeck.push("data-usage", body).await, (0, 0, 1));
    let id = simdeck.rows("/v1/held").await[0]["id"].clone();
    let database = simdeck.folder().path().join("data/simdeck.db");
    let mut other = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    let refuse = "create trigger refuse before insert on audit begin
        select raise(abort, 'not now'); end";
    sqlx::raw_sql(refuse).execute(&mut other).await.unwrap();
    let path = format!("/v1/held/{id}/retry?as=sim-status");
    let (status, answer) = simdeck.ask(Method::POST, &path).await;
    assert!(status >= 500, "{status}: {answer}");
    assert!(simdeck.rows("/v1/notifications").await.is_empty(), "stored, and nobody knows by whom");
    assert_eq!(simdeck.rows("/v1/held").await.len(), 1);
    sqlx::raw_sql("drop trigger refuse").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let (status, answer) = simdeck.ask(Method::POST, &path).await;
    assert_eq!((status, &answer["stored"]), (200, &json!(1)), "{answer}");
    let rows = simdeck.rows("/v1/audit?action=held.retry").await;
    assert_eq!((rows.len(), &rows[0]["outcome"]), (1, &json!("done")), "{rows:?}");
    assert_eq!(simdeck.ask(Method::POST, "/v1/held/99999/retry").await.0, 404);
    assert_eq!(simdeck.rows("/v1/audit?action=held.retry").await.len(), 1, "nothing was tried");
    simdeck.end();
}
