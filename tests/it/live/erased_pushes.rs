//! What the list of requests shows of SIMs that were erased.
use reqwest::Method;
use serde_json::json;

use crate::server::{Simdeck, now_s, signed, usage};

const ERASED: &str = "8944501503181377993";
const OTHER: &str = "8944501503181377001";

impl Simdeck {
    async fn all_pushes(&self) -> String {
        self.ask_text(Method::GET, "/v1/pushes?size=1000").await.1
    }

    /// Pushes of another SIM, and such as are refused, that mention the erased one in every place.
    async fn push_mentions(&self) {
        let second = now_s();
        let record = usage(OTHER);
        let notes = [
            format!("beside {ERASED}"),
            ERASED.replace('8', "\\u0038"),
            format!("{} {ERASED} and so on", "x".repeat(3_800)),
            format!("{}{ERASED}{}", "x,".repeat(1_995), ",y".repeat(100)),
        ];
        for note in &notes {
            let of_other = format!(r#"{record},"note":"{note}""#);
            self.push("data-usage", signed(&of_other)).await;
            let forged =
                format!(r#"{{"datePush":{second},"signature":"{}",{of_other}}}"#, "0".repeat(64));
            assert_eq!(self.post("data-usage", forged).await.status, 401);
            assert_eq!(self.post("data-usage", format!("{{{of_other}")).await.status, 400);
        }
        let answer = self.post(&format!("data-usage/{ERASED}"), signed(&record)).await;
        assert_eq!(answer.status, 404);
    }
}

#[tokio::test]
async fn no_request_shows_the_number_of_an_erased_sim_before_or_after_its_erasure_or_lift() {
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", signed(&usage(ERASED))).await;
    simdeck.push_mentions().await;
    let before = simdeck.all_pushes().await;
    assert!(before.contains(ERASED), "{before}");
    let shown = |text: &str| {
        let parts = text.match_indices(&ERASED[..15]);
        let context = |(at, _): (usize, &str)| text[at.saturating_sub(50)..at + 30].to_owned();
        parts.map(context).filter(|part| !part.contains(OTHER)).collect::<Vec<_>>()
    };
    let body = json!({"giccid": ERASED}).to_string();
    let (status, answer) = simdeck.send_json(Method::POST, "/v1/erase", &body).await;
    assert_eq!(status, 200, "{answer}");
    let after = simdeck.all_pushes().await;
    assert_eq!(shown(&after), [""; 0], "what came before");
    simdeck.push_mentions().await;
    let later = simdeck.all_pushes().await;
    assert_eq!(shown(&later), [""; 0], "what comes later");
    assert!(later.contains(OTHER), "others are shown: {later}");
    let attention = simdeck.ask_text(Method::GET, "/v1/attention").await.1;
    let status = simdeck.ask_text(Method::GET, "/v1/status").await.1;
    assert_eq!(shown(&(attention + &status)), [""; 0]);
    let path = format!("/v1/erasures/{ERASED}");
    assert_eq!(simdeck.ask(Method::DELETE, &path).await.0, 204);
    assert_eq!(shown(&simdeck.all_pushes().await), [""; 0], "what came until the lift");
    simdeck.push("data-usage", signed(&usage(ERASED))).await;
    assert!(simdeck.all_pushes().await.contains(ERASED), "it is kept again");
    simdeck.end();
}
