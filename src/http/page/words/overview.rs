use crate::http::page::filters::Range;

/// The overview.
#[derive(Debug)]
pub(in crate::http::page) struct Overview {
    pub(in crate::http::page) range: &'static str,
    pub(in crate::http::page) ranges: fn(Range) -> &'static str,
    pub(in crate::http::page) all_groups: &'static str,
    pub(in crate::http::page) times_in: fn(&str) -> String,
    pub(in crate::http::page) complete_through: fn(&str) -> String,
    pub(in crate::http::page) data_used: &'static str,
    pub(in crate::http::page) active_sims: &'static str,
    pub(in crate::http::page) silent: &'static str,
    pub(in crate::http::page) messages: &'static str,
    pub(in crate::http::page) routers_online: &'static str,
    pub(in crate::http::page) records_received: &'static str,
    pub(in crate::http::page) all_fleet: &'static str,
    /// Behind a change, with the range.
    pub(in crate::http::page) versus: fn(&str) -> String,
    pub(in crate::http::page) nothing_before: &'static str,
    pub(in crate::http::page) active_share: fn(&str, &str) -> String,
    /// How many, and since which count where that is not the one at the start.
    pub(in crate::http::page) silent_more: fn(&str, Option<&str>) -> String,
    pub(in crate::http::page) silent_less: fn(&str, Option<&str>) -> String,
    pub(in crate::http::page) silent_same: fn(Option<&str>) -> String,
    pub(in crate::http::page) silent_uncounted: &'static str,
    pub(in crate::http::page) routers_note: fn(&str, &str) -> String,
    pub(in crate::http::page) rcms_off: &'static str,
    pub(in crate::http::page) rcms_failing: fn(&str) -> String,
    pub(in crate::http::page) rcms_waits: &'static str,
    pub(in crate::http::page) records_note: fn(&str, &str) -> String,
    /// By the interval's word in the API.
    pub(in crate::http::page) chart: fn(&str) -> &'static str,
    pub(in crate::http::page) actual: &'static str,
    pub(in crate::http::page) above: &'static str,
    pub(in crate::http::page) usual: &'static str,
    pub(in crate::http::page) week_before: &'static str,
    pub(in crate::http::page) gap: &'static str,
    pub(in crate::http::page) little_history: &'static str,
    /// In all, at most, and when that was.
    pub(in crate::http::page) chart_summary: fn(&str, &str, &str) -> String,
    /// How many intervals were above what is usual.
    pub(in crate::http::page) above_usual: fn(usize) -> String,
    pub(in crate::http::page) no_usage: &'static str,
    pub(in crate::http::page) last_usage: fn(&str) -> String,
    pub(in crate::http::page) attention: &'static str,
    pub(in crate::http::page) nothing_wrong: &'static str,
    pub(in crate::http::page) severity: [&'static str; 3],
    pub(in crate::http::page) top_sims: &'static str,
    pub(in crate::http::page) today: &'static str,
    pub(in crate::http::page) by_data: &'static str,
    pub(in crate::http::page) by_change: &'static str,
    pub(in crate::http::page) by_messages: &'static str,
    pub(in crate::http::page) versus_usual: &'static str,
    pub(in crate::http::page) usual_is: &'static str,
    pub(in crate::http::page) breakdown: &'static str,
    pub(in crate::http::page) routers: &'static str,
    pub(in crate::http::page) routers_about: &'static str,
    pub(in crate::http::page) routers_fine: &'static str,
    pub(in crate::http::page) all_routers: fn(&str) -> String,
    pub(in crate::http::page) online: &'static str,
    pub(in crate::http::page) offline: &'static str,
    pub(in crate::http::page) unknown: &'static str,
    pub(in crate::http::page) sim_above_usual: fn(&str) -> String,
    pub(in crate::http::page) sim_above_note: fn(&str, &str) -> String,
    pub(in crate::http::page) imei_change: &'static str,
    pub(in crate::http::page) imei_note: &'static str,
    pub(in crate::http::page) sims_silent: fn(&str) -> String,
    pub(in crate::http::page) sims_silent_note: &'static str,
    pub(in crate::http::page) new_country: fn(&str) -> String,
    pub(in crate::http::page) new_country_note: fn(&str) -> String,
    pub(in crate::http::page) router_offline: fn(&str) -> String,
    pub(in crate::http::page) rcms_title: &'static str,
    pub(in crate::http::page) rcms_note: &'static str,
    pub(in crate::http::page) pushes_overdue: fn(&str) -> String,
    pub(in crate::http::page) pushes_overdue_note: fn(&str) -> String,
    pub(in crate::http::page) pushes_refused: fn(&str) -> String,
    pub(in crate::http::page) pushes_dropped: fn(&str) -> String,
    pub(in crate::http::page) pushes_quarantined: fn(&str) -> String,
    /// Held because what came under their `datePush` was retracted.
    pub(in crate::http::page) pushes_retracted: fn(&str) -> String,
    /// Held because their `datePush` is too old, or ahead.
    pub(in crate::http::page) pushes_untimely: fn(&str) -> String,
    /// By the reason's word in the API.
    pub(in crate::http::page) held_reason: fn(&str) -> &'static str,
}

impl Overview {
    /// How often use was above what is usual, or why that is not known.
    pub(in crate::http::page) fn beside_usual(&self, has_usual: bool, above: usize) -> String {
        if has_usual { (self.above_usual)(above) } else { self.little_history.to_owned() }
    }
}
