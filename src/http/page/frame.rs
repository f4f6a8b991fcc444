//! What stands around every page: the bar at its top, and what a browser has to know.
use serde::Deserialize;

use super::{
    PageState,
    ask::{Api, Refused},
    assets::{ICON, SCRIPT, STYLE},
    call::Call,
    format::{Format, told, whole},
    look::{Look, Theme},
    words::Words,
    zone::name_of,
};

/// The pages in the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Here {
    Overview,
    Live,
    Sims,
    Messages,
    Routers,
    Api,
    /// For admins.
    Audit,
    /// None of them.
    Elsewhere,
}

/// How data comes in, in the bar.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// The class of its dot, beside colour also by its form: nothing, `bad` or `off`.
    pub(super) dot: &'static str,
    /// Records in a second, while some come in.
    pub(super) rate: Option<String>,
    /// Else what is wrong, in a few words.
    pub(super) text: String,
}

/// What every template has.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) w: &'static Words,
    pub(super) look: Look,
    pub(super) here: Here,
    pub(super) title: String,
    /// The address of this page, for buttons that come back to it.
    pub(super) address: String,
    /// What stands in the search box.
    pub(super) search: String,
    /// None before the sign-in.
    pub(super) pulse: Option<Pulse>,
    /// Who is signed in.
    pub(super) caller: String,
    pub(super) is_admin: bool,
    /// Whether there is a front door to push tests to, and the visitor may.
    pub(super) can_test: bool,
    pub(super) is_demo: bool,
    pub(super) style: &'static str,
    pub(super) script: &'static str,
    pub(super) icon: &'static str,
    pub(super) unit_base: u32,
    /// The zone in which times are told.
    pub(super) zone: String,
    /// Whether that is the browser's, as far as it is known.
    pub(super) is_zone_of_browser: bool,
    /// Its offset now; empty before the sign-in.
    pub(super) zone_offset: String,
    pub(super) version: &'static str,
}

/// What of `/v1/status` the bar tells.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct StatusIn {
    pub(super) ready: bool,
    pub(super) received_per_s: f64,
    pub(super) pushes: std::collections::BTreeMap<String, KindIn>,
    pub(super) tests: i64,
    pub(super) disk: DiskIn,
}

/// One kind of push.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct KindIn {
    pub(super) last_received_at: Option<String>,
}

/// The disk.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct DiskIn {
    pub(super) free_bytes: Option<i64>,
}

impl StatusIn {
    /// Of this moment where nothing was ever stored: somebody waits for the first push.
    pub(super) async fn of(api: &Api) -> Result<Self, Refused> {
        let call = Call::to("/v1/status");
        let recent: Self = api.get_recent(&call).await?.body;
        if recent.has_any() {
            return Ok(recent);
        }
        Ok(api.get(&call).await?.body)
    }

    /// Whether anything authentic was ever stored.
    pub(super) fn has_any(&self) -> bool {
        !self.pushes.is_empty()
    }
}

impl Pulse {
    /// More than this without any push is told instead of a rate of nothing.
    const QUIET_MS: i64 = 15 * 60 * 1000;

    pub(super) fn of(status: &Result<StatusIn, Refused>, format: &Format) -> Self {
        let nav = &format.words.nav;
        let trouble = |text| Self { dot: "bad", rate: None, text };
        let Ok(status) = status else {
            let text = format.words.common.unknown.to_owned();
            return Self { dot: "off", rate: None, text };
        };
        if !status.ready {
            return trouble(nav.not_stored.to_owned());
        }
        let last = status.pushes.values().filter_map(|kind| told(kind.last_received_at.as_ref()?));
        match last.max() {
            None => Self { dot: "off", rate: None, text: nav.no_push_yet.to_owned() },
            Some(at) if format.now.unix_ms() - at.unix_ms() > Self::QUIET_MS => {
                trouble((nav.quiet)(&format.since(at)))
            }
            _ => Self { rate: Some(rate(status.received_per_s, format)), ..Self::default() },
        }
    }
}

impl Frame {
    /// Before anybody is known.
    pub(super) fn outside(state: &PageState, look: Look, title: &str) -> Self {
        Self {
            w: look.words,
            look,
            here: Here::Elsewhere,
            title: title.to_owned(),
            address: "/".to_owned(),
            search: String::new(),
            pulse: None,
            caller: String::new(),
            is_admin: false,
            can_test: false,
            is_demo: state.settings.is_demo,
            style: &STYLE.path,
            script: &SCRIPT.path,
            icon: &ICON.path,
            unit_base: state.settings.unit_base.bytes(),
            zone: name_of(&state.api.store.zone()).to_owned(),
            is_zone_of_browser: true,
            zone_offset: String::new(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// What the colour button asks for.
    pub(super) fn other_theme(&self) -> &'static str {
        match self.look.theme {
            Some(Theme::Dark) => "light",
            _ => "dark",
        }
    }

    /// Where the time zone is chosen, and from where one comes back to this page.
    pub(super) fn zone_choice(&self) -> String {
        Call::to("/time-zone").with("next", &self.address).uri()
    }

    /// The pages of the bar that this visitor may see: where, the letter that leads there after `g`, its
    /// word, and which it is.
    pub(super) fn places(&self) -> Vec<(&'static str, &'static str, &'static str, Here)> {
        let nav = &self.w.nav;
        let audit = self.is_admin.then_some(("/audit", "a", nav.audit, Here::Audit));
        let places = [
            ("/", "o", nav.overview, Here::Overview),
            ("/live", "l", nav.live, Here::Live),
            ("/sims", "s", nav.sims, Here::Sims),
            ("/messages", "m", nav.messages, Here::Messages),
            ("/routers", "r", nav.routers, Here::Routers),
            ("/api", "i", nav.api, Here::Api),
        ];
        places.into_iter().chain(audit).collect()
    }
}

fn rate(a_second: f64, format: &Format) -> String {
    if a_second > 0.0 && a_second < 9.95 {
        format!("{a_second:.1}")
    } else {
        format.count(whole(a_second)).to_string()
    }
}
