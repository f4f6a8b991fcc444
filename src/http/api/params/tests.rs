use super::*;

fn refusal(route: &'static Route, query: &str) -> (String, String) {
    match route.read(Some(query)) {
        Err(ApiError::Invalid(invalid)) => (invalid.field, invalid.detail),
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn repeated_and_comma_separated_values_are_the_same_question() {
    let repeated = USAGE.read(Some("mcc=460&mcc=310&country_code=")).expect("read");
    let commas = USAGE.read(Some("country_code=&mcc=310%2C460")).expect("read");
    assert_eq!(repeated.filter.mcc, ["460", "310"]);
    assert_eq!(repeated.filter.country_code, [""]);
    assert_eq!(repeated.digest("data-usage"), commas.digest("data-usage"));
    assert_ne!(repeated.digest("data-usage"), repeated.digest("mo-sms"));
    // Kept by clients for days: this number never changes.
    assert_eq!(USAGE.read(None).expect("read").digest("data-usage"), 1_072_452_072_036_436_109);
}

#[test]
fn times_are_rfc_3339_or_milliseconds() {
    for text in ["1725499848000", "2024-09-05T01:30:48Z", "2024-09-05T09:30:48+08:00"] {
        let question = USAGE.read(Some(&format!("from={text}&received_to=0"))).expect("read");
        assert_eq!(question.filter.from_ms, Some(1_725_499_848_000), "{text}");
        assert_eq!(question.filter.received_to_ms, Some(0));
    }
    for text in ["", "yesterday", "2024-09-05", "1e3", "99999999999999999999"] {
        assert_eq!(refusal(&USAGE, &format!("to={text}")).0, "to", "{text}");
    }
}

#[test]
fn an_unknown_parameter_is_named_with_the_one_that_was_meant() {
    let (field, detail) = refusal(&USAGE, "size=5&gicid=1");
    assert_eq!(field, "gicid");
    assert!(detail.contains("did you mean `giccid`?"), "{detail}");
    assert_eq!(refusal(&SMS, "mcc=460").0, "mcc");
    assert_eq!(refusal(&NOTIFICATIONS, "sim_group=a").0, "sim_group");
    assert_eq!(refusal(&HELD_PUSHES, "giccid=1").0, "giccid");
    assert!(read_none("keys", Some("page=1")).is_err());
    assert!(read_none("keys", Some("")).is_ok());
}

#[test]
fn a_value_that_cannot_be_is_refused_with_its_parameters_name() {
    for query in [
        "giccid=12",
        "giccid=",
        "page=-1",
        "page=",
        "size=1.5",
        "size=9999999999",
        "raw=yes",
        "format=xml",
        "imsi=%ff",
        "size=1&size=2",
    ] {
        let name = query.split('=').next().expect("name");
        assert_eq!(refusal(&USAGE, query).0, name, "{query}");
    }
    assert_eq!(refusal(&USAGE, &format!("apn={}", "x".repeat(257))).0, "apn");
    assert_eq!(refusal(&USAGE, &format!("apn={}", "x,".repeat(100))).0, "apn");
    assert_eq!(refusal(&HELD_PUSHES, "reason=other").0, "reason");
    assert_eq!(refusal(&HELD_RETRY, "as=Bad").0, "as");
}

#[test]
fn the_same_rows_are_asked_for_again() {
    let query = "sim_group=a%5C,b&sim_group=c&from=0&format=csv&excel=true&page=4&size=7";
    let question = USAGE.read(Some(query)).expect("read");
    assert_eq!(question.filter.sim_group, ["a,b", "c"]);
    let again = USAGE.read(Some(&question.same_rows())).expect("read");
    assert_eq!(again, Question { page: None, size: None, ..question });
}
