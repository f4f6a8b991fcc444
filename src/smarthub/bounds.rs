//! How much memory what is read from a body may take.
/// What a record takes in memory beside its text, at least; so does a part for quarantine.
pub(super) const RECORD_BYTES: usize = 400;

/// The records of one push may take so many bytes, or so many times what the push has. That is
/// enough for any records that stand for themselves. What stands beside a container is kept with each
/// of its records, and a record may be next to nothing: there a small body could cost gigabytes.
/// Such an element is kept whole, and once.
const READING_BYTES_MIN: usize = 8 << 20;
const READING_TO_BODY: usize = 10;
/// Of that, so much may be copies of what stands beside containers, or as much as the push has.
const COPIES_BYTES_MIN: usize = 4 << 20;

/// How much memory an element may take before it is kept whole.
#[derive(Clone, Copy)]
pub(super) struct WholeAbove {
    pub(super) reading: usize,
    pub(super) copies: usize,
}

impl WholeAbove {
    pub(super) fn of(body_bytes: usize) -> Self {
        Self {
            reading: READING_BYTES_MIN.max(body_bytes.saturating_mul(READING_TO_BODY)),
            copies: COPIES_BYTES_MIN.max(body_bytes),
        }
    }
}

/// The memory that is counted for what is read from a body of so many bytes, with no more than so many
/// records, at most.
pub(super) fn reading_takes(records: usize, body_bytes: usize) -> usize {
    let WholeAbove { reading, copies } = WholeAbove::of(body_bytes);
    // What stands beside a single record is in its text alone.
    let copies = if records > 1 { copies } else { 0 };
    let records = records.saturating_mul(RECORD_BYTES);
    // What is kept whole is no longer than the body.
    records.saturating_add(copies).min(reading).saturating_add(body_bytes)
}
