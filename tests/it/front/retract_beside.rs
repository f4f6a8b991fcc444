//! What is true stays, whatever forged records came beside it or before it.
use reqwest::Method;
use serde_json::{Value, json};

use super::retract::{FORGED_SIM, FORGER, HOUR_MS, OTHER_SIM, SIM, TRUE_SENDER, sms, status};
use crate::server::{Simdeck, now_s, proof};

const DAY_MS: i64 = 24 * HOUR_MS;

fn usage(giccid: &str, imsi: &str, start_ms: i64, country: &str) -> String {
    format!(
        r#"{{"giccid":"{giccid}","imsi":"{imsi}","start_time":{start_ms},"data_usage":7,"country_code":"{country}"}}"#
    )
}

impl Simdeck {
    async fn retract(&self, body: Value) -> Value {
        let (status, answer) = self.send_json(Method::POST, "/v1/retract", &body.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

fn shown(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap().strftime("%FT%T.%3fZ").to_string()
}

#[tokio::test]
async fn what_was_pruned_still_tells_of_a_sim_after_a_retraction() {
    let simdeck =
        Simdeck::start(&[("SIMDECK_RETENTION_RECORDS", "2d"), ("SIMDECK_RETENTION_SMS", "2d")]);
    let second = now_s();
    let ms = second * 1000;
    let old = [
        usage(SIM, "460000000000001", ms - 4 * DAY_MS, "CN"),
        usage(SIM, "460000000000002", ms - 3 * DAY_MS, "FR"),
        usage(SIM, "460000000000001", ms - 3 * DAY_MS - 1, "DE"),
    ];
    simdeck.push_as(TRUE_SENDER, "data-usage", second, &old.join(",")).await;
    for (sim, days) in [(OTHER_SIM, 5), (OTHER_SIM, 3)] {
        simdeck.push_as(TRUE_SENDER, "mo-sms", second, &sms(sim, ms - days * DAY_MS)).await;
    }
    let sims = [SIM, OTHER_SIM];
    let mut before = Vec::new();
    for sim in sims {
        before.push(simdeck.get(&format!("/v1/sims/{sim}")).await);
    }
    let (code, answer) = simdeck.ask(Method::POST, "/v1/prune").await;
    assert_eq!((code, &answer["data_usage"], &answer["mo_sms"]), (200, &json!(3), &json!(2)));
    let forged = [
        usage(SIM, "460000000000666", ms - HOUR_MS, "US"),
        usage(OTHER_SIM, "460000000000667", ms - HOUR_MS, "US"),
        usage(FORGED_SIM, "460000000000668", ms - HOUR_MS, "US"),
    ];
    simdeck.push_as(FORGER, "data-usage", second - 1, &forged.join(",")).await;
    simdeck.push_as(FORGER, "mo-sms", second - 1, &sms(SIM, ms - 1)).await;
    assert_eq!(simdeck.get(&format!("/v1/sims/{SIM}")).await["last_seen"], shown(ms - 1));

    simdeck.retract(json!({"datePush": second - 1})).await;
    for (sim, before) in sims.into_iter().zip(before) {
        assert_eq!(simdeck.get(&format!("/v1/sims/{sim}")).await, before);
    }
    assert_eq!(simdeck.ask(Method::GET, &format!("/v1/sims/{FORGED_SIM}")).await.0, 404);
    for imsi in ["460000000000666", "460000000000667", "460000000000668"] {
        let hits = simdeck.get(&format!("/v1/search?q={imsi}")).await;
        assert_eq!(hits, json!([]), "nothing is left of a forged subscriber");
    }
    // The numbers of SIMs that went are free again, and nobody holds a wrong one.
    let again = usage(FORGED_SIM, "460000000000668", ms - HOUR_MS, "CN");
    simdeck.push_as(TRUE_SENDER, "data-usage", second, &again).await;
    let sim = simdeck.get(&format!("/v1/sims/{FORGED_SIM}")).await;
    assert_eq!(sim["last_seen"], shown(ms - HOUR_MS), "{sim}");
    simdeck.end();
}

#[tokio::test]
async fn a_record_that_came_by_another_push_too_stays_when_the_forged_one_is_retracted() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let ms = second * 1000;
    let kinds = ["data-usage", "mo-sms", "sim-status"];
    let forged_s = second - 100;
    // What is known of the true sender by another second, by the same one, twice, or not at all.
    let records = |nth: i64| {
        let event = format!(r#","event_time":{}}}"#, ms - nth * HOUR_MS);
        [
            usage(SIM, "", ms - nth * HOUR_MS, "CN"),
            sms(SIM, ms - nth * HOUR_MS),
            status(SIM, "ACTIVE").replace('}', &event),
        ]
    };
    for (kind, nth) in kinds.iter().flat_map(|kind| (1..=4).map(move |nth| (*kind, nth))) {
        let record = &records(nth)[kinds.iter().position(|it| *it == kind).unwrap()];
        let answer = simdeck.push_as(FORGER, kind, forged_s, record).await;
        assert_eq!(answer["stored"], 1, "{answer}");
        // The very same again, which says nothing more of it.
        simdeck.push_as(FORGER, kind, forged_s, record).await;
        let confirmed: &[i64] = match nth {
            1 => &[second],
            2 => &[forged_s],
            3 => &[second - 1, second],
            _ => &[],
        };
        for second in confirmed {
            let answer = simdeck.push_as(TRUE_SENDER, kind, *second, record).await;
            assert_eq!(answer["duplicates"], 1, "{answer}");
        }
    }
    let body = json!({"datePush": forged_s, "source": FORGER});
    let mut dry = body.clone();
    dry["dry_run"] = true.into();
    let told = simdeck.retract(dry).await;
    let done = simdeck.retract(body).await;
    for told in [&told, &done] {
        assert_eq!(
            (&told["data_usage"], &told["mo_sms"], &told["notifications"]),
            (&json!(1), &json!(1), &json!(1)),
            "{told}"
        );
        assert_eq!(told["kept"], 9, "{told}");
    }
    let simdeck = simdeck.restart(&[]);
    for kind in kinds {
        let list = if kind == "sim-status" { "notifications" } else { kind };
        let rows = simdeck.rows(&format!("/v1/{list}")).await;
        assert_eq!(rows.len(), 3, "{rows:?}");
        assert!(rows.iter().all(|row| row["source"] == TRUE_SENDER), "{rows:?}");
        // Whoever follows the changes takes away what is older than the retraction.
        assert!(rows.iter().all(|row| row["id"].as_i64() > done["id"].as_i64()), "{rows:?}");
    }
    let sum = simdeck.get("/v1/data-usage/aggregate?interval=none&group_by=giccid").await;
    assert_eq!((&sum[0]["data_usage"], &sum[0]["records"]), (&json!(21), &json!(3)), "{sum}");

    // The one that confirmed is retracted, too: another one still does, and then none.
    let told = simdeck.retract(json!({"datePush": second - 1})).await;
    assert_eq!((&told["data_usage"], &told["kept"]), (&json!(0), &json!(3)), "{told}");
    let told = simdeck.retract(json!({"datePush": second})).await;
    assert_eq!((&told["data_usage"], &told["kept"]), (&json!(2), &json!(0)), "{told}");
    let told = simdeck.retract(json!({"datePush": forged_s})).await;
    assert_eq!((&told["data_usage"], &told["kept"]), (&json!(1), &json!(0)), "{told}");
    assert!(simdeck.rows("/v1/sims").await.is_empty());
    simdeck.end();
}

#[tokio::test]
async fn a_forgery_that_only_forged_pushes_repeat_goes_whichever_is_retracted_first() {
    for order in [[1, 2], [2, 1]] {
        let simdeck = Simdeck::start(&[]);
        let second = now_s();
        let record = usage(SIM, "", second * 1000, "US");
        for nth in [1, 2] {
            simdeck.push_as(FORGER, "data-usage", second - nth, &record).await;
        }
        for nth in order {
            simdeck.retract(json!({"datePush": second - nth, "force": true})).await;
        }
        assert!(simdeck.rows("/v1/data-usage").await.is_empty(), "{order:?}");
        assert!(simdeck.rows("/v1/sims").await.is_empty(), "{order:?}");
        // What is true comes later, and is new.
        let answer = simdeck.push_as(TRUE_SENDER, "data-usage", second, &record).await;
        assert_eq!(answer["stored"], 1, "{order:?}: {answer}");
        simdeck.end();
    }
}

/// Of a SIM that comes new, nothing may be there but what it brings.
async fn push_new_sim(simdeck: &Simdeck, giccid: &str, second: i64) {
    let record = usage(giccid, "460000000000009", second * 1000, "CN");
    simdeck.push_as(TRUE_SENDER, "data-usage", second, &record).await;
    let sums = simdeck.get("/v1/data-usage/aggregate?interval=none&group_by=giccid").await;
    let told = sums.as_array().unwrap().iter().find(|row| row["giccid"] == *giccid).unwrap();
    assert_eq!((&told["records"], &told["data_usage"]), (&json!(1), &json!(7)), "{sums}");
    assert!(sums.as_array().unwrap().iter().all(|row| !row["giccid"].is_null()), "{sums}");
    assert_eq!(simdeck.rows(&format!("/v1/data-usage?giccid={giccid}")).await.len(), 1);
}

#[tokio::test]
async fn an_erasure_beside_a_retraction_leaves_nothing_that_another_sim_could_inherit() {
    let second = now_s();
    let ms = second * 1000;
    let erase = json!({"giccid": SIM}).to_string();
    for is_erased_first in [false, true] {
        let simdeck = Simdeck::start(&[]);
        let records: Vec<String> =
            (1..800).map(|nth| usage(SIM, "460000000000001", ms - nth * 1000, "CN")).collect();
        // Under both seconds: what the retraction takes out of the one stays as the other's.
        for second in [second - 1, second] {
            simdeck.push_as(FORGER, "data-usage", second, &records.join(",")).await;
        }
        let retraction = simdeck.retract(json!({"datePush": second - 1}));
        let erasure = simdeck.send_json(Method::POST, "/v1/erase", &erase);
        let (status, answer) = if is_erased_first {
            tokio::join!(erasure, retraction).0
        } else {
            tokio::join!(retraction, erasure).1
        };
        assert_eq!(status, 200, "{answer}");
        assert!(simdeck.rows("/v1/data-usage").await.is_empty());
        push_new_sim(&simdeck, OTHER_SIM, second).await;
        push_new_sim(&simdeck, FORGED_SIM, second).await;
        simdeck.end();
    }
}

#[tokio::test]
async fn a_sim_that_is_erased_twice_is_kept_again_only_when_both_have_ended() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let ms = second * 1000;
    let records: Vec<String> =
        (1..1_500).map(|nth| usage(SIM, "460000000000001", ms - nth * 1000, "CN")).collect();
    simdeck.push_as(TRUE_SENDER, "data-usage", second, &records.join(",")).await;
    let erase = json!({"giccid": SIM, "force": true}).to_string();
    let erased = async || simdeck.send_json(Method::POST, "/v1/erase", &erase).await.0;
    let lifted_and_pushed = async {
        let path = format!("/v1/erasures/{SIM}");
        let began = std::time::Instant::now();
        while simdeck.ask(Method::DELETE, &path).await.0 != 204 {
            assert!(began.elapsed().as_secs() < 60, "it is never lifted");
        }
        let record = usage(SIM, "460000000000001", ms, "CN");
        simdeck.push_as(TRUE_SENDER, "data-usage", second, &record).await
    };
    let (first, again, pushed) = tokio::join!(erased(), erased(), lifted_and_pushed);
    assert_eq!((first, again, &pushed["stored"]), (200, 200, &json!(1)));
    assert_eq!(simdeck.rows(&format!("/v1/data-usage?giccid={SIM}")).await.len(), 1);
    push_new_sim(&simdeck, OTHER_SIM, second).await;
    simdeck.end();
}

#[tokio::test]
async fn a_record_stays_as_long_as_one_of_its_pushes_is_not_retracted_however_many_there_were() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s() - 600;
    let record = usage(SIM, "460000000000001", second * 1000 - HOUR_MS, "CN");
    // One source under six seconds, and very many under one of them.
    for later in 0..6 {
        simdeck.push_as(TRUE_SENDER, "data-usage", second + later, &record).await;
    }
    for address in 0..100 {
        let address = format!("198.51.100.{address}");
        simdeck.push_as(&address, "data-usage", second + 4, &record).await;
    }
    for later in 0..5 {
        let body = json!({"datePush": second + later}).to_string();
        let (status, answer) = simdeck.send_json(Method::POST, "/v1/retract", &body).await;
        assert_eq!((status, &answer["kept"]), (200, &json!(1)), "{later}: {answer}");
    }
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    let body = json!({"datePush": second + 5}).to_string();
    let (_, answer) = simdeck.send_json(Method::POST, "/v1/retract", &body).await;
    assert_eq!(answer["kept"], 0, "{answer}");
    assert!(simdeck.rows("/v1/data-usage").await.is_empty());
    simdeck.end();
}

#[tokio::test]
async fn a_record_that_is_stored_anew_counts_once() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s() - 60;
    let record = usage(SIM, "460000000000001", second * 1000 - HOUR_MS, "CN");
    let message = format!(r#"{{"giccid":"{SIM}","event_time":{}}}"#, second * 1000);
    for (source, at) in [(FORGER, second), (TRUE_SENDER, second + 1)] {
        simdeck.push_as(source, "data-usage", at, &record).await;
        simdeck.push_as(source, "mo-sms", at, &message).await;
    }
    let counted = async || {
        let pushes = simdeck.get("/v1/status").await["pushes"].clone();
        ["data-usage", "mo-sms"].map(|kind| pushes[kind]["records"].as_i64())
    };
    assert_eq!(counted().await, [Some(1); 2]);
    let body = json!({"datePush": second}).to_string();
    let (status, answer) = simdeck.send_json(Method::POST, "/v1/retract", &body).await;
    assert_eq!((status, &answer["kept"]), (200, &json!(2)), "{answer}");
    assert_eq!(counted().await, [Some(1); 2]);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    simdeck.end();
}

#[tokio::test]
async fn what_stood_beside_the_records_of_a_forged_push_goes_with_it() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s() - 60;
    let ms = second * 1000;
    let records = [
        ("data-usage", format!(r#"{{"giccid":"{SIM}","start_time":{ms},"data_usage":7}}"#)),
        (
            "data-usage",
            format!(r#"{{"giccid":"{SIM}","start_time":{},"data_usage":7,"_push":1}}"#, ms - 1),
        ),
        ("mo-sms", format!(r#"{{"giccid":"{SIM}","event_time":{ms}}}"#)),
        ("sim-status", format!(r#"{{"giccid":"{SIM}","event_time":{ms},"s":"A"}}"#)),
    ];
    for (source, at) in [(FORGER, second), (TRUE_SENDER, second + 1)] {
        for (kind, record) in &records {
            let body = format!(r#"{{{},"account":"{source}","records":[{record}]}}"#, proof(at));
            let answer = simdeck.post_with(kind, body, &[("X-Forwarded-For", source)]).await;
            assert_eq!(answer.status, 200);
        }
    }
    let lists = ["/v1/data-usage", "/v1/mo-sms", "/v1/notifications"];
    let all = async || {
        let mut rows = Vec::new();
        for list in lists {
            rows.extend(simdeck.rows(list).await);
        }
        json!(rows).to_string()
    };
    assert_eq!(all().await.matches(&format!(r#""account":"{FORGER}""#)).count(), 4);
    let answer = simdeck.retract(json!({ "datePush": second })).await;
    assert_eq!(answer["kept"], 4, "{answer}");
    let kept = all().await;
    assert!(!kept.contains("account"), "{kept}");
    assert!(kept.contains(r#""_push":1"#), "{kept}");
    simdeck.end();
}
