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
    let hits =
        match q.is_empty() {
            true => Ok(Vec::new()),
            false => visitor.api.get::<Vec<HitIn>>(&call).await.map(|answer| {
                answer.body.into_iter().filter_map(|found| hit(found, words)).collect()
            }),
        };
    if let Ok(hits) = &hits
        && let [only] = hits.as_slice()
    {
        return (StatusCode::SEE_OTHER, [(header::LOCATION, place_of(&only.address))])
            .into_response();
    }
    let status = StatusIn::of(&visitor.api).await;
    let mut frame = visitor.frame(Here::Elsewhere, words.nav.search, &status);
    frame.search.clone_from(&q);
    page_of(StatusCode::OK, &Search { frame, q, hits, source: visitor.source(&call) })
}

fn hit(found: HitIn, words: &Words) -> Option<Hit> {
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
            }
        }
    })
}
