//! Texts that are code elsewhere (in SQL, in a spreadsheet, in a log), through every field of a
//! push and every parameter of the API. They are data: they come back as they went in.
use std::{collections::BTreeMap, path::Path};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::say;
use crate::server::{Simdeck, signed};

const CODE: [&str; 24] = [
    "'",
    "''",
    "\"",
    "`",
    "\\",
    "';--",
    "' or '1'='1",
    "' or 1=1 --",
    "\" or \"\"=\"",
    "1; drop table usage; --",
    "'; delete from usage; --",
    "'); attach database '/tmp/x' as x; --",
    "' union select key, label, 1 from api_key --",
    "%' escape '",
    "%_%",
    "json_extract(extra, '$')",
    "$1",
    "?1",
    ":x",
    "=cmd|'/c calc'!A1",
    "+1+cmd|'/c calc'!A1",
    "-2+3",
    "@SUM(1+1)*cmd|'/c calc'!A1",
    "\t=1\r\n2026-01-01T00:00:00Z ERROR forged",
];

const TEXT_FIELDS: [&str; 6] = ["imsi", "sim_group", "country_code", "mcc", "mnc", "apn"];
const SMS_FIELDS: [&str; 4] = ["imsi", "sim_group", "from_msisdn", "to_msisdn"];

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Whether the database is whole, and how many rows each table has.
async fn rows_by_table(database: &Path) -> BTreeMap<String, i64> {
    let options = SqliteConnectOptions::new().filename(database).read_only(true);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let intact: String =
        sqlx::query_scalar("pragma integrity_check").fetch_one(&mut database).await.unwrap();
    assert_eq!(intact, "ok");
    let tables = "select name from sqlite_master where type = 'table'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut database).await.unwrap();
    let mut counts = BTreeMap::new();
    for table in tables {
        let sql = sqlx::AssertSqlSafe(format!("select count(*) from \"{table}\""));
        counts.insert(table, sqlx::query_scalar(sql).fetch_one(&mut database).await.unwrap());
    }
    counts
}

/// A record with this text in one field.
fn record(kind: &str, nth: usize, field: &str, text: &str) -> Value {
    let mut record = match kind {
        "mo-sms" => json!({"event_time": 1_713_888_842_473_u64 + nth as u64}),
        _ => json!({"data_usage": 1, "start_time": 1_713_888_842_473_u64 + nth as u64}),
    };
    record["giccid"] = json!("8944501503181377993");
    record[field] = json!(text);
    record
}

fn members(record: &Value) -> String {
    let text = record.to_string();
    text[1..text.len() - 1].to_owned()
}

/// Every table of a kind, read row by row.
async fn csv(simdeck: &Simdeck, path: &str) -> Vec<BTreeMap<String, String>> {
    let (status, text) = simdeck.ask_text(Method::GET, path).await;
    assert_eq!(status, 200, "{path}: {text}");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

#[tokio::test]
async fn code_in_any_field_of_a_push_comes_back_as_text_and_in_no_cell_as_a_formula() {
    let simdeck = Simdeck::start(&[]);
    let mut trials = 0;
    for (kind, fields) in [("data-usage", &TEXT_FIELDS[..]), ("mo-sms", &SMS_FIELDS[..])] {
        for field in fields.iter().copied().chain(["unknown", "x' or 1=1 --"]) {
            for text in CODE {
                let body = signed(&members(&record(kind, trials, field, text)));
                assert_eq!(simdeck.push(kind, body).await, (1, 0, 0), "{field}: {text}");
                trials += 1;
            }
        }
    }
    for (kind, fields) in [("data-usage", &TEXT_FIELDS[..]), ("mo-sms", &SMS_FIELDS[..])] {
        for (field, text) in fields.iter().flat_map(|field| CODE.map(|text| (*field, text))) {
            // Those that are a list to the API are not asked for.
            if !text.contains(',') {
                let rows = simdeck.rows(&format!("/v1/{kind}?{field}={}", encoded(text))).await;
                assert_eq!(rows.len(), 1, "{kind}, {field}: {text}");
                assert_eq!(rows[0][field], *text);
            }
        }
        let safe = csv(&simdeck, &format!("/v1/{kind}?format=csv")).await;
        let raw = csv(&simdeck, &format!("/v1/{kind}?format=csv&raw=true")).await;
        assert!(safe.len() == raw.len() && safe.len() >= CODE.len() * fields.len());
        for (column, cell) in safe.iter().flatten() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{column}: {cell}");
        }
        for field in fields {
            for text in CODE {
                assert!(raw.iter().any(|row| row[*field] == text), "{field}: {text}");
            }
        }
    }
    say(&format!("{trials} trials, 0 failures"));
    let folder = simdeck.folder();
    let log = simdeck.end();
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z ERROR")), "{log}");
    let usage = (TEXT_FIELDS.len() + 2) * CODE.len();
    let database = folder.path().join("data/simdeck.db");
    assert_eq!(rows_by_table(&database).await["usage"], i64::try_from(usage).unwrap());
}

