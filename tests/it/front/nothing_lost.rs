//! Whatever is authentic is somewhere, and whatever is not is somewhere or counted.
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::server::{PUSH_KEY, Simdeck, now_s, signature, signed, usage};

const SIM: &str = "8944501503181377993";

/// Members that a push may hold, alone and beside each other: those of a record, lists that are no
/// list of records, and lists that may be one.
const MEMBERS: [&str; 14] = [
    r#""giccid":"8944501503181377993""#,
    r#""iccid":"8944501503181377993""#,
    r#""data_usage":1302,"start_time":1713888842473"#,
    r#""usage":1302"#,
    r#""event_time":1713888842473"#,
    r#""total":0"#,
    r#""tags":[]"#,
    r#""list":[]"#,
    r#""codes":[1,2]"#,
    r#""nested":[[]]"#,
    r#""data":{}"#,
    r#""holder":{"list":[]}"#,
    r#""one":[{}]"#,
    r#""nothing":null"#,
];

/// All choices of at most three members, in both orders of two.
fn shapes() -> Vec<Vec<&'static str>> {
    let mut shapes = vec![vec![]];
    for (nth, first) in MEMBERS.iter().enumerate() {
        shapes.push(vec![*first]);
        for (mth, second) in MEMBERS.iter().enumerate().skip(nth + 1) {
            shapes.extend([vec![*first, *second], vec![*second, *first]]);
            shapes.extend(MEMBERS[mth + 1..].iter().map(|third| vec![*first, *second, *third]));
        }
    }
    shapes
}

/// Whether nothing was sent but an empty list.
fn holds_nothing(shape: &[&str]) -> bool {
    matches!(shape, [only] if only.ends_with(":[]"))
}

#[tokio::test]
async fn nothing_authentic_is_acknowledged_and_kept_nowhere() {
    let simdeck = Simdeck::start(&[]);
    let shapes = shapes();
    for kind in ["data-usage", "mo-sms", "sim-status"] {
        for shape in &shapes {
            let (stored, duplicates, quarantined) =
                simdeck.push(kind, signed(&shape.join(","))).await;
            let parts = stored + duplicates + quarantined;
            assert_eq!(parts == 0, holds_nothing(shape), "{kind}: {shape:?}");
        }
        let elements: Vec<_> = shapes.iter().map(|shape| signed(&shape.join(","))).collect();
        let something = shapes.iter().filter(|shape| !holds_nothing(shape)).count();
        let body = format!("[{}]", elements.join(","));
        let (stored, duplicates, quarantined) = simdeck.push(kind, body).await;
        let parts = usize::try_from(stored + duplicates + quarantined).unwrap();
        assert!(parts >= something, "{kind}: {parts} of {something}");
    }
    simdeck.end();
}

