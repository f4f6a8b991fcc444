use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    client::ApiClient,
    confirm::confirmed,
    output::{Output, cell, counted},
    settings::Settings,
};

const COLUMNS: [&str; 10] = [
    "id",
    "class",
    "reason",
    "field",
    "kind",
    "source",
    "other_sources",
    "received_at",
    "bytes",
    "count",
];
/// What a narrow screen goes without, the first of these first. The reason tells the class.
const MAY_GO: [&str; 6] = ["class", "bytes", "field", "count", "other_sources", "source"];

/// What to do with pushes that lie aside.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what lies aside, newest first
    #[command(after_help = "Example:\n  simdeck held list --class quarantined")]
    List(Filter),
    /// Show one with its body
    #[command(after_help = "Example:\n  simdeck held show 17")]
    Show {
        /// The number in `held list`
        id: i64,
    },
    /// Take one in again, after a key was corrected or simdeck was upgraded
    #[command(after_help = "Examples:\n  simdeck held retry 17\n  \
                            simdeck held retry 17 --as data-usage\n  \
                            simdeck held retry --reason signature_wrong --dry-run")]
    Retry {
        #[command(flatten)]
        which: Which,
        /// Read it as a push of this kind
        #[arg(long = "as", value_name = "KIND")]
        as_kind: Option<String>,
    },
    /// Throw one away for good; by --source, what others sent too stays as theirs
    #[command(after_help = "Examples:\n  simdeck held discard 17\n  \
                            simdeck held discard --reason date_old --source 192.0.2.1 --dry-run")]
    Discard {
        #[command(flatten)]
        which: Which,
    },
}