#[tokio::test]
async fn code_where_a_number_a_sim_a_kind_or_a_header_belongs_is_kept_out_or_set_aside() {
    let simdeck = Simdeck::start(&[]);
    let mut quarantined = 0;
    for text in CODE {
        for field in ["giccid", "data_usage", "start_time", "duration"] {
            let body = signed(&members(&record("data-usage", quarantined, field, text)));
            assert_eq!(simdeck.push("data-usage", body).await, (0, 0, 1), "{field}: {text}");
            quarantined += 1;
        }
        let path = format!("/v1/{}", encoded(text));
        let answer = simdeck.ask_public(Method::POST, &path, b"{}".to_vec(), &[]).await;
        assert_eq!(answer.status, 404, "{text}");
        if !text.contains(['\r', '\n']) {
            let headers = [("X-Forwarded-For", text), ("Simdeck-Test", text)];
            let body = signed(&members(&record("data-usage", 0, "apn", text)));
            let answer = simdeck.post_with("data-usage", body, &headers).await;
            assert_eq!(answer.status, 409, "an unknown nonce: {text}");
        }
    }
    let held = simdeck.rows("/v1/held?class=quarantined").await;
    assert_eq!(held.len(), quarantined);
    for row in csv(&simdeck, "/v1/held?format=csv").await {
        let formula = |cell: &&String| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
        assert_eq!(row.values().find(formula), None);
    }
    simdeck.end();
}

/// Path and parameters of every question that the API takes.
async fn questions(simdeck: &Simdeck) -> Vec<(String, Vec<String>)> {
    let document = simdeck.get("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    let asked = paths.iter().filter_map(|(path, item)| Some((path, item.get("get")?)));
    let named = |operation: &Value| -> Vec<String> {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let in_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
        in_query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    };
    // A stream has no end, and the page of the documentation is a page.
    let ends = asked.filter(|(path, _)| !path.contains("stream") && !path.contains("docs"));
    ends.map(|(path, operation)| (path.clone(), named(operation))).collect()
}

#[tokio::test]
async fn code_in_any_parameter_of_the_api_is_refused_or_finds_nothing() {
    let simdeck = Simdeck::start(&[]);
    for nth in 0..20 {
        let body = signed(&members(&record("data-usage", nth, "apn", "iot")));
        assert_eq!(simdeck.push("data-usage", body).await.0, 1);
    }
    let database = simdeck.folder().path().join("data/simdeck.db");
    let before = rows_by_table(&database).await;
    let mut trials = 0;
    for (path, parameters) in questions(&simdeck).await {
        for text in CODE {
            let text = encoded(text);
            // In the path where it takes something, and in each parameter.
            let mut asked: Vec<String> = Vec::new();
            if let Some((head, tail)) = path.split_once('{') {
                let tail = tail.split_once('}').unwrap().1;
                asked.push(format!("{head}{text}{tail}"));
            } else {
                asked.extend(parameters.iter().map(|name| format!("{path}?{name}={text}")));
                asked.push(format!("{path}?{text}={text}"));
            }
            for question in asked {
                let (status, answer) = simdeck.ask_text(Method::GET, &question).await;
                let is_told = [200, 400, 404, 409, 422].contains(&status);
                assert!(is_told, "{question}: {status} {answer}");
                let is_list = path == "/v1/data-usage" && status == 200;
                assert!(
                    !is_list || !answer.contains("8944501503181377993"),
                    "{question}: {answer}"
                );
                trials += 1;
            }
        }
    }
    assert_eq!(rows_by_table(&database).await, before);
    say(&format!("{trials} trials, 0 failures"));
    simdeck.end();
}
