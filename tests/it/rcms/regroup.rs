//! `simdeck rcms regroup`: many routers into a group, through the server.
use std::process::Output;

use serde_json::{Value, json};

use super::{
    live::{start, until},
    stand_in::{Fault, On, StandIn, Times, fleet},
};
use crate::server::Simdeck;

const SNS: [&str; 4] = ["RB0000000000001", "RB0000000000002", "RB0000000000003", "RB0000000000004"];

async fn server_of_four() -> (StandIn, Simdeck) {
    let rcms = StandIn::start().await;
    let mut devices = fleet(4);
    devices[1]["groupName"] = json!("Demo");
    rcms.set_fleet(devices);
    let simdeck = start(&rcms, &[]);
    until(&simdeck, "/v1/devices", |rows| rows.as_array().unwrap().len() == 4).await;
    (rcms, simdeck)
}

/// The steps: which device, from where, and what became of it.
fn steps(output: &Output) -> Vec<[String; 3]> {
    let steps: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let text = |step: &Value, name: &str| step[name].as_str().unwrap_or("-").to_owned();
    let steps = steps.as_array().unwrap().iter();
    steps.map(|step| ["sn", "from", "outcome"].map(|name| text(step, name))).collect()
}

fn expected(outcomes: [&str; 4]) -> Vec<[String; 3]> {
    let from = ["Default", "Demo", "Default", "Default"];
    let step = |nth: usize| [SNS[nth], from[nth], outcomes[nth]].map(str::to_owned);
    (0..4).map(step).collect()
}

fn groups(rcms: &StandIn) -> Vec<Value> {
    rcms.edit(|world| world.devices.iter().map(|device| device["groupName"].clone()).collect())
}

fn said(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_routers_are_put_into_a_group_each_on_record_and_a_dry_run_changes_none() {
    let (rcms, simdeck) = server_of_four().await;
    let list = format!("{}\r\n\n {} \n{}\n", SNS[1].to_lowercase(), SNS[2], SNS[3]);
    std::fs::write(simdeck.folder().path().join("list.txt"), list).unwrap();
    let args = ["rcms", "regroup", "Demo", SNS[0], "--file", "list.txt"];
    let dry = simdeck.run(&[&args[..], &["--dry-run"]].concat());
    assert_eq!(steps(&dry), expected(["planned", "unchanged", "planned", "planned"]));
    assert!(dry.status.success());
    assert_eq!(groups(&rcms), ["Default", "Demo", "Default", "Default"]);

    let done = simdeck.run(&args);
    assert_eq!(steps(&done), expected(["done", "unchanged", "done", "done"]));
    assert!(done.status.success());
    assert_eq!(groups(&rcms), ["Demo"; 4]);
    let audit = simdeck.rows("/v1/audit?action=device.group").await;
    let mut subjects: Vec<_> = audit.iter().map(|row| row["subject"].as_str().unwrap()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, [SNS[0], SNS[2], SNS[3]]);
    assert!(audit.iter().all(|row| row["details"] == "into Demo, before in Default"), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_fails_it_stops_and_tells_which_are_done_and_which_are_not() {
    let (rcms, simdeck) = server_of_four().await;
    let path = format!("/api/link/devices/{}/group", SNS[2]);
    rcms.edit(|world| {
        world.on_request = Some(Box::new(move |asked| (asked == path).then_some(400)));
    });
    let args = [&["rcms", "regroup", "Demo"], &SNS[..]].concat();
    let stopped = simdeck.run(&args);
    assert_eq!(steps(&stopped), expected(["done", "unchanged", "failed", "not_tried"]));
    let told = said(&stopped);
    assert!(told.contains("RB0000000000003 is not changed") && told.contains("400"), "{told}");
    assert!(told.contains("1 device is changed and 1 not tried"), "{told}");
    assert_eq!(groups(&rcms), ["Demo", "Demo", "Default", "Default"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_of_the_pen_in_a_list_changes_nothing() {
    let (rcms, simdeck) = server_of_four().await;
    rcms.fault(On::Group, Fault::Code(-1, "must not be asked".to_owned()), Times::Always);
    std::fs::write(simdeck.folder().path().join("list.txt"), "RB0000000000001\nRB 2\n").unwrap();
    let cases = [
        (
            vec![SNS[0], "RB9", "RB8"],
            "2 numbers are of no device that the server knows; the first is RB9",
        ),
        (vec!["--file", "list.txt"], "list.txt, line 2: a serial number has"),
        (vec!["--file", "absent.txt"], "absent.txt"),
    ];
    for (named, words) in cases {
        let args = [&["rcms", "regroup", "Demo"], &named[..]].concat();
        let told = said(&simdeck.run(&args));
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(groups(&rcms), ["Default", "Demo", "Default", "Default"]);
    assert!(!rcms.requests().iter().any(|seen| seen.method == "PUT"));
}
