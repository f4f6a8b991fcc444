//! What the calls answer, and how the world shapes it.
use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::client::{LIST, Request, TOTAL};
use crate::rcms::stand_in::{Container, Sample, StandIn, device, fleet};

#[tokio::test]
async fn the_totals_are_counted_from_the_fleet_unless_they_are_set() {
    let stand_in = StandIn::start().await;
    let mut devices = fleet(4);
    devices.push(json!({ "sn": "RB9", "deviceOnLineStatus": "1" }));
    devices.push(json!({ "sn": "RB10" }));
    stand_in.set_fleet(devices);
    let counted = Request::get(TOTAL, &[]).send(&stand_in).await.data();
    assert_eq!(
        counted,
        json!({
            "deviceTotal": 6, "onlineTotal": 3, "offlineTotal": 3,
            "registeredTotal": 6, "unRegisteredTotal": 0, "userTotal": 1,
        })
    );

    stand_in.edit(|world| world.totals = Some(json!({ "deviceTotal": "14" })));
    let set = Request::get(TOTAL, &[]).send(&stand_in).await.data();
    assert_eq!(set, json!({ "deviceTotal": "14" }));
}

#[tokio::test]
async fn the_list_comes_in_each_container() {
    let stand_in = StandIn::start().await;
    stand_in.set_fleet(fleet(2));
    let items = json!(fleet(2));
    for (container, data) in [
        (Container::Bare, items.clone()),
        (Container::List, json!({ "list": items })),
        (Container::Records, json!({ "records": items })),
        (Container::Data, json!({ "data": items })),
    ] {
        stand_in.edit(|world| world.container = container);
        assert_eq!(page(&stand_in, 1, 10).await, data, "{container:?}");
    }
}

#[tokio::test]
async fn the_pages_of_the_list_meet_and_the_last_is_short() {
    let stand_in = StandIn::start().await;
    stand_in.set_fleet(fleet(5));
    assert_eq!(numbers(&stand_in, 4, 2).await, [vec![1, 2], vec![3, 4], vec![5], vec![]]);

    stand_in.edit(|world| world.page_size_max = Some(3));
    assert_eq!(numbers(&stand_in, 2, 10).await, [vec![1, 2, 3], vec![4, 5]]);

    stand_in.edit(|world| world.overlap = 1);
    assert_eq!(numbers(&stand_in, 3, 3).await, [vec![1, 2, 3], vec![3, 4, 5], vec![5]]);

    stand_in.edit(|world| world.ignore_paging = true);
    assert_eq!(numbers(&stand_in, 2, 2).await, [vec![1, 2], vec![1, 2]]);
}

#[tokio::test]
async fn a_page_that_is_no_number_from_1_is_refused() {
    let stand_in = StandIn::start().await;
    for own in [("pageNum", "0"), ("pageNum", "x"), ("pageSize", "-1")] {
        assert_eq!(Request::get(LIST, &[own]).send(&stand_in).await.code(), -1, "{own:?}");
    }
    let bad_window = [("beginTime", "yesterday")];
    stand_in.set_fleet(fleet(1));
    let answer = Request::get(&status_of("RB0000000000001"), &bad_window).send(&stand_in).await;
    assert_eq!(answer.code(), -1);
}

#[tokio::test]
async fn one_device_is_shown_as_the_list_has_it() {
    let stand_in = StandIn::start().await;
    stand_in.set_fleet(vec![device("RB1", "1"), json!("no object at all")]);
    let path = format!("{LIST}/RB1");
    assert_eq!(Request::get(&path, &[]).send(&stand_in).await.data(), device("RB1", "1"));
    assert_eq!(Request::get(&format!("{LIST}/RB2"), &[]).send(&stand_in).await.code(), -1);
}

#[tokio::test]
async fn status_samples_come_from_their_window_with_both_ends_and_in_pages() {
    let stand_in = StandIn::start().await;
    let sample = |at_ms: i64| Sample { at_ms, body: json!({ "data": { "n": at_ms } }) };
    stand_in.edit(|world| {
        world.devices = fleet(1);
        world.samples.insert("RB7".into(), [3000, 1000, 4000, 2000].map(sample).into());
    });
    for (own, times) in [
        (vec![], vec![3000, 1000, 4000, 2000]),
        (vec![("beginTime", "2000"), ("endTime", "3000")], vec![3000, 2000]),
        (vec![("beginTime", "3001")], vec![4000]),
        (vec![("endTime", "1999")], vec![1000]),
        (vec![("pageNum", "2"), ("pageSize", "3")], vec![2000]),
    ] {
        let data = Request::get(&status_of("RB7"), &own).send(&stand_in).await.data();
        let seen: Vec<_> = data.as_array().unwrap().iter().map(|item| &item["data"]["n"]).collect();
        assert_eq!(seen, times.iter().collect::<Vec<_>>(), "{own:?}");
    }
    let silent = Request::get(&status_of("RB0000000000001"), &[]).send(&stand_in).await;
    assert_eq!(silent.data(), json!([]));
    assert_eq!(Request::get(&status_of("RB8"), &[]).send(&stand_in).await.code(), -1);
}

