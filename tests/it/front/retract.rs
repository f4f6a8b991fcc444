//! Records that somebody attached to a captured signature, taken out again.
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Simdeck, now_s, proof};

pub(super) const TRUE_SENDER: &str = "192.0.2.1";
pub(super) const FORGER: &str = "2001:db8::7";
pub(super) const SIM: &str = "8944501503181377993";
pub(super) const OTHER_SIM: &str = "8944501503181377001";
pub(super) const FORGED_SIM: &str = "8944501503181377666";
pub(super) const HOUR_MS: i64 = 3_600_000;

impl Simdeck {
    pub(super) async fn push_as(
        &self,
        source: &str,
        kind: &str,
        second: i64,
        records: &str,
    ) -> Value {
        let body = format!(r#"{{{},"records":[{records}]}}"#, proof(second));
        let answer = self.post_with(kind, body, &[("X-Forwarded-For", source)]).await;
        assert_eq!(answer.status, 200);
        answer.json()
    }

    async fn push_true(&self, second: i64) {
        let ms = second * 1000;
        let usage = [
            usage(SIM, ms - 30 * HOUR_MS, 5, "CN"),
            usage(SIM, ms - HOUR_MS, 7, "CN"),
            usage(OTHER_SIM, ms - 2 * HOUR_MS, 11, "FR"),
        ];
        self.push_as(TRUE_SENDER, "data-usage", second, &usage.join(",")).await;
        self.push_as(TRUE_SENDER, "mo-sms", second, &sms(SIM, ms - 5 * HOUR_MS)).await;
        self.push_as(TRUE_SENDER, "sim-status", second, &status(SIM, "ACTIVE")).await;
    }

    /// What somebody attaches to the captured second: of SIMs that there are, and of one that is not.
    async fn push_forged(&self, second: i64) {
        let ms = second * 1000;
        let usage = [
            usage(SIM, ms - 60 * HOUR_MS, 1_000, "CN"),
            usage(SIM, ms - 1_000, 2_000, "US"),
            usage(SIM, ms - HOUR_MS, 7, "CN"),
            usage(FORGED_SIM, ms - HOUR_MS, 4_000, "US"),
        ];
        self.push_as(FORGER, "data-usage", second, &usage.join(",")).await;
        for sim in [OTHER_SIM, FORGED_SIM] {
            self.push_as(FORGER, "mo-sms", second, &sms(sim, ms - 1_000)).await;
        }
        self.push_as(FORGER, "sim-status", second, &status(FORGED_SIM, "RETIRED")).await;
    }

    /// All that lists and sums say, without what depends on the order of arrival.
    async fn all_said(&self) -> Vec<Value> {
        let mut said = Vec::new();
        for path in [
            "/v1/data-usage",
            "/v1/mo-sms",
            "/v1/notifications",
            "/v1/sims?sort=last_seen",
            "/v1/sims?sort=data_usage&tz=Asia/Shanghai",
            "/v1/data-usage/aggregate?interval=1h&group_by=giccid,country_code",
            "/v1/data-usage/aggregate?interval=1d&tz=Asia/Shanghai&group_by=network",
            "/v1/data-usage/aggregate?interval=none&group_by=giccid&top=1",
            "/v1/data-usage/aggregate?interval=15m",
            "/v1/mo-sms/aggregate?interval=1h",
        ] {
            let mut rows = self.get(path).await;
            for row in rows.as_array_mut().unwrap() {
                let row = row.as_object_mut().unwrap();
                for of_arrival in ["id", "url", "push_id", "received_at", "identity"] {
                    row.remove(of_arrival);
                }
            }
            said.push(json!([path, rows]));
        }
        said
    }
}

pub(super) fn usage(giccid: &str, start_ms: i64, volume: i64, country: &str) -> String {
    format!(
        r#"{{"giccid":"{giccid}","start_time":{start_ms},"data_usage":{volume},"country_code":"{country}"}}"#
    )
}

pub(super) fn sms(giccid: &str, event_ms: i64) -> String {
    format!(r#"{{"giccid":"{giccid}","event_time":{event_ms},"from_msisdn":"1"}}"#)
}

pub(super) fn status(giccid: &str, status: &str) -> String {
    format!(r#"{{"giccid":"{giccid}","status":"{status}"}}"#)
}

fn without_urls(said: &[Value], internal: &str) -> String {
    json!(said).to_string().replace(internal, "…")
}

#[tokio::test]
async fn forged_records_leave_lists_and_sums_as_if_they_had_never_come() {
    let (plain, attacked) = (Simdeck::start(&[]), Simdeck::start(&[]));
    let second = now_s();
    for simdeck in [&plain, &attacked] {
        simdeck.push_true(second).await;
    }
    let truth = without_urls(&plain.all_said().await, plain.internal());
    attacked.push_forged(second).await;
    assert_ne!(without_urls(&attacked.all_said().await, attacked.internal()), truth);

    let date_push = second.to_string();
    let question = ["retract", "--date-push", &date_push, "--source", FORGER, "--output", "json"];
    let told = |more: &[&str]| -> Value {
        let done = attacked.run(&[&question, more].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    };
    let counts =
        json!({"source": FORGER, "data_usage": 3, "mo_sms": 2, "notifications": 1, "kept": 0});
    let wanted = |id: Value, dry_run: bool| {
        json!({
            "id": id, "data_usage": 3, "mo_sms": 2, "notifications": 1, "kept": 0,
            "held": 0, "is_known": true, "dry_run": dry_run,
            "sources": [counts],
        })
    };
    assert_eq!(told(&["--dry-run"]), wanted(Value::Null, true));
    assert_ne!(
        without_urls(&attacked.all_said().await, attacked.internal()),
        truth,
        "only counted"
    );
    let unasked = attacked.run(&question);
    assert!(!unasked.status.success(), "nobody said yes");
    let done = told(&["--yes"]);
    assert_eq!(done, wanted(done["id"].clone(), false));
    assert_eq!(without_urls(&attacked.all_said().await, attacked.internal()), truth);

    let (status, _) = attacked.ask(Method::GET, &format!("/v1/sims/{FORGED_SIM}")).await;
    assert_eq!(status, 404, "nothing of that SIM is left");
    let tombstone = json!({
        "kind": "retracted", "id": done["id"], "source": FORGER,
        "datePush": attacked.rows("/v1/data-usage").await[0]["datePush"],
    });
    let told = attacked.rows("/v1/changes?kind=retracted").await;
    assert_eq!(told, std::slice::from_ref(&tombstone));
    assert_eq!(attacked.rows("/v1/changes").await.first(), Some(&tombstone));
    plain.end();
    attacked.end();
}

#[tokio::test]
async fn what_comes_again_under_a_retracted_date_is_set_aside_and_under_another_it_is_stored() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let record = usage(SIM, second * 1000, 7, "CN");
    let counts = |answer: &Value| {
        ["stored", "duplicates", "quarantined"].map(|name| answer[name].as_u64().unwrap())
    };
    let push = async |source, second| {
        counts(&simdeck.push_as(source, "data-usage", second, &record).await)
    };
    assert_eq!(push(FORGER, second).await, [1, 0, 0]);
    let body = json!({"datePush": second, "source": FORGER}).to_string();
    let (status, answer) = simdeck.send_json(Method::POST, "/v1/retract", &body).await;
    assert_eq!((status, &answer["data_usage"]), (200, &json!(1)), "{answer}");
    assert_eq!(push(FORGER, second).await, [0, 0, 1]);
    assert_eq!(push(TRUE_SENDER, second).await, [1, 0, 0], "another source is not meant");
    assert_eq!(push(FORGER, second - 1).await, [0, 1, 0], "nor is the record, whenever it comes");
    // Everybody's, this time.
    let body = json!({"datePush": second}).to_string();
    let (_, answer) = simdeck.send_json(Method::POST, "/v1/retract", &body).await;
    assert_eq!(answer["sources"][0]["source"], TRUE_SENDER, "{answer}");
    // Another second has brought the record, too, so that it stays as that one's.
    assert_eq!((&answer["data_usage"], &answer["kept"]), (&json!(0), &json!(1)), "{answer}");
    let rows = simdeck.rows("/v1/data-usage").await;
    assert_eq!((rows.len(), &rows[0]["source"]), (1, &json!(FORGER)), "{rows:?}");

    let simdeck = simdeck.restart(&[]);
    let record = usage(SIM, second * 1000, 7, "CN");
    for source in [FORGER, TRUE_SENDER] {
        let answer = simdeck.push_as(source, "data-usage", second, &record).await;
        assert_eq!(counts(&answer), [0, 0, 1], "{source}: still, after a restart");
    }
    let rows = simdeck.rows("/v1/held?reason=date_retracted").await;
    assert_eq!(rows.len(), 1, "the very same raises the count");
    assert_eq!(simdeck.get("/v1/status").await["held"]["stale"]["pushes"], 3, "each time");
    let answer = simdeck.push_as(FORGER, "data-usage", second - 1, &record).await;
    assert_eq!(counts(&answer), [0, 1, 0]);
    // Each count is that of its own act, and a retry says why it means fewer than a discard does.
    let ask = async |act: &str| simdeck.ask(Method::POST, &format!("/v1/held/{act}")).await.1;
    let answer = ask("discard?class=stale&dry_run=true").await;
    assert_eq!(answer["matched"], 1, "{answer}");
    for dry_run in [true, false] {
        let answer = ask(&format!("retry?class=stale&dry_run={dry_run}")).await;
        assert_eq!(answer["matched"], 0, "a forgery comes back with nothing else: {answer}");
        assert_eq!(answer["retracted_left_out"], 1, "{answer}");
    }
    let answer = ask("retry?reason=date_retracted&dry_run=true").await;
    assert_eq!((&answer["matched"], &answer["retracted_left_out"]), (&json!(1), &json!(0)));
    let words = ["held", "retry", "--class", "stale", "--dry-run", "--output", "table"];
    let told = simdeck.run(&words).stdout;
    let told = String::from_utf8_lossy(&told);
    assert!(
        told.contains("Matching: 0 held pushes; nothing is changed. Left out: 1 held push"),
        "{told}"
    );
    assert!(told.contains("--reason date_retracted"), "{told}");
    let retry = format!("/v1/held/{}/retry", rows[0]["id"]);
    let (status, answer) = simdeck.ask(Method::POST, &retry).await;
    assert_eq!((status, counts(&answer)), (200, [0, 1, 0]), "a person may take it in");
    for bad in [r#"{}"#, r#"{"datePush":"never"}"#, r#"{"datePush":1,"source":"x"}"#] {
        assert_eq!(simdeck.send_json(Method::POST, "/v1/retract", bad).await.0, 422, "{bad}");
    }
    simdeck.end();
}

#[tokio::test]
async fn what_was_held_before_its_date_was_retracted_does_not_come_in_with_others() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    // Each without what its kind needs: one of the captured second, one of another.
    let record = format!(r#"{{"giccid":"{SIM}","text":"x"}}"#);
    for (source, second) in [(FORGER, second), (TRUE_SENDER, second - 5)] {
        let answer = simdeck.push_as(source, "mo-sms", second, &record).await;
        assert_eq!(answer["quarantined"], 1, "{answer}");
    }
    let body = json!({"datePush": second, "force": true}).to_string();
    let (status, answer) = simdeck.send_json(Method::POST, "/v1/retract", &body).await;
    assert_eq!(status, 200, "{answer}");
    let all = "/v1/held/retry?reason=field_missing&as=sim-status";
    let (status, answer) = simdeck.ask(Method::POST, all).await;
    assert_eq!((status, &answer["stored"], &answer["quarantined"]), (200, &json!(1), &json!(1)));
    let rows = simdeck.rows("/v1/notifications").await;
    assert_eq!((rows.len(), &rows[0]["source"]), (1, &json!(TRUE_SENDER)), "{rows:?}");
    let held = simdeck.rows("/v1/held").await;
    assert_eq!((held.len(), &held[0]["reason"]), (1, &json!("date_retracted")), "{held:?}");
    let retry = format!("/v1/held/{}/retry?as=sim-status", held[0]["id"]);
    let (status, answer) = simdeck.ask(Method::POST, &retry).await;
    assert_eq!((status, &answer["stored"]), (200, &json!(1)), "a person may take it in: {answer}");
    assert!(simdeck.rows("/v1/held").await.is_empty());
    simdeck.end();
}
