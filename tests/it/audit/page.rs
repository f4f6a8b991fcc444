//! The page of the audit.
use reqwest::Method;
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use crate::{
    api_harness::{ADMIN_KEY, Api},
    page::Browser,
};

async fn reader_key(api: &Api) -> String {
    let wanted = json!({"label": "<b>eyes</b>", "scope": "read"}).to_string();
    let made: Value = api.post("/v1/keys", ADMIN_KEY, &wanted).await.json().await.unwrap();
    made["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn admins_see_who_did_what_and_readers_not_even_the_way_there() {
    let api = Api::new(ApiSettings::default()).await;
    let key = reader_key(&api).await;
    let admin = Browser::with_key(&api, ADMIN_KEY).await;
    let page = admin.page("/audit").await;
    for shown in ["key.create", "Key made", "127.0.0.1", "admin", "&#60;b&#62;eyes&#60;/b&#62;"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(!page.contains("<b>eyes"), "{page}");
    assert!(admin.page("/").await.contains("href=\"/audit\""));
    let reader = Browser::with_key(&api, &key).await;
    assert!(!reader.page("/").await.contains("/audit"));
    assert_eq!(reader.send(Method::GET, "/audit", "en").await.status(), 403);
    assert_eq!(Browser::new(&api).send(Method::GET, "/audit", "en").await.status(), 303);
}

#[tokio::test]
async fn the_page_is_in_both_languages_and_keeps_its_filters() {
    let api = Api::new(ApiSettings::default()).await;
    reader_key(&api).await;
    let admin = Browser::with_key(&api, ADMIN_KEY).await;
    let chinese = admin.send(Method::GET, "/audit", "zh").await.text().await.unwrap();
    for shown in ["审计", "创建密钥", "登录"] {
        assert!(chinese.contains(shown), "{shown}: {chinese}");
    }
    let page = admin.page("/audit?action=key.create&who=admin").await;
    assert!(page.contains("Key made"), "{page}");
    let rows = page.matches("data-row").count();
    assert_eq!(rows, 1, "{page}");
    assert!(page.contains("/v1/audit?action=key.create&#38;who=admin&#38;format=csv"), "{page}");
    assert!(admin.page("/audit?action=erase").await.contains("Nothing matches these filters."));
}

/// The page's row without what only wide screens show.
fn on_a_phone(page: &str) -> String {
    let body = page.split_once("<tbody>").unwrap().1.split_once("</tbody>").unwrap().0;
    let cells = body.split("<td").filter(|cell| !cell.starts_with(" class=\"wide"));
    cells.collect::<Vec<_>>().join("<td")
}

#[tokio::test]
async fn every_screen_tells_address_details_day_and_second_in_the_readers_zone() {
    let api = Api::new(ApiSettings::default()).await;
    reader_key(&api).await;
    let row = api.rows("/v1/audit?action=key.create").await.remove(0);
    let at: jiff::Timestamp = row["at"].as_str().unwrap().parse().unwrap();
    let mut admin = Browser::with_key(&api, ADMIN_KEY).await;
    let cookie = admin.cookie.take().unwrap();
    admin.cookie = Some(format!("{cookie}; simdeck_zone=Asia/Kathmandu"));
    let page = admin.page("/audit?action=key.create").await;
    let there = at.in_tz("Asia/Kathmandu").unwrap().strftime("%Y-%m-%d %H:%M:%S").to_string();
    assert!(page.contains(&format!(">{there}</time>")), "{there}: {page}");
    assert!(page.contains("Times in Asia/Kathmandu"), "{page}");
    let shown = on_a_phone(&page);
    for told in ["127.0.0.1", &there, row["details"].as_str().unwrap()] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
}

#[tokio::test]
async fn the_mac_of_an_erased_number_is_shortened_and_can_be_copied_whole() {
    let api = Api::new(ApiSettings::default()).await;
    let sim = "8944501503181377993";
    api.push(
        "data-usage",
        &format!(r#""giccid":"{sim}","data_usage":5,"start_time":1725499800000"#),
    )
    .await;
    api.post("/v1/erase", ADMIN_KEY, &json!({"giccid": sim}).to_string()).await;
    let row = api.rows("/v1/audit?action=erase").await.remove(0);
    let mac = row["subject"].as_str().unwrap().to_owned();
    assert_eq!(mac.len(), 64, "{row}");
    let page = Browser::with_key(&api, ADMIN_KEY).await.page("/audit?action=erase").await;
    assert!(!page.contains(&format!(">{mac}<")), "{page}");
    assert!(page.contains(&format!("{}…", &mac[..8])), "{page}");
    assert!(page.contains(&format!("title=\"{mac}\"")), "{page}");
    assert!(page.contains(&format!("data-copy=\"{mac}\"")), "{page}");
}

#[tokio::test]
async fn rows_are_filtered_by_outcome_and_by_times_of_the_readers_zone() {
    let api = Api::new(ApiSettings::default()).await;
    reader_key(&api).await;
    let row = api.rows("/v1/audit?action=key.create").await.remove(0);
    let at: jiff::Timestamp = row["at"].as_str().unwrap().parse().unwrap();
    let there = at.in_tz("Asia/Kathmandu").unwrap();
    let mut admin = Browser::with_key(&api, ADMIN_KEY).await;
    let cookie = admin.cookie.take().unwrap();
    admin.cookie = Some(format!("{cookie}; simdeck_zone=Asia/Kathmandu"));
    let minute = |minutes: i64| {
        let at = there.checked_add(jiff::Span::new().minutes(minutes)).unwrap();
        at.strftime("%Y-%m-%dT%H:%M").to_string()
    };
    for (from, to, outcome, expected) in [
        (minute(-1), minute(1), "done", 1),
        (minute(-1), String::new(), "", 1),
        (minute(1), String::new(), "", 0),
        (String::new(), minute(-1), "", 0),
        (minute(-1), minute(1), "refused", 0),
    ] {
        let url = format!("/audit?action=key.create&from={from}&to={to}&outcome={outcome}");
        let page = admin.page(&url).await;
        assert_eq!(page.matches("data-row").count(), expected, "{url}: {page}");
        assert!(page.contains(&format!("value=\"{from}\"")), "{url}: {page}");
    }
    let page = admin.page("/audit?from=yesterday").await;
    assert!(page.contains("class=\"trouble\""), "{page}");
}

#[tokio::test]
async fn what_the_api_refuses_is_told_in_the_readers_language() {
    let api = Api::new(ApiSettings::default()).await;
    let key = reader_key(&api).await;
    let reader = Browser::with_key(&api, &key).await;
    let response = reader.send(Method::GET, "/audit", "zh").await;
    assert_eq!(response.status(), 403);
    let page = response.text().await.unwrap();
    let main = page.split_once("<main").unwrap().1.split_once("</main>").unwrap().0;
    assert!(main.contains("管理员"), "{main}");
    assert!(!main.contains("Forbidden") && !main.contains("admin"), "{main}");
    let admin = Browser::with_key(&api, ADMIN_KEY).await;
    for path in ["/audit?from=yesterday", "/messages?giccid=1"] {
        let page = admin.send(Method::GET, path, "zh").await.text().await.unwrap();
        let (_, told) = page.split_once("class=\"trouble\"").expect(path);
        assert!(told.split_once("</div>").unwrap().0.contains("参数"), "{path}: {told}");
    }
}
