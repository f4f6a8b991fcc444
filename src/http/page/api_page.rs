//! The API: where it is described, which keys there are, and what the server says of itself.
use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Form,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Frame, Here, Source, StatusIn, Visitor,
    ask::{Answer, Refused},
    call::Call,
    format::{Format, told, whole},
    page_of,
    routers::When,
    words::Words,
};

#[derive(Template)]
#[template(path = "api.html")]
struct ApiPage {
    frame: Frame,
    keys: Result<Keys, Refused>,
    server: Result<Server, Refused>,
    /// Why it was not done.
    refused: Option<Refused>,
    new_key: Option<NewKey>,
    /// What stands in the form's field.
    label: String,
}

struct Keys {
    rows: Vec<Key>,
    source: Source,
}

struct Key {
    id: i64,
    label: String,
    scope: String,
    made: When,
    revoked: Option<String>,
}

/// A key that is shown this once.
struct NewKey {
    title: String,
    text: String,
}

/// What the server says of itself.
struct Server {
    version: String,
    address: String,
    zone: String,
    unit_base: u32,
    database: String,
    free: String,
    reserve: String,
    full_at: Option<String>,
    held: String,
    conditions: Vec<Condition>,
    source: Source,
}

struct Condition {
    word: &'static str,
    is_on: bool,
    since: Option<When>,
    sentence: String,
    todo: String,
}

#[derive(Deserialize)]
struct KeyIn {
    id: i64,
    label: String,
    scope: String,
    created_at: String,
    revoked_at: Option<String>,
}

#[derive(Deserialize)]
struct NewKeyIn {
    label: String,
    key: String,
}

#[derive(Deserialize)]
struct ServerIn {
    version: String,
    disk: DiskIn,
    held: HeldIn,
    conditions: Vec<ConditionIn>,
    time_zone: TimeZoneIn,
}

#[derive(Deserialize)]
struct TimeZoneIn {
    name: String,
    next: Option<String>,
    progress: Option<f64>,
}

#[derive(Deserialize)]
struct DiskIn {
    free_bytes: Option<i64>,
    reserve_bytes: i64,
    database_bytes: i64,
    full_at: Option<String>,
}

#[derive(Deserialize)]
struct HeldIn {
    quarantined: TallyIn,
    stale: TallyIn,
    refused: BTreeMap<String, TallyIn>,
}

#[derive(Deserialize)]
struct TallyIn {
    pushes: i64,
}

#[derive(Deserialize)]
struct ConditionIn {
    name: String,
    on: bool,
    since: Option<String>,
    sentence: Option<String>,
    todo: Option<String>,
}

/// What the forms send: a key to be made, or the number of one to be revoked.
#[derive(Deserialize)]
pub(super) struct Sent {
    revoke: Option<String>,
    #[serde(default)]
    label: String,
    #[serde(default)]
    scope: String,
}

/// `GET /api`
pub(super) async fn show(visitor: Visitor) -> Response {
    shown(&visitor, None, None, String::new()).await
}

/// `POST /api`: makes a key, or revokes one. What the API refuses is told on the page.
pub(super) async fn act(visitor: Visitor, Form(sent): Form<Sent>) -> Response {
    if let Some(id) = sent.revoke {
        // Only a number is a part of an address.
        let id: u64 = id.parse().unwrap_or_default();
        return match visitor.api.delete(&format!("/v1/keys/{id}")).await {
            Ok(()) => {
                let place = HeaderValue::from_static("/api");
                (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
            }
            Err(refused) => shown(&visitor, None, Some(refused), String::new()).await,
        };
    }
    let body = json!({ "label": &sent.label, "scope": &sent.scope });
    let made: Result<Answer<NewKeyIn>, _> = visitor.api.make("/v1/keys", body).await;
    match made {
        Ok(made) => {
            let title = (visitor.look.words.api_page.new_key)(&made.body.label);
            let new_key = NewKey { title, text: made.body.key };
            shown(&visitor, Some(new_key), None, String::new()).await
        }
        Err(refused) => shown(&visitor, None, Some(refused), sent.label).await,
    }
}

async fn shown(
    visitor: &Visitor,
    new_key: Option<NewKey>,
    refused: Option<Refused>,
    label: String,
) -> Response {
    let (status, keys, server) =
        tokio::join!(StatusIn::of(&visitor.api), keys(visitor), server(visitor));
    let code = match &refused {
        Some(refused) => refused.status,
        None if new_key.is_some() => StatusCode::CREATED,
        None => StatusCode::OK,
    };
    let frame = visitor.frame(Here::Api, visitor.look.words.nav.api, &status);
    page_of(code, &ApiPage { frame, keys, server, refused, new_key, label })
}

async fn keys(visitor: &Visitor) -> Result<Keys, Refused> {
    let call = Call::to("/v1/keys");
    let answer: Answer<Vec<KeyIn>> = visitor.api.get(&call).await?;
    let format = visitor.format();
    let rows = answer.body.into_iter().map(|key| Key::of(key, &format)).collect();
    Ok(Keys { rows, source: visitor.source(&call) })
}

impl Key {
    fn of(key: KeyIn, format: &Format) -> Self {
        let tell = format.words.api_page.revoked;
        Self {
            id: key.id,
            label: key.label,
            scope: key.scope,
            made: When::of(&key.created_at, format),
            revoked: key.revoked_at.map(|at| tell(&moment(&at, format))),
        }
    }
}

async fn server(visitor: &Visitor) -> Result<Server, Refused> {
    let call = Call::to("/v1/status");
    let answer: Answer<ServerIn> = visitor.api.get_recent(&call).await?;
    let format = visitor.format();
    let words = &format.words.api_page;
    let ServerIn { version, disk, held, conditions, time_zone } = answer.body;
    let bytes = |bytes| format.bytes(bytes).to_string();
    let refused = held.refused.values().map(|ring| ring.pushes).sum();
    let count = |count| format.count(count).to_string();
    Ok(Server {
        version,
        address: visitor.base(),
        zone: told_zone(time_zone, format.words),
        unit_base: format.base.bytes(),
        database: bytes(disk.database_bytes),
        free: disk.free_bytes.map_or(format.words.common.unknown.to_owned(), bytes),
        reserve: (words.reserve)(&bytes(disk.reserve_bytes)),
        full_at: disk.full_at.map(|at| (words.full_at)(&moment(&at, &format))),
        held: (words.held_count)(
            &count(refused),
            &count(held.quarantined.pushes),
            &count(held.stale.pushes),
        ),
        conditions: conditions.into_iter().map(|it| Condition::of(it, &format)).collect(),
        source: visitor.source(&call),
    })
}

/// By whose days the store keeps its sums, and by whose it soon will.
fn told_zone(zone: TimeZoneIn, words: &Words) -> String {
    match zone.next {
        None => zone.name,
        Some(next) => {
            let percent = whole(zone.progress.unwrap_or_default() * 100.0);
            format!("{} · {}", zone.name, (words.api_page.zone_changing)(&next, percent))
        }
    }
}

impl Condition {
    fn of(condition: ConditionIn, format: &Format) -> Self {
        Self {
            word: (format.words.api_page.condition_of)(&condition.name),
            is_on: condition.on,
            since: condition.since.map(|at| When::of(&at, format)),
            sentence: condition.sentence.unwrap_or_default(),
            todo: condition.todo.unwrap_or_default(),
        }
    }
}

fn moment(at: &str, format: &Format) -> String {
    told(at).map(|at| format.moment(at)).unwrap_or_default()
}
