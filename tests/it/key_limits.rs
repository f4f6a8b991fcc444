//! What one API key, or one source without any, may take from the others.
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value;
use simdeck::http::ApiSettings;

use crate::{
    api_harness::{ADMIN_KEY, Api},
    import::{SIM, counts, import},
    page::Browser,
    server::{API_KEY, Simdeck, refused_start, signed, usage},
};

/// What should come comes far sooner.
const GUARD: Duration = Duration::from_secs(120);

/// A new key that may look: its number and its text.
async fn reader(api: &Api, label: &str) -> (i64, String) {
    let wanted = format!(r#"{{"label":"{label}","scope":"read"}}"#);
    let made: Value = api.post("/v1/keys", ADMIN_KEY, &wanted).await.json().await.unwrap();
    (made["id"].as_i64().unwrap(), made["key"].as_str().unwrap().to_owned())
}

async fn revoke(api: &Api, id: i64) {
    let answer = api.send(Method::DELETE, &format!("/v1/keys/{id}"), Some(ADMIN_KEY)).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}

/// All of these wait for the one turn of their key; nobody else does.
#[tokio::test]
async fn a_key_that_asks_for_much_at_once_waits_for_itself_and_for_nobody_else() {
    let api = Api::new(ApiSettings::default()).await;
    api.add_usage(3).await;
    let (_, key) = reader(&api, "greedy").await;
    let turn = api.store().heavy_for("greedy").await.unwrap();
    let urls = [
        "/v1/data-usage/aggregate?interval=1d",
        "/v1/mo-sms/aggregate",
        "/v1/summary",
        "/v1/attention",
        "/v1/data-usage?apn=a",
        "/v1/data-usage?format=csv",
        "/v1/sims?country_code=CN",
        "/v1/notifications?kind=x",
    ];
    let began = Instant::now();
    let theirs = urls.map(|url| api.send(Method::GET, url, Some(&key)));
    let ours = async {
        for url in urls {
            assert_eq!(api.get(url).await.status(), StatusCode::OK, "{url}");
        }
        began.elapsed()
    };
    let (theirs, ours) = tokio::join!(futures_util::future::join_all(theirs), ours);
    for answer in theirs {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{}", answer.url());
    }
    assert!(ours < began.elapsed(), "nobody else waits");
    drop(turn);
    for url in urls {
        assert_eq!(api.send(Method::GET, url, Some(&key)).await.status(), StatusCode::OK, "{url}");
    }
}

#[tokio::test]
async fn a_key_has_eight_streams_and_leaves_the_others_theirs() {
    let api = Api::new(ApiSettings::default()).await;
    let (_, key) = reader(&api, "greedy").await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        let stream = api.send(Method::GET, "/v1/stream", Some(&key)).await;
        assert_eq!(stream.status(), StatusCode::OK);
        streams.push(stream);
    }
    let ninth = api.send(Method::GET, "/v1/stream", Some(&key)).await;
    assert_eq!(ninth.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(ninth.headers().contains_key("retry-after"));
    assert_eq!(api.get("/v1/stream").await.status(), StatusCode::OK);
    streams.pop();
    let began = Instant::now();
    while api.send(Method::GET, "/v1/stream", Some(&key)).await.status() != StatusCode::OK {
        assert!(began.elapsed() < GUARD);
    }
}

#[tokio::test]
async fn what_a_revoked_key_has_begun_ends_within_a_second() {
    let api = Api::new(ApiSettings::default()).await;
    // Far more than lies in sockets.
    let long = "x".repeat(250);
    let rows = |from: usize| -> String {
        let row = |n: usize| {
            let start = 1_700_000_000_000 + n;
            format!(
                "{{\"giccid\":\"{SIM}\",\"data_usage\":1,\"start_time\":{start},\"a\":\"{long}\",\"b\":\"{}\"}}\n",
                long.repeat(4)
            )
        };
        (from..from + 5_000).map(row).collect()
    };
    for part in 0..3 {
        let report = import(&api, "kind=data-usage", &rows(part * 5_000)).await;
        assert_eq!(counts(&report), (5_000, 0, 0));
    }
    let (id, key) = reader(&api, "gone").await;
    let mut stream = api.send(Method::GET, "/v1/stream", Some(&key)).await;
    assert!(stream.chunk().await.unwrap().is_some());
    let mut exports = Vec::new();
    for format in ["ndjson", "csv"] {
        let url = format!("/v1/data-usage?format={format}");
        let mut export = api.send(Method::GET, &url, Some(&key)).await;
        assert!(export.chunk().await.unwrap().is_some());
        exports.push(export);
    }
    let waiting = api.send(Method::GET, "/v1/changes?wait=8&kind=none", Some(&key));
    let (waited, ended) = tokio::join!(waiting, async {
        revoke(&api, id).await;
        let began = Instant::now();
        // It has nothing to say, and ends all the same.
        while stream.chunk().await.unwrap().is_some() {}
        began.elapsed()
    });
    assert!(ended < Duration::from_secs(5), "{ended:?}");
    assert_eq!(waited.status(), StatusCode::UNAUTHORIZED, "what it waited for is not its any more");
    for mut export in exports {
        let whole = loop {
            match export.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        assert!(!whole, "an export went on to its end");
    }
}

#[tokio::test]
async fn signing_in_over_and_over_is_limited_and_noted_once() {
    let api = Api::new(ApiSettings::default()).await;
    let (_, key) = reader(&api, "restless").await;
    let mut statuses = Vec::new();
    for _ in 0..130 {
        let answer = Browser::new(&api).sign_in(&[("key", &key)]).await;
        statuses.push(answer.status().as_u16());
    }
    assert!(statuses.starts_with(&[303; 100]), "{statuses:?}");
    assert!(statuses.ends_with(&[429; 5]), "{statuses:?}");
    let noted = api.audit().await;
    let of_key: Vec<_> = noted.iter().filter(|(who, ..)| who == "restless").collect();
    assert_eq!(of_key.len(), 1, "{of_key:?}");
    assert_eq!(of_key[0].1, "sign_in");
    let row = api.rows("/v1/audit?action=sign_in").await.remove(0);
    let came_in = statuses.iter().filter(|status| **status == 303).count();
    assert_eq!((&row["source"], &row["count"]), (&"127.0.0.1".into(), &came_in.into()));
    // Others come in.
    assert_eq!(Browser::new(&api).sign_in(&[("key", ADMIN_KEY)]).await.status(), 303);
    let rows = api.audit().await.len();
    for _ in 0..50 {
        Browser::new(&api).sign_in(&[("key", "sd_wrong")]).await;
    }
    let began = Instant::now();
    let failed = loop {
        let failed = api.rows("/v1/audit?action=sign_in.failed").await;
        if failed.iter().map(|row| row["count"].as_i64().unwrap()).sum::<i64>() == 50 {
            break failed;
        }
        assert!(began.elapsed() < GUARD, "{failed:?}");
        tokio::task::yield_now().await;
    };
    assert_eq!(failed.len(), 1, "a row a source and minute");
    assert_eq!(api.audit().await.len(), rows + 1);
}

#[tokio::test]
async fn who_guesses_keys_is_told_to_wait_and_seen_and_takes_nothing_from_others() {
    let simdeck = Simdeck::start(&[]);
    let mut statuses = Vec::new();
    for guess in 0..150 {
        statuses.push(simdeck.status_with(&format!("sd_guess_{guess}"), "/v1/sims").await);
    }
    assert!(statuses.starts_with(&[401; 60]), "{statuses:?}");
    // One more each second.
    let told = statuses.iter().filter(|status| **status == 429).count();
    assert!(told > 30, "{statuses:?}");
    let client = reqwest::Client::new();
    let began = Instant::now();
    let mut failures = statuses.len();
    let wait: u64 = loop {
        let url = format!("{}/v1/status", simdeck.internal_url());
        let guess = client.get(url).bearer_auth("sd_again").send().await.unwrap();
        failures += 1;
        if let Some(wait) = guess.headers().get("retry-after") {
            assert_eq!(guess.status(), StatusCode::TOO_MANY_REQUESTS);
            break wait.to_str().unwrap().parse().unwrap();
        }
        assert!(began.elapsed() < GUARD);
    };
    assert!((1..=60).contains(&wait), "{wait}");
    // The form counts with the API, so that it is no way around.
    loop {
        let sign_in = client
            .post(format!("{}/sign-in", simdeck.internal_url()))
            .header("Origin", simdeck.internal_url())
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body("key=sd_more");
        failures += 1;
        if sign_in.send().await.unwrap().status() == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        assert!(began.elapsed() < GUARD);
    }
    // From the same address, behind a proxy perhaps.
    assert_eq!(simdeck.status_with(API_KEY, "/v1/sims").await, 200);
    let (_, metrics) = simdeck.ask_text(Method::GET, "/metrics").await;
    let counted = format!("\nsimdeck_api_key_failures_total {failures}\n");
    assert!(metrics.contains(&counted), "{counted} {metrics}");
    let log = simdeck.end();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("Refused an API key")).collect();
    // A slow machine may take more than a minute.
    assert!((1..=3).contains(&lines.len()), "{lines:?}");
    assert!(lines[0].contains("127.0.0.1") && !log.contains("sd_guess"), "{lines:?}");
}

#[tokio::test]
async fn an_admins_key_that_can_be_guessed_is_refused_and_such_a_push_key_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    for short in ["a", "0123456789abcdef012"] {
        let said = refused_start(folder.path(), &[("SIMDECK_API_KEY", short)]);
        assert!(said.contains("fewer than 20 characters"), "{said}");
        assert!(said.contains("set SIMDECK_API_KEY to a longer one"), "{said}");
        assert!(!said.contains(&format!("{short} ")) || short == "a", "{said}");
    }
    let simdeck = Simdeck::start(&[("SIMDECK_PUSH_KEY", "0123456789abcde")]);
    let log = simdeck.end();
    assert!(log.contains("A push key of fewer than 16 characters"), "{log}");
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", signed(&usage(SIM))).await;
    assert!(!simdeck.end().contains("A push key of fewer"));
}
