//! Whatever is stored: its list as JSON, page by page, as NDJSON and as CSV is one table.
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::Value;
use simdeck::http::ApiSettings;

use super::import::{Pushed, case};
use crate::api_harness::{Api, link};

/// Column names, and the cells of each row.
#[derive(Debug, PartialEq)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A cell as a table has it: nothing for null, a value that is no single one as it was written.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn of_csv(text: &str) -> Table {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect());
    Table { columns, rows: rows.collect() }
}

/// These rows in the columns of a CSV. What a table cannot hold as text is compared as JSON.
fn of_json(columns: &[String], rows: &[Value]) -> Table {
    let rows = rows.iter().map(|row| columns.iter().map(|name| cell(&row[name])).collect());
    Table { columns: columns.to_vec(), rows: rows.collect() }
}

/// Every nested value in the form that `serde_json` writes.
fn plain(mut table: Table) -> Table {
    let nested = |name: &String| ["extra", "payload"].contains(&name.as_str());
    for place in table.columns.iter().enumerate().filter(|(_, name)| nested(name)).map(|it| it.0) {
        for row in &mut table.rows {
            row[place] = cell(&serde_json::from_str::<Value>(&row[place]).unwrap());
        }
    }
    table
}

/// A cell without what keeps a spreadsheet from running it: the rule of the README, backwards.
fn believed(cell: &str) -> String {
    let signs: Vec<char> = cell.chars().collect();
    let is_begin = |at: usize| at == 0 || [';', '\t', '\r', '\n'].contains(&signs[at - 1]);
    let runs = |at: usize| {
        let mut rest = signs[at..].iter().skip_while(|sign| ['\'', '"', ' '].contains(sign));
        let formula = ['=', '+', '-', '@'];
        let first = ['=', '+', '-', '@', '\t', '\r', '\n'];
        rest.next()
            .is_some_and(|sign| if at == 1 { first.as_slice() } else { &formula }.contains(sign))
    };
    let is_mark = |at: usize| signs[at] == '\'' && is_begin(at) && runs(at + 1);
    (0..signs.len()).filter(|at| !is_mark(*at)).map(|at| signs[at]).collect()
}

async fn walked(api: &Api, list: &str, size: usize) -> Vec<Value> {
    let mut all = Vec::new();
    let separator = if list.contains('?') { '&' } else { '?' };
    let mut next = Some(format!("/v1/{list}{separator}size={size}&cursor="));
    while let Some(url) = next {
        let response = api.get(&url).await;
        next = link(&response, "next");
        let page: Vec<Value> = response.json().await.unwrap();
        assert!(page.len() <= size, "{url}");
        all.extend(page);
    }
    all
}

async fn check(pushed: &[Pushed], size: usize) -> Result<(), TestCaseError> {
    let api = Api::new(ApiSettings::default()).await;
    for push in pushed {
        api.push(push.kind, &push.members).await;
    }
    for list in [
        "data-usage",
        "mo-sms",
        "notifications",
        "sims",
        "data-usage?mcc=460",
        "data-usage/aggregate?interval=1h&group_by=sim_group,apn",
        "data-usage/aggregate?interval=1d&group_by=giccid&top=1&usual=true",
        "mo-sms/aggregate?group_by=giccid",
    ] {
        let form = async |query: &str| {
            let separator = if list.contains('?') { '&' } else { '?' };
            let response = api.get(&format!("/v1/{list}{separator}{query}")).await;
            assert_eq!(response.status(), 200, "{list} {query}");
            response.text().await.unwrap()
        };
        let raw = plain(of_csv(&form("format=csv&raw=true").await));
        let rows: Vec<Value> = if list.contains("aggregate") {
            serde_json::from_str(&form("format=json").await).unwrap()
        } else {
            walked(&api, list, size).await
        };
        let lines = form("format=ndjson").await;
        let lines: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(&rows, &lines, "{}", list);
        prop_assert_eq!(&of_json(&raw.columns, &rows), &raw, "{}", list);
        let mut safe = of_csv(&form("format=csv").await);
        for cell in safe.rows.iter_mut().flatten() {
            *cell = believed(cell);
        }
        prop_assert_eq!(&plain(safe), &raw, "{}", list);
        // Nothing is left out of the table but the row's address.
        for name in rows.iter().flat_map(|row| row.as_object().unwrap().keys()) {
            let is_link = name.ends_with("url");
            prop_assert!(is_link || raw.columns.contains(name), "{} lacks {}", list, name);
        }
    }
    Ok(())
}

#[test]
fn json_lines_and_csv_carry_the_same_table() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    proptest!(ProptestConfig::with_cases(24), |((pushed, _) in case(), size in 1..5_usize)| {
        runtime.block_on(check(&pushed, size))?;
    });
}
