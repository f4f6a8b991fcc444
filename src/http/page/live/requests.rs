//! The push inspector: every request to the public listener, and those that are held.
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{Call, Filters, Refused, Source, Visitor, told};

/// The last requests.
pub(super) struct Requests {
    pub(super) rows: Vec<Request>,
    pub(super) outcomes: Vec<(&'static str, String, bool)>,
    pub(super) source: Source,
    /// Whether the visitor may see what was sent.
    pub(super) has_bodies: bool,
}

/// One of them.
pub(super) struct Request {
    pub(super) at: String,
    pub(super) time: String,
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) outcome: &'static str,
    /// The class of the outcome's chip.
    pub(super) class: &'static str,
    pub(super) reason: String,
    pub(super) source: String,
    pub(super) size: String,
    pub(super) took: String,
    pub(super) is_test: bool,
    pub(super) body: String,
    pub(super) is_cut: bool,
    /// The same request for a shell, where all of it is there.
    pub(super) curl: Option<String>,
}

#[derive(Deserialize)]
struct PushIn {
    at: String,
    kind: Option<String>,
    address: Option<String>,
    status: Option<u16>,
    outcome: String,
    reason: Option<String>,
    source: String,
    bytes: Option<i64>,
    took_ms: f64,
    test: bool,
    body: Option<String>,
    body_encoding: Option<String>,
    #[serde(default)]
    body_cut: bool,
}

const OUTCOMES: [&str; 9] = [
    "stored",
    "duplicate",
    "quarantined",
    "erased",
    "refused",
    "rejected",
    "unavailable",
    "probe",
    "unanswered",
];

impl Requests {
    pub(super) async fn ask(visitor: &Visitor, filters: &Filters) -> Result<Self, Refused> {
        let call = Call::to("/v1/pushes").with("size", 100);
        let call = call.with_some("outcome", filters.value("outcome"));
        // Bodies are for admins only: this answer is nobody else's.
        let sent: Vec<PushIn> = visitor.api.get(&call).await?.body;
        let live = &visitor.look.words.live;
        let link = |outcome: &&'static str| {
            let here = filters.here.clone().set("outcome", *outcome).uri();
            ((live.outcomes)(outcome), here, filters.value("outcome") == Some(*outcome))
        };
        let all = filters.here.clone().without("outcome").uri();
        let mut outcomes = vec![(live.everything, all, filters.value("outcome").is_none())];
        outcomes.extend(OUTCOMES.iter().map(link));
        Ok(Self {
            rows: sent.into_iter().map(|push| request(push, visitor)).collect(),
            outcomes,
            source: visitor.source(&call),
            has_bodies: visitor.is_admin(),
        })
    }
}

fn request(push: PushIn, visitor: &Visitor) -> Request {
    let format = visitor.format();
    let words = &visitor.look.words.live;
    let class = match push.outcome.as_str() {
        "stored" => "",
        "duplicate" | "erased" | "probe" => "plain",
        "quarantined" => "sms",
        _ => "alarm",
    };
    // What did not verify is anybody's text, and nobody has a reason to send it once more.
    let is_authentic = ["stored", "duplicate", "quarantined"].contains(&push.outcome.as_str());
    let is_text = push.body_encoding.as_deref() == Some("utf-8");
    let body = push.body.unwrap_or_default();
    let kind = push.kind.unwrap_or_default();
    let is_whole = is_authentic && !push.body_cut && !body.is_empty();
    let url = is_whole.then(|| visitor.state.settings.registrations.now().url_of(&kind)).flatten();
    let curl = url.map(|url| {
        let packed = if is_text { STANDARD.encode(&body) } else { body.clone() };
        curl_of(&packed, &url)
    });
    Request {
        time: told(&push.at).map(|at| format.second(at)).unwrap_or_default(),
        at: push.at,
        status: push.status.map(|status| status.to_string()).unwrap_or_default(),
        outcome: (words.outcomes)(&push.outcome),
        class,
        reason: push.reason.map(|reason| reason_of(&reason, visitor)).unwrap_or_default(),
        source: push.source,
        size: push.bytes.map(|bytes| format.bytes(bytes).to_string()).unwrap_or_default(),
        took: format!("{:.1} ms", push.took_ms),
        is_test: push.test,
        is_cut: push.body_cut,
        // What is no push's address has no kind.
        kind: push.address.unwrap_or(kind),
        body,
        curl,
    }
}

/// A request for a shell. The body's text never stands in the command: shells differ in what they read
/// into a quoted text, and curl into one that begins with `@`.
fn curl_of(base64: &str, url: &str) -> String {
    let url = url.replace('\'', "%27");
    format!(
        "printf %s '{base64}' | base64 -d | curl -sS -X POST -H 'Content-Type: application/json' \
         --data-binary @- '{url}'"
    )
}

/// A reason of the API's list in the page's language; any other as it is.
fn reason_of(reason: &str, visitor: &Visitor) -> String {
    let told = visitor.look.words.overview.held_reason;
    let known = told(reason);
    if known == told("") { reason.to_owned() } else { known.to_owned() }
}

/// Pushes that are held.
pub(super) struct Held {
    pub(super) rows: Vec<HeldPush>,
    pub(super) source: Source,
    /// The page of older ones.
    pub(super) next: Option<String>,
}

/// One of them.
pub(super) struct HeldPush {
    pub(super) id: i64,
    pub(super) at: String,
    pub(super) time: String,
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) kind: String,
    pub(super) reason: String,
    pub(super) field: String,
    pub(super) source: String,
    pub(super) size: String,
    pub(super) count: i64,
    pub(super) address: String,
}

#[derive(Deserialize)]
struct HeldIn {
    id: i64,
    received_at: String,
    class: String,
    kind: String,
    reason: String,
    field: Option<String>,
    source: Option<String>,
    bytes: i64,
    count: i64,
}

impl Held {
    pub(super) async fn ask(visitor: &Visitor, filters: &Filters) -> Result<Self, Refused> {
        const SIZE: usize = 50;
        let page: u32 = filters.value("id").and_then(|page| page.parse().ok()).unwrap_or_default();
        let first = visitor.state.api.settings.first_page;
        let call = Call::to("/v1/held").with("size", SIZE).with("page", page + first);
        let answer = visitor.api.get::<Vec<HeldIn>>(&call).await?;
        let has_more = answer.body.len() == SIZE;
        let next = has_more.then(|| filters.here.clone().set("id", page + 1).uri());
        let rows = answer.body.into_iter().map(|held| held_push(held, visitor)).collect();
        Ok(Self { rows, source: visitor.source(&call), next })
    }
}

fn held_push(held: HeldIn, visitor: &Visitor) -> HeldPush {
    let format = visitor.format();
    let words = &visitor.look.words.live;
    let (class, word) = match held.class.as_str() {
        class @ ("quarantined" | "stale") => ("sms", (words.held_classes)(class)),
        _ => ("alarm", (words.held_classes)("refused")),
    };
    HeldPush {
        id: held.id,
        time: told(&held.received_at).map(|at| format.moment(at)).unwrap_or_default(),
        at: held.received_at,
        class,
        word,
        kind: held.kind,
        reason: reason_of(&held.reason, visitor),
        field: held.field.unwrap_or_default(),
        source: held.source.unwrap_or_default(),
        size: format.bytes(held.bytes).to_string(),
        count: held.count,
        address: format!("/v1/held/{}", held.id),
    }
}
