//! One record or many in a body, and what is kept of each.
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Simdeck, now_s, proof, signed, signed_at, usage};

const SIM: &str = "8944501503181377993";

fn sms(giccid: &str) -> String {
    format!(r#""giccid":"{giccid}","event_time":1711889742473"#)
}

#[tokio::test]
async fn smarthubs_sample_records_come_back_with_their_names_and_types() {
    let simdeck = Simdeck::start(&[]);
    let usage = r#""giccid":"8944501503181377993","data_usage":1302,"start_time":1713888842473,"duration":0,"mcc":"460","mnc":"10","country_code":"CN","apn":"apn1","imsi":"460001234567890","sim_group":"groupA""#;
    let sms = r#""giccid":"8944500310194312699","event_time":1711889742473,"from_msisdn":"882360010341361","to_msisdn":"449086237252","imsi":"460001234567890","sim_group":"groupA""#;
    for (kind, members) in [("data-usage", usage), ("mo-sms", sms)] {
        assert_eq!(simdeck.push(kind, signed(members)).await, (1, 0, 0));
        let mut row = simdeck.rows(&format!("/v1/{kind}")).await.remove(0);
        let sent: Value = serde_json::from_str(&format!("{{{members}}}")).unwrap();
        for (name, value) in sent.as_object().unwrap() {
            assert_eq!(row.as_object_mut().unwrap().remove(name).as_ref(), Some(value), "{name}");
        }
        assert_eq!(row["extra"], json!({}));
    }
    simdeck.end();
}

#[tokio::test]
async fn an_object_or_an_array_of_objects_inside_holds_the_records() {
    let simdeck = Simdeck::start(&[]);
    for (nth, name) in ["records", "data", "任意", "a"].iter().enumerate() {
        let (one, two) = (format!("89445015031813779{nth}1"), format!("89445015031813779{nth}2"));
        let many = format!(r#""{name}":[{{{}}},{{{}}}]"#, usage(&one), usage(&two));
        assert_eq!(simdeck.push("data-usage", signed(&many)).await, (2, 0, 0), "{name}");
        let single = format!(r#""{name}":{{{}}}"#, sms(&one));
        assert_eq!(simdeck.push("mo-sms", signed(&single)).await, (1, 0, 0), "{name}");
    }
    let rows = simdeck.rows("/v1/data-usage").await;
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|row| row["extra"] == json!({})), "{rows:?}");
    simdeck.end();
}

#[tokio::test]
async fn what_stands_beside_a_container_is_kept_with_each_record_and_no_part_of_its_identity() {
    let simdeck = Simdeck::start(&[]);
    let records = format!("[{{{}}},{{{}}}]", usage(SIM), usage("8944501503181377994"));
    let first =
        format!(r#""batch":7,"records":{records},"note":"n\u0041","price":1.50,"none":null"#);
    assert_eq!(simdeck.push("data-usage", signed(&first)).await, (2, 0, 0));
    for row in simdeck.rows("/v1/data-usage").await {
        let beside = json!({"batch": 7, "note": "nA", "price": 1.5, "none": null});
        assert_eq!(row["extra"], json!({"_push": beside}));
    }
    let second = format!(r#""batch":8,"records":{records}"#);
    assert_eq!(simdeck.push("data-usage", signed(&second)).await, (0, 2, 0), "another batch");
    let alone = signed(&usage(SIM));
    assert_eq!(simdeck.push("data-usage", alone).await, (0, 1, 0), "without a container");
    // A record may have a member of our name itself; then neither hides the other.
    let own = format!(r#""batch":9,"records":[{{{},"_push":"theirs"}}]"#, usage(SIM));
    assert_eq!(simdeck.push("data-usage", signed(&own)).await, (1, 0, 0));
    let extra = simdeck.rows("/v1/data-usage").await.pop().unwrap()["extra"].clone();
    assert_eq!(extra, json!({"_push": "theirs", "__push": {"batch": 9}}));
    simdeck.end();
}

#[tokio::test]
async fn a_giccid_of_its_own_makes_the_object_the_record() {
    let simdeck = Simdeck::start(&[]);
    let inside = r#""cells":[{"id":1},{"id":2}],"device":{"imei":"1"}"#;
    for inside in [inside, r#""cells":[{"giccid":"8944501503181377000"}]"#, r#""cells":[]"#] {
        let body = signed(&format!("{},{inside}", usage(SIM)));
        assert_eq!(simdeck.push("data-usage", body).await, (1, 0, 0), "{inside}");
        let row = simdeck.rows("/v1/data-usage").await.pop().unwrap();
        let sent: Value = serde_json::from_str(&format!("{{{inside}}}")).unwrap();
        assert_eq!((&row["giccid"], &row["extra"]), (&json!(SIM), &sent));
    }
    simdeck.end();
}

#[tokio::test]
async fn two_containers_are_none() {
    let simdeck = Simdeck::start(&[]);
    let record = usage(SIM);
    for members in [
        format!(r#""a":[{{{record}}}],"b":[{{{record}}}]"#),
        format!(r#""a":[{{{record}}}],"b":{{}}"#),
        format!(r#""a":{{{record}}},"b":[]"#),
        // Not an array of objects, so not a container either.
        format!(r#""a":[{{{record}}},1]"#),
    ] {
        assert_eq!(simdeck.push("data-usage", signed(&members)).await, (0, 0, 1), "{members}");
    }
    let held = simdeck.held(4).await;
    for row in held {
        assert_eq!((&row["reason"], &row["field"]), (&json!("field_missing"), &json!("giccid")));
    }
    // An array of something else does not keep another from being the container.
    let body = signed(&format!(r#""tags":["x"],"a":[{{{record}}}]"#));
    assert_eq!(simdeck.push("data-usage", body).await, (1, 0, 0));
    let extra = &simdeck.rows("/v1/data-usage").await[0]["extra"];
    assert_eq!(*extra, json!({"_push": {"tags": ["x"]}}));
    simdeck.end();
}

#[tokio::test]
async fn an_empty_container_gives_three_zeros() {
    let simdeck = Simdeck::start(&[]);
    for kind in ["data-usage", "mo-sms", "sim-status", "something-new"] {
        assert_eq!(simdeck.push(kind, signed(r#""records":[]"#)).await, (0, 0, 0), "{kind}");
    }
    assert_eq!(simdeck.get("/v1/notifications").await, json!([]));
    assert_eq!(simdeck.get("/v1/held").await, json!([]));
    // What stands beside it would be kept nowhere.
    for kind in ["data-usage", "mo-sms"] {
        let body = signed(r#""records":[],"total":0"#);
        assert_eq!(simdeck.push(kind, body).await, (0, 0, 1), "{kind}");
    }
    simdeck.end();
}

#[tokio::test]
async fn an_array_at_the_top_holds_pushes_and_each_may_hold_many() {
    let simdeck = Simdeck::start(&[]);
    let sim = |nth: usize| format!("894450150318137799{nth}");
    let body = format!(
        "[{},{},{}]",
        signed(&usage(&sim(0))),
        signed(&format!(r#""page":1,"list":[{{{}}},{{{}}}]"#, usage(&sim(1)), usage(&sim(2)))),
        signed_at(now_s() - 9, &format!(r#""list":{{{}}}"#, usage(&sim(3)))),
    );
    assert_eq!(simdeck.push("data-usage", body).await, (4, 0, 0));
    let rows = simdeck.rows("/v1/data-usage").await;
    let sims: Vec<_> = rows.iter().map(|row| row["giccid"].clone()).collect();
    assert_eq!(sims, [sim(0), sim(1), sim(2), sim(3)]);
    let extras: Vec<_> = rows.iter().map(|row| row["extra"].clone()).collect();
    let paged = json!({"_push": {"page": 1}});
    assert_eq!(extras, [json!({}), paged.clone(), paged, json!({})]);
    simdeck.end();
}

#[tokio::test]
async fn of_other_kinds_only_an_array_of_objects_is_split() {
    let simdeck = Simdeck::start(&[]);
    let body = signed(
        r#""event":"x","sims":[{"giccid":"8944501503181377993","s":1},{"giccid":89445015031813779940,"s":2}]"#,
    );
    assert_eq!(simdeck.push("cycle-usage", body).await, (2, 0, 0));
    let rows = simdeck.rows("/v1/notifications?kind=cycle-usage").await;
    let payload = json!({"giccid": SIM, "s": 1, "_push": {"event": "x"}});
    assert_eq!((&rows[0]["giccid"], &rows[0]["payload"]), (&json!(SIM), &payload));
    assert_eq!(rows[1]["giccid"], "89445015031813779940");

    for members in [
        r#""sim":{"giccid":"8944501503181377993"},"event":"x""#,
        r#""a":[{"x":1}],"b":[{"y":2}]"#,
        r#""a":[1,2]"#,
        r#""a":[],"note":"keeps what stands beside it""#,
        r#""giccid":"8944501503181377993","sims":[{"x":1},{"x":2}]"#,
        "",
    ] {
        assert_eq!(simdeck.push("imei-change", signed(members)).await, (1, 0, 0), "{members}");
        let row = simdeck.rows("/v1/notifications?kind=imei-change").await.pop().unwrap();
        let sent: Value = serde_json::from_str(&format!("{{{members}}}")).unwrap();
        assert_eq!(row["payload"], sent);
    }
    simdeck.end();
}

#[tokio::test]
async fn every_kind_is_kept_and_its_known_fields_lifted_out() {
    let simdeck = Simdeck::start(&[]);
    let event_ms = (now_s() - 100) * 1000;
    for kind in [
        "mt-sms-status",
        "cycle-usage",
        "imei-change",
        "no-session",
        "package-expiry",
        "package-usage",
        "sim-status",
        "apn-status",
        "born-on-a-friday",
    ] {
        let members = format!(
            r#""giccid":"{SIM}","imsi":460001234567890,"event_time":"{event_ms}","state":{{"deep":[1,{{}}]}}"#
        );
        assert_eq!(simdeck.push(kind, signed(&members)).await, (1, 0, 0));
        let rows = simdeck.rows(&format!("/v1/notifications?kind={kind}")).await;
        let row = &rows[0];
        assert_eq!(row["kind"], kind);
        assert_eq!(row["giccid"], SIM);
        assert_eq!(row["imsi"], "460001234567890");
        assert_eq!(row["event_time"], event_ms);
        let sent: Value = serde_json::from_str(&format!("{{{members}}}")).unwrap();
        assert_eq!(row["payload"], sent);
        assert_eq!(row.get("pushed_as"), None);
    }
    // What has a known name and not its form is kept as it is, for nothing of these is documented.
    let odd = r#""giccid":"x","imsi":{},"event_time":"soon""#;
    assert_eq!(simdeck.push("sim-status", signed(odd)).await, (1, 0, 0));
    let row = simdeck.rows("/v1/notifications").await.pop().unwrap();
    assert_eq!((&row["giccid"], &row["imsi"]), (&Value::Null, &Value::Null));
    assert_eq!(row["payload"], json!({"giccid": "x", "imsi": {}, "event_time": "soon"}));
    simdeck.end();
}

#[tokio::test]
async fn after_64_unknown_kinds_the_next_are_kept_as_other() {
    let simdeck = Simdeck::start(&[]);
    for nth in 0..64 {
        assert_eq!(simdeck.push(&format!("new-{nth}"), signed("")).await, (1, 0, 0));
    }
    let one_too_many = async |simdeck: &Simdeck, state: u32| {
        let members = format!(r#""state":{state}"#);
        assert_eq!(simdeck.push("new-64", signed(&members)).await, (1, 0, 0));
        let row = simdeck.rows("/v1/notifications").await.pop().unwrap();
        assert_eq!((&row["kind"], &row["pushed_as"]), (&json!("other"), &json!("new-64")));
    };
    assert_eq!(simdeck.post("not-authentic", "{}").await.status, 401);
    one_too_many(&simdeck, 1).await;
    // Those that were there, and the documented ones, go on as before; the kind that was pushed
    // tells two others apart.
    for (kind, known) in [("new-0", "new-0"), ("sim-status", "sim-status"), ("new-65", "other")] {
        assert_eq!(simdeck.push(kind, signed(r#""state":1"#)).await, (1, 0, 0));
        let rows = simdeck.rows(&format!("/v1/notifications?kind={known}")).await;
        assert_eq!(rows.last().unwrap()["payload"], json!({"state": 1}));
    }
    let simdeck = simdeck.restart(&[]);
    one_too_many(&simdeck, 2).await;
    simdeck.end();
}

#[tokio::test]
async fn integers_may_be_numbers_or_digits_up_to_their_bounds() {
    let simdeck = Simdeck::start(&[]);
    let time_ms = (now_s() - 60) * 1000;
    let cases = [
        ("0".to_owned(), "0", 0),
        ("1".to_owned(), r#""0012""#, 1),
        ("1000000000000000".to_owned(), "1000000000000000", 1_000_000_000_000_000_i64),
        (r#""1000000000000000""#.to_owned(), r#""1000000000000000""#, 1_000_000_000_000_000_i64),
    ];
    for (volume, duration, wanted) in cases {
        for time in [time_ms.to_string(), format!("\"{time_ms}\"")] {
            let members = format!(
                r#""giccid":"{SIM}","data_usage":{volume},"duration":{duration},"start_time":{time}"#
            );
            assert_eq!(simdeck.push("data-usage", signed(&members)).await, (1, 0, 0), "{members}");
            let row = simdeck.rows("/v1/data-usage").await.pop().unwrap();
            assert_eq!((&row["data_usage"], &row["start_time"]), (&json!(wanted), &json!(time_ms)));
        }
    }
    // The first moment that can be, and the last.
    for own_ms in [946_684_800_000, (now_s() + 2 * 86_400 - 10) * 1000] {
        let members = format!(r#""giccid":"{SIM}","event_time":{own_ms}"#);
        assert_eq!(simdeck.push("mo-sms", signed(&members)).await, (1, 0, 0), "{own_ms}");
    }
    simdeck.end();
}

#[tokio::test]
async fn texts_have_up_to_256_bytes_and_integers_in_their_place_are_kept_as_digits() {
    let simdeck = Simdeck::start(&[]);
    let longest = "é".repeat(128);
    let body = signed(&format!(
        r#"{},"apn":"{longest}","imsi":460001234567890,"mcc":460,"mnc":"010","sim_group":"\u0041\n\"","country_code":null"#,
        usage(SIM)
    ));
    assert_eq!(simdeck.push("data-usage", body).await, (1, 0, 0));
    let row = simdeck.rows("/v1/data-usage").await.remove(0);
    for (field, value) in [
        ("apn", json!(longest)),
        ("imsi", json!("460001234567890")),
        ("mcc", json!("460")),
        ("mnc", json!("010")),
        ("sim_group", json!("A\n\"")),
        ("country_code", Value::Null),
        ("duration", Value::Null),
    ] {
        assert_eq!(row[field], value, "{field}");
    }
    for giccid in ["894450150318137799", "8944501503181377993012", "000000000000000000"] {
        for written in [format!("\"{giccid}\""), giccid.to_owned()] {
            if written.starts_with('0') {
                continue; // JSON has no such number
            }
            let members = usage("").replace("\"\"", &written);
            let (stored, ..) = simdeck.push("data-usage", signed(&members)).await;
            let row = simdeck.rows("/v1/data-usage").await.pop().unwrap();
            assert_eq!((stored, &row["giccid"]), (1, &json!(giccid)), "{written}");
        }
    }
    simdeck.end();
}

#[tokio::test]
async fn unknown_fields_are_kept_as_they_were_written() {
    let simdeck = Simdeck::start(&[]);
    let extra = r#""n":1.50,"big":12345678901234567890123,"e":1E+2,"t":"\u00e9\ud83d\ude00","o":{"b":[true,null],"a":-0}"#;
    let body = format!("{{{},{},{extra}}}", usage(SIM), proof(now_s()));
    assert_eq!(simdeck.push("data-usage", body).await, (1, 0, 0));
    let path = format!("/v1/data-usage/{}", simdeck.rows("/v1/data-usage").await[0]["id"]);
    let (_, text) = simdeck.ask_text(Method::GET, &path).await;
    assert!(text.contains(&format!("\"extra\":{{{extra}}}")), "{text}");
    simdeck.end();
}
