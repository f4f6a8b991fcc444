//! All that the page says, once for each language. A word that one language lacks does not compile.
use jiff::Zoned;

mod api_page;
mod audit;
mod audit_zh;
mod en;
mod first_run;
mod live;
mod messages;
mod overview;
mod routers;
mod sims;
mod time_zone;
mod zh;

pub(super) use api_page::ApiPage;
pub(super) use audit::Audit;
pub(super) use en::EN;
pub(super) use first_run::FirstRun;
pub(super) use live::Live;
pub(super) use messages::Messages;
pub(super) use overview::Overview;
pub(super) use routers::Routers;
pub(super) use sims::Sims;
pub(super) use time_zone::TimeZones;
pub(super) use zh::ZH;

/// One language.
#[derive(Debug)]
pub(super) struct Words {
    /// Its tag in documents and cookies.
    pub(super) tag: &'static str,
    /// The tag of the other one.
    pub(super) other_tag: &'static str,
    /// What the other one calls itself.
    pub(super) other_name: &'static str,
    pub(super) nav: Nav,
    pub(super) common: Common,
    pub(super) sign_in: SignIn,
    pub(super) overview: Overview,
    pub(super) first_run: FirstRun,
    pub(super) live: Live,
    pub(super) sims: Sims,
    pub(super) messages: Messages,
    pub(super) routers: Routers,
    pub(super) api_page: ApiPage,
    pub(super) audit: Audit,
    pub(super) time_zone: TimeZones,
    pub(super) keys: Keys,
    /// From where on a number is told in a larger unit, and that unit's name; the largest first.
    large: [(f64, &'static str); 3],
    day: fn(&Zoned) -> String,
}

impl Words {
    /// The unit in which this language tells so large a number.
    pub(super) fn large(&self, count: u64) -> (f64, &'static str) {
        let fits = |(size, _): &&(f64, &str)| count as f64 >= *size * 0.9995;
        self.large.iter().find(fits).copied().unwrap_or(self.large[self.large.len() - 1])
    }

    /// What a filter of this name is about.
    pub(super) fn filter(&self, name: &str) -> &'static str {
        let common = &self.common;
        match name {
            "sim_group" => common.group,
            "country_code" => common.country,
            "mcc" => "MCC",
            "mnc" => "MNC",
            "apn" => common.apn,
            "action" => self.audit.action,
            "who" => self.audit.who,
            "source" => self.audit.source,
            "outcome" => self.audit.outcome,
            "from" => self.audit.from,
            "to" => self.audit.to,
            "from_msisdn" => self.messages.from,
            "to_msisdn" => self.messages.to,
            _ => common.sim,
        }
    }

    /// A day without its year.
    pub(super) fn day(&self, at: &Zoned) -> String {
        (self.day)(at)
    }
}

/// The pages, and what stands around them.
#[derive(Debug)]
pub(super) struct Nav {
    pub(super) overview: &'static str,
    pub(super) live: &'static str,
    pub(super) sims: &'static str,
    pub(super) messages: &'static str,
    pub(super) routers: &'static str,
    pub(super) api: &'static str,
    pub(super) audit: &'static str,
    pub(super) pages: &'static str,
    pub(super) skip: &'static str,
    pub(super) search: &'static str,
    pub(super) search_hint: &'static str,
    pub(super) theme: &'static str,
    pub(super) sign_out: &'static str,
    pub(super) receiving: &'static str,
    pub(super) a_second: &'static str,
    pub(super) quiet: fn(&str) -> String,
    pub(super) not_stored: &'static str,
    pub(super) no_push_yet: &'static str,
    pub(super) demo: &'static str,
    pub(super) offline: &'static str,
}

/// What is said in many places.
#[derive(Debug)]
pub(super) struct Common {
    /// Between the name of a thing and what it is.
    pub(super) colon: &'static str,
    pub(super) between_sentences: &'static str,
    pub(super) csv: &'static str,
    pub(super) curl: &'static str,
    pub(super) table: &'static str,
    pub(super) chart: &'static str,
    pub(super) copy: &'static str,
    pub(super) copied: &'static str,
    pub(super) all: &'static str,
    pub(super) remove_filter: &'static str,
    pub(super) nothing_matches: &'static str,
    pub(super) clear: &'static str,
    pub(super) previous: &'static str,
    pub(super) next: &'static str,
    pub(super) of_total: fn(&str, &str) -> String,
    pub(super) failed: &'static str,
    pub(super) span_units: [&'static str; 4],
    pub(super) ago: fn(&str) -> String,
    pub(super) unknown: &'static str,
    pub(super) none: &'static str,
    pub(super) sim: &'static str,
    pub(super) group: &'static str,
    pub(super) country: &'static str,
    pub(super) network: &'static str,
    pub(super) apn: &'static str,
    pub(super) time: &'static str,
    pub(super) used: &'static str,
    pub(super) other: &'static str,
    pub(super) nowhere: &'static str,
    pub(super) nowhere_why: &'static str,
    /// What the API refuses with this status and this parameter, in a word and in a sentence. None
    /// where the API's own words are those of this language.
    pub(super) refused: fn(u16, Option<&str>) -> Option<Refused>,
}

impl Common {
    /// Two sentences, one after the other.
    pub(super) fn sentences(&self, first: &str, second: &str) -> String {
        format!("{first}{}{second}", self.between_sentences)
    }
}

/// A word, and a sentence.
pub(super) type Refused = (&'static str, String);

/// The way in.
#[derive(Debug)]
pub(super) struct SignIn {
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) key: &'static str,
    pub(super) enter: &'static str,
    pub(super) how: &'static str,
    pub(super) wrong: &'static str,
    pub(super) too_often: &'static str,
    pub(super) elsewhere: &'static str,
    pub(super) unavailable: &'static str,
}

/// The sheet of keys.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) title: &'static str,
    pub(super) search: &'static str,
    pub(super) go: &'static str,
    pub(super) range: &'static str,
    pub(super) rows: &'static str,
    pub(super) open: &'static str,
    pub(super) copy: &'static str,
    pub(super) pause: &'static str,
    pub(super) sheet: &'static str,
    pub(super) turn_off: &'static str,
    pub(super) turn_on: &'static str,
    pub(super) close: &'static str,
}
