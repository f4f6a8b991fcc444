//! What the search box finds.
use askama::Template;
use axum::{
    extract::RawQuery,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    Frame, Here, Source, StatusIn, Visitor, ask::Refused, call::Call, filters::Filters, page_of,
    place_of, words::Words,
};

#[derive(Template)]
#[template(path = "search.html")]
struct Search {
    frame: Frame,
    q: String,
    hits: Result<Vec<Hit>, Refused>,
    source: Source,
}

/// Something that was found.
struct Hit {
    word: &'static str,
    title: String,
    note: String,
    address: String,
    giccid: Option<String>,
    /// Whether what was asked for is all of what it was found by.
    is_exact: bool,
}

#[derive(Deserialize)]
struct HitIn {
    #[serde(rename = "type")]
    kind: String,
    giccid: Option<String>,
    sn: Option<String>,
    msisdn: Option<String>,
    name: Option<String>,
    matched: String,
}

/// `GET /search`
pub(super) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let words = visitor.look.words;
    let filters = Filters::of("/search", query.as_deref(), &["q"], words);
    // Numbers are often copied in groups.
    let q = filters.value("q").unwrap_or_default().trim();
    let is_number = q.chars().all(|it| it.is_ascii_digit() || it == ' ');
    let q = if is_number { q.replace(' ', "") } else { q.to_owned() };
    let call = Call::to("/v1/search").with("q", &q);
    let hits = match q.is_empty() {
        true => Ok(Vec::new()),
        false => visitor.api.get::<Vec<HitIn>>(&call).await.map(|answer| {
            answer.body.into_iter().filter_map(|found| hit(found, &q, words)).collect()
        }),
    };
    if let Ok(hits) = &hits
        && let [only] = hits.as_slice()
        && only.is_exact
    {
        return (StatusCode::SEE_OTHER, [(header::LOCATION, place_of(&only.address))])
            .into_response();
    }
    let status = StatusIn::of(&visitor.api).await;
    let mut frame = visitor.frame(Here::Elsewhere, words.nav.search, &status);
    frame.search.clone_from(&q);
    page_of(StatusCode::OK, &Search { frame, q, hits, source: visitor.source(&call) })
}

fn hit(found: HitIn, q: &str, words: &Words) -> Option<Hit> {
    let is_exact = found.is_exact(q);
    let name = found.name.filter(|name| !name.is_empty());
    let giccid = found.giccid;
    Some(match found.kind.as_str() {
        "sim" => {
            let number = giccid.clone()?;
            Hit {
                word: words.common.sim,
                address: format!("/sims/{number}"),
                title: name.unwrap_or_else(|| number.clone()),
                note: number,
                giccid,
                is_exact,
            }
        }
        "device" => {
            let sn = found.sn?;
            Hit {
                word: words.live.router,
                address: format!("/routers/{sn}"),
                title: name.unwrap_or_else(|| sn.clone()),
                note: sn,
                giccid: None,
                is_exact,
            }
        }
        _ => {
            let number = found.msisdn?;
            let field = if found.matched == "to_msisdn" { "to_msisdn" } else { "from_msisdn" };
            Hit {
                word: words.sims.number,
                address: Call::to("/messages").with(field, &number).uri(),
                title: number,
                note: giccid.clone().unwrap_or_default(),
                giccid,
                is_exact,
            }
        }
    })
}

impl HitIn {
    fn is_exact(&self, q: &str) -> bool {
        /// An IMSI has 15 digits or, rarely, 14; which one was found, a hit does not tell.
        const IMSI_DIGITS_MIN: usize = 14;
        let is = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| text.to_lowercase() == q.to_lowercase())
        };
        match self.matched.as_str() {
            "giccid" => is(&self.giccid),
            "imsi" => q.len() >= IMSI_DIGITS_MIN,
            "sn" => is(&self.sn),
            "name" => is(&self.name),
            // A number is only ever found whole.
            _ => true,
        }
    }
}
