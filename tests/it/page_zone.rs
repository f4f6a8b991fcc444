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
        }
        let page = browser.page("/time-zone").await;
        let option = format!(r#"<option value="{chosen}" selected>"#);
        assert!(page.contains(&option), "{cookies}: {page}");
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

#[tokio::test]
async fn every_zone_of_the_database_can_be_found_each_with_its_offset_now() {
    let api = Api::new(ApiSettings::default()).await;
    let mut browser = Browser::with_key(&api, ADMIN_KEY).await;
    let session = browser.cookie.clone().unwrap();
    let page = browser.page("/time-zone").await;
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    assert!(names.len() > 400, "{}", names.len());
    for name in &names {
        let option = format!("<option value=\"{name}\"");
        // `Etc/GMT+8` is eight hours west: nobody who reads it takes it so.
        let is_inverted = name.contains("GMT+") || name.contains("GMT-");
        assert_eq!(page.contains(&option), !is_inverted, "{name}");
    }
    // The clock of the API stands in September.
    for (name, told) in [
        ("Asia/Kathmandu", "UTC+05:45"),
        ("Europe/Berlin", "UTC+02:00"),
        ("America/St_Johns", "UTC−02:30"),
        ("UTC", "UTC+00:00"),
    ] {
        let option = format!("<option value=\"{name}\">{told} · {name}</option>");
        assert!(page.contains(&option), "{option}: {page}");
    }
    for (query, found, lost) in [
        ("kathmandu", "Asia/Kathmandu", "Europe/Berlin"),
        ("new york", "America/New_York", "Asia/Tokyo"),
        ("%2B5:45", "Asia/Kathmandu", "Asia/Kolkata"),
        ("UTC%2B05:45", "Asia/Kathmandu", "Asia/Kolkata"),
    ] {
        let page = browser.page(&format!("/time-zone?q={query}")).await;
        assert!(page.contains(&format!("<option value=\"{found}\"")), "{query}: {page}");
        assert!(!page.contains(&format!("<option value=\"{lost}\"")), "{query}: {page}");
    }
    assert!(browser.page("/time-zone?q=moon").await.contains("No time zone"));
    let chinese = browser.send(Method::GET, "/time-zone", "zh").await.text().await.unwrap();
    assert!(chinese.contains(">应用</button>") && !chinese.contains(">设置</button>"), "{chinese}");
    assert!(page.contains(">Apply</button>"), "{page}");
    // Every page tells the zone with its offset, and leads to the choice and back.
    browser.cookie = Some(format!("{session}; simdeck_zone=Asia/Kathmandu"));
    let sims = browser.page("/sims?sort=newest").await;
    assert!(sims.contains("/time-zone?next=%2Fsims%3Fsort%3Dnewest"), "{sims}");
    assert!(sims.contains("Asia/Kathmandu (UTC+05:45)"), "{sims}");
    let page = browser.page("/time-zone?next=%2Fsims%3Fsort%3Dnewest").await;
    assert!(page.contains(r#"name="next" value="/sims?sort=newest""#), "{page}");
}

#[tokio::test]
async fn a_search_for_an_offset_finds_it_and_chooses_nothing_that_the_reader_did_not_name() {
    let api = Api::new(ApiSettings::default()).await;
    let mut browser = Browser::with_key(&api, ADMIN_KEY).await;
    let session = browser.cookie.clone().unwrap();
    let found = |page: &str| -> Vec<String> {
        let options = page.split("<option value=\"").skip(1);
        let names = options.map(|option| option.split('"').next().unwrap().to_owned());
        names.filter(|name| !["browser", "server"].contains(&name.as_str())).collect()
    };
    for query in ["%2B8", "+8", "GMT%2B8", "gmt+8", "UTC%2B8", "UTC%2B08:00", "%2B0800"] {
        let page = browser.page(&format!("/time-zone?q={query}")).await;
        assert_eq!(found(&page).first().unwrap(), "Asia/Shanghai", "{query}: {page}");
        assert!(!page.contains(" selected>UTC"), "{query}: {page}");
        let options = page.matches("<option ").count();
        let east = page.matches(">UTC+08:00 · ").count();
        assert_eq!(options, east + 2, "{query}: {page}");
    }
    for (query, first) in [("%2B2", "Europe/Berlin"), ("utc", "UTC"), ("-8", "America/Anchorage")] {
        let page = browser.page(&format!("/time-zone?q={query}")).await;
        assert_eq!(found(&page).first().unwrap(), first, "{query}: {page}");
    }
    let page = browser.page("/time-zone?q=kathmandu").await;
    assert!(page.contains(r#"<option value="Asia/Kathmandu" selected>"#), "{page}");
    // The reader's own zone stands before all with its offset.
    browser.cookie = Some(format!("{session}; simdeck_zone=Asia/Manila"));
    let page = browser.page("/time-zone?q=%2B8").await;
    assert_eq!(found(&page)[..2], ["Asia/Manila", "Asia/Shanghai"], "{page}");
}
