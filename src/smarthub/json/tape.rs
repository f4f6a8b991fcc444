//! The parts of a text, kept.
use std::borrow::Cow;

use super::{
    Flaws,
    scan::{Malformed, Part, Parts, index, scan},
    value::unescape,
};

/// The list of the parts of a text up to this size grows as they are found.
const GROWN_BYTES_MAX: usize = 64 << 10;

/// The parts of a JSON text, each before what it contains.
#[derive(Debug)]
pub(in crate::smarthub) struct Tape {
    pub(super) parts: Vec<Part>,
}

impl Tape {
    /// Reads a whole text. What a large one needs is counted first: a list that grows takes up to
    /// three times as much while it is copied.
    pub(in crate::smarthub) fn scan(text: &[u8]) -> Result<Self, Malformed> {
        if text.len() <= GROWN_BYTES_MAX {
            return Self::scan_sized(text, (text.len() / 8).clamp(16, 4096));
        }
        let mut count = Count(0);
        scan(text, &mut count)?;
        Self::scan_sized(text, count.0)
    }

    /// The same for a text of which it is known how many parts it has, about.
    pub(in crate::smarthub) fn scan_sized(text: &[u8], parts: usize) -> Result<Self, Malformed> {
        let mut tape = Self { parts: Vec::with_capacity(parts) };
        scan(text, &mut tape)?;
        Ok(tape)
    }

    /// No parts yet. What is added has no children.
    pub(in crate::smarthub) fn empty() -> Self {
        Self { parts: Vec::new() }
    }

    /// Begins anew with an object that has no members yet.
    pub(in crate::smarthub) fn begin_object(&mut self, object: Part) {
        self.parts.clear();
        self.parts.push(object);
    }

    /// Adds a key, or the value of the key before, to the object that was begun.
    pub(in crate::smarthub) fn add_member_part(&mut self, mut part: Part) {
        part.next = index(self.parts.len()) + 1;
        self.parts.push(part);
        self.parts[0].next = index(self.parts.len());
    }
}

impl Parts for Tape {
    fn add(&mut self, _: usize, mut part: Part) -> Option<u32> {
        let own = index(self.parts.len());
        part.next = own + 1;
        self.parts.push(part);
        Some(own)
    }

    fn close(&mut self, _: usize, number: u32, end: usize) {
        let next = index(self.parts.len());
        let closed = &mut self.parts[number as usize];
        (closed.end, closed.next) = (index(end), next);
    }

    fn tell(&mut self, number: u32, flaws: Flaws) {
        self.parts[number as usize].flaws.add(flaws);
    }
}

impl Part {
    /// The characters of a key.
    pub(in crate::smarthub) fn key(self, text: &[u8]) -> Cow<'_, [u8]> {
        let inner = &text[self.start as usize + 1..self.end as usize - 1];
        if self.escaped { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) }
    }
}

/// Counts parts and keeps none.
struct Count(usize);

impl Parts for Count {
    fn add(&mut self, _: usize, _: Part) -> Option<u32> {
        self.0 += 1;
        Some(0)
    }

    fn close(&mut self, _: usize, _: u32, _: usize) {}

    fn tell(&mut self, _: u32, _: Flaws) {}
}