/// One by its number, or all that a filter names.
#[derive(Args, Debug)]
#[group(skip)]
pub(super) struct Which {
    /// The number in `held list`
    id: Option<i64>,
    #[command(flatten)]
    narrow: Narrow,
    /// Only count what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

/// Which ones are meant.
#[derive(Args, Debug)]
#[group(skip)]
pub(super) struct Narrow {
    /// refused (not proved to be from SmartHub), quarantined (proved, but not readable) or stale
    /// (proved, but too old to be fresh, or retracted)
    #[arg(long)]
    class: Option<String>,
    /// Why they lie aside, such as signature_wrong or field_missing
    #[arg(long)]
    reason: Option<String>,
    /// The address that sent them
    #[arg(long)]
    source: Option<String>,
    /// First received at this time or later
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// First received before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

/// Which ones to show.
#[derive(Args, Debug)]
pub(super) struct Filter {
    #[command(flatten)]
    narrow: Narrow,
    /// How many at most
    #[arg(long, default_value_t = 100, value_name = "ROWS")]
    limit: usize,
}

/// Runs it.
pub(super) async fn run(
    command: &Command,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(settings).await?;
    match command {
        Command::List(filter) => list(&api, filter, output).await?,
        Command::Show { id } => show(&api, *id, output).await?,
        Command::Retry { which, as_kind } => match which.one()? {
            Some(id) if which.dry_run => tell_one(&api, id, "retried", output).await?,
            Some(id) => return retry(&api, id, as_kind.as_deref(), output).await,
            None => return retry_many(&api, which, as_kind.as_deref(), output).await,
        },
        Command::Discard { which } => match which.one()? {
            Some(id) if which.dry_run => tell_one(&api, id, "discarded", output).await?,
            Some(id) => {
                api.send(Method::DELETE, &format!("/v1/held/{id}"), &[], None).await?;
                let people = format!("Held push {id} is discarded.");
                output.text(&people, &json!({"id": id, "discarded": true}))?;
            }
            None => return discard_many(&api, which, output).await,
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// Says which one would be meant, and changes nothing.
async fn tell_one(api: &ApiClient, id: i64, done: &str, output: Output) -> Result<(), Failure> {
    let held: Value = api.json(Method::GET, &format!("/v1/held/{id}"), &[], None).await?;
    let people = format!(
        "Held push {id} would be {done}: {}, {}, {} from {}, received {}. Nothing is changed.",
        cell(&held["class"]),
        cell(&held["reason"]),
        cell(&held["kind"]),
        cell(&held["source"]),
        cell(&held["received_at"]),
    );
    output.text(&people, &json!({"id": id, "matched": 1, "dry_run": true}))
}

async fn list(api: &ApiClient, filter: &Filter, output: Output) -> Result<(), Failure> {
    let rows = api.list("/v1/held", &filter.narrow.query(), filter.limit).await?;
    output.records(&COLUMNS, &MAY_GO, &rows)
}

impl Narrow {
    fn query(&self) -> Vec<(&str, &str)> {
        [
            ("class", &self.class),
            ("reason", &self.reason),
            ("source", &self.source),
            ("received_from", &self.from),
            ("received_to", &self.to),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        .collect()
    }
}

impl Which {
    /// The number of the one that is meant; none where a filter says which.
    fn one(&self) -> Result<Option<i64>, Failure> {
        match (self.id, self.narrow.query().is_empty()) {
            (Some(id), true) => Ok(Some(id)),
            (None, false) => Ok(None),
            (Some(_), _) => Err(Failure::new("name one by its number, or many by a filter")),
            (None, true) => Err(Failure::new(
                "name one by its number, or many by --class, --reason, --source, --from or --to",
            )),
        }
    }

    /// Has the server count first, and asks whether it shall be done. None where it shall not.
    async fn counted<'w>(
        &'w self,
        api: &ApiClient,
        path: &str,
        query: &[(&'w str, &'w str)],
        verb: &str,
    ) -> Result<Counted, Failure> {
        let counting = [query, &[("dry_run", "true")]].concat();
        let counts: Value = api.json(Method::POST, path, &counting, None).await?;
        let question = format!("{verb} {}?{}", pushes(&counts["matched"]), left_out(&counts));
        let goes = !self.dry_run && confirmed(&question, self.yes)?;
        Ok(Counted { counts, goes })
    }
}

/// What would be done, and whether it shall be.
struct Counted {
    counts: Value,
    goes: bool,
}

async fn discard_many(api: &ApiClient, which: &Which, output: Output) -> Result<ExitCode, Failure> {
    let (path, query) = ("/v1/held/discard", which.narrow.query());
    let Counted { mut counts, goes } = which.counted(api, path, &query, "Discard").await?;
    if goes {
        // What came while the question stood is not what was asked about.
        let through = cell(&counts["through"]);
        counts = api.long(path, &[&query[..], &[("through", &through)]].concat(), None).await?;
    }
    let people = match goes {
        true => format!("Discarded: {}.", pushes(&counts["discarded"])),
        false => format!("Matching: {}; nothing is changed.", pushes(&counts["matched"])),
    };
    output.text(&people, &counts)?;
    Ok(if goes || which.dry_run { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a retry leaves out of those that the filter names, and how to take it too.
fn left_out(counts: &Value) -> String {
    match counts["retracted_left_out"].as_u64() {
        None | Some(0) => String::new(),
        Some(_) => format!(
            " Left out: {} whose datePush was retracted; only --reason date_retracted takes them.",
            pushes(&counts["retracted_left_out"])
        ),
    }
}

fn pushes(count: &Value) -> String {
    counted(count, "held push", "held pushes")
}

/// A retry after which some lie aside still has not done what was asked.
async fn retry_many(
    api: &ApiClient,
    which: &Which,
    as_kind: Option<&str>,
    output: Output,
) -> Result<ExitCode, Failure> {
    let path = "/v1/held/retry";
    let mut query = which.narrow.query();
    query.extend(as_kind.map(|kind| ("as", kind)));
    let Counted { mut counts, goes } = which.counted(api, path, &query, "Retry").await?;
    if goes {
        let through = cell(&counts["through"]);
        counts = api.long(path, &[&query[..], &[("through", &through)]].concat(), None).await?;
    }
    let people = match goes {
        true => format!(
            "Of {}: {} stored, {}, {} quarantined again, {} still refused.{}",
            pushes(&counts["matched"]),
            counted(&counts["stored"], "record", "records"),
            counted(&counts["duplicates"], "duplicate", "duplicates"),
            cell(&counts["quarantined"]),
            counted(&counts["still_refused"], "push", "pushes"),
            left_out(&counts)
        ),
        false => format!(
            "Matching: {}; nothing is changed.{}",
            pushes(&counts["matched"]),
            left_out(&counts)
        ),
    };
    output.text(&people, &counts)?;
    let left = counts["quarantined"] != 0 || counts["still_refused"] != 0;
    let is_done = which.dry_run || (goes && !left);
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn show(api: &ApiClient, id: i64, output: Output) -> Result<(), Failure> {
    let held: Value = api.json(Method::GET, &format!("/v1/held/{id}"), &[], None).await?;
    let facts: Vec<String> =
        COLUMNS.iter().map(|name| format!("{name:<13} {}", cell(&held[*name]))).collect();
    let heading = match held["body_encoding"].as_str() {
        Some("base64") => "the body, which is no text, in base64:\n",
        _ => "",
    };
    let people = format!("{}\n\n{heading}{}", facts.join("\n"), cell(&held["body"]));
    output.text(&people, &held)
}

/// A retry that stores nothing has not done what was asked.
async fn retry(
    api: &ApiClient,
    id: i64,
    as_kind: Option<&str>,
    output: Output,
) -> Result<ExitCode, Failure> {
    let query: Vec<(&str, &str)> = as_kind.map(|kind| ("as", kind)).into_iter().collect();
    let path = format!("/v1/held/{id}/retry");
    let counts: Value = api.json(Method::POST, &path, &query, None).await?;
    let count = |name: &str| counts[name].as_u64().unwrap_or_default();
    let people = format!(
        "Held push {id}: {} stored, {}, {} quarantined again.",
        count("stored"),
        counted(&counts["duplicates"], "duplicate", "duplicates"),
        count("quarantined")
    );
    output.text(&people, &counts)?;
    Ok(if count("quarantined") == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
