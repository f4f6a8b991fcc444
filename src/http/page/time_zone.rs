//! The choice of the zone in which this browser is told times: all that the database knows.
use askama::Template;
use axum::{extract::RawQuery, http::StatusCode, response::Response};

use super::{
    Frame, Here, StatusIn, Visitor, filters::Filters, page_of, place_of, zone::ZoneOption,
};

#[derive(Template)]
#[template(path = "time_zone.html")]
struct TimeZonePage {
    frame: Frame,
    /// What is searched for.
    q: String,
    /// Where to go on.
    next: String,
    options: Vec<ZoneOption>,
    /// Whether the search found a zone.
    has_found: bool,
}

/// `GET /time-zone`
pub(super) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let words = visitor.look.words;
    let filters = Filters::among(&[], "/time-zone", query.as_deref(), &["q", "next"], words);
    let status = StatusIn::of(&visitor.api).await;
    let q = filters.value("q").unwrap_or_default();
    let next = place_of(filters.value("next").unwrap_or_default());
    let found = visitor.zone.found(q, visitor.state.api.clock.now());
    let page = TimeZonePage {
        frame: visitor.frame(Here::Elsewhere, words.time_zone.title, &status),
        has_found: !found.is_empty(),
        options: visitor
            .zone
            .own(&words.time_zone, visitor.state.api.clock.now(), !q.is_empty())
            .into_iter()
            .chain(found)
            .collect(),
        next: next.to_str().unwrap_or("/").to_owned(),
        q: q.to_owned(),
    };
    page_of(StatusCode::OK, &page)
}
