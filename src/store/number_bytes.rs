use std::ops::Range;

use super::card::reversed;

/// What a SIM's number looks like in the files: forwards, and backwards as indexes have it.
#[derive(Clone, Debug)]
pub struct NumberBytes([String; 2]);

impl NumberBytes {
    pub(super) fn of(giccid: &str) -> Self {
        Self([giccid.to_owned(), reversed(giccid, usize::MAX)])
    }

    pub(super) fn len(&self) -> usize {
        self.0[0].len()
    }

    /// How often they are there, as themselves or within another number: between bytes that are no
    /// text, nobody can tell where a number ends.
    pub(super) fn count_in(&self, bytes: &[u8]) -> usize {
        let mut count = 0;
        self.each_in(bytes, |_| count += 1);
        count
    }

    /// Where they are.
    pub(super) fn each_in(&self, bytes: &[u8], mut found: impl FnMut(Range<usize>)) {
        let mut at = 0;
        // Only letters and digits can be the number: looking for runs of them is faster than for each
        // of the two everywhere.
        for run in bytes.split(|byte| !byte.is_ascii_alphanumeric()) {
            for text in &self.0 {
                if run.len() >= text.len() {
                    let starts = run.windows(text.len()).enumerate();
                    let starts = starts.filter(|(_, window)| *window == text.as_bytes());
                    starts.for_each(|(nth, _)| found(at + nth..at + nth + text.len()));
                }
            }
            at += run.len() + 1;
        }
    }
}
