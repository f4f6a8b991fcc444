//! Everything that is stored, followed in order of commit.
use std::time::{Duration, Instant};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use simdeck::{
    domain::{DeviceState, StatusFacts, Timestamp},
    http::ApiSettings,
};

use crate::{
    api_devices::{listed, listing, status},
    api_harness::{ADMIN_KEY, Api, ids, link, problem_of},
    server::{Simdeck, signed, usage},
};

const SMS: &str = r#""giccid":"89860012345678901234","event_time":1725499848000,"text":"hi""#;
const EVENT: &str = r#""giccid":"89860012345678901234","imei":"1","event_time":1725499848000"#;

/// Rows, and where to go on.
async fn page(response: Response) -> (Vec<Value>, String) {
    assert_eq!(response.status(), StatusCode::OK);
    let next = link(&response, "next").expect("there is always a next");
    (response.json().await.unwrap(), next)
}

impl Api {
    async fn page(&self, url: &str) -> (Vec<Value>, String) {
        page(self.get(url).await).await
    }

    /// One row of each kind, a router's new state and a sample of it.
    async fn add_one_of_each(&self) {
        self.add_usage(1).await;
        self.push("mo-sms", SMS).await;
        self.push("imei-change", EVENT).await;
        self.add_router("RT1").await;
        self.push("no-session", EVENT).await;
    }

