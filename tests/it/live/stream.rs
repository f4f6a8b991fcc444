//! What is stored, streamed as it is stored.
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simdeck::{
    domain::DeviceState,
    http::{ApiSettings, StreamLimits},
};

use tokio::time::interval;

use super::events::{Event, Events};
use crate::{
    api_devices::{listed, listing},
    api_harness::{ADMIN_KEY, Api, Given, ids},
    server::{API_KEY, Simdeck, signed, usage},
};

impl Api {
    pub(super) async fn stream(&self, query: &str, headers: &str) -> Events {
        let path = format!("/v1/stream{query}");
        Events::open(&self.base, ADMIN_KEY, &path, headers).await
    }

    async fn changes(&self) -> Vec<Value> {
        self.rows("/v1/changes?size=1000").await
    }
}

/// The rows that events carry, checked against what their other lines say.
fn rows(events: &[Event]) -> Vec<Value> {
    let row = |event: &Event| {
        let row = event.json();
        assert_eq!(row["kind"], event.name, "{event:?}");
        assert_eq!(row["id"], event.id(), "{event:?}");
        row
    };
    events.iter().map(row).collect()
}

#[tokio::test]
async fn a_stream_shows_what_is_stored_from_now_on_as_the_changes_do() {
    let api = Api::with_rcms().await;
    api.add_usage(3).await;
    let mut stream = api.stream("", "").await;
    for header in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-store\r\n",
        "x-accel-buffering: no\r\n",
    ] {
        assert!(stream.head.contains(header), "{}", stream.head);
    }
    api.add_usage(1).await;
    api.push("mo-sms", r#""giccid":"89860012345678901234","event_time":1725499848000"#).await;
    // A line break in a body stands in what is stored, and must not end the line of the event.
    api.push("imei-change", "\"giccid\":\"89860012345678901234\",\"of\":{\"a\":\r\n[1,\n2]}").await;
    api.poll(listing(api.freshness(), vec![listed("RT1", DeviceState::Online)])).await;
    let events = stream.take(4).await;
    let names: Vec<&str> = events.iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["data-usage", "mo-sms", "imei-change", "device"]);
    assert_eq!(rows(&events), api.changes().await[3..]);
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_behind_the_last_event_that_it_has() {
    let api = Api::new(ApiSettings::default()).await;
    let mut stream = api.stream("", "").await;
    api.add_usage(5).await;
    let seen = stream.take(3).await;
    drop(stream);
    api.add_usage(300).await;
    let last_id = seen[2].id();
    let header = format!("Last-Event-ID: {last_id}\r\n");
    for (query, headers) in [
        (String::new(), &*header),
        (format!("?last_event_id={last_id}"), ""),
        ("?last_event_id=1".to_owned(), &*header),
        ("?sample=false".to_owned(), &*header),
    ] {
        let mut again = api.stream(&query, headers).await;
        let rest = again.take(302).await;
        let whole: Vec<i64> = seen.iter().chain(&rest).map(Event::id).collect();
        assert_eq!(whole, ids(&api.changes().await), "{query}");
    }
}

#[tokio::test]
async fn what_no_client_can_have_seen_is_a_conflict_and_nonsense_is_invalid() {
    let api = Api::new(ApiSettings::default()).await;
    api.add_usage(2).await;
    let status = async |query: &str, headers: &str| {
        let path = format!("/v1/stream{query}");
        let answer = Events::ask(&api.base, ADMIN_KEY, &path, headers).await;
        answer.head.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status("", "Last-Event-ID: 3\r\n").await, "409");
    assert_eq!(status("?last_event_id=3", "").await, "409");
    assert_eq!(status("", "Last-Event-ID: 2\r\n").await, "200");
    for (query, headers) in [
        ("", "Last-Event-ID: two\r\n"),
        ("", "Last-Event-ID: -1\r\n"),
        ("?last_event_id=", ""),
        ("?sample=1", ""),
        ("?giccid=1", ""),
        ("?size=1", ""),
    ] {
        assert_eq!(status(query, headers).await, "422", "{query} {headers}");
    }
}

#[tokio::test]
async fn of_a_second_with_many_rows_twenty_are_shown_and_all_are_counted() {
    let api = Api::new(ApiSettings::default()).await;
    let mut sampled = api.stream("", "").await;
    let mut whole = api.stream("?sample=false", "").await;
    api.add_usage(500).await;
    let shown = sampled.take(21).await;
    assert_eq!(rows(&shown[..20]), rows(&whole.take(20).await));
    let tick = &shown[20];
    assert_eq!((&*tick.name, tick.json()), ("tick", json!({"shown": 20, "of": 500})));
    assert_eq!(whole.take(480).await.last().unwrap().id(), 500);

    // Whoever comes back after a tick does not get what it counted.
    api.add_usage(1).await;
    let mut again = api.stream("", &format!("Last-Event-ID: {}\r\n", tick.id)).await;
    assert_eq!(again.next().await.unwrap().id(), 501);
    assert_eq!(sampled.next().await.unwrap().id(), 501, "a second that is over is over");
}

