use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, atomic::Ordering},
};

use clap::{Args, ValueEnum};
use futures_util::{Stream, stream::unfold};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    Failure, Output,
    client::{ApiClient, Sending},
    settings::Settings,
};
use crate::domain::counted;

/// How much of the file is sent at once, and how many such pieces wait.
const PIECE_BYTES: usize = 64 << 10;
const PIECES_WAITING: usize = 4;

/// What to read in.
#[derive(Args, Debug)]
pub(super) struct Import {
    /// An export of simdeck's, or a file with SmartHub's field names; - for standard input
    file: PathBuf,
    /// The push category of rows that do not say theirs: data-usage, mo-sms, …
    #[arg(long)]
    kind: Option<String>,
    /// How the rows are written; told by the file's name if not given, ndjson on standard input
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Take the cells of a CSV as they are, if it was exported with --raw
    #[arg(long)]
    raw: bool,
    /// With --raw: it was exported with --excel too
    #[arg(long, requires = "raw")]
    excel: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Ndjson,
    /// Comma-separated values with a heading line
    Csv,
}

/// What the server says became of the file.
#[derive(Debug, Deserialize, Serialize)]
struct Report {
    lines: u64,
    stored: u64,
    duplicates: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_through_line: Option<u64>,
    refused_lines: u64,
    refused: Vec<Refused>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Refused {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_line: Option<u64>,
    field: Option<String>,
    reason: String,
}

impl Refused {
    /// The lines that it spans.
    fn lines(&self) -> String {
        match self.last_line {
            Some(last_line) => format!("{}-{last_line}", self.line),
            None => self.line.to_string(),
        }
    }
}

/// Runs it: the file streams through, so memory stays flat however long it is.
pub(super) async fn run(
    import: &Import,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let format = import.format()?;
    let (file, progress) = import.open()?;
    let api = ApiClient::connect_to_add(settings).await?;
    let mut query = vec![("format", format)];
    query.extend(import.kind.as_deref().map(|kind| ("kind", kind)));
    query.extend(import.raw.then_some(("raw", "true")));
    query.extend(import.excel.then_some(("excel", "true")));
    let sending = Arc::new(Sending::default());
    let pieces = pieces(file, progress.clone(), Arc::clone(&sending));
    let answer = api.upload("/v1/import", &query, pieces, &sending).await;
    progress.finish_and_clear();
    let report: Report = answer?;
    tell(&report, output)?;
    match report.refused_lines {
        0 => Ok(ExitCode::SUCCESS),
        refused => {
            let read = report.read_through_line;
            let read = read.map(|line| format!(" (nothing was read behind line {line})"));
            Err(Failure::new(format!(
                "{refused} of {} refused: mend what was refused and import the file again, which \
                 stores nothing twice{}",
                counted(report.lines, "line", "lines"),
                read.unwrap_or_default()
            )))
        }
    }
}

impl Import {
    fn is_standard_input(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    fn format(&self) -> Result<&'static str, Failure> {
        let extension = self.file.extension().and_then(|it| it.to_str()).unwrap_or_default();
        let told = match extension.to_ascii_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "ndjson" | "jsonl" => Some(Format::Ndjson),
            _ if self.is_standard_input() => Some(Format::Ndjson),
            _ => None,
        };
        match self.format.or(told) {
            Some(Format::Csv) => Ok("csv"),
            Some(Format::Ndjson) => Ok("ndjson"),
            None => Err(Failure::new(format!(
                "the name of {} does not tell how its rows are written: say --format ndjson or \
                 --format csv",
                self.file.display()
            ))),
        }
    }

    /// The file, and a bar that shows how much of it is sent.
    fn open(&self) -> Result<(Box<dyn Read + Send>, ProgressBar), Failure> {
        if self.is_standard_input() {
            return Ok((Box::new(io::stdin()), progress(None)));
        }
        let trouble = |err: io::Error| {
            Failure::because(format!("{} cannot be read", self.file.display()))(err)
        };
        let file = File::open(&self.file).map_err(trouble)?;
        let about = file.metadata().map_err(trouble)?;
        if about.is_dir() {
            return Err(Failure::new(format!("{} is a folder: name a file", self.file.display())));
        }
        Ok((Box::new(file), progress(about.is_file().then_some(about.len()))))
    }
}

/// The file piece by piece. It is read on a thread of its own, since a terminal or a pipe may let us
/// wait without end; the thread ends with the file or with who takes the pieces.
fn pieces(
    mut file: Box<dyn Read + Send>,
    progress: ProgressBar,
    sending: Arc<Sending>,
) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
    let (pieces, taken) = mpsc::channel(PIECES_WAITING);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = file.read(&mut piece).map(|bytes| {
                piece.truncate(bytes);
                piece
            });
            let is_last = read.as_ref().map_or(true, Vec::is_empty);
            if pieces.blocking_send(read).is_err() || is_last {
                return;
            }
        }
    });
    unfold((taken, progress, sending), async |(mut taken, progress, sending)| {
        sending.is_awaited.store(true, Ordering::Relaxed);
        let piece = taken.recv().await;
        sending.is_awaited.store(false, Ordering::Relaxed);
        let piece = piece.filter(|piece| !matches!(piece, Ok(bytes) if bytes.is_empty()))?;
        let bytes = piece.as_ref().map_or(0, Vec::len) as u64;
        progress.inc(bytes);
        sending.bytes.fetch_add(bytes, Ordering::Relaxed);
        Some((piece, (taken, progress, sending)))
    })
}

fn tell(report: &Report, output: Output) -> Result<(), Failure> {
    let Report { lines, stored, duplicates, refused_lines, refused, .. } = report;
    let people = format!(
        "{}: {} stored, {} there already, {} refused",
        counted(*lines, "line", "lines"),
        counted(*stored, "record", "records"),
        counted(*duplicates, "record was", "records were"),
        counted(*refused_lines, "line", "lines")
    );
    if refused.is_empty() {
        return output.text(&people, report);
    }
    let rows: Vec<Vec<String>> = refused
        .iter()
        .map(|row| {
            let field = row.field.clone().unwrap_or_else(|| "-".to_owned());
            vec![row.lines(), field, row.reason.clone()]
        })
        .collect();
    output.report(&["LINE", "FIELD", "REASON"], &rows, &people, report)
}

/// Shows on a terminal how much was sent.
fn progress(bytes: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match bytes {
        Some(bytes) => {
            let template = "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} to go";
            (ProgressBar::new(bytes), template)
        }
        None => (ProgressBar::no_length(), "{spinner} {bytes}, {bytes_per_sec}"),
    };
    let style = ProgressStyle::with_template(template);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