    async fn add_router(&self, sn: &str) {
        let freshness = self.freshness();
        let mut poll = listing(freshness, vec![listed(sn, DeviceState::Online)]);
        let at = Timestamp::from_unix_ms(1_725_499_840_000);
        poll.statuses = vec![status(sn, at, StatusFacts::default(), r#"{"uptime":7}"#)];
        self.poll(poll).await;
    }
}

#[tokio::test]
async fn records_of_every_kind_stand_in_one_order_as_their_own_lists_show_them() {
    let api = Api::with_rcms().await;
    api.add_one_of_each().await;
    let (rows, _) = api.page("/v1/changes").await;
    let kinds: Vec<&str> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["data-usage", "mo-sms", "imei-change", "device", "device", "no-session"]);
    assert!(ids(&rows).is_sorted_by(|a, b| a < b), "{rows:?}");

    for row in rows.iter().filter(|row| row["kind"] != "device") {
        let mut own: Value = api.get(row["url"].as_str().unwrap()).await.json().await.unwrap();
        own["kind"] = row["kind"].clone();
        assert_eq!(*row, own);
    }
    let mut history = api.rows("/v1/devices/RT1/history").await;
    history.reverse();
    let routers: Vec<&Value> = rows.iter().filter(|row| row["kind"] == "device").collect();
    assert_eq!(routers.len(), history.len());
    for (row, mut own) in routers.into_iter().zip(history) {
        own["what"] = own["kind"].clone();
        own["kind"] = json!("device");
        own["sn"] = json!("RT1");
        own["device_url"] = json!(format!("{}/v1/devices/RT1", api.base));
        assert_eq!(*row, own);
    }
}

#[tokio::test]
async fn whoever_follows_the_links_has_each_row_once_while_more_arrive() {
    let api = Api::with_rcms().await;
    let mut seen = Vec::new();
    let mut next = "/v1/changes?size=7".to_owned();
    for round in 0..30 {
        api.add_one_of_each().await;
        if round % 3 == 0 {
            api.add_usage(20).await;
            api.add_router(&format!("RT{round}")).await;
        }
        let (rows, on) = api.page(&next).await;
        assert!(rows.len() <= 7);
        seen.extend(rows);
        next = on;
    }
    loop {
        let (rows, on) = api.page(&next).await;
        if rows.is_empty() {
            assert_eq!(on, next, "nothing new, and the same place");
            break;
        }
        seen.extend(rows);
        next = on;
    }
    let (whole, _) = api.page("/v1/changes?cursor=&size=1000").await;
    assert!(whole.len() > 100, "{}", whole.len());
    assert_eq!(seen, whole);
    api.push("mo-sms", r#""giccid":"89860012345678901234","event_time":1725499849000"#).await;
    assert_eq!(api.page(&next).await.0.len(), 1, "the place is still good");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_misses_nothing_while_every_table_is_written_at_once() {
    const ROUNDS: i64 = 60;
    let api = Api::with_rcms().await;
    let at = |round: i64| {
        format!(r#""giccid":"89860012345678901234","event_time":{}"#, 1_725_499_848_000 + round)
    };
    let (api_ref, at) = (&api, &at);
    let usage = async {
        for _ in 0..ROUNDS {
            api_ref.add_usage(2).await;
        }
    };
    let kinds = ["mo-sms", "imei-change", "no-session"].map(|kind| async move {
        for round in 0..ROUNDS {
            api_ref.push(kind, &at(round)).await;
        }
    });
    let routers = async {
        for round in 0..ROUNDS / 4 {
            api_ref.add_router(&format!("RT{round}")).await;
        }
    };
    let total = usize::try_from(ROUNDS * 5 + ROUNDS / 4 * 2).unwrap();
    let reader = async {
        let (mut seen, mut next) = (Vec::new(), "/v1/changes?size=3&wait=8".to_owned());
        while seen.len() < total {
            let (rows, on) = api_ref.page(&next).await;
            assert!(!rows.is_empty(), "{} of {total} rows", seen.len());
            seen.extend(rows);
            next = on;
        }
        seen
    };
    let [sms, imei, session] = kinds;
    let (seen, ..) = tokio::join!(reader, usage, sms, imei, session, routers);
    assert_eq!(seen, api.page("/v1/changes?size=1000").await.0);
}

#[tokio::test]
async fn a_store_without_records_has_a_place_to_go_on_from() {
    let api = Api::new(ApiSettings::default()).await;
    let (rows, next) = api.page("/v1/changes?wait=0").await;
    assert_eq!(rows, Vec::<Value>::new());
    assert!(next.contains("wait=0"), "{next} asks in the same way");
    api.add_usage(3).await;
    assert_eq!(api.page(&next).await.0.len(), 3);
}

#[tokio::test]
async fn kinds_are_followed_apart_and_a_place_belongs_to_its_kinds() {
    let api = Api::with_rcms().await;
    for second in 0..5 {
        api.add_one_of_each().await;
        let event = format!(r#""giccid":"89860012345678901234","event_time":172549984800{second}"#);
        api.push("imei-change", &event).await;
    }
    let (all, _) = api.page("/v1/changes").await;
    for kinds in ["data-usage", "mo-sms", "device", "imei-change", "imei-change,mo-sms,device"] {
        let wanted: Vec<Value> = all
            .iter()
            .filter(|row| kinds.split(',').any(|kind| row["kind"] == kind))
            .cloned()
            .collect();
        assert!(!wanted.is_empty(), "{kinds}");
        let (mut seen, mut next) = (Vec::new(), format!("/v1/changes?kind={kinds}&size=2"));
        while seen.len() < wanted.len() {
            let (rows, on) = api.page(&next).await;
            assert!(!rows.is_empty(), "{kinds}: only {seen:?}");
            seen.extend(rows);
            next = on;
        }
        assert_eq!(seen, wanted, "{kinds}");
        assert_eq!(api.page(&next).await.0, Vec::<Value>::new(), "{kinds}");
    }
    assert_eq!(api.page("/v1/changes?kind=package-expiry").await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn a_place_in_another_store_or_list_is_a_conflict_and_nonsense_is_invalid() {
    let (api, other) =
        (Api::new(ApiSettings::default()).await, Api::new(ApiSettings::default()).await);
    api.add_usage(3).await;
    other.add_usage(3).await;
    let place = |next: String| next.split_once("/v1/").unwrap().1.to_owned();
    let foreign = place(other.page("/v1/changes?size=1").await.1);
    let of_kind = place(api.page("/v1/changes?size=1&kind=mo-sms").await.1);
    let cursor = |place: &str| place.split_once("cursor=").unwrap().1.to_owned();
    for token in [cursor(&foreign), cursor(&of_kind)] {
        let (status, problem) = api.problem(&format!("/v1/changes?cursor={token}")).await;
        assert_eq!(status, 409, "{problem}");
        assert_eq!(problem["errors"][0]["field"], "cursor");
    }
    for (query, field) in [
        ("cursor=abc", "cursor"),
        ("size=0", "size"),
        ("size=1001", "size"),
        ("wait=8.01", "wait"),
        ("wait=-1", "wait"),
        ("wait=", "wait"),
        ("wait=1e0", "wait"),
        ("wait=.5", "wait"),
        ("page=1", "page"),
        ("kind=A", "kind"),
    ] {
        let (status, problem) = api.problem(&format!("/v1/changes?{query}")).await;
        assert_eq!(status, 422, "{query}");
        assert_eq!(problem["errors"][0]["field"], field, "{query}");
    }
    let nobody = api.send(Method::GET, "/v1/changes", None).await;
    assert_eq!(problem_of(nobody).await.0, 401);
}

#[tokio::test]
async fn a_reader_that_waits_is_told_as_soon_as_something_is_stored() {
    let api = Api::with_rcms().await;
    let (_, next) = api.page("/v1/changes").await;
    let mut next = format!("{next}&wait=8");
    let began = Instant::now();
    for round in 0..30 {
        let stored = async {
            match round % 3 {
                0 => api.add_usage(1).await,
                1 => {
                    let event = format!(
                        r#""giccid":"89860012345678901234","event_time":{}"#,
                        round + 1_725_499_848_000_i64
                    );
                    api.push("imei-change", &event).await;
                }
                _ => api.add_router(&format!("RT{round}")).await,
            }
        };
        let ((rows, on), ()) = tokio::join!(api.page(&next), stored);
        assert!(!rows.is_empty(), "round {round} had to wait to the end");
        next = on;
    }
    // One that is not woken takes 8 s.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_a_reader_did_not_ask_for_does_not_end_its_wait() {
    let api = Api::new(ApiSettings::default()).await;
    let (_, next) = api.page("/v1/changes?kind=mo-sms&wait=0.4").await;
    let began = Instant::now();
    let noise = async {
        while began.elapsed() < Duration::from_millis(400) {
            api.add_usage(1).await;
        }
    };
    let ((rows, on), ()) = tokio::join!(api.page(&next), noise);
    assert!(began.elapsed() >= Duration::from_millis(400));
    assert_eq!(rows, [] as [Value; 0]);
    assert_ne!(on, next, "what it did not ask for was looked at");
}

#[tokio::test]
async fn a_follower_of_one_kind_that_is_up_to_date_misses_nothing_when_others_are_pruned() {
    let api = Api::new(ApiSettings::default()).await;
    api.push("sim-status", EVENT).await;
    let (rows, next) = api.page("/v1/changes?kind=sim-status").await;
    assert_eq!(rows.len(), 1);
    api.add_usage(3).await;
    let (rows, next) = api.page(&next).await;
    assert_eq!(rows, [] as [Value; 0]);
    api.advance_far(401 * 86_400).await;
    api.push_now("sim-status", r#""n":1"#).await;
    assert_eq!(api.post("/v1/prune", ADMIN_KEY, "").await.status(), StatusCode::OK);
    assert_eq!(api.rows("/v1/data-usage").await, [] as [Value; 0]);
    let (rows, _) = api.page(&next).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
}

#[tokio::test]
async fn a_reader_that_waits_is_answered_at_once_when_the_server_stops() {
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", signed(&usage("8944501503181377993"))).await;
    let mut wire = crate::server::Wire::to(simdeck.internal()).await;
    let key = crate::server::API_KEY;
    let ask = |query: &str| {
        format!("GET /v1/changes?{query} HTTP/1.1\r\nHost: here\r\nX-API-Key: {key}\r\n\r\n")
    };
    wire.send(ask("wait=8")).await;
    let (head, _) = wire.answer().await;
    let next = head.split_once("/v1/changes?").unwrap().1.split_once('>').unwrap().0;
    wire.send(ask(next)).await;
    let began = Instant::now();
    simdeck.signal_term();
    let answer = String::from_utf8(wire.rest().await).unwrap();
    // Whether it was read before the order to stop is the system's to say.
    assert!(answer.is_empty() || answer.ends_with("[]"), "{answer}");
    drop(wire);
    let log = simdeck.ended();
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(!log.contains("Cut off"), "{log}");
}
