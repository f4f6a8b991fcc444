use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;

use super::{
    Failure,
    client::ApiClient,
    counted::{Counted, Form},
    settings::Settings,
};
use crate::domain;

/// What to write out, and where to.
#[derive(Args, Debug)]
pub(super) struct Export {
    /// Which records
    #[arg(value_enum)]
    records: Records,
    /// How they are written
    #[arg(long, value_enum, default_value = "ndjson")]
    format: Format,
    /// The file to write; standard output if not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// In CSV, leave cells as they are that a spreadsheet would take for a formula; for programs
    #[arg(long)]
    raw: bool,
    /// In CSV, write long numbers so that Excel keeps every digit
    #[arg(long)]
    excel: bool,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Records {
    /// Data used
    DataUsage,
    /// Messages sent by SIMs
    MoSms,
    /// Every other push
    Notifications,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Ndjson,
    /// Comma-separated values with a heading line
    Csv,
}

/// Different filters narrow, several values of one widen. The server says which records have which.
#[derive(Args, Debug)]
struct Filter {
    /// SIMs
    #[arg(long)]
    giccid: Vec<String>,
    /// Subscribers
    #[arg(long)]
    imsi: Vec<String>,
    /// Groups of SIMs
    #[arg(long)]
    sim_group: Vec<String>,
    /// Visited countries
    #[arg(long)]
    country_code: Vec<String>,
    /// Visited networks, country part
    #[arg(long)]
    mcc: Vec<String>,
    /// Visited networks, own part
    #[arg(long)]
    mnc: Vec<String>,
    /// Access point names
    #[arg(long)]
    apn: Vec<String>,
    /// Senders of messages
    #[arg(long)]
    from_msisdn: Vec<String>,
    /// Recipients of messages
    #[arg(long)]
    to_msisdn: Vec<String>,
    /// Push categories of notifications
    #[arg(long)]
    kind: Vec<String>,
    /// Words in the unknown fields of messages
    #[arg(long, value_name = "WORDS")]
    q: Option<String>,
    /// The record's own time from here on: RFC 3339 or epoch milliseconds
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The record's own time before this
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Received from here on
    #[arg(long, value_name = "TIME")]
    received_from: Option<String>,
    /// Received before this
    #[arg(long, value_name = "TIME")]
    received_to: Option<String>,
}

impl Filter {
    fn query(&self) -> Vec<(&str, &str)> {
        let lists = [
            ("giccid", &self.giccid),
            ("imsi", &self.imsi),
            ("sim_group", &self.sim_group),
            ("country_code", &self.country_code),
            ("mcc", &self.mcc),
            ("mnc", &self.mnc),
            ("apn", &self.apn),
            ("from_msisdn", &self.from_msisdn),
            ("to_msisdn", &self.to_msisdn),
            ("kind", &self.kind),
        ];
        let texts = [
            ("q", &self.q),
            ("from", &self.from),
            ("to", &self.to),
            ("received_from", &self.received_from),
            ("received_to", &self.received_to),
        ];
        let lists = lists
            .into_iter()
            .flat_map(|(name, values)| values.iter().map(move |value| (name, value.as_str())));
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)));
        lists.chain(texts).collect()
    }
}

/// Runs it: the answer streams through, so memory stays flat however much there is.
pub(super) async fn run(export: &Export, settings: &Settings) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(settings).await?;
    match &export.out {
        None => {
            let progress = progress(io::stdout().is_terminal());
            copy(export, &api, &mut io::stdout().lock(), &progress).await?;
        }
        Some(path) => to_file(export, &api, path).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A file of that name is there only once it is whole.
async fn to_file(export: &Export, api: &ApiClient, path: &Path) -> Result<(), Failure> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let trouble =
        |err: io::Error| Failure::because(format!("{} cannot be written", part.display()))(err);
    let mut file = BufWriter::new(File::create(&part).map_err(trouble)?);
    let copied = copy(export, api, &mut file, &progress(false)).await;
    let whole = match copied {
        Ok(()) => file
            .flush()
            .and_then(|()| file.get_ref().sync_all())
            .and_then(|()| fs::rename(&part, path))
            .map_err(trouble),
        Err(failure) => Err(failure),
    };
    if whole.is_err()
        && let Err(err) = fs::remove_file(&part)
    {
        tracing::warn!(error = %err, "Could not remove {}", part.display());
    }
    whole
}

async fn copy(
    export: &Export,
    api: &ApiClient,
    out: &mut impl Write,
    progress: &ProgressBar,
) -> Result<(), Failure> {
    let (path, format) = (path_of(export.records), name_of(export.format));
    let mut query = export.filter.query();
    query.push(("format", format));
    let wanted = [("raw", export.raw), ("excel", export.excel)];
    query.extend(wanted.iter().filter(|(_, wanted)| *wanted).map(|(name, _)| (*name, "true")));
    // The last row says how many there are, so that a cut is seen whatever lies between.
    query.push(("count", "true"));
    let response = api.send(Method::GET, path, &query, None).await?;
    let mut chunks = response.bytes_stream();
    let mut rows = Counted::new(out, form_of(export.format));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|err| broke_off(progress.position())(err.without_url()))?;
        rows.take(&chunk)?;
        progress.set_position(rows.rows());
    }
    progress.finish_and_clear();
    let so_far = rows.rows();
    Ok(rows.finish().map_err(broke_off(so_far))??)
}

fn broke_off<E: Into<Box<dyn Error + Send + Sync>>>(rows: u64) -> impl FnOnce(E) -> Failure {
    let rows = domain::counted(rows, "row", "rows");
    Failure::because(format!("the export broke off after {rows} and is not whole"))
}

/// Shows the rows so far on a terminal, unless the rows themselves go there.
fn progress(rows_go_to_terminal: bool) -> ProgressBar {
    if rows_go_to_terminal || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} rows, {per_sec}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

fn path_of(records: Records) -> &'static str {
    match records {
        Records::DataUsage => "/v1/data-usage",
        Records::MoSms => "/v1/mo-sms",
        Records::Notifications => "/v1/notifications",
    }
}

fn name_of(format: Format) -> &'static str {
    match format {
        Format::Ndjson => "ndjson",
        Format::Csv => "csv",
    }
}

fn form_of(format: Format) -> Form {
    match format {
        Format::Ndjson => Form::Ndjson,
        Format::Csv => Form::Csv,
    }
}
