//! The pages of the routers, and that of the API with its keys.
use simdeck::{
    domain::{
        DevicePoll, DeviceState, FleetTotals, ListedDevice, PollCall, PollFailureKind, PollReport,
        StatusFacts,
    },
    http::ApiSettings,
};

use crate::{
    api_devices::{listed, listing, status, text},
    api_fleet::failure,
    api_harness::{ADMIN_KEY, Api},
    browser::{Browser, between},
    rcms::stand_in::{CLIENT_ID, CLIENT_SECRET, Fault, On, StandIn, Times, device},
    server::{API_KEY, Simdeck},
};

async fn at(api: &Api) -> Browser {
    Browser::signed_in(&api.base, ADMIN_KEY).await
}

/// `RT1` was offline for two minutes in the last ten; `RT2` is offline; `RT3` is in another group.
async fn api_with_three() -> Api {
    let api = Api::with_rcms().await;
    let one = |state| ListedDevice { name: text("Roof"), ..listed("RT1", state) };
    let other = ListedDevice {
        model: text("R1520"),
        group: text("North, & <South>"),
        firmware_version: text("3.1.0"),
        ..listed("RT3", DeviceState::Online)
    };
    let two = listed("RT2", DeviceState::Offline);
    api.poll(listing(api.freshness(), vec![one(DeviceState::Online), two, other])).await;
    for (seconds, state) in [(60, DeviceState::Offline), (120, DeviceState::Online)] {
        api.advance(seconds);
        api.poll(listing(api.freshness(), vec![one(state)])).await;
    }
    let totals = FleetTotals {
        device_total: Some(7),
        online_total: Some(5),
        offline_total: Some(1_234),
        registered_total: Some(6),
        un_registered_total: Some(17),
        user_total: Some(3),
    };
    let poll = DevicePoll { totals: Some(totals), ..listing(api.freshness(), Vec::new()) };
    api.poll(poll).await;
    api.advance(40);
    api
}

/// The row of a router.
fn row<'p>(page: &'p str, sn: &str) -> &'p str {
    between(page, &format!("<tr data-row>\n<td><a href=\"/routers/{sn}\">"), "</tr>")
}

