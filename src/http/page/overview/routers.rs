//! Routers that are offline, with their last hours.
use super::{Asked, Call, Refused, Source};
use crate::http::page::{
    beats::{self, Beats, Now},
    format::told,
    routers::DeviceIn,
};

const ROUTERS_MAX: usize = 4;

/// A few routers.
pub(super) struct Routers {
    pub(super) rows: Vec<Row>,
    pub(super) source: Source,
    /// How many are offline in all.
    pub(super) offline: String,
}

/// One of them.
pub(super) struct Row {
    pub(super) sn: String,
    pub(super) name: String,
    pub(super) beats: Option<Beats>,
    /// For how long it has been so.
    pub(super) since: String,
    pub(super) at: String,
}

impl Routers {
    /// None where RCMS is not set up.
    pub(super) async fn ask(asked: &Asked<'_>) -> Option<Result<Self, Refused>> {
        let state = &asked.visitor.state;
        if state.api.rcms.is_none() && !state.settings.is_demo {
            return None;
        }
        Some(Self::offline(asked).await)
    }

    async fn offline(asked: &Asked<'_>) -> Result<Self, Refused> {
        let call = Call::to("/v1/devices").with("state", "offline").with("size", ROUTERS_MAX);
        let answer = asked.visitor.api.get_recent::<Vec<DeviceIn>>(&call).await?;
        let now = |device: &'_ DeviceIn| -> (String, String, String) {
            (device.sn.clone(), device.state.clone(), device.state_since.clone())
        };
        let now: Vec<(String, String, String)> = answer.body.iter().map(now).collect();
        let now = now.iter().map(|(sn, state, since)| Now { sn, state, since });
        let beats = beats::for_devices(asked.visitor, now).await;
        let format = asked.visitor.format();
        let offline = format.number(answer.total().unwrap_or_default());
        let row = |(device, beats): (DeviceIn, Option<Beats>)| Row {
            name: device.name.filter(|name| !name.is_empty()).unwrap_or_else(|| device.sn.clone()),
            since: told(&device.state_since).map(|at| format.since(at)).unwrap_or_default(),
            at: device.state_since,
            sn: device.sn,
            beats,
        };
        Ok(Self {
            rows: answer.body.into_iter().zip(beats).map(row).collect(),
            source: asked.visitor.source(&call),
            offline,
        })
    }
}
