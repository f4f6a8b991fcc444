//! The time zone in which a page tells times to its reader.
use reqwest::{Method, header};
use simdeck::http::ApiSettings;

use crate::{
    api_harness::{ADMIN_KEY, Api},
    page::Browser,
};

const PAGES: [&str; 7] =
    ["/", "/live", "/live?tab=requests", "/sims", "/messages", "/routers", "/api"];

#[tokio::test]
async fn times_are_told_in_the_zone_of_the_browser_until_its_reader_chooses_another() {
    let api = Api::new(ApiSettings::default()).await;
    api.push(
        "data-usage",
        r#""giccid":"8986001234567890001","data_usage":5,"start_time":1725499800000"#,
    )
    .await;
    let mut browser = Browser::with_key(&api, ADMIN_KEY).await;
    let session = browser.cookie.clone().unwrap();
    let mut look = async |cookies: &str, zone: &str, chosen: &str| {
        browser.cookie = Some(format!("{session}{cookies}"));
        for url in PAGES {
            let page = browser.page(url).await;
            assert!(page.contains(&format!(r#"data-zone="{zone}""#)), "{url}, {cookies}: {page}");
            let option = format!(r#"<option value="{chosen}" selected>"#);
            assert!(page.contains(&option), "{url}, {cookies}: {page}");
        }
        let page = browser.page("/?range=30d").await;
        assert!(page.contains(&format!("Times in {zone}")), "{cookies}: {page}");
        page
    };
    // Without a script nobody knows the browser's.
    look("", "UTC", "browser").await;
    look("; simdeck_browser_zone=Moon/Base", "UTC", "browser").await;
    let page = look("; simdeck_browser_zone=Asia/Shanghai", "Asia/Shanghai", "browser").await;
    // The days of the chart are those of the reader, and so are those of the call beside it.
    assert!(page.contains("tz=Asia%2FShanghai") && page.contains("T16%3A00%3A00"), "{page}");
    let cookies = "; simdeck_zone=server; simdeck_browser_zone=Asia/Shanghai";
    look(cookies, "UTC", "server").await;
    let cookies = "; simdeck_zone=Asia/Kathmandu; simdeck_browser_zone=Asia/Shanghai";
    let page = look(cookies, "Asia/Kathmandu", "Asia/Kathmandu").await;
    assert!(page.contains("T18%3A15%3A00"), "{page}");
}

#[tokio::test]
async fn a_reader_chooses_a_zone_without_a_script_and_only_one_that_there_is() {
    let api = Api::new(ApiSettings::default()).await;
    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    for (zone, is_known) in [
        ("Asia/Tokyo", true),
        ("browser", true),
        ("server", true),
        ("Moon/Base", false),
        ("UTC; Domain=evil.example", false),
        ("../../etc/passwd", false),
        ("", false),
    ] {
        let form = [("zone", zone), ("next", "/sims?sort=newest")];
        let response = browser.post("/preferences", &form).await;
        assert_eq!(response.status(), 303);
        assert_eq!(response.headers()[header::LOCATION], "/sims?sort=newest");
        let cookie = response.headers().get(header::SET_COOKIE).map(|it| it.to_str().unwrap());
        match cookie {
            Some(cookie) => {
                assert!(
                    is_known && cookie.starts_with(&format!("simdeck_zone={zone}; ")),
                    "{cookie}"
                )
            }
            None => assert!(!is_known, "{zone}"),
        }
    }
    let outside = Browser::new(&api).send(Method::GET, "/sign-in", "en").await;
    assert_eq!(outside.status(), 200);
}
