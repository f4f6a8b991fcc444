//! Bytes of an erased SIM that deleted rows left in the files: they are overwritten beside pushes, page by
//! page, and until that is done everybody is told.
use std::{fs, path::Path};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    retract::{OTHER_SIM, SIM, TRUE_SENDER, status, usage},
    rezone::sql,
};
use crate::server::{Simdeck, now_s};

/// Leaves bytes of a SIM in free pages, between rows, behind the end of a long one, and within the
/// number of another.
fn left_behind() -> String {
    format!(
        "pragma secure_delete = off;
        create table some (text text) strict;
        insert into some select iif(value % 3, '{SIM} ', 'another ') || value from generate_series(1, 4000);
        delete from some where text like '8%';
        create table other (text text) strict;
        insert into other select '{SIM} ' || value || hex(zeroblob(3000)) from generate_series(1, 200);
        drop table other;
        create table long (text text) strict;
        insert into long select hex(zeroblob(4000)) || replace(hex(zeroblob(400)), '00', '{SIM} ');
        begin;
        delete from long;
        insert into long select hex(zeroblob(4000)) || 'short';
        commit;
        insert into some select '7{SIM}8';"
    )
    .replace("generate_series(1, 4000)", &numbers(4_000))
    .replace("generate_series(1, 200)", &numbers(200))
}

fn numbers(last: u32) -> String {
    let all = (1..=last).map(|nth| nth.to_string()).collect::<Vec<_>>().join(",");
    format!("json_each('[{all}]')")
}

