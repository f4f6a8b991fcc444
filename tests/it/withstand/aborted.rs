//! Clients that leave: at every byte of a request, and while others push.
use std::fs;

use serde_json::json;

use super::{
    line::{from, request},
    say,
};
use crate::server::{Simdeck, signed, usage};
use tokio::io::AsyncWriteExt;

/// Connections of 127.0.0.2 that the server still has.
fn connections(simdeck: &Simdeck) -> usize {
    let (_, port) = simdeck.public().rsplit_once(':').unwrap();
    let local = format!(":{:04X}", port.parse::<u16>().unwrap());
    let is_open = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        words.next().is_some_and(|word| word.ends_with(&local))
            && words.next().is_some_and(|word| word.starts_with("0200007F:"))
            // Established, or left by the client and not yet by us.
            && words.next().is_some_and(|state| ["01", "08"].contains(&state))
    };
    fs::read_to_string("/proc/net/tcp").unwrap().lines().filter(is_open).count()
}

#[tokio::test]
async fn a_request_aborted_at_any_byte_is_not_stored_and_costs_nothing() {
    let simdeck = Simdeck::start(&[]);
    let whole = request("/v1/data-usage", &signed(&usage("8944501503181377993")));
    assert_eq!(simdeck.push("data-usage", signed(&usage("8944501503181377994"))).await.0, 1);
    let mut trials = 0;
    for reset in [false, true] {
        for end in 0..whole.len() {
            let mut stream = from(2, simdeck.public()).await.unwrap();
            stream.write_all(&whole.as_bytes()[..end]).await.unwrap();
            if reset {
                stream.set_zero_linger().unwrap();
            }
            drop(stream);
            trials += 1;
        }
    }
    let again = simdeck.push("data-usage", signed(&usage("8944501503181377994"))).await;
    assert_eq!(again, (0, 1, 0));
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    assert_eq!(simdeck.get("/v1/held").await, json!([]), "nobody has seen what it was");
    let _still = from(2, simdeck.public()).await.unwrap();
    while connections(&simdeck) > 1 {
        tokio::task::yield_now().await;
    }
    say(&format!("{trials} trials, 0 failures"));
    simdeck.end();
}
