//! Whatever is pushed and however it is written: its export, read in where it came from, stores
//! nothing; read in elsewhere it gives the same records, which a push then only repeats.
use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestCaseError};
use simdeck::http::ApiSettings;

use crate::{
    api_harness::Api,
    import::{counts, export, import, substance},
};

#[derive(Clone, Debug)]
pub(super) struct Pushed {
    pub(super) kind: &'static str,
    list: &'static str,
    /// Members as JSON.
    pub(super) members: String,
}

fn words(from: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(from).prop_map(str::to_owned)
}

/// A field that has a column, in the ways it may be sent; nothing if it is left out.
fn field(name: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::option::of(words(values)).prop_map(move |value| match value {
        None => String::new(),
        Some(value) => format!(",\"{name}\":{value}"),
    })
}

const TEXTS: [&str; 16] = [
    "null",
    "\"\"",
    "460",
    "\"460\"",
    "\"0460\"",
    "\"=1+1\"",
    "\"'=1\"",
    "\"''-\"",
    "\"'\"",
    "\"@\"",
    "\"é😀\"",
    "\"\\u00e9\"",
    "\"a,\\\"b\\\"\"",
    "\"\\n+\\r\\n\"",
    "\" x \"",
    "\"=\\\"01234567890123\\\"\"",
];
const NUMBERS: [&str; 6] = ["null", "0", "12", "\"12\"", "\"0012\"", "1000000000000000"];

/// A value of a field that we do not know, written with space and line breaks of any sort.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        words(&["null", "true", "1", "1.0", "1e0", "-0", "12345678901234567890123", "{ }", "[ ]"]),
        words(&["\"\"", "\"1\"", "\"\\u00e9\\/\"", "\"é\"", "\"\\ud83d\\ude00\"", "\"'=\\n\""]),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let name = words(&["a", "id", "giccid", "\\u0061b", "datePush"]);
        prop_oneof![
            vec(inner.clone(), 1..3).prop_map(|list| format!("[\n{} ]", list.join(" ,\r\n"))),
            (name, inner).prop_map(|(name, inner)| format!("{{\t\"{name}\" : \n{inner}}}")),
        ]
    })
}

/// Fields that we do not know, some of which we call something of ours; each name once.
fn unknown() -> impl Strategy<Value = String> {
    let names = [
        "id",
        "received_at",
        "identity",
        "extra",
        "payload",
        "url",
        "kind",
        "pushed_as",
        "text",
        "test",
        "_push",
        "push_id",
        "source",
        "é",
        "\\u00fc",
        "",
    ];
    let named = names.map(|name| {
        prop::option::weighted(0.2, value()).prop_map(move |value| match value {
            None => String::new(),
            Some(value) => format!(",\"{name}\":{value}"),
        })
    });
    Vec::from(named).prop_map(|members| members.concat())
}

fn giccid() -> impl Strategy<Value = String> {
    words(&["\"89860012345678901234\"", "898600123456789012", "\"898600123456789012\""])
}

fn time() -> impl Strategy<Value = String> {
    words(&["1725499848000", "\"1725499848000\"", "1725499848001"])
}

fn usage() -> impl Strategy<Value = Pushed> {
    let fixed = (giccid(), words(&NUMBERS[1..]), time());
    let texts = (field("mcc", &TEXTS), field("apn", &TEXTS), field("sim_group", &TEXTS));
    (fixed, field("duration", &NUMBERS), texts, unknown(), 0..4_u8).prop_map(
        |((giccid, volume, time), duration, (mcc, apn, group), unknown, wrapped)| {
            let record = format!(
                "\"giccid\":{giccid},\"data_usage\":{volume},\"start_time\":{time}{duration}{mcc}\
                 {apn}{group}{unknown}"
            );
            let members = match wrapped {
                0 => format!("\"beside\":[ 1,\n2],\"cdrs\":[{{{record}}}]"),
                _ => record,
            };
            Pushed { kind: "data-usage", list: "data-usage", members }
        },
    )
}

fn sms() -> impl Strategy<Value = Pushed> {
    let texts = (field("from_msisdn", &TEXTS), field("imsi", &TEXTS));
    (giccid(), time(), texts, unknown()).prop_map(|(giccid, time, (from, imsi), unknown)| {
        let members = format!("\"giccid\":{giccid},\"event_time\":{time}{from}{imsi}{unknown}");
        Pushed { kind: "mo-sms", list: "mo-sms", members }
    })
}

fn notification() -> impl Strategy<Value = Pushed> {
    let kind = select(&["sim-status", "unheard-of"]);
    let time = prop::option::of(time());
    (kind, time, unknown()).prop_map(|(kind, time, unknown)| {
        let time = time.map_or(String::new(), |time| format!(",\"event_time\":{time}"));
        Pushed { kind, list: "notifications", members: format!("\"status\":1{time}{unknown}") }
    })
}

pub(super) fn case() -> impl Strategy<Value = (Vec<Pushed>, bool)> {
    let one = prop_oneof![4 => usage(), 1 => sms(), 1 => notification()];
    (vec(one, 1..12), any::<bool>())
}

async fn check(pushed: &[Pushed], as_table: bool) -> Result<(), TestCaseError> {
    let first = Api::new(ApiSettings::default()).await;
    let second = Api::new(ApiSettings::default()).await;
    for push in pushed {
        first.push(push.kind, &push.members).await;
    }
    let format = if as_table { "csv" } else { "ndjson" };
    for list in ["data-usage", "mo-sms", "notifications"] {
        let kept = substance(&first, list).await;
        let records = kept.len() as u64;
        let file = export(&first, list, &format!("format={format}")).await;
        let query = format!("kind={list}&format={format}");
        let again = import(&first, &query, &file).await;
        prop_assert_eq!(counts(&again), (0, records, 0), "{}\n{}", again, file);
        let elsewhere = import(&second, &query, &file).await;
        prop_assert_eq!(counts(&elsewhere), (records, 0, 0), "{}\n{}", elsewhere, file);
        prop_assert_eq!(substance(&second, list).await, kept);
    }
    for push in pushed {
        let before = substance(&second, push.list).await.len();
        second.push(push.kind, &push.members).await;
        prop_assert_eq!(substance(&second, push.list).await.len(), before, "{:?}", push);
    }
    Ok(())
}

#[test]
fn a_record_stays_the_same_on_its_way_through_a_file() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    proptest!(ProptestConfig::with_cases(40), |((pushed, as_table) in case())| {
        runtime.block_on(check(&pushed, as_table))?;
    });
}
