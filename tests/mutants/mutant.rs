//! Which mutant is live. Stands in the copy that `tests/mutants/run` builds, and nowhere else.
use std::{
    env,
    fs::{File, OpenOptions},
    io::Write,
    process,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

const COUNT: usize = 16_384;

static LIVE: OnceLock<usize> = OnceLock::new();
static RECORD: OnceLock<Option<File>> = OnceLock::new();
static REACHED: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

/// Whether this mutant is the one that `MUTANT` names; notes in the folder that `MUTANTS_REACHED`
/// names that it was reached.
pub fn on(number: usize) -> bool {
    if let Some(mut record) = RECORD.get_or_init(record).as_ref()
        && !REACHED[number].swap(true, Ordering::Relaxed)
    {
        record.write_all(format!("{number}\n").as_bytes()).expect("the record takes a line");
    }
    let live = LIVE.get_or_init(|| {
        env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
    });
    *live == number
}

fn record() -> Option<File> {
    let folder = env::var_os("MUTANTS_REACHED")?;
    let path = std::path::Path::new(&folder).join(process::id().to_string());
    Some(OpenOptions::new().create(true).append(true).open(path).expect("the record opens"))
}
