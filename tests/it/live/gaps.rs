//! What a stream says to whoever comes back after rows that it had not seen are gone.
use serde_json::json;
use simdeck::http::ApiSettings;

use crate::{
    api_harness::{Api, SECOND},
    api_keep::{DAY_S, GICCID, done, old_and_new},
};

#[tokio::test]
async fn who_comes_back_is_told_of_rows_that_were_pruned_before_it_saw_them() {
    let api = Api::new(ApiSettings::default()).await;
    old_and_new(&api).await;
    let mut before = api.stream("", "Last-Event-ID: 1\r\n").await;
    assert_eq!(before.take(1).await[0].id(), 2, "all is there yet");
    done(&api, "/v1/prune", "").await;
    for (nth, query) in ["", "?sample=false", "?kind=data-usage"].into_iter().enumerate() {
        let mut behind = api.stream(query, "Last-Event-ID: 1\r\n").await;
        let events = behind.take(2).await;
        let (gap, row) = (&events[0], &events[1]);
        assert_eq!((&*gap.name, gap.id()), ("gap", 1), "{query}");
        assert_eq!(gap.json(), json!({"removed_through": 3}));
        assert_eq!((&*row.name, row.id()), ("data-usage", 4));
        // It is told once, and is no reason to tell those who miss nothing.
        let mut ahead = api.stream(query, "Last-Event-ID: 3\r\n").await;
        let mut new = api.stream(query, "").await;
        assert_eq!(ahead.take(1).await[0].id(), 4, "{query}");
        let start_time = (SECOND + 401 * DAY_S) * 1000;
        let members =
            format!(r#""giccid":"{GICCID}","data_usage":{nth},"start_time":{start_time}"#);
        api.push_now("data-usage", &members).await;
        for stream in [&mut behind, &mut ahead, &mut new] {
            assert_eq!(stream.take(1).await[0].name, "data-usage", "{query}");
        }
    }
}

#[tokio::test]
async fn who_comes_back_after_an_erasure_is_told_what_was_erased_and_of_no_gap() {
    let api = Api::new(ApiSettings::default()).await;
    api.add_usage(3).await;
    let erased = done(&api, "/v1/erase", &json!({"giccid": GICCID}).to_string()).await;
    let mut behind = api.stream("", "Last-Event-ID: 1\r\n").await;
    let event = &behind.take(1).await[0];
    assert_eq!((&*event.name, &event.json()["id"]), ("erased", &erased["id"]));
}
