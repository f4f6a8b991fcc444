//! What `config check` says.
use std::process::Output;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
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

/// A certificate for these years and its key, both PEM.
fn pair(from_year: i32, to_year: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut wanted = CertificateParams::new(["simdeck.example.net".to_owned()]).unwrap();
    wanted.not_before = date_time_ymd(from_year, 1, 1);
    wanted.not_after = date_time_ymd(to_year, 1, 1);
    (wanted.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn check(machine: &Machine, variables: &[(&str, &str)]) -> Output {
    machine.run_with(&["config", "check", "--output", "table"], variables, "")
}

#[test]
fn every_mistake_names_the_variable_or_the_file_and_line_that_it_stands_in() {
    let machine = Machine::new();
    machine.write("short.txt", "short\n");
    machine.write("a-file", "");
    machine
        .write("simdeck.toml", "[rcms]\nclient_id = \"me\"\n[backup]\ndir = \"a-file/copies\"\n");
    let told = stderr(&check(
        &machine,
        &[
            ("SIMDECK_API_KEY_FILE", "short.txt"),
            ("SIMDECK_PUBLIC_TLS_KEY", "key.pem"),
            ("SIMDECK_PUBLIC_LISTEN", "127.0.0.1:8081"),
            ("SIMDECK_DATA_DIR", "a-file"),
            ("SIMDECK_DATABASE_URL", "sqlite://."),
        ],
    ));
    for (place, problem) in [
        ("SIMDECK_API_KEY_FILE (short.txt)", "fewer than 20 characters"),
        ("`public.tls_key` comes from SIMDECK_PUBLIC_TLS_KEY", "`public.tls_cert` and"),
        ("`public.listen` comes from SIMDECK_PUBLIC_LISTEN", "are the same address"),
        ("`rcms.client_id` comes from simdeck.toml, line 2", "without `rcms.client_secret`"),
        ("`backup.dir` in simdeck.toml, line 4,", "a-file is a file, and must be a folder"),
        ("SIMDECK_DATA_DIR", "a-file is a file, and must be a folder"),
        ("SIMDECK_DATABASE_URL", ". is a folder: name a file"),
    ] {
        let found = told.lines().filter(|line| line.contains(place) && line.contains(problem));
        assert_eq!(found.count(), 1, "{place}, {problem}: {told}");
    }
    let named = machine.run(&["config", "check", "--config", "nowhere.toml"]);
    assert!(stderr(&named).contains("--config names nowhere.toml"), "{}", stderr(&named));
    let named = check(&machine, &[("SIMDECK_CONFIG", "nowhere.toml")]);
    assert!(stderr(&named).contains("SIMDECK_CONFIG names nowhere.toml"), "{}", stderr(&named));
}

#[test]
fn config_check_looks_into_certificates_and_keys_as_a_server_does() {
    let machine = Machine::new();
    let ((good, good_key), (old, old_key), (early, early_key)) =
        (pair(2020, 2120), pair(2010, 2020), pair(2100, 2120));
    for (name, text) in [
        ("good.pem", &*good),
        ("good.key", &*good_key),
        ("old.pem", &*old),
        ("old.key", &*old_key),
        ("early.pem", &*early),
        ("early.key", &*early_key),
        ("text.pem", "no certificate"),
    ] {
        machine.write(name, text);
    }
    for (section, name) in [("PUBLIC", "public"), ("INTERNAL", "internal")] {
        let (cert, key) =
            (format!("SIMDECK_{section}_TLS_CERT"), format!("SIMDECK_{section}_TLS_KEY"));
        let with = |cert_file: &str, key_file: &str| {
            check(&machine, &[(&cert, cert_file), (&key, key_file)])
        };
        for (cert_file, key_file, place, problem) in [
            ("gone.pem", "good.key", &cert, "gone.pem cannot be read"),
            ("good.pem", "gone.key", &key, "gone.key cannot be read"),
            ("text.pem", "good.key", &cert, "text.pem holds no whole PEM section"),
            ("good.pem", "text.pem", &key, "text.pem holds no whole PEM section"),
            ("good.pem", "old.key", &key, "is not that of the certificate in good.pem"),
        ] {
            let output = with(cert_file, key_file);
            let told = stderr(&output);
            assert!(!output.status.success(), "{cert_file}, {key_file}");
            assert!(told.contains(&format!("{place}: ")) && told.contains(problem), "{told}");
            let variables = [(&*cert, cert_file), (&*key, key_file)];
            let served = machine.run_with(&["serve"], &variables, "");
            assert!(!served.status.success(), "{name}: {cert_file}, {key_file}");
            let told = String::from_utf8_lossy(&served.stderr);
            assert!(told.contains(problem), "{told}");
        }
        for (file, state) in
            [("old", "expired at 2020-01-01"), ("early", "is not valid before 2100-01-01")]
        {
            let output = with(&format!("{file}.pem"), &format!("{file}.key"));
            assert!(output.status.success(), "{}", stderr(&output));
            let told = stdout(&output);
            let sentence = format!("Warning: {cert}: the certificate in {file}.pem {state}");
            assert!(told.contains(&sentence), "{told}");
        }
        let told = stdout(&with("good.pem", "good.key"));
        assert!(!told.contains("certificate"), "{told}");
    }
}
