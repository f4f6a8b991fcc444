//! One SIM's story: records, messages and notifications, from what was stored last on.
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Call, Filters, Format, Giccid, Refused, Source, Visitor};
use crate::{
    domain::Timestamp,
    http::page::{
        ask::Answer,
        payload::{Member, members},
        routers::When,
        turns::{PLACE, Pages},
    },
};

/// A part of the story.
pub(super) struct Story {
    pub(super) events: Vec<Event>,
    pub(super) pages: Pages,
    pub(super) source: Source,
}

/// Something that was pushed.
pub(super) struct Event {
    pub(super) when: When,
    /// The whole of it, in the API.
    pub(super) address: String,
    pub(super) class: &'static str,
    pub(super) word: String,
    /// A volume, and to the byte.
    pub(super) used: Option<(String, String)>,
    /// A message's text.
    pub(super) text: Option<String>,
    pub(super) members: Vec<Member>,
    pub(super) country: Option<String>,
    pub(super) network: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

#[derive(Deserialize)]
struct EventIn {
    kind: String,
    id: i64,
    received_at: String,
    start_time: Option<i64>,
    event_time: Option<i64>,
    data_usage: Option<i64>,
    country_code: Option<String>,
    mcc: Option<String>,
    mnc: Option<String>,
    text: Option<String>,
    from_msisdn: Option<String>,
    to_msisdn: Option<String>,
    payload: Option<BTreeMap<String, Value>>,
}

impl Story {
    pub(super) async fn ask(
        visitor: &Visitor,
        giccid: &Giccid,
        filters: &Filters,
        here: &Call,
    ) -> Result<Self, Refused> {
        const SIZE: u32 = 50;
        let call = Call::to(format!("/v1/sims/{giccid}/timeline")).with("size", SIZE);
        let place = PLACE.into_iter().filter(|name| *name != "size");
        let call = place.fold(call, |call, name| call.with_some(name, filters.value(name)));
        let answer: Answer<Vec<EventIn>> = visitor.api.get(&call).await?;
        let format = visitor.format();
        let pages = Pages::of(&answer, here, &format);
        let events = answer.body.into_iter().map(|event| Event::of(event, &format)).collect();
        Ok(Self { events, pages, source: visitor.source(&call) })
    }
}

impl Event {
    fn of(event: EventIn, format: &Format) -> Self {
        let words = format.words;
        let own = event.start_time.or(event.event_time);
        let own = own.map(|ms| Timestamp::from_unix_ms(ms).to_string());
        let (list, class, word) = match event.kind.as_str() {
            "data-usage" => ("data-usage", "", words.live.data.to_owned()),
            "mo-sms" => ("mo-sms", "sms", words.live.sms.to_owned()),
            "imei-change" => ("notifications", "alarm", words.sims.moved.to_owned()),
            other => ("notifications", "plain", other.to_owned()),
        };
        let volume = |used| (format!("+{}", format.bytes(used)), format.exactly(used));
        let mnc = event.mnc.unwrap_or_default();
        Self {
            when: When::of(&own.unwrap_or(event.received_at), format),
            address: format!("/v1/{list}/{}", event.id),
            class,
            word,
            used: event.data_usage.map(volume),
            text: event.text,
            members: event.payload.as_ref().map(members).unwrap_or_default(),
            country: event.country_code,
            network: event.mcc.map(|mcc| format!("{mcc}-{mnc}")),
            from: event.from_msisdn,
            to: event.to_msisdn,
        }
    }
}
