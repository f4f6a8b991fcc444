//! The overview: six figures, the chart, what needs a person, who uses most, where, and what arrives.
use askama::Template;
use axum::{extract::RawQuery, http::StatusCode, response::Response};
use serde::Deserialize;

use super::{
    Frame, Here, Source, StatusIn, Visitor,
    ask::Refused,
    call::Call,
    filters::Filters,
    first_run,
    format::Amount,
    live::{self, Row},
    page_of,
};

mod attention;
mod figures;
mod routers;
mod split;
mod top;
mod usage;

use attention::Attention;
use figures::Figures;
use routers::Routers;
use split::Split;
use top::Top;
use usage::Usage;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    filters: Filters,
    ranges: Vec<(&'static str, String, bool)>,
    groups: Vec<(String, String)>,
    times: String,
    figures: Result<Figures, Refused>,
    usage: Result<Usage, Refused>,
    attention: Result<Attention, Refused>,
    top: Result<Top, Refused>,
    split: Result<Split, Refused>,
    rows: Result<Vec<Row>, Refused>,
    routers: Option<Result<Routers, Refused>>,
}

/// One row of `/v1/data-usage/aggregate` or `/v1/mo-sms/aggregate`.
#[derive(Debug, Deserialize)]
struct SumIn {
    start: Option<String>,
    #[serde(default)]
    data_usage: i64,
    records: i64,
    usual_p10: Option<i64>,
    usual_p90: Option<i64>,
    giccid: Option<String>,
    sim_group: Option<String>,
    country_code: Option<String>,
    network: Option<String>,
    apn: Option<String>,
    #[serde(default)]
    other: bool,
}

/// The span that the page is about.
struct Asked<'v> {
    visitor: &'v Visitor,
    filters: &'v Filters,
    /// Where each interval begins, and where the last ends.
    starts: Vec<crate::domain::Timestamp>,
}

impl Asked<'_> {
    fn from(&self) -> String {
        self.starts.first().map(ToString::to_string).unwrap_or_default()
    }

    fn to(&self) -> String {
        self.starts.last().map(ToString::to_string).unwrap_or_default()
    }

    /// A question about usage in the span, with the page's filters.
    fn sums(&self, path: &'static str, interval: &str) -> Call {
        let zone = self.visitor.format().zone_name().to_owned();
        let call = Call::to(path).with("interval", interval);
        let call = call.with("from", self.from()).with("to", self.to()).with("tz", zone);
        self.filters.on(call)
    }
}

const USAGE: &str = "/v1/data-usage/aggregate";
const MESSAGES: &str = "/v1/mo-sms/aggregate";

/// `GET /`
pub(super) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let words = visitor.look.words;
    let status = StatusIn::of(&visitor.api).await;
    if let Ok(status) = &status
        && !status.has_any()
    {
        return first_run::show(&visitor, status).await;
    }
    let filters = Filters::of("/", query.as_deref(), &["by", "split", "view"], words);
    let starts = filters.starts(&visitor.format());
    let asked = Asked { visitor: &visitor, filters: &filters, starts };
    let (figures, usage, attention, top, split, groups, rows, routers) = tokio::join!(
        Figures::ask(&asked),
        Usage::ask(&asked),
        Attention::ask(&asked),
        Top::ask(&asked),
        Split::ask(&asked),
        split::groups(&asked),
        live::newest(&visitor, 14),
        Routers::ask(&asked),
    );
    let frame = visitor.frame(Here::Overview, words.nav.overview, &status);
    let times = times(&visitor, figures.as_ref().ok());
    let page = Overview {
        frame,
        ranges: filters.ranges(words),
        groups,
        times,
        figures,
        usage,
        attention,
        top,
        split,
        rows,
        routers,
        filters,
    };
    page_of(StatusCode::OK, &page)
}

/// In which zone times are, what a kilobyte is, and through when data has arrived.
fn times(visitor: &Visitor, figures: Option<&Figures>) -> String {
    let format = visitor.format();
    let mut told = (format.words.overview.times_in)(format.zone_name());
    told += &format!(" · 1 KB = {} B", format.base.bytes());
    if let Some(at) = figures.and_then(|figures| figures.arrived_through) {
        told += " · ";
        told += &(format.words.overview.complete_through)(&format.moment(at));
    }
    told
}
