//! SmartHub's rules at their edges: the last value that counts and the first that does not.
use std::time::Duration;

use sha2::{Digest, Sha256};
use simdeck::{
    domain::{HeldReason, KeptFrom, Kind, NO_DATE_PUSH_S, Record, Secret, Timestamp},
    smarthub::{
        AgePolicy, Body, HistoryRow, IdentityRule, ReadRules, Reading, RowFault, TooHeavy,
        date_push,
        explain::{explain, name_of},
        signature::{PushKey, Verifier},
    },
};

const SECOND: i64 = 1_725_499_848;
const GICCID: &str = "8986001234567890001";

fn rules(kind: &Kind) -> ReadRules<'_> {
    let now = Timestamp::from_unix_ms(SECOND * 1000);
    let identity = IdentityRule::Content;
    ReadRules {
        kind,
        kept_as: None,
        identity,
        age: None,
        retracted: None,
        date_shift_s: 0,
        now,
        kept_from: KeptFrom::default(),
        refused: None,
    }
}

/// What a push of a kind holds, whose signature nobody looks at.
fn read(kind: &str, body: &str) -> Reading {
    let kind = kind.parse().unwrap();
    Body::parse(body.as_bytes()).unwrap().trust().unwrap().read(&rules(&kind))
}

/// The identity of the one record of a push.
fn identity(kind: &str, members: &str) -> i64 {
    let reading = read(kind, &format!(r#"{{"datePush":{SECOND},{members}}}"#));
    assert_eq!((reading.records.len(), reading.unread.len()), (1, 0), "{members}");
    reading.records[0].identity
}

fn keys(keys: &[&str]) -> Vec<PushKey> {
    let key = |key: &&str| PushKey { label: None, key: Secret::from((*key).to_owned()) };
    keys.iter().map(key).collect()
}

#[test]
fn an_offset_is_less_than_a_day_and_has_two_digits_each() {
    let at = |offset: &str| date_push::parse_text(&format!("2024-09-05T01:30:48{offset}"));
    for (offset, shift_s) in [
        ("Z", 0),
        ("+00:00", 0),
        ("-00:00", 0),
        ("+23:59", -86_340),
        ("-23:59", 86_340),
        ("+2359", -86_340),
        ("-2359", 86_340),
        ("+0530", -19_800),
        ("+23:00", -82_800),
        ("+00:59", -3_540),
        ("+01", -3_600),
        ("-01", 3_600),
        (" +0100", -3_600),
        ("+01:00 ", -3_600),
        ("+01:00[Europe/Paris]", -3_600),
        ("z", 0),
        (" UTC", 0),
        ("", 0),
    ] {
        assert_eq!(at(offset), Some(SECOND + shift_s), "{offset}");
    }
    for offset in [
        "+24:00",
        "-24:00",
        "+2400",
        "+23:60",
        "+0060",
        "+1:00",
        "+001:00",
        "+100:00",
        "+:00",
        "+01:0",
        "01:00",
        "+1",
        "+01:",
        "+01:00[]",
        "+01:00[Paris",
        "+01:00Paris]",
        "[UTC]",
        "  Z",
        "CEST",
        "ZZ",
        "+",
        "-",
    ] {
        assert_eq!(at(offset), None, "{offset}");
    }
}

#[test]
fn a_date_of_ten_digits_of_seconds_can_be_hashed_and_no_other() {
    for (text, second) in [
        ("1000000000", Some(1_000_000_000)),
        ("9999999999", Some(9_999_999_999)),
        ("0999999999", None),
        ("999999999", None),
        ("10000000000", None),
        ("1000000000999", Some(1_000_000_000)),
        ("0999999999999", None),
        ("2001-09-09T01:46:40Z", Some(1_000_000_000)),
        ("2001-09-09T01:46:39Z", None),
        ("2286-11-20T17:46:39Z", Some(9_999_999_999)),
        ("2286-11-20T17:46:40Z", None),
    ] {
        assert_eq!(date_push::parse_text(text), second, "{text}");
    }
}

#[test]
fn the_same_key_twice_verifies_and_the_shift_is_told() {
    let signature = Sha256::digest(format!("key{}", SECOND + 7200)).into();
    let verifier = Verifier::new(&keys(&["key", "other", "key"]), 7200);
    assert!(verifier.verify(SECOND, &signature));
    assert!(!verifier.verify(SECOND + 1, &signature));
    assert_eq!(verifier.date_shift_s(), 7200);
}

#[test]
fn a_key_is_named_by_its_label_or_its_place() {
    let mut two = keys(&["a", "b"]);
    assert_eq!(name_of(&two[..1], 0), "the key");
    assert_eq!(name_of(&two, 1), "key number 2 of 2");
    two[0].label = Some("old".to_owned());
    assert_eq!(name_of(&two[..1], 0), "key `old`");
}

#[test]
fn what_was_hashed_in_place_of_the_date_is_found_and_nothing_near_it() {
    let verifier = Verifier::new(&keys(&["key"]), 0);
    let says = |hashed: i64| {
        let signature = hex::encode(Sha256::digest(format!("key{hashed}")));
        let body = format!(r#"{{"datePush":{SECOND},"signature":"{signature}"}}"#);
        let findings = explain(body.as_bytes(), &verifier);
        findings.into_iter().map(|finding| finding.says).collect::<Vec<_>>().join("; ")
    };
    for near in [-2, -1, 1, 2] {
        assert!(says(SECOND + near).contains("off by a second or two"), "{near}");
    }
    for none in [-901, -3, 3, 899, 15 * 3600] {
        assert_eq!(says(SECOND + none), "", "{none}");
    }
    assert!(says(SECOND * 1000).contains("whole seconds are hashed as milliseconds"));
    for quarters in [-56, -1, 1, 56] {
        let ms = (SECOND + quarters * 900) * 1000;
        assert!(says(ms).contains("milliseconds of another time zone"), "{quarters}");
    }
    for none in [1, 1000, 899_000, 57 * 900_000] {
        assert_eq!(says(SECOND * 1000 + none), "", "{none}");
    }
    let ahead = says(SECOND + 8 * 3600);
    assert!(ahead.contains("UTC-8: all pushes are 8 h 00 m behind"), "{ahead}");
    let behind = says(SECOND - 12_600);
    assert!(behind.contains("UTC+3:30: all pushes are 3 h 30 m ahead"), "{behind}");
}

#[test]
fn a_push_is_too_old_or_ahead_only_beyond_the_limit() {
    let kind = "data-usage".parse().unwrap();
    let hour = Duration::from_secs(3600);
    let age = Some(AgePolicy { max_age: hour, max_ahead: hour * 2 });
    let fault = |date_push_s: i64| {
        let body = format!(
            r#"{{"datePush":{date_push_s},"giccid":"{GICCID}","data_usage":1,
                "start_time":{SECOND}000}}"#
        );
        let body = Body::parse(body.as_bytes()).unwrap().trust().unwrap();
        let rules = ReadRules { age, date_shift_s: 10, ..rules(&kind) };
        body.read(&rules).unread.first().map(|unread| unread.reason)
    };
    for (age_s, reason) in [
        (3601, Some(HeldReason::DateOld)),
        (3600, None),
        (3599, None),
        (-7199, None),
        (-7200, None),
        (-7201, Some(HeldReason::DateAhead)),
    ] {
        assert_eq!(fault(SECOND - 10 - age_s), reason, "{age_s}");
    }
}

// Worked out beside the program, from what `identity.rs` says of the form. Were one of these to change,
// what is stored would be taken for new when it is sent again.
#[test]
fn the_identity_of_a_record_never_changes() {
    let members = format!(
        r#""giccid":"{GICCID}","data_usage":1302,"start_time":1725499840000,"sim_group":"a",
            "x":[[1],2,{{"b":true,"a":null,"\u00e9":false}}]"#
    );
    assert_eq!(identity("data-usage", &members), 7_942_021_159_445_650_560);
    let members = format!(r#""giccid":"{GICCID}","x":[]"#);
    assert_eq!(identity("sim-status", &members), 3_605_076_616_654_720_664);
}

#[test]
fn records_that_differ_only_in_where_their_parts_end_are_two() {
    for [one, other] in [
        ["[[1],2]", "[[1,2]]"],
        ["[[],1]", "[[1]]"],
        [r#"{"a":{},"b":1}"#, r#"{"a":{"b":1}}"#],
        [r#"{"a":{"b":{}},"c":1}"#, r#"{"a":{"b":{},"c":1}}"#],
        [r#"["ab","c"]"#, r#"["a","bc"]"#],
        ["1", "\"1\""],
        ["1.0", "1"],
    ] {
        let of = |x: &str| identity("no-session", &format!(r#""event_time":{SECOND}000,"x":{x}"#));
        assert_ne!(of(one), of(other), "{one} {other}");
    }
}

#[test]
fn a_notification_is_known_by_when_it_was_pushed_only_if_it_has_no_time() {
    let of = |date: i64, members: &str| {
        let reading = read("sim-status", &format!(r#"{{"datePush":{date},{members}}}"#));
        reading.records[0].identity
    };
    let timeless = format!(r#""giccid":"{GICCID}","status":"on""#);
    assert_ne!(of(SECOND, &timeless), of(SECOND + 1, &timeless));
    for name in ["event_time", "start_time"] {
        let timed = format!(r#"{timeless},"{name}":{SECOND}000"#);
        assert_eq!(of(SECOND, &timed), of(SECOND + 1, &timed), "{name}");
    }
}

#[test]
fn a_notification_s_time_is_lifted_from_either_name() {
    let event_ms = |members: &str| {
        let reading = read("apn-status", &format!(r#"{{"datePush":{SECOND},{members}}}"#));
        let Record::Notification(notification) = &reading.records[0].record else { panic!() };
        notification.event_ms
    };
    assert_eq!(event_ms(r#""start_time":1725499840000"#), Some(1_725_499_840_000));
    assert_eq!(event_ms(r#""event_time":1725499840001"#), Some(1_725_499_840_001));
    let both = r#""start_time":1725499840000,"event_time":1725499840001"#;
    assert_eq!(event_ms(both), Some(1_725_499_840_001));
    let unreadable = r#""event_time":"soon","start_time":1725499840000"#;
    assert_eq!(event_ms(unreadable), Some(1_725_499_840_000));
    assert_eq!(event_ms(r#""time":1725499840000"#), None);
}

#[test]
fn an_empty_list_takes_nothing_along() {
    let counts = |kind: &str, members: &str| {
        let reading = read(kind, &format!(r#"{{"datePush":{SECOND},{members}}}"#));
        (reading.records.len(), reading.unread.len())
    };
    // Beside it stands nothing: it is a push of no records.
    assert_eq!(counts("data-usage", r#""cdrs":[]"#), (0, 0));
    assert_eq!(counts("sim-status", r#""events":[]"#), (0, 0));
    // Anything else, which would be kept nowhere: it is a record, which lacks others, ...
    for own in ["data_usage", "start_time", "event_time", "page"] {
        assert_eq!(counts("data-usage", &format!(r#""cdrs":[],"{own}":1"#)), (0, 1), "{own}");
    }
    // ... or a notification, which lacks nothing.
    for beside in [r#""event_time":1"#, r#""status":"on""#, r#""event_time":1,"status":"on""#] {
        assert_eq!(counts("sim-status", &format!(r#""events":[],{beside}"#)), (1, 0), "{beside}");
    }
}

#[test]
fn what_is_held_of_a_list_is_a_body_of_its_own() {
    let body = format!(r#"{{"datePush":{SECOND},"signature":"x","cdrs":[{{"a":1}}],"page":1}}"#);
    let reading = read("data-usage", &body);
    let held = std::str::from_utf8(&reading.unread[0].body).unwrap();
    assert_eq!(held, format!(r#"{{"datePush":{SECOND},"page":1,"cdrs":[{{"a":1}}]}}"#));
}

#[test]
fn a_kept_record_needs_a_date_only_where_it_has_no_time() {
    let row = |kind: &str, fields: &str, date_push_s| {
        let kind = kind.parse().unwrap();
        let row = HistoryRow::Kept { fields: fields.as_bytes(), identity: Some(7), date_push_s };
        let mut records = row.read(&rules(&kind))?;
        let record = records.pop().unwrap().record;
        assert_eq!((records.len(), record.identity), (0, 7));
        Ok(record.date_push_s)
    };
    let missing = RowFault { reason: HeldReason::FieldMissing, field: Some("datePush") };
    let usage = format!(r#"{{"giccid":"{GICCID}","data_usage":1,"start_time":{SECOND}000}}"#);
    let timed = format!(r#"{{"event_time":{SECOND}000}}"#);
    for (kind, fields) in [("data-usage", usage.as_str()), ("sim-status", &timed)] {
        assert_eq!(row(kind, fields, None), Ok(NO_DATE_PUSH_S), "{kind}");
        assert_eq!(row(kind, fields, Some(SECOND)), Ok(SECOND), "{kind}");
    }
    assert_eq!(row("sim-status", "{}", None), Err(missing));
    assert_eq!(row("sim-status", "{}", Some(SECOND)), Ok(SECOND));
}

#[test]
fn the_shortest_records_that_stand_for_themselves_are_read_as_many_as_fit_into_a_body() {
    let record = |nth: i64| {
        let start_ms = 1_713_888_842_473 + nth;
        format!(r#"{{"giccid":"894450150318137799","data_usage":1,"start_time":{start_ms}}}"#)
    };
    let records = (0..56_000).map(record).collect::<Vec<_>>().join(",");
    let body = format!(r#"{{"datePush":{SECOND},"records":[{records}]}}"#);
    assert!((4_100_000..4 << 20).contains(&body.len()), "{} bytes", body.len());
    let reading = read("data-usage", &body);
    assert_eq!((reading.records.len(), reading.unread.len()), (56_000, 0));
    // What they take in memory is told; nobody says that it is less than the body has.
    assert!((body.len()..=8 * body.len()).contains(&reading.bytes), "{}", reading.bytes);
}

#[test]
fn what_would_take_more_memory_than_it_may_is_not_read() {
    let note = "x".repeat(1_000);
    let body =
        format!(r#"{{"datePush":{SECOND},"note":"{note}","records":[{{"a":1}},{{"a":2}}]}}"#);
    let kind = "sim-status".parse().unwrap();
    let body = Body::parse(body.as_bytes()).unwrap().trust().unwrap();
    let whole = body.read(&rules(&kind));
    assert_eq!(whole.records.len(), 2);
    assert!(whole.bytes > 2 * note.len(), "the note is kept with each: {}", whole.bytes);
    assert_eq!(body.read_within(&rules(&kind), whole.bytes).unwrap(), whole);
    assert_eq!(body.read_within(&rules(&kind), whole.bytes - 1), Err(TooHeavy));
}
