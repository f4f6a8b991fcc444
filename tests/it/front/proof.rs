//! Is it SmartHub's? Every form of the two fields, every way to be wrong.
use serde_json::{Value, json};

use crate::server::{Answer, PUSH_KEY, Simdeck, now_s, proof, signature, signed, signed_at, usage};

/// SmartHub's own example.
const SECOND: i64 = 1_725_499_848;
const SIGNATURE: &str = "58210277eeea982589a3f2c5711ce5ac23a866298d77fcb5c30bb1e0aa9c345f";
const OLD_IS_FINE: (&str, &str) = ("SIMDECK_PUSH_MAX_AGE", "3650d");
/// A push that is plausible enough for the ring, and wrong.
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[tokio::test]
async fn every_form_of_date_push_is_read() {
    let simdeck = Simdeck::start(&[OLD_IS_FINE]);
    let forms = [
        r#""2024-09-05T01:30:48Z""#,
        r#""2024-09-05T01:30:48+0000""#,
        r#""2024-09-05T01:30:48+00:00""#,
        r#""2024-09-05T09:30:48+0800""#,
        r#""2024-09-05T09:30:48+08:00""#,
        r#""2024-09-04T19:00:48-06:30""#,
        r#""2024-09-05T01:30:48.999Z""#,
        r#""2024-09-05T01:30:48.999999999+0000""#,
        "1725499848",
        r#""1725499848""#,
        "1725499848999",
        r#""1725499848123""#,
        r#""\u0032024-09-05T01:30:48Z""#,
        // Of neighbours: libraries that write decimals, leave parts out or name the zone.
        "1725499848.0",
        "1725499848.123456789",
        r#""1725499848.5""#,
        "1.725499848E9",
        "1.725499848123E+12",
        "1725499848123456",
        r#""1725499848123456789""#,
        r#""2024-09-05T01:30:48""#,
        r#""2024-09-05 01:30:48Z""#,
        r#""2024-09-05 01:30:48""#,
        r#""2024-09-05 01:30:48 +0000""#,
        r#""2024-09-05 09:30:48.7 +08""#,
        r#""2024-09-05T01:30:48+00""#,
        r#""2024-09-05T01:30:48,999Z""#,
        r#""2024-09-05t01:30:48z""#,
        r#""2024-09-05T01:30:48Z[UTC]""#,
        r#""2024-09-05T09:30:48.123+08:00[Asia/Shanghai]""#,
        r#""2024-09-05T01:30:48GMT""#,
        r#""2024/09/05 01:30:48""#,
        r#""20240905T013048Z""#,
        r#""20240905013048""#,
        r#"" 2024-09-05T01:30:48Z ""#,
    ];
    for (nth, date_push) in forms.iter().enumerate() {
        for (case, signature) in [SIGNATURE.to_owned(), SIGNATURE.to_uppercase()].iter().enumerate()
        {
            let usage = usage(&format!("89445015031813779{nth:02}{case}"));
            let body = format!(r#"{{{usage},"datePush":{date_push},"signature":"{signature}"}}"#);
            assert_eq!(simdeck.push("data-usage", body).await, (1, 0, 0), "{date_push}");
        }
    }
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 2 * forms.len());
    simdeck.end();
}