#[tokio::test]
async fn at_500_rows_a_second_shown_and_counted_rows_are_all_that_there_are() {
    let api = Api::new(ApiSettings::default()).await;
    let mut stream = api.stream("", "").await;
    let began = Instant::now();
    let (mut shown, mut left_out, mut pushed) = (0, 0, 0);
    let mut every_10_ms = interval(Duration::from_millis(10));
    while pushed < 1_500 {
        every_10_ms.tick().await;
        api.add_usage(5).await;
        pushed += 5;
    }
    while shown + left_out < 1_500 {
        let event = stream.next().await.unwrap();
        if event.name == "tick" {
            let (in_second, of) = (&event.json()["shown"], event.json()["of"].as_u64().unwrap());
            assert_eq!(*in_second, 20);
            left_out += of - 20;
        } else {
            shown += 1;
        }
    }
    assert_eq!(shown + left_out, 1_500);
    let seconds = began.elapsed().as_secs() + 2;
    assert!(shown <= 20 * seconds, "{shown} rows in {seconds} s");
}

#[tokio::test]
async fn of_a_long_absence_the_newest_rows_are_shown_and_the_others_counted() {
    let streams = StreamLimits { backlog_rows_max: 150, ..StreamLimits::default() };
    let api = Api::given(Given { streams, ..Given::default() }).await;
    api.add_usage(400).await;
    let mut stream = api.stream("?last_event_id=100", "").await;
    let tick = stream.next().await.unwrap();
    assert_eq!((&*tick.name, tick.json()), ("tick", json!({"shown": 150, "of": 300})));
    let shown: Vec<i64> = stream.take(150).await.iter().map(Event::id).collect();
    assert!(shown.into_iter().eq(251..=400));
    // From here on it is like any other stream.
    api.add_usage(21).await;
    let live = stream.take(21).await;
    assert_eq!(live[20].json(), json!({"shown": 20, "of": 21}));

    let mut short = api.stream("?last_event_id=271", "").await;
    assert_eq!(short.take(150).await[0].id(), 272, "150 are not too many");
    let mut whole = api.stream("?last_event_id=0&sample=false", "").await;
    assert!(whole.take(421).await.iter().map(Event::id).eq(1..=421));
}

#[tokio::test]
async fn a_stream_can_be_of_some_kinds_sims_or_groups_alone() {
    let api = Api::new(ApiSettings::default()).await;
    let record = |sim: u8, group: &str| {
        format!(
            r#""giccid":"8986001234567890123{sim}","data_usage":1,"start_time":1725499848000,"sim_group":"{group}""#
        )
    };
    api.push("data-usage", &record(1, "a")).await;
    api.push("data-usage", &record(2, "b")).await;
    let sms = r#""giccid":"89860012345678901231","event_time":1725499848000,"sim_group":"b""#;
    api.push("mo-sms", sms).await;
    api.push("no-session", r#""giccid":"89860012345678901231""#).await;
    api.push("no-session", r#""iccid":"x""#).await;
    api.poll(listing(api.freshness(), vec![listed("RT1", DeviceState::Online)])).await;
    api.push("data-usage", &record(3, "a")).await;
    for (filter, wanted) in [
        ("giccid=89860012345678901231", vec![1, 3, 4]),
        ("giccid=89860012345678901231,89860012345678901232", vec![1, 2, 3, 4]),
        ("sim_group=a", vec![1, 7]),
        ("sim_group=b", vec![2, 3]),
        ("kind=no-session&kind=device", vec![4, 5, 6]),
        ("kind=data-usage&sim_group=a&giccid=89860012345678901233", vec![7]),
    ] {
        let path = format!("?last_event_id=0&{filter}");
        let mut stream = api.stream(&path, "").await;
        let shown = stream.take(wanted.len()).await;
        let shown: Vec<i64> = shown.iter().map(Event::id).collect();
        assert_eq!(shown, wanted, "{filter}");
        let mut backwards = api.stream(&format!("{path}&sample=false"), "").await;
        assert_eq!(backwards.take(wanted.len()).await.len(), wanted.len());
    }
}

#[tokio::test]
async fn our_own_tests_are_streamed_and_marked_and_in_no_list() {
    let simdeck = Simdeck::start(&[]);
    let mut stream = Events::open(simdeck.internal(), API_KEY, "/v1/stream", "").await;
    let (status, answer) = simdeck.ask(reqwest::Method::POST, "/v1/test-push").await;
    assert_eq!(status, 200, "{answer}");
    simdeck.push("data-usage", signed(&usage("8944501503181377993"))).await;
    let events = stream.take(2).await;
    let test = events[0].json();
    assert_eq!((&*events[0].name, &test["test"]), ("data-usage", &json!(true)), "{test}");
    assert_eq!(events[1].json().get("test"), None);
    assert_eq!(simdeck.get("/v1/changes").await, json!([events[1].json()]));
}
