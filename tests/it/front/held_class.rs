//! What is held has one class, whoever tells of it.
use std::collections::BTreeMap;

use reqwest::{Client, Method, header, redirect};
use serde_json::{Value, json};

use crate::server::{API_KEY, Simdeck, now_s, proof, signature, signed_at, usage};

const SIM: &str = "8944501503181377993";
/// Every reason, and the class of what is held for it.
const REASONS: [(&str, &str); 14] = [
    ("signature_missing", "refused"),
    ("signature_unreadable", "refused"),
    ("signature_wrong", "refused"),
    ("date_missing", "refused"),
    ("date_unreadable", "refused"),
    ("not_json", "refused"),
    ("date_old", "stale"),
    ("date_retracted", "stale"),
    ("date_ahead", "quarantined"),
    ("field_missing", "quarantined"),
    ("field_invalid", "quarantined"),
    ("repeated_key", "quarantined"),
    ("unreadable", "quarantined"),
    ("store_refused", "quarantined"),
];

/// Pushes something for each reason.
async fn with_all() -> Simdeck {
    let simdeck = Simdeck::start(&[("SIMDECK_RETENTION_RECORDS", "2d")]);
    let (now, record) = (now_s(), usage(SIM));
    let days_ago = |days: i64| {
        let at = (now - days * 86_400) * 1000;
        format!(r#""giccid":"{SIM}","data_usage":1,"start_time":{at}"#)
    };
    assert_eq!(simdeck.push("data-usage", signed_at(now, &days_ago(3))).await, (1, 0, 0));
    assert_eq!(simdeck.ask(Method::POST, "/v1/prune").await.1["data_usage"], 1);
    let retracted = json!({"datePush": now - 7, "force": true}).to_string();
    assert_eq!(simdeck.send_json(Method::POST, "/v1/retract", &retracted).await.0, 200);
    let sign = |key| signature(key, now);
    let right = sign(crate::server::PUSH_KEY);
    for body in [
        format!(r#"{{"datePush":{now},{record}}}"#),
        format!(r#"{{"datePush":{now},"signature":"ab",{record},"n":1}}"#),
        format!(r#"{{"datePush":{now},"signature":"{}",{record}}}"#, sign("another-key")),
        format!(r#"{{"signature":"{right}",{record}}}"#),
        format!(r#"{{"datePush":"soon","signature":"{right}",{record}}}"#),
        format!("{{{record}"),
        signed_at(now - 30 * 86_400, &record),
        signed_at(now - 7, &record),
        signed_at(now + 3_600, &record),
        signed_at(now, r#""data_usage":1"#),
        signed_at(now, r#""giccid":"1""#),
        signed_at(now, &format!(r#"{record},"note":1,"note":2"#)),
        signed_at(now, &format!(r#"{record},"note":"\u0000""#)),
        signed_at(now, &days_ago(4)),
    ] {
        simdeck.post("data-usage", body).await;
    }
    simdeck.held(REASONS.len()).await;
    simdeck
}

fn by_reason(rows: &[Value]) -> BTreeMap<String, String> {
    let word = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter().map(|row| (word(row, "reason"), word(row, "class"))).collect()
}

/// How many reasons each class has.
fn of_class(class: &str) -> usize {
    REASONS.iter().filter(|(_, of)| *of == class).count()
}

/// The page of held pushes, for an admin.
async fn page(simdeck: &Simdeck, path: &str) -> String {
    let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
    let base = simdeck.internal_url();
    let form = client.post(format!("{base}/sign-in")).header(header::ORIGIN, &base);
    let form = form.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let signed_in = form.body(format!("key={API_KEY}")).send().await.unwrap();
    let cookie = signed_in.headers()[header::SET_COOKIE].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let page = client.get(format!("{base}{path}")).header(header::COOKIE, cookie);
    page.header(header::ACCEPT_LANGUAGE, "en").send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn every_place_that_tells_a_class_tells_the_same_for_every_reason() {
    let simdeck = with_all().await;
    let wanted: BTreeMap<String, String> =
        REASONS.iter().map(|(reason, class)| ((*reason).into(), (*class).into())).collect();
    let rows = simdeck.rows("/v1/held").await;
    assert_eq!(by_reason(&rows), wanted);
    for row in &rows {
        let one = simdeck.get(&format!("/v1/held/{}", row["id"])).await;
        assert_eq!(one["class"], row["class"], "{one}");
    }
    let (_, csv) = simdeck.ask_text(Method::GET, "/v1/held?format=csv").await;
    let listed = simdeck.run(&["held", "list", "--output", "json"]);
    let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(by_reason(&listed), wanted, "the command");

    let status = simdeck.get("/v1/status").await;
    let metrics = simdeck.ask_text(Method::GET, "/metrics").await.1;
    let live = page(&simdeck, "/live?tab=held").await;
    let attention = simdeck.get("/v1/attention").await;
    let attention = attention.as_array().unwrap();
    for (reason, class) in REASONS {
        assert!(csv.contains(&format!(",{class},{reason},")), "{reason}: {csv}");
        let both = simdeck.rows(&format!("/v1/held?class={class}&reason={reason}")).await;
        assert_eq!(both.len(), 1, "{reason}");
        let narrow = format!("/v1/held/discard?class={class}&reason={reason}&dry_run=true");
        assert_eq!(simdeck.ask(Method::POST, &narrow).await.1["matched"], 1, "{reason}");
        let told = attention.iter().find(|item| item["reason"] == reason).unwrap();
        let url = told["url"].as_str().unwrap();
        assert!(url.ends_with(&format!("class={class}&reason={reason}")), "{told}");
        assert_eq!(told["kind"], format!("pushes_{class}"), "{told}");
    }
    let schema = &simdeck.get("/openapi.json").await["components"]["schemas"]["HeldPushOut"];
    let summary = &simdeck.get("/v1/summary").await["records"];
    let mut words = Vec::new();
    for class in ["refused", "quarantined", "stale"] {
        let count = of_class(class);
        assert_eq!(simdeck.rows(&format!("/v1/held?class={class}")).await.len(), count, "{class}");
        let held = &status["held"];
        let of_rings = |rings: &Value| {
            let rings = rings.as_object().unwrap().values();
            rings.map(|ring| ring["pushes"].as_u64().unwrap()).sum::<u64>()
        };
        let told = match class {
            "refused" => of_rings(&held[class]),
            _ => held[class]["pushes"].as_u64().unwrap(),
        };
        assert_eq!(told, count as u64, "{class}: {held}");
        assert_eq!(summary[class], count, "{class}: {summary}");
        let metric = |name: &str| {
            let name = format!("simdeck_held_pushes{{held=\"{name}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
            line.unwrap_or_else(|| panic!("{name}: {metrics}")).parse::<u64>().unwrap()
        };
        let told = match class {
            "refused" => metric("plausible") + metric("noise"),
            _ => metric(class),
        };
        assert_eq!(told, count as u64, "{class}: {metrics}");
        assert_eq!(live.matches(&format!("\">{class}</span>")).count(), count, "{class}: {live}");
        words.push(format!("{count} {class}"));
    }
    assert_eq!(schema["properties"]["class"]["enum"], json!(["refused", "quarantined", "stale"]));
    let server = page(&simdeck, "/api").await;
    assert!(server.contains(&format!(">{}</a>", words.join(", "))), "{server}");
    simdeck.end();
}

#[tokio::test]
async fn what_is_quarantined_goes_by_no_ring_though_the_ring_has_it_too() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s() - 3_600;
    let unreadable = || format!(r#"{{{},"giccid":"1"}}"#, proof(second));
    let simdeck = simdeck.restart(&[("SIMDECK_PUSH_MAX_AGE", "1m")]);
    assert_eq!(simdeck.push("data-usage", unreadable()).await, (0, 0, 1));
    assert_eq!(simdeck.rows("/v1/held").await[0]["reason"], "date_old");
    // The ring may drop that one: what comes in time has a place where nothing is dropped.
    let simdeck = simdeck.restart(&[("SIMDECK_PUSH_MAX_AGE", "7d")]);
    assert_eq!(simdeck.push("data-usage", unreadable()).await, (0, 0, 1));
    let held = &simdeck.get("/v1/status").await["held"];
    assert_eq!((&held["quarantined"]["pushes"], &held["stale"]["pushes"]), (&json!(1), &json!(1)));
    simdeck.end();
}
