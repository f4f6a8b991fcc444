//! What a browser is to remember: language, colours, time zone, and whether keys act.
use axum::{
    Form,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    look::{KEYS, LANGUAGE, THEME},
    place_of, zone,
};

/// What the buttons send: one of them, and where to go on.
#[derive(Deserialize)]
pub(super) struct Sent {
    lang: Option<String>,
    theme: Option<String>,
    keys: Option<String>,
    zone: Option<String>,
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
    let of_list = wanted
        .into_iter()
        .map(|(name, value, known)| (name, value.filter(|value| known.contains(&value.as_str()))));
    let zone = (zone::CHOICE, sent.zone.filter(|zone| zone::is_choice(zone)));
    for (name, value) in of_list.chain([zone]) {
        if let Some(value) = value {
            let cookie = format!("{name}={value}; Path=/; Max-Age=31536000; SameSite=Lax");
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                headers.append(header::SET_COOKIE, cookie);
            }
        }
    }
    (StatusCode::SEE_OTHER, headers).into_response()
}
