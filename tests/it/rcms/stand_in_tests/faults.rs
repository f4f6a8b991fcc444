//! What goes wrong, as often as the script says and no more.
use std::{
    io::{ErrorKind, Read},
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Answer, LIST, Request, TOTAL, connect, soon};
use crate::rcms::stand_in::{Elsewhere, Fault, On, StandIn, Times, fleet};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn a_fault_happens_as_often_as_scripted() {
    let stand_in = StandIn::start().await;
    let code = |code| Fault::Code(code, "as scripted".into());
    stand_in.fault(On::Any, code(1), Times::Once);
    stand_in.fault(On::Any, code(2), Times::Count(2));
    assert_eq!(codes(&stand_in, 5).await, [1, 2, 2, 0, 0]);

    stand_in.fault(On::Any, Fault::SignatureRefused, Times::Always);
    assert_eq!(codes(&stand_in, 3).await, [40002; 3]);
    assert!(stand_in.requests().iter().all(|seen| seen.verdict.is_ok()));
    stand_in.clear_faults();
    assert_eq!(codes(&stand_in, 1).await, [0]);
}

#[tokio::test]
async fn a_fault_meets_the_calls_that_it_is_meant_for() {
    let stand_in = StandIn::start().await;
    stand_in.set_fleet(fleet(2));
    let (one, two) = ("RB0000000000001", "RB0000000000002");
    let status = |sn| Request::get(&format!("{LIST}/{sn}/statusData"), &[]);
    let group = format!("/api/link/devices/{one}/group");
    let requests = [
        Request::get(TOTAL, &[]),
        Request::get(LIST, &[("pageNum", "1")]),
        Request::get(LIST, &[("pageNum", "2")]),
        status(one),
        status(two),
        Request::signed("PUT", &group, &[], r#"{"groupName":"Demo"}"#),
    ];
    for (on, hits) in [
        (On::Any, "xxxxxx"),
        (On::DeviceTotal, "x....."),
        (On::DeviceList, ".xx..."),
        (On::DeviceListPage(2), "..x..."),
        (On::StatusData, "...xx."),
        (On::StatusOf(two.into()), "....x."),
        (On::Group, ".....x"),
    ] {
        stand_in.clear_faults();
        stand_in.fault(on.clone(), Fault::Code(7, String::new()), Times::Always);
        let mut seen = String::new();
        for request in &requests {
            seen.push(if request.send(&stand_in).await.code() == 7 { 'x' } else { '.' });
        }
        assert_eq!(seen, hits, "{on:?}");
    }
}

#[tokio::test]
async fn a_write_that_meets_a_fault_changes_nothing() {
    let stand_in = StandIn::start().await;
    stand_in.set_fleet(fleet(1));
    stand_in.fault(On::Group, Fault::Status(503, vec![], String::new()), Times::Once);
    let path = "/api/link/devices/RB0000000000001/group";
    let request = Request::signed("PUT", path, &[], r#"{"groupName":"Demo"}"#);
    assert_eq!(request.send(&stand_in).await.status, 503);
    assert_eq!(stand_in.edit(|world| world.devices[0]["groupName"].clone()), "Default");
}

#[tokio::test]
async fn a_status_comes_with_its_headers_and_body() {
    let elsewhere = Elsewhere::start().await;
    let headers = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let slower = Fault::Status(429, headers("Retry-After", "7"), "slower".into());
    let answer = faulty(slower).await;
    assert_eq!((answer.status, answer.header("Retry-After")), (429, Some("7")));
    assert_eq!(answer.body, b"slower");

    let answer = faulty(Fault::Status(302, headers("Location", &elsewhere.url()), "".into())).await;
    assert_eq!((answer.status, answer.header("Location")), (302, Some(elsewhere.url().as_str())));
    assert_eq!(elsewhere.connections(), 0);

    let answer = faulty(Fault::Status(200, headers("date", "yesterday"), "{}".into())).await;
    assert_eq!((answer.header("Date"), answer.header("date")), (None, Some("yesterday")));
}

#[tokio::test]
async fn elsewhere_knows_who_came() {
    let elsewhere = Elsewhere::start().await;
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(elsewhere.url())
        .send()
        .await
        .unwrap();
    assert_eq!(elsewhere.connections(), 1);
}

#[tokio::test]
async fn bodies_can_be_anything() {
    assert_eq!(faulty(Fault::Body(json!([1]).to_string())).await.json(), json!([1]));
    let html = faulty(Fault::Html).await;
    assert_eq!((html.status, html.body.starts_with(b"<!DOCTYPE")), (200, true));

    let whole = healthy().await;
    let cut = faulty(Fault::CutJson).await;
    assert_eq!(cut.body, whole.body[..whole.body.len() / 2]);
    assert_eq!(cut.length(), cut.body.len());

    let truncated = faulty(Fault::Truncated).await;
    assert_eq!(truncated.body, cut.body);
    assert_eq!(truncated.length(), whole.body.len());
}

#[tokio::test]
async fn a_trickle_pauses_before_each_byte() {
    let before = Instant::now();
    let answer = faulty(Fault::Trickle(Duration::from_millis(1))).await;
    assert_eq!(answer.code(), 0);
    assert!(before.elapsed() >= Duration::from_millis(1) * u32::try_from(answer.length()).unwrap());
}

#[tokio::test]
async fn a_huge_answer_has_its_size_with_a_length_and_in_chunks() {
    for chunked in [false, true] {
        let answer = faulty(Fault::Huge { bytes: 3 * MIB as u64, chunked }).await;
        assert_eq!(answer.header("Content-Length").is_some(), !chunked);
        assert_eq!(answer.body.len(), 3 * MIB);
        assert_eq!(answer.code(), 0);
    }
}

#[tokio::test]
async fn an_endless_answer_ends_with_its_client() {
    let stand_in = StandIn::start().await;
    stand_in.fault(On::Any, Fault::Huge { bytes: u64::MAX, chunked: true }, Times::Once);
    let mut stream = connect(&stand_in).await;
    stream.write_all(Request::get(TOTAL, &[]).text().as_bytes()).await.unwrap();
    soon(stream.read_exact(&mut vec![0; MIB])).await.unwrap();
    drop(stream);
    assert_eq!(codes(&stand_in, 1).await, [0]);
}

#[tokio::test]
async fn a_gzip_bomb_is_small_on_the_wire() {
    let answer = faulty(Fault::GzipBomb(8 * MIB as u64)).await;
    assert_eq!(answer.header("Content-Encoding"), Some("gzip"));
    assert!(answer.body.len() < 8 * MIB / 500, "{}", answer.body.len());
    let mut unzipped = Vec::new();
    GzDecoder::new(answer.body.as_slice()).read_to_end(&mut unzipped).unwrap();
    assert_eq!(unzipped.len() / MIB, 8);
    serde_json::from_slice::<serde_json::Value>(&unzipped).unwrap();
}

#[tokio::test]
async fn a_reset_and_a_silence_answer_nothing() {
    let stand_in = StandIn::start().await;
    stand_in.fault(On::Any, Fault::Reset, Times::Once);
    stand_in.fault(On::Any, Fault::Silence, Times::Once);
    let reset = Request::get(TOTAL, &[]).exchange(&stand_in).await;
    assert_eq!(reset.unwrap_err().kind(), ErrorKind::ConnectionReset);
    // The client has said its last, so the stand-in lets go; nothing came before.
    assert_eq!(Request::get(TOTAL, &[]).exchange(&stand_in).await.unwrap(), b"");
    assert_eq!(stand_in.requests().len(), 2);
}

async fn healthy() -> Answer {
    Request::get(TOTAL, &[]).send(&StandIn::start().await).await
}

async fn faulty(fault: Fault) -> Answer {
    let stand_in = StandIn::start().await;
    stand_in.fault(On::DeviceTotal, fault, Times::Once);
    Request::get(TOTAL, &[]).send(&stand_in).await
}

async fn codes(stand_in: &StandIn, requests: usize) -> Vec<i64> {
    let mut codes = Vec::new();
    for _ in 0..requests {
        codes.push(Request::get(TOTAL, &[]).send(stand_in).await.code());
    }
    codes
}
