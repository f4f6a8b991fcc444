//! Whatever text stands in a cell: no spreadsheet runs it, however it splits the file, and our own
//! import reads it back as it was, in every form.
use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestCaseError};
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use crate::{
    api_harness::{ADMIN_KEY, Api},
    import::{counts, export, import, substance},
};

/// What an export is asked for, and what an import is told of it.
const FORMS: [(&str, &str); 4] = [
    ("format=csv", "format=csv"),
    ("format=csv&excel=true", "format=csv"),
    ("format=csv&raw=true", "format=csv&raw=true"),
    ("format=csv&raw=true&excel=true", "format=csv&raw=true&excel=true"),
];

/// Pieces of hostile texts. Those that a name may not have come last.
const PIECES: [&str; 29] = [
    "=",
    "+",
    "-",
    "@",
    "＝",
    "＋",
    "－",
    "＠",
    "'",
    "''",
    "\"",
    "\"\"",
    ";",
    ",",
    " ",
    "\u{a0}",
    "\u{feff}",
    "\u{200b}",
    "|",
    "1F",
    "x",
    "1+1",
    "00123456789012",
    "=\"01234567890123\"",
    "rows",
    "\t",
    "\r",
    "\n",
    "\r\n",
];
const PIECES_OF_NAMES: usize = 25;

fn text(pieces: usize) -> impl Strategy<Value = String> {
    vec(select(&PIECES[..pieces]), 0..6).prop_map(|pieces| pieces.concat())
}

fn sim(number: usize) -> String {
    format!("89445015031813{number:05}")
}

/// Whether a spreadsheet would take the cell for a formula; blanks and quotes before it may be lost.
fn runs(cell: &str) -> bool {
    // A long number, as `excel=true` writes it (an identity like 90099628e1494613 is one as well); a
    // whole row behind it, where it is not split at `,`.
    let constant = cell.strip_prefix("=\"").and_then(|rest| rest.split_once('"'));
    let is_number = |(number, rest): (&str, &str)| {
        number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'e')
            && (rest.is_empty() || rest.starts_with(','))
    };
    if constant.is_some_and(is_number) {
        return false;
    }
    let blanks = [' ', '"', '\u{a0}', '\u{feff}', '\u{200b}'];
    let formula = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    cell.trim_start_matches(blanks).starts_with(formula)
}

/// Each cell of a table as a spreadsheet has it that splits at this character.
fn cells(table: &str, separator: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .from_reader(table.as_bytes());
    let rows = reader.byte_records().map(Result::unwrap);
    let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
    rows.flat_map(|row| row.iter().map(text).collect::<Vec<_>>()).collect()
}

fn no_cell_runs(table: &str) -> Result<(), TestCaseError> {
    for separator in [b',', b';', b'\t'] {
        let found = cells(table, separator).into_iter().find(|cell| runs(cell));
        prop_assert_eq!(found, None, "split at {:?}: {}", char::from(separator), table);
    }
    Ok(())
}

async fn names(api: &Api) -> Vec<(Value, Value, Value)> {
    let rows = api.rows("/v1/sims?size=100").await;
    let row = |row: &Value| (row["giccid"].clone(), row["name"].clone(), row["device_sn"].clone());
    let mut rows: Vec<_> = rows.iter().map(row).collect();
    rows.sort_by_key(|row| row.0.to_string());
    rows
}

