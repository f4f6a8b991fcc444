//! The pages of the SIMs and of one of them.
use reqwest::{StatusCode, header};
use serde_json::Value;
use simdeck::{
    domain::{DeviceState, ListedDevice},
    http::ApiSettings,
};

use crate::{
    api_devices::{self, listed, listing},
    api_harness::{ADMIN_KEY, Api},
    browser::{Browser, between},
};

/// 2024-09-05T01:30:48Z, a second before the clock of the harness.
pub(crate) const NOW_MS: i64 = 1_725_499_848_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

pub(crate) fn giccid(sim: usize) -> String {
    format!("898600123456789{sim:05}")
}

pub(crate) async fn api() -> Api {
    let sms_text_field = Some("text".to_owned());
    Api::new(ApiSettings { sms_text_field, ..ApiSettings::default() }).await
}

pub(crate) async fn at(api: &Api) -> Browser {
    Browser::signed_in(&api.base, ADMIN_KEY).await
}

/// Pushes a usage record of a SIM.
pub(crate) async fn used(api: &Api, sim: usize, start_ms: i64, volume: i64, more: &str) {
    let giccid = giccid(sim);
    let members =
        format!(r#""giccid":"{giccid}","data_usage":{volume},"start_time":{start_ms}{more}"#);
    api.push("data-usage", &members).await;
}

/// Pushes a message of a SIM.
pub(crate) async fn sent(api: &Api, sim: usize, from: &str, text: &str) {
    let (giccid, event_ms) = (giccid(sim), NOW_MS - 1);
    let members = format!(
        r#""giccid":"{giccid}","event_time":{event_ms},"from_msisdn":"{from}","to_msisdn":"10086",
            "sim_group":"group {sim}","text":"{text}""#
    );
    api.push("mo-sms", &members).await;
}

/// As many SIMs, each with one record, the first ones longest ago.
pub(crate) async fn fleet(api: &Api, sims: usize) {
    for sim in 0..sims {
        let (group, mnc) = [("a", "01"), ("b, c", "02")][sim % 2];
        let hours = i64::try_from(sims - sim).unwrap();
        let volume = i64::try_from(sim * 7 % 31).unwrap() * 1_000;
        let more = format!(
            r#","sim_group":"{group}","country_code":"CN","mcc":"460","mnc":"{mnc}","apn":"iot""#
        );
        used(api, sim, NOW_MS - hours * HOUR_MS, volume, &more).await;
    }
}

/// The giccids of a table's rows.
pub(crate) fn rows(page: &str) -> Vec<String> {
    let rows = page.split("<tr data-row data-giccid=\"").skip(1);
    rows.map(|row| row.split_once('"').unwrap().0.to_owned()).collect()
}

/// Where the link with these words, or with this attribute, leads.
pub(crate) fn link(page: &str, mark: &str) -> Option<String> {
    let (before, rest) = page.split_once(mark)?;
    let told = match rest.split_once("href=\"") {
        Some((between, address)) if !between.contains('>') => address,
        _ => before.rsplit_once("href=\"").unwrap().1,
    };
    Some(told.split_once('"').unwrap().0.replace("&#38;", "&"))
}

/// What the API lists.
async fn asked(api: &Api, url: &str) -> Vec<String> {
    let rows = api.rows(url).await;
    rows.iter().map(|row| row["giccid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn sims_are_listed_in_the_order_that_is_asked_for_and_turned_page_by_page() {
    let api = api().await;
    fleet(&api, 45).await;
    let browser = at(&api).await;
    for (page, list) in [
        ("/sims", "/v1/sims?size=100"),
        ("/sims?sort=last_seen", "/v1/sims?size=100&sort=last_seen"),
        ("/sims?sort=data_usage", "/v1/sims?size=100&sort=data_usage"),
        ("/sims?sim_group=b%2C%20c", "/v1/sims?size=100&sim_group=b%5C%2C%20c"),
    ] {
        let (mut met, mut next, mut last) = (Vec::new(), Some(page.to_owned()), String::new());
        while let Some(address) = next {
            assert!(met.len() < 45, "it goes round and round: {address}");
            last = browser.page(&address).await;
            met.extend(rows(&last));
            next = link(&last, "rel=\"next\"");
            assert!(next.as_ref().is_none_or(|next| next.starts_with("/sims?")), "{next:?}");
        }
        assert_eq!(met, asked(&api, list).await, "{page}");
        let before = browser.page(&link(&last, "rel=\"prev\"").unwrap()).await;
        assert_eq!(rows(&before), met[(met.len() - 1) / 20 * 20 - 20..(met.len() - 1) / 20 * 20]);
    }
    let page = browser.page("/sims").await;
    assert!(page.contains("20 of 45"), "{page}");
    let chosen = between(&page, "<nav class=\"choice\"", "</nav>");
    assert!(chosen.contains("aria-current=\"true\">newest first<"), "{chosen}");
    let most = browser.page(&link(&page, ">most used this month first<").unwrap()).await;
    assert_eq!(rows(&most), asked(&api, "/v1/sims?sort=data_usage").await);
}

#[tokio::test]
async fn a_row_tells_what_the_api_tells_and_every_value_of_it_narrows_the_list() {
    let api = api().await;
    fleet(&api, 4).await;
    let browser = at(&api).await;
    let page = browser.page("/sims?sort=last_seen").await;
    let row = between(&page, &format!("data-giccid=\"{}\"", giccid(3)), "</tr>");
    assert!(row.contains("8986 0012 3456 7890</span> <b>0003</b>"), "{row}");
    // 21,000 bytes, an hour ago, and its exact time.
    assert!(row.contains("title=\"21,000 B\">20.5 KB<"), "{row}");
    let time = r#"<time datetime="2024-09-05T00:30:48.000Z" title="2024-09-05 00:30:48">00:30<"#;
    assert!(row.contains(time), "{row}");
    assert!(row.contains(r#"data-country="CN">CN<"#), "{row}");
    for (mark, sims) in [
        (">b, c<", &[3, 1][..]),
        (">460-01<", &[2, 0]),
        (">CN<", &[3, 2, 1, 0]),
        (">iot<", &[3, 2, 1, 0]),
    ] {
        let there = link(&page, mark).unwrap();
        assert!(there.contains("sort=last_seen"), "{there}");
        let narrowed = browser.page(&there).await;
        assert_eq!(
            rows(&narrowed),
            sims.iter().copied().map(giccid).collect::<Vec<_>>(),
            "{there}"
        );
        // A chip takes the filter away again.
        let back = link(&narrowed, "class=\"button chosen\"").unwrap();
        assert_eq!(rows(&browser.page(&back).await).len(), 4, "{back}");
    }
}

#[tokio::test]
async fn a_facet_tells_what_is_used_most_and_adds_its_filter() {
    let api = api().await;
    fleet(&api, 4).await;
    used(&api, 9, NOW_MS - 40 * DAY_MS, 1_000_000, r#","sim_group":"old""#).await;
    let browser = at(&api).await;
    let page = browser.page("/sims").await;
    let groups = between(&page, "<section aria-label=\"Group\">", "</section>");
    // 7,000 and 21,000 bytes; what is older than 30 days counts no more.
    assert!(groups.contains(">27.3 KB<") && groups.contains(">13.7 KB<"), "{groups}");
    assert!(!groups.contains(">old<"), "{groups}");
    let call = between(groups, "data-copy=\"", "\"").to_owned();
    assert!(call.contains("group_by=sim_group&#38;top=8"), "{call}");
    let networks = between(&page, "<section aria-label=\"Network\">", "</section>");
    let there = link(networks, ">460-02<").unwrap();
    assert_eq!(there, "/sims?mcc=460&mnc=02");
    assert_eq!(rows(&browser.page(&there).await), [giccid(3), giccid(1)]);
}

#[tokio::test]
async fn a_filter_that_is_set_or_taken_away_on_a_later_page_begins_the_list_anew() {
    let api = api().await;
    fleet(&api, 45).await;
    let browser = at(&api).await;
    let page = browser.page("/sims?sim_group=a").await;
    let second = browser.page(&link(&page, "rel=\"next\"").unwrap()).await;
    for mark in ["class=\"button chosen\"", ">last seen first<", ">7d<", ">460-01<"] {
        let there = link(&second, mark).unwrap();
        assert!(!there.contains("at="), "{there}");
        let page = browser.page(&there).await;
        assert!(!page.contains("class=\"trouble\""), "{there}: {page}");
    }
}

#[tokio::test]
async fn where_no_sim_is_listed_the_page_says_why() {
    let api = api().await;
    let browser = at(&api).await;
    assert!(browser.page("/sims").await.contains("No SIM has been seen yet"));
    fleet(&api, 2).await;
    let nothing = "Nothing matches these filters.";
    for query in ["apn=x", "q=nowhere", "silent_for=30d"] {
        let page = browser.page(&format!("/sims?{query}")).await;
        assert!(page.contains(nothing), "{query}: {page}");
        assert_eq!(link(&page, ">Clear filters<").unwrap(), "/sims", "{query}");
    }
    let silent = browser.page("/sims?silent_for=90m").await;
    assert_eq!(rows(&silent), [giccid(0)]);
    // What the API refuses is told where the list would be; the facets stand.
    let page = browser.page("/sims?silent_for=x").await;
    assert!(page.contains("class=\"trouble\"") && page.contains("<h3>Network</h3>"), "{page}");
    let zh = at(&api).await.in_chinese().page("/sims?apn=x").await;
    assert!(zh.contains("没有符合筛选条件的内容"), "{zh}");
}

#[tokio::test]
async fn a_sims_page_tells_the_sums_of_the_api_and_its_whole_story() {
    let api = api().await;
    let more =
        r#","imsi":"460100000000001","mcc":"460","mnc":"01","country_code":"CN","sim_group":"a""#;
    used(&api, 1, NOW_MS - 3 * DAY_MS, 5_000_000, more).await;
    used(&api, 1, NOW_MS - 40 * DAY_MS, 7_000, more).await;
    used(&api, 1, NOW_MS, 1_536, more).await;
    used(&api, 2, NOW_MS, 999_999, "").await;
    sent(&api, 1, "882360", "DOOR OPEN").await;
    let imei = format!(r#""giccid":"{}","old_imei":"35000","new_imei":"35111","n":1"#, giccid(1));
    api.push("imei-change", &imei).await;
    let browser = at(&api).await;
    let url = format!("/sims/{}", giccid(1));
    let page = browser.page(&url).await;
    let sim: Value = api.get(&format!("/v1{url}")).await.json().await.unwrap();
    assert_eq!(sim["data_usage_today"], 1_536);
    assert!(page.contains("title=\"1,536 B\"><b>1.5 KB</b>"), "{page}");
    assert_eq!(sim["data_usage_this_month"], 5_001_536);
    assert!(page.contains("title=\"5,001,536 B\"><b>4.77 MB</b>"), "{page}");
    assert!(page.contains("8986 0012 3456 7890 <b>0001</b></h1>"), "{page}");
    assert!(page.contains(&format!("data-copy=\"{}\"", giccid(1))), "{page}");
    assert!(page.contains("460100000000001"), "{page}");
    assert!(page.contains("href=\"/sims?sim_group=a\""), "{page}");
    assert!(page.contains(r#"<time datetime="2024-07-27T01:30:48.000Z""#), "first seen: {page}");

    // The chart: 30 days, of which two have records.
    let plot = between(&page, "<svg class=\"plot\"", "</svg>");
    assert_eq!((plot.matches("<rect").count(), plot.matches("class=\"gap\"").count()), (30, 28));
    let summary = "4.77 MB in all, at most 4.77 MB on 2 Sep. 2 times above the usual range.";
    assert!(page.contains(summary), "{page}");
    let table = browser.page(&link(&page, ">Table<").unwrap()).await;
    let table = between(&table, "id=\"usage\"", "</section>");
    assert!(!table.contains("<svg class=\"plot\""), "{table}");
    assert_eq!(table.matches("<tr><td>").count(), 30);
    assert!(table.contains("<td>2 Sep</td><td class=\"number\" title=\"5,000,000 B\">"), "{table}");
    assert!(table.contains(">no record<"), "{table}");

    let story = between(&page, "id=\"story\"", "</section>");
    assert!(story.contains("title=\"1,536 B\">+1.5 KB<"), "{story}");
    assert!(story.contains("“<bdi dir=\"auto\">DOOR OPEN</bdi>”"), "{story}");
    assert!(story.contains(">SIM moved<"), "{story}");
    assert!(story.contains("old_imei:</bdi> <bdi dir=\"auto\">35000</bdi>"), "{story}");
    assert_eq!(rows(story).len(), 5, "{story}");
    assert!(!story.contains("999,999"), "{story}");
    for (at, row) in story.split("<tr data-row").skip(1).enumerate() {
        let record = api.get(&link(row, "<a ").unwrap()).await;
        assert_eq!(record.status(), StatusCode::OK, "row {at}");
    }
}

#[tokio::test]
async fn a_chart_of_a_sim_with_a_long_story_shows_what_is_usual() {
    let api = api().await;
    for weeks in 0..9 {
        for day in 0..7 {
            let start_ms = NOW_MS - (weeks * 7 + day) * DAY_MS - HOUR_MS;
            used(&api, 1, start_ms, 1_000_000 + weeks * 1_000, "").await;
        }
    }
    used(&api, 1, NOW_MS - 2 * DAY_MS, 50_000_000, "").await;
    let page = at(&api).await.page(&format!("/sims/{}", giccid(1))).await;
    let usage = between(&page, "id=\"usage\"", "</section>");
    assert!(usage.contains("usual range, 4 weeks"), "{usage}");
    assert_eq!(usage.matches("class=\"bar above\"").count(), 1, "{usage}");
    assert!(usage.contains("Once above the usual range"), "{usage}");
    assert!(usage.contains("usual=true"), "{usage}");
}

#[tokio::test]
async fn a_long_story_is_turned_page_by_page_and_keeps_its_view() {
    let api = api().await;
    for nth in 0..120 {
        used(&api, 1, NOW_MS - nth * 60_000, nth + 1, "").await;
    }
    let browser = at(&api).await;
    let (mut met, mut next) = (Vec::new(), Some(format!("/sims/{}?view=table", giccid(1))));
    while let Some(address) = next {
        assert!(met.len() < 120, "it goes round and round: {address}");
        assert!(address.contains("view=table"), "{address}");
        let page = browser.page(&address).await;
        let story = between(&page, "id=\"story\"", "</section>");
        let volumes = story.split("<b title=\"").skip(1);
        met.extend(volumes.map(|rest| rest.split_once(" B\"").unwrap().0.to_owned()));
        next = link(&page, "rel=\"next\"");
    }
    let all: Vec<_> = (1..=120).rev().map(|volume| volume.to_string()).collect();
    assert_eq!(met, all);
}

#[tokio::test]
async fn a_sim_that_nobody_knows_has_a_page_that_says_so() {
    let api = api().await;
    fleet(&api, 1).await;
    let browser = at(&api).await;
    let timeline = format!("{}%2Ftimeline", giccid(0));
    for nobody in [&giccid(9), "1234", "x%20y%3Fz", "%FF", "..%2Fkeys", &timeline] {
        let answer = browser.open(&format!("/sims/{nobody}")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{nobody}");
        let page = answer.text().await.unwrap();
        assert!(page.contains("No SIM of this number") && page.contains("All SIMs"), "{page}");
        let answer = browser.submit(&format!("/sims/{nobody}"), &[("name", "")]).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{nobody}");
    }
}

#[tokio::test]
async fn an_admin_gives_a_sim_a_name_and_its_router_and_nobody_else_does() {
    let api = Api::with_rcms().await;
    let router =
        ListedDevice { name: api_devices::text("Roof"), ..listed("SN1", DeviceState::Online) };
    api.poll(listing(api.freshness(), vec![router])).await;
    fleet(&api, 1).await;
    let browser = at(&api).await;
    let url = format!("/sims/{}", giccid(0));
    let answer = browser.submit(&url, &[("name", " Büro <1> "), ("device_sn", "SN1")]).await;
    assert_eq!(
        (answer.status(), answer.headers()[header::LOCATION].to_str().unwrap()),
        (StatusCode::SEE_OTHER, url.as_str())
    );
    let sim: Value = api.get(&format!("/v1{url}")).await.json().await.unwrap();
    assert_eq!((&sim["name"], &sim["device_sn"]), (&"Büro <1>".into(), &"SN1".into()));
    let page = browser.page(&url).await;
    assert!(page.contains("Büro &#60;1&#62;</bdi>"), "{page}");
    assert!(page.contains("href=\"/routers/SN1\"><bdi>Roof</bdi>"), "{page}");

    // What is refused stays in the form, with the reason.
    let answer = browser.submit(&url, &[("name", "Keep me"), ("device_sn", "no sn")]).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text().await.unwrap();
    assert!(page.contains("It was not saved") && page.contains("value=\"Keep me\""), "{page}");
    // An empty field takes away.
    browser.submit(&url, &[("name", ""), ("device_sn", "")]).await;
    let sim: Value = api.get(&format!("/v1{url}")).await.json().await.unwrap();
    assert_eq!((&sim["name"], &sim["device_sn"]), (&Value::Null, &Value::Null));

    let made = api.post("/v1/keys", ADMIN_KEY, r#"{"label":"eyes","scope":"read"}"#).await;
    let made: Value = made.json().await.unwrap();
    let eyes = Browser::signed_in(&api.base, made["key"].as_str().unwrap()).await;
    assert!(!eyes.page(&url).await.contains("name=\"device_sn\""));
    let foreign = browser.submit_from("http://evil.example", &url, &[("name", "x")]).await;
    for answer in [eyes.submit(&url, &[("name", "x")]).await, foreign] {
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    let sim: Value = api.get(&format!("/v1{url}")).await.json().await.unwrap();
    assert_eq!(sim["name"], Value::Null);
}
