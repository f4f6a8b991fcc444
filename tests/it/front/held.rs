//! Pushes that lie aside: shown, tried again, discarded.
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{PUSH_KEY, Simdeck, now_s, signature, signed, signed_at, usage};

const SIM: &str = "8944501503181377993";
const STORED: (u16, u64, u64, u64) = (200, 1, 0, 0);

/// A push under a key that the server does not know.
fn wrong_key(second: i64, members: &str) -> String {
    let signature = signature("the-right-key", second);
    format!(r#"{{"datePush":{second},"signature":"{signature}",{members}}}"#)
}

impl Simdeck {
    /// Tries a held push again: the status and the three counts.
    async fn retry(&self, row: &Value, query: &str) -> (u16, u64, u64, u64) {
        let path = format!("/v1/held/{}/retry{query}", row["id"]);
        let (status, answer) = self.ask(Method::POST, &path).await;
        let count = |name: &str| answer[name].as_u64().unwrap_or_default();
        (status, count("stored"), count("duplicates"), count("quarantined"))
    }
}

#[tokio::test]
async fn a_refused_push_is_shown_with_all_but_its_signature() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let body = wrong_key(second, &usage(SIM));
    let from = [("X-Forwarded-For", "203.0.113.7")];
    for count in 1..=3 {
        assert_eq!(simdeck.post_with("data-usage", body.clone(), &from).await.status, 401);
        assert_eq!(simdeck.held_again(count).await["count"], count, "the very same raises it");
    }
    let mut row = simdeck.held(1).await.remove(0);
    let received_at = row.as_object_mut().unwrap().remove("received_at").unwrap();
    assert!(received_at.as_str().unwrap().ends_with('Z'), "{received_at}");
    let (id, url) = (row["id"].clone(), row["url"].clone());
    assert!(url.as_str().unwrap().ends_with(&format!("/v1/held/{id}")), "{url}");
    let kept = format!(r#"{{"datePush":{second},{}}}"#, usage(SIM));
    let wanted = json!({
        "id": id, "class": "refused", "reason": "signature_wrong", "field": null,
        "kind": "data-usage", "source": "203.0.113.7", "other_sources": [], "bytes": kept.len(), "count": 3,
        "body": kept, "body_encoding": "utf-8", "url": url,
    });
    assert_eq!(row, wanted);
    let status = simdeck.get("/v1/status").await;
    let (rings, bytes) = (&status["held"]["refused"], kept.len());
    assert_eq!(rings["plausible"], json!({"pushes": 3, "bytes": bytes, "dropped": 0}));
    assert_eq!(rings["noise"], json!({"pushes": 0, "bytes": 0, "dropped": 0}));
    // The list tells no bodies; of the other filters each finds it or does not.
    assert_eq!(simdeck.rows("/v1/held").await[0].get("body"), None);
    for (query, rows) in [
        ("class=refused", 1),
        ("class=quarantined", 0),
        ("reason=signature_wrong", 1),
        ("reason=not_json,date_old", 0),
    ] {
        assert_eq!(simdeck.rows(&format!("/v1/held?{query}")).await.len(), rows, "{query}");
    }
    simdeck.end();
}

#[tokio::test]
async fn no_output_tells_a_signature() {
    let simdeck = Simdeck::start(&[("SIMDECK_LOG", "trace")]);
    let second = now_s();
    let wrong = wrong_key(second, &usage(SIM));
    let secret = signature("the-right-key", second);
    let bodies = [
        wrong.clone(),
        format!("[{wrong},{wrong}]"),
        wrong[..wrong.len() - 1].to_owned(), // no JSON
        wrong.replace(&secret, &secret.to_uppercase()),
        format!("{wrong}\u{0}"),
    ];
    for body in &bodies {
        let status = simdeck.post("data-usage", body.clone()).await.status;
        assert!(status == 401 || status == 400, "{status}");
    }
    // The one in capitals is the very same.
    let rows = simdeck.held(bodies.len() - 1).await;
    let masked = rows.iter().filter(|row| row["body"].to_string().contains("****"));
    assert_eq!(masked.count(), 2, "where it could not be taken out, it is blackened");
    for path in ["/v1/held", "/v1/held?format=csv", "/v1/held?format=ndjson", "/v1/status"] {
        let (status, text) = simdeck.ask_text(Method::GET, path).await;
        assert_eq!(status, 200, "{path}");
        assert!(!text.to_lowercase().contains(&secret), "{path}: {text}");
    }
    for row in rows {
        assert!(!row.to_string().to_lowercase().contains(&secret), "{row}");
    }
    let log = simdeck.end().to_lowercase();
    assert!(!log.contains(&secret), "it is in the log");
    assert!(!log.contains(SIM), "a SIM is in the log");
}

#[tokio::test]
async fn a_refused_push_is_accepted_once_its_key_is_known() {
    let simdeck = Simdeck::start(&[]);
    let old = now_s() - 30 * 86_400;
    let array = format!(
        "[{},{}]",
        wrong_key(now_s(), &usage("8944501503181377001")),
        wrong_key(now_s() - 1, &usage("8944501503181377002"))
    );
    for body in
        [wrong_key(now_s(), &usage(SIM)), array, wrong_key(old, &usage("8944501503181377003"))]
    {
        assert_eq!(simdeck.post("data-usage", body).await.status, 401);
    }
    let rows = simdeck.held(3).await;
    for row in &rows {
        assert_eq!(simdeck.retry(row, "").await.0, 409, "the key is still unknown");
    }
    let rows_then = simdeck.held(3).await;
    assert_eq!(rows, rows_then, "nothing changed");

    let simdeck = simdeck.restart(&[("SIMDECK_PUSH_KEY", "the-right-key")]);
    let rows = simdeck.held(3).await;
    assert_eq!(simdeck.retry(&rows[0], "").await, STORED);
    assert_eq!(simdeck.retry(&rows[1], "").await, (200, 2, 0, 0));
    assert_eq!(simdeck.retry(&rows[2], "").await, STORED, "however old it is");
    assert_eq!(simdeck.retry(&rows[0], "").await.0, 404, "it is gone");
    assert_eq!(simdeck.get("/v1/held").await, json!([]));
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 4);
    let rings = &simdeck.get("/v1/status").await["held"]["refused"];
    assert_eq!(rings["plausible"]["pushes"], 0);
    // SmartHub sends it once more: the same record.
    let again = wrong_key(now_s(), &usage(SIM));
    assert_eq!(simdeck.push("data-usage", again).await, (0, 1, 0));
    simdeck.end();
}

