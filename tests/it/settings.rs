use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use simdeck::cli::settings::{
    AllowMode, Environment, Flags, LogFormat, Probe, Setting, Settings, Source, example,
};
use simdeck::domain::SerialNumber;
use simdeck::rcms::{Endpoint, ParametersIn, SignBody, SigningVariant, UniqueCode};
use simdeck::smarthub::{IdentityRule, signature::PushKey};
use tempfile::TempDir;

/// A folder with a settings file, the flags that name it, and an environment.
struct Machine {
    folder: TempDir,
    flags: Flags,
    variables: Vec<(String, String)>,
}

impl Machine {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self { folder, flags: Flags::default(), variables: Vec::new() }
    }

    fn with_file(toml: &str) -> Self {
        let mut machine = Self::new();
        let path = machine.write("simdeck.toml", toml);
        machine.flags.config = Some(path);
        machine
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.values.insert(name.to_owned(), vec![value.to_owned()]);
        self
    }

    fn variable(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.variables.push((name.to_owned(), value.as_ref().to_str().unwrap().to_owned()));
        self
    }

    fn load(&self) -> Result<Settings, String> {
        let environment: Environment = self.variables.iter().cloned().collect();
        let loaded = Settings::load(&self.flags, &environment);
        loaded.map_err(|err| err.to_string().replace(self.folder.path().to_str().unwrap(), "."))
    }

    fn refusal(&self) -> String {
        self.load().unwrap_err()
    }
}

fn keys<'a>(settings: &'a Settings) -> Vec<(Option<&'a str>, &'a str)> {
    let pair = |key: &'a PushKey| (key.label.as_deref(), key.key.expose());
    settings.push.keys.iter().map(pair).collect()
}

