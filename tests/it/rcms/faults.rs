//! What RCMS, or whatever answers in its place, may do wrong.
use std::{collections::BTreeSet, error::Error, time::Duration};

use simdeck::rcms::{Page, RcmsError};

use super::{
    asking::{PATIENCE, account, client, client_at, patient_client},
    stand_in::{CLIENT_SECRET, Elsewhere, Fault, On, Packed, StandIn, Times, fleet},
};

/// What a client that asks once says to this.
async fn told(fault: Fault) -> RcmsError {
    let rcms = StandIn::start().await;
    rcms.fault(On::Any, fault, Times::Once);
    let error = client(&rcms).device_total().await.unwrap_err();
    assert_eq!(rcms.requests().len(), 1, "asked once");
    assert_silent(&error);
    error
}

/// Nothing that is said about a failure holds the secret, or the signature with its address.
fn assert_silent(error: &RcmsError) {
    let mut told = format!("{error:?} {error:#?} {}", error.sentence());
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        told += &format!(" {error} {error:?}");
        cause = error.source();
    }
    for secret in [CLIENT_SECRET, "CANARY", "signature=", "uniqueCode"] {
        assert!(!told.contains(secret), "{told}");
    }
}

fn status(status: u16, headers: &[(&str, &str)]) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Fault::Status(status, headers.collect(), "nothing here".to_owned())
}

#[tokio::test]
async fn each_failure_is_told_apart_and_says_what_to_do() {
    let refused = told(Fault::SignatureRefused).await.to_string();
    assert!(
        refused.contains("40002") && refused.contains("SIMDECK_RCMS_CLIENT_SECRET"),
        "{refused}"
    );
    let unauthorised = r#"{"msg":"invalid signature","code":40002}"#.to_owned();
    let unauthorised = told(Fault::Status(401, Vec::new(), unauthorised)).await;
    assert!(matches!(unauthorised, RcmsError::Signature { .. }), "{unauthorised}");

    let code = told(Fault::Code(-1, "no such\u{1b}[2J device".to_owned())).await;
    let RcmsError::Code { code, msg } = code else { panic!("{code}") };
    assert_eq!((code, &*msg), (-1, "no such[2J device"));

    for fault in [Fault::Html, Fault::CutJson, Fault::Body("[]".into()), Fault::Body("{}".into())] {
        let error = told(fault.clone()).await;
        assert!(matches!(error, RcmsError::Unreadable(_)), "{fault:?}: {error}");
        assert!(error.to_string().contains("SIMDECK_RCMS_ENDPOINT"), "{error}");
    }
    for code in [301, 400, 401, 404, 418, 500, 503] {
        let error = told(status(code, &[])).await;
        assert!(matches!(error, RcmsError::Status { status, .. } if status == code), "{error}");
        assert_eq!(error.is_temporary(), code >= 500, "{error}");
    }
    for fault in [Fault::Truncated, Fault::Reset] {
        let error = told(fault.clone()).await;
        assert!(matches!(error, RcmsError::Transport(_)), "{fault:?}: {error}");
        assert!(error.is_temporary());
    }
}

#[tokio::test]
async fn who_answers_too_slowly_is_not_waited_for() {
    let every_second = Fault::Trickle(Duration::from_secs(1));
    let (silence, trickle) = tokio::join!(told(Fault::Silence), told(every_second));
    for error in [silence, trickle] {
        assert!(matches!(error, RcmsError::Timeout(PATIENCE)), "{error}");
    }
}

#[tokio::test]
async fn an_answer_too_large_is_not_held() {
    let hundred_mb = 100_000_000;
    for fault in [
        Fault::Huge { bytes: hundred_mb, chunked: true },
        Fault::Huge { bytes: hundred_mb, chunked: false },
        Fault::GzipBomb(hundred_mb),
    ] {
        let error = told(fault.clone()).await;
        assert!(matches!(error, RcmsError::TooLarge(_)), "{fault:?}: {error}");
    }
}

#[tokio::test]
async fn nobody_is_nobody() {
    let port = crate::process::free_port();
    let nobody = client_at(account(&format!("http://127.0.0.1:{port}")), 0);
    let error = nobody.device_total().await.unwrap_err();
    assert!(matches!(error, RcmsError::Transport(_)), "{error}");
    assert!(error.sentence().contains("refused"), "{}", error.sentence());
    assert_silent(&error);
}