/// What each of our figures says of refused pushes: held and dropped together.
async fn refused_by_figure(simdeck: &Simdeck) -> Vec<(&'static str, u64)> {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let status = simdeck.get("/v1/status").await;
    let rings = status["held"]["refused"].as_object().unwrap();
    let of_rings = rings.values().map(|ring| number(&ring["pushes"]) + number(&ring["dropped"]));
    let summary = simdeck.get("/v1/summary").await;
    let attention = simdeck.get("/v1/attention").await;
    let items = attention.as_array().unwrap().iter();
    let of_attention =
        items.filter(|item| item["kind"] == "pushes_refused").map(|item| number(&item["count"]));
    let pushes = simdeck.get("/v1/pushes?outcome=refused&size=1000").await;
    let (_, metrics) = simdeck.ask_text(reqwest::Method::GET, "/metrics").await;
    let sum_of = |names: &[&str]| {
        let lines = metrics.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
        lines
            .map(|line| {
                line.rsplit(' ').next().unwrap().trim_end_matches(".0").parse::<u64>().unwrap()
            })
            .sum()
    };
    vec![
        ("/v1/status", of_rings.sum()),
        ("/v1/summary", number(&summary["records"]["refused"])),
        ("/v1/attention", of_attention.sum()),
        ("/v1/pushes", pushes.as_array().unwrap().len() as u64),
        (
            "/metrics: rings",
            sum_of(&[
                "simdeck_held_pushes{held=\"plausible",
                "simdeck_held_pushes{held=\"noise",
                "simdeck_held_dropped_total",
            ]),
        ),
        (
            "/metrics: pushes",
            sum_of(&[r#"simdeck_pushes_total{kind="data-usage",outcome="refused"#]),
        ),
    ]
}

/// Sends so many refused pushes and waits until every figure knows all of them.
async fn is_told_everywhere(simdeck: &Simdeck, bodies: impl Iterator<Item = String>) -> Vec<u16> {
    let mut statuses = Vec::new();
    for body in bodies {
        statuses.push(simdeck.post("data-usage", body).await.status);
    }
    let began = Instant::now();
    loop {
        let figures = refused_by_figure(simdeck).await;
        if figures.iter().all(|(_, count)| *count == statuses.len() as u64) {
            return statuses;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{} sent: {figures:?}", statuses.len());
    }
}

#[tokio::test]
async fn pushes_under_another_key_are_held_however_many_they_are() {
    let simdeck = Simdeck::start(&[]);
    let now = now_s();
    let foreign = |nth: usize| {
        let proof = format!(r#""datePush":{now},"signature":"{}""#, signature("other", now));
        format!("{{{proof},{},\"nth\":{nth}}}", usage(SIM))
    };
    let statuses = is_told_everywhere(&simdeck, (0..200).map(foreign)).await;
    assert!(statuses.contains(&401) && statuses.contains(&429), "{statuses:?}");
    let status = simdeck.get("/v1/status").await;
    let plausible = &status["held"]["refused"]["plausible"];
    assert_eq!((&plausible["pushes"], &plausible["dropped"]), (&200.into(), &0.into()));
    simdeck.end();
}

#[tokio::test]
async fn pushes_in_forms_that_are_new_to_us_are_held_however_many_they_are() {
    let simdeck = Simdeck::start(&[]);
    let now = Timestamp::from_second(now_s()).unwrap();
    let hex = signature(PUSH_KEY, now.as_second());
    let base64 = "WCECd+7qmCWJo/LFcRzlrCOoZimNd/zLVcMLseCqnDRf";
    let (http, java) = ("%a, %d %b %Y %H:%M:%S GMT", "%a %b %d %H:%M:%S UTC %Y");
    let proofs = [
        (now.strftime(http).to_string(), hex.as_str()),
        (now.strftime(java).to_string(), &hex),
        (now.strftime("%Y%m%d%H%M%S123").to_string(), &hex),
        (now.as_second().to_string(), base64),
        (now.strftime(http).to_string(), base64),
    ];
    let new_to_us = |nth: usize| {
        let (date, signature) = &proofs[nth % proofs.len()];
        format!(r#"{{"datePush":"{date}","signature":"{signature}","nth":{nth}}}"#)
    };
    let statuses = is_told_everywhere(&simdeck, (0..200).map(new_to_us)).await;
    assert!(statuses.contains(&401) && statuses.contains(&429), "{statuses:?}");
    let status = simdeck.get("/v1/status").await;
    let plausible = &status["held"]["refused"]["plausible"];
    assert_eq!((&plausible["pushes"], &plausible["dropped"]), (&200.into(), &0.into()));
    simdeck.end();
}

#[tokio::test]
async fn noise_beyond_the_limit_is_counted_as_dropped_by_every_figure() {
    let simdeck = Simdeck::start(&[]);
    // No proof, no JSON, and the very same thing again and again.
    let noise = |nth: usize| match nth % 3 {
        0 => format!(r#"{{"datePush":{nth}}}"#),
        1 => format!("no json {nth}"),
        _ => "{}".to_owned(),
    };
    let statuses = is_told_everywhere(&simdeck, (0..150).map(noise)).await;
    assert!(statuses.contains(&429), "{statuses:?}");
    let simdeck = simdeck.restart(&[]);
    let figures = refused_by_figure(&simdeck).await;
    for (figure, count) in &figures[..3] {
        assert_eq!(*count, 150, "{figure} after a restart: {figures:?}");
    }
    simdeck.end();
}

#[tokio::test]
async fn refused_pushes_that_wait_when_it_stops_are_written_first() {
    let simdeck = Simdeck::start(&[]);
    let now = now_s();
    let foreign = |nth: usize| {
        let proof = format!(r#""datePush":{now},"signature":"{}""#, signature("other", now));
        simdeck.post("data-usage", format!("{{{proof},\"nth\":{nth}}}"))
    };
    // Three times as many as are written in a second.
    futures_util::future::join_all((0..300).map(foreign)).await;
    let simdeck = simdeck.restart(&[]);
    let plausible = simdeck.get("/v1/status").await["held"]["refused"]["plausible"].clone();
    let sum = plausible["pushes"].as_u64().unwrap() + plausible["dropped"].as_u64().unwrap();
    assert_eq!(sum, 300, "{plausible}");
    simdeck.end();
}