#[tokio::test]
async fn what_cannot_be_read_as_date_push_is_401() {
    let simdeck = Simdeck::start(&[OLD_IS_FINE, ("SIMDECK_PUSH_KEY", "密钥-Ключ-🔑")]);
    let body = format!(
        r#"{{"datePush":"2025-12-31T23:59:59Z","signature":"{}"}}"#,
        "28c87f2674aec587107903cc63655b17002d74e58811815d6a9c99d14c05803e"
    );
    assert_eq!(simdeck.push("sim-status", body).await, (1, 0, 0));

    let simdeck = simdeck.restart(&[OLD_IS_FINE]);
    let unreadable = [
        r#""""#,
        r#""2024-09-05""#,
        r#""2024-13-05T01:30:48Z""#,
        r#""2024-09-05T24:00:00Z""#,
        r#""2024-09-05T01:30:48.Z""#,
        r#""yesterday""#,
        "null",
        "true",
        "-1",
        "17254998480",
        "172549984.8",
        "1.725499848e8",
        r#""1725499848e""#,
        "-1725499848",
        "999999999",
        r#""0999999999""#,
        "[1725499848]",
    ];
    for (nth, date_push) in unreadable.iter().enumerate() {
        let body = format!(r#"{{"datePush":{date_push},"signature":"{SIGNATURE}","n":{nth}}}"#);
        is_invalid_signature(&simdeck.post("sim-status", body).await);
    }
    let held = simdeck.held(unreadable.len()).await;
    for row in held {
        assert_eq!(row["reason"], "date_unreadable", "{row}");
    }
    simdeck.end();
}

#[tokio::test]
async fn one_401_answers_every_cause() {
    let simdeck = Simdeck::start(&[]);
    let now = now_s();
    let good = signature(PUSH_KEY, now);
    let causes = [
        (format!(r#"{{"datePush":{now}}}"#), "signature_missing"),
        ("{}".to_owned(), "signature_missing"),
        (format!(r#"{{"signature":"{good}"}}"#), "date_missing"),
        (format!(r#"{{"datePush":{now},"signature":"{ZEROS}"}}"#), "signature_wrong"),
        (
            format!(r#"{{"datePush":{now},"signature":"{}"}}"#, signature("other", now)),
            "signature_wrong",
        ),
        (
            format!(r#"{{"datePush":{},"signature":"{}"}}"#, now - 100, signature(PUSH_KEY, now)),
            "signature_wrong",
        ),
        (format!(r#"{{"datePush":{now},"signature":"{}"}}"#, &ZEROS[1..]), "signature_unreadable"),
        (format!(r#"{{"datePush":{now},"signature":"{ZEROS}0"}}"#), "signature_unreadable"),
        (
            format!(r#"{{"datePush":{now},"signature":"{}"}}"#, "z".repeat(64)),
            "signature_unreadable",
        ),
        (format!(r#"{{"datePush":{now},"signature":""}}"#), "signature_unreadable"),
        (format!(r#"{{"datePush":{now},"signature":null}}"#), "signature_unreadable"),
        (format!(r#"{{"datePush":{now},"signature":7}}"#), "signature_unreadable"),
        (format!(r#"{{{},"signature":"{good}"}}"#, proof(now)), "signature_unreadable"),
        (format!(r#"{{{},"datePush":{now}}}"#, proof(now)), "date_unreadable"),
        (format!(r#"{{{},"date\u0050ush":{now}}}"#, proof(now)), "date_unreadable"),
        (format!(r#"{{"data":{{{}}}}}"#, proof(now)), "signature_missing"),
    ];
    let mut first: Option<(String, Vec<String>)> = None;
    for (nth, (body, reason)) in causes.iter().enumerate() {
        // Some are alike without their signatures; the kind lets each be held by itself.
        let answer = simdeck.post(&format!("kind-{nth}"), body.clone()).await;
        is_invalid_signature(&answer);
        let mut names: Vec<String> =
            answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        // Byte for byte: nobody learns by trying which of the two fields was wrong.
        let seen = (answer.body, names);
        assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen, "{reason}: {body}");
    }
    let held = simdeck.held(causes.len()).await;
    for (row, (body, reason)) in held.iter().zip(&causes) {
        assert_eq!((&row["reason"], &row["class"]), (&json!(reason), &json!("refused")), "{body}");
    }
    assert_eq!(simdeck.get("/v1/data-usage").await, json!([]));
    simdeck.end();
}

#[tokio::test]
async fn one_wrong_element_of_an_array_refuses_the_whole() {
    let simdeck = Simdeck::start(&[]);
    let element = |nth: usize| signed(&usage(&format!("894450150318137799{nth}")));
    let wrong = [
        "{}".to_owned(),
        format!(r#"{{"datePush":{},"signature":"{ZEROS}"}}"#, now_s()),
        format!(r#"{{{},"datePush":1}}"#, proof(now_s())),
    ];
    for at in 0..3 {
        for wrong in &wrong {
            let mut elements: Vec<String> = (0..3).map(element).collect();
            elements[at].clone_from(wrong);
            let body = format!("[{}]", elements.join(","));
            is_invalid_signature(&simdeck.post("data-usage", body).await);
        }
    }
    assert_eq!(simdeck.get("/v1/data-usage").await, json!([]), "not even a good neighbour");
    let mut elements: Vec<String> = (0..3).map(element).collect();
    elements[1] = signed_at(now_s() - 60, &usage("8944501503181377991"));
    let body = format!("[{}]", elements.join(","));
    assert_eq!(simdeck.push("data-usage", body).await, (3, 0, 0), "each has its own datePush");
    simdeck.end();
}

#[tokio::test]
async fn what_is_no_object_and_no_array_of_objects_is_400() {
    let simdeck = Simdeck::start(&[]);
    let good = signed(&usage("8944501503181377993"));
    let bodies = [
        String::new(),
        " ".to_owned(),
        "null".to_owned(),
        "1".to_owned(),
        "\"text\"".to_owned(),
        "[]".to_owned(),
        "[[]]".to_owned(),
        format!("[{good},1]"),
        good[..good.len() - 1].to_owned(),
        format!("{good}{good}"),
        format!("{good}x"),
        format!("[{good},]"),
        good.replace('"', "'"),
        format!("\u{feff}\u{feff}{good}"),
        format!("{{{},\"a\":01}}", proof(now_s())),
        format!("{{{},\"a\":\"\t\"}}", proof(now_s())),
        format!("{{{},\"a\":NaN}}", proof(now_s())),
    ];
    for body in &bodies {
        let answer = simdeck.post("data-usage", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        let problem = json!({"type": "about:blank", "title": "Bad Request", "status": 400,
            "detail": "Body should be a JSON object"});
        assert_eq!(answer.json(), problem);
    }
    let held = simdeck.held(bodies.len()).await;
    assert!(held.iter().all(|row| row["reason"] == "not_json"), "{held:?}");
    assert_eq!(simdeck.get("/v1/data-usage").await, json!([]));
    simdeck.end();
}

#[tokio::test]
async fn an_array_has_at_most_ten_thousand_elements() {
    let simdeck = Simdeck::start(&[]);
    let element = format!("{{{}}}", proof(now_s()));
    let array = |count: usize| format!("[{}]", vec![element.as_str(); count].join(","));
    assert_eq!(simdeck.post("sim-status", array(10_001)).await.status, 400);
    // All the same: one is new.
    assert_eq!(simdeck.push("sim-status", array(10_000)).await, (1, 9_999, 0));
    simdeck.end();
}

#[tokio::test]
async fn every_live_key_verifies_and_a_removed_one_does_not() {
    let simdeck = Simdeck::start(&[("SIMDECK_PUSH_KEY", "first-key,second-key,third-key")]);
    let now = now_s();
    let body = |key: &str, nth: usize| {
        format!(
            r#"{{"datePush":{now},"signature":"{}",{}}}"#,
            signature(key, now),
            usage(&format!("894450150318137799{nth}"))
        )
    };
    for (nth, key) in ["first-key", "second-key", "third-key"].into_iter().enumerate() {
        assert_eq!(simdeck.push("data-usage", body(key, nth)).await, (1, 0, 0), "{key}");
    }
    is_invalid_signature(&simdeck.post("data-usage", body("first-key,second-key", 4)).await);
    is_invalid_signature(&simdeck.post("data-usage", body("", 5)).await);
    let simdeck = simdeck.restart(&[("SIMDECK_PUSH_KEY", "second-key")]);
    assert_eq!(simdeck.push("data-usage", body("second-key", 6)).await, (1, 0, 0));
    is_invalid_signature(&simdeck.post("data-usage", body("first-key", 7)).await);
    simdeck.end();
}

#[tokio::test]
async fn the_date_shift_is_added_before_hashing_and_before_the_age_is_judged() {
    let simdeck = Simdeck::start(&[("SIMDECK_PUSH_DATE_SHIFT", "28800")]);
    let now = now_s();
    let shifted = |second: i64| {
        let signature = signature(PUSH_KEY, second + 28_800);
        format!(r#"{{"datePush":{second},"signature":"{signature}"}}"#)
    };
    assert_eq!(simdeck.push("sim-status", shifted(now - 28_800)).await, (1, 0, 0));
    assert_eq!(
        simdeck.push("sim-status", shifted(now)).await,
        (0, 0, 1),
        "it stands for 8 h ahead"
    );
    is_invalid_signature(&simdeck.post("sim-status", signed("")).await);
    simdeck.end();
}

#[tokio::test]
async fn only_seconds_of_ten_digits_can_be_signed() {
    let simdeck = Simdeck::start(&[OLD_IS_FINE]);
    for (date_push, second) in
        [(r#""2001-09-09T01:46:39Z""#, 999_999_999), (r#""2286-11-20T17:46:40Z""#, 10_000_000_000)]
    {
        let signature = signature(PUSH_KEY, second);
        let body = format!(r#"{{"datePush":{date_push},"signature":"{signature}"}}"#);
        is_invalid_signature(&simdeck.post("sim-status", body).await);
    }
    // The first and the last that can be: authentic, however far from now.
    for (date_push, second) in
        [(r#""2001-09-09T01:46:40Z""#, 1_000_000_000), (r#""2286-11-20T17:46:39Z""#, 9_999_999_999)]
    {
        let signature = signature(PUSH_KEY, second);
        let body = format!(r#"{{"datePush":{date_push},"signature":"{signature}"}}"#);
        assert_eq!(simdeck.push("sim-status", body).await, (0, 0, 1));
    }
    simdeck.end();
}

#[tokio::test]
async fn smarthubs_own_example_is_authentic_and_too_old() {
    let simdeck = Simdeck::start(&[]);
    let body = format!(r#"{{"datePush":{SECOND},"signature":"{SIGNATURE}","status":"ACTIVE"}}"#);
    assert_eq!(simdeck.push("sim-status", body).await, (0, 0, 1));
    assert_eq!(simdeck.held(1).await[0]["reason"], "date_old");
    simdeck.end();
}

fn is_invalid_signature(answer: &Answer) {
    assert_eq!(answer.status, 401, "{}", answer.body);
    let problem: Value =
        json!({"type": "about:blank", "title": "Invalid signature", "status": 401});
    assert_eq!(answer.json(), problem);
    assert_eq!(answer.header("content-type"), "application/problem+json");
}