#[tokio::test]
async fn routers_are_listed_with_their_state_in_a_word_and_what_they_were() {
    let api = api_with_three().await;
    let page = at(&api).await.page("/routers").await;
    let one = row(&page, "RT1");
    assert!(one.contains("Roof") && one.contains(">online<"), "{one}");
    assert!(one.contains(r#"<time datetime="2024-09-05T01:33:49.000Z""#), "{one}");
    assert!(one.contains("1 drop<"), "{one}");
    // In the six hours up to 01:34:29 it was known for 220 s, of which it was offline for 120.
    let summary = between(one, "<title>", "</title>");
    let told = "Last 6 h: online <1% of the time, offline <1%, unknown 99%; 1 drop.";
    assert_eq!(summary.replace("&#60;", "<"), told);
    let two = row(&page, "RT2");
    assert!(two.contains(r#"<span class="chip alarm">offline</span>"#), "{two}");
    assert!(two.contains("no drop"), "it was never seen online: {two}");
    let three = row(&page, "RT3");
    assert!(three.contains("R1520") && three.contains("3.1.0"), "{three}");
    assert!(page.contains("3 of 3"));
    let curl = "curl -sS -H &#34;X-API-Key: $SIMDECK_API_KEY&#34; &#39;";
    assert!(page.contains(&format!("{curl}{}/v1/devices&#39;", api.base)), "{page}");
    assert!(page.contains(r#"href="/v1/devices?format=csv""#));

    let zh = at(&api).await.in_chinese().page("/routers").await;
    assert!(zh.contains("掉线 1 次") && zh.contains("近 6 小时：在线"), "{zh}");
}

#[tokio::test]
async fn routers_are_found_by_state_group_model_and_words() {
    let api = api_with_three().await;
    let browser = at(&api).await;
    let found = async |query: &str| {
        let page = browser.page(&format!("/routers?{query}")).await;
        ["RT1", "RT2", "RT3"].map(|sn| page.contains(&format!("href=\"/routers/{sn}\"")))
    };
    assert_eq!(found("state=offline").await, [false, true, false]);
    assert_eq!(found("group=North,+%26+%3CSouth%3E").await, [false, false, true]);
    assert_eq!(found("model=R1520").await, [false, false, true]);
    assert_eq!(found("q=roof").await, [true, false, false]);
    assert_eq!(found("q=roof&state=offline").await, [false; 3]);
    let page = browser.page("/routers?q=nowhere").await;
    assert!(page.contains("Nothing matches these filters."), "{page}");
    assert!(page.contains(r#"value="nowhere""#), "the form keeps what was asked");
    // What the API refuses is told where the list would be, and the figures stand.
    let page = browser.page("/routers?state=lost").await;
    assert!(page.contains("one of online, offline, unknown") && page.contains("1,234"), "{page}");
}

#[tokio::test]
async fn the_list_is_turned_page_by_page() {
    let api = Api::with_rcms().await;
    let many = (0..45).map(|number| listed(&format!("RT{number}"), DeviceState::Online));
    api.poll(listing(api.freshness(), many.collect())).await;
    let browser = at(&api).await;
    let (mut met, mut address) = (Vec::new(), Some("/routers?state=online".to_owned()));
    while let Some(next) = address {
        assert!(met.len() < 45, "it goes round and round: {next}");
        let page = browser.page(&next).await;
        let rows = page.split("<tr data-row>\n<td><a href=\"/routers/").skip(1);
        met.extend(rows.map(|row| row.split_once('"').unwrap().0.to_owned()));
        address = page.contains("rel=\"next\"").then(|| {
            let link = between(&page, "rel=\"next\" href=\"", "\"").replace("&#38;", "&");
            assert!(link.starts_with("/routers?state=online&"), "{link}");
            link
        });
    }
    let all: Vec<_> = (0..45).rev().map(|number| format!("RT{number}")).collect();
    assert_eq!(met, all);
}

#[tokio::test]
async fn the_figures_are_ours_beside_those_of_rcms_and_say_how_old_they_are() {
    let api = api_with_three().await;
    let page = at(&api).await.page("/routers").await;
    let figures = between(&page, "<dl class=\"figures quiet\">", "</dl>");
    for told in ["Online", ">2<", "RCMS counts 5", ">1<", "RCMS counts 1,234", "17 not registered"]
    {
        assert!(figures.contains(told), "{told}: {figures}");
    }
    assert!(page.contains("polled 40 s ago"), "{page}");
    assert!(!page.contains("class=\"trouble\""), "{page}");
}

#[tokio::test]
async fn while_rcms_fails_the_page_says_since_when_and_why() {
    let api = api_with_three().await;
    let sentence = "RCMS did not answer within 10 s.";
    let broken = failure(api.freshness().now, PollFailureKind::Transport, sentence);
    let failing = [(PollCall::DeviceTotal, broken)].into_iter().collect();
    api.report(PollReport { failing, ..PollReport::default() });
    api.advance(3_600);
    let page = at(&api).await.page("/routers").await;
    let trouble = between(&page, "<div class=\"trouble\" role=\"status\">", "</div>");
    assert!(trouble.contains("RCMS last answered 01:33, showing that state."), "{trouble}");
    assert!(trouble.contains(sentence), "{trouble}");
    assert!(row(&page, "RT1").contains(">unknown<"), "{page}");
}

#[tokio::test]
async fn without_rcms_the_page_says_what_to_set_and_shows_no_list() {
    let api = Api::new(ApiSettings::default()).await;
    let page = at(&api).await.page("/routers").await;
    assert!(page.contains("Set SIMDECK_RCMS_CLIENT_ID and SIMDECK_RCMS_CLIENT_SECRET"), "{page}");
    assert!(!page.contains("<table"), "{page}");
    // Set up, but without an answer so far.
    let api = Api::with_rcms().await;
    let page = at(&api).await.page("/routers").await;
    assert!(page.contains("RCMS has not answered yet."), "{page}");
    assert!(page.contains("RCMS has listed no router yet."), "{page}");
}

#[tokio::test]
async fn a_router_has_a_page_with_what_it_told_its_history_and_its_sims() {
    let api = api_with_three().await;
    let facts =
        StatusFacts { uptime: text("5 days"), ip: text("10.41.8.77"), ..StatusFacts::default() };
    let mut poll = listing(api.freshness(), Vec::new());
    let whole = r#"{"system":{"uptime":"5 days"},"big":12345678901234567890123}"#;
    poll.statuses = vec![status("RT1", api.freshness().now, facts, whole)];
    api.poll(poll).await;
    let record = r#""giccid":"89860012345678901234","data_usage":2048,"start_time":1725499848000"#;
    api.push_now("data-usage", record).await;
    let sim = "/v1/sims/89860012345678901234";
    let label = r#"{"name":"North <mast>","device_sn":"RT1"}"#;
    assert_eq!(api.put(sim, ADMIN_KEY, label).await.status(), 200);
    let browser = at(&api).await;
    let page = browser.page("/routers/RT1").await;
    for told in [
        "<h1 id=\"router-title\" class=\"long\">Roof</h1>",
        "10.41.8.77",
        "5 days",
        "Last 24 h: online",
        "12345678901234567890123",
        "href=\"/sims/89860012345678901234\"",
        "North &#60;mast&#62;",
        "title=\"2,048 B\">2 KB<",
        "href=\"/v1/devices/RT1/history?format=csv\"",
        "href=\"/v1/sims?device_sn=RT1&#38;size=100&#38;format=csv\"",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let history = between(&page, "<h2 id=\"history-title\">", "</table>");
    assert_eq!(history.matches("<tr><td><time").count(), 4);
    let changes = browser.page("/routers/RT1?kind=state").await;
    assert!(!changes.contains("12345678901234567890123"));
    let page = browser.page("/routers/RT2").await;
    assert!(page.contains("Nobody has said yet which SIMs sit in it"), "{page}");
}

#[tokio::test]
async fn what_is_no_router_is_not_found_and_the_way_back_is_shown() {
    let api = api_with_three().await;
    let browser = at(&api).await;
    for name in ["RT9", "RT-1", "%ff", "RT1%2Fhistory", &"R".repeat(51)] {
        let answer = browser.open(&format!("/routers/{name}")).await;
        assert_eq!(answer.status(), 404, "{name}");
        let page = answer.text().await.unwrap();
        assert!(page.contains("There is no router with this serial number."), "{page}");
        assert!(page.contains("href=\"/routers\""), "{page}");
    }
    assert_eq!(browser.submit("/routers/RT-1", &[("group", "A")]).await.status(), 404);
}

#[tokio::test]
async fn what_a_router_calls_itself_is_text_and_nothing_else() {
    const HOSTILE: [&str; 4] = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'+alert(1)+'</title></svg><svg onload=alert(1)>",
        "\u{202e}gnp.exe{{7*7}}",
    ];
    let api = Api::with_rcms().await;
    let hostile = |(number, name): (usize, &&str)| ListedDevice {
        name: text(name),
        model: text(name),
        group: text(name),
        firmware_version: text(name),
        description: text(name),
        ..listed(&format!("RT{number}"), DeviceState::Online)
    };
    let devices = HOSTILE.iter().enumerate().map(hostile).collect();
    let mut poll = listing(api.freshness(), devices);
    let facts =
        StatusFacts { uptime: text(HOSTILE[0]), ip: text(HOSTILE[1]), ..StatusFacts::default() };
    let whole = serde_json::json!({"system": {"uptime": HOSTILE[2]}}).to_string();
    poll.statuses = vec![status("RT0", api.freshness().now, facts, &whole)];
    api.poll(poll).await;
    let browser = at(&api).await;
    let mut paths = vec!["/routers".to_owned(), "/routers?q=%3Cscript%3E".to_owned()];
    paths.extend((0..HOSTILE.len()).map(|number| format!("/routers/RT{number}")));
    for path in paths {
        let page = browser.page(&path).await;
        assert_eq!(page.matches("<script").count(), 1, "{path}: {page}");
        for markup in ["<img src=x", "<svg onload", "</title></svg><svg", "onerror=alert(1)>"] {
            assert!(!page.contains(markup), "{markup} in {path}: {page}");
        }
    }
    let page = browser.page("/routers/RT0").await;
    assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "{page}");
}

#[tokio::test]
async fn a_router_is_moved_at_rcms_and_its_refusal_is_shown() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(vec![device("RB1", 1)]);
    let url = rcms.url();
    let simdeck = Simdeck::start(&[
        ("SIMDECK_RCMS_ENDPOINT", url.as_str()),
        ("SIMDECK_RCMS_CLIENT_ID", CLIENT_ID),
        ("SIMDECK_RCMS_CLIENT_SECRET", CLIENT_SECRET),
        ("SIMDECK_RCMS_POLL_EVERY", "10s"),
    ]);
    while simdeck.rows("/v1/devices").await.is_empty() {
        tokio::task::yield_now().await;
    }
    let browser = Browser::signed_in(&simdeck.internal_url(), API_KEY).await;
    let answer = browser.submit("/routers/RB1", &[("group", "Demo ß")]).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (303, &"/routers/RB1?moved=true".parse().unwrap())
    );
    let seen = rcms.requests().into_iter().find(|seen| seen.method == "PUT").unwrap();
    assert_eq!(String::from_utf8(seen.body).unwrap(), r#"{"groupName":"Demo ß"}"#);
    let page = browser.page("/routers/RB1?moved=true").await;
    assert!(page.contains("RCMS took it."), "{page}");

    rcms.fault(On::Group, Fault::Code(-1, "group <is> full".to_owned()), Times::Once);
    let answer = browser.submit("/routers/RB1", &[("group", "Demo")]).await;
    assert_eq!(answer.status(), 409);
    let page = answer.text().await.unwrap();
    assert!(
        page.contains("It was not moved.") && page.contains("group &#60;is&#62; full"),
        "{page}"
    );
    let answer = browser.submit("/routers/RB1", &[("group", "")]).await;
    assert_eq!(answer.status(), 422);
}

#[tokio::test]
async fn a_key_is_made_shown_once_and_revoked() {
    let api = Api::new(ApiSettings::default()).await;
    let browser = at(&api).await;
    let page = browser.page("/api").await;
    assert!(page.contains("There is no key but the admin key"), "{page}");
    let fields = [("label", "grafana <1>"), ("scope", "read")];
    let answer = browser.submit("/api", &fields).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let page = answer.text().await.unwrap();
    let key = between(&page, "id=\"new-key\">", "</code>").to_owned();
    let keeper = Browser::signed_in(&api.base, &key).await;
    assert!(page.contains("The new key grafana &#60;1&#62;"), "{page}");
    let again = browser.page("/api").await;
    assert!(!again.contains(&key) && again.contains("grafana &#60;1&#62;"), "{again}");

    let answer = browser.submit("/api", &fields).await;
    assert_eq!(answer.status(), 409);
    let page = answer.text().await.unwrap();
    assert!(page.contains("Another one has this `label`."), "{page}");
    assert!(page.contains("name=\"label\" value=\"grafana &#60;1&#62;\""), "what was typed stays");

    let id = between(&again, "name=\"revoke\" value=\"", "\"").to_owned();
    let answer = browser.submit("/api", &[("revoke", &id)]).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (303, &"/api".parse().unwrap())
    );
    assert!(browser.page("/api").await.contains("revoked 01:30"));
    // Its session ended with it.
    assert_eq!(keeper.open("/api").await.status(), 303);
    for unknown in ["99", "1/../2", "", "-1"] {
        assert_eq!(browser.submit("/api", &[("revoke", unknown)]).await.status(), 404, "{unknown}");
    }
}

#[tokio::test]
async fn who_may_only_look_sees_no_form_and_what_they_send_is_refused() {
    let api = api_with_three().await;
    let admin = at(&api).await;
    let page = admin.submit("/api", &[("label", "eye"), ("scope", "read")]).await;
    let page = page.text().await.unwrap();
    let key = between(&page, "id=\"new-key\">", "</code>");
    let reader = Browser::signed_in(&api.base, key).await;
    for (path, form) in [("/api", "action=\"/api\""), ("/routers/RT1", "action=\"/routers/RT1\"")] {
        assert!(admin.page(path).await.contains(form), "{path}");
        assert!(!reader.page(path).await.contains(form), "{path}");
    }
    let tries: [(&str, &[(&str, &str)]); 3] = [
        ("/api", &[("label", "mine"), ("scope", "admin")]),
        ("/api", &[("revoke", "1")]),
        ("/routers/RT1", &[("group", "Mine")]),
    ];
    for (path, fields) in tries {
        let answer = reader.submit(path, fields).await;
        assert_eq!(answer.status(), 403, "{path}");
        let page = answer.text().await.unwrap();
        assert!(page.contains("This needs an API key of scope admin."), "{page}");
        // A page elsewhere sends an admin's browser, with its cookie.
        let answer = admin.submit_from("http://evil.example", path, fields).await;
        assert_eq!(answer.status(), 403, "{path}");
    }
    let keys = api.rows("/v1/keys").await;
    assert_eq!((keys.len(), &keys[0]["revoked_at"]), (1, &serde_json::Value::Null));
    assert!(!api.audit().await.iter().any(|(_, action, _)| action == "device.group"));
}

#[tokio::test]
async fn the_page_of_the_api_tells_where_what_and_how_it_goes() {
    let api = Api::new(ApiSettings::default()).await;
    api.push_refused("data-usage", "{}".to_owned()).await;
    let browser = at(&api).await;
    let page = browser.page("/api").await;
    for told in [
        "href=\"/docs/\"",
        "href=\"/openapi.json\"",
        "href=\"/metrics\"",
        env!("CARGO_PKG_VERSION"),
        "1 KB = 1024 B",
        "<dd>UTC</dd>",
        "<a class=\"linked\" href=\"/live?tab=held\">1 refused, 0 quarantined, 0 stale</a>",
        "<th scope=\"row\">The disk is nearly full</th>",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(page.contains(&format!("{}/v1/status&#39;", api.base)), "{page}");
    assert!(!page.contains("/v1/status?format=csv"), "there is no such table");
}
