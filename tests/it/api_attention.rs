//! What needs a person: each kind of thing appears when it should, and not before.
use serde_json::{Value, json};
use simdeck::{
    domain::{DeviceState, ListedDevice, PollCall, PollFailureKind, PollReport},
    http::ApiSettings,
};

use crate::{
    api_devices::{listed, listing, text},
    api_fleet::failure,
    api_harness::{Api, Given},
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 2024-09-05, on which it is 01:30:49 by the clock of the tests.
const TODAY_MS: i64 = 1_725_494_400_000;
const SIM: &str = "89860012345678904417";

/// With all records in the tail, and with summaries that are moved all the time.
async fn each_way() -> [Api; 2] {
    let given = |tail_records_max| Given { tail_records_max, ..Given::default() };
    [Api::given(given(1_000_000)).await, Api::given(given(1)).await]
}

fn usage(giccid: &str, start_ms: i64, data_usage: i64, more: &str) -> String {
    format!(r#"{{"giccid":"{giccid}","start_time":{start_ms},"data_usage":{data_usage}{more}}}"#)
}

async fn push_usage(api: &Api, records: &[String]) {
    // A summary moves when records come: three pushes leave each of the three a turn.
    let third = records.len().div_ceil(3);
    for part in records.chunks(third) {
        api.push_now("data-usage", &format!(r#""cdrs":[{}]"#, part.join(","))).await;
    }
}

async fn told(api: &Api, kind: &str) -> Vec<Value> {
    let rows = api.rows("/v1/attention").await;
    rows.into_iter().filter(|row| row["kind"] == kind).collect()
}

/// Removes the sentence, and checks it.
fn sentence(item: &mut Value, expected: &str) {
    let sentence = item.as_object_mut().unwrap().remove("sentence").unwrap();
    assert_eq!(sentence, expected);
}

#[tokio::test]
async fn where_all_is_well_nothing_is_told() {
    let api = Api::new(ApiSettings::default()).await;
    assert_eq!(api.rows("/v1/attention").await, Vec::<Value>::new());
    api.add_usage(5).await;
    assert_eq!(api.rows("/v1/attention").await, Vec::<Value>::new());
    let (status, problem) = api.problem("/v1/attention?kind=x").await;
    assert_eq!((status, &problem["errors"][0]["resource"]), (422, &json!("attention")));
}

#[tokio::test]
async fn held_pushes_are_told_by_reason_the_most_urgent_first() {
    let api = Api::new(ApiSettings::default()).await;
    api.push("data-usage", r#""giccid":"1""#).await;
    api.push("data-usage", r#""giccid":"2""#).await;
    api.push_refused("data-usage", r#"{"datePush":1725499848}"#.to_owned()).await;
    let wrong = format!(r#"{{"datePush":1725499848,"signature":"{}"}}"#, "0".repeat(64));
    api.push_refused("data-usage", wrong).await;
    while api.rows("/v1/held?class=refused").await.len() < 2 {
        tokio::task::yield_now().await;
    }
    let mut items = api.rows("/v1/attention").await;
    assert_eq!(items.len(), 3, "{items:?}");
    sentence(
        &mut items[0],
        "1 push was refused in the last 24 hours, for a signature that no key of this server \
         makes. If SmartHub sent them, set the key that is registered there, and retry them.",
    );
    sentence(
        &mut items[1],
        "2 parts of authentic pushes lie in quarantine and in no total, for a field that cannot be \
         read. Look at them, then retry or discard them.",
    );
    sentence(
        &mut items[2],
        "1 push was refused in the last 24 hours, for a missing `signature`. Look at one of them: \
         if SmartHub sent it, its form is new to this version, so please report it, and retry them \
         after an update; if not, somebody else found the address.",
    );
    let item = |kind: &str, severity: &str, count: u8, class: &str, reason: &str| {
        json!({
            "kind": kind, "severity": severity, "since": "2024-09-05T01:30:49.000Z",
            "count": count, "reason": reason,
            "url": format!("{}/v1/held?class={class}&reason={reason}", api.base),
        })
    };
    let expected = [
        item("pushes_refused", "critical", 1, "refused", "signature_wrong"),
        item("pushes_quarantined", "warning", 2, "quarantined", "field_invalid"),
        item("pushes_refused", "notice", 1, "refused", "signature_missing"),
    ];
    assert_eq!(items, expected);
    for item in &items {
        let held = api.rows(item["url"].as_str().unwrap()).await;
        assert_eq!(held.len() as u64, item["count"].as_u64().unwrap());
    }
    // What was refused is told of for a day, what is in quarantine until somebody cares.
    api.advance(86_400);
    assert_eq!(told(&api, "pushes_refused").await.len(), 2);
    api.advance(1);
    assert_eq!(told(&api, "pushes_refused").await.len(), 0);
    assert_eq!(told(&api, "pushes_quarantined").await.len(), 1);
}

#[tokio::test]
async fn a_router_that_is_offline_is_told_of_and_many_are_told_as_one() {
    let api = Api::with_rcms().await;
    let named = ListedDevice { name: text("SZ-Yantian-07"), ..listed("RT1", DeviceState::Offline) };
    let online = listed("RT2", DeviceState::Online);
    api.poll(listing(api.freshness(), vec![named, online])).await;
    api.advance(60);
    assert_eq!(told(&api, "router_offline").await.len(), 0, "it was offline in one reading alone");
    api.poll(listing(api.freshness(), Vec::new())).await;
    api.advance(60);
    let mut items = api.rows("/v1/attention").await;
    sentence(
        &mut items[0],
        "Router SZ-Yantian-07 has been offline since before simdeck first saw it 2 min ago: check its \
         power, its antenna and its SIM.",
    );
    let expected = json!([{
        "kind": "router_offline", "severity": "notice", "since": "2024-09-05T01:30:49.000Z",
        "count": 1, "sn": "RT1", "name": "SZ-Yantian-07",
        "url": format!("{}/v1/devices/RT1", api.base),
    }]);
    assert_eq!(Value::from(items), expected);

    let offline = |count| (1..=count).map(|n| listed(&format!("RT{n}"), DeviceState::Offline));
    api.poll(listing(api.freshness(), offline(5).collect())).await;
    assert_eq!(told(&api, "router_offline").await.len(), 1, "the others were so once");
    api.advance(60);
    api.poll(listing(api.freshness(), Vec::new())).await;
    let items = told(&api, "router_offline").await;
    assert_eq!(items.len(), 5);
    let of_two = items.iter().find(|item| item["sn"] == "RT2").unwrap();
    let sentence_of_two = of_two["sentence"].as_str().unwrap();
    assert!(sentence_of_two.contains("has been offline for 1 min"), "{sentence_of_two}");
    api.poll(listing(api.freshness(), offline(6).collect())).await;
    assert_eq!(told(&api, "router_offline").await.len(), 5, "the sixth was so once");
    api.advance(60);
    api.poll(listing(api.freshness(), Vec::new())).await;
    let mut items = told(&api, "router_offline").await;
    sentence(
        &mut items[0],
        "6 routers are offline: look whether they share a site, a network or a firmware version.",
    );
    let expected = json!([{
        "kind": "router_offline", "severity": "warning", "since": null, "count": 6,
        "url": format!("{}/v1/devices?state=offline", api.base),
    }]);
    assert_eq!(Value::from(items), expected);
}

#[tokio::test]
async fn routers_that_are_offline_for_one_reading_are_not_told_of_however_many() {
    let api = Api::with_rcms().await;
    let all = |state| (1..=20).map(|n| listed(&format!("RT{n}"), state)).collect::<Vec<_>>();
    for state in [DeviceState::Online, DeviceState::Offline, DeviceState::Online] {
        api.poll(listing(api.freshness(), all(state))).await;
        api.advance(60);
        assert_eq!(told(&api, "router_offline").await.len(), 0, "{state:?}");
    }
    assert_eq!(api.rows("/v1/devices/RT1/history").await.len(), 3, "its history has them");
}

#[tokio::test]
async fn rcms_is_told_of_when_it_fails_or_says_nothing_any_more() {
    let api = Api::with_rcms().await;
    assert_eq!(api.rows("/v1/attention").await, Vec::<Value>::new());
    let now = api.freshness().now;
    api.poll(listing(api.freshness(), vec![listed("RT1", DeviceState::Offline)])).await;
    api.advance(180);
    assert_eq!(told(&api, "rcms_failing").await.len(), 0);
    api.advance(1);
    // What is not known to be offline is not told to be.
    let mut items = api.rows("/v1/attention").await;
    sentence(
        &mut items[0],
        "RCMS has told nothing of the routers for 3 min, so nobody knows which are online. Look at \
         the status for what the poller does.",
    );
    let expected = json!({
        "kind": "rcms_failing", "severity": "warning", "since": "2024-09-05T01:30:49.000Z",
        "count": 1, "url": format!("{}/v1/status", api.base),
    });
    assert_eq!(Value::from(items), json!([expected]));

    let why = failure(now, PollFailureKind::Signature, "The client secret is wrong.");
    let failing = [(PollCall::DeviceList, why)].into_iter().collect();
    api.report(PollReport { failing, ..PollReport::default() });
    let mut items = api.rows("/v1/attention").await;
    sentence(
        &mut items[0],
        "RCMS does not answer as it should: what is known of the routers may be old. The client \
         secret is wrong.",
    );
    assert_eq!(Value::from(items), json!([expected]));
    // Without RCMS there is nothing to say of it, whatever is stored.
    let off = Api::new(ApiSettings::default()).await;
    off.poll(listing(off.freshness(), vec![listed("RT1", DeviceState::Offline)])).await;
    assert_eq!(off.rows("/v1/attention").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_sim_is_told_of_that_uses_five_times_its_usual() {
    for api in each_way().await {
        let network =
            r#","mcc":"262","mnc":"01","apn":"iot.east","sim_group":"EV","country_code":"DE""#;
        // Median 16 MiB over seven days with use, the oldest of them just within the two weeks.
        let days = [1, 2, 3, 5, 8, 13, 14];
        let volumes = [1, 2, 3, 16, 17, 18, 19].map(|megabytes| megabytes << 20);
        let mut records: Vec<String> = days
            .iter()
            .zip(volumes)
            .map(|(day, volume)| usage(SIM, TODAY_MS - day * DAY_MS, volume, network))
            .collect();
        records.push(usage(SIM, TODAY_MS - 4 * DAY_MS, 0, network)); // no use
        records.push(usage(SIM, TODAY_MS - 15 * DAY_MS, 1, network)); // too long ago
        records.push(usage(SIM, TODAY_MS, (80 << 20) - 1, network));
        push_usage(&api, &records).await;
        assert_eq!(api.rows("/v1/attention").await, Vec::<Value>::new());
        push_usage(&api, &[usage(SIM, TODAY_MS + 1, 1, network)]).await;
        let mut items = api.rows("/v1/attention").await;
        sentence(
            &mut items[0],
            "SIM …4417 used 80 MB today, 5 times its usual 16 MB: look for a new firmware, a \
             transfer that does not end, or a SIM in the wrong hands.",
        );
        let expected = json!([{
            "kind": "sim_above_usual", "severity": "warning",
            "since": "2024-09-05T00:00:00.000Z", "count": 1,
            "url": format!("{}/v1/sims/{SIM}", api.base), "giccid": SIM, "sim_group": "EV",
            "country_code": "DE", "network": "262-01", "apn": "iot.east",
            "data_usage": 80 << 20, "usual": 16 << 20,
        }]);
        assert_eq!(Value::from(items), expected);
        push_usage(&api, &[usage(SIM, TODAY_MS + 2, 240 << 20, network)]).await;
        let items = api.rows("/v1/attention").await;
        assert_eq!((&items[0]["severity"], items.len()), (&json!("critical"), 1));
    }
}

#[tokio::test]
async fn six_days_of_use_make_nothing_usual_and_the_most_above_it_is_told_first() {
    for api in each_way().await {
        let mut records = Vec::new();
        for number in 1..=22 {
            let giccid = format!("898600123456789044{number:02}");
            let days = if number == 22 { 1..=6 } else { 1..=7 };
            records.extend(days.map(|day| usage(&giccid, TODAY_MS - day * DAY_MS, 10, "")));
            records.push(usage(&giccid, TODAY_MS, 1000 * number, ""));
        }
        push_usage(&api, &records).await;
        let items = told(&api, "sim_above_usual").await;
        let used: Vec<i64> =
            items.iter().map(|item| item["data_usage"].as_i64().unwrap()).collect();
        assert_eq!(used, (2..=21).rev().map(|number| 1000 * number).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn pushes_are_overdue_after_twice_the_usual_pause() {
    for (days, overdue) in [(6, false), (7, true)] {
        for api in each_way().await {
            // Every hour: the quarters between are without usage.
            let hours = (1..=days * 24).map(|hour| TODAY_MS - hour * HOUR_MS);
            let records: Vec<String> = hours.map(|at| usage(SIM, at, 1, "")).collect();
            push_usage(&api, &records).await;
            api.advance(90 * 60);
            assert_eq!(told(&api, "pushes_overdue").await.len(), 0);
            api.advance(60);
            let mut items = told(&api, "pushes_overdue").await;
            assert_eq!(items.len(), usize::from(overdue));
            let Some(item) = items.first_mut() else { continue };
            sentence(
                item,
                "No data usage push has come for 1 h 31 min, since 01:30; the longest pause of a \
                 day is usually 45 min. Check that this server can be reached from outside, and \
                 that SmartHub still has its address.",
            );
            let expected = json!({
                "kind": "pushes_overdue", "severity": "critical",
                "since": "2024-09-05T01:30:49.000Z", "count": 1,
                "url": format!("{}/v1/status", api.base), "pause_s": 91 * 60,
                "usual_pause_s": 45 * 60,
            });
            assert_eq!(*item, expected);
            // A repeat brings nothing new: somebody may be sending one old body again and again.
            let push = |record: &str| format!(r#""cdrs":[{record}]"#);
            api.push_now("data-usage", &push(&records[0])).await;
            assert_eq!(told(&api, "pushes_overdue").await.len(), 1);
            api.push_now("data-usage", &push(&usage(SIM, TODAY_MS, 2, ""))).await;
            assert_eq!(told(&api, "pushes_overdue").await.len(), 0);
        }
    }
}

#[tokio::test]
async fn pushes_are_not_overdue_for_half_an_hour() {
    let api = Api::new(ApiSettings::default()).await;
    let quarters = (1..=7 * 96).map(|quarter| TODAY_MS - quarter * 900_000);
    push_usage(&api, &quarters.map(|at| usage(SIM, at, 1, "")).collect::<Vec<_>>()).await;
    api.advance(30 * 60 - 1);
    assert_eq!(told(&api, "pushes_overdue").await.len(), 0);
    api.advance(1);
    let items = told(&api, "pushes_overdue").await;
    assert_eq!((items.len(), &items[0]["usual_pause_s"]), (1, &json!(0)));
}

#[tokio::test]
async fn a_sim_in_another_device_is_told_of_once_for_a_day() {
    let api = Api::new(ApiSettings::default()).await;
    let giccid = format!(r#""giccid":"{SIM}""#);
    api.push("sim-status", &giccid).await;
    api.push("imei-change", &format!(r#"{giccid},"imei":"1""#)).await;
    api.push("imei-change", &format!(r#"{giccid},"imei":"2""#)).await;
    let old = r#"{"giccid":"89860012345678900001","datePush":1600000000}"#;
    let imported =
        api.post("/v1/import?kind=imei-change", crate::api_harness::ADMIN_KEY, old).await;
    assert_eq!(imported.status(), 200, "{}", imported.text().await.unwrap());
    assert_eq!(api.rows("/v1/notifications?kind=imei-change").await.len(), 3);
    let mut items = api.rows("/v1/attention").await;
    sentence(
        &mut items[0],
        "SIM …4417 is in another device: SmartHub told of a new IMEI at 01:30. If nobody of yours \
         moved it, suspend it.",
    );
    let expected = json!([{
        "kind": "imei_change", "severity": "critical", "since": "2024-09-05T01:30:49.000Z",
        "count": 1, "giccid": SIM, "url": format!("{}/v1/notifications/3", api.base),
    }]);
    assert_eq!(Value::from(items), expected);
    api.advance(86_400);
    assert_eq!(told(&api, "imei_change").await.len(), 1);
    api.advance(1);
    assert_eq!(told(&api, "imei_change").await.len(), 0);
}

/// A SIM that sends every day at this time, so many days, up to the one so many days ago.
fn daily(number: i64, at_ms: i64, last_days_ago: i64, days: i64, more: &str) -> Vec<String> {
    let giccid = format!("898600123456789{number:05}");
    let ago = last_days_ago..last_days_ago + days;
    ago.map(|day| usage(&giccid, TODAY_MS - day * DAY_MS + at_ms, 1, more)).collect()
}

#[tokio::test]
async fn sims_that_fell_silent_together_are_told_as_one_and_others_are_counted() {
    for api in each_way().await {
        let east =
            r#","mcc":"460","mnc":"01","apn":"iot.east","sim_group":"A b","country_code":"CN""#;
        let west =
            r#","mcc":"460","mnc":"01","apn":"iot.west","sim_group":"C","country_code":"CN""#;
        let start =
            r#","mcc":"460","mnc":"02","apn":"iot.east","sim_group":"C","country_code":"MN""#;
        // It is 01:30:49: of three days ago, what was silent from 01:30:48 on is too long silent.
        let at = 5_448_000;
        let mut records = daily(1, at - 3_000_000, 3, 8, east);
        records.extend(daily(2, at, 3, 8, west));
        records.extend(daily(3, at - 7, 3, 8, east));
        records.extend(daily(4, at - 7, 3, 8, start)); // shares the apn with two
        records.extend(daily(5, at - 7, 3, 7, east)); // six days before the last: too few
        records.extend(daily(6, at + 1_000, 3, 8, east)); // not yet
        records.extend(daily(7, at, 15, 8, east)); // long forgotten
        push_usage(&api, &records).await;
        let mut items = api.rows("/v1/attention").await;
        sentence(
            &mut items[0],
            "3 SIMs went silent together at 00:40 on 2024-09-02; all on 460-01, in CN: likely the \
             network, not the devices.",
        );
        sentence(
            &mut items[1],
            "1 SIM has been silent for more than three times the usual: check the devices' power \
             and the SIMs' status.",
        );
        let expected = json!([{
            "kind": "sims_silent", "severity": "warning", "since": "2024-09-02T00:40:48.000Z",
            "count": 3, "network": "460-01", "country_code": "CN",
            "url": format!(
                "{}/v1/sims?silent_for=24h&mcc=460&mnc=01&country_code=CN", api.base),
        }, {
            "kind": "sims_silent", "severity": "notice", "since": null, "count": 1,
            "url": format!("{}/v1/sims?silent_for=24h", api.base),
        }]);
        assert_eq!(Value::from(items.clone()), expected);
        assert_eq!(api.rows(items[0]["url"].as_str().unwrap()).await.len(), 6);
        // One that sends again is not silent.
        push_usage(&api, &[usage("89860012345678900002", TODAY_MS, 1, west)]).await;
        let items = told(&api, "sims_silent").await;
        // Of the others three still share an apn.
        assert_eq!((items.len(), &items[0]["apn"]), (1, &json!("iot.east")));
    }
}

#[tokio::test]
async fn a_group_in_a_new_country_is_told_of_for_a_day() {
    for api in each_way().await {
        let home = r#","mcc":"262","mnc":"01","sim_group":"Trackers","country_code":"DE""#;
        let away = r#","mcc":"220","mnc":"01","sim_group":"Trackers","country_code":"RS""#;
        let other = r#","mcc":"220","mnc":"03","sim_group":"Meters","country_code":"DE""#;
        let there = [usage(SIM, TODAY_MS, 1, home), usage(SIM, TODAY_MS, 1, other)];
        push_usage(&api, &there).await;
        // Of a week less a second, then a week.
        api.advance(7 * 86_400 - 1);
        let then_ms = TODAY_MS + 7 * DAY_MS;
        let second = "89860012345678900002";
        let more = [usage(SIM, then_ms, 30 << 20, away), usage(second, then_ms, 8 << 20, away)];
        push_usage(&api, &more).await;
        // A new network of a known country is no news.
        let elsewhere = home.replace("\"01\"", "\"02\"");
        push_usage(&api, &[usage(SIM, then_ms - 1, 1, &elsewhere)]).await;
        assert_eq!(told(&api, "new_country").await.len(), 0);
        api.advance(1);
        let mut items = told(&api, "new_country").await;
        assert_eq!(items.len(), 1, "{items:?}");
        sentence(
            &mut items[0],
            "SIMs of group Trackers used data in RS for the first time: 38 MB so far, 2 SIMs are \
             there now. Check that they belong there, and what roaming costs.",
        );
        let expected = json!([{
            "kind": "new_country", "severity": "warning", "since": "2024-09-12T00:00:00.000Z",
            "count": 2, "sim_group": "Trackers", "country_code": "RS", "data_usage": 38 << 20,
            "url": format!("{}/v1/sims?sim_group=Trackers&country_code=RS", api.base),
        }]);
        assert_eq!(Value::from(items), expected);
        api.advance(86_399);
        assert_eq!(told(&api, "new_country").await.len(), 1);
        api.advance(1);
        assert_eq!(told(&api, "new_country").await.len(), 0);
    }
}
