//! The control of what a panic may say and break: simdeck, but for as long as there is a file
//! `panic` in its data directory every request's handler panics, with a message that quotes all
//! settings.
use std::{env, fs, path::PathBuf, process::ExitCode, sync::Arc};

use simdeck::{
    cli::{self, Experiment},
    domain::{Clock, SystemClock, Timestamp},
};

struct Panicking(PathBuf);

impl Clock for Panicking {
    fn now(&self) -> Timestamp {
        if fs::exists(&self.0).is_ok_and(|is_there| is_there) {
            panic!("{:?}", env::vars().collect::<Vec<_>>());
        }
        SystemClock.now()
    }
}

fn main() -> ExitCode {
    let clock: fn() -> Arc<dyn Clock> = || {
        let folder = env::var_os("SIMDECK_DATA_DIR").unwrap_or_default();
        Arc::new(Panicking(PathBuf::from(folder).join("panic")))
    };
    cli::main_with(Experiment { clock, ..Experiment::default() })
}
