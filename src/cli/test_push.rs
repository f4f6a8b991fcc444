//! Pushes to our own public listener, the way a sender does.
use std::{net::SocketAddr, time::Duration};

use tokio::sync::watch;

use super::{
    Failure,
    client::http_client_here,
    reload::Credentials,
    settings::{Settings, push_url},
    signed::Proof,
};
use crate::{
    domain::{Clock, SystemClock, Timestamp},
    http::{TestAnswer, TestPusher},
    smarthub::kind::DATA_USAGE,
};

/// A push that is not answered by then has failed: the listener's own limits are shorter.
pub(super) const TIME_MAX: Duration = Duration::from_secs(10);

/// Nobody's SIM: no operator has this number.
const TEST_SIM: &str = "89000000000000000000";
/// The first digits of such numbers; ten more follow.
pub(super) const TEST_SIM_PREFIX: &str = "8900000000";

/// A signed usage record of this SIM, of this moment.
pub(super) fn body(key: &str, giccid: &str, date_shift_s: i64, now: Timestamp) -> String {
    let record =
        format!("\"giccid\":\"{giccid}\",\"data_usage\":1,\"start_time\":{}", now.unix_ms());
    Proof::at(key, now, date_shift_s).object(&record)
}

/// What pushes tests to the public listener at `address`, with the first of the live keys.
pub(super) fn pusher(
    settings: &Settings,
    address: SocketAddr,
    credentials: watch::Receiver<Credentials>,
) -> Result<TestPusher, Failure> {
    let mut here = settings.clone();
    here.public.listen = address;
    let base = here.public_url_here();
    let shown = format!("{base}/v1/{DATA_USAGE}");
    let http = http_client_here(&base)?;
    let date_shift_s = settings.push.date_shift_s;
    Ok(TestPusher::new(shown, move |nonce| {
        let live = credentials.borrow();
        let key = live.push_keys.first().map_or("", |key| key.key.expose());
        let body = body(key, TEST_SIM, date_shift_s, SystemClock.now());
        let url = push_url(&base, live.path_tokens.first(), DATA_USAGE);
        let request = http.post(&url).header("Simdeck-Test", nonce).timeout(TIME_MAX).body(body);
        Box::pin(async move {
            // An error of the client names the address, and with it the path token.
            let answer = request.send().await.map_err(reqwest::Error::without_url)?;
            let status = answer.status().as_u16();
            let body = answer.text().await.map_err(reqwest::Error::without_url)?;
            Ok(TestAnswer { status, body })
        })
    }))
}
