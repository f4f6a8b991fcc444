//! The overview: six figures, the chart, what needs a person, who uses most and where.
use askama::Template;
use axum::{extract::RawQuery, http::StatusCode, response::Response};

use super::{Frame, Here, StatusIn, Visitor, filters::Filters, page_of};

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    filters: Filters,
}

/// `GET /`
pub(super) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let words = visitor.look.words;
    let status = StatusIn::of(&visitor.api).await;
    let filters = Filters::of("/", query.as_deref(), &["by", "split", "view"], words);
    let frame = visitor.frame(Here::Overview, words.nav.overview, &status);
    page_of(StatusCode::OK, &Overview { frame, filters })
}
