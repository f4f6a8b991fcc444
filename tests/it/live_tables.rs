//! The tables of the commands, on screens of any width.
use console::measure_text_width;
use serde_json::Value;

use crate::server::{Simdeck, now_s, signed_at};

const GICCID: &str = "8944501503181377993";
/// A longer word may be broken.
const WORD_MAX: usize = 40;

/// What is never broken.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let marks = ['/', '&', '=', ',', ';', '?'];
    text.split_whitespace().flat_map(move |word| word.split_inclusive(marks))
}

/// The words of a cell as a table shows them.
fn words(value: &Value) -> Vec<String> {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::Array(all) if all.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_time = text.len() == 24 && text.ends_with('Z') && text.contains('T');
    let text = if is_time { format!("{}Z", &text[..19]) } else { text };
    split(&text).filter(|word| word.len() <= WORD_MAX).map(str::to_owned).collect()
}

#[tokio::test]
async fn no_table_breaks_an_id_a_time_or_a_name_nor_is_wider_than_its_screen() {
    let simdeck = Simdeck::start(&[]);
    for (label, scope) in [("grafana", "read"), ("night-shift-operations-desk", "admin")] {
        let made = simdeck.run(&["key", "create", "--label", label, "--scope", scope]);
        assert!(made.status.success());
    }
    let second = now_s();
    for rest in [format!(r#","start_time":{second}000"#), String::new()] {
        let members = format!(r#""giccid":"{GICCID}","data_usage":7{rest}"#);
        assert_eq!(simdeck.post("data-usage", signed_at(second, &members)).await.status, 200);
    }
    for words in [
        &["held", "retry", "--reason", "field_missing", "--yes"][..],
        &["export", "data-usage", "--format", "csv", "--out", "all.csv"],
        &["erase", "--giccid", GICCID, "--yes"],
        &["retract", "--date-push", &second.to_string(), "--force", "--yes"],
    ] {
        simdeck.run(words);
    }
    let bare = simdeck.post("data-usage", r#"{"a":1}"#).await;
    assert_eq!(bare.status, 401);
    for list in [
        &["audit"][..],
        &["held", "list"],
        &["key", "list"],
        &["erase", "list"],
        &["retract", "list"],
    ] {
        let rows: Vec<Value> = serde_json::from_slice(&simdeck.run(list).stdout).unwrap();
        assert!(!rows.is_empty(), "{list:?}");
        for width in [80, 100, 120, 300] {
            let table = simdeck.run_table(list, width);
            for line in table.lines() {
                assert!(measure_text_width(line) <= width, "{list:?} at {width}: {table}");
            }
            let headings: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
            assert!(headings.len() >= 3, "{list:?} at {width}: {table}");
            let shown: Vec<&str> = split(&table).collect();
            for row in &rows {
                for (field, value) in row.as_object().unwrap() {
                    if !headings.contains(&field.to_uppercase().as_str()) {
                        continue;
                    }
                    for word in words(value) {
                        assert!(
                            shown.contains(&word.as_str()),
                            "{word}, {list:?} at {width}: {table}"
                        );
                    }
                }
            }
            if width >= 300 {
                assert!(!table.contains("Without"), "{list:?}: {table}");
            }
        }
    }
    simdeck.end();
}
