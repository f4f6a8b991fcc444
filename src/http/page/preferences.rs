//! What a browser is to remember: language, colours, and whether keys act.
use axum::{
    Form,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    look::{KEYS, LANGUAGE, THEME},
    place_of,
};

/// What the buttons send: one of them, and where to go on.
#[derive(Deserialize)]
pub(super) struct Sent {
    lang: Option<String>,
    theme: Option<String>,
    keys: Option<String>,
    #[serde(default)]
    next: String,
}

/// `POST /preferences`. It needs no session: all it changes is a cookie of the browser's own.
pub(super) async fn set(Form(sent): Form<Sent>) -> Response {
    let wanted = [
        (LANGUAGE, sent.lang, ["en", "zh"]),
        (THEME, sent.theme, ["light", "dark"]),
        (KEYS, sent.keys, ["on", "off"]),
    ];
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, place_of(&sent.next));
    for (name, value, known) in wanted {
        if let Some(value) = value.filter(|value| known.contains(&value.as_str())) {
            let cookie = format!("{name}={value}; Path=/; Max-Age=31536000; SameSite=Lax");
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                headers.append(header::SET_COOKIE, cookie);
            }
        }
    }
    (StatusCode::SEE_OTHER, headers).into_response()
}
