//! What needs a person, in the words of the page's language.
use serde::Deserialize;

use super::{Asked, Call, Refused, Source};
use crate::http::page::format::{Format, told};

/// All of it, the most urgent first.
pub(super) struct Attention {
    pub(super) items: Vec<Item>,
    /// How many more there are.
    pub(super) more: usize,
    pub(super) source: Source,
}

/// One thing.
pub(super) struct Item {
    /// `critical`, `warning` or `notice`.
    pub(super) severity: String,
    /// The same in the page's language.
    pub(super) urgency: &'static str,
    pub(super) title: String,
    pub(super) note: String,
    /// What the API says of it, with what to do.
    pub(super) sentence: String,
    pub(super) since: String,
    /// When that was, for programs.
    pub(super) at: String,
    /// Where there is more.
    pub(super) address: Option<String>,
}

/// A row of `/v1/attention`.
#[derive(Debug, Deserialize)]
pub(super) struct AttentionIn {
    pub(super) kind: String,
    severity: String,
    sentence: String,
    since: Option<String>,
    count: u64,
    reason: Option<String>,
    pub(super) giccid: Option<String>,
    sn: Option<String>,
    name: Option<String>,
    pub(super) sim_group: Option<String>,
    country_code: Option<String>,
    network: Option<String>,
    apn: Option<String>,
    pub(super) data_usage: Option<i64>,
    pub(super) usual: Option<i64>,
    pause_s: Option<u64>,
    usual_pause_s: Option<u64>,
}

/// Where the API tells what needs a person.
pub(super) const ATTENTION: &str = "/v1/attention";

const ITEMS_MAX: usize = 8;

impl Attention {
    pub(super) async fn ask(asked: &Asked<'_>) -> Result<Self, Refused> {
        let call = Call::to(ATTENTION);
        let rows: Vec<AttentionIn> = asked.visitor.api.get_recent(&call).await?.body;
        let more = rows.len().saturating_sub(ITEMS_MAX);
        let format = asked.visitor.format();
        let items = rows.into_iter().take(ITEMS_MAX).map(|row| item(row, &format)).collect();
        Ok(Self { items, more, source: asked.visitor.source(&call) })
    }
}

fn item(row: AttentionIn, format: &Format) -> Item {
    let words = &format.words.overview;
    let since = row.since.as_deref().and_then(told);
    let urgency = match row.severity.as_str() {
        "critical" => words.severity[0],
        "warning" => words.severity[1],
        _ => words.severity[2],
    };
    Item {
        urgency,
        title: title(&row, format),
        note: note(&row, format),
        since: since.map(|at| format.since(at)).unwrap_or_default(),
        address: address(&row),
        at: row.since.unwrap_or_default(),
        severity: row.severity,
        sentence: row.sentence,
    }
}

fn title(row: &AttentionIn, format: &Format) -> String {
    let words = &format.words.overview;
    let count = format.number(row.count);
    let span = |seconds: Option<u64>| {
        format.span(std::time::Duration::from_secs(seconds.unwrap_or_default()))
    };
    match row.kind.as_str() {
        "sim_above_usual" => {
            let times =
                format.times(row.data_usage.unwrap_or_default(), row.usual.unwrap_or_default());
            (words.sim_above_usual)(&times.unwrap_or_default())
        }
        "imei_change" => words.imei_change.to_owned(),
        "sims_silent" => (words.sims_silent)(&count),
        "new_country" => (words.new_country)(&count),
        "router_offline" => {
            let name = row.name.as_deref().or(row.sn.as_deref()).unwrap_or_default();
            (words.router_offline)(name)
        }
        "rcms_failing" => words.rcms_title.to_owned(),
        "pushes_overdue" => (words.pushes_overdue)(&span(row.pause_s)),
        "pushes_refused" => (words.pushes_refused)(&count),
        "pushes_dropped" => (words.pushes_dropped)(&count),
        "pushes_not_taken" => {
            let condition = row.reason.as_deref().unwrap_or_default();
            (format.words.api_page.condition_of)(condition).to_owned()
        }
        "pushes_quarantined" | "pushes_stale" => match row.reason.as_deref() {
            Some("date_retracted") => (words.pushes_retracted)(&count),
            Some("date_old" | "date_ahead") => (words.pushes_untimely)(&count),
            _ => (words.pushes_quarantined)(&count),
        },
        // What a newer API tells of is told in its own words.
        _ => row.sentence.clone(),
    }
}

fn note(row: &AttentionIn, format: &Format) -> String {
    let words = &format.words.overview;
    let bytes = |bytes: Option<i64>| format.bytes(bytes.unwrap_or_default()).to_string();
    let mut parts: Vec<String> = Vec::new();
    if let Some(giccid) = &row.giccid {
        let start = giccid.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
        parts.push(format!("…{}", &giccid[start..]));
    }
    parts.extend(row.sim_group.clone());
    match row.kind.as_str() {
        "sim_above_usual" => {
            parts.push((words.sim_above_note)(&bytes(row.data_usage), &bytes(row.usual)));
        }
        "imei_change" => parts.push(words.imei_note.to_owned()),
        "sims_silent" => {
            parts.extend(row.network.clone());
            parts.extend(row.apn.clone());
            parts.push(words.sims_silent_note.to_owned());
        }
        "new_country" => {
            parts.extend(row.country_code.clone());
            parts.extend(row.network.clone());
            parts.extend(row.data_usage.map(|used| (words.new_country_note)(&bytes(Some(used)))));
        }
        "router_offline" => parts.extend(row.sn.clone()),
        "rcms_failing" => parts.push(words.rcms_note.to_owned()),
        // The title says it.
        "pushes_not_taken" => (),
        "pushes_overdue" => {
            let pause = std::time::Duration::from_secs(row.usual_pause_s.unwrap_or_default());
            parts.push((words.pushes_overdue_note)(&format.span(pause)));
        }
        _ => {
            parts.extend(row.reason.as_deref().map(|it| (words.held_reason)(it).to_owned()));
        }
    }
    parts.join(" · ")
}

/// The page that tells more.
fn address(row: &AttentionIn) -> Option<String> {
    let country = || Some(Call::to("/sims").with("country_code", row.country_code.as_ref()?).uri());
    match row.kind.as_str() {
        "sim_above_usual" | "imei_change" => Some(format!("/sims/{}", row.giccid.as_ref()?)),
        "sims_silent" => {
            let call = Call::to("/sims").with("silent_for", "24h");
            let (mcc, mnc) = row.network.as_ref().and_then(|it| it.split_once('-')).unzip();
            let call = call.with_some("mcc", mcc).with_some("mnc", mnc);
            Some(call.with_some("apn", row.apn.as_ref()).uri())
        }
        "new_country" => country(),
        "router_offline" => Some(format!("/routers/{}", row.sn.as_ref()?)),
        "rcms_failing" => Some("/routers".to_owned()),
        "pushes_overdue" => Some("/live?tab=requests".to_owned()),
        "pushes_not_taken" => Some("/api".to_owned()),
        _ => Some("/live?tab=held".to_owned()),
    }
}
