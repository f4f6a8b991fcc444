//! Secrets that are looked for wherever something is said.
use std::{ffi::OsStr, fs, net::Ipv4Addr, path::Path};

use reqwest::Method;
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    program::{self, Line, Program, panicking},
    server::{API_KEY, PUSH_KEY, Simdeck, now_s, signature, usage},
};

const TOKEN: &str = "canary-path-token-77aa";
const RCMS_SECRET: &str = "canary-rcms-secret-51fe";
const WRONG_KEY: &str = "canary-of-a-wrong-api-key";
/// One character from the token, as whoever mistypes it sends it.
const NEAR_TOKEN: &str = "canary-path-token-77ab";

/// Everything that must be said nowhere.
struct Canaries(Vec<String>);

impl Canaries {
    fn are_not_in(&self, place: &str, text: &str) {
        for canary in &self.0 {
            // Whoever masks may not have masked the other way of writing it.
            for canary in [canary.clone(), canary.to_uppercase()] {
                assert!(!text.contains(&canary), "{canary} is in {place}:\n{text}");
            }
        }
    }
}

/// Pushes of every fate, and the signatures that came with them.
async fn push_all(simdeck: &mut Simdeck) -> Vec<String> {
    let now = now_s();
    let (good, forged) = (signature(PUSH_KEY, now), signature("another key", now));
    let with = |signature: &str, members: &str| {
        format!(r#"{{"datePush":{now},"signature":"{signature}",{members}}}"#)
    };
    let record = usage("8944501503181377993");
    let mut statuses = Vec::new();
    for (kind, body) in [
        ("data-usage", with(&good, &record)),
        ("data-usage", with(&good, &record)),
        ("data-usage", with(&good, r#""giccid":"1""#)),
        ("data-usage", with(&good, &format!(r#""records":[{{{record},"signature":"{good}"}}]"#))),
        ("sim-status", with(&good, r#""status":"ACTIVE""#)),
        ("unheard-of", with(&good, r#""a":1"#)),
        ("data-usage", with(&forged, &record)),
        ("data-usage", with(&forged.to_uppercase(), &record)),
        ("data-usage", format!("[{},{}]", with(&good, &record), with(&forged, &record))),
        ("data-usage", with(&forged, r#""signature":"x""#)),
        ("data-usage", format!(r#"{{"signature":"{forged}"}}"#)),
        ("data-usage", format!(r#"{{"datePush":"never","signature":"{forged}"}}"#)),
        ("data-usage", with(&forged, "")),
        ("data-usage", with(&forged, &record) + "}"),
    ] {
        statuses.push(simdeck.post(kind, body).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 6, "{statuses:?}");
    // Wrong addresses, and secrets where they do not belong.
    for path in [
        format!("/{NEAR_TOKEN}/v1/data-usage"),
        format!("/{TOKEN}/V1/data-usage"),
        format!("/{TOKEN}?{PUSH_KEY}"),
        format!("/{TOKEN}/v1/data-usage/{API_KEY}"),
    ] {
        let answer = simdeck.ask_public(Method::POST, &path, with(&good, &record).into(), &[]);
        assert_eq!(answer.await.status, 404, "{path}");
    }
    let encoded = [("Content-Encoding", API_KEY), ("Simdeck-Test", PUSH_KEY)];
    assert_eq!(simdeck.post_with("data-usage", "{}", &encoded).await.status, 415);
    let tested = simdeck.ask(Method::POST, "/v1/test-push").await;
    assert_eq!(tested.1["status"], 200, "{}", tested.1);
    vec![good, forged]
}

/// Asks for everything there is, well and badly; gives what was said.
async fn ask_all(simdeck: &Simdeck) -> Vec<(String, String)> {
    let mut said = Vec::new();
    let mut paths: Vec<String> = ["/v1", "/metrics", "/readyz", "/healthz", "/openapi.json"]
        .map(str::to_owned)
        .into_iter()
        .chain(["/v1/held?size=100", "/v1/pushes?size=1000", "/v1/changes"].map(str::to_owned))
        .collect();
    for (_, url) in simdeck.get("/v1").await.as_object().unwrap() {
        let Some((_, path)) = url.as_str().unwrap().split_once("/v1") else { continue };
        let path = path.split('{').next().unwrap();
        if !path.contains("stream") {
            paths.push(format!("/v1{path}"));
        }
    }
    for row in simdeck.rows("/v1/held").await {
        paths.push(format!("/v1/held/{}", row["id"]));
    }
    paths.push(format!("/v1/sims/{API_KEY}"));
    for path in paths {
        let (_, text) = simdeck.ask_text(Method::GET, &path).await;
        // Who asks with a secret in the address has it said back by nobody but itself.
        said.push((path.clone(), text.replace(&path, "")));
    }
    assert_eq!(simdeck.status_with(WRONG_KEY, "/v1/status").await, 401);
    let printed = simdeck.run(&["config", "print"]);
    said.push(("config print".to_owned(), String::from_utf8(printed.stdout).unwrap()));
    said
}

/// Where in the database these bytes are.
async fn columns_with(database: &Path, wanted: &[u8]) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(database).read_only(true);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let columns = "select m.name, c.name from sqlite_master m join pragma_table_info(m.name) c
        where m.type = 'table'";
    let mut found = Vec::new();
    for row in sqlx::query(columns).fetch_all(&mut database).await.unwrap() {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        let sql = format!(
            "select count(*) from \"{table}\" where instr(cast(\"{column}\" as blob), $1) > 0"
        );
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(wanted);
        let count: i64 = query.fetch_one(&mut database).await.unwrap();
        if count > 0 {
            found.push(format!("{table}.{column}"));
        }
    }
    found
}

#[tokio::test]
async fn no_secret_is_said_in_a_log_at_trace_an_answer_a_metric_or_a_command() {
    let mut simdeck = Simdeck::start(&[
        ("SIMDECK_LOG", "trace"),
        ("SIMDECK_PUBLIC_PATH_TOKEN", TOKEN),
        ("SIMDECK_RCMS_ENDPOINT", "http://127.0.0.1:9"),
        ("SIMDECK_RCMS_CLIENT_ID", "canary"),
        ("SIMDECK_RCMS_CLIENT_SECRET", RCMS_SECRET),
    ]);
    simdeck.prefix = format!("/{TOKEN}");
    let signatures = push_all(&mut simdeck).await;
    // Refused pushes are written when there is time for it: all but the 429s and repeats.
    while simdeck.rows("/v1/held?class=refused").await.len() < 7 {
        tokio::task::yield_now().await;
    }
    let mut canaries = Canaries(
        [PUSH_KEY, API_KEY, TOKEN, NEAR_TOKEN, RCMS_SECRET, WRONG_KEY].map(str::to_owned).into(),
    );
    canaries.0.extend(signatures.iter().cloned());
    for (place, text) in ask_all(&simdeck).await {
        canaries.are_not_in(&place, &text);
    }
    let (status, backup) = simdeck.ask(Method::POST, "/v1/backup").await;
    assert_eq!(status, 200, "{backup}");
    let folder = simdeck.folder();
    canaries.are_not_in("the log", &simdeck.end());

    // Every byte of a copy, also of pages that no table has any more.
    let backup = fs::read(folder.path().join(backup["path"].as_str().unwrap())).unwrap();
    canaries.are_not_in("a backup", &String::from_utf8_lossy(&backup));
    for signature in &signatures {
        let bytes = hex::decode(signature).unwrap();
        assert!(!backup.windows(bytes.len()).any(|window| window == bytes), "{signature}");
    }

    let database = folder.path().join("data/simdeck.db");
    for secret in [PUSH_KEY, API_KEY, TOKEN, RCMS_SECRET] {
        assert_eq!(columns_with(&database, secret.as_bytes()).await, Vec::<String>::new());
    }
    for (nth, signature) in signatures.into_iter().enumerate() {
        let upper = signature.to_uppercase();
        for written in [signature.as_bytes(), upper.as_bytes()] {
            let mut columns = columns_with(&database, written).await;
            // A body that is no JSON is kept as it came, in its ring and nowhere else.
            columns.retain(|column| nth == 0 || column != "held.body");
            assert_eq!(columns, Vec::<String>::new());
        }
        let bytes = hex::decode(&signature).unwrap();
        for column in columns_with(&database, &bytes).await {
            assert_eq!(column, "held.signatures");
        }
    }
}

/// A push and a question, each on a connection of its own, which a handler that fails may close.
fn statuses(program: &Program) -> [u16; 2] {
    let body = format!("{{{},{}}}", program::proof(program::now_s()), usage("8944501503181377993"));
    let mut line = Line::to(program.public).unwrap();
    let pushed = line.push("data-usage", Ipv4Addr::LOCALHOST, body.as_bytes()).unwrap();
    let asked = Line::to(program.internal).unwrap().get("/v1/status").unwrap();
    [pushed.status, asked.status]
}

#[test]
fn a_handler_that_panics_is_answered_500_and_told_once_without_what_it_quotes() {
    let program = Program::of(panicking());
    let variables = [
        ("SIMDECK_LOG", "trace"),
        ("SIMDECK_LOG_FORMAT", "json"),
        ("SIMDECK_RCMS_ENDPOINT", "http://127.0.0.1:9"),
        ("SIMDECK_RCMS_CLIENT_ID", "canary"),
        ("SIMDECK_RCMS_CLIENT_SECRET", RCMS_SECRET),
        ("RUST_BACKTRACE", "1"),
    ];
    let mut server = program.spawn(&variables.map(|(name, value)| (name, OsStr::new(value))));
    server.wait_for(&["Ready"]);
    assert_eq!(statuses(&program), [200, 200]);
    fs::write(program.data().join("panic"), "").unwrap();
    assert_eq!(statuses(&program), [500, 500]);
    fs::remove_file(program.data().join("panic")).unwrap();
    assert_eq!(statuses(&program), [200, 200]);

    let log = server.end();
    let secrets = [program::PUSH_KEY, program::API_KEY, RCMS_SECRET].map(str::to_owned);
    Canaries(secrets.into()).are_not_in("the log", &log);
    let panics: Vec<serde_json::Value> = log
        .lines()
        .filter(|line| line.contains("panicking.rs"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(panics.len(), 2, "{log}");
    for panic in panics {
        let fields = &panic["fields"];
        assert_eq!(fields["message"], "A thread panicked");
        assert!(fields["location"].as_str().unwrap().starts_with("examples/panicking.rs:"));
        assert!(fields["backtrace"].as_str().unwrap().contains("Panicking"), "{fields}");
    }
}
