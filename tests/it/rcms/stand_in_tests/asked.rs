//! What the stand-in remembers of those who asked.
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{LIST, Request, TOTAL, connect, soon};
use crate::rcms::stand_in::{Fault, On, StandIn, Times};

#[tokio::test]
async fn a_request_is_kept_as_it_came_and_decoded() {
    let stand_in = StandIn::start().await;
    let before = Instant::now();
    let mut request =
        Request::signed("PUT", "/api/%6Cink/x", &[], "{}").with_header("x-own", "a:b");
    request.query = "name=a+b%20%C3%9F&empty=&two=x=y".into();
    request.send(&stand_in).await;

    let [seen] = stand_in.requests().try_into().unwrap();
    assert_eq!(seen.request_line, "PUT /api/%6Cink/x?name=a+b%20%C3%9F&empty=&two=x=y HTTP/1.1");
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("PUT", "/api/link/x"));
    assert_eq!(seen.target, "/api/%6Cink/x?name=a+b%20%C3%9F&empty=&two=x=y");
    assert_eq!(seen.query, "name=a+b%20%C3%9F&empty=&two=x=y");
    let pairs = [("name", "a+b ß"), ("empty", ""), ("two", "x=y")];
    assert_eq!(seen.pairs, pairs.map(|(key, value)| (key.into(), value.into())));
    assert_eq!(seen.headers[0], ("Host".into(), "x".into()));
    assert_eq!(seen.header("X-Own"), Some("a:b"));
    assert_eq!(seen.body, b"{}");
    assert!(before <= seen.at && seen.at <= Instant::now());
}

#[tokio::test]
async fn connections_are_told_apart_and_live_for_several_requests() {
    let stand_in = StandIn::start().await;
    let mut stream = connect(&stand_in).await;
    let both = Request::get(TOTAL, &[]).text() + &Request::get(LIST, &[]).text();
    stream.write_all(both.as_bytes()).await.unwrap();
    soon(stand_in.wait_for(2)).await;
    let closing = Request::get(TOTAL, &[]).with_header("Connection", "close");
    stream.write_all(closing.text().as_bytes()).await.unwrap();
    let mut answers = String::new();
    soon(stream.read_to_string(&mut answers)).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 3);

    Request::get(TOTAL, &[]).send(&stand_in).await;
    let seen: Vec<_> = stand_in.requests().iter().map(|seen| seen.connection).collect();
    assert_eq!(seen, [1, 1, 1, 2]);
}

#[tokio::test]
async fn requests_in_flight_are_counted_at_their_most() {
    let stand_in = StandIn::start().await;
    for _ in 0..3 {
        Request::get(TOTAL, &[]).send(&stand_in).await;
    }
    assert_eq!(stand_in.max_in_flight(), 1);

    stand_in.forget_requests();
    assert_eq!((stand_in.requests().len(), stand_in.max_in_flight()), (0, 0));
    stand_in.fault(On::Any, Fault::Silence, Times::Count(2));
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&stand_in).await;
        stream.write_all(Request::get(TOTAL, &[]).text().as_bytes()).await.unwrap();
        held.push(stream);
    }
    soon(stand_in.wait_for(2)).await;
    Request::get(TOTAL, &[]).send(&stand_in).await;
    assert_eq!(stand_in.max_in_flight(), 3);
}

#[tokio::test]
async fn an_answer_takes_its_time() {
    let stand_in = StandIn::start().await;
    let delay = Duration::from_millis(40);
    stand_in.edit(|world| world.delay = delay);
    let before = Instant::now();
    assert_eq!(Request::get(TOTAL, &[]).send(&stand_in).await.code(), 0);
    assert!(before.elapsed() >= delay);
}
