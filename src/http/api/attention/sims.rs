//! SIMs that do what they usually do not.
use std::time::Duration;

use super::{
    Asked, AttentionKind, Item, Severity,
    wording::{number, sim, volume},
};
use crate::{
    domain::{
        Calendar, ImeiChange, Interval, NewCountry, Silence, SilentGroup, SimAboveUsual, Timestamp,
    },
    http::{
        api::{error::ApiError, sims::sim_url},
        query_string::append,
    },
};

/// How many SIMs of a kind are told of.
const TOLD_MAX: usize = 20;
/// For how long a notification is news.
const NEWS_FOR: Duration = Duration::from_secs(24 * 60 * 60);

impl Asked<'_> {
    pub(super) async fn sims(&self) -> Result<Vec<Item>, ApiError> {
        /// SmartHub's name for it, as it stands in the address.
        const IMEI_CHANGE: &str = "imei-change";
        let (store, now) = (&self.state.store, self.now);
        let above = store.sims_above_usual(now, TOLD_MAX).await?;
        let moved = store.imei_changes(IMEI_CHANGE, now.minus(NEWS_FOR), TOLD_MAX).await?;
        let silence = store.silence(now).await?;
        let mut items: Vec<Item> = above.iter().map(|above| self.above_usual(above)).collect();
        items.extend(moved.iter().map(|change| self.moved(change)));
        items.extend(self.silent(&silence));
        items.extend(store.new_countries(now).await?.iter().map(|new| self.new_country(new)));
        Ok(items)
    }

    fn above_usual(&self, above: &SimAboveUsual) -> Item {
        /// From so many times the usual on it is urgent.
        const URGENT_TIMES: i64 = 20;
        let times = above.data_usage / above.usual.max(1);
        let severity = if times < URGENT_TIMES { Severity::Warning } else { Severity::Critical };
        let sentence = format!(
            "{} used {} today, {times} times its usual {}: look for a new firmware, a transfer \
             that does not end, or a SIM in the wrong hands.",
            sim(&above.giccid),
            volume(above.data_usage),
            volume(above.usual),
        );
        let today = Calendar::new(self.wording.zone.clone(), Interval::Day);
        let today = today.span_of(self.now.unix_ms()).start_ms;
        let url = sim_url(self.base, &above.giccid);
        let mut item = Item::new(severity, AttentionKind::SimAboveUsual, url, sentence)
            .since(Timestamp::from_unix_ms(today))
            .giccid(Some(&above.giccid))
            .network(&above.network);
        item.out.data_usage = Some(above.data_usage);
        item.out.usual = Some(above.usual);
        item
    }

    fn moved(&self, change: &ImeiChange) -> Item {
        let which = change.giccid.as_ref().map_or("A SIM".to_owned(), sim);
        let sentence = format!(
            "{which} is in another device: SmartHub told of a new IMEI {}. If nobody of yours moved \
             it, suspend it.",
            self.wording.at(change.at),
        );
        // The SIM need not have sent anything yet; the notification is there in any case.
        let url = self.base.row("notifications", change.id);
        let kind = AttentionKind::ImeiChange;
        let item = Item::new(Severity::Critical, kind, url, sentence).since(change.at);
        item.giccid(change.giccid.as_ref())
    }

    fn silent(&self, silence: &Silence) -> Vec<Item> {
        let at_least = if silence.is_all { "" } else { "At least " };
        let groups = silence.together.iter().map(|group| self.silent_together(group, at_least));
        let alone = (silence.alone > 0).then(|| self.silent_alone(silence.alone, at_least));
        groups.chain(alone).collect()
    }

    fn silent_together(&self, group: &SilentGroup, at_least: &str) -> Item {
        let since = Timestamp::from_unix_ms(group.since_ms);
        let SilentGroup { network, apn, country_code, sim_group, .. } = group;
        let network_name = network.as_ref().map(|(mcc, mnc)| format!("{mcc}-{mnc}"));
        let mut query = String::new();
        append(&mut query, "silent_for", "24h");
        let (mcc, mnc) = network.clone().unzip();
        let shared = [
            ("mcc", &mcc),
            ("mnc", &mnc),
            ("apn", apn),
            ("country_code", country_code),
            ("sim_group", sim_group),
        ];
        for (name, value) in shared {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                append(&mut query, name, value);
            }
        }
        let shared = [
            network_name.as_ref().map(|name| format!("on {name}")),
            apn.as_ref().map(|apn| format!("apn {apn}")),
            country_code.as_ref().map(|code| format!("in {code}")),
            sim_group.as_ref().map(|group| format!("of group {group}")),
        ];
        let cause = match (network, apn, country_code) {
            (None, None, None) => "look for what the group shares, such as a plan or a firmware",
            _ => "likely the network, not the devices",
        };
        let sentence = format!(
            "{at_least}{} SIMs went silent together {}; all {}: {cause}.",
            group.sims,
            self.wording.at(since),
            shared.into_iter().flatten().collect::<Vec<_>>().join(", "),
        );
        let url = self.base.url(&format!("/v1/sims?{query}"));
        let kind = AttentionKind::SimsSilent;
        let item = Item::new(Severity::Warning, kind, url, sentence).since(since);
        let mut item = item.count(group.sims);
        item.out.network = network_name;
        item.out.apn = apn.clone();
        item.out.country_code = country_code.clone();
        item.out.sim_group = sim_group.clone();
        item
    }

    fn silent_alone(&self, count: u64, at_least: &str) -> Item {
        let what = number(count, "SIM has", "SIMs have");
        let sentence = format!(
            "{at_least}{what} been silent for more than three times the usual: check the devices' power and \
             the SIMs' status."
        );
        let url = self.base.url("/v1/sims?silent_for=24h");
        let kind = AttentionKind::SimsSilent;
        Item::new(Severity::Notice, kind, url, sentence).count(count)
    }

    fn new_country(&self, new: &NewCountry) -> Item {
        let group = match new.sim_group.as_str() {
            "" => "SIMs without a group".to_owned(),
            group => format!("SIMs of group {group}"),
        };
        let sentence = format!(
            "{group} used data in {} for the first time: {} so far, {} there now. Check that they \
             belong there, and what roaming costs.",
            new.country_code,
            volume(new.data_usage),
            number(new.sims, "SIM is", "SIMs are"),
        );
        let mut query = String::new();
        if !new.sim_group.is_empty() {
            append(&mut query, "sim_group", &new.sim_group);
        }
        append(&mut query, "country_code", &new.country_code);
        let url = self.base.url(&format!("/v1/sims?{query}"));
        let kind = AttentionKind::NewCountry;
        let item = Item::new(Severity::Warning, kind, url, sentence).since(new.since);
        let mut item = item.count(new.sims);
        item.out.sim_group = (!new.sim_group.is_empty()).then(|| new.sim_group.clone());
        item.out.country_code = Some(new.country_code.clone());
        item.out.data_usage = Some(new.data_usage);
        item
    }
}
