//! The keys: who is given them, who can read them, and how they are replaced.
use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
    thread,
};

use reqwest::{Client, Method};
use rustix::process::{Signal, kill_process};
use tempfile::TempDir;

use crate::{
    program::Program,
    server::{API_KEY, PUSH_KEY, Simdeck, UNSET},
    withstand::certificate::{Files, Pair},
};

/// A listener of another user, at the port where the server was; it answers all that comes with 200,
/// and remembers it.
struct Impostor {
    address: String,
    heard: Arc<Mutex<String>>,
}

impl Impostor {
    fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = Arc::new(Mutex::new(String::new()));
        let hearing = Arc::clone(&heard);
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut bytes = [0; 65_536];
                let read = stream.read(&mut bytes).unwrap_or_default();
                *hearing.lock().unwrap() += &String::from_utf8_lossy(&bytes[..read]);
                let answer = "HTTP/1.1 200 OK\r\nsimdeck-proof: 00\r\ncontent-length: 2\r\n\
                              connection: close\r\n\r\n[]";
                // Whoever has gone meanwhile has heard enough.
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        Self { address, heard }
    }

    fn has_heard(&self, text: &str) -> bool {
        self.heard.lock().unwrap().contains(text)
    }
}

/// A command with the key and the address of a server in this folder.
fn command(folder: &Path, internal: &str, args: &[&str]) -> Output {
    Command::new(Program::binary())
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("SIMDECK_API_KEY", API_KEY)
        .env("SIMDECK_DATA_DIR", folder.join("data"))
        .env("SIMDECK_INTERNAL_LISTEN", internal)
        .output()
        .unwrap()
}

/// A command that has no key of its own.
fn keyless(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(Program::binary());
    command.args(args).current_dir(folder).env_clear().output().unwrap()
}

/// One line for each command that talks to the server.
const COMMANDS: [&[&str]; 8] = [
    &["key", "list"],
    &["held", "list"],
    &["export", "mo-sms"],
    &["backup"],
    &["prune"],
    &["welcome"],
    &["push"],
    &["doctor"],
];

#[test]
fn the_admin_key_goes_to_no_listener_that_took_the_servers_port() {
    let simdeck = Simdeck::start(&[("SIMDECK_DATA_DIR", "data")]);
    let (folder, internal) = (simdeck.folder(), simdeck.internal().to_owned());
    // While the server runs, it is found by what is in its data directory.
    let listed = command(folder.path(), "127.0.0.1:9", &["key", "list"]);
    assert!(listed.status.success(), "{listed:?}");
    simdeck.end();
    let impostor = Impostor::at(&internal);
    for args in COMMANDS {
        let done = command(folder.path(), &impostor.address, args);
        assert!(!impostor.has_heard(API_KEY), "{args:?} gave the key away: {done:?}");
    }
    // Without a server a command opens the store itself.
    let listed = command(folder.path(), &impostor.address, &["key", "list"]);
    assert!(listed.status.success(), "{listed:?}");
    // Nor where something holds the data directory that is no server.
    let lock = fs::File::open(folder.path().join("data/simdeck.lock")).unwrap();
    lock.lock().unwrap();
    for args in COMMANDS {
        let done = command(folder.path(), &impostor.address, args);
        assert!(!impostor.has_heard(API_KEY), "{args:?} gave the key away: {done:?}");
    }
    let refused = command(folder.path(), &impostor.address, &["key", "list"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("so it was sent no key"), "{said}");
    assert!(impostor.has_heard("simdeck-challenge"), "the impostor was never asked");
}

#[test]
fn the_url_that_people_open_draws_no_command_away_from_the_server_here() {
    let simdeck = Simdeck::start(&[("SIMDECK_DATA_DIR", "data")]);
    let folder = simdeck.folder();
    let settings = "[internal]\nurl = \"http://sims.invalid:8081\"\n";
    fs::write(folder.path().join("simdeck.toml"), settings).unwrap();
    let listed = command(folder.path(), "127.0.0.1:9", &["key", "list"]);
    assert!(listed.status.success(), "{listed:?}");
    // A flag means a server elsewhere, and without its key none.
    let args = ["key", "list", "--internal-url", "http://sims.invalid:8081"];
    let elsewhere = command(folder.path(), "127.0.0.1:9", &args);
    assert!(!elsewhere.status.success(), "{elsewhere:?}");
    let refused = keyless(folder.path(), &args);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("give its key"), "{said}");
    simdeck.end();
}

