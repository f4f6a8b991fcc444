//! SIMs, by the front door: who they are, what they used, what people call them.
use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simdeck::{domain::DeviceState, http::ApiSettings};

use crate::{
    api_devices,
    api_harness::{ADMIN_KEY, Api, link, problem_of},
};

/// 2024-09-05T01:30:48Z, a second before the clock of the harness.
const NOW_MS: i64 = 1_725_499_848_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn giccid(sim: usize) -> String {
    format!("898600123456789{sim:05}")
}

/// Pushes a usage record of a SIM.
async fn used(api: &Api, sim: usize, start_ms: i64, volume: i64, more: &str) {
    let giccid = giccid(sim);
    let members =
        format!(r#""giccid":"{giccid}","data_usage":{volume},"start_time":{start_ms}{more}"#);
    api.push("data-usage", &members).await;
}

async fn api() -> Api {
    Api::new(ApiSettings::default()).await
}

fn giccids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["giccid"].as_str().unwrap()).collect()
}

async fn listed(api: &Api, query: &str) -> Vec<String> {
    let rows = api.rows(&format!("/v1/sims{query}")).await;
    giccids(&rows).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_sim_is_one_row_whatever_its_subscribers_with_its_last_network_and_its_usage() {
    let api = api().await;
    let network = r#","imsi":"460100000000001","mcc":"460","mnc":"01","country_code":"CN","apn":"iot","sim_group":"a""#;
    used(&api, 1, NOW_MS - 40 * DAY_MS, 1_000, network).await;
    used(&api, 1, NOW_MS - 15 * HOUR_MS, 100, network).await;
    // The newest by its own time, though another comes after it.
    used(&api, 1, NOW_MS, 7, r#","imsi":"440100000000001","mcc":"440","country_code":"JP""#).await;
    used(&api, 1, NOW_MS - HOUR_MS, 3, network).await;
    let sms = format!(r#""giccid":"{}","event_time":{}"#, giccid(1), NOW_MS - 50 * DAY_MS);
    api.push("mo-sms", &sms).await;
    let url = format!("{}/v1/sims/{}", api.base, giccid(1));
    let mut row = json!({
        "giccid": giccid(1),
        "imsi": "440100000000001",
        "name": null,
        "device_sn": null,
        "sim_group": null,
        "country_code": "JP",
        "mcc": "440",
        "mnc": null,
        "apn": null,
        "first_seen": "2024-07-17T01:30:48.000Z",
        "last_seen": "2024-09-05T01:30:48.000Z",
        "data_usage_today": 10,
        "records_today": 2,
        "data_usage_this_month": 110,
        "records_this_month": 3,
        "url": url,
        "timeline_url": format!("{url}/timeline"),
        "data_usage_url": format!("{}/v1/data-usage?giccid={}", api.base, giccid(1)),
        "device_url": null,
    });
    assert_eq!(api.rows("/v1/sims").await, [row.clone()]);
    row["device"] = Value::Null;
    let one: Value = api.get(&url).await.json().await.unwrap();
    assert_eq!(one, row);
    // In Honolulu the day began 15 and a half hours ago, in Auckland 13 and a half.
    for (zone, today) in [("Pacific/Auckland", 10), ("Pacific/Honolulu", 110), ("UTC", 10)] {
        let one: Value = api.get(&format!("{url}?tz={zone}")).await.json().await.unwrap();
        assert_eq!(one["data_usage_today"], today, "{zone}");
    }
    let table = api.get("/v1/sims?format=csv").await.text().await.unwrap();
    assert!(table.contains(&format!("\r\n{},440100000000001,,,,JP,440,,,2024-07", giccid(1))));
}

#[tokio::test]
async fn sims_are_filtered_and_sorted_by_what_their_last_record_says() {
    let api = api().await;
    for (sim, hours_ago, volume, group) in
        [(1, 1, 5, "a"), (2, 30, 50, "b"), (3, 2, 500, "a"), (4, 3, 1, "")]
    {
        let more = format!(r#","sim_group":"{group}","country_code":"CN""#);
        used(&api, sim, NOW_MS - hours_ago * HOUR_MS, volume, &more).await;
    }
    let named = |sims: &[usize]| sims.iter().copied().map(giccid).collect::<Vec<_>>();
    for (query, sims) in [
        ("", &[4, 3, 2, 1][..]),
        ("?sort=newest&tz=Asia/Shanghai", &[4, 3, 2, 1]),
        ("?sort=last_seen", &[1, 3, 4, 2]),
        ("?sort=data_usage", &[3, 2, 1, 4]),
        ("?sort=data_usage&tz=Asia/Shanghai", &[3, 2, 1, 4]),
        ("?sort=last_seen&sim_group=a", &[1, 3]),
        ("?sim_group=a,b&country_code=CN", &[3, 2, 1]),
        ("?sim_group=", &[4]),
        ("?silent_for=24h", &[2]),
        ("?silent_for=150m", &[4, 2]),
        ("?silent_for=2d", &[]),
        ("?silent_for=999999999w", &[]),
        ("?q=%20", &[]),
        ("?q=00003&q=00004", &[4, 3]),
        ("?country_code=JP", &[]),
    ] {
        assert_eq!(listed(&api, query).await, named(sims), "{query}");
        let response = api.get(&format!("/v1/sims{query}")).await;
        assert_eq!(response.headers()["x-total-count"], sims.len().to_string(), "{query}");
    }
    for (query, field) in [
        ("silent_for=24", "silent_for"),
        ("silent_for=9999999999d", "silent_for"),
        ("sort=usage", "sort"),
        ("giccid=1", "giccid"),
    ] {
        let (status, problem) = api.problem(&format!("/v1/sims?{query}")).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{query}");
    }
    let (status, problem) = api.problem("/v1/sims?tz=Mars/Olympus").await;
    assert_eq!((status, &problem["errors"][0]["field"]), (409, &json!("tz")));
    for nobody in [giccid(9), "1234".to_owned()] {
        let (status, problem) = api.problem(&format!("/v1/sims/{nobody}")).await;
        assert_eq!((status, &problem["errors"][0]["code"]), (404, &json!("missing")));
    }
}

/// Follows links, and pushes between any two pages.
async fn walk(api: &Api, start: &str, pushed: impl AsyncFn(usize)) -> Vec<String> {
    let (mut met, mut url, mut pages) = (Vec::new(), Some(start.to_owned()), 0);
    while let Some(next) = url {
        let response = api.get(&next).await;
        assert_eq!(response.status(), StatusCode::OK, "{next}");
        url = link(&response, "next");
        let rows: Vec<Value> = response.json().await.unwrap();
        met.extend(giccids(&rows).into_iter().map(str::to_owned));
        pushed(pages).await;
        pages += 1;
    }
    met
}

#[tokio::test]
async fn a_walk_meets_each_sim_once_while_they_send_and_new_ones_come() {
    let api = api().await;
    for sim in 0..30 {
        used(&api, sim * 2, NOW_MS - DAY_MS - i64::try_from(sim).unwrap(), 1, "").await;
    }
    let all: Vec<_> = (0..30).rev().map(|sim| giccid(sim * 2)).collect();
    // Between two pages one SIM sends again, and one is new.
    let moves = async |page: usize| {
        let later = NOW_MS - HOUR_MS + i64::try_from(page).unwrap();
        used(&api, (page * 14) % 60, later, 1, "").await;
        used(&api, 61 + page * 2, later, 1, "").await;
    };
    assert_eq!(walk(&api, "/v1/sims?size=4", moves).await, all);
    let met = walk(&api, "/v1/sims?size=4&cursor=", moves).await;
    assert_eq!(met.iter().collect::<BTreeSet<_>>().len(), met.len());
    assert_eq!(met[met.len() - 30..], all);
}

#[tokio::test]
async fn a_walk_by_last_record_meets_no_sim_twice_and_all_that_did_not_move() {
    for form in ["size=4", "size=4&cursor="] {
        for sort in ["last_seen", "data_usage"] {
            let api = api().await;
            for sim in 0..30 {
                let nth = i64::try_from(sim).unwrap();
                used(&api, sim, NOW_MS - DAY_MS - nth, 100 - nth, "").await;
            }
            let moves = async |page: usize| {
                let later = NOW_MS - HOUR_MS + i64::try_from(page).unwrap();
                used(&api, 29 - page, later, 1_000, "").await;
                used(&api, 100 + page, later, 1_000, "").await;
            };
            let met = walk(&api, &format!("/v1/sims?sort={sort}&{form}"), moves).await;
            assert_eq!(met.iter().collect::<BTreeSet<_>>().len(), met.len(), "{sort} {form}");
            assert!((0..22).all(|sim| met.contains(&giccid(sim))), "{sort} {form}");
            assert!((100..110).all(|sim| !met.contains(&giccid(sim))), "{sort} {form}");
        }
    }
}

#[tokio::test]
async fn a_sim_gets_a_name_and_its_router_and_the_router_tells_its_sims() {
    let api = Api::with_rcms().await;
    let router = api_devices::listed("SN1", DeviceState::Online);
    api.poll(api_devices::listing(api.freshness(), vec![router])).await;
    used(&api, 1, NOW_MS, 1, "").await;
    let url = format!("/v1/sims/{}", giccid(1));
    let body = r#"{"name":"Büro 1","device_sn":"SN1"}"#;
    let one: Value = api.put(&url, ADMIN_KEY, body).await.json().await.unwrap();
    assert_eq!((&one["name"], &one["device_sn"]), (&json!("Büro 1"), &json!("SN1")));
    assert_eq!(one["device"]["state"], "online");
    assert_eq!(one["device_url"], format!("{}/v1/devices/SN1", api.base));
    let device: Value = api.get("/v1/devices/SN1").await.json().await.unwrap();
    let sims =
        json!([{"giccid": giccid(1), "name": "Büro 1", "url": format!("{}{url}", api.base)}]);
    assert_eq!(device["sims"], sims);
    assert_eq!(listed(&api, "?q=b%C3%BCr").await, [giccid(1)]);
    assert_eq!(listed(&api, "?name=B%C3%BCro+1&device_sn=SN1").await, [giccid(1)]);
    assert_eq!(listed(&api, "?device_sn=sn1").await, [giccid(1)], "one router, in other letters");

    // What is left out stays, null takes away; a SIM may be named before its first record.
    let one: Value = api.put(&url, ADMIN_KEY, r#"{"name":null}"#).await.json().await.unwrap();
    assert_eq!((&one["name"], &one["device_sn"]), (&Value::Null, &json!("SN1")));
    let early = format!("/v1/sims/{}", giccid(2));
    let one: Value = api.put(&early, ADMIN_KEY, r#"{"name":"x"}"#).await.json().await.unwrap();
    assert_eq!((&one["name"], &one["last_seen"]), (&json!("x"), &Value::Null));
    assert_eq!(listed(&api, "").await, [giccid(1)]);
    assert_eq!(api.rows(&format!("{early}/timeline")).await, [] as [Value; 0]);
    let gone = api.put(&early, ADMIN_KEY, r#"{"name":null}"#).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);

    for (body, field) in [
        (r#"{"name":1}"#, "name"),
        (r#"{"name":"a\u0000"}"#, "name"),
        (&format!(r#"{{"name":"{}"}}"#, "x".repeat(65)), "name"),
        (r#"{"device_sn":"a b"}"#, "device_sn"),
        (r#"{"nam":"a"}"#, "nam"),
    ] {
        let (status, problem) = problem_of(api.put(&url, ADMIN_KEY, body).await).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)));
    }
    let who: Vec<_> = api.audit().await.into_iter().map(|row| (row.1, row.2)).collect();
    assert_eq!(who[0], ("sim.label".to_owned(), giccid(1)));
    assert_eq!(who.len(), 4);
}

#[tokio::test]
async fn a_table_names_many_sims_and_tells_which_lines_it_refused() {
    let api = api().await;
    used(&api, 1, NOW_MS, 1, "").await;
    used(&api, 2, NOW_MS, 1, "").await;
    let (one, two, three) = (giccid(1), giccid(2), giccid(3));
    let table = format!(
        "\u{feff}giccid,name,device_sn\r\n{one},\"a, b\",SN1\r\n=\"{two}\",,SN2\r\n{three},c,\r\n\
         12,x,\r\n{one},ok\r\n{two},d,not a sn\r\n"
    );
    let told: Value = api.post("/v1/sims/import", ADMIN_KEY, &table).await.json().await.unwrap();
    assert_eq!(
        told,
        json!({"updated": 2, "unknown": 1, "refused_lines": 3, "refused": [
            {"line": 5, "field": "giccid", "code": "invalid"},
            {"line": 6, "field": "device_sn", "code": "missing_field"},
            {"line": 7, "field": "device_sn", "code": "invalid"},
        ]})
    );
    let mut rows = api.rows("/v1/sims").await;
    rows.reverse();
    assert_eq!((&rows[0]["name"], &rows[0]["device_sn"]), (&json!("a, b"), &json!("SN1")));
    assert_eq!((&rows[1]["name"], &rows[1]["device_sn"]), (&Value::Null, &json!("SN2")));
    // A column that is not there changes nothing.
    let names = format!("name,giccid\n,{one}\n");
    let told: Value = api.post("/v1/sims/import", ADMIN_KEY, &names).await.json().await.unwrap();
    assert_eq!(told["updated"], 1);
    let row = api.rows("/v1/sims").await.pop().unwrap();
    assert_eq!((&row["name"], &row["device_sn"]), (&Value::Null, &json!("SN1")));

    let mut many = "giccid,name\n".to_owned();
    (10..1_710).for_each(|sim| many += &format!("{},n{sim}\n", giccid(sim)));
    many += &"x,y\n".repeat(101);
    let told: Value = api.post("/v1/sims/import", ADMIN_KEY, &many).await.json().await.unwrap();
    assert_eq!((&told["unknown"], &told["refused_lines"]), (&json!(1_700), &json!(101)));
    assert_eq!(told["refused"].as_array().unwrap().len(), 100);
    for broken in ["", "name,device_sn\n", "giccid,colour\n", "giccid,giccid\n"] {
        let (status, _) = problem_of(api.post("/v1/sims/import", ADMIN_KEY, broken).await).await;
        assert_eq!(status, 422, "{broken}");
    }
    let large = "x".repeat((8 << 20) + 1);
    let (status, _) = problem_of(api.post("/v1/sims/import", ADMIN_KEY, &large).await).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn only_an_admin_names_sims() {
    let api = api().await;
    let made = api.post("/v1/keys", ADMIN_KEY, r#"{"label":"r","scope":"read"}"#).await;
    let made: Value = made.json().await.unwrap();
    let key = made["key"].as_str().unwrap();
    let url = format!("/v1/sims/{}", giccid(1));
    assert_eq!(api.put(&url, key, "{}").await.status(), StatusCode::FORBIDDEN);
    let import = api.post("/v1/sims/import", key, "giccid\n").await;
    assert_eq!(import.status(), StatusCode::FORBIDDEN);
    assert_eq!(api.send(Method::GET, "/v1/sims", Some(key)).await.status(), StatusCode::OK);
    assert_eq!(api.send(Method::GET, "/v1/sims", None).await.status(), StatusCode::UNAUTHORIZED);
}
