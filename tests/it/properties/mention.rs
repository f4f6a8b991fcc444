//! Whatever bodies are made of, what is taken out of them for erased SIMs leaves no mention of these
//! and every record of another.
use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*};
use serde_json::Value;
use simdeck::domain::mention::{Remainder, mentions, without};

/// Numbers of which some hold others.
const NUMBERS: [&str; 8] = [
    "894450150318137799",
    "8944501503181377991",
    "89445015031813779912",
    "894450150318137799F",
    "89860012345678900001",
    "898604B7112233445566",
    "1894450150318137799",
    "8986001234567890000122",
];

/// One record: its SIM, and the SIMs that its unknown fields mention.
fn record() -> impl Strategy<Value = (usize, Vec<usize>, bool)> {
    (0..NUMBERS.len(), vec(0..NUMBERS.len(), 0..3), any::<bool>())
}

fn text(nth: usize, record: &(usize, Vec<usize>, bool)) -> String {
    let (sim, mentioned, is_nested) = record;
    let numbers: Vec<String> =
        mentioned.iter().map(|nth| format!("\"see ICCID {}.\"", NUMBERS[*nth])).collect();
    let numbers = numbers.join(",");
    let unknown = match is_nested {
        true => format!(r#""more":{{"note":"n","near":[{numbers}]}}"#),
        false => format!(r#""near":[{numbers}]"#),
    };
    format!(r#"{{"giccid":"{}","nth":{nth},{unknown}}}"#, NUMBERS[*sim])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_record_of_another_sim_is_lost_and_no_erased_one_is_left(
        records in vec(record(), 1..12),
        erased in proptest::collection::btree_set(0..NUMBERS.len(), 0..4),
        form in 0..4_usize,
    ) {
        let erased: BTreeSet<&str> = erased.into_iter().map(|nth| NUMBERS[nth]).collect();
        let rows: Vec<String> =
            records.iter().enumerate().map(|(nth, record)| text(nth, record)).collect();
        let rows = rows.join(",");
        let body = match form {
            0 => format!("[{rows}]"),
            1 => format!(r#"{{"datePush":1,"rows":[{rows}]}}"#),
            2 => format!(r#"[{{"datePush":1,"rows":[{rows}]}},{{"datePush":2,"rows":[]}}]"#),
            _ => format!(r#"{{"datePush":1,"rows":[{rows}],"note":{{"at":1}}}}"#),
        };
        let is_erased = |number: &str| erased.contains(number);
        let left = without(body.as_bytes(), is_erased);
        let left = left.map(|Remainder { text, .. }| String::from_utf8(text).unwrap());
        let left = left.unwrap_or_else(|| "[]".to_owned());
        prop_assert!(!mentions(left.as_bytes(), is_erased), "{left}");
        // Written once more and more plainly than what is tested.
        let runs = |byte: char| !byte.is_ascii_alphanumeric();
        prop_assert!(left.split(runs).all(|run| !erased.contains(run)), "{left}");
        let wanted: Vec<i64> = records
            .iter()
            .enumerate()
            .filter(|(_, (sim, ..))| !erased.contains(NUMBERS[*sim]))
            .map(|(nth, _)| i64::try_from(nth).unwrap())
            .collect();
        let mut there = Vec::new();
        collect(&serde_json::from_str(&left).unwrap(), &mut there);
        prop_assert_eq!(there, wanted, "{} from {}", left, body);
    }
}

fn collect(value: &Value, found: &mut Vec<i64>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|one| collect(one, found)),
        Value::Object(members) => {
            found.extend(members.get("nth").and_then(Value::as_i64));
            members.values().for_each(|one| collect(one, found));
        }
        _ => (),
    }
}