#[test]
fn a_server_that_is_named_with_its_key_needs_no_data_directory() {
    let simdeck = Simdeck::start(&[]);
    let elsewhere = TempDir::new().unwrap();
    let url = simdeck.internal_url();
    let unnamed = command(elsewhere.path(), simdeck.internal(), &["key", "list"]);
    let said = String::from_utf8_lossy(&unnamed.stderr).into_owned();
    assert!(!unnamed.status.success() && said.contains("--internal-url"), "{said}");
    let named = command(elsewhere.path(), "127.0.0.1:9", &["key", "list", "--internal-url", &url]);
    assert!(named.status.success(), "{named:?}");
    simdeck.end();
}

#[tokio::test]
async fn the_internal_listener_speaks_tls_where_it_has_a_certificate() {
    let files = Files::of(&Pair::new());
    let (certificate, key) = (files.certificate(), files.key());
    let simdeck = Simdeck::start(&[
        ("SIMDECK_INTERNAL_TLS_CERT", certificate.to_str().unwrap()),
        ("SIMDECK_INTERNAL_TLS_KEY", key.to_str().unwrap()),
    ]);
    let client = Client::builder().no_proxy().tls_danger_accept_invalid_certs(true);
    let url = format!("https://{}/v1/keys", simdeck.internal());
    let answer = client.build().unwrap().get(url).header("X-API-Key", API_KEY).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    // The command on this machine needs no certificate of its own.
    let listed = simdeck.run(&["key", "list"]);
    assert!(listed.status.success(), "{listed:?}");
    let log = simdeck.end();
    assert!(!log.contains("unencrypted"), "{log}");
}

#[tokio::test]
async fn the_admins_key_is_read_again_when_asked() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("api-key");
    fs::write(&file, "sd_the-first-key-of-an-admin\n").unwrap();
    let mut simdeck = Simdeck::start(&[
        ("SIMDECK_API_KEY", UNSET),
        ("SIMDECK_API_KEY_FILE", file.to_str().unwrap()),
    ]);
    let client = Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v1/keys", simdeck.internal_url());
    let status = async |key: &str| {
        let answer = client.request(Method::GET, &url).header("X-API-Key", key).send().await;
        answer.unwrap().status().as_u16()
    };
    assert_eq!(status("sd_the-first-key-of-an-admin").await, 200);
    fs::write(&file, "sd_the-second-key-of-an-admin\n").unwrap();
    kill_process(simdeck.pid(), Signal::HUP).unwrap();
    simdeck.wait_for("as asked");
    assert_eq!(status("sd_the-first-key-of-an-admin").await, 401);
    assert_eq!(status("sd_the-second-key-of-an-admin").await, 200);
    let log = simdeck.end();
    assert!(!log.contains("key-of-an-admin"), "{log}");
}

#[test]
fn a_crash_of_the_server_writes_no_keys_to_a_disk() {
    let simdeck = Simdeck::start(&[]);
    let pid = simdeck.pid().as_raw_nonzero();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    simdeck.end();
    let deployed = |name: &str| fs::read_to_string(name).unwrap();
    assert!(deployed("deploy/simdeck.service").lines().any(|line| line == "LimitCORE=0"));
    let compose = deployed("docker-compose.yml");
    assert!(compose.contains("  ulimits:\n    core: 0\n"), "{compose}");
}

#[test]
fn a_secret_that_others_can_read_is_told_at_the_start_and_by_the_doctor() {
    let secrets = TempDir::new().unwrap();
    let file = secrets.path().join("push-key");
    fs::write(&file, "a-push-key-of-a-test\n").unwrap();
    let start = |mode: u32| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let name = file.to_str().unwrap();
        Simdeck::start(&[("SIMDECK_PUSH_KEY", UNSET), ("SIMDECK_PUSH_KEY_FILE", name)])
    };
    let examined = |simdeck: &Simdeck| {
        let doctor = Command::new(Program::binary())
            .args(["doctor", "--output", "json"])
            .env_clear()
            .env("SIMDECK_DATA_DIR", simdeck.folder().path().join("data"))
            .env("SIMDECK_PUSH_KEY_FILE", &file)
            .env("SIMDECK_API_KEY", API_KEY)
            .output()
            .unwrap();
        String::from_utf8(doctor.stdout).unwrap()
    };
    let wide = start(0o644);
    let found = examined(&wide);
    assert!(found.contains("holds a secret and others can use it: its mode is 0644"), "{found}");
    let log = wide.end();
    assert!(log.contains("holds a secret and others can use it (its mode is 0644)"), "{log}");
    let narrow = start(0o600);
    let found = examined(&narrow);
    assert!(!found.contains("holds a secret and others can use it"), "{found}");
    assert!(!narrow.end().contains("others can use it"));
}

