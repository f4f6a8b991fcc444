//! Where data is used: by country, network, APN or group.
use super::{Asked, Refused, Source, SumIn, USAGE};

/// The largest parts of what was used.
pub(super) struct Split {
    pub(super) tabs: Vec<(&'static str, String, bool)>,
    pub(super) parts: Vec<Part>,
    pub(super) source: Source,
    /// Whether the values are country codes.
    pub(super) is_country: bool,
}

/// One of them.
pub(super) struct Part {
    pub(super) value: String,
    pub(super) used: String,
    pub(super) exactly: String,
    pub(super) share: String,
    /// In percent of the largest.
    pub(super) width: String,
    /// The page with this as a filter; none for what is no single value.
    pub(super) address: Option<String>,
}

/// By what it can be told apart, as the API calls it.
const BY: [&str; 4] = ["country_code", "network", "apn", "sim_group"];
const PARTS_MAX: usize = 8;

impl Split {
    pub(super) async fn ask(asked: &Asked<'_>) -> Result<Self, Refused> {
        let wanted = asked.filters.value("split");
        let by = BY.into_iter().find(|by| Some(*by) == wanted).unwrap_or(BY[0]);
        let call = asked.sums(USAGE, "none").with("group_by", by).with("top", PARTS_MAX);
        let mut rows: Vec<SumIn> = asked.visitor.api.get_recent(&call).await?.body;
        rows.retain(|row| row.records > 0);
        rows.sort_by_key(|row| (row.other, std::cmp::Reverse(row.data_usage)));
        let sum = rows.iter().map(|row| row.data_usage).sum();
        let most = rows.iter().map(|row| row.data_usage).max().unwrap_or_default();
        Ok(Self {
            tabs: asked.tabs(by),
            parts: rows.into_iter().map(|row| asked.part(row, by, sum, most)).collect(),
            source: asked.visitor.source(&call),
            is_country: by == BY[0],
        })
    }
}

impl Asked<'_> {
    fn tabs(&self, now: &str) -> Vec<(&'static str, String, bool)> {
        let common = &self.visitor.look.words.common;
        let names = [common.country, common.network, common.apn, common.group];
        let link = |(by, name): (&'static str, &'static str)| {
            let address = self.filters.here.clone().set("split", by).uri();
            (name, format!("{address}#split"), by == now)
        };
        BY.into_iter().zip(names).map(link).collect()
    }

    fn part(&self, row: SumIn, by: &str, sum: i64, most: i64) -> Part {
        let format = self.visitor.format();
        let common = &format.words.common;
        let value = match by {
            "country_code" => row.country_code,
            "network" => row.network,
            "apn" => row.apn,
            _ => row.sim_group,
        };
        let here = self.filters.here.clone();
        let address = match (&value, by) {
            (None, _) => None,
            (Some(_), _) if row.other => None,
            (Some(network), "network") => {
                network.split_once('-').map(|(mcc, mnc)| here.set("mcc", mcc).set("mnc", mnc).uri())
            }
            (Some(value), "country_code") => Some(here.set("country_code", value).uri()),
            (Some(value), "apn") => Some(here.set("apn", value).uri()),
            (Some(value), _) => Some(here.set("sim_group", value).uri()),
        };
        let unnamed = if row.other { common.other } else { common.none };
        Part {
            value: value.filter(|_| !row.other).unwrap_or_else(|| unnamed.to_owned()),
            used: format.bytes(row.data_usage).to_string(),
            exactly: format.exactly(row.data_usage),
            share: format.share(row.data_usage, sum),
            width: (i128::from(row.data_usage.max(0)) * 100 / i128::from(most.max(1))).to_string(),
            address,
        }
    }
}

/// The largest groups, with the page of each; none if the API does not tell.
pub(super) async fn groups(asked: &Asked<'_>) -> Vec<(String, String)> {
    const GROUPS_MAX: usize = 30;
    let here = asked.filters.here.clone();
    let call = asked.sums(USAGE, "none").without("sim_group");
    let call = call.with("group_by", "sim_group").with("top", GROUPS_MAX);
    let Ok(answer) = asked.visitor.api.get_recent::<Vec<SumIn>>(&call).await else {
        return Vec::new();
    };
    let named = answer.body.into_iter().filter(|row| !row.other).filter_map(|row| row.sim_group);
    named.map(|name| (here.clone().set("sim_group", &name).uri(), name)).collect()
}
