//! What is exported can be read in, and what is there is not stored again.
use simdeck::http::ApiSettings;

use super::{SIM, counts, export, import, substance};
use crate::{
    api_harness::Api,
    server::{Simdeck, now_s, signed_at},
};

/// Kind, list and members, each hard to tell from its export alone.
fn pushes() -> Vec<(&'static str, &'static str, String)> {
    let usage = |rest: &str| {
        let members =
            format!(r#""giccid":"{SIM}","data_usage":12,"start_time":1725499848000{rest}"#);
        ("data-usage", "data-usage", members)
    };
    let sms = |rest: &str| {
        let members = format!(r#""giccid":"{SIM}","event_time":1725499848000{rest}"#);
        ("mo-sms", "mo-sms", members)
    };
    let other = |members: &str| ("sim-status", "notifications", members.to_owned());
    vec![
        usage(""),
        usage(r#","duration":0,"mcc":"460","mnc":"01","apn":"=cmd","sim_group":"a,\"b\"""#),
        usage(r#","mcc":460,"mnc":1"#),
        usage(r#","apn":null"#),
        usage(r#","apn":"""#),
        usage(r#","apn":"'=x""#),
        usage(r#","apn":"''=x""#),
        usage(r#","apn":"'x""#),
        usage(r#","apn":"=\"012345678901\"""#),
        usage(r#","apn":"\t\r\n""#),
        usage(r#","id":7,"received_at":"x","extra":{"a":1.50},"url":null,"kind":"k","text":"t""#),
        usage(",\"deep\" : {\n \"b\" : [ 1e5 ,\r\n\t\"x\\n\" ] },\"\\u00e9\":\"\\ud83d\\ude00\""),
        (
            "data-usage",
            "data-usage",
            format!(r#""giccid":{},"data_usage":"0012","start_time":"1725499848001""#, &SIM[..18]),
        ),
        (
            "data-usage",
            "data-usage",
            format!(
                r#""page":2,"cdrs":[{{"giccid":"{SIM}","data_usage":1,"start_time":1725499848002}}]"#
            ),
        ),
        sms(r#","from_msisdn":"+8190","to_msisdn":"-1","content":"hi \"you\"\n""#),
        sms(r#","imsi":null,"content":null"#),
        sms(""),
        other(r#""status":"ACTIVE""#),
        other(&format!(r#""giccid":"{SIM}","event_time":"1725499848000","extra":{{}}"#)),
        ("of-the-future", "notifications", r#""id":1,"received_at":2,"payload":{"x":[]}"#.into()),
    ]
}

async fn pushed(settings: ApiSettings) -> Api {
    let api = Api::new(settings).await;
    for (kind, _, members) in pushes() {
        api.push(kind, &members).await;
    }
    api
}

fn with_text() -> ApiSettings {
    ApiSettings { sms_text_field: Some("content".to_owned()), ..ApiSettings::default() }
}

const LISTS: [&str; 3] = ["data-usage", "mo-sms", "notifications"];

/// An export's query, and that of the import that fits it.
const FORMS: [(&str, &str); 4] = [
    ("format=ndjson", "format=ndjson"),
    ("format=csv", "format=csv"),
    ("format=csv&excel=true", "format=csv"),
    ("format=csv&raw=true", "format=csv&raw=true"),
];

#[tokio::test]
async fn what_one_server_exports_another_takes_in_whole_and_once() {
    let first = pushed(with_text()).await;
    for (exported_as, imported_as) in FORMS {
        let second = Api::new(with_text()).await;
        for list in LISTS {
            let file = export(&first, list, exported_as).await;
            let records = pushes().iter().filter(|(_, of, _)| *of == list).count() as u64;
            let query = format!("kind={list}&{imported_as}");
            let report = import(&second, &query, &file).await;
            assert_eq!(counts(&report), (records, 0, 0), "{report} of {query}\n{file}");
            let report = import(&second, &query, &file).await;
            assert_eq!(counts(&report), (0, records, 0), "{report} of {query}\n{file}");
            assert_eq!(substance(&second, list).await, substance(&first, list).await);
        }
        for (kind, list, members) in pushes() {
            let before = substance(&second, list).await.len();
            second.push(kind, &members).await;
            assert_eq!(substance(&second, list).await.len(), before, "{members}");
        }
    }
}

#[tokio::test]
async fn what_was_pushed_is_not_stored_again_from_a_file() {
    let api = pushed(with_text()).await;
    for list in LISTS {
        for (exported_as, imported_as) in FORMS {
            let file = export(&api, list, exported_as).await;
            let report = import(&api, &format!("kind={list}&{imported_as}"), &file).await;
            let records = pushes().iter().filter(|(_, of, _)| *of == list).count() as u64;
            assert_eq!(counts(&report), (0, records, 0), "{report}\n{file}");
        }
    }
    let changes = api.get("/v1/changes?size=1000").await.text().await.unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&changes).unwrap();
    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
    let report = import(&api, "format=ndjson", &lines.join("\n")).await;
    assert_eq!(counts(&report), (0, pushes().len() as u64, 0), "each row says its kind: {report}");
}

#[tokio::test]
async fn a_file_in_the_vendors_words_holds_the_records_that_a_push_would_bring() {
    let api = Api::new(ApiSettings::default()).await;
    let log: Vec<String> = pushes()
        .iter()
        // A row with both `id` and `received_at` is taken for one of ours.
        .filter(|(kind, _, it)| *kind == "data-usage" && !it.contains("received_at"))
        .map(|(.., members)| format!("{{{}}}", members.replace(['\n', '\r'], " ")))
        .collect();
    let records = log.len() as u64;
    let report = import(&api, "kind=data-usage", &log.join("\n")).await;
    assert_eq!(counts(&report), (records, 0, 0), "{report}");
    let sums = "/v1/data-usage/aggregate?interval=none";
    let arrived = "simdeck-arrived-through";
    let answer = api.get(sums).await;
    assert_eq!(answer.headers().get(arrived), None, "it tells nothing of how late pushes arrive");
    for (kind, _, members) in pushes() {
        api.push(kind, &members).await;
    }
    assert_eq!(substance(&api, "data-usage").await.len() as u64, records + 1);
    assert!(api.get(sums).await.headers().contains_key(arrived));
    let status: serde_json::Value = api.get("/v1/status").await.json().await.unwrap();
    let tally = &status["pushes"]["data-usage"];
    let repeats = (&tally["repeats"], &tally["repeats_redated"]);
    assert_eq!(repeats, (&records.into(), &0.into()), "nobody knows when they were pushed first");

    // Of a table, numbers are numbers and all else is text, as in SmartHub's own sample.
    api.push(
        "data-usage",
        r#""giccid":"8944501503181377993","data_usage":1302,"start_time":1713888842473,
           "duration":0,"mcc":"460","mnc":"10","country_code":"CN","apn":"apn1","new":"x""#,
    )
    .await;
    let table = "\u{feff}giccid, data_usage ,start_time,duration,mcc,mnc,country_code,apn,imsi,new\r\n\
                 8944501503181377993,1302,1713888842473,0,460,10,CN,apn1,,x\r\n";
    assert_eq!(counts(&import(&api, "kind=data-usage&format=csv", table).await), (0, 1, 0));
}

#[tokio::test]
async fn rows_whose_identity_was_taken_out_are_what_their_fields_say() {
    let api = Api::new(ApiSettings::default()).await;
    let plain =
        format!(r#""giccid":"{SIM}","data_usage":1,"start_time":1725499848000,"new":[1.0]"#);
    api.push("data-usage", &plain).await;
    let file = export(&api, "data-usage", "format=ndjson").await;
    let at = file.find(r#""identity""#).unwrap();
    let until = at + file[at..].find(r#""datePush""#).unwrap();
    let without = format!("{}{}", &file[..at], &file[until..]);
    assert_eq!(counts(&import(&api, "kind=data-usage", &without).await), (0, 1, 0));
    let changed = without.replace(r#""data_usage":1,"#, r#""data_usage":2,"#);
    assert_eq!(counts(&import(&api, "kind=data-usage", &changed).await), (1, 0, 0));
}

#[tokio::test]
async fn history_is_no_sign_of_life_and_no_repeat_but_counts_in_every_sum() {
    let first = pushed(ApiSettings::default()).await;
    let second = Api::new(ApiSettings::default()).await;
    let file = export(&first, "data-usage", "format=ndjson").await;
    for _ in 0..2 {
        import(&second, "kind=data-usage", &file).await;
    }
    let tally = async || {
        let status: serde_json::Value = second.get("/v1/status").await.json().await.unwrap();
        status["pushes"]["data-usage"].clone()
    };
    let before = tally().await;
    assert_eq!(before["last_received_at"], serde_json::Value::Null);
    assert_eq!((&before["repeats"], &before["records"]), (&0.into(), &14.into()), "{before}");
    let sums = "/v1/data-usage/aggregate?interval=none";
    assert_eq!(second.rows(sums).await[0]["data_usage"], first.rows(sums).await[0]["data_usage"]);

    second.push("data-usage", &pushes()[0].2).await;
    let after = tally().await;
    assert_eq!(after["last_received_at"], serde_json::Value::Null, "a repeat brings nothing new");
    assert_eq!((&after["repeats"], &after["repeats_redated"]), (&1.into(), &0.into()));
    import(&second, "kind=data-usage", &file).await;
    assert_eq!(tally().await, after, "a file after a push says nothing of pushes either");
    let who = ("admin".to_owned(), "import".to_owned(), "data-usage ndjson".to_owned());
    assert_eq!(second.audit().await, vec![who; 3]);
}

#[tokio::test]
async fn where_date_push_tells_records_apart_a_file_has_to_say_it() {
    let variables = [("SIMDECK_PUSH_IDENTITY", "content+date")];
    let (first, second) = (Simdeck::start(&variables), Simdeck::start(&variables));
    let record = format!(r#""giccid":"{SIM}","data_usage":1,"start_time":1725499848000"#);
    let (today, a_second_ago) = (now_s(), now_s() - 1);
    for second_s in [today, a_second_ago] {
        assert_eq!(first.push("data-usage", signed_at(second_s, &record)).await, (1, 0, 0));
    }
    let (_, file) = first.ask_text(reqwest::Method::GET, "/v1/data-usage?format=ndjson").await;
    let import = async |file: &str| {
        let path = "/v1/import?kind=data-usage";
        counts(&second.send_json(reqwest::Method::POST, path, file).await.1)
    };
    assert_eq!(import(&file).await, (2, 0, 0));
    assert_eq!(import(&signed_at(today, &record)).await, (0, 1, 0), "the push itself, in a file");
    assert_eq!(import(&format!("{{{record}}}")).await, (0, 0, 1), "nothing says which it is");
    for second_s in [today, a_second_ago] {
        assert_eq!(second.push("data-usage", signed_at(second_s, &record)).await, (0, 1, 0));
    }
    first.end();
    second.end();
}

#[tokio::test]
async fn an_export_that_says_how_many_rows_it_has_is_taken_at_its_word() {
    let first = Api::new(ApiSettings::default()).await;
    first.add_usage(3).await;
    for (format, heading) in [("ndjson", 0), ("csv", 1)] {
        let file = export(&first, "data-usage", &format!("format={format}&count=true")).await;
        let second = Api::new(ApiSettings::default()).await;
        let query = format!("kind=data-usage&format={format}");
        let report = import(&second, &query, &file).await;
        assert_eq!(counts(&report), (3, 0, 0), "{report}\n{file}");
        // Without one of its rows it has too few, and says so at its end.
        let mut lines: Vec<_> = file.lines().collect();
        lines.remove(heading);
        let report = import(&second, &query, &lines.join("\n")).await;
        assert_eq!(counts(&report), (0, 2, 1), "{report}");
        assert_eq!(report["refused"][0]["field"], "rows", "{report}");
    }
}
