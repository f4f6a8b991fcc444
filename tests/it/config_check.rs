//! What `config check` says.
use serde_json::Value;

use crate::commands::{Machine, stderr, stdout};

#[test]
fn config_check_tells_every_mistake_of_flags_environment_and_file_in_one_run() {
    let machine = Machine::new();
    machine.write(
        "simdeck.toml",
        "time_zone = \"Moon/Base\"\n[push]\nmax_age = 7\nmax_ahaed = \"5m\"\n[api]\nkey = \"\"\n\
         [rcms]\nclient_id = \"me\"\n",
    );
    let output = machine.run_with(
        &["config", "check", "--unit-base", "1000000"],
        &[
            ("SIMDECK_PUBLIC_LISTEN", "nowhere"),
            ("SIMDECK_INTERNAL_TLS_KEY", "key.pem"),
            ("SIMDECK_PUSH_KEY_FILE", "missing.txt"),
        ],
        "",
    );
    let told = stderr(&output);
    for part in [
        "`time_zone` in simdeck.toml, line 1,",
        "`push.max_age` in simdeck.toml, line 3,",
        "unknown key `push.max_ahaed`",
        "`api.key` in simdeck.toml, line 6,",
        "`rcms.client_id` is set without `rcms.client_secret`",
        "--unit-base",
        "SIMDECK_PUBLIC_LISTEN",
        "`internal.tls_cert` and `internal.tls_key` belong together",
        "SIMDECK_PUSH_KEY_FILE names missing.txt",
    ] {
        assert_eq!(told.matches(part).count(), 1, "{part}: {told}");
    }
}

#[test]
fn a_mistake_is_not_told_twice_by_what_depends_on_it() {
    let machine = Machine::new();
    let told = stderr(&machine.run_with(
        &["config", "check"],
        &[
            ("SIMDECK_PUBLIC_ALLOW_MODE", "enforce"),
            ("SIMDECK_PUBLIC_ALLOW_SOURCES", "10.0.0.0/99"),
            ("SIMDECK_RCMS_CLIENT_ID", "me"),
            ("SIMDECK_RCMS_CLIENT_SECRET", ""),
            ("SIMDECK_RCMS_CLIENT_SECRET_FILE", "missing.txt"),
        ],
        "",
    ));
    assert!(!told.contains("every push would be refused"), "{told}");
    assert!(!told.contains("is set without"), "{told}");
    assert!(told.contains("SIMDECK_PUBLIC_ALLOW_SOURCES"), "{told}");
    assert!(told.contains("SIMDECK_RCMS_CLIENT_SECRET"), "{told}");
}

#[test]
fn config_check_warns_of_a_missing_path_token_in_the_words_of_serve() {
    let warning = "Anyone who finds the address can try to push: set SIMDECK_PUBLIC_PATH_TOKEN";
    let told = stdout(&Machine::new().run(&["config", "check", "--output", "table"]));
    assert!(told.contains(&format!("Warning: {warning}.")), "{told}");
    let json = stdout(&Machine::new().run(&["config", "check", "--output", "json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["warnings"], serde_json::json!([warning]));
    let token = [("SIMDECK_PUBLIC_PATH_TOKEN", "abcdefghijklmnopqrst")];
    let told = stdout(&Machine::new().run_with(&["config", "check"], &token, ""));
    assert!(!told.contains("Anyone"), "{told}");
}

#[test]
fn every_warning_ends_with_one_mark() {
    let variables = [("SIMDECK_PUBLIC_LISTEN_", "1"), ("SIMDECK_PUSH_KEY", "short")];
    let output = Machine::new().run_with(&["config", "check", "--output", "table"], &variables, "");
    let told = stdout(&output);
    assert!(told.contains("did you mean `SIMDECK_PUBLIC_LISTEN`?\n"), "{told}");
    for line in told.lines() {
        assert!(line.ends_with(['.', '?']), "{line}");
        let marks = line.chars().rev().take_while(|it| ['.', '?', '!'].contains(it)).count();
        assert_eq!(marks, 1, "{line}");
    }
}
