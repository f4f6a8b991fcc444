//! What a command that looks at things finds, as a table for people and as JSON.
use std::borrow::Borrow;

use serde::Serialize;

use super::output::printable;

/// Above the columns of [`rows`].
pub(super) const HEADINGS: [&str; 4] = ["CHECK", "STATE", "FINDING", "WHAT TO DO"];

/// What was looked at, what was found and what to do.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) state: State,
    pub(super) finding: String,
    pub(super) todo: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    Problem,
    /// Nobody looked.
    Skipped,
}

impl Finding {
    pub(super) fn ok(check: &'static str, finding: impl Into<String>) -> Self {
        let todo = "Nothing to do.".to_owned();
        Self { check, state: State::Ok, finding: finding.into(), todo }
    }

    pub(super) fn problem(
        check: &'static str,
        finding: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { check, state: State::Problem, finding: finding.into(), todo: todo.into() }
    }

    pub(super) fn skipped(
        check: &'static str,
        finding: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { check, state: State::Skipped, finding: finding.into(), todo: todo.into() }
    }
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Problem => "PROBLEM",
            Self::Skipped => "skipped",
        }
    }
}

/// Whether there is no problem among them.
pub(super) fn is_well<F: Borrow<Finding>>(findings: &[F]) -> bool {
    findings.iter().all(|finding| finding.borrow().state != State::Problem)
}

/// Each as a row.
pub(super) fn rows<F: Borrow<Finding>>(findings: &[F]) -> Vec<Vec<String>> {
    let row = |it: &Finding| {
        let cells = [it.check, it.state.as_str(), &it.finding, &it.todo];
        cells.map(printable).to_vec()
    };
    findings.iter().map(|finding| row(finding.borrow())).collect()
}
