//! Tables that were cut or written by hand, and what is said of them; both imports.
use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use reqwest::StatusCode;
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use super::{SIM, counts, export, import, substance};
use crate::api_harness::{ADMIN_KEY, Api, problem_of};

const OTHER: &str = "8944501503181377993";

async fn label(api: &Api, table: &str) -> Value {
    let answer = api.post("/v1/sims/import", ADMIN_KEY, table).await;
    assert_eq!(answer.status(), StatusCode::OK, "{table}");
    answer.json().await.unwrap()
}

/// Line, last line and reason or code of each refused row.
fn refused(report: &Value) -> Vec<(u64, u64, String)> {
    let rows = report["refused"].as_array().unwrap().iter();
    rows.map(|row| {
        let line = row["line"].as_u64().unwrap();
        let word = if row["reason"].is_null() { &row["code"] } else { &row["reason"] };
        let last_line = row["last_line"].as_u64().unwrap_or(line);
        (line, last_line, word.as_str().unwrap().to_owned())
    })
    .collect()
}

fn one(line: u64, last_line: u64, word: &str) -> Vec<(u64, u64, String)> {
    vec![(line, last_line, word.to_owned())]
}

/// Wherever a file is cut, what is stored of it is a part of what the whole file has, and the whole
/// file later stores the rest and nothing twice.
#[tokio::test]
async fn a_file_that_was_cut_anywhere_stores_whole_rows_only() {
    let first = Api::new(ApiSettings::default()).await;
    for (nth, group) in ["grouß", "a\"b\",\r\nc", "'=1;+1"].iter().enumerate() {
        let group = serde_json::to_string(group).unwrap();
        first
            .push(
                "data-usage",
                &format!(
                    r#""giccid":"{SIM}","data_usage":{},"start_time":172549984{nth}000,"apn":{group},"sim_group":{group},"new":{group}"#,
                    1001 + nth
                ),
            )
            .await;
    }
    let whole = substance(&first, "data-usage").await;
    for form in ["format=ndjson", "format=csv", "format=csv&excel=true", "plain"] {
        // A table in the vendor's words, whose last column is a text.
        let file = if form == "plain" {
            format!(
                "giccid,data_usage,start_time,sim_group\r\n{SIM},1001,1725499840000,groupA\r\n\
                 {SIM},1002,1725499841000,\"grou\"\"p,\r\nB\"\r\n{SIM},1003,1725499842000,gröup\r\n"
            )
        } else {
            export(&first, "data-usage", form).await
        };
        let format = if form == "format=ndjson" { "ndjson" } else { "csv" };
        let query = format!("kind=data-usage&format={format}");
        let file = file.as_bytes();
        for end in (0..file.len()).rev().step_by(13) {
            let second = Api::new(ApiSettings::default()).await;
            let cut = file[..end].to_vec();
            let answer = second.post_bytes(&format!("/v1/import?{query}"), cut.clone(), None).await;
            // A table whose heading is cut is none.
            if answer.status() != StatusCode::OK {
                assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
                continue;
            }
            let report: Value = answer.json().await.unwrap();
            let (stored, _, refused) = counts(&report);
            let told = format!("{report}\n{}", String::from_utf8_lossy(&cut));
            assert!(stored + refused <= 3 && refused <= 1, "{told}");
            if form == "plain" {
                let text = std::str::from_utf8(file).unwrap();
                let report = import(&second, &query, text).await;
                assert_eq!(counts(&report), (3 - stored, stored, 0), "{told}");
            } else {
                let kept = substance(&second, "data-usage").await;
                assert!(kept.iter().all(|row| whole.contains(row)), "{told}\n{kept:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_row_whose_quote_is_never_closed_is_refused_and_told_with_what_was_read() {
    let api = Api::new(ApiSettings::default()).await;
    let head = "giccid,data_usage,start_time,sim_group";
    let rows = |from: u64| {
        let row = |n: u64| format!("{SIM},{n},172549984000{n},g{n}\r\n");
        (from..from + 3).map(row).collect::<String>()
    };
    // The last row is cut inside its quotes.
    let cut = format!("{head}\r\n{}{SIM},4,1725499840004,\"grou", rows(1));
    let report = import(&api, "kind=data-usage&format=csv", &cut).await;
    assert_eq!(refused(&report), one(5, 5, "unclosed"), "{report}");
    assert_eq!((counts(&report).0, &report["read_through_line"]), (3, &json!(4)), "{report}");
    // Three rows vanish in a cell.
    let swallowed = format!("{head}\r\n{SIM},4,1725499840004,\"grou\r\n{}", rows(5));
    let report = import(&api, "kind=data-usage&format=csv", &swallowed).await;
    assert_eq!(refused(&report), one(2, 5, "unclosed"), "{report}");
    assert_eq!((counts(&report).0, &report["read_through_line"]), (0, &json!(1)), "{report}");
    // A later row has quotes of its own, so that they are taken for the missing one.
    for cell in ["\"x\"", "\"\"", "\",x\"", "\"x,\"", "\"x\"\"y\""] {
        let odd = format!(
            "{head}\r\n{SIM},4,1725499840004,\"grou\r\n{SIM},5,1725499840005,{cell}\r\n{}",
            rows(6)
        );
        let report = import(&api, "kind=data-usage&format=csv", &odd).await;
        assert_eq!(counts(&report).2, 1, "{cell}: {report}");
        let (line, last_line, word) = refused(&report).remove(0);
        assert_eq!((line, word.as_str()), (2, "unclosed"), "{cell}: {report}");
        // Every row is stored or lies between the two lines.
        let through = last_line;
        assert_eq!(counts(&report).0 + counts(&report).1, 6 - through, "{cell}: {report}");
    }
    // The same of names.
    for (table, refusal, through, updated) in [
        (format!("giccid,name\n{SIM},a\n{OTHER},\"Roo"), one(3, 3, "unclosed"), 2, 1),
        (format!("giccid,name\n{OTHER},\"Roo\n{SIM},b\n"), one(2, 3, "unclosed"), 1, 0),
        (format!("giccid,name\n{SIM},a\n{OTHER},Roo"), one(3, 3, "unclosed"), 2, 1),
        (format!("giccid,name\n{SIM},Roof 5\"\n{OTHER},x\n"), one(2, 2, "misquoted"), 0, 1),
        (format!("giccid,name\n{SIM},\"Roof\"5\n{OTHER},x\n"), one(2, 2, "misquoted"), 0, 1),
    ] {
        let report = label(&api, &table).await;
        assert_eq!(refused(&report), refusal, "{table}\n{report}");
        assert_eq!(report["read_through_line"].as_u64().unwrap_or(0), through, "{table}\n{report}");
        let taken = report["updated"].as_u64().unwrap() + report["unknown"].as_u64().unwrap();
        assert_eq!(taken, updated, "{table}\n{report}");
    }
}

#[tokio::test]
async fn a_row_of_another_length_than_the_heading_is_refused_by_its_line() {
    let api = Api::new(ApiSettings::default()).await;
    for sim in [SIM, OTHER] {
        let record = format!(r#""giccid":"{sim}","data_usage":1,"start_time":1725499840000"#);
        api.push("data-usage", &record).await;
    }
    let report = label(
        &api,
        &format!(
            "giccid,name,device_sn\n{SIM},Roof, 7,SN1\n{SIM},\n{SIM},Roof,SN1,\n{OTHER},Yard,\n"
        ),
    )
    .await;
    assert_eq!(
        refused(&report),
        [
            (2, 2, "cell_count".to_owned()),
            (3, 3, "missing_field".to_owned()),
            (4, 4, "cell_count".to_owned()),
        ],
        "{report}"
    );
    let names: Vec<Value> =
        api.rows("/v1/sims").await.into_iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, [json!("Yard"), Value::Null]);
}

#[tokio::test]
async fn lines_are_counted_however_they_end() {
    let api = Api::new(ApiSettings::default()).await;
    for end in ["\n", "\r", "\r\n"] {
        let table = [
            "giccid,data_usage,start_time,apn".to_owned(),
            format!("{SIM},1,1725499840001,\"two{end}lines\""),
            String::new(),
            format!("{SIM},x,1725499840002,"),
            String::new(),
        ]
        .join(end);
        let report = import(&api, "kind=data-usage&format=csv", &table).await;
        assert_eq!(refused(&report), one(5, 5, "field_invalid"), "{end:?}: {report}");
        let lines = [
            format!(r#"{{"giccid":"{SIM}","data_usage":1,"start_time":1725499840003}}"#),
            String::new(),
            "{}".to_owned(),
            format!(r#"{{"giccid":"{SIM}","data_usage":1,"start_time":1725499840004}}"#),
        ]
        .join(end);
        let report = import(&api, "kind=data-usage", &lines).await;
        assert_eq!(refused(&report), one(3, 3, "field_missing"), "{end:?}: {report}");
        assert_eq!(counts(&report).2, 1, "{end:?}: {report}");
        let names = [
            "giccid,name".to_owned(),
            format!("{SIM},a"),
            String::new(),
            "12,x".to_owned(),
            String::new(),
        ]
        .join(end);
        assert_eq!(refused(&label(&api, &names).await), one(4, 4, "invalid"), "{end:?}");
    }
}

#[tokio::test]
async fn a_packed_file_is_unpacked_and_another_coding_is_415() {
    let api = Api::new(ApiSettings::default()).await;
    let pack = |text: &str| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    let table = format!("giccid,data_usage,start_time\n{SIM},1,1725499840001\n");
    let url = "/v1/import?kind=data-usage&format=csv";
    let answer = api.post_bytes(url, pack(&table), Some("gzip")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(counts(&answer.json().await.unwrap()), (1, 0, 0));
    for plain in ["identity", ""] {
        let answer = api.post_bytes(url, table.clone().into(), Some(plain)).await;
        assert_eq!(counts(&answer.json().await.unwrap()), (0, 1, 0), "{plain:?}");
    }
    let names = pack(&format!("giccid,name\n{SIM},a\n"));
    let answer = api.post_bytes("/v1/sims/import", names, Some("GZip")).await;
    let report: Value = answer.json().await.unwrap();
    assert_eq!(report["updated"], 1);
    // What is unpacked counts, not what is sent.
    let bomb = pack(&format!("giccid,name\n{}", "x".repeat(9 << 20)));
    let answer = api.post_bytes("/v1/sims/import", bomb, Some("gzip")).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let mut cut = pack(&table);
    cut.truncate(cut.len() - 9);
    let answer = api.post_bytes(url, cut, Some("gzip")).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "a packed file that was cut is told");
    for url in [url, "/v1/sims/import", "/v1/keys"] {
        for coding in ["br", "deflate", "zstd", "gzip, gzip", "compress", "x"] {
            let answer = api.post_bytes(url, table.clone().into(), Some(coding)).await;
            let content_type = answer.headers()["content-type"].clone();
            assert_eq!(content_type, "application/problem+json", "{coding}");
            let (status, problem) = problem_of(answer).await;
            assert_eq!(status, 415, "{coding}");
            assert!(problem["detail"].as_str().unwrap().contains("gzip"), "{problem}");
        }
    }
}
