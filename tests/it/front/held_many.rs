//! Many held pushes at once, by a filter.
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Simdeck, now_s, proof, signature, usage};

const SIMS: [&str; 3] = ["8944501503181377001", "8944501503181377002", "8944501503181377003"];

async fn with_held() -> Simdeck {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    for (nth, sim) in SIMS.iter().enumerate() {
        let source = format!("192.0.2.{nth}");
        let from = [("X-Forwarded-For", source.as_str())];
        let signature = signature("the-right-key", second);
        let wrong = format!(r#"{{"datePush":{second},"signature":"{signature}",{}}}"#, usage(sim));
        assert_eq!(simdeck.post_with("data-usage", wrong, &from).await.status, 401);
        let unread = format!(r#"{{{},"giccid":"{nth}"}}"#, proof(second));
        assert_eq!(simdeck.post_with("data-usage", unread, &from).await.status, 200);
    }
    simdeck.held(6).await;
    simdeck
}

impl Simdeck {
    async fn many(&self, what: &str) -> (u16, Value) {
        let (status, mut told) = self.ask(Method::POST, &format!("/v1/held/{what}")).await;
        if status == 200 {
            let through = told.as_object_mut().unwrap().remove("through").unwrap();
            assert!(through.is_u64(), "{through}");
        }
        (status, told)
    }
}

#[tokio::test]
async fn held_pushes_are_counted_and_then_discarded_by_what_they_are() {
    let simdeck = with_held().await;
    for nothing in ["discard", "discard?dry_run=true", "retry", "discard?dry_run=no&class=refused"]
    {
        assert_eq!(simdeck.many(nothing).await.0, 422, "{nothing}");
    }
    let told = |matched: u64, discarded: u64, dry_run: bool| {
        (200, json!({"matched": matched, "discarded": discarded, "dry_run": dry_run}))
    };
    let query = "discard?reason=field_missing,field_invalid&source=192.0.2.0,192.0.2.1";
    assert_eq!(simdeck.many(&format!("{query}&dry_run=true")).await, told(2, 0, true));
    assert_eq!(simdeck.held(6).await.len(), 6, "only counted");
    assert_eq!(simdeck.many(query).await, told(2, 2, false));
    assert_eq!(simdeck.many(query).await, told(0, 0, false));
    let left = simdeck.rows("/v1/held?class=quarantined").await;
    assert_eq!((left.len(), &left[0]["source"]), (1, &json!("192.0.2.2")));
    assert_eq!(simdeck.get("/v1/status").await["held"]["quarantined"]["pushes"], 1);

    let at = left[0]["received_at"].as_str().unwrap();
    let before = format!("discard?class=quarantined&received_to={at}");
    assert_eq!(simdeck.many(&before).await, told(0, 0, false), "not before it came");
    let run = |args: &[&str]| simdeck.run(&[&["held", "discard"], args].concat());
    assert!(!run(&["--class", "refused"]).status.success(), "nobody said yes");
    assert!(!run(&[]).status.success(), "which ones?");
    assert!(run(&["--class", "refused", "--dry-run"]).status.success());
    assert_eq!(simdeck.held(4).await.len(), 4);
    assert!(
        run(&["--class", "refused", "--from", "2020-01-01T00:00:00Z", "--yes"]).status.success()
    );
    assert_eq!(simdeck.held(1).await.len(), 1);
    simdeck.end();
}

#[tokio::test]
async fn held_pushes_are_tried_again_by_what_they_are() {
    let simdeck = with_held().await;
    let (status, counts) = simdeck.many("retry?class=refused").await;
    assert_eq!((status, &counts["still_refused"], &counts["stored"]), (200, &json!(3), &json!(0)));
    let simdeck = simdeck.restart(&[("SIMDECK_PUSH_KEY", "the-right-key")]);
    let (_, counts) = simdeck.many("retry?reason=signature_wrong&dry_run=true").await;
    assert_eq!((&counts["matched"], &counts["stored"]), (&json!(3), &json!(0)));
    let retry = ["held", "retry", "--reason", "signature_wrong", "--source", "192.0.2.1", "--yes"];
    assert!(simdeck.run(&retry).status.success());
    let (_, counts) = simdeck.many("retry?class=refused").await;
    let wanted = json!({
        "matched": 2, "stored": 2, "duplicates": 0, "quarantined": 0, "still_refused": 0,
        "retracted_left_out": 0, "dry_run": false,
    });
    assert_eq!(counts, wanted);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), SIMS.len());
    let (_, counts) = simdeck.many("retry?class=quarantined").await;
    assert_eq!((&counts["matched"], &counts["quarantined"]), (&json!(3), &json!(3)));
    simdeck.end();
}