#[tokio::test]
async fn a_group_is_set_in_the_field_that_the_device_has() {
    let stand_in = StandIn::start().await;
    stand_in.set_fleet(vec![device("RB1", 1), json!({ "sn": "RB2", "deviceGroup": "Old" })]);
    for (sn, body, code) in [
        ("RB1", r#"{"groupName":"Demo"}"#, 0),
        ("RB2", r#"{"groupName":"Demo"}"#, 0),
        ("RB3", r#"{"groupName":"Demo"}"#, -1),
        ("RB1", r#"{"group":"Other"}"#, -1),
        ("RB1", "groupName=Other", -1),
    ] {
        let path = format!("/api/link/devices/{sn}/group");
        let answer = Request::signed("PUT", &path, &[], body).send(&stand_in).await;
        assert_eq!(answer.code(), code, "{sn} {body}");
    }
    let groups = stand_in.edit(|world| {
        [world.devices[0]["groupName"].clone(), world.devices[1]["deviceGroup"].clone()]
    });
    assert_eq!(groups, ["Demo", "Demo"]);
}

#[tokio::test]
async fn another_path_or_method_is_a_page_of_html() {
    let stand_in = StandIn::start().await;
    for request in [
        Request::get("/api/link/nothing", &[]),
        Request::signed("POST", TOTAL, &[], ""),
        Request::get(&format!("/gw{TOTAL}"), &[]),
    ] {
        let answer = request.send(&stand_in).await;
        assert_eq!(answer.status, 404);
        assert!(answer.header("Content-Type").unwrap().starts_with("text/html"));
        assert!(answer.body.starts_with(b"<!DOCTYPE html>"));
    }
}

#[tokio::test]
async fn a_date_and_a_type_are_in_each_answer() {
    let stand_in = StandIn::start().await;
    stand_in.edit(|world| {
        world.now_ms = Box::new(|| 1_760_000_000_000);
        world.clock_skew_ms = -9_000;
    });
    let answer = Request::get(TOTAL, &[]).send(&stand_in).await;
    assert_eq!(answer.header("Date"), Some("Thu, 09 Oct 2025 08:53:11 GMT"));
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    assert_eq!(answer.length(), answer.body.len());
}

#[tokio::test]
async fn an_answer_is_zipped_for_those_who_ask() {
    let stand_in = StandIn::start().await;
    stand_in.edit(|world| world.gzip = true);
    let plain = Request::get(TOTAL, &[]).send(&stand_in).await;
    assert_eq!(plain.header("Content-Encoding"), None);

    let zipped = Request::get(TOTAL, &[]).with_header("Accept-Encoding", "br, gzip");
    let zipped = zipped.send(&stand_in).await;
    assert_eq!(zipped.header("Content-Encoding"), Some("gzip"));
    let mut unzipped = Vec::new();
    GzDecoder::new(zipped.body.as_slice()).read_to_end(&mut unzipped).unwrap();
    assert_eq!(unzipped, plain.body);
}

fn status_of(sn: &str) -> String {
    format!("{LIST}/{sn}/statusData")
}

async fn page(stand_in: &StandIn, page_num: usize, page_size: usize) -> Value {
    let (page_num, page_size) = (page_num.to_string(), page_size.to_string());
    let own = [("pageNum", page_num.as_str()), ("pageSize", page_size.as_str())];
    Request::get(LIST, &own).send(stand_in).await.data()
}

/// The devices of the first pages, by the number in their `sn`.
async fn numbers(stand_in: &StandIn, pages: usize, page_size: usize) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    for page_num in 1..=pages {
        let data = page(stand_in, page_num, page_size).await;
        let number = |item: &Value| item["sn"].as_str().unwrap()[2..].parse().unwrap();
        all.push(data.as_array().unwrap().iter().map(number).collect());
    }
    all
}