#[test]
fn with_nothing_said_the_defaults_hold() {
    let settings = Machine::new().load().unwrap();
    assert_eq!(settings.data_dir, Path::new("data"));
    assert_eq!(settings.database, Path::new("data/simdeck.db"));
    assert_eq!(settings.time_zone, None, "the store's own");
    assert_eq!((settings.log.filter.as_str(), settings.log.format), ("info", LogFormat::Text));
    assert_eq!(settings.public.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.public.max_body_bytes, 4 << 20);
    assert_eq!(settings.public.allow_mode, AllowMode::Monitor);
    assert!(settings.public.url.is_none() && settings.public.path_tokens.is_empty());
    assert_eq!(settings.internal.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(settings.internal_url(), "http://127.0.0.1:8081");
    assert_eq!(settings.push.max_age.as_secs(), 7 * 86_400);
    assert_eq!(settings.push.max_ahead.as_secs(), 300);
    assert_eq!((settings.push.date_shift_s, settings.push.answer_status), (0, 200));
    assert_eq!(settings.push.identity, IdentityRule::Content);
    assert_eq!(settings.push.probe, Probe::MethodNotAllowed);
    assert!(settings.push.keys.is_empty() && settings.api.key.is_none());
    assert!(settings.rcms.account().is_none() && settings.rcms.devices.is_empty());
    assert_eq!(
        settings.rcms.endpoint.as_ref().map(Endpoint::as_str),
        Some("https://rcms-cloud.robustel.net")
    );
    assert_eq!(settings.rcms.poll_every.as_secs(), 60);
    assert_eq!(settings.rcms.variant, SigningVariant::default());
    assert_eq!(settings.quarantine.max_bytes, 1 << 30);
    assert_eq!(settings.disk.reserve_bytes, 512 << 20);
}

#[test]
fn a_flag_comes_before_the_environment_and_that_before_the_file() {
    let toml = "[push]\nmax_age = \"1d\"\nmax_ahead = \"1m\"\nanswer_status = 201\nprobe = \"ok\"";
    let machine = Machine::with_file(toml)
        .variable("SIMDECK_PUSH_MAX_AGE", "2d")
        .variable("SIMDECK_PUSH_MAX_AHEAD", "2m")
        .flag("push-max-age", "3d");
    let push = machine.load().unwrap().push;
    assert_eq!(push.max_age.as_secs(), 3 * 86_400);
    assert_eq!(push.max_ahead.as_secs(), 120);
    assert_eq!((push.answer_status, push.probe), (201, Probe::Ok));
}

#[test]
fn each_value_remembers_where_it_comes_from() {
    let machine = Machine::with_file("\n[push]\nmax_age = \"1d\"\n")
        .variable("SIMDECK_TIME_ZONE", "Asia/Shanghai")
        .flag("log", "debug");
    let settings = machine.load().unwrap();
    let source = |name: &str| {
        let line = settings.in_force.iter().find(|line| line.setting.name() == name).unwrap();
        line.source.clone()
    };
    let path = machine.flags.config.clone().unwrap();
    assert_eq!(source("push.max_age"), Source::File { path, line: 3 });
    assert_eq!(source("time_zone"), Source::Environment("SIMDECK_TIME_ZONE".into()));
    assert_eq!(source("log"), Source::Flag("log".into()));
    assert_eq!(source("disk.reserve"), Source::Default);
    assert_eq!(source("database_url"), Source::Derived);
}

#[test]
fn an_unknown_key_is_refused_with_file_line_and_what_was_meant() {
    for (toml, refusal) in [
        (
            "data_dir = \"x\"\n\n[public]\nlisen = \"0.0.0.0:1\"\n",
            "unknown key `public.lisen` in ./simdeck.toml, line 4; did you mean `public.listen`?",
        ),
        (
            "public_listen = \"0.0.0.0:1\"\n",
            "unknown key `public_listen` in ./simdeck.toml, line 1; did you mean `public.listen`?",
        ),
        ("[pubic]\n", "unknown key `pubic` in ./simdeck.toml, line 1; did you mean `public`?"),
        ("\n\n[weather]\n", "unknown key `weather` in ./simdeck.toml, line 3"),
        ("[disk]\ntoday = 1\nalas = 2\n", "unknown key `disk.today` in ./simdeck.toml, line 2"),
    ] {
        assert_eq!(Machine::with_file(toml).refusal(), refusal);
    }
}

#[test]
fn a_bad_value_in_the_file_is_refused_with_key_file_and_line() {
    for (toml, refusal) in [
        (
            "[public]\nlisten = \"here\"",
            "`public.listen` in ./simdeck.toml, line 2, must be an IP address and a port such as \
             127.0.0.1:8080, not `here`",
        ),
        (
            "[public]\nlisten = 8080",
            "`public.listen` in ./simdeck.toml, line 2, must be a text in quotes",
        ),
        (
            "[push]\n\nanswer_status = \"200\"",
            "`push.answer_status` in ./simdeck.toml, line 3, must be a whole number without quotes",
        ),
        (
            "[push]\nanswer_status = 300",
            "`push.answer_status` in ./simdeck.toml, line 2, must be a whole number from 200 to \
             299, not `300`",
        ),
        (
            "[public]\nallow_sources = [\n  \"10.0.0.0/8\",\n  \"10.0.0.0/99\",\n]",
            "`public.allow_sources` in ./simdeck.toml, line 4, must be networks such as \
             10.0.0.0/8, or IP addresses, not `10.0.0.0/99`",
        ),
        (
            "[public]\nmax_body = 1",
            "`public.max_body` in ./simdeck.toml, line 2, must be a size from 64KiB to 64MiB, such \
             as 4194304 or 4MiB, not `1`",
        ),
        (
            "time_zone = \"Mars/Olympus\"",
            "`time_zone` in ./simdeck.toml, line 1, must be the name of a time zone such as UTC or \
             Asia/Shanghai, not `Mars/Olympus`",
        ),
        ("public = 1", "`public` in ./simdeck.toml, line 1, is a section and must be a table"),
    ] {
        assert_eq!(Machine::with_file(toml).refusal(), refusal);
    }
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line_and_without_its_text() {
    let refusal = Machine::with_file("[push]\nkey = \"hush\n").refusal();
    assert!(refusal.starts_with("./simdeck.toml, line 2, is not valid TOML: "), "{refusal}");
    assert!(!refusal.contains("hush"), "{refusal}");
}

#[test]
fn a_bad_value_elsewhere_names_the_variable_or_the_flag() {
    let refusal = Machine::new().variable("SIMDECK_PUSH_MAX_AGE", "soon").refusal();
    let wanted = "must be a span from 1s to 3650d, such as 7d, 5m or 1h30m, not `soon`";
    assert_eq!(refusal, format!("SIMDECK_PUSH_MAX_AGE {wanted}"));
    let refusal = Machine::new().flag("push-max-age", "soon").refusal();
    assert_eq!(refusal, format!("--push-max-age {wanted}"));
}

#[test]
fn postgres_is_refused_without_repeating_its_password() {
    let url = "postgres://me:hunter2@db/simdeck";
    let refusal = Machine::new().variable("SIMDECK_DATABASE_URL", url).refusal();
    assert!(refusal.starts_with("SIMDECK_DATABASE_URL must be sqlite://PATH"), "{refusal}");
    assert!(!refusal.contains("hunter2"), "{refusal}");
}

#[test]
fn a_secret_that_is_set_but_empty_ends_the_start() {
    let empty = "is set but empty: give it a value or leave it out";
    for variable in ["SIMDECK_PUSH_KEY", "SIMDECK_API_KEY", "SIMDECK_PUBLIC_PATH_TOKEN"] {
        assert_eq!(Machine::new().variable(variable, "").refusal(), format!("{variable} {empty}"));
    }
    let refusal = Machine::with_file("[push]\nkey = \"\"").refusal();
    assert_eq!(refusal, format!("`push.key` in ./simdeck.toml, line 2, {empty}"));
    let refusal = Machine::with_file("[public]\npath_token = []").refusal();
    assert_eq!(refusal, format!("`public.path_token` in ./simdeck.toml, line 2, {empty}"));
    let refusal = Machine::new().variable("SIMDECK_PUSH_KEY", "one,,three").refusal();
    assert_eq!(refusal, "SIMDECK_PUSH_KEY has an empty entry, number 2: fill or remove it");

    let machine = Machine::new();
    let path = machine.write("keys", "");
    let refusal = machine.variable("SIMDECK_PUSH_KEY_FILE", path).refusal();
    assert_eq!(refusal, format!("SIMDECK_PUSH_KEY_FILE (./keys) {empty}"));
}

#[test]
fn anything_else_that_is_set_but_empty_counts_as_not_set() {
    let machine = Machine::new()
        .variable("SIMDECK_PUBLIC_URL", "")
        .variable("SIMDECK_PUBLIC_LISTEN", "")
        .variable("SIMDECK_PUSH_ANSWER_BODY", "");
    let settings = machine.load().unwrap();
    assert_eq!(settings.public.url, None);
    assert_eq!(settings.public.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.push.answer_body.as_deref(), Some(""), "an empty answer can be meant");
}

#[test]
fn a_secret_file_has_one_secret_a_line_and_only_the_line_end_is_cut() {
    let machine = Machine::new();
    let path = machine.write("keys", "first, with comma\n second \r\nthird\n");
    let settings = machine.variable("SIMDECK_PUSH_KEY_FILE", path).load().unwrap();
    let expected = [(None, "first, with comma"), (None, " second "), (None, "third")];
    assert_eq!(keys(&settings), expected);
    assert!(settings.warnings.iter().any(|warning| warning.contains("value 2 begins or ends")));
}

/// Every secret, with a value that is fine but for what is put into it.
const SECRETS: [(&str, &str); 5] = [
    ("push.key", "a-push-key-of-some-length"),
    ("public.path_token", "a-token-of-20-letters"),
    ("api.key", "sd_0123456789abcdef0123456789abcdef"),
    ("rcms.client_secret", "a-secret-of-rcms"),
    ("alert.url", "https://hooks.example.com/a-secret"),
];

#[test]
fn every_secret_is_among_those_that_are_tried_here() {
    let all: Vec<String> =
        Setting::all().filter(|it| it.secret).map(|setting| setting.name()).collect();
    let tried = SECRETS.map(|(name, _)| name);
    assert!(all.iter().all(|name| tried.contains(&name.as_str())), "{all:?}");
}

#[test]
fn what_nobody_sees_in_a_secret_is_refused_with_its_place_wherever_it_comes_from() {
    for (name, value) in SECRETS {
        let setting = Setting::all().find(|setting| setting.name() == name).unwrap();
        for (char, code) in [
            ('\u{200B}', "U+200B"),
            ('\u{A0}', "U+00A0"),
            ('\u{FEFF}', "U+FEFF"),
            ('\u{202E}', "U+202E"),
            ('\t', "U+0009"),
            ('\u{7F}', "U+007F"),
            ('\u{3000}', "U+3000"),
        ] {
            let bad = format!("{}{char}{}", &value[..9], &value[9..]);
            let problem = format!("holds the invisible character {code} as character 10");
            let in_toml = match name.split_once('.') {
                Some((section, key)) => format!("[{section}]\n{key} = {}", toml_text(&bad)),
                None => format!("{name} = {}", toml_text(&bad)),
            };
            let mut tried = vec![
                (setting.variable(), Machine::new().variable(&setting.variable(), &bad)),
                (format!("--{}", setting.flag()), Machine::new().flag(&setting.flag(), &bad)),
                (format!("`{name}`"), Machine::with_file(&in_toml)),
            ];
            if let Some(variable) = setting.file_variable() {
                let machine = Machine::new();
                let path = machine.write("secret", &format!("{bad}\n"));
                tried.push((variable.clone(), machine.variable(&variable, path)));
            }
            for (place, machine) in tried {
                let refusal = machine.refusal();
                assert!(refusal.contains(&problem), "{name} {code}: {refusal}");
                assert!(refusal.contains(&place), "{place}: {refusal}");
                assert!(!refusal.contains(&value[..9]), "the secret is quoted: {refusal}");
            }
        }
    }
}

/// A text as TOML writes it.
fn toml_text(text: &str) -> String {
    let escaped: String = text.chars().map(|char| format!("\\u{:04X}", u32::from(char))).collect();
    format!("\"{escaped}\"")
}

#[test]
fn a_byte_order_mark_before_a_secret_file_or_the_settings_is_cut() {
    let machine = Machine::new();
    let path = machine.write("keys", "\u{FEFF}first\r\nsecond\n");
    let settings = machine.variable("SIMDECK_PUSH_KEY_FILE", path).load().unwrap();
    assert_eq!(keys(&settings), [(None, "first"), (None, "second")]);
    let settings = Machine::with_file("\u{FEFF}[push]\nkey = \"first\"").load().unwrap();
    assert_eq!(keys(&settings), [(None, "first")]);
}

#[test]
fn a_secret_file_that_is_missing_or_given_twice_is_refused() {
    let machine = Machine::new().variable("SIMDECK_API_KEY_FILE", "/no/such/file");
    let refusal = machine.refusal();
    assert_eq!(refusal, "SIMDECK_API_KEY_FILE names /no/such/file, which cannot be read");
    let refusal = machine.variable("SIMDECK_API_KEY", "k").refusal();
    let both = "SIMDECK_API_KEY and SIMDECK_API_KEY_FILE are both set: keep one of them";
    assert_eq!(refusal, both);
}

#[test]
fn push_keys_come_by_comma_or_in_the_file_with_labels() {
    let settings = Machine::new().variable("SIMDECK_PUSH_KEY", "one,two").load().unwrap();
    assert_eq!(keys(&settings), [(None, "one"), (None, "two")]);
    let settings = Machine::with_file("[push]\nkey = \"one,two\"").load().unwrap();
    assert_eq!(keys(&settings), [(None, "one,two")]);
    let toml = "[push]\nkey = [\"one\", { label = \"new\", key = \"two,three\" }]";
    let settings = Machine::with_file(toml).load().unwrap();
    assert_eq!(keys(&settings), [(None, "one"), (Some("new"), "two,three")]);
    let toml = "[[push.key]]\nlabel = \"new\"\nkey = \"two\"\n";
    assert_eq!(keys(&Machine::with_file(toml).load().unwrap()), [(Some("new"), "two")]);
    let refusal = Machine::with_file("[push]\nkey = [\n{ lable = \"new\", key = \"hush\" }]");
    assert_eq!(
        refusal.refusal(),
        "`push.key` in ./simdeck.toml, line 3, must have both `label` and `key`, each a text, and \
         nothing else"
    );
}

#[test]
fn a_refused_secret_is_never_quoted() {
    let refusal = Machine::new().variable("SIMDECK_PUBLIC_PATH_TOKEN", "tooshort").refusal();
    assert!(refusal.starts_with("SIMDECK_PUBLIC_PATH_TOKEN must be 16 to 128"), "{refusal}");
    assert!(!refusal.contains("tooshort"), "{refusal}");
    let refusal = Machine::new().flag("api-key", "with blank").refusal();
    assert!(!refusal.contains("with blank"), "{refusal}");
}

#[test]
fn secrets_are_hidden_wherever_settings_are_shown() {
    let settings = Machine::with_file("[push]\nkey = [{ label = \"new\", key = \"hush-1\" }]")
        .variable("SIMDECK_API_KEY", "hush-2")
        .variable("SIMDECK_PUBLIC_PATH_TOKEN", "hush-3-hush-3-hush-3")
        .load()
        .unwrap();
    assert!(!format!("{settings:?}").contains("hush"));
    let shown = |name: &str| {
        let line = settings.in_force.iter().find(|line| line.setting.name() == name).unwrap();
        line.value.clone().unwrap()
    };
    assert_eq!(shown("push.key"), "new: ***");
    assert_eq!((shown("api.key"), shown("public.path_token")), ("***".into(), "***".into()));
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let settings = Machine::new()
        .variable("SIMDECK_PUBLIC_LISTEN_", "0.0.0.0:1")
        .variable("SIMDECK_DOMAIN", "push.example.com")
        .variable("PATH", "/bin")
        .load()
        .unwrap();
    let warning = "the variable SIMDECK_PUBLIC_LISTEN_ is no setting and has no effect; did you \
                   mean `SIMDECK_PUBLIC_LISTEN`?";
    assert_eq!(settings.warnings, [warning]);
}

#[test]
fn settings_that_cannot_go_together_are_refused() {
    let refusal = Machine::new().variable("SIMDECK_PUBLIC_ALLOW_MODE", "enforce").refusal();
    assert!(refusal.contains("every push would be refused"), "{refusal}");
    let refusal = Machine::new().variable("SIMDECK_INTERNAL_LISTEN", "0.0.0.0:8080").refusal();
    assert!(refusal.contains("the same address"), "{refusal}");
}

#[test]
fn with_id_and_secret_rcms_has_an_account() {
    let machine = Machine::with_file(
        "[rcms]\nendpoint = \"http://gateway.example/rcms//\"\nclient_id = \"me\"\n\
         devices = [\"RB2\", \"RB1\"]\npoll_every = \"10s\"\npage_size = 20\ntime_zone = \"Asia/Shanghai\"\nunique_code = \"random\"\n\
         sign_body = \"ampersand_json\"\nparameters_in = \"headers\"",
    );
    let path = machine.write("secret", "hush, with comma\n");
    let settings = machine.variable("SIMDECK_RCMS_CLIENT_SECRET_FILE", path).load().unwrap();
    let account = settings.rcms.account().unwrap();
    assert_eq!(account.endpoint.as_str(), "http://gateway.example/rcms");
    assert_eq!(account.client_id.as_str(), "me");
    assert_eq!(account.client_secret.expose(), "hush, with comma");
    let variant = SigningVariant {
        unique_code: UniqueCode::Random,
        sign_body: SignBody::AmpersandJson,
        parameters_in: ParametersIn::Headers,
    };
    assert_eq!((account.variant, settings.rcms.variant), (variant, variant));
    let devices: Vec<&str> = settings.rcms.devices.iter().map(SerialNumber::as_str).collect();
    assert_eq!((devices, settings.rcms.poll_every.as_secs()), (vec!["RB2", "RB1"], 10));
    let zone = settings.rcms.time_zone.as_ref().and_then(|zone| zone.iana_name());
    assert_eq!((settings.rcms.page_size, zone), (20, Some("Asia/Shanghai")));
    assert_eq!(settings.warnings, [""; 0]);
    assert!(!format!("{settings:?}").contains("hush"));
}

#[test]
fn rcms_has_an_id_and_a_secret_or_neither() {
    let [id, secret] = ["SIMDECK_RCMS_CLIENT_ID", "SIMDECK_RCMS_CLIENT_SECRET"];
    assert_eq!(
        Machine::new().variable(id, "me").refusal(),
        "`rcms.client_id` is set without `rcms.client_secret`: set both or neither \
         (`rcms.client_id` comes from SIMDECK_RCMS_CLIENT_ID)"
    );
    assert_eq!(
        Machine::new().variable(secret, "hush").refusal(),
        "`rcms.client_secret` is set without `rcms.client_id`: set both or neither \
         (`rcms.client_secret` comes from SIMDECK_RCMS_CLIENT_SECRET)"
    );
    assert_eq!(
        Machine::new().variable(id, "").variable(secret, "").refusal(),
        "SIMDECK_RCMS_CLIENT_SECRET is set but empty: give it a value or leave it out"
    );
    let machine = Machine::new();
    let path = machine.write("secret", "one\ntwo\n");
    let machine = machine.variable(id, "me").variable("SIMDECK_RCMS_CLIENT_SECRET_FILE", path);
    assert_eq!(
        machine.refusal(),
        "SIMDECK_RCMS_CLIENT_SECRET_FILE (./secret) must be one value, not several"
    );
    let settings = Machine::new().variable("SIMDECK_RCMS_DEVICES", "RB1").load().unwrap();
    let warning = "`rcms.devices` has no effect without `rcms.client_id` and `rcms.client_secret`";
    assert_eq!(settings.warnings, [warning]);
}

#[test]
fn what_rcms_could_not_be_asked_with_is_refused() {
    let endpoint = "must be an http:// or https:// address without user, query and fragment";
    let client_id = "must be 1 to 256 visible ASCII characters, none of them &, #, %, + or ;";
    let span = "must be a span from 10s to 3600s, such as 30s or 5m";
    for (name, value, refusal) in [
        ("ENDPOINT", "ftp://rcms", format!("{endpoint}, not `ftp://rcms`")),
        ("ENDPOINT", "https://rcms/?a=1", format!("{endpoint}, not `https://rcms/?a=1`")),
        ("ENDPOINT", "https://me:hush@rcms", endpoint.to_owned()),
        ("CLIENT_ID", "a b", format!("{client_id}, not `a b`")),
        ("CLIENT_ID", "a&b", format!("{client_id}, not `a&b`")),
        ("CLIENT_ID", "é", format!("{client_id}, not `é`")),
        ("POLL_EVERY", "9s", format!("{span}, not `9s`")),
        ("POLL_EVERY", "61m", format!("{span}, not `61m`")),
        ("PAGE_SIZE", "0", "must be a whole number from 1 to 1000, not `0`".to_owned()),
        ("UNIQUE_CODE", "uuid", "must be client-id or random, not `uuid`".to_owned()),
        ("SIGN_BODY", "yes", "must be none or ampersand_json, not `yes`".to_owned()),
        ("PARAMETERS_IN", "query", "must be query+headers or headers, not `query`".to_owned()),
        (
            "DEVICES",
            "RB1, RB_2",
            "must be serial numbers of 1 to 50 letters, digits and hyphens, not `RB_2`".to_owned(),
        ),
    ] {
        let variable = format!("SIMDECK_RCMS_{name}");
        let machine = Machine::new().variable(&variable, value);
        assert_eq!(machine.refusal(), format!("{variable} {refusal}"));
    }
    let longest = "x".repeat(256);
    let id = |id: &str| Machine::new().variable("SIMDECK_RCMS_CLIENT_ID", id).refusal();
    assert!(id(&longest).starts_with("`rcms.client_id` is set without"));
    assert!(id(&format!("{longest}x")).contains("must be 1 to 256"));
}

#[test]
fn networks_and_plain_addresses_are_read() {
    let settings = Machine::new()
        .variable("SIMDECK_PUBLIC_TRUSTED_PROXIES", "10.1.2.3/8, fd00::1, 192.0.2.7")
        .load()
        .unwrap();
    let networks: Vec<String> =
        settings.public.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "fd00::1/128", "192.0.2.7/32"]);
}

