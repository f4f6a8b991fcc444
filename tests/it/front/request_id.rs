//! By what an answer and the line of the log that tells of it are found together.
use reqwest::Method;

use crate::server::{Simdeck, now_s, proof, signature, signed, usage};

const SIM: &str = "8944501503181377993";

#[tokio::test]
async fn who_is_sent_away_has_an_id_that_one_line_of_the_log_has_too() {
    let simdeck = Simdeck::start(&[("SIMDECK_LOG", "debug"), ("SIMDECK_PUBLIC_MAX_BODY", "64KiB")]);
    let forged = format!(
        r#"{{"datePush":{0},"signature":"{1}",{2}}}"#,
        now_s(),
        signature("another key", now_s()),
        usage(SIM)
    );
    let large = " ".repeat(65_537);
    let mut told = vec![
        (simdeck.post("data-usage", forged.clone()).await, 401, "signature_wrong"),
        (simdeck.post("data-usage", usage(SIM)).await, 400, "not_json"),
        (simdeck.post("data-usage", large).await, 413, "too_large"),
        (simdeck.post("Data-Usage", signed(&usage(SIM))).await, 404, "not_found"),
        (
            simdeck.post_with("data-usage", "{}", &[("Content-Encoding", "gzip")]).await,
            415,
            "encoded",
        ),
        (
            simdeck.ask_public(Method::PUT, "/v1/data-usage", Vec::new(), &[]).await,
            405,
            "method_not_allowed",
        ),
    ];
    // Who fails too often is told so; a stranger's own id goes nowhere.
    let theirs = [("X-Request-Id", "theirs")];
    let mut too_often = None;
    for _ in 0..100 {
        let answer = simdeck.post_with("data-usage", forged.clone(), &theirs).await;
        if answer.status != 401 {
            too_often = Some(answer);
            break;
        }
    }
    told.push((too_often.expect("a limit"), 429, "Sent a request away"));
    let good = format!("{{{},{}}}", proof(now_s()), usage(SIM));
    let good = simdeck.post("data-usage", good).await;
    assert_eq!((good.status, good.headers.get("x-request-id")), (200, None), "nothing to look up");

    let log = simdeck.end();
    assert!(!log.contains("theirs"), "{log}");
    for (answer, status, reason) in &told {
        assert_eq!(answer.status, *status);
        let id = answer.headers["x-request-id"].to_str().unwrap();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(id)).collect();
        assert_eq!(lines.len(), 1, "{status}: {lines:?}");
        assert!(lines[0].contains(reason), "{status}: {}", lines[0]);
        let same = told.iter().filter(|(other, ..)| other.headers["x-request-id"] == id);
        assert_eq!(same.count(), 1, "{status}: another has the id {id}");
    }
}
