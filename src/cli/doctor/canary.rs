//! A signed test push through the real front door, twice: the first has to arrive, the second to be
//! known as the same.
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    cli::{
        Failure, client::ApiClient, client::http_client, finding::Finding, keys,
        settings::Settings, test_push,
    },
    domain::{Clock, SystemClock, sentence},
    smarthub::kind::DATA_USAGE,
};

const CHECK: &str = "front door";

/// Sends it, and says how it went.
pub(super) async fn send(client: &ApiClient, settings: &Settings) -> Finding {
    match sent(client, settings).await {
        Ok(finding) => finding,
        Err(failure) => Finding::problem(
            CHECK,
            sentence(format!("The test push could not be made: {failure}")),
            "Give the settings of the server: SIMDECK_PUSH_KEY, SIMDECK_API_KEY, SIMDECK_DATA_DIR.",
        ),
    }
}

async fn sent(client: &ApiClient, settings: &Settings) -> Result<Finding, Failure> {
    let keys = keys::push_keys(settings)?;
    let key = keys.first().ok_or_else(|| Failure::new("there is no push key"))?;
    let nonces = json!({"pushes": 2});
    let answer = client.send(Method::POST, "/v1/test-nonces", &[], Some(&nonces)).await?;
    let answer: Value =
        answer.json().await.map_err(Failure::because("the server's answer cannot be read"))?;
    let nonce = answer["nonce"].as_str().unwrap_or_default();
    let url = settings.push_url(DATA_USAGE);
    let http = http_client(&url)?;
    let mark =
        format!("{}{:010}", test_push::TEST_SIM_PREFIX, rand::random_range(0..10_u64.pow(10)));
    let body =
        test_push::body(key.key.expose(), &mark, settings.push.date_shift_s, SystemClock.now());
    for _ in 0..2 {
        let request = http.post(&url).header("Simdeck-Test", nonce).timeout(test_push::TIME_MAX);
        match request.body(body.clone()).send().await {
            Ok(answer) if answer.status().is_success() => (),
            Ok(answer) => return Ok(refused(answer.status())),
            Err(error) => {
                // The error would name the address, and with it the path token.
                let failure = Failure::told(&error.without_url());
                let finding = sentence(format!("The address does not answer: {failure}"));
                let todo = "Look whether its name leads here, the firewall lets it in, the proxy in \
                            front runs, and its certificate is valid.";
                return Ok(Finding::problem(CHECK, finding, todo));
            }
        }
    }
    let query = [("kind", DATA_USAGE), ("size", "100")];
    let pushes = client.send(Method::GET, "/v1/pushes", &query, None).await?;
    let pushes: Vec<Value> =
        pushes.json().await.map_err(Failure::because("the server's answer cannot be read"))?;
    let is_ours = |row: &&Value| row["body"].as_str().is_some_and(|body| body.contains(&mark));
    let outcomes: Vec<&str> =
        pushes.iter().rev().filter(is_ours).filter_map(|row| row["outcome"].as_str()).collect();
    Ok(arrived(&outcomes))
}

/// What became of the two, by what the server says of them.
fn arrived(outcomes: &[&str]) -> Finding {
    match outcomes {
        ["stored", "duplicate"] => Finding::ok(
            CHECK,
            "A signed test push arrived and was stored once, though it was sent twice; it is in no \
             total.",
        ),
        [] => Finding::problem(
            CHECK,
            "The address answers as if it took pushes, but none came here.",
            "It leads to another server: correct the name, or the proxy in front.",
        ),
        others => Finding::problem(
            CHECK,
            format!("The two test pushes ended as: {}.", others.join(", ")),
            "Please report this: the first should be stored and the second a duplicate.",
        ),
    }
}

fn refused(status: StatusCode) -> Finding {
    let todo = match status.as_u16() {
        300..=399 => "SmartHub follows no redirect: register the address that it redirects to.",
        401 => {
            "The server has another push key than this command, or the proxy in front changes \
             bodies: compare SIMDECK_PUSH_KEY."
        }
        403 => {
            "This machine is not in SIMDECK_PUBLIC_ALLOW_SOURCES, or the proxy in front refuses."
        }
        404 => {
            "The path token or the path is another: compare SIMDECK_PUBLIC_PATH_TOKEN, and what the \
             proxy in front cuts off."
        }
        405 => "The proxy in front does not let POST through.",
        409 => "The address leads to another simdeck: correct the name, or the proxy in front.",
        413 => {
            "The proxy in front takes smaller bodies only: raise its limit to SIMDECK_PUBLIC_MAX_BODY."
        }
        429 => "Too many failed pushes came from here: wait a minute.",
        502 | 504 => "The proxy in front does not reach simdeck: look at its upstream.",
        503 => "Nothing can be stored now: see the other findings.",
        _ => "Look at the log of the proxy in front, and at simdeck's.",
    };
    Finding::problem(CHECK, format!("The address answered a test push with {status}."), todo)
}
