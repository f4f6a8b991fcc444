//! The page as a browser gets it: the way in and out, the overview, and what arrives.
use reqwest::{Client, Method, Response, Url, header, redirect};
use serde_json::Value;
use simdeck::http::ApiSettings;

use crate::api_harness::{ADMIN_KEY, Api};

/// A browser: it keeps the session's cookie, and says which page sent a form.
pub(crate) struct Browser<'a> {
    api: &'a Api,
    client: Client,
    pub(crate) cookie: Option<String>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(api: &'a Api) -> Self {
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { api, client, cookie: None }
    }

    /// One that has signed in with this key.
    pub(crate) async fn with_key(api: &'a Api, key: &str) -> Self {
        let mut browser = Self::new(api);
        let response = browser.sign_in(&[("key", key)]).await;
        assert_eq!(response.status(), 303);
        browser
    }

    pub(crate) async fn sign_in(&mut self, form: &[(&str, &str)]) -> Response {
        let response = self.post("/sign-in", form).await;
        if let Some(cookie) = response.headers().get(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        }
        response
    }

    pub(crate) async fn send(&self, method: Method, url: &str, lang: &str) -> Response {
        let mut request = self.client.request(method, format!("{}{url}", self.api.base));
        request = request.header(header::ACCEPT_LANGUAGE, lang);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        request.send().await.unwrap()
    }

    /// Sends a form of our own page.
    pub(crate) async fn post(&self, url: &str, form: &[(&str, &str)]) -> Response {
        self.post_from(&self.api.base, url, form).await
    }

    pub(crate) async fn post_from(
        &self,
        origin: &str,
        url: &str,
        form: &[(&str, &str)],
    ) -> Response {
        let body = Url::parse_with_params(&self.api.base, form).unwrap();
        let mut request = self.client.post(format!("{}{url}", self.api.base));
        request = request.body(body.query().unwrap_or_default().to_owned());
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        request = request.header(header::ORIGIN, origin);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        request.send().await.unwrap()
    }

    /// A page that must be there.
    pub(crate) async fn page(&self, url: &str) -> String {
        let response = self.send(Method::GET, url, "en").await;
        assert_eq!(response.status(), 200, "{url}");
        response.text().await.unwrap()
    }

    async fn is_in(&self) -> bool {
        self.send(Method::GET, "/", "en").await.status() == 200
    }
}

fn place(response: &Response) -> &str {
    response.headers()[header::LOCATION].to_str().unwrap()
}