#[tokio::test]
async fn a_blank_around_a_secret_is_told_at_the_start_and_when_it_is_renewed() {
    let secrets = TempDir::new().unwrap();
    let file = secrets.path().join("push-key");
    let write = |text: &str| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    };
    let told = |log: &str| {
        log.lines()
            .filter(|line| line.contains("ends with a blank") && line.contains("WARN"))
            .count()
    };
    let variables =
        [("SIMDECK_PUSH_KEY", UNSET), ("SIMDECK_PUSH_KEY_FILE", file.to_str().unwrap())];
    write(&format!("{PUSH_KEY}\n"));
    let mut simdeck = Simdeck::start(&variables);
    write(&format!("{PUSH_KEY} \n"));
    kill_process(simdeck.pid(), Signal::HUP).unwrap();
    simdeck.wait_for("ends with a blank");
    let folder = simdeck.folder();
    let log = simdeck.end();
    assert!(told(&log) == 1 && log.contains("remove the blank"), "{log}");
    let log = Simdeck::start_in(folder, &variables).end();
    assert_eq!(told(&log), 1, "{log}");
    assert!(!log.contains(PUSH_KEY), "{log}");
    // The same of a file that the server has made itself.
    let simdeck = Simdeck::start(&[("SIMDECK_PUSH_KEY", UNSET)]);
    let folder = simdeck.folder();
    assert_eq!(told(&simdeck.end()), 0);
    let made = folder.path().join("data/push-key");
    let key = fs::read_to_string(&made).unwrap();
    fs::write(&made, format!("{} \n", key.trim())).unwrap();
    let log = Simdeck::start_in(folder, &[("SIMDECK_PUSH_KEY", UNSET)]).end();
    assert_eq!(told(&log), 1, "{log}");
}

#[test]
fn a_secret_in_the_arguments_and_an_open_listener_are_told_at_the_start() {
    let folder = TempDir::new().unwrap();
    let warned = |args: &[&str], listen: &str| {
        let mut args = args.to_vec();
        args.splice(0..0, ["config", "check"]);
        let done = Command::new(Program::binary())
            .args(args)
            .current_dir(folder.path())
            .env_clear()
            .env("SIMDECK_INTERNAL_LISTEN", listen)
            .env("SIMDECK_PUBLIC_PATH_TOKEN", "token-of-twenty-characters")
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    let checked: serde_json::Value = serde_json::from_str(&warned(&[], "127.0.0.1:8081")).unwrap();
    assert_eq!(checked["warnings"], serde_json::json!([]), "{checked}");
    let said = warned(&["--push-key", "a-key-in-ps"], "127.0.0.1:8081");
    assert!(said.contains("--push-key") && said.contains("SIMDECK_PUSH_KEY_FILE"), "{said}");
    assert!(!said.contains("a-key-in-ps"), "{said}");
    let said = warned(&[], "0.0.0.0:8081");
    assert!(said.contains("unencrypted at 0.0.0.0:8081"), "{said}");
    assert!(said.contains("SIMDECK_INTERNAL_TLS_CERT"), "{said}");
}

#[test]
fn the_compose_file_hands_every_setting_on() {
    let compose = fs::read_to_string("docker-compose.yml").unwrap();
    let handed_on = |variable: &str| {
        compose.lines().any(|line| line.trim_start().starts_with(&format!("{variable}:")))
    };
    let missing: Vec<String> = simdeck::cli::settings::Setting::all()
        .flat_map(|setting| [Some(setting.variable()), setting.file_variable()])
        .flatten()
        .filter(|variable| !handed_on(variable))
        .collect();
    assert!(missing.is_empty(), "docker-compose.yml does not hand on {missing:?}");
}