/// The example with every line of it in force.
fn whole_example() -> String {
    let uncommented = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
        _ => format!("{line}\n"),
    };
    example().lines().map(uncommented).collect()
}

#[test]
fn the_example_has_every_setting_and_can_be_used() {
    let settings = Machine::with_file(&whole_example()).load().unwrap();
    for line in &settings.in_force {
        let name = line.setting.name();
        assert!(matches!(line.source, Source::File { .. }), "{name} is not in the example");
        if let Some(default) = line.setting.default {
            assert_eq!(line.value.as_deref(), Some(default), "{name}");
        }
        assert!(line.setting.doc.ends_with('.'), "{name} is not explained in a sentence");
    }
    assert_eq!(settings.in_force.len(), Setting::all().count());
}

#[test]
fn the_committed_example_is_the_one_that_the_command_writes() {
    let committed = include_str!("../../simdeck.example.toml");
    assert_eq!(committed, example(), "run `simdeck config example > simdeck.example.toml`");
}

fn simdeck(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simdeck"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("SIMDECK_")) {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).args(args).envs(variables.iter().copied()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_command_prints_what_is_in_force_and_makes_nothing() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("simdeck.toml"), "[api]\nkey = \"hush\"\nfirst_page = 1").unwrap();
    let args = ["config", "print", "--data-dir", "elsewhere", "--output", "table"];
    let printed = stdout(&simdeck(folder.path(), &args, &[("SIMDECK_LOG", "warn")]));
    for line in [
        "data_dir elsewhere --data-dir",
        "database_url sqlite://elsewhere/simdeck.db derived",
        "log warn SIMDECK_LOG",
        "api.key *** simdeck.toml, line 2",
        "api.first_page 1 simdeck.toml, line 3",
        "public.url (not set) default",
    ] {
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(printed.lines().any(|printed| squeezed(printed) == line), "{line}\n{printed}");
    }
    assert!(!printed.contains("hush"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the settings file is there");
}

#[test]
fn a_flag_counts_before_and_after_the_subcommand() {
    let folder = TempDir::new().unwrap();
    for args in [["--log", "debug", "config", "print"], ["config", "print", "--log", "debug"]] {
        let printed = stdout(&simdeck(folder.path(), &args, &[]));
        let lines: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let log = lines.as_array().unwrap().iter().find(|line| line["setting"] == "log").unwrap();
        assert_eq!((&log["value"], &log["source"]), (&"debug".into(), &"--log".into()));
    }
}

#[test]
fn a_refusal_is_one_line_on_standard_error_and_exit_code_1() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("simdeck.toml"), "[public]\nlisen = \"x\"").unwrap();
    let output = simdeck(folder.path(), &["config", "check"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let line = "error: unknown key `public.lisen` in simdeck.toml, line 2; did you mean \
                `public.listen`?\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), line);
    assert!(output.stdout.is_empty());

    let other = simdeck(folder.path(), &["config", "check"], &[("SIMDECK_CONFIG", "other.toml")]);
    assert_eq!(other.status.code(), Some(1), "a file that is named must be there");
    assert_eq!(simdeck(folder.path(), &["config", "chekc"], &[]).status.code(), Some(2));
}

#[test]
fn a_check_says_of_short_keys_what_the_server_would_say() {
    let folder = TempDir::new().unwrap();
    let check =
        |variables: &[(&str, &str)]| simdeck(folder.path(), &["config", "check"], variables);
    let refused = check(&[("SIMDECK_API_KEY", "0123456789abcdef012")]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("the admin's API key has fewer than 20 characters"), "{said}");
    assert!(!said.contains("0123456789") && refused.stdout.is_empty(), "{said}");
    let warned = stdout(&check(&[("SIMDECK_PUSH_KEY", "0123456789abcde")]));
    assert!(warned.contains("A push key of fewer than 16 characters"), "{warned}");
    let long =
        [("SIMDECK_API_KEY", "0123456789abcdef0123"), ("SIMDECK_PUSH_KEY", "0123456789abcdef")];
    assert!(!stdout(&check(&long)).contains("fewer than"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
}

#[test]
fn the_version_names_the_commit() {
    let folder = TempDir::new().unwrap();
    let version = stdout(&simdeck(folder.path(), &["--version"], &[]));
    let (name, commit) = version.trim_end().split_once(" (").unwrap();
    assert_eq!(name, concat!("simdeck ", env!("CARGO_PKG_VERSION")));
    assert!(commit.len() > 7 && commit.ends_with(')'), "{version}");
}
