//! More than can be counted in the second that a count may take: what takes them out goes on without
//! the count.
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::retract::{FORGED_SIM, FORGER, SIM, TRUE_SENDER, sms, usage};
use crate::server::{Simdeck, now_s};

/// Steps of a recursion that take the database longer than a count may take.
const SLOW_STEPS: u32 = 1_000_000_000;

impl Simdeck {
    async fn change_database(&self, statements: &[String]) {
        let database = self.folder().path().join("data/simdeck.db");
        let mut other = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement.as_str())).execute(&mut other).await.unwrap();
        }
        other.close().await.unwrap();
    }

    /// Lets each look at this column take too long, until the statements that this gives are run.
    async fn slow_down(&self, table: &str, column: &str) -> Vec<String> {
        let database = self.folder().path().join("data/simdeck.db");
        let mut other = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
        let columns: Vec<String> = sqlx::query_scalar("select name from pragma_table_info($1)")
            .bind(table)
            .fetch_all(&mut other)
            .await
            .unwrap();
        other.close().await.unwrap();
        let slow = format!(
            "(with recursive step(nth) as (
                select 1 union all select nth + 1 from step where nth < {SLOW_STEPS})
            select iif(max(nth) > 0, real.{column}, null) from step) as {column}"
        );
        let shown = |name: &String| if name == column { slow.clone() } else { name.clone() };
        let columns: Vec<String> = columns.iter().map(shown).collect();
        self.change_database(&[
            format!("alter table {table} rename to {table}_real"),
            format!(
                "create view {table} as select {} from {table}_real as real",
                columns.join(", ")
            ),
        ])
        .await;
        vec![format!("drop view {table}"), format!("alter table {table}_real rename to {table}")]
    }
}

#[tokio::test]
async fn a_forgery_too_large_to_be_counted_in_a_second_is_retracted_all_the_same() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let ms = second * 1000;
    let many = |sim: &str, records: i64| -> String {
        let records = (0..records).map(|nth| usage(sim, ms - nth, 1, "US"));
        records.collect::<Vec<_>>().join(",")
    };
    simdeck.push_as(TRUE_SENDER, "data-usage", second - 1, &many(SIM, 6_000)).await;
    simdeck.push_as(FORGER, "data-usage", second, &many(FORGED_SIM, 2_000)).await;
    // Thousands of pushes that span all of its records, and others: a count looks at millions.
    simdeck
        .change_database(&[format!(
            "insert into push (date_push_s, id, ids, source)
            select push.date_push_s, usage.id, push.id + push.ids - usage.id, push.source
            from usage join push on push.date_push_s = {second} where usage.id < push.id"
        )])
        .await;
    let question = |dry_run: bool| json!({"datePush": second, "dry_run": dry_run}).to_string();
    let (status, dry) = simdeck.send_json(Method::POST, "/v1/retract", &question(true)).await;
    assert_eq!(status, 200, "{dry}");
    for null in ["data_usage", "mo_sms", "notifications", "kept", "sources"] {
        assert_eq!(dry[null], Value::Null, "{null}: {dry}");
    }
    assert_eq!((&dry["is_known"], &dry["dry_run"]), (&json!(true), &json!(true)), "{dry}");
    let date_push = second.to_string();
    let asked = simdeck.run(&["retract", "--date-push", &date_push]);
    let question = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(question.contains("more records than can be counted in a second"), "{question}");
    let of_forger = format!("/v1/data-usage?giccid={FORGED_SIM}");
    assert!(!simdeck.rows(&of_forger).await.is_empty(), "nobody said yes");

    let done = simdeck.run(&["retract", "--date-push", &date_push, "--yes", "--output", "json"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let done: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(done["sources"], Value::Null, "{done}");
    assert!(done["data_usage"].as_i64() >= Some(2_000), "{done}");
    assert!(simdeck.rows(&of_forger).await.is_empty());
    simdeck.end();
}

#[tokio::test]
async fn a_sim_with_more_than_can_be_counted_in_a_second_can_be_erased() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    simdeck.push_as(TRUE_SENDER, "mo-sms", second, &sms(SIM, second * 1000)).await;
    // After this no reader has to look for what came last.
    let body = json!({"datePush": second - 5, "force": true}).to_string();
    assert_eq!(simdeck.send_json(Method::POST, "/v1/retract", &body).await.0, 200);
    let restore = simdeck.slow_down("sms", "sim_id").await;
    let path = format!("/v1/erasures/{SIM}");
    let (status, there) = simdeck.ask(Method::GET, &path).await;
    assert_eq!(status, 200, "{there}");
    let told = (&there["mo_sms"], &there["data_usage"], &there["is_known"]);
    assert_eq!(told, (&Value::Null, &json!(0), &json!(true)), "{there}");
    let shown = simdeck.run(&["erase", "show", SIM, "--output", "table"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("more messages than can be counted in a second"), "{shown}");
    simdeck.change_database(&restore).await;
    let body = json!({"giccid": SIM}).to_string();
    let (status, done) = simdeck.send_json(Method::POST, "/v1/erase", &body).await;
    assert_eq!((status, &done["mo_sms"]), (200, &json!(1)), "{done}");
    simdeck.end();
}

#[tokio::test]
async fn held_pushes_that_cannot_be_counted_in_a_second_can_be_taken_away() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let answer = simdeck.push_as(FORGER, "data-usage", second, r#"{"giccid":"1"}"#).await;
    assert_eq!(answer["quarantined"], 1, "{answer}");
    let restore = simdeck.slow_down("held", "class").await;
    for what in ["discard", "retry"] {
        let path = format!("/v1/held/{what}?class=quarantined&dry_run=true");
        let (status, dry) = simdeck.ask(Method::POST, &path).await;
        assert_eq!((status, &dry["matched"]), (200, &Value::Null), "{what}: {dry}");
    }
    let asked = simdeck.run(&["held", "discard", "--class", "quarantined"]);
    let question = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(question.contains("more held pushes than can be counted in a second"), "{question}");
    simdeck.change_database(&restore).await;
    let (status, done) = simdeck.ask(Method::POST, "/v1/held/discard?class=quarantined").await;
    assert_eq!((status, &done["discarded"]), (200, &json!(1)), "{done}");
    simdeck.end();
}

#[tokio::test]
async fn a_second_that_could_not_be_looked_for_in_quarantine_is_not_taken_for_known() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let answer = simdeck.push_as(FORGER, "data-usage", second, r#"{"giccid":"1"}"#).await;
    assert_eq!(answer["quarantined"], 1, "{answer}");
    let restore = simdeck.slow_down("held", "class").await;
    let mut body = json!({"datePush": second - 5});
    let (status, problem) = simdeck.send_json(Method::POST, "/v1/retract", &body.to_string()).await;
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(status == 404 && detail.contains("too much to look through"), "{status}: {problem}");
    let date_push = (second - 5).to_string();
    let refused = simdeck.run(&["retract", "--date-push", &date_push, "--yes"]);
    let refusal = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && refusal.contains("--force"), "{refusal}");
    assert!(refusal.contains("too much to look through"), "{refusal}");
    assert_eq!(simdeck.get("/v1/retractions").await, json!([]));
    body["force"] = true.into();
    let (status, done) = simdeck.send_json(Method::POST, "/v1/retract", &body.to_string()).await;
    assert_eq!((status, &done["held"]), (200, &Value::Null), "{done}");
    simdeck.change_database(&restore).await;
    simdeck.end();
}
