//! `simdeck rcms` and the stand-in.
use std::process::Output;

use serde_json::{Value, json};

use super::stand_in::{
    self, CLIENT_ID, CLIENT_SECRET, Fault, On, ParametersIn, Sample, SignBody, StandIn, Times,
    UniqueCode, device, fleet,
};
use crate::commands::{Machine, stderr, stdout};

/// Runs a command for the stand-in's account. It blocks, so the stand-in runs on other threads.
pub(super) fn rcms(at: &StandIn, args: &[&str], more: &[(&str, &str)], input: &str) -> Output {
    let machine = Machine::new();
    let url = at.url();
    let mut variables = vec![
        ("SIMDECK_RCMS_ENDPOINT", url.as_str()),
        ("SIMDECK_RCMS_CLIENT_ID", CLIENT_ID),
        ("SIMDECK_RCMS_CLIENT_SECRET", CLIENT_SECRET),
    ];
    variables.extend(more);
    let args: Vec<&str> = ["rcms"].iter().chain(args).copied().collect();
    let output = machine.run_with(&args, &variables, input);
    assert!(machine.is_empty(), "no data directory is made");
    let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
    assert!(!said.iter().any(|said| said.contains("CANARY")), "the secret is never shown");
    output
}

pub(super) fn json_of(at: &StandIn, args: &[&str]) -> Value {
    serde_json::from_str(&stdout(&rcms(at, args, &[], ""))).unwrap()
}

fn table_of(at: &StandIn, args: &[&str]) -> Vec<String> {
    let args: Vec<&str> = args.iter().chain(&["--output", "table"]).copied().collect();
    stdout(&rcms(at, &args, &[], "")).lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_the_totals_are_the_table_that_the_readme_shows() {
    let at = StandIn::start().await;
    at.set_fleet(fleet(14));
    let simdeck = env!("CARGO_BIN_EXE_simdeck");
    let machine = Machine::new();
    let url = at.url();
    let variables = [
        ("SIMDECK_RCMS_ENDPOINT", url.as_str()),
        ("SIMDECK_RCMS_CLIENT_ID", CLIENT_ID),
        ("SIMDECK_RCMS_CLIENT_SECRET", CLIENT_SECRET),
    ];
    // `script` gives the program a terminal.
    let command = format!("{simdeck} rcms total");
    let script = ["-qec", &command, "/dev/null"];
    let on_terminal = stdout(&machine.run_program("script", &script, &variables));
    let table = on_terminal.replace("\r\n", "\n");
    assert!(table.starts_with("DEVICES"), "{table}");
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert!(readme.contains(&format!("```\n{table}```\n")), "the README shows another:\n{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_devices_and_samples_are_shown_as_tables_and_as_json() {
    let at = StandIn::start().await;
    at.set_fleet(fleet(250));
    at.edit(|world| world.page_size_max = Some(60));
    let totals = json_of(&at, &["total"]);
    assert_eq!((&totals["deviceTotal"], &totals["onlineTotal"]), (&json!(250), &json!(125)));

    let devices = json_of(&at, &["devices"]);
    assert_eq!(devices.as_array().unwrap().len(), 250, "60 a page, though 100 were asked for");
    assert_eq!(
        (&devices[0]["sn"], &devices[0]["state"]),
        (&json!("RB0000000000001"), &json!("online"))
    );
    let table = table_of(&at, &["devices"]);
    assert_eq!(table.len(), 251);
    assert!(table[0].starts_with("SN               NAME"), "{}", table[0]);

    let one = json_of(&at, &["device", "RB0000000000002"]);
    assert_eq!(one["deviceModel"], "R1520");

    let now_ms = jiff::Timestamp::now().as_millisecond();
    let body =
        json!({"data": {"system": {"uptime": "5 days", "big": 12_345_678_901_234_567_890_u64}}});
    let samples = [60, 600, 7200].map(|s| Sample { at_ms: now_ms - s * 1000, body: body.clone() });
    at.edit(|world| world.samples.insert("RB0000000000001".to_owned(), samples.to_vec()));
    let status = ["status", "RB0000000000001"];
    let hour = stdout(&rcms(&at, &status, &[], ""));
    assert!(hour.contains("12345678901234567890"), "every digit: {hour}");
    let since = ["status", "RB0000000000001", "--since", "3h"];
    assert!(table_of(&at, &since)[1].contains("5 days"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_set_and_any_path_can_be_asked_and_changed() {
    let at = StandIn::start().await;
    at.set_fleet(vec![device("RB1", 1)]);
    assert_eq!(json_of(&at, &["group", "RB1", "Demo"]), json!({"sn": "RB1", "group": "Demo"}));
    let path = "/api/link/devices/RB1/group";
    stdout(&rcms(&at, &["put", path, "--body", "-"], &[], r#"{"groupName": "Other"}"#));
    let list = json_of(
        &at,
        &["get", "/api/link/device/devices", "--query", "pageNum=1", "--query", "pageSize=5"],
    );
    assert_eq!(list[0]["groupName"], "Other");

    at.forget_requests();
    let body = "{\"a\":1}";
    stderr(&rcms(&at, &["post", path, "--body", body], &[], ""));
    stderr(&rcms(&at, &["delete", path, "--query", "a=1"], &[], ""));
    let sent: Vec<_> = at.requests().into_iter().map(|seen| (seen.method, seen.body)).collect();
    assert_eq!(sent, [("POST".to_owned(), body.into()), ("DELETE".to_owned(), Vec::new())]);

    let refused = stderr(&rcms(&at, &["group", "RB9", "Demo"], &[], ""));
    assert!(refused.contains("code -1"), "{refused}");
    at.fault(On::Any, Fault::SignatureRefused, Times::Once);
    let refused = stderr(&rcms(&at, &["total"], &[], ""));
    assert!(refused.contains("40002") && refused.contains("simdeck rcms probe"), "{refused}");
    at.forget_requests();
    let refused = stderr(&rcms(&at, &["get", "/api/link/../x"], &[], ""));
    assert!(refused.contains(".."), "{refused}");
    assert!(at.requests().is_empty(), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_finds_the_one_variant_that_an_account_takes() {
    let variants = [
        (UniqueCode::ClientId, ParametersIn::QueryAndHeaders, "client-id", "query+headers"),
        (UniqueCode::Random, ParametersIn::HeadersOnly, "random", "headers"),
    ];
    for (unique_code, parameters_in, code_word, in_word) in variants {
        let at = StandIn::start().await;
        let sign_body = SignBody::None;
        at.edit(|world| {
            world.variant = stand_in::Variant { unique_code, sign_body, parameters_in }
        });
        let found = json_of(&at, &["probe"]);
        let works = json!({
            "SIMDECK_RCMS_UNIQUE_CODE": code_word, "SIMDECK_RCMS_PARAMETERS_IN": in_word,
        });
        assert_eq!(found["works"], works, "{found}");
        assert_eq!(at.requests().len(), 4, "each once");
        let settings =
            [("SIMDECK_RCMS_UNIQUE_CODE", code_word), ("SIMDECK_RCMS_PARAMETERS_IN", in_word)];
        stdout(&rcms(&at, &["total"], &settings, ""));
    }
    let at = StandIn::start().await;
    at.fault(On::Any, Fault::SignatureRefused, Times::Always);
    at.edit(|world| world.clock_skew_ms = -7_200_000);
    let output = rcms(&at, &["probe"], &[], "");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("7200 s ahead of") || said.contains("7199 s ahead of"), "{said}");
}
