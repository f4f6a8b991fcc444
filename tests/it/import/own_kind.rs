//! A row in SmartHub's own words with a member `kind`: whoever made the file may have put it there to
//! say what the row is, or it was pushed with it. No volume may be added twice for that.
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use super::{SIM, counts, import};
use crate::api_harness::{Api, Given, SECOND};

/// Kind, list, and a record's members, each of a time of its own.
const RECORDS: [(&str, &str, &str); 4] = [
    ("data-usage", "data-usage", r#""data_usage":40,"start_time":1725499840000,"imsi":"460001""#),
    ("data-usage", "data-usage", r#""data_usage":2,"start_time":"1725499841000""#),
    ("mo-sms", "mo-sms", r#""event_time":1725499842000,"content":"hi""#),
    ("sim-status", "notifications", r#""event_time":1725499843000,"status":"ACTIVE""#),
];

fn members(rest: &str) -> String {
    format!(r#""giccid":"{SIM}",{rest}"#)
}

/// The row of an archive, with its proof, and with what says its kind.
fn row(rest: &str, kind: &str) -> String {
    let proof = format!(r#""datePush":{SECOND},"signature":"00""#);
    format!("{{{proof},{},\"kind\":{kind}}}", members(rest))
}

async fn volume(api: &Api) -> Value {
    let sums = api.get("/v1/data-usage/aggregate?interval=none").await;
    let sums: Value = sums.json().await.unwrap();
    json!([sums[0]["data_usage"], sums[0]["records"]])
}

/// A store whose records are pending, and one that has the keys of all.
async fn stores() -> [Api; 2] {
    let keyed = Given { tail_records_max: 1, ..Given::default() };
    [Api::new(ApiSettings::default()).await, Api::given(keyed).await]
}

#[tokio::test]
async fn a_pushed_record_is_not_stored_again_from_a_row_that_names_its_kind() {
    for api in stores().await {
        for (kind, list, rest) in RECORDS {
            api.push(kind, &members(rest)).await;
            let (before, stored) = (volume(&api).await, api.rows(&format!("/v1/{list}")).await);
            let spelled = [kind.to_owned(), kind.to_uppercase(), kind.replace('-', "_")];
            for (nth, name) in spelled.iter().enumerate() {
                let file = row(rest, &format!("\"{name}\""));
                let report = import(&api, &format!("kind={kind}"), &file).await;
                assert_eq!(counts(&report), (0, 1, 0), "{nth}: {report} of {file}");
            }
            assert_eq!(volume(&api).await, before, "{kind}");
            assert_eq!(api.rows(&format!("/v1/{list}")).await, stored, "{kind}");
        }
        assert_eq!(volume(&api).await, json!([42, 2]));
    }
}

#[tokio::test]
async fn a_record_that_was_pushed_with_a_kind_of_its_own_is_a_repeat_in_the_senders_archive() {
    for api in stores().await {
        for (kind, _, rest) in RECORDS {
            let named = format!(r#"{},"kind":"{kind}""#, members(rest));
            api.push(kind, &named).await;
            let file = row(rest, &format!("\"{kind}\""));
            let report = import(&api, &format!("kind={kind}"), &file).await;
            assert_eq!(counts(&report), (0, 1, 0), "{report} of {file}");
        }
        assert_eq!(volume(&api).await, json!([42, 2]));
    }
}

#[tokio::test]
async fn a_file_whose_rows_name_their_kind_is_stored_once_and_as_it_would_be_pushed() {
    for api in stores().await {
        for (kind, list, rest) in RECORDS {
            let file = row(rest, &format!("\"{kind}\""));
            for times in [(1, 0, 0), (0, 1, 0)] {
                let report = import(&api, &format!("kind={kind}"), &file).await;
                assert_eq!(counts(&report), times, "{report} of {file}");
            }
            let stored = api.rows(&format!("/v1/{list}")).await;
            api.push(kind, &members(rest)).await;
            assert_eq!(api.rows(&format!("/v1/{list}")).await, stored, "{kind}");
        }
        assert_eq!(volume(&api).await, json!([42, 2]));
    }
}

#[tokio::test]
async fn records_of_one_body_and_cells_of_a_table_name_their_kind_as_rows_do() {
    for api in stores().await {
        let [one, two] = [7, 8].map(|volume| {
            let rest = format!(r#""data_usage":{volume},"start_time":1725499840000"#);
            members(&rest)
        });
        api.push("data-usage", &format!(r#""page":1,"cdrs":[{{{one}}},{{{two}}}]"#)).await;
        let before = volume(&api).await;
        let bodies = [
            format!(r#"{{"cdrs":[{{{one},"kind":"data-usage"}},{{"kind":"data-usage",{two}}}]}}"#),
            format!(r#"{{"page":1,"kind":"data-usage","cdrs":[{{{one}}},{{"kind":"7",{two}}}]}}"#),
            format!(r#"{{"cdrs":{{"kind":"data-usage",{one}}}}}"#),
            format!(r#"{{"cdrs":[{{{one}}},{{"kind":"mo-sms",{two}}}]}}"#),
            format!(r#"{{"kind":"mo-sms","cdrs":[{{{one}}}]}}"#),
        ];
        let expected = [(0, 2, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (0, 0, 1)];
        for (body, expected) in bodies.iter().zip(expected) {
            let report = import(&api, "kind=data-usage", body).await;
            assert_eq!(counts(&report), expected, "{report} of {body}");
        }
        let table = format!(
            "kind,giccid,start_time,data_usage\n\
             data-usage,{SIM},1725499840000,7\nData Usage,{SIM},1725499840000,8\n"
        );
        let report = import(&api, "kind=data-usage&format=csv", &table).await;
        assert_eq!(counts(&report), (0, 2, 0), "{report}");
        let own = json!([23, 3]);
        assert_eq!(
            (before, volume(&api).await),
            (json!([15, 2]), own),
            "`7` is a field of its own"
        );
    }
}

#[tokio::test]
async fn a_notification_keeps_a_kind_of_its_own_that_names_no_push_category() {
    let api = Api::new(ApiSettings::default()).await;
    for kind in [r#""warning""#, "7", "null", r#"{"of":"sim-status"}"#] {
        let rest = r#""status":"ACTIVE""#;
        let file = row(rest, kind);
        let report = import(&api, "kind=sim-status", &file).await;
        assert_eq!(counts(&report), (1, 0, 0), "{report} of {file}");
        api.push("sim-status", &format!("{},\"kind\":{kind}", members(rest))).await;
    }
    let stored = api.rows("/v1/notifications?kind=sim-status").await;
    let kinds: Vec<&Value> = stored.iter().rev().map(|it| &it["payload"]["kind"]).collect();
    assert_eq!(json!(kinds), json!(["warning", 7, null, {"of": "sim-status"}]));
    let report = import(&api, "kind=sim-status", &row(r#""status":"x""#, r#""apn-status""#)).await;
    assert_eq!(counts(&report), (0, 0, 1), "{report}");
    assert_eq!(report["refused"][0]["field"], "kind");
}

#[tokio::test]
async fn a_row_of_ours_without_one_of_its_columns_is_the_same_record() {
    let api = Api::new(ApiSettings::default()).await;
    for (kind, list, rest) in RECORDS {
        api.push(kind, &members(rest)).await;
        for row in api.rows(&format!("/v1/{list}")).await {
            for column in ["id", "received_at", "push_id", "source"] {
                let mut cut = row.clone();
                cut.as_object_mut().unwrap().remove(column);
                let report = import(&api, &format!("kind={kind}"), &cut.to_string()).await;
                assert_eq!(counts(&report), (0, 1, 0), "without {column}: {report}");
            }
        }
    }
    assert_eq!(volume(&api).await, json!([42, 2]));
}
