//! What makes two records the same.
use serde_json::{Value, json};

use crate::server::{Simdeck, now_s, proof, signed, signed_at, usage};

const SIM: &str = "8944501503181377993";
const ONE: (u64, u64, u64) = (1, 0, 0);
const AGAIN: (u64, u64, u64) = (0, 1, 0);

#[tokio::test]
async fn the_same_record_written_otherwise_is_a_repeat() {
    let simdeck = Simdeck::start(&[]);
    let time = format!("{}000", now_s() - 60);
    let (day, second) = (now_s(), now_s() - 5);
    let first = format!(
        r#""giccid":"{SIM}","data_usage":1302,"start_time":{time},"apn":"A\u00e9/","o":{{"a":1,"b":[true,"x"]}}"#
    );
    assert_eq!(simdeck.push("data-usage", signed_at(day, &first)).await, ONE);
    let o = r#""o":{"b":[true,"x"],"a":1}"#;
    let plain =
        format!(r#""start_time":{time},"apn":"Aé/",{o},"data_usage":1302,"giccid":"{SIM}""#);
    let ways = [
        signed_at(day, &first),
        signed_at(second, &first),
        signed_at(day, &plain),
        signed_at(day, &plain).replace(':', " :\r\n\t ").replace(",\"", " ,\n \""),
        signed_at(day, &first.replace("\"A", r#""\u0041"#).replace('/', r"\/")),
        signed_at(day, &first.replace("giccid", r"gicc\u0069d").replace("\"x\"", r#""\u0078""#)),
        format!("[{}]", signed_at(day, &plain)),
        signed_at(day, &format!(r#""records":{{{plain}}}"#)),
        signed_at(day, &format!(r#""records":[{{{plain}}}],"page":2"#)),
        // Its own datePush and signature, inside the container, are no part of it either.
        signed_at(day, &format!(r#""records":[{{{plain},{}}}]"#, proof(second))),
    ];
    for body in &ways {
        assert_eq!(simdeck.push("data-usage", body.clone()).await, AGAIN, "{body}");
    }
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    let tally = simdeck.get("/v1/status").await["pushes"]["data-usage"].clone();
    assert_eq!(tally["records"], 1);
    assert_eq!(tally["data_usage"], 1302);
    assert_eq!(tally["repeats"], ways.len());
    assert_eq!(tally["repeats_redated"], 1, "one came under another datePush");
    let simdeck = simdeck.restart(&[]);
    assert_eq!(simdeck.push("data-usage", ways[0].clone()).await, AGAIN, "after a restart");
    simdeck.end();
}

#[tokio::test]
async fn whatever_else_differs_makes_another_record() {
    let simdeck = Simdeck::start(&[]);
    let time = now_s() - 60;
    let record = |sim: &str, usage: u32, time_ms: i64, rest: &str| {
        let time = format!(r#""start_time":{time_ms}{rest}"#);
        signed(&format!(r#""giccid":"{sim}","data_usage":{usage},{time}"#))
    };
    let whole = |rest: &str| record(SIM, 1302, time * 1_000, rest);
    for rest in [
        "",
        r#","x":1"#,
        r#","x":1.0"#,
        r#","x":1e0"#,
        r#","x":"1""#,
        r#","x":true"#,
        r#","x":"true""#,
        r#","x":null"#,
        r#","x":"""#,
        r#","x":[]"#,
        r#","x":{}"#,
        r#","x":[[]]"#,
        r#","x":["a","b"]"#,
        r#","x":["b","a"]"#,
        r#","x":["ab"]"#,
        r#","x":["a",["b"]]"#,
        r#","x":{"a":"b"}"#,
        r#","X":1"#,
        r#","xy":1"#,
        r#","x":"y1""#,
        r#","apn":null"#,
        r#","apn":"""#,
        r#","apn":"x""#,
        r#","duration":0"#,
        r#","duration":"0""#,
    ] {
        let body = whole(rest);
        assert_eq!(simdeck.push("data-usage", body.clone()).await, ONE, "{rest}");
        assert_eq!(simdeck.push("data-usage", body).await, AGAIN, "{rest}");
    }
    for changed in [
        record("8944501503181377994", 1302, time * 1_000, ""),
        record(SIM, 1303, time * 1_000, ""),
        record(SIM, 1302, time * 1_000 + 1, ""),
    ] {
        assert_eq!(simdeck.push("data-usage", changed.clone()).await, ONE, "{changed}");
    }
    simdeck.end();
}

#[tokio::test]
async fn repeats_inside_one_push_are_found_for_every_kind() {
    let simdeck = Simdeck::start(&[]);
    let sms = format!(r#""giccid":"{SIM}","event_time":{}000,"text":"hi""#, now_s());
    for (kind, record) in
        [("data-usage", usage(SIM)), ("mo-sms", sms), ("sim-status", "\"a\":1".into())]
    {
        let records = vec![format!("{{{record}}}"); 3].join(",");
        let body = signed(&format!(r#""records":[{records}]"#));
        assert_eq!(simdeck.push(kind, body.clone()).await, (1, 2, 0), "{kind}");
        assert_eq!(simdeck.push(kind, body).await, (0, 3, 0), "{kind}");
        let tally = &simdeck.get("/v1/status").await["pushes"][kind];
        assert_eq!((&tally["records"], &tally["repeats"]), (&json!(1), &json!(5)), "{kind}");
    }
    simdeck.end();
}

#[tokio::test]
async fn notifications_without_a_time_of_their_own_count_date_push_in() {
    let simdeck = Simdeck::start(&[]);
    let now = now_s();
    let state =
        |second, state: &str| signed_at(second, &format!(r#""giccid":"{SIM}","status":"{state}""#));
    assert_eq!(simdeck.push("sim-status", state(now - 30, "ACTIVE")).await, ONE);
    assert_eq!(simdeck.push("sim-status", state(now - 20, "SUSPENDED")).await, ONE);
    assert_eq!(simdeck.push("sim-status", state(now - 10, "ACTIVE")).await, ONE);
    assert_eq!(simdeck.push("sim-status", state(now - 10, "ACTIVE")).await, AGAIN);
    // The same second in another form is the same datePush.
    let other_form = state(now - 10, "ACTIVE").replacen(
        &(now - 10).to_string(),
        &format!("\"{}\"", (now - 10) * 1000 + 7),
        1,
    );
    assert_eq!(simdeck.push("sim-status", other_form).await, AGAIN);
    assert_eq!(simdeck.push("apn-status", state(now - 10, "ACTIVE")).await, ONE, "another kind");
    let states: Vec<Value> = simdeck
        .rows("/v1/notifications?kind=sim-status")
        .await
        .iter()
        .map(|row| row["payload"]["status"].clone())
        .collect();
    assert_eq!(states, ["ACTIVE", "SUSPENDED", "ACTIVE"]);

    let timed = format!(r#""giccid":"{SIM}","status":"ACTIVE","event_time":{now}000"#);
    assert_eq!(simdeck.push("sim-status", signed_at(now - 30, &timed)).await, ONE);
    assert_eq!(simdeck.push("sim-status", signed_at(now - 20, &timed)).await, AGAIN);
    let tally = simdeck.get("/v1/status").await["pushes"]["sim-status"].clone();
    assert_eq!((&tally["repeats"], &tally["repeats_redated"]), (&json!(3), &json!(1)));
    simdeck.end();
}

#[tokio::test]
async fn identity_can_be_told_to_count_date_push_in_for_all() {
    let simdeck = Simdeck::start(&[("SIMDECK_PUSH_IDENTITY", "content+date")]);
    let now = now_s();
    let sms = format!(r#""giccid":"{SIM}","event_time":{now}000"#);
    for (kind, record) in [("data-usage", usage(SIM)), ("mo-sms", sms)] {
        assert_eq!(simdeck.push(kind, signed_at(now - 1, &record)).await, ONE);
        assert_eq!(simdeck.push(kind, signed_at(now, &record)).await, ONE);
        assert_eq!(simdeck.push(kind, signed_at(now, &record)).await, AGAIN);
    }
    simdeck.end();
}

#[tokio::test]
async fn the_kind_is_part_of_a_records_identity() {
    let simdeck = Simdeck::start(&[]);
    let record = format!(r#"{},"event_time":{}000"#, usage(SIM), now_s());
    for kind in ["data-usage", "mo-sms", "sim-status", "something-new"] {
        assert_eq!(simdeck.push(kind, signed(&record)).await, ONE, "{kind}");
    }
    simdeck.end();
}