async fn reader_key(api: &Api) -> (i64, String) {
    let made = api.post("/v1/keys", ADMIN_KEY, r#"{"label":"eyes","scope":"read"}"#).await;
    let made: Value = made.json().await.unwrap();
    (made["id"].as_i64().unwrap(), made["key"].as_str().unwrap().to_owned())
}

async fn link(api: &Api) -> String {
    let made = api.post("/v1/sign-in-links", ADMIN_KEY, "").await;
    assert_eq!(made.status(), 201);
    let made: Value = made.json().await.unwrap();
    let url = made["url"].as_str().unwrap().to_owned();
    url.split_once("/sign-in#token=").unwrap().1.to_owned()
}

#[tokio::test]
async fn before_the_sign_in_there_is_nothing_but_the_form() {
    let api = Api::new(ApiSettings::default()).await;
    let browser = Browser::new(&api);
    for url in ["/", "/live", "/live?tab=held", "/sims", "/messages", "/routers", "/api"] {
        let response = browser.send(Method::GET, url, "en").await;
        assert_eq!(response.status(), 303, "{url}");
        assert!(place(&response).starts_with("/sign-in"), "{url}");
    }
    let response = browser.send(Method::GET, "/live?tab=held", "en").await;
    assert_eq!(place(&response), "/sign-in?next=%2Flive%3Ftab%3Dheld");
    for url in ["/test-push", "/held/1/retry"] {
        let response = browser.post(url, &[]).await;
        assert_eq!(response.status(), 303, "{url}");
    }
    let form = browser.page("/sign-in").await;
    assert!(form.contains(r#"type="password""#) && !form.contains("<nav"), "{form}");
}

#[tokio::test]
async fn a_key_opens_a_session_that_leads_to_where_one_wanted_to_go() {
    let api = Api::new(ApiSettings::default()).await;
    let mut browser = Browser::new(&api);
    let wrong = browser.sign_in(&[("key", "sd_wrong")]).await;
    assert_eq!(wrong.status(), 401);
    assert!(wrong.text().await.unwrap().contains("opens nothing"));
    let response = browser.sign_in(&[("key", ADMIN_KEY), ("next", "/live?tab=held")]).await;
    assert_eq!((response.status().as_u16(), place(&response)), (303, "/live?tab=held"));
    let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Max-Age=43200", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(browser.is_in().await);
    let elsewhere = browser.sign_in(&[("key", ADMIN_KEY), ("next", "//evil.example")]).await;
    assert_eq!(place(&elsewhere), "/");
}

#[tokio::test]
async fn a_link_opens_once_and_not_after_a_quarter_of_an_hour() {
    let api = Api::new(ApiSettings::default()).await;
    let (first, second) = (link(&api).await, link(&api).await);
    let mut browser = Browser::new(&api);
    assert_eq!(browser.sign_in(&[("link", &first)]).await.status(), 303);
    assert!(browser.is_in().await);
    assert_eq!(Browser::new(&api).sign_in(&[("link", &first)]).await.status(), 401);
    api.advance(15 * 60);
    assert_eq!(Browser::new(&api).sign_in(&[("link", &second)]).await.status(), 401);
}

#[tokio::test]
async fn a_session_ends_by_the_button_with_its_key_and_after_twelve_hours() {
    let api = Api::new(ApiSettings::default()).await;
    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    assert_eq!(browser.post("/sign-out", &[]).await.status(), 303);
    assert!(!browser.is_in().await);

    let (id, key) = reader_key(&api).await;
    let browser = Browser::with_key(&api, &key).await;
    assert!(browser.is_in().await);
    api.send(Method::DELETE, &format!("/v1/keys/{id}"), Some(ADMIN_KEY)).await;
    assert!(!browser.is_in().await);

    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    api.advance(12 * 60 * 60 - 1);
    assert!(browser.is_in().await);
    api.advance(1);
    assert!(!browser.is_in().await);
}

#[tokio::test]
async fn a_form_of_another_page_does_nothing() {
    let api = Api::new(ApiSettings::default()).await;
    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        for (url, form) in [
            ("/v1/sign-in-links", &[][..]),
            ("/v1/prune", &[]),
            ("/sign-in", &[("key", ADMIN_KEY)]),
        ] {
            let response = browser.post_from(origin, url, form).await;
            assert_eq!(response.status(), 403, "{url} from {origin}");
        }
        browser.post_from(origin, "/sign-out", &[]).await;
        assert!(browser.is_in().await, "signed out by {origin}");
    }
    assert_eq!(browser.post("/v1/sign-in-links", &[]).await.status(), 201);
}

#[tokio::test]
async fn a_reader_looks_and_does_not_act() {
    let api = Api::new(ApiSettings::default()).await;
    let (_, key) = reader_key(&api).await;
    let browser = Browser::with_key(&api, &key).await;
    let page = browser.page("/live").await;
    assert!(!page.contains("/test-push"), "{page}");
    assert_eq!(browser.post("/v1/prune", &[]).await.status(), 403);
    let refused = browser.post("/test-push", &[]).await.text().await.unwrap();
    assert!(refused.contains("did not get through"), "{refused}");
}

#[tokio::test]
async fn failed_attempts_are_limited() {
    let api = Api::new(ApiSettings::default()).await;
    let mut browser = Browser::new(&api);
    let mut last = 401;
    for _ in 0..1_000 {
        last = browser.sign_in(&[("key", "sd_wrong")]).await.status().as_u16();
        if last != 401 {
            break;
        }
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_answered_nothing() {
    let settings = ApiSettings {
        internal_url: Some("https://simdeck.example.com".to_owned()),
        internal_names: vec!["sims.example.net".to_owned()],
        ..ApiSettings::default()
    };
    let api = Api::new(settings).await;
    let client = Client::new();
    let ask = async |path: &str, host: &str| {
        let request = client.get(format!("{}{path}", api.base)).header(header::HOST, host);
        request.send().await.unwrap().status().as_u16()
    };
    for host in ["evil.example", "127.0.0.1.evil.example"] {
        for path in ["/sign-in", "/v1", "/openapi.json", "/metrics/x"] {
            assert_eq!(ask(path, host).await, 421, "{path} of {host}");
        }
        // Probes and collectors go by names of their own, and read nothing personal.
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(ask(path, host).await, 200, "{path} of {host}");
        }
    }
    for host in [
        "127.0.0.1:8081",
        "localhost",
        "simdeck:8081",
        "simdeck.example.com",
        "Sims.example.net:8081",
    ] {
        assert_eq!(ask("/sign-in", host).await, 200, "{host}");
    }
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_told_in_the_form_that_was_asked_for() {
    let api = Api::new(ApiSettings::default()).await;
    let mut browser = Browser::new(&api);
    let at = async |browser: &Browser<'_>, url: &str, accept: &str| {
        let mut request = browser.client.get(format!("{}{url}", api.base));
        request = request.header(header::ACCEPT, accept);
        if let Some(cookie) = &browser.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        request.send().await.unwrap()
    };
    let html = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
    let before = at(&browser, "/simms", html).await;
    assert_eq!((before.status().as_u16(), place(&before)), (303, "/sign-in?next=%2Fsimms"));
    browser.sign_in(&[("key", ADMIN_KEY)]).await;
    let page = at(&browser, "/simms", html).await;
    assert_eq!(page.status(), 404);
    assert!(page.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    let page = page.text().await.unwrap();
    assert!(page.contains("Nothing is here") && page.contains("<nav"), "{page}");
    for (url, accept) in [("/simms", "*/*"), ("/simms", "application/json"), ("/v1/simms", html)] {
        let answer = at(&browser, url, accept).await;
        assert_eq!(answer.status(), 404, "{url} {accept}");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
    let icon = at(&browser, "/favicon.ico", "image/*").await;
    assert_eq!(icon.status(), 307);
    assert_eq!(at(&browser, place(&icon), "image/*").await.status(), 200);
}

#[tokio::test]
async fn nothing_but_our_own_script_and_style_may_run() {
    let api = Api::new(ApiSettings::default()).await;
    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    for url in ["/", "/live", "/sign-in"] {
        let response = browser.send(Method::GET, url, "en").await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let page = response.text().await.unwrap();
        assert!(!page.contains(" style=") && !page.contains("<style"), "{page}");
        assert_eq!(page.matches("<script").count(), 1, "{page}");
        assert!(!page.contains(" onclick="), "{page}");
        let style = page.split(r#"rel="stylesheet" href=""#).nth(1).unwrap();
        let style = style.split('"').next().unwrap();
        let style = browser.send(Method::GET, style, "en").await;
        assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
        assert!(style.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    }
    assert_eq!(browser.send(Method::GET, "/assets/page.css", "en").await.status(), 404);
}

#[tokio::test]
async fn the_overview_begins_with_how_to_begin() {
    let api = Api::new(ApiSettings::default()).await;
    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    let page = browser.page("/").await;
    assert!(page.contains("Waiting for the first push"), "{page}");
    assert!(page.contains("simdeck serve --demo"), "{page}");
    let usage = r#""giccid":"8986001234567890001","data_usage":1536,"start_time":1725499800000"#;
    api.push("data-usage", usage).await;
    let page = told_anew(&browser, "/", "Data used per 15 minutes").await;
    assert!(page.contains("1.5 <small>KB"), "{page}");
    assert!(page.contains(">0001</"), "{page}");
}

/// A page's answers are good for some seconds; a store that changed shows in the next one.
async fn told_anew(browser: &Browser<'_>, url: &str, what: &str) -> String {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let page = browser.page(url).await;
        if page.contains(what) {
            return page;
        }
        assert!(std::time::Instant::now() < deadline, "{page}");
    }
}

#[tokio::test]
async fn filters_stand_in_the_address_and_can_be_taken_out() {
    let api = Api::new(ApiSettings::default()).await;
    for (sim, group, volume) in [(1, "Meters, north", 1_000), (2, "Kiosks", 3_000)] {
        let usage = format!(
            r#""giccid":"898600123456789000{sim}","sim_group":"{group}","data_usage":{volume},
            "start_time":1725499800000,"country_code":"DE","mcc":"262","mnc":"01","apn":"iot""#
        );
        api.push("data-usage", &usage).await;
    }
    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    let all = browser.page("/?split=sim_group").await;
    assert!(all.contains("Kiosks") && all.contains("Meters, north"), "{all}");
    let filter = "/?split=sim_group&#38;sim_group=Meters%2C%20north";
    assert!(all.contains(filter), "{all}");
    let one = browser.page(&filter.replace("&#38;", "&")).await;
    assert!(one.contains(r#"href="/?split=sim_group""#), "{one}");
    assert!(one.contains("1000 B in all"), "{one}");
    let none = browser.page("/?sim_group=nobody").await;
    assert!(none.contains("No usage record in this time matches."), "{none}");
}

#[tokio::test]
async fn every_panel_has_the_call_that_made_it() {
    let api = Api::new(ApiSettings::default()).await;
    let usage = r#""giccid":"8986001234567890001","data_usage":1536,"start_time":1725499800000,
        "sim_group":"a'b","country_code":"DE""#;
    api.push("data-usage", usage).await;
    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    let page = browser.page("/?sim_group=a%27b").await;
    let calls: Vec<String> = page
        .split("data-copy=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert!(calls.len() >= 4, "{calls:?}");
    for call in calls {
        // As a browser reads the attribute.
        let call = call.replace("&#38;", "&").replace("&#34;", "\"").replace("&#39;", "'");
        let rest = call.strip_prefix("curl -sS -H \"X-API-Key: $SIMDECK_API_KEY\" '").unwrap();
        let url = rest.strip_suffix('\'').unwrap();
        let answer = Client::new().get(url).header("X-API-Key", ADMIN_KEY).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
    }
}

#[tokio::test]
async fn a_browser_that_speaks_chinese_is_answered_so_until_it_chooses() {
    let api = Api::new(ApiSettings::default()).await;
    let mut browser = Browser::with_key(&api, ADMIN_KEY).await;
    let page = browser.send(Method::GET, "/live", "zh-CN").await.text().await.unwrap();
    assert!(page.contains(r#"lang="zh""#) && page.contains("实时"), "{page}");
    let response = browser.post("/preferences", &[("lang", "en"), ("next", "/live")]).await;
    assert_eq!(place(&response), "/live");
    let chosen = response.headers()[header::SET_COOKIE].to_str().unwrap();
    let chosen = chosen.split(';').next().unwrap();
    browser.cookie = browser.cookie.map(|cookie| format!("{cookie}; {chosen}"));
    let page = browser.send(Method::GET, "/live", "zh-CN").await.text().await.unwrap();
    assert!(page.contains(r#"lang="en""#) && page.contains("Push inspector"), "{page}");
}

#[tokio::test]
async fn what_others_wrote_is_only_ever_text() {
    let api = Api::new(ApiSettings::default()).await;
    let evil = r#"<script>alert(1)</script>\"><img src=x onerror=alert(1)>'\u202e"#;
    let usage = format!(
        r#""giccid":"8986001234567890001","data_usage":5,"start_time":1725499800000,
        "sim_group":"{evil}","country_code":"{evil}","apn":"{evil}","mcc":"{evil}","mnc":"{evil}""#
    );
    api.push("data-usage", &usage).await;
    let sms = format!(
        r#""giccid":"8986001234567890001","event_time":1725499800000,"to_msisdn":"{evil}""#
    );
    api.push("mo-sms", &sms).await;
    api.push_refused("data-usage", format!(r#"{{"signature":"{evil}"}}"#)).await;
    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    for split in ["country_code", "network", "apn", "sim_group"] {
        for url in ["/", "/live", "/live?tab=requests", "/live?tab=held"] {
            let mark = if url.contains('?') { '&' } else { '?' };
            let page = browser.page(&format!("{url}{mark}split={split}")).await;
            assert_eq!(page.matches("<script").count(), 1, "{url} {page}");
            assert!(!page.contains("<img src=x"), "{url} {page}");
        }
    }
}
