//! What is told while nothing new comes.
use crate::server::{Simdeck, now_s, signed, usage};

const SIM: &str = "8944501503181377993";

#[tokio::test]
async fn a_repeat_is_no_sign_of_life_and_nothing_arrives_through_while_the_feed_is_dead() {
    let simdeck = Simdeck::start(&[]);
    let ms = now_s() * 1000;
    let record = |nth: i64| {
        let start = format!("\"start_time\":{}", ms - 60_000 - nth);
        usage(SIM).replace("\"start_time\":1713888842473", &start)
    };
    let told = async || {
        let last =
            simdeck.get("/v1/status").await["pushes"]["data-usage"]["last_received_at"].clone();
        (last, simdeck.get("/v1/summary").await["arrived_through"].clone())
    };
    assert_eq!(simdeck.push("data-usage", signed(&record(0))).await, (1, 0, 0));
    let alive = told().await;
    assert!(alive.1.is_string(), "{alive:?}");
    for _ in 0..3 {
        assert_eq!(simdeck.push("data-usage", signed(&record(0))).await, (0, 1, 0));
        assert_eq!(told().await, alive, "nothing new came");
    }
    assert_eq!(simdeck.push("data-usage", signed(&record(1))).await, (1, 0, 0));
    let again = told().await;
    assert_ne!(again.0, alive.0);
    assert_ne!(again.1, alive.1);
    simdeck.end();
}
