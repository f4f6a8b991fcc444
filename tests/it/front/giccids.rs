//! A SIM whose number has letters is a SIM like any other: everywhere, and as it was sent.
use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Simdeck, now_s, signed};

/// As operators issue them: with letters, with a filler at the end, and in either case.
const SIMS: [&str; 6] = [
    "898604B71122C0012345",
    "898604b71122c0012345",
    "8986011234567890123F",
    "898604123456789E0123",
    "ABCDEFGHIJKLMNOPQR",
    "zzzzzzzzzzzzzzzzzzzzzz",
];

fn members(giccid: &str) -> [(&'static str, String); 3] {
    let ms = (now_s() - 60) * 1000;
    let (giccid, imsi) = (format!(r#""giccid":"{giccid}""#), r#""imsi":"460001234567890""#);
    [
        ("data-usage", format!(r#"{giccid},{imsi},"data_usage":7,"start_time":{ms}"#)),
        ("mo-sms", format!(r#"{giccid},{imsi},"event_time":{ms},"from_msisdn":"882360010341361""#)),
        ("sim-status", format!(r#"{giccid},"status":"ACTIVE""#)),
    ]
}

async fn filled() -> Simdeck {
    let simdeck = Simdeck::start(&[]);
    for (kind, members) in SIMS.iter().flat_map(|giccid| members(giccid)) {
        assert_eq!(simdeck.push(kind, signed(&members)).await, (1, 0, 0), "{kind} {members}");
    }
    simdeck
}

fn giccids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["giccid"].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_sim_whose_number_has_letters_is_found_and_counted_as_it_was_sent() {
    // Once while what came is in memory, once when it was read in again.
    let mut simdeck = filled().await;
    for _ in 0..2 {
        for list in ["data-usage", "mo-sms", "notifications", "sims"] {
            let rows = simdeck.rows(&format!("/v1/{list}")).await;
            assert_eq!(giccids(&rows), SIMS, "{list}");
        }
        for giccid in SIMS {
            for list in ["data-usage", "mo-sms", "notifications"] {
                let rows = simdeck.rows(&format!("/v1/{list}?giccid={giccid}")).await;
                assert_eq!(giccids(&rows), [giccid], "{list}");
            }
            let sum = format!("/v1/data-usage/aggregate?interval=none&giccid={giccid}");
            assert_eq!(simdeck.get(&sum).await[0]["data_usage"], 7, "{giccid}");
            assert_eq!(simdeck.get(&format!("/v1/sims/{giccid}")).await["giccid"], giccid);
            let story = simdeck.rows(&format!("/v1/sims/{giccid}/timeline")).await;
            assert_eq!(story.len(), 3, "{story:?}");
        }
        let groups = simdeck.get("/v1/data-usage/aggregate?interval=none&group_by=giccid").await;
        assert_eq!(groups.as_array().unwrap().len(), SIMS.len());
        simdeck = simdeck.restart(&[]);
    }
    simdeck.end();
}

#[tokio::test]
async fn search_finds_letters_in_either_case_and_the_end_before_a_filler() {
    let simdeck = filled().await;
    for (text, wanted) in [
        ("898604B71122C0012345", vec![SIMS[0], SIMS[1]]),
        ("898604b71122c0012345", vec![SIMS[1], SIMS[0]]),
        ("C0012345", vec![SIMS[0], SIMS[1]]),
        ("0012345", vec![SIMS[0], SIMS[1]]),
        ("0123f", vec![SIMS[2]]),
        ("890123", vec![SIMS[2]]),
        ("8986011234567890123", vec![SIMS[2]]),
        ("nopqr", vec![SIMS[4]]),
        ("zzzz", vec![SIMS[5]]),
        ("zzz", vec![]),
        ("0012346", vec![]),
    ] {
        let hits = simdeck.get(&format!("/v1/search?q={text}")).await;
        assert_eq!(giccids(hits.as_array().unwrap()), wanted, "{text}");
    }
    simdeck.end();
}

#[tokio::test]
async fn a_sim_whose_number_has_letters_is_named_exported_and_imported() {
    let (simdeck, other) = (filled().await, Simdeck::start(&[]));
    for giccid in SIMS {
        let (status, label) =
            simdeck.send_json(Method::PUT, &format!("/v1/sims/{giccid}"), r#"{"name":"x"}"#).await;
        assert_eq!((status, &label["giccid"]), (200, &json!(giccid)), "{label}");
    }
    let (status, page) = simdeck.ask_text(Method::GET, "/sims/898604B71122C0012345").await;
    assert!(status == 200 && page.contains("8986 04B7 1122 C001"), "{status} {page}");
    let folder = simdeck.folder();
    let file = folder.path().join("usage.csv").to_str().unwrap().to_owned();
    for (way, counted) in [([].as_slice(), (6, 0)), (&["--excel"], (0, 6))] {
        let args = [&["export", "data-usage", "--format", "csv", "--out", &file], way].concat();
        let exported = simdeck.run(&args);
        assert!(exported.status.success(), "{exported:?}");
        let text = fs::read_to_string(&file).unwrap();
        assert!(SIMS.iter().all(|giccid| text.contains(giccid)), "{text}");
        let imported = other.run(&["import", &file, "--kind", "data-usage", "--output", "json"]);
        let report: Value = serde_json::from_slice(&imported.stdout).unwrap();
        assert_eq!(
            (&report["stored"], &report["duplicates"]),
            (&json!(counted.0), &json!(counted.1))
        );
    }
    let rows = other.rows("/v1/data-usage").await;
    assert!(SIMS.iter().all(|giccid| giccids(&rows).contains(giccid)), "{rows:?}");
    simdeck.end();
    other.end();
}

#[tokio::test]
async fn what_is_no_number_of_a_sim_stays_in_quarantine() {
    let simdeck = Simdeck::start(&[]);
    let bad = [
        "898604B7112200123",
        "898604B71122C0012345678",
        "898604B7-122C0012345",
        "８９８６０４１２３４５６７８９０１２",
        "",
    ];
    for giccid in bad {
        let (kind, members) = members(giccid).into_iter().next().unwrap();
        assert_eq!(simdeck.push(kind, signed(&members)).await, (0, 0, 1), "{giccid}");
    }
    for held in simdeck.held(bad.len()).await {
        assert_eq!((&held["reason"], &held["field"]), (&json!("field_invalid"), &json!("giccid")));
    }
    simdeck.end();
}
