//! The commands that need no server.
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// SmartHub's own example.
const KEY: &str = "UzE4MDkxNDA2MTE1M";
const SECONDS: i64 = 1_725_499_848;
const SIGNATURE: &str = "58210277eeea982589a3f2c5711ce5ac23a866298d77fcb5c30bb1e0aa9c345f";

/// A folder in which the program runs, with no setting from outside.
pub(crate) struct Machine(TempDir);

impl Machine {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, &[], "")
    }

    pub(crate) fn run_with(
        &self,
        args: &[&str],
        variables: &[(&str, &str)],
        input: &str,
    ) -> Output {
        self.run_program_with(env!("CARGO_BIN_EXE_simdeck"), args, variables, input)
    }

    /// Runs another program, which may run ours.
    pub(crate) fn run_program(
        &self,
        program: &str,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Output {
        self.run_program_with(program, args, variables, "")
    }

    fn run_program_with(
        &self,
        program: &str,
        args: &[&str],
        variables: &[(&str, &str)],
        input: &str,
    ) -> Output {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("SIMDECK_")) {
                command.env_remove(name);
            }
        }
        let mut child = command
            .current_dir(self.0.path())
            .args(args)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read may be gone before it is given anything.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    }

    /// Puts a file into the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn is_empty(&self) -> bool {
        fs::read_dir(self.0.path()).unwrap().next().is_none()
    }

    fn explain(&self, key: &str, variables: &[(&str, &str)], body: &Value) -> (i32, Value) {
        let args = ["verify", "--explain", "--key", key];
        let output = self.run_with(&args, variables, &body.to_string());
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn sign_makes_smarthubs_own_example() {
    let machine = Machine::new();
    for date_push in ["2024-09-05T01:30:48Z", "2024-09-05T09:30:48.9+0800", "1725499848000"] {
        let printed = stdout(&machine.run(&["sign", "--key", KEY, "--date-push", date_push]));
        let signed: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(signed["epoch_seconds"], SECONDS);
        assert_eq!(signed["signature"], SIGNATURE);
    }
    let refused = machine.run(&["sign", "--key", KEY, "--date-push", "today"]);
    let refusal = String::from_utf8(refused.stderr).unwrap();
    assert!(refusal.contains("WARN") && refusal.contains("`ps`"), "{refusal}");
    assert!(refusal.contains("\nerror: --date-push must be a time such as"), "{refusal}");
    assert!(machine.is_empty(), "signing makes no data directory");
}

#[test]
fn a_signed_body_keeps_every_byte_of_its_own_and_verifies() {
    let machine = Machine::new();
    let own = r#""n": 1.10, "t":"\u00e9" , "n": 12345678901234567890123"#;
    let args = ["sign", "--key", KEY, "--body", "-"];
    let signed = stdout(&machine.run_with(&args, &[], &format!("{{ {own} }}\n")));
    assert!(signed.contains(own), "{signed}");
    let verdict = stdout(&machine.run_with(&["verify", "--key", KEY], &[], &signed));
    assert_eq!(serde_json::from_str::<Value>(&verdict).unwrap()["valid"], true);

    let again =
        stdout(&machine.run_with(&args, &[], r#"[{"signature":"x","a":1},{"datePush":2}]"#));
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!((&again[0]["a"], again.as_array().unwrap().len()), (&json!(1), 2));
    let verdict = machine.run_with(&["verify", "--key", KEY], &[], &again.to_string());
    assert!(verdict.status.success(), "an old proof is taken out");
}

#[test]
fn verify_names_the_key_that_signed_and_exits_0_for_valid_bodies_only() {
    let machine = Machine::new();
    let body = json!({"datePush": "2024-09-05T01:30:48Z", "signature": SIGNATURE}).to_string();
    let toml = format!("[push]\nkey = [\"other\", {{ label = \"old\", key = \"{KEY}\" }}]");
    fs::write(machine.0.path().join("simdeck.toml"), toml).unwrap();
    let verdict = stdout(&machine.run_with(&["verify", "--output", "table"], &[], &body));
    let expected = "valid, by key `old`; datePush is read as 1725499848 \
                    (2024-09-05T01:30:48+0000), a date and time with its zone\n";
    assert_eq!(verdict, expected);
    for (body, reason) in [
        (body.replace("5821", "5822"), "signature_wrong"),
        (body.replace("5821", "582"), "signature_unreadable"),
        (body.replace("datePush", "date"), "date_missing"),
        ("[]".to_owned(), "not_json"),
    ] {
        let output = machine.run_with(&["verify"], &[], &body);
        assert_eq!(output.status.code(), Some(1));
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&verdict["valid"], &verdict["reason"]), (&json!(false), &json!(reason)));
    }
}

#[test]
fn explain_finds_the_hour_by_which_date_push_is_off() {
    let machine = Machine::new();
    for (date_push, shift_s, says) in [
        (
            "2024-09-05T09:30:48Z",
            -28_800,
            "matches the key if datePush is read as UTC+8: all pushes are 8 h 00 m ahead; set \
             SIMDECK_PUSH_DATE_SHIFT=-28800",
        ),
        (
            "2024-09-04T22:00:48Z",
            12_600,
            "matches the key if datePush is read as UTC-3:30: all pushes are 3 h 30 m behind; \
             set SIMDECK_PUSH_DATE_SHIFT=12600",
        ),
    ] {
        let body = json!({"datePush": date_push, "signature": SIGNATURE});
        let (code, verdict) = machine.explain(KEY, &[], &body);
        assert_eq!((code, &verdict["findings"][0]["says"]), (1, &json!(says)));
        let shift = shift_s.to_string();
        let (code, _) = machine.explain(KEY, &[("SIMDECK_PUSH_DATE_SHIFT", &shift)], &body);
        assert_eq!(code, 0, "the setting it names makes the push valid");
    }
}

#[test]
fn explain_finds_other_ways_to_hash() {
    let machine = Machine::new();
    let iso = "2024-09-05T01:30:48.123Z";
    for (key, signed_as, says) in [
        (KEY, format!("{KEY}1725499848123"), "the exact milliseconds are hashed"),
        (KEY, format!("{KEY}1725499848000"), "whole seconds are hashed as milliseconds"),
        (KEY, format!("{KEY}{iso}"), "datePush is hashed as the text that it is"),
        (KEY, format!("1725499848{KEY}"), "the key is hashed after datePush"),
        (KEY, format!("{KEY}1725499849"), "datePush is off by a second or two"),
        (" key", "key1725499848".to_owned(), "the key loses the blanks around it"),
        ("\"key\"", "key1725499848".to_owned(), "the key loses the quotes around it"),
    ] {
        let body = json!({"datePush": iso, "signature": sha256(&signed_as)});
        let (code, verdict) = machine.explain(key, &[], &body);
        let found = verdict["findings"][0]["says"].as_str().unwrap();
        assert!(code == 1 && found.contains(says), "{found}");
        assert!(!found.contains(KEY), "a key is never shown");
    }
    let body = json!({"datePush": iso, "signature": sha256("something else")});
    assert_eq!(machine.explain(KEY, &[], &body).1["findings"], json!([]));
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

#[test]
fn sign_and_verify_find_the_key_that_the_server_made() {
    let machine = Machine::new();
    let data = machine.0.path().join("data");
    fs::create_dir(&data).unwrap();
    for made in [format!("{KEY}\n"), format!("\u{FEFF}{KEY}\r\n")] {
        fs::write(data.join("push-key"), made).unwrap();
        let body = stdout(&machine.run_with(&["sign", "--body", "-"], &[], r#"{"a":1}"#));
        let verdict = machine.run_with(&["verify"], &[], &body);
        assert!(verdict.status.success(), "{}", stdout(&verdict));
        // A key of the settings counts before it.
        let other = [("SIMDECK_PUSH_KEY", "another-key")];
        assert!(!machine.run_with(&["verify"], &other, &body).status.success());
    }
    fs::write(data.join("push-key"), format!("\u{200B}{KEY}\n")).unwrap();
    for command in ["sign", "verify"] {
        let refusal = stderr(&machine.run(&[command]));
        assert!(refusal.contains("push-key") && refusal.contains("U+200B"), "{refusal}");
        let refusal = stderr(&machine.run(&[command, "--key", "a\u{A0}b"]));
        assert!(refusal.contains("--key") && refusal.contains("U+00A0"), "{refusal}");
    }
    let entries: Vec<_> = fs::read_dir(&data).unwrap().collect();
    assert_eq!(entries.len(), 1, "nothing is made: {entries:?}");
}

#[test]
fn verify_tells_how_date_push_was_read_and_explains_any_form() {
    let machine = Machine::new();
    for (date_push, form) in [
        (json!("2024-09-05T01:30:48Z[UTC]"), "a date and time with its zone"),
        (json!("2024-09-05 01:30:48"), "a date and time without a zone, in UTC"),
        (json!(1_725_499_848_i64), "seconds since 1970"),
        (json!("1725499848.5"), "seconds since 1970"),
        (json!(1_725_499_848_123_i64), "milliseconds since 1970"),
    ] {
        let body = json!({"datePush": date_push, "signature": SIGNATURE}).to_string();
        let verdict = machine.run_with(&["verify", "--key", KEY], &[], &body);
        let verdict: Value = serde_json::from_str(&stdout(&verdict)).unwrap();
        let expected = format!("1725499848 (2024-09-05T01:30:48+0000), {form}");
        assert_eq!(verdict["date_push"], expected);
    }
    // A local time without its zone.
    let body = json!({"datePush": "2024-09-05 09:30:48", "signature": SIGNATURE});
    let (code, verdict) = machine.explain(KEY, &[], &body);
    assert_eq!(
        (code, &verdict["findings"][0]["setting"]),
        (1, &json!({"SIMDECK_PUSH_DATE_SHIFT": -28_800}))
    );
    // A byte order mark does not hide what is behind it.
    let marked =
        format!("\u{FEFF}{}", json!({"datePush": 1_725_499_848_i64, "signature": SIGNATURE}));
    assert!(machine.run_with(&["verify", "--key", KEY], &[], &marked).status.success());
}

#[test]
fn without_a_push_key_sign_and_verify_say_where_to_find_one() {
    let machine = Machine::new();
    for command in ["sign", "verify"] {
        let refusal = stderr(&machine.run(&[command]));
        let expected = "error: there is no push key in data/push-key: set SIMDECK_PUSH_KEY, or \
                        --data-dir to where the server keeps its data\n";
        assert_eq!(refusal, expected);
    }
}

#[test]
fn welcome_shows_the_ten_addresses_the_key_and_a_script_that_signs() {
    let machine = Machine::new();
    let variables = [
        ("SIMDECK_PUSH_KEY", "it's"),
        ("SIMDECK_PUBLIC_URL", "https://push.example.com/sim/"),
        ("SIMDECK_PUBLIC_PATH_TOKEN", "token-of-20-letters-,another-of-20-letters"),
    ];
    let page = stdout(&machine.run_with(&["welcome", "--output", "table"], &variables, ""));
    let base = "https://push.example.com/sim/token-of-20-letters-/v1/";
    let address = |line: &&str| line.trim_start().starts_with(base);
    assert_eq!(page.lines().filter(address).count(), 10);
    assert!(page.contains("Push MT SMS Status Report (MT短信状态报告推送)"), "{page}");
    assert!(page.contains("\n  it's\n") && !page.contains("Warning"), "{page}");

    let script = &page[page.find("KEY=").unwrap()..];
    // The shell runs the script as it is, with a curl that prints its last argument.
    let script = format!("curl() {{ for last; do :; done; printf %s \"$last\"; }}\n{script}");
    let body = Command::new("sh").args(["-c", &script]).output().unwrap().stdout;
    let body = String::from_utf8(body).unwrap();
    let verdict = machine.run_with(&["verify"], &variables, &body);
    assert!(verdict.status.success(), "{body}\n{verdict:?}");
    assert!(machine.is_empty());
}

#[test]
fn welcome_warns_where_smarthub_cannot_reach() {
    let machine = Machine::new();
    let warnings = |url: Option<&str>| {
        let url = url.map(|url| ("SIMDECK_PUBLIC_URL", url));
        let variables: Vec<_> = url.into_iter().chain([("SIMDECK_PUSH_KEY", "k")]).collect();
        let page = stdout(&machine.run_with(&["welcome"], &variables, ""));
        let page: Value = serde_json::from_str(&page).unwrap();
        page["warnings"][0].as_str().unwrap().to_owned()
    };
    for url in ["https://localhost", "http://192.168.1.7:8080", "https://[::1]:443"] {
        assert!(warnings(Some(url)).starts_with("SmartHub cannot reach"), "{url}");
    }
    assert!(warnings(None).starts_with("SmartHub cannot reach"));
    assert!(warnings(Some("http://push.example.com")).contains("not encrypted"));
    assert!(warnings(Some("https://push.example.com")).contains("can be guessed"));
}

#[test]
fn commands_that_find_no_server_say_so_and_make_nothing() {
    let machine = Machine::new();
    // Port 9 is for discarding: nobody listens there.
    let nowhere = [
        ("SIMDECK_INTERNAL_LISTEN", "127.0.0.1:9"),
        ("SIMDECK_PUBLIC_LISTEN", "127.0.0.2:9"),
        ("SIMDECK_API_KEY", "key"),
        ("SIMDECK_PUSH_KEY", "key"),
        ("SIMDECK_LOG", "off"),
    ];
    for (args, says) in [
        (vec!["key", "list"], "no server answers at http://127.0.0.1:9"),
        (vec!["held", "list"], "no server answers at http://127.0.0.1:9"),
        (vec!["export", "mo-sms"], "no server answers at http://127.0.0.1:9"),
        (vec!["push"], "these pushes cannot be marked as tests"),
        (vec!["push", "--real"], "1 of 1 push failed: 1 × no connection"),
        (vec!["healthcheck"], "nobody answers at 127.0.0.2:9"),
    ] {
        let output = machine.run_with(&args, &nowhere, "");
        let refusal = stderr(&output);
        assert!(refusal.starts_with(&format!("error: {says}")), "{refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
    assert!(machine.is_empty());
}

#[test]
fn every_subcommand_has_an_example_in_its_help() {
    let machine = Machine::new();
    let mut seen = 0;
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(path) = waiting.pop() {
        let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
        args.push("--help");
        let help = stdout(&machine.run(&args));
        if !path.is_empty() {
            assert!(help.contains("Example"), "{path:?}\n{help}");
            seen += 1;
        }
        let commands = help.split("Commands:\n").nth(1).unwrap_or_default();
        let names = commands.lines().take_while(|line| !line.is_empty());
        for name in names.filter_map(|line| line.split_whitespace().next()) {
            if name != "help" {
                waiting.push(path.iter().cloned().chain([name.to_owned()]).collect());
            }
        }
    }
    assert_eq!(seen, 51, "23 commands, and those below config, erase, held, key, rcms and retract");
}

#[test]
fn completions_know_every_shell() {
    let machine = Machine::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&machine.run(&["completions", shell]));
        assert!(script.contains("healthcheck"), "{shell}");
    }
}