#[tokio::test]
async fn a_refused_push_whose_signature_came_in_base64_can_be_accepted_later() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let bytes = hex::decode(signature(PUSH_KEY, second)).unwrap();
    let forms = [STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)];
    for (nth, form) in forms.iter().enumerate() {
        let sim = usage(&format!("894450150318137799{nth}"));
        let body = format!(r#"{{"datePush":{second},"signature":"{form}",{sim}}}"#);
        assert_eq!(simdeck.post("data-usage", body).await.status, 401);
    }
    for held in simdeck.held(forms.len()).await {
        assert_eq!(held["reason"], "signature_unreadable");
        assert!(forms.iter().all(|form| !held.to_string().contains(form)), "{held}");
        let path = format!("/v1/held/{}/retry", held["id"]);
        let (status, answer) = simdeck.ask(Method::POST, &path).await;
        assert_eq!((status, &answer["stored"]), (200, &json!(1)), "{answer}");
    }
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), forms.len());
    simdeck.end();
}

#[tokio::test]
async fn a_refused_push_is_not_accepted_by_another_keys_coming() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let missing = format!(r#"{{"datePush":{second},{}}}"#, usage(SIM));
    assert_eq!(simdeck.post("data-usage", missing).await.status, 401);
    let garbage = signed(&usage(SIM)).replace('}', "");
    assert_eq!(simdeck.post("data-usage", garbage).await.status, 400);
    for row in simdeck.held(2).await {
        let (status, problem) =
            simdeck.ask(Method::POST, &format!("/v1/held/{}/retry", row["id"])).await;
        assert_eq!((status, &problem["title"]), (409, &json!("Conflict")));
    }
    assert_eq!(simdeck.held(2).await.len(), 2);
    assert_eq!(simdeck.get("/v1/data-usage").await, json!([]));
    simdeck.end();
}

#[tokio::test]
async fn retry_of_a_quarantined_push_ignores_its_age() {
    let simdeck = Simdeck::start(&[]);
    let (old, ahead) = (now_s() - 30 * 86_400, now_s() + 3_600);
    for (nth, second) in [old, ahead].into_iter().enumerate() {
        let body = signed_at(second, &usage(&format!("894450150318137799{nth}")));
        assert_eq!(simdeck.push("data-usage", body).await, (0, 0, 1));
    }
    for row in simdeck.held(2).await {
        assert_eq!(simdeck.retry(&row, "").await, STORED);
    }
    assert_eq!(simdeck.get("/v1/held").await, json!([]));
    assert_eq!(simdeck.get("/v1/status").await["held"]["quarantined"]["pushes"], 0);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 2);
    simdeck.end();
}

