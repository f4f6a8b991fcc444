//! Routers that cannot be reached, and RCMS where it does not say.
use super::{
    Asked, AttentionKind, Item, Severity,
    wording::{number, span},
};
use crate::{
    domain::{
        Device, DeviceEventWord, DeviceFilter, DeviceState, HistoryFilter, PageSize, Place,
        PollCall, PollReport, Walk,
    },
    http::api::{error::ApiError, list::older_than},
    store::Portion,
};

/// So many routers are told of one by one.
const ONE_BY_ONE_MAX: u64 = 5;

impl Asked<'_> {
    /// Nothing where RCMS is not set up.
    pub(super) async fn routers(&self) -> Result<Vec<Item>, ApiError> {
        let Some(report) = self.state.poll_report() else { return Ok(Vec::new()) };
        let (store, freshness) = (&self.state.store, self.state.freshness());
        let fleet = store.fleet(freshness).await?;
        let told_at = fleet.totals.map(|(at, _)| at).max(fleet.listed_at);
        let is_stale = told_at.is_some_and(|at| at < freshness.oldest());
        let mut items: Vec<Item> = self.failing(&report).into_iter().collect();
        if items.is_empty() && is_stale {
            items.extend(told_at.map(|at| {
                let ago = span(self.now.since(at));
                let sentence = format!(
                    "RCMS has told nothing of the routers for {ago}, so nobody knows which are \
                     online. Look at the status for what the poller does."
                );
                let url = self.base.url("/v1/status");
                Item::new(Severity::Warning, AttentionKind::RcmsFailing, url, sentence).since(at)
            }));
        }
        if fleet.offline_confirmed > ONE_BY_ONE_MAX {
            items.push(self.many_offline(fleet.offline_confirmed));
            return Ok(items);
        }
        let filter = DeviceFilter { state: vec![DeviceState::Offline], ..DeviceFilter::default() };
        let (top, size) = (store.device_top().await?, PageSize::LARGEST);
        let (mut walk, mut offline) = (Walk { top, place: Place::Newest, size }, Vec::new());
        loop {
            let Portion { rows, left } = store.devices(&filter, freshness, &walk).await?;
            let oldest = rows.last().map(|device| device.id);
            offline.extend(rows.into_iter().filter(Device::is_state_confirmed));
            match oldest {
                Some(oldest) if !left.is_empty() => walk = older_than(oldest, size),
                _ => break,
            }
        }
        offline.sort_by_key(|device| std::cmp::Reverse(device.state_since));
        for device in &offline {
            let is_since_before = self.is_of_first_sight(device).await?;
            items.push(self.offline(device, is_since_before));
        }
        Ok(items)
    }

    /// Whether a router has been what it is since simdeck first saw it: it may have been so before.
    async fn is_of_first_sight(&self, device: &Device) -> Result<bool, ApiError> {
        let walk = Walk { top: i64::MAX, place: Place::Oldest, size: PageSize::ONE };
        let filter =
            HistoryFilter { only: Some(DeviceEventWord::State), ..HistoryFilter::default() };
        let first = self.state.store.device_history(&device.listed.sn, &filter, &walk).await?;
        Ok(first.first().is_some_and(|event| event.at >= device.state_since))
    }

    fn failing(&self, report: &PollReport) -> Option<Item> {
        let (call, failure) = report.worst()?;
        const OLD: &str = "what is known of the routers may be old";
        let (severity, what) = match call {
            PollCall::StatusData => {
                (Severity::Notice, "RCMS does not answer for some routers".to_owned())
            }
            PollCall::Keep => (Severity::Warning, format!("RCMS's answers are not stored: {OLD}")),
            _ => (Severity::Warning, format!("RCMS does not answer as it should: {OLD}")),
        };
        let sentence = format!("{what}. {}", failure.sentence);
        let url = self.base.url("/v1/status");
        let item = Item::new(severity, AttentionKind::RcmsFailing, url, sentence);
        Some(item.since(failure.since))
    }

    fn offline(&self, device: &Device, is_since_before: bool) -> Item {
        let listed = &device.listed;
        let name = listed.name.sent().unwrap_or(listed.sn.as_str());
        let last = device.status.as_ref().and_then(|newest| newest.facts.ip.sent());
        let last = last.map(|ip| format!(", its last address was {ip}")).unwrap_or_default();
        let ago = span(self.now.since(device.state_since));
        let since = match is_since_before {
            true => format!("since before simdeck first saw it {ago} ago"),
            false => format!("for {ago}"),
        };
        let sentence = format!(
            "Router {name} has been offline {since}{last}: check its power, its antenna and its SIM.",
        );
        let url = self.base.url(&format!("/v1/devices/{}", listed.sn));
        let item = Item::new(Severity::Notice, AttentionKind::RouterOffline, url, sentence);
        let mut item = item.since(device.state_since);
        item.out.sn = Some(listed.sn.to_string());
        item.out.name = listed.name.sent().map(str::to_owned);
        item
    }

    fn many_offline(&self, count: u64) -> Item {
        let what = number(count, "router is", "routers are");
        let sentence = format!(
            "{what} offline: look whether they share a site, a network or a firmware version."
        );
        let url = self.base.url("/v1/devices?state=offline");
        Item::new(Severity::Warning, AttentionKind::RouterOffline, url, sentence).count(count)
    }
}
