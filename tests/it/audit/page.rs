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