/// A server that has a record of each SIM.
async fn with_sims(sims: usize) -> Api {
    let api = Api::new(ApiSettings::default()).await;
    for number in 0..sims {
        let giccid = sim(number);
        let record = format!(r#""giccid":"{giccid}","data_usage":1,"start_time":1725499848000"#);
        api.push("data-usage", &record).await;
    }
    api
}

async fn check_names(given: &[(String, Option<String>)]) -> Result<(), TestCaseError> {
    let first = with_sims(given.len()).await;
    for (number, (name, device_sn)) in given.iter().enumerate() {
        let label = json!({"name": name, "device_sn": device_sn}).to_string();
        let answer = first.put(&format!("/v1/sims/{}", sim(number)), ADMIN_KEY, &label).await;
        prop_assert!(answer.status().is_success(), "{}", label);
    }
    let wanted = names(&first).await;
    for (exported_as, imported_as) in FORMS {
        let second = with_sims(given.len()).await;
        // The second time a file is read in that was made of what the first brought.
        let mut from = &first;
        for _ in 0..2 {
            let file = export(from, "sims", &format!("{exported_as}&count=true")).await;
            if !exported_as.contains("raw") {
                no_cell_runs(&file)?;
            }
            let query = imported_as.replace("format=csv", "").trim_start_matches('&').to_owned();
            let url = format!("/v1/sims/import?{query}");
            let report: Value = second.post(&url, ADMIN_KEY, &file).await.json().await.unwrap();
            prop_assert_eq!(&report["refused_lines"], 0, "{}\n{}", report, file);
            prop_assert_eq!(&names(&second).await, &wanted, "{}", file);
            from = &second;
        }
    }
    Ok(())
}

async fn check_records(texts: &[String]) -> Result<(), TestCaseError> {
    let first = Api::new(ApiSettings::default()).await;
    for (number, text) in texts.iter().enumerate() {
        let text = Value::from(text.as_str());
        let members = format!(
            r#""giccid":"{}","data_usage":1,"start_time":1725499848000,"apn":{text},"sim_group":{text},"new":{text}"#,
            sim(number)
        );
        first.push("data-usage", &members).await;
        first.push("sim-status", &format!(r#""status":{text},"nth":{number}"#)).await;
    }
    for list in ["data-usage", "notifications"] {
        let kept = substance(&first, list).await;
        for (exported_as, imported_as) in FORMS {
            let file = export(&first, list, &format!("{exported_as}&count=true")).await;
            if !exported_as.contains("raw") {
                no_cell_runs(&file)?;
            }
            let second = Api::new(ApiSettings::default()).await;
            let report = import(&second, &format!("kind={list}&{imported_as}"), &file).await;
            prop_assert_eq!(counts(&report), (kept.len() as u64, 0, 0), "{}\n{}", report, file);
            prop_assert_eq!(&substance(&second, list).await, &kept, "{}", file);
        }
    }
    Ok(())
}

#[test]
fn a_name_comes_back_from_every_form_as_it_was_and_no_spreadsheet_runs_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let device_sn = prop::option::of(select(vec!["SN1", "00123", "24031300770021"]));
    let one = (text(PIECES_OF_NAMES), device_sn.prop_map(|it| it.map(str::to_owned)));
    proptest!(ProptestConfig::with_cases(12), |(given in vec(one, 1..12))| {
        runtime.block_on(check_names(&given))?;
    });
}

#[test]
fn a_records_text_comes_back_from_every_form_as_it_was_and_no_spreadsheet_runs_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    proptest!(ProptestConfig::with_cases(12), |(texts in vec(text(PIECES.len()), 1..12))| {
        runtime.block_on(check_records(&texts))?;
    });
}

#[tokio::test]
async fn the_names_of_the_report_come_back_three_times_as_they_were() {
    let given: Vec<(String, Option<String>)> = [
        "-1F",
        "'-1F",
        "''-1F",
        "＝1+1",
        "x;=1+1",
        "x;\"=1+1;y",
        "x;'=1+1",
        "'",
        "''",
        " Roof ",
        "\"",
        "\"=1",
        "=\"012345678901\"",
        "012345678901",
    ]
    .map(|name| (name.to_owned(), Some("24031300770021".to_owned())))
    .into();
    check_names(&given).await.unwrap();
    let texts = ["\t=1", "\n", "\r\n-1", "a\r\n=1", "x\t=1", "x\n\"=1"].map(str::to_owned);
    check_records(&texts).await.unwrap();
}