async fn connect(simdeck: &Simdeck) -> SqliteConnection {
    let file = simdeck.folder().path().join("data/simdeck.db");
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

async fn number(raw: &mut SqliteConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(raw).await.unwrap()
}

/// How often the files have the number, and how often as a part of that of another.
fn in_files(simdeck: &Simdeck) -> (usize, usize) {
    let (mut all, mut longer) = (0, 0);
    for name in ["simdeck.db", "simdeck.db-wal"] {
        let bytes = fs::read(simdeck.folder().path().join("data").join(name)).unwrap_or_default();
        let count =
            |text: &str| bytes.windows(text.len()).filter(|it| *it == text.as_bytes()).count();
        all += count(SIM);
        longer += count(&format!("7{SIM}8"));
    }
    (all, longer)
}

/// Of a page on which something is left, makes the header say what the rest of it does not bear out.
async fn make_incomprehensible(folder: &Path) {
    const PAGES: &str = "select pageno from dbstat where name = 'some' and pagetype = 'leaf'";
    let file = folder.join("data/simdeck.db");
    let mut raw = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    let pages: Vec<i64> = sqlx::query_scalar(PAGES).fetch_all(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let page =
        pages.into_iter().map(|page| (usize::try_from(page).unwrap() - 1) * 4096).find(|at| {
            let page = &bytes[*at..*at + 4096];
            page.windows(SIM.len()).any(|window| window == SIM.as_bytes())
        });
    // How many bytes lie in fragments.
    bytes[page.unwrap() + 7] += 1;
    fs::write(&file, bytes).unwrap();
}

async fn filled(is_comprehensible: bool) -> Simdeck {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    for sim in [SIM, OTHER_SIM] {
        let record = usage(sim, second * 1000, 5, "CN");
        simdeck.push_as(TRUE_SENDER, "data-usage", second, &record).await;
    }
    simdeck.push_as(TRUE_SENDER, "sim-status", second, &status(SIM, "ACTIVE")).await;
    let folder = simdeck.folder();
    simdeck.end();
    sql(folder.path(), &left_behind()).await;
    if !is_comprehensible {
        make_incomprehensible(folder.path()).await;
    }
    Simdeck::start_in(folder, &[])
}

#[tokio::test]
async fn what_is_left_of_an_erased_sim_is_overwritten_and_the_database_is_not_written_anew() {
    let simdeck = filled(true).await;
    let (all, longer) = in_files(&simdeck);
    assert!(all > longer + 500 && longer == 1, "it would find nothing: {all}, {longer}");
    let mut raw = connect(&simdeck).await;
    let free = number(&mut raw, "select freelist_count from pragma_freelist_count").await;
    assert!(free > 100, "{free}");
    let body = json!({"giccid": SIM}).to_string();
    let (status, done) = simdeck.send_json(Method::POST, "/v1/erase", &body).await;
    assert_eq!((status, &done["data_usage"]), (200, &json!(1)), "{done}");
    let told = (&done["is_in_no_file"], &done["not_searched"]);
    assert_eq!(told, (&json!(true), &Value::Null), "{done}");
    // Whoever writes a database anew has no free pages then.
    let left = number(&mut raw, "select freelist_count from pragma_freelist_count").await;
    assert!(left >= free, "{left} of {free}");
    let fault: String =
        sqlx::query_scalar("pragma integrity_check").fetch_one(&mut raw).await.unwrap();
    assert_eq!(fault, "ok");
    assert_eq!(number(&mut raw, "select count(*) from some").await, 1_334);
    assert_eq!(number(&mut raw, "select sum(length(text)) from long").await, 8_005);
    raw.close().await.unwrap();
    // The same place in the log and in the database, if a checkpoint is yet to come.
    let (all, longer) = in_files(&simdeck);
    assert_eq!(all, longer, "only within the number of another");
    let entry = simdeck.get("/v1/erasures").await[0].clone();
    let told = (&entry["is_in_no_file"], &entry["not_searched"]);
    assert_eq!(told, (&json!(true), &Value::Null), "{entry}");
    simdeck.end();
}

async fn condition(simdeck: &Simdeck) -> Value {
    let status = simdeck.get("/v1/status").await;
    let conditions = status["conditions"].as_array().unwrap();
    conditions.iter().find(|it| it["name"] == "erased_in_files").unwrap().clone()
}

#[tokio::test]
async fn that_bytes_of_an_erased_sim_may_be_left_is_told_until_a_later_search_has_overwritten_them()
{
    let mut simdeck = filled(false).await;
    assert_eq!(condition(&simdeck).await["on"], false);
    let body = json!({"giccid": SIM, "force": true}).to_string();
    let (status, done) = simdeck.send_json(Method::POST, "/v1/erase", &body).await;
    assert_eq!((status, &done["is_in_no_file"]), (200, &json!(false)), "{done}");
    assert_eq!(done["data_usage"], 1, "{done}");
    let audited = simdeck.get("/v1/audit?action=erase").await;
    assert_eq!(audited[0]["outcome"], "done", "{audited}");
    let entry = simdeck.get("/v1/erasures").await[0].clone();
    assert_eq!(entry["is_in_no_file"], false, "{entry}");
    assert!(entry["not_searched"].as_str().is_some_and(|why| why.contains("what page")), "{entry}");
    let told = condition(&simdeck).await;
    assert_eq!(told["on"], true, "{told}");
    let doctor = simdeck.run(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(!doctor.status.success() && said.contains("erased"), "{said}");
    for said in [told.to_string(), entry.to_string(), said.into_owned()] {
        assert!(!said.contains(SIM), "{said}");
    }

    sql(simdeck.folder().path(), "pragma secure_delete = on; drop table some").await;
    // As each hour.
    assert_eq!(simdeck.ask(Method::POST, "/v1/prune").await.0, 200);
    simdeck.says("Nothing is left of an erased SIM in the files of the database");
    let (all, longer) = in_files(&simdeck);
    assert_eq!(all, longer);
    let entry = simdeck.get("/v1/erasures").await[0].clone();
    let told = (&entry["is_in_no_file"], &entry["not_searched"]);
    assert_eq!(told, (&json!(true), &Value::Null), "{entry}");
    assert_eq!(condition(&simdeck).await["on"], false);
    let log = simdeck.end();
    assert!(!log.contains(SIM), "{log}");
}

#[tokio::test]
async fn the_log_says_of_each_removal_how_much_went_and_how_long_it_took() {
    let mut simdeck = Simdeck::start(&[]);
    let second = now_s();
    for nth in 0..3 {
        let record = usage(SIM, (second - nth) * 1000, 5, "CN");
        simdeck.push_as(TRUE_SENDER, "data-usage", second - nth, &record).await;
    }
    let retract = json!({"datePush": second - 1}).to_string();
    assert_eq!(simdeck.send_json(Method::POST, "/v1/retract", &retract).await.0, 200);
    simdeck.says("Retracted");
    let erase = json!({"giccid": SIM}).to_string();
    assert_eq!(simdeck.send_json(Method::POST, "/v1/erase", &erase).await.0, 200);
    simdeck.says("Erased a SIM");
    assert_eq!(simdeck.ask(Method::POST, "/v1/prune").await.0, 200);
    let keyed = simdeck.get("/v1/erasures").await[0]["giccid_hmac"].as_str().unwrap().to_owned();
    let lift = format!("/v1/erasures/{SIM}");
    assert_eq!(simdeck.ask(Method::DELETE, &lift).await.0, 204);
    let log = simdeck.end();
    assert!(!log.contains(SIM), "{log}");
    let line = |says: &str| {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(says)).collect();
        assert!(lines.len() == 1 && lines[0].contains("INFO"), "{says}: {lines:?}");
        lines[0].to_owned()
    };
    let keyed = format!("giccid_hmac=\"{keyed}\"");
    for (says, fields) in [
        ("Erased a SIM", vec![&*keyed, "usage=2", "seconds=", "is_in_no_file=true"]),
        ("is kept again", vec![&*keyed]),
        ("Retracted", vec!["usage=1", "seconds="]),
        ("Pruned", vec!["usage=0", "seconds="]),
    ] {
        let line = line(says);
        assert!(fields.iter().all(|field| line.contains(field)), "{line}");
    }
}
