//! Rows and requests that are not taken, and what is said of them.
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use super::{SIM, counts, export, import, substance};
use crate::api_harness::{ADMIN_KEY, Api, problem_of};

fn usage(start_time: &str, rest: &str) -> String {
    format!(r#"{{"giccid":"{SIM}","data_usage":1,"start_time":{start_time}{rest}}}"#)
}

/// Line, field and reason of each refused row.
fn refused(report: &Value) -> Vec<(u64, &str, &str)> {
    let rows = report["refused"].as_array().unwrap().iter();
    rows.map(|row| {
        let field = row["field"].as_str().unwrap_or_default();
        (row["line"].as_u64().unwrap(), field, row["reason"].as_str().unwrap())
    })
    .collect()
}

#[tokio::test]
async fn a_row_that_names_another_kind_than_its_file_is_refused_by_its_line() {
    let api = Api::new(ApiSettings::default()).await;
    let file = [
        usage("1725499848000", r#","kind":"data-usage""#),
        usage("1725499848001", r#","kind":"mo-sms""#),
        usage("1725499848002", r#","kind":"SIM_Status""#),
        usage("1725499848003", r#","kind":null"#),
        usage("1725499848004", ""),
    ];
    let report = import(&api, "kind=data-usage", &file.join("\n")).await;
    assert_eq!(counts(&report), (3, 0, 2), "{report}");
    let other = "field_invalid";
    assert_eq!(refused(&report), [(2, "kind", other), (3, "kind", other)]);
    let table = format!(
        "giccid,start_time,data_usage,kind\n{SIM},1725499848005,1,mo-sms\n{SIM},1725499848006,1,\n"
    );
    let report = import(&api, "kind=data-usage&format=csv", &table).await;
    assert_eq!(counts(&report), (1, 0, 1), "{report}");
    assert_eq!(refused(&report), [(2, "kind", other)]);
}

#[tokio::test]
async fn each_row_that_cannot_be_read_is_told_with_its_line_and_the_others_are_stored() {
    let api = Api::new(ApiSettings::default()).await;
    let ours = r#""id":1,"received_at":"x""#;
    let file = [
        usage("1725499848000", ""),
        String::new(),
        format!(r#"{{"giccid":"{SIM}","start_time":1725499848000}}"#),
        usage("\"yesterday\"", ""),
        usage("946684799999", ""),
        // The clock stands at 1725499849000.
        usage("1725672649001", ""),
        usage("1725672649000", ""),
        "{".to_owned(),
        "[]".to_owned(),
        usage("1725499848000", r#","a":1,"a":2"#),
        usage("1725499848000", r#","a":"\u0000""#),
        usage("1725499848000", r#","datePush":"no""#),
        usage("1725499848000", &format!(r#",{ours},"identity":"0x""#)),
        usage("1725499848000", &format!(r#",{ours},"extra":[]"#)),
        usage("1725499848000", &format!(r#",{ours},"extra":{{}},"extra":{{}}"#)),
        usage("1725499848000", &format!(r#",{ours},"test":true"#)),
        usage("1725499848000", &format!(r#",{ours},"payload":{{}}"#)),
        usage("1725499848000", &format!(r#",{ours},"extra":{{}},"kind":"sim-status""#)),
        format!("  {}  ", usage("1725499848001", "")),
    ];
    let report = import(&api, "kind=data-usage", &file.join("\r\n")).await;
    assert_eq!((counts(&report), &report["lines"]), ((3, 0, 15), &json!(18)), "{report}");
    assert_eq!(
        refused(&report),
        [
            (3, "data_usage", "field_missing"),
            (4, "start_time", "field_invalid"),
            (5, "start_time", "field_invalid"),
            (6, "start_time", "field_invalid"),
            (8, "", "not_json"),
            (9, "", "not_json"),
            (10, "", "repeated_key"),
            (11, "", "unreadable"),
            (12, "datePush", "date_unreadable"),
            (13, "identity", "field_invalid"),
            (14, "extra", "field_invalid"),
            (15, "", "repeated_key"),
            (16, "", "test_record"),
            (17, "kind", "field_invalid"),
            (18, "kind", "field_invalid"),
        ]
    );
    assert_eq!(substance(&api, "data-usage").await.len(), 3);
    let held = api.rows("/v1/held").await;
    assert!(held.is_empty(), "a file's rows are not quarantined: {held:?}");
}

#[tokio::test]
async fn rows_of_a_table_are_told_by_the_line_where_they_begin() {
    let api = Api::new(ApiSettings::default()).await;
    let table = format!(
        "giccid,data_usage,start_time,apn,extra\r\n\
         {SIM},1,1725499848000,\"two\r\nlines\",{{}}\r\n\
         \r\n\
         {SIM},1,1725499848001\n\
         {SIM},-1,1725499848002,,\n\
         {SIM},1,1725499848003,,nothing\n\
         {SIM},1,1725499848004,\"\"\"\",\"{{\"\"x\"\":1.0}}\"\n\
         {SIM},1,1725499848005,,\"never closed\n"
    );
    let report = import(&api, "kind=data-usage&format=csv", &table).await;
    assert_eq!(
        refused(&report),
        [
            (5, "", "cell_count"),
            (6, "data_usage", "field_invalid"),
            (7, "extra", "field_invalid"),
            (9, "", "unclosed"),
        ]
    );
    assert_eq!(counts(&report).0, 2);
    let table = export(&api, "data-usage", "format=csv").await;
    assert!(table.contains(r#",apn,imsi"#) && table.contains(r#"{""x"":1.0}"#), "{table}");
}

#[tokio::test]
async fn only_the_first_hundred_refused_rows_are_told_and_all_are_counted() {
    let api = Api::new(ApiSettings::default()).await;
    let report = import(&api, "kind=data-usage", &"{}\n".repeat(250)).await;
    assert_eq!(counts(&report), (0, 0, 250));
    assert_eq!(report["refused"].as_array().unwrap().len(), 100);
    assert_eq!(api.audit().await, [], "nothing was changed");
}

#[tokio::test]
async fn what_the_database_refuses_is_told_and_the_rest_is_stored() {
    let api = Api::new(ApiSettings::default()).await;
    // So many of the largest volumes are more than any sum can hold.
    let rows: Vec<String> = (0..9_240)
        .map(|number| {
            let start_time = (1_700_000_000_000_i64 + number).to_string();
            usage(&start_time, "")
                .replace(r#""data_usage":1,"#, r#""data_usage":"1000000000000000","#)
        })
        .collect();
    let report = import(&api, "kind=data-usage", &rows.join("\n")).await;
    assert_eq!(counts(&report), (9_223, 0, 17));
    assert_eq!(refused(&report)[0], (9_224, "", "store_refused"));
    assert_eq!(refused(&report)[16], (9_240, "", "store_refused"));
}

#[tokio::test]
async fn a_list_is_not_taken_for_another() {
    let api = Api::new(ApiSettings::default()).await;
    api.push("data-usage", usage("1725499848000", "").trim_matches(['{', '}'])).await;
    api.push("mo-sms", &format!(r#""giccid":"{SIM}","event_time":1725499848000"#)).await;
    api.push("sim-status", r#""status":"ACTIVE""#).await;
    let lists = ["data-usage", "mo-sms", "notifications"];
    for (list, form) in lists.iter().flat_map(|list| [(list, "ndjson"), (list, "csv")]) {
        let file = export(&api, list, &format!("format={form}")).await;
        for kind in ["data-usage", "mo-sms", "imei-change"] {
            let report = import(&api, &format!("kind={kind}&format={form}"), &file).await;
            // Notifications say their kind themselves.
            let is_own = *list == kind || *list == "notifications";
            assert_eq!(counts(&report), if is_own { (0, 1, 0) } else { (0, 0, 1) }, "{report}");
        }
    }
    for list in ["data-usage", "mo-sms"] {
        let file = export(&api, list, "format=ndjson").await;
        let report = import(&api, "", &file).await;
        assert_eq!(refused(&report), [(1, "kind", "field_missing")]);
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_meant_is_refused_before_anything_is_stored() {
    let api = Api::new(ApiSettings::default()).await;
    let row = usage("1725499848000", "");
    let problem = async |query: &str, body: &str| {
        let answer = api.post(&format!("/v1/import?{query}"), ADMIN_KEY, body).await;
        let (status, problem) = problem_of(answer).await;
        (status, problem["errors"][0]["field"].as_str().unwrap().to_owned())
    };
    assert_eq!(problem("kind=DATA", &row).await, (422, "kind".into()));
    assert_eq!(problem("kind=data-usage&format=json", &row).await, (422, "format".into()));
    assert_eq!(problem("kind=data-usage&fromat=csv", &row).await, (422, "fromat".into()));
    for header in ["a,b\n1,2\n", "giccid,giccid\n", "giccid,\n", "data_usage,\"never closed"] {
        let answer = problem("kind=data-usage&format=csv", header).await;
        assert_eq!(answer, (422, "giccid".into()), "{header}");
    }
    assert_eq!(counts(&import(&api, "kind=data-usage&format=csv", "").await), (0, 0, 0));
    let made = api.post("/v1/keys", ADMIN_KEY, r#"{"label":"grafana","scope":"read"}"#).await;
    let made: Value = made.json().await.unwrap();
    let reader = made["key"].as_str().unwrap();
    // Larger than any buffer between the two, so that the refusal overtakes the body.
    let long = row.repeat(300_000);
    for body in [&row, &long] {
        let answer = api.post("/v1/import?kind=data-usage", reader, body).await;
        assert_eq!(problem_of(answer).await.0, 403);
    }
    assert!(substance(&api, "data-usage").await.is_empty());
    // The export above is on record, too, as soon as it is written.
    let is_import = |row: &(String, String, String)| row.1 == "import";
    assert!(!api.audit().await.iter().any(is_import), "nothing was read in");
}
