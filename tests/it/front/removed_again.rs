//! An erasure, a lift or a retraction that is asked for once more.
use std::{fs, process::Output};

use reqwest::Method;
use serde_json::{Value, json};

use super::retract::{FORGER, OTHER_SIM, SIM, TRUE_SENDER, usage};
use crate::server::{Simdeck, now_s};

fn output_of(output: &Output) -> String {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it).into_owned());
    out + &err
}

impl Simdeck {
    /// Runs a command that must end well.
    fn succeed(&self, args: &[&str]) -> String {
        let output = self.run(&[args, &["--output", "table"]].concat());
        assert!(output.status.success(), "{args:?}: {}", output_of(&output));
        output_of(&output)
    }

    /// Runs a command that must be refused.
    fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?}: {}", output_of(&output));
        output_of(&output)
    }

    async fn push_usage(&self, sim: &str, hours_ago: i64) -> Value {
        let second = now_s();
        let record = usage(sim, (second - hours_ago * 3600) * 1000, 5, "CN");
        self.push_as(TRUE_SENDER, "data-usage", second, &record).await
    }

    async fn usage_of(&self, sim: &str) -> usize {
        self.rows(&format!("/v1/data-usage?giccid={sim}")).await.len()
    }
}

#[tokio::test]
async fn an_erasure_ends_a_lift_also_where_nothing_is_stored_of_the_sim() {
    let simdeck = Simdeck::start(&[]);
    for sim in [SIM, OTHER_SIM] {
        simdeck.push_usage(sim, 2).await;
        simdeck.succeed(&["erase", "--giccid", sim, "--yes"]);
        simdeck.succeed(&["erase", "lift", "--giccid", sim]);
    }
    // By the command, which asks for the number first, and by the API.
    let typed = simdeck.folder().path().join("typed");
    fs::write(&typed, format!("{SIM}\n")).unwrap();
    let args = ["erase", "--giccid", SIM, "--output", "table"];
    let output = simdeck.run_typing(&args, fs::File::open(&typed).unwrap());
    let answer = output_of(&output);
    assert!(output.status.success(), "{answer}");
    assert!(
        answer.contains("Nothing to erase; what comes from now on is dropped again"),
        "{answer}"
    );
    let body = json!({"giccid": OTHER_SIM}).to_string();
    let (status, answer) = simdeck.send_json(Method::POST, "/v1/erase", &body).await;
    assert_eq!((status, &answer["ended_lift"]), (200, &json!(true)), "{answer}");
    for sim in [SIM, OTHER_SIM] {
        simdeck.push_usage(sim, 1).await;
        assert_eq!(simdeck.usage_of(sim).await, 0, "what comes of it is dropped again");
        let shown = simdeck.get(&format!("/v1/erasures/{sim}")).await;
        assert_eq!((&shown["lifted_at"], &shown["came_again"]), (&Value::Null, &json!(1)));
    }
    // An erasure that is in force is still refused, by both.
    let refusal = simdeck.refused(&["erase", "--giccid", SIM, "--yes"]);
    assert!(refusal.contains("was already erased at 20"), "{refusal}");
    assert_eq!(simdeck.send_json(Method::POST, "/v1/erase", &body).await.0, 404);
    simdeck.end();
}

#[tokio::test]
async fn a_lift_of_a_sim_that_was_never_erased_says_so() {
    let simdeck = Simdeck::start(&[]);
    let refusal = simdeck.refused(&["erase", "lift", "--giccid", SIM]);
    assert!(refusal.contains("This SIM was not erased"), "{refusal}");
    let path = format!("/v1/erasures/{SIM}");
    let (status, problem) = simdeck.ask(Method::DELETE, &path).await;
    assert_eq!((status, &problem["detail"]), (404, &json!("This SIM was not erased.")));
    let error = json!([{"resource": "erasures", "field": "giccid", "code": "missing"}]);
    assert_eq!(problem["errors"], error);
    simdeck.end();
}

#[tokio::test]
async fn the_list_of_erasures_sums_all_that_was_taken_away_of_a_sim() {
    let simdeck = Simdeck::start(&[]);
    let row = async |simdeck: &Simdeck| simdeck.get("/v1/erasures").await[0].clone();
    for hours in 2..5 {
        simdeck.push_usage(SIM, hours).await;
    }
    simdeck.succeed(&["erase", "--giccid", SIM, "--yes"]);
    let first = row(&simdeck).await;
    assert_eq!((&first["data_usage"], &first["first_erased_at"]), (&json!(3), &first["erased_at"]));
    simdeck.succeed(&["erase", "lift", "--giccid", SIM]);
    simdeck.push_usage(SIM, 1).await;
    let body = json!({"giccid": SIM}).to_string();
    let (_, answer) = simdeck.send_json(Method::POST, "/v1/erase", &body).await;
    assert_eq!(answer["data_usage"], 1, "an answer tells of its own erasure: {answer}");
    let second = row(&simdeck).await;
    assert_eq!(second["data_usage"], 4, "{second}");
    assert_eq!(second["first_erased_at"], first["erased_at"]);
    assert!(second["erased_at"].as_str() > first["erased_at"].as_str(), "{second}");
    // A third one with nothing to take loses none of it, nor does a restart.
    simdeck.succeed(&["erase", "lift", "--giccid", SIM]);
    simdeck.succeed(&["erase", "--giccid", SIM, "--yes"]);
    let simdeck = simdeck.restart(&[]);
    let third = row(&simdeck).await;
    assert_eq!((&third["data_usage"], &third["first_erased_at"]), (&json!(4), &first["erased_at"]));
    let listed = simdeck.succeed(&["erase", "list"]);
    assert!(listed.contains(" 4 "), "{listed}");
    simdeck.end();
}

#[tokio::test]
async fn a_retraction_of_one_source_is_told_to_whoever_asks_for_all_and_the_other_way_round() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s() - 10;
    let record = |second: i64| usage(SIM, second * 1000, 7, "CN");
    for second in [second, second - 1] {
        simdeck.push_as(FORGER, "data-usage", second, &record(second)).await;
    }
    let of_one = second.to_string();
    simdeck.succeed(&["retract", "--date-push", &of_one, "--source", FORGER, "--yes"]);
    let refusal = simdeck.refused(&["retract", "--date-push", &of_one, "--yes"]);
    assert!(refusal.contains("already retracted at 20"), "{refusal}");
    assert!(refusal.contains(&format!("for source {FORGER}")), "{refusal}");
    let of_all = (second - 1).to_string();
    simdeck.succeed(&["retract", "--date-push", &of_all, "--yes"]);
    let refusal =
        simdeck.refused(&["retract", "--date-push", &of_all, "--source", FORGER, "--yes"]);
    assert!(
        refusal.contains("already retracted at 20") && !refusal.contains("for source"),
        "{refusal}"
    );
    for (body, says_source) in [
        (json!({"datePush": second}), true),
        (json!({"datePush": second - 1, "source": FORGER}), false),
    ] {
        let (status, problem) =
            simdeck.send_json(Method::POST, "/v1/retract", &body.to_string()).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 404 && detail.contains("already retracted at 20"), "{problem}");
        assert_eq!(detail.contains(&format!("for source {FORGER}")), says_source, "{problem}");
    }
    simdeck.end();
}
