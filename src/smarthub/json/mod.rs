//! A JSON text as a flat list of its parts, over any bytes.
//!
//! A push must be authenticated before its meaning is judged, and once it is authentic nothing of
//! it may be lost. So this reader, unlike a general one, accepts every text that is complete JSON,
//! marks the parts that cannot be kept exactly ([`Flaws`]) and lets its user decide. It borrows,
//! never recurses, and keeps the source of each part for the canonical form.
mod bits;
mod scan;
mod tape;
#[cfg(test)]
mod tests;
mod value;

pub(super) use scan::{Part, Parts, scan};
pub(super) use tape::Tape;
pub(super) use value::{Value, What};

/// How much memory one value or key takes while a large body is read: its place on the list of parts,
/// and, of a key, one on the list by which the members of its object are sorted.
pub(super) const PART_BYTES: usize = size_of::<Part>() + size_of::<u32>();

/// What is wrong with a part, or with something inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flaws(u8);

impl Flaws {
    /// A text with U+0000, bytes that are not UTF-8, or half of a surrogate pair.
    pub(super) const TEXT: Self = Self(1);
    /// A number beyond what a 64-bit float holds.
    pub(super) const NUMBER: Self = Self(2);
    /// Nested deeper than [`DEPTH_MAX`].
    pub(super) const DEPTH: Self = Self(4);

    fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(super) fn any(self) -> bool {
        self.0 != 0
    }
}

/// How deep a part may lie and still be kept, the outermost counting as one.
pub(super) const DEPTH_MAX: usize = 64;
