mod load;
mod mark;
mod record;
mod tally;

use std::{ops::RangeInclusive, process::ExitCode};

use clap::{
    Args,
    builder::{NonEmptyStringValueParser, RangedU64ValueParser},
};
use reqwest::Url;

use super::{
    Failure,
    client::{ApiClient, http_client, http_client_here},
    keys,
    output::Output,
    settings::Settings,
    signed::{Unsigned, read_text},
};
use crate::{domain::Kind, smarthub::kind};
use load::{Job, Pace};
use mark::TestMark;
use record::Generator;

/// A push that carries a nonce of ours in this header is stored as a test.
const TEST_HEADER: &str = "Simdeck-Test";
const RECORDS_MAX: u64 = 10_000;

/// What to push, where to and how fast.
#[derive(Args, Debug)]
pub(super) struct Push {
    /// The push category
    #[arg(long, default_value = kind::DATA_USAGE)]
    kind: Kind,
    /// The whole address to push to; the public listener of the settings if not given
    #[arg(long)]
    url: Option<Url>,
    /// Push this body, - for standard input, instead of records made up; it is signed anew
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "records"])]
    body: Option<String>,
    /// How many pushes
    #[arg(long, default_value_t = 1, value_name = "PUSHES", value_parser = within::<u64>(1..=u64::MAX))]
    count: u64,
    /// How many records in each push, for data-usage and mo-sms
    #[arg(long, default_value_t = 1, value_name = "RECORDS", value_parser = within::<u64>(1..=RECORDS_MAX))]
    records: u64,
    /// How many connections push at the same time
    #[arg(long, default_value_t = 1, value_name = "CONNECTIONS", value_parser = within::<u16>(1..=4096))]
    concurrency: u16,
    /// How many pushes a second; as fast as it goes if not given
    #[arg(long, value_name = "PUSHES", value_parser = rate)]
    rate: Option<f64>,
    /// Store real records, which enter every total
    #[arg(long)]
    real: bool,
    /// The push key; the first of the settings if not given
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    key: Option<String>,
    /// Make up the same records each time, dated 5 September 2024
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

/// Runs it.
pub(super) async fn run(
    push: &Push,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let keys = keys::push_keys_given(settings, push.key.as_slice())?;
    let Some(key) = keys.into_iter().next() else {
        return Err(Failure::new("no push key is set: give --key"));
    };
    let url = match &push.url {
        Some(url) => url.clone(),
        None => settings
            .push_url_here(push.kind.as_str())
            .parse()
            .map_err(Failure::because("the public listener's address is wrong"))?,
    };
    let source = source(push)?;
    let mark = if push.real { None } else { Some(test_mark(push.count, settings).await?) };
    let http = match &push.url {
        Some(url) => http_client(url.as_str())?,
        None => http_client_here(url.as_str())?,
    };
    let date_shift_s = settings.push.date_shift_s;
    let job = Job { http, url, key: key.key, date_shift_s, mark, source };
    let pace = Pace { count: push.count, concurrency: push.concurrency, per_second: push.rate };
    let tally = load::run(job, pace).await?;
    output.text(&tally.for_people(), &tally.json())?;
    tally.verdict(push.count)?;
    Ok(ExitCode::SUCCESS)
}

/// Where the bodies come from.
enum Source {
    /// The same one each time.
    Body(Unsigned),
    /// Made up, each another.
    MadeUp(Generator),
}

fn source(push: &Push) -> Result<Source, Failure> {
    if let Some(path) = &push.body {
        return Ok(Source::Body(Unsigned::parse(&read_text(path)?)?));
    }
    let typed = [kind::DATA_USAGE, kind::MO_SMS].contains(&push.kind.as_str());
    if push.records > 1 && !typed {
        return Err(Failure::new(
            "--records goes with data-usage and mo-sms only: another push is one notification",
        ));
    }
    Ok(Source::MadeUp(Generator::new(push.kind.clone(), push.records, push.seed)))
}

/// Only the server can say that these pushes are tests.
async fn test_mark(pushes: u64, settings: &Settings) -> Result<TestMark, Failure> {
    let marked = match ApiClient::of_server(settings).await {
        Ok(api) => TestMark::new(api, pushes).await,
        Err(failure) => Err(failure),
    };
    marked.map_err(|failure| {
        Failure::new(format!(
            "these pushes cannot be marked as tests ({failure}); with --real they need no mark and \
             are stored as real"
        ))
    })
}

fn within<T: TryFrom<u64>>(bounds: RangeInclusive<u64>) -> RangedU64ValueParser<T> {
    RangedU64ValueParser::from(bounds)
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        _ => Err("must be a number from 0.001 to 1000000".to_owned()),
    }
}