#[tokio::test]
async fn a_redirect_does_not_take_the_signature_to_another_host() {
    let elsewhere = Elsewhere::start().await;
    for code in [301, 302, 303, 307, 308] {
        let error = told(status(code, &[("Location", &elsewhere.url())])).await;
        assert!(error.to_string().contains("not followed"), "{error}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_refused_signature_says_what_the_clocks_say() {
    let rcms = StandIn::start().await;
    let cases = [
        (0, "our clock and RCMS's agree"),
        (-3_600_000, "our clock is 3600 s ahead of RCMS's"),
        (90_000, "our clock is 90 s behind RCMS's"),
    ];
    let now_ms = 1_760_000_000_000;
    rcms.edit(|world| world.now_ms = Box::new(move || now_ms));
    for (skew_ms, sentence) in cases {
        rcms.fault(On::Any, Fault::SignatureRefused, Times::Once);
        rcms.edit(|world| world.clock_skew_ms = skew_ms);
        let error = client_at(account(&rcms.url()), now_ms).device_total().await.unwrap_err();
        assert!(error.to_string().contains(sentence), "{error}");
    }
    rcms.fault(On::Any, status(401, &[("Date", "some day")]), Times::Once);
    assert!(client(&rcms).device_total().await.is_err(), "an odd date is no panic");
}

#[tokio::test]
async fn a_read_is_asked_again_with_a_new_signature_and_a_write_is_not() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(1));
    rcms.fault(On::Any, status(503, &[("Retry-After", "3")]), Times::Once);
    rcms.fault(On::Any, Fault::Reset, Times::Once);
    let patient = patient_client(&rcms, 2);
    patient.device_total().await.unwrap();
    let seen = rcms.requests();
    let signatures: BTreeSet<_> = seen.iter().map(|seen| seen.header("signature")).collect();
    assert_eq!((seen.len(), signatures.len()), (3, 3), "each attempt is signed anew");
    assert!(seen.iter().all(|seen| seen.verdict.is_ok()));
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(3), "as it asked");

    for (fault, asked) in [
        (status(429, &[("Retry-After", "600")]), 1),
        (status(404, &[]), 1),
        (Fault::Code(-1, String::new()), 1),
        (Fault::SignatureRefused, 1),
    ] {
        rcms.forget_requests();
        rcms.fault(On::Any, fault.clone(), Times::Once);
        assert!(patient.device_total().await.is_err());
        assert_eq!(rcms.requests().len(), asked, "{fault:?} is not asked again");
    }
}

#[tokio::test]
async fn what_rcms_says_itself_is_told_whatever_the_status() {
    for code in [400, 401, 403, 404, 422, 500] {
        let body = r#"{"msg":"device is\u0007 locked","code":10012}"#.to_owned();
        let error = told(Fault::Status(code, Vec::new(), body)).await;
        let expected = format!("HTTP status {code}: code 10012, device is locked");
        assert!(error.to_string().contains(&expected), "{error}");
    }
}

#[tokio::test]
async fn an_endpoint_that_ends_as_each_path_begins_is_named() {
    let rcms = StandIn::start().await;
    for end in ["/api", "/api/", "/there/api/link"] {
        let doubled = client_at(account(&format!("{}{end}", rcms.url())), 0);
        let error = doubled.device_total().await.unwrap_err().to_string();
        assert!(error.contains("ends with /api") && error.contains("404"), "{error}");
    }
    let elsewhere = client_at(account(&format!("{}/there", rcms.url())), 0);
    let error = elsewhere.device_total().await.unwrap_err().to_string();
    assert!(!error.contains("ends with"), "{error}");
}

#[tokio::test]
async fn json_is_read_behind_a_mark_of_its_byte_order() {
    let rcms = StandIn::start().await;
    let body = "\u{feff}{\"code\":0,\"data\":{\"deviceTotal\":7}}".to_owned();
    rcms.fault(On::Any, Fault::Body(body), Times::Once);
    assert_eq!(client(&rcms).device_total().await.unwrap().device_total, Some(7));
    for nothing in ["", " \r\n", "\u{feff}"] {
        let error = told(Fault::Body(nothing.to_owned())).await;
        assert!(error.to_string().contains("answered with nothing"), "{error}");
    }
}

#[tokio::test]
async fn a_packed_answer_is_unpacked() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(100));
    rcms.edit(|world| world.gzip = true);
    let page = client(&rcms).devices(Page { number: 1, size: 100 }).await.unwrap();
    assert_eq!(page.devices.len(), 100);
    assert_eq!(rcms.requests()[0].header("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn an_answer_that_is_packed_unasked_is_unpacked_or_named() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(100));
    let first = Page { number: 1, size: 100 };
    for packed in [Packed::Zlib, Packed::Bare] {
        rcms.edit(|world| world.packed = Some(packed));
        let page = client(&rcms).devices(first).await.unwrap();
        assert_eq!(page.devices.len(), 100, "{packed:?}");
        rcms.fault(On::Any, Fault::Code(-1, "not today".to_owned()), Times::Once);
        let refused = client(&rcms).devices(first).await.unwrap_err();
        assert!(refused.to_string().contains("not today"), "{packed:?}: {refused}");
    }
    rcms.edit(|world| world.packed = Some(Packed::Other));
    let error = client(&rcms).devices(first).await.unwrap_err();
    assert!(error.to_string().contains("packed in a way that we do not ask for"), "{error}");
    rcms.edit(|world| world.packed = None);
    let broken = vec![("Content-Encoding".to_owned(), "deflate".to_owned())];
    let broken = told(Fault::Status(200, broken, "{\"code\":0}".to_owned())).await;
    assert!(broken.to_string().contains("cannot be unpacked"), "{broken}");
}
