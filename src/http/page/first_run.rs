//! The overview before anything authentic was stored: how to begin.
use askama::Template;
use axum::{http::StatusCode, response::Response};
use serde::Deserialize;

use super::{
    Frame, Here, PushAddress, Registration, StatusIn, Visitor, call::Call, format::told, page_of,
};
use crate::domain::Secret;

#[derive(Template)]
#[template(path = "first_run.html")]
struct FirstRun {
    frame: Frame,
    free: String,
    /// What a push key is called, and what it is; for admins.
    keys: Vec<(String, Secret)>,
    /// The same of addresses; for admins too, since they hold the path token.
    addresses: Vec<(String, String)>,
    is_public: bool,
    has_rcms: bool,
    requests: Vec<Request>,
    steps: [(bool, &'static str); 4],
    said: Option<String>,
}

/// A request to the public listener.
struct Request {
    at: String,
    time: String,
    kind: String,
    outcome: &'static str,
    class: &'static str,
    reason: String,
}

#[derive(Deserialize)]
struct PushIn {
    at: String,
    kind: Option<String>,
    outcome: String,
    reason: Option<String>,
    source: String,
    test: bool,
}

/// The page.
pub(super) async fn show(visitor: &Visitor, status: &StatusIn) -> Response {
    page(visitor, status, None).await
}

/// The page, with what became of a test push.
pub(super) async fn after_test(visitor: &Visitor, said: &str) -> Response {
    match StatusIn::of(&visitor.api).await {
        Ok(status) => page(visitor, &status, Some(said.to_owned())).await,
        Err(refused) => super::failed(visitor, &refused),
    }
}

async fn page(visitor: &Visitor, status: &StatusIn, said: Option<String>) -> Response {
    let words = visitor.look.words;
    let call = Call::to("/v1/pushes").with("size", 12);
    let sent = visitor.api.get::<Vec<PushIn>>(&call).await.map(|answer| answer.body);
    let pushes = sent.unwrap_or_default();
    let was_taken = |push: &PushIn| {
        ["stored", "duplicate", "quarantined", "erased"].contains(&push.outcome.as_str())
    };
    let is_outside =
        |push: &PushIn| push.source.parse().is_ok_and(|ip: std::net::IpAddr| !ip.is_loopback());
    let first_run = &words.first_run;
    let has_test = status.tests > 0;
    let steps = [
        (has_test || !pushes.is_empty(), first_run.reachable),
        (pushes.iter().any(is_outside), first_run.from_outside),
        (has_test || pushes.iter().any(was_taken), first_run.key_accepted),
        (pushes.iter().any(|push| was_taken(push) && !push.test), first_run.first_record),
    ];
    let format = visitor.format();
    let settings = &visitor.state.settings;
    // Whoever has a key may push, and the path token is half of what keeps others out.
    let registration = match visitor.is_admin() {
        true => settings.registrations.now(),
        false => Registration::default(),
    };
    let title = |address: &PushAddress| match &address.title_zh {
        Some(title) if words.tag == "zh" => title.clone(),
        _ => address.title.clone(),
    };
    let ready = Ok(status.clone());
    let page = FirstRun {
        frame: visitor.frame(Here::Overview, words.nav.overview, &ready),
        free: status.disk.free_bytes.map(|free| format.bytes(free).to_string()).unwrap_or_default(),
        addresses: registration.addresses.iter().map(|it| (title(it), it.url.clone())).collect(),
        keys: {
            let keys = registration.push_keys.into_iter();
            keys.map(|(label, key)| (label.unwrap_or_default(), key)).collect()
        },
        is_public: settings.is_public,
        has_rcms: visitor.state.api.rcms.is_some(),
        requests: pushes.into_iter().map(|push| request(push, visitor)).collect(),
        steps,
        said,
    };
    page_of(StatusCode::OK, &page)
}

fn request(push: PushIn, visitor: &Visitor) -> Request {
    let words = visitor.look.words;
    let class = match push.outcome.as_str() {
        "stored" | "duplicate" => "",
        "probe" => "plain",
        _ => "alarm",
    };
    Request {
        time: told(&push.at).map(|at| visitor.format().second(at)).unwrap_or_default(),
        at: push.at,
        kind: push.kind.unwrap_or_default(),
        outcome: if push.test { words.live.test } else { (words.live.outcomes)(&push.outcome) },
        class: if push.test { "test" } else { class },
        reason: push.reason.unwrap_or_default(),
    }
}
