//! The commands of `simdeck rcms` beside a second client, written in another language after the rules of
//! the protocol alone: both see the same totals, routers, samples and failures, over real HTTP.
use std::process::Command;

use serde_json::{Value, json};

use super::stand_in::{
    CLIENT_ID, CLIENT_SECRET, Container, Fault, On, Sample, StandIn, Times, fleet,
};
use crate::commands::Machine;

const ROUTER: &str = "RB0000000000001";
const HOUR_MS: i64 = 3_600_000;

/// What each of the two makes of one question. A failure is what is said of it.
struct Understood {
    ours: Result<Value, String>,
    second: Result<Value, String>,
}

fn ask(endpoint: &str, question: &[&str]) -> Understood {
    let variables = [
        ("SIMDECK_RCMS_ENDPOINT", endpoint),
        ("SIMDECK_RCMS_CLIENT_ID", CLIENT_ID),
        ("SIMDECK_RCMS_CLIENT_SECRET", CLIENT_SECRET),
    ];
    let since: &[&str] = if question[0] == "status" { &["--since", "3h"] } else { &[] };
    let args: Vec<&str> = ["rcms"].iter().chain(question).chain(since).copied().collect();
    let output = Machine::new().run_with(&args, &variables, "");
    let ours = match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    };

    let now_ms = jiff::Timestamp::now().as_millisecond();
    let span = [now_ms - 3 * HOUR_MS, now_ms].map(|edge| edge.to_string());
    let span = if question[0] == "status" { &span[..] } else { &[] };
    let output = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rcms/second_client.py"))
        .args(question)
        .args(span)
        .env("ENDPOINT", endpoint)
        .env("CLIENT_ID", CLIENT_ID)
        .env("CLIENT_SECRET", CLIENT_SECRET)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let second: Value = serde_json::from_slice(&output.stdout).unwrap();
    let second = match second["failed"].as_str() {
        Some(failed) => Err(failed.to_owned()),
        None => Ok(second),
    };
    Understood { ours, second }
}

/// Asks both for everything, and says what they agreed on.
fn agreed(endpoint: &str, case: &str) -> [Value; 3] {
    [&["total"][..], &["devices"], &["status", ROUTER]].map(|question| {
        let Understood { ours, second } = ask(endpoint, question);
        let mut ours = ours.unwrap_or_else(|said| panic!("{case}, {question:?}: {said}"));
        for device in ours.as_array_mut().into_iter().flatten() {
            if question[0] == "devices" {
                *device = json!({"sn": device["sn"], "state": device["state"]});
            }
        }
        assert_eq!(Ok(&ours), second.as_ref(), "{case}, {question:?}");
        ours
    })
}

/// 130 routers with every form of the flag, of which the first has 60 samples.
async fn world() -> StandIn {
    let rcms = StandIn::start().await;
    let mut devices = fleet(130);
    let flags = [json!("online"), json!(true), json!("0"), json!(2), json!(1.0), json!(null)];
    for (device, flag) in devices.iter_mut().zip(flags) {
        device["onlineStatus"] = flag;
    }
    rcms.set_fleet(devices);
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let sample = |minute: i64| {
        let at_ms = now_ms - 60_000 * (minute + 1);
        let body = json!({"data": {"system": {"system_time": at_ms, "uptime": minute}}});
        Sample { at_ms, body }
    };
    rcms.edit(|world| world.samples.insert(ROUTER.to_owned(), (0..60).map(sample).collect()));
    rcms
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_see_the_same_whatever_form_the_answers_have() {
    let rcms = world().await;
    let url = rcms.url();
    let plain = agreed(&url, "as documented");
    let counts = plain.each_ref().map(|value| value.as_array().map_or(0, Vec::len));
    assert_eq!((&plain[0]["deviceTotal"], counts), (&json!(130), [0, 130, 60]));

    rcms.edit(|world| world.gzip = true);
    assert_eq!(agreed(&url, "packed"), plain);
    rcms.edit(|world| world.page_size_max = Some(10));
    assert_eq!(agreed(&url, "pages of ten whatever is asked"), plain);
    rcms.edit(|world| world.overlap = 3);
    assert_eq!(agreed(&url, "pages that overlap"), plain);
    rcms.edit(|world| (world.page_size_max, world.overlap) = (None, 0));
    rcms.edit(|world| world.page_size_refused_above = Some(20));
    assert_eq!(agreed(&url, "larger pages are refused"), plain);
    rcms.edit(|world| world.page_size_refused_above = None);
    for container in [Container::List, Container::Records, Container::Data] {
        rcms.edit(|world| world.container = container);
        assert_eq!(agreed(&url, &format!("{container:?}")), plain);
    }
    rcms.edit(|world| world.clock_skew_ms = 600_000);
    assert_eq!(agreed(&url, "clocks that disagree"), plain);
    rcms.edit(|world| world.prefix = "/gw".to_owned());
    assert_eq!(agreed(&format!("{url}/gw/"), "behind a prefix"), plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_are_told_the_same_of_what_fails() {
    let rcms = world().await;
    let words = json!({"code": 7, "msg": "not for you"}).to_string();
    let cases = [
        (Fault::SignatureRefused, "40002"),
        (Fault::Code(-1, "no such device".to_owned()), "code -1"),
        (Fault::Status(400, Vec::new(), words.clone()), "code 7"),
        (Fault::Status(401, Vec::new(), words), "not for you"),
        (Fault::Status(404, Vec::new(), String::new()), "status 404"),
        (Fault::Html, "unreadable"),
        (Fault::CutJson, "unreadable"),
    ];
    // Of what may pass simdeck asks again and again: one question is enough.
    let temporary = [
        (Fault::Status(502, Vec::new(), "Bad Gateway".to_owned()), "status 502"),
        (Fault::Truncated, "no answer"),
        (Fault::Reset, "no answer"),
    ];
    let every: &[&[&str]] = &[&["total"], &["devices"], &["status", ROUTER]];
    let cases = cases.into_iter().map(|(fault, word)| (fault, word, every));
    let temporary = temporary.into_iter().map(|(fault, word)| (fault, word, &every[..1]));
    // What simdeck calls the same.
    let ours_of = |word: &'static str| match word {
        "unreadable" => "SIMDECK_RCMS_ENDPOINT",
        "no answer" => "RCMS",
        word => word,
    };
    for (fault, word, questions) in cases.chain(temporary) {
        rcms.clear_faults();
        rcms.fault(On::Any, fault.clone(), Times::Always);
        for question in questions {
            let Understood { ours, second } = ask(&rcms.url(), question);
            let (ours, second) = (ours.unwrap_err(), second.unwrap_err());
            assert!(second.contains(word), "{fault:?}, {question:?}: {second}");
            assert!(ours.contains(ours_of(word)), "{fault:?}, {question:?}: {ours}");
        }
    }
}