#[tokio::test]
async fn what_still_cannot_be_read_stays_and_as_another_kind_is_stored() {
    let simdeck = Simdeck::start(&[]);
    // Somebody registered the address of another category.
    let record = format!(r#""giccid":"{SIM}","event_time":{}000"#, now_s());
    let body = signed(&format!(r#""page":1,"records":[{{{record}}}]"#));
    assert_eq!(simdeck.push("data-usage", body).await, (0, 0, 1));
    let row = simdeck.held(1).await.remove(0);
    assert_eq!(simdeck.retry(&row, "").await, (200, 0, 0, 1));
    assert_eq!(simdeck.held(1).await[0], row, "it is as it was");
    assert_eq!(simdeck.retry(&row, "?as=Mo-Sms").await.0, 422);
    assert_eq!(simdeck.retry(&row, "?as=mo-sms").await, STORED);
    assert_eq!(simdeck.get("/v1/held").await, json!([]));
    let message = simdeck.rows("/v1/mo-sms").await.remove(0);
    assert_eq!(message["giccid"], SIM);
    assert_eq!(message["extra"], json!({"_push": {"page": 1}}));

    let body = signed(r#""giccid":"not one","state":"odd""#);
    assert_eq!(simdeck.push("data-usage", body).await, (0, 0, 1));
    let row = simdeck.held(1).await.remove(0);
    assert_eq!(simdeck.retry(&row, "?as=sim-status").await, STORED);
    let row = simdeck.rows("/v1/notifications").await.remove(0);
    assert_eq!(row["payload"], json!({"giccid": "not one", "state": "odd"}));
    simdeck.end();
}

#[tokio::test]
async fn a_retry_stores_what_can_be_read_and_keeps_the_rest() {
    let simdeck = Simdeck::start(&[]);
    let old = now_s() - 30 * 86_400;
    let records = format!(r#""records":[{{{}}},{{"giccid":"1"}}]"#, usage(SIM));
    assert_eq!(simdeck.push("data-usage", signed_at(old, &records)).await, (0, 0, 1));
    let row = simdeck.held(1).await.remove(0);
    assert_eq!(simdeck.retry(&row, "").await, (200, 1, 0, 1));
    let rest = simdeck.held(1).await.remove(0);
    assert_eq!((&rest["reason"], &rest["field"]), (&json!("field_invalid"), &json!("giccid")));
    assert_eq!(rest["body"], format!(r#"{{"datePush":{old},"records":[{{"giccid":"1"}}]}}"#));
    simdeck.end();
}

#[tokio::test]
async fn a_discarded_push_is_gone() {
    let simdeck = Simdeck::start(&[]);
    assert_eq!(simdeck.push("data-usage", signed(r#""giccid":"1""#)).await, (0, 0, 1));
    assert_eq!(simdeck.post("data-usage", wrong_key(now_s(), &usage(SIM))).await.status, 401);
    for row in simdeck.held(2).await {
        let path = format!("/v1/held/{}", row["id"]);
        assert_eq!(simdeck.ask(Method::DELETE, &path).await.0, 204);
        for (method, path) in [
            (Method::DELETE, path.clone()),
            (Method::GET, path.clone()),
            (Method::POST, format!("{path}/retry")),
        ] {
            assert_eq!(simdeck.ask(method, &path).await.0, 404);
        }
    }
    let status = simdeck.get("/v1/status").await;
    assert_eq!(status["held"]["quarantined"], json!({"pushes": 0, "bytes": 0}));
    assert_eq!(status["held"]["refused"]["plausible"]["bytes"], 0);
    let simdeck = simdeck.restart(&[]);
    assert_eq!(simdeck.get("/v1/held").await, json!([]));
    simdeck.end();
}

#[tokio::test]
async fn plausible_refused_pushes_and_noise_go_to_rings_of_their_own() {
    let simdeck = Simdeck::start(&[]);
    let now = now_s();
    let noise = [
        "no json".to_owned(),
        "{}".to_owned(),
        wrong_key(now - 9 * 86_400, "").replace(",}", "}"),
        wrong_key(now + 9 * 86_400, "").replace(",}", "}"),
    ];
    let plausible = [
        // Perhaps a form of the signature that is new to us.
        format!(r#"{{"datePush":{now},"signature":"short"}}"#),
        wrong_key(now, &usage(SIM)),
        wrong_key(now - 7 * 86_400, &usage(SIM)),
        wrong_key(now + 3_600, &usage(SIM)),
    ];
    for body in noise.iter().chain(&plausible) {
        assert!(simdeck.post("data-usage", body.clone()).await.status >= 400, "{body}");
    }
    simdeck.held(8).await;
    let rings = simdeck.get("/v1/status").await["held"]["refused"].clone();
    assert_eq!(rings["noise"]["pushes"], noise.len(), "{rings}");
    assert_eq!(rings["plausible"]["pushes"], plausible.len(), "{rings}");
    simdeck.end();
}
