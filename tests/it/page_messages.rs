//! The page of messages, what the search box leads to, and what others wrote on all of them.
use reqwest::{StatusCode, header};
use simdeck::domain::{DeviceState, ListedDevice};

use crate::{
    api_devices::{self, listed, listing},
    api_harness::{ADMIN_KEY, Api},
    browser::between,
    page_sims::{NOW_MS, api, at, giccid, link, rows, sent, used},
};

/// Three messages of two SIMs, and a report.
async fn talking() -> Api {
    let api = api().await;
    sent(&api, 1, "882360", "LOWBAT 3.41V").await;
    sent(&api, 2, "882361", "DOOR OPEN").await;
    sent(&api, 1, "882360", "DOOR SHUT").await;
    let report = format!(r#""giccid":"{}","status":"DELIVRD","parts":2"#, giccid(2));
    api.push("mt-sms-status", &report).await;
    api
}

#[tokio::test]
async fn messages_are_listed_searched_and_narrowed_by_all_that_they_tell() {
    let api = talking().await;
    let browser = at(&api).await;
    let page = browser.page("/messages").await;
    assert_eq!(rows(&page), [giccid(1), giccid(2), giccid(1)]);
    assert!(page.contains("“<bdi dir=\"auto\">DOOR SHUT</bdi>”"), "{page}");
    let time = r#"<time datetime="2024-09-05T01:30:47.999Z" title="2024-09-05 01:30:47">01:30<"#;
    assert_eq!(page.matches(time).count(), 3, "{page}");
    for (mark, sims) in [
        (">882361<", &[2][..]),
        (">882360<", &[1, 1]),
        (">group 2<", &[2]),
        (">10086<", &[1, 2, 1]),
    ] {
        let there = link(&page, mark).unwrap();
        let narrowed = browser.page(&there).await;
        let sims: Vec<_> = sims.iter().copied().map(giccid).collect();
        assert_eq!(rows(&narrowed), sims, "{there}");
        let back = link(&narrowed, "class=\"button chosen\"").unwrap();
        assert_eq!(back, "/messages", "a chip takes it away again");
    }
    let found = browser.page("/messages?q=DOOR&sim_group=group+1").await;
    assert_eq!(rows(&found), [giccid(1)]);
    assert!(found.contains("DOOR SHUT") && found.contains("value=\"DOOR\""), "{found}");
    // The search keeps the filters.
    let form = between(&found, "<form class=\"fields\" action=\"/messages\">", "</form>");
    assert!(form.contains("name=\"sim_group\" value=\"group 1\""), "{form}");
}

#[tokio::test]
async fn a_sims_thread_names_it_and_leads_to_its_page() {
    let api = talking().await;
    let browser = at(&api).await;
    let inbox = browser.page("/messages").await;
    let row = between(&inbox, &format!("data-giccid=\"{}\"", giccid(1)), "</tr>");
    let there = link(row, "<a ").unwrap();
    assert_eq!(there, format!("/messages?giccid={}", giccid(1)));
    let thread = browser.page(&there).await;
    assert_eq!(rows(&thread), [giccid(1), giccid(1)]);
    assert!(thread.contains("All messages of SIM …0001"), "{thread}");
    assert_eq!(link(&thread, ">Open the SIM<").unwrap(), format!("/sims/{}", giccid(1)));
    // The reports of the same SIM: it has none, the other one has.
    let reports = browser.page(&link(&thread, ">Status reports<").unwrap()).await;
    assert!(reports.contains("Nothing matches these filters."), "{reports}");
    assert_eq!(link(&reports, ">Clear filters<").unwrap(), "/messages?tab=reports");
}

#[tokio::test]
async fn status_reports_are_a_tab_of_their_own() {
    let api = talking().await;
    let browser = at(&api).await;
    let page = browser.page("/messages?tab=reports").await;
    assert_eq!(rows(&page), [giccid(2)]);
    let row = between(&page, "<tr data-row", "</tr>");
    assert!(row.contains("status:") && row.contains("DELIVRD") && row.contains(">2<"), "{row}");
    assert!(!row.contains(&format!(">{}<", giccid(2))), "what the row says anyway: {row}");
    assert!(page.contains("/v1/notifications?kind=mt-sms-status&#38;format=csv"), "{page}");
    // Words are looked for in messages only: here they narrow nothing.
    let page = browser.page("/messages?tab=reports&q=x").await;
    assert_eq!(rows(&page), [giccid(2)]);
    assert!(!page.contains("Clear filters"), "{page}");
}

#[tokio::test]
async fn before_the_first_message_the_page_says_so() {
    let api = api().await;
    let browser = at(&api).await;
    assert!(browser.page("/messages").await.contains("No SIM has sent a message yet."));
    let reports = browser.page("/messages?tab=reports").await;
    assert!(reports.contains("No status report of a message has come yet."), "{reports}");
    let page = browser.page("/messages?q=nowhere").await;
    assert!(page.contains("Nothing matches these filters."), "{page}");
    let page = browser.page("/messages?giccid=12").await;
    assert!(
        page.contains("class=\"trouble\"") && page.contains("18 to 22 letters or digits"),
        "{page}"
    );
}

#[tokio::test]
async fn messages_are_turned_page_by_page() {
    let api = api().await;
    for nth in 0..45 {
        sent(&api, nth, "882360", &format!("nth {nth}.")).await;
    }
    let browser = at(&api).await;
    let (mut met, mut next) = (Vec::new(), Some("/messages?from_msisdn=882360".to_owned()));
    while let Some(address) = next {
        assert!(met.len() < 45 && address.starts_with("/messages?from_msisdn="), "{address}");
        let page = browser.page(&address).await;
        met.extend(rows(&page));
        next = link(&page, "rel=\"next\"");
    }
    assert_eq!(met, (0..45).rev().map(giccid).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_search_leads_to_what_is_meant_and_lists_what_might_be() {
    let api = Api::with_rcms().await;
    let router =
        ListedDevice { name: api_devices::text("Gate"), ..listed("RT1510A7", DeviceState::Online) };
    api.poll(listing(api.freshness(), vec![router])).await;
    let imsi = r#","imsi":"460101234509876""#;
    used(&api, 1, NOW_MS, 1, imsi).await;
    used(&api, 10_001, NOW_MS, 1, "").await;
    sent(&api, 1, "+819012340000", "hi").await;
    let name = r#"{"name":"Berlin tram"}"#;
    api.put(&format!("/v1/sims/{}", giccid(1)), ADMIN_KEY, name).await;
    let browser = at(&api).await;
    let sim = format!("/sims/{}", giccid(1));
    let in_groups = "8986%200012%203456%207890%200001";
    for (q, there) in [
        (giccid(1).as_str(), sim.as_str()),
        (in_groups, &sim),
        ("460101234509876", &sim),
        ("BERLIN+TRAM", &sim),
        ("berlin", &sim),
        ("rt1510a7", "/routers/RT1510A7"),
        ("gate", "/routers/RT1510A7"),
        ("%2B819012340000", "/messages?from_msisdn=%2B819012340000"),
    ] {
        let answer = browser.open(&format!("/search?q={q}")).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{q}");
        assert_eq!(answer.headers()[header::LOCATION], there, "{q}");
    }
    let page = browser.page("/search?q=0001").await;
    assert_eq!(rows(&page).len(), 2, "{page}");
    assert!(page.contains("value=\"0001\""), "the box keeps what was looked for: {page}");
    assert!(page.contains(&format!("href=\"{sim}\"")), "{page}");
    let page = browser.page("/search?q=nobody").await;
    assert!(page.contains("Nothing has this number or name."), "{page}");
    assert!(browser.page("/search").await.contains("Type a SIM"));
    let long = "x".repeat(300);
    assert!(browser.page(&format!("/search?q={long}")).await.contains("class=\"trouble\""));
}

#[tokio::test]
async fn what_others_wrote_is_only_ever_text() {
    let api = api().await;
    let evil = r#"<script>alert(1)</script>\"><img src=x onerror=alert(1)>'\u202e&#x27;=1+1"#;
    let more = format!(
        r#","imsi":"{evil}","sim_group":"{evil}","country_code":"{evil}","apn":"{evil}",
            "mcc":"{evil}","mnc":"{evil}""#
    );
    used(&api, 1, NOW_MS, 1, &more).await;
    used(&api, 10_001, NOW_MS, 1, &more).await;
    sent(&api, 1, evil, evil).await;
    let notice =
        format!(r#""giccid":"{}","old_imei":"{evil}","new_imei":"{evil}","{evil}":1"#, giccid(1));
    api.push("imei-change", &notice).await;
    api.push("mt-sms-status", &notice).await;
    let name = r#"{"name":"<img src=x onerror=alert(1)>"}"#;
    api.put(&format!("/v1/sims/{}", giccid(1)), ADMIN_KEY, name).await;
    let browser = at(&api).await;
    let encoded = "%3Cscript%3Ealert(1)%3C/script%3E%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E'";
    let sim = format!("/sims/{}", giccid(1));
    for url in [
        "/sims".to_owned(),
        format!("/sims?q={encoded}&sim_group={encoded}&sort={encoded}&silent_for={encoded}"),
        format!("{sim}?view={encoded}"),
        "/messages".to_owned(),
        format!("/messages?q={encoded}&from_msisdn={encoded}&giccid={encoded}"),
        "/messages?tab=reports".to_owned(),
        format!("/search?q={encoded}"),
        "/search?q=0001".to_owned(),
    ] {
        let page = browser.page(&url).await;
        assert_eq!(page.matches("<script").count(), 1, "{url} {page}");
        assert!(!page.contains("<img src=x"), "{url} {page}");
        assert!(!page.contains(" style="), "{url} {page}");
    }
    for url in ["/sims", &sim, "/messages", "/messages?tab=reports"] {
        let page = browser.page(url).await;
        assert!(page.contains("&#60;img src=x onerror=alert(1)&#62;"), "{url} {page}");
        // What turns the direction of writing turns it no further than its own element.
        for (at, _) in page.match_indices('\u{202e}') {
            let tag = page[..at].rsplit_once('<').unwrap().1;
            let is_kept = tag.starts_with("bdi")
                || tag.contains("data-")
                || tag.starts_with("b class=\"clip\"");
            assert!(is_kept, "{url}: <{tag}");
        }
    }
    let answer = browser
        .submit(&sim, &[("name", "\"><script>alert(1)</script>\u{7}"), ("device_sn", "")])
        .await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text().await.unwrap();
    assert_eq!(page.matches("<script").count(), 1, "{page}");
}
