//! An address that leads nowhere: a page for a browser, a problem for a program.
use askama::Template;
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use tower::ServiceExt;

use super::{Frame, Here, PageState, StatusIn, Visitor, assets::ICON, page_of};

#[derive(Template)]
#[template(path = "nowhere.html")]
struct Nowhere {
    frame: Frame,
}

/// What no page answers. It is left to the API where nobody looks.
pub(super) async fn show(State(state): State<PageState>, request: Request) -> Response {
    if request.uri().path().starts_with("/v1/") || !is_browser(request.headers()) {
        return state.router.oneshot(request).await.into_response();
    }
    let (mut parts, _) = request.into_parts();
    let visitor = match Visitor::from_request_parts(&mut parts, &state).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let status = StatusIn::of(&visitor.api).await;
    let frame = visitor.frame(Here::Elsewhere, visitor.look.words.common.nowhere, &status);
    page_of(StatusCode::NOT_FOUND, &Nowhere { frame })
}

/// `GET /favicon.ico`, which browsers ask for where a document names no picture of its own.
pub(super) async fn icon() -> Redirect {
    Redirect::temporary(&ICON.path)
}

/// Whether somebody looks: programs that ask for data do not name this type.
fn is_browser(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .any(|accept| accept.contains("text/html"))
}
