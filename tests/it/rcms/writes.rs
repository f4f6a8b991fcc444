//! What is changed at RCMS: done, refused, or nobody knows.
use serde_json::json;
use simdeck::rcms::{GroupName, RcmsError};

use super::{
    asking::{client, patient_client},
    stand_in::{Fault, On, StandIn, Times, device},
};

fn group(name: &str) -> GroupName {
    name.parse().unwrap()
}

async fn one_router() -> StandIn {
    let rcms = StandIn::start().await;
    rcms.set_fleet(vec![device("RB1", 1)]);
    rcms
}

fn methods(rcms: &StandIn) -> Vec<String> {
    rcms.requests().into_iter().map(|seen| seen.method).collect()
}

#[tokio::test]
async fn whatever_status_of_success_a_change_is_answered_with_it_is_done() {
    let rcms = one_router().await;
    let done = json!({"msg": "Success", "code": 0, "data": null}).to_string();
    let answers = [(200, ""), (200, &*done), (201, &done), (201, ""), (202, ""), (204, "")];
    for (status, body) in answers {
        let answer = Fault::Status(status, Vec::new(), body.to_owned());
        rcms.fault(On::Group, answer, Times::Once);
        rcms.forget_requests();
        client(&rcms).set_group(&"RB1".parse().unwrap(), &group("Demo")).await.unwrap();
        assert_eq!(methods(&rcms), ["PUT"], "{status} {body:?}");
    }
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_looked_for_and_never_sent_twice() {
    let sn = "RB1".parse().unwrap();
    for fault in [Fault::Truncated, Fault::CutJson] {
        let rcms = one_router().await;
        rcms.fault(On::Group, fault.clone(), Times::Once);
        patient_client(&rcms, 2).set_group(&sn, &group("Demo")).await.unwrap();
        assert_eq!(methods(&rcms), ["PUT", "GET"], "{fault:?}");
    }
    let not_done = [
        Fault::Silence,
        Fault::Reset,
        Fault::Html,
        Fault::Status(502, Vec::new(), String::new()),
        Fault::Status(504, Vec::new(), String::new()),
    ];
    for fault in not_done {
        let rcms = one_router().await;
        rcms.fault(On::Group, fault.clone(), Times::Once);
        let error = patient_client(&rcms, 2).set_group(&sn, &group("Demo")).await.unwrap_err();
        let RcmsError::Unsure { found, .. } = &error else { panic!("{fault:?}: {error}") };
        assert!(found.contains("RB1 is in the group Default"), "{error}");
        assert!(error.to_string().contains("may have been done"), "{error}");
        assert_eq!(methods(&rcms), ["PUT", "GET"], "{fault:?}");
    }
    let rcms = one_router().await;
    rcms.fault(On::Any, Fault::Reset, Times::Always);
    let error = client(&rcms).set_group(&sn, &group("Demo")).await.unwrap_err();
    assert!(error.to_string().contains("look at what RCMS says of RB1"), "{error}");
}

#[tokio::test]
async fn what_rcms_refuses_is_not_looked_for() {
    let rcms = one_router().await;
    let refusals = [
        Fault::Code(-1, "group is full".to_owned()),
        Fault::SignatureRefused,
        Fault::Status(400, Vec::new(), json!({"code": 7, "msg": "no such group"}).to_string()),
        Fault::Status(429, Vec::new(), String::new()),
    ];
    for fault in refusals {
        rcms.forget_requests();
        rcms.fault(On::Group, fault.clone(), Times::Once);
        let sn = "RB1".parse().unwrap();
        let error = client(&rcms).set_group(&sn, &group("Demo")).await.unwrap_err();
        assert!(!matches!(error, RcmsError::Unsure { .. }), "{error}");
        assert_eq!(methods(&rcms), ["PUT"], "{fault:?}");
    }
}

#[test]
fn a_group_has_a_name_that_people_see_and_that_turns_no_other_text() {
    let longest = "ß".repeat(256);
    for name in ["Demo", "a b", "组", "עברית", &*longest] {
        assert_eq!(group(name).as_str(), name);
    }
    let too_long = "x".repeat(257);
    for text in ["", " ", "\u{3000}\u{a0}", "a\nb", "a\u{202e}b", "\u{2066}a", &*too_long] {
        assert!(text.parse::<GroupName>().is_err(), "{text:?}");
    }
}
