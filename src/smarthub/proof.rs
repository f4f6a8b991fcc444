//! Proves a body without keeping anything of it.
//!
//! Whoever has no key may send anything, so that what a body costs before its signature holds is one
//! look at each byte: no list of its parts, whose memory would be a multiple of the body's. It says
//! what [`Body::verify`](super::Body::verify) would say (`properties::json` compares them).
use super::{
    body::{Checks, ELEMENTS_MAX, NotJson, Refusal, without_mark},
    bounds::reading_takes,
    identity::{DATE_PUSH, SIGNATURE},
    json::{Flaws, PART_BYTES, Part, Parts, Tape, Value, What, scan},
    signature::Verifier,
};

/// Why a body is not proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// It has not the right shape.
    NotJson(NotJson),
    /// An element does not verify.
    Refused(Refusal),
}

/// What a proved body holds, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proved {
    /// Values and keys.
    pub parts: usize,
    /// Objects that may be records, by where they stand.
    pub records: usize,
}

impl Proved {
    /// What is known of a body of so many bytes that nobody has looked at: the most that it may hold.
    pub fn at_most(body_bytes: usize) -> Self {
        Self { parts: body_bytes / 2, records: body_bytes / 3 }
    }

    /// The memory that a body of so many bytes takes while it is read, the body and what is read from
    /// it included. It is never more, whatever the body's form.
    pub fn reading_takes(self, body_bytes: usize) -> usize {
        // The body, and a text of it whose escapes are resolved.
        let texts = body_bytes.saturating_mul(2);
        self.parts_take()
            .saturating_add(texts)
            .saturating_add(reading_takes(self.records, body_bytes))
    }

    /// The memory that the list of its parts takes.
    pub fn parts_take(self) -> usize {
        self.parts.saturating_mul(PART_BYTES)
    }
}

/// Checks the signature of every element.
pub fn prove(bytes: &[u8], verifier: &Verifier) -> Result<Proved, Unproved> {
    let bytes = without_mark(bytes);
    let mut proving = Proving {
        bytes,
        checks: Checks::new(verifier),
        shape: Shape::Unknown,
        elements: 0,
        parts: 0,
        records: 0,
        fields: Tape::empty(),
        seen: [0; 2],
        awaited: false,
        refused: None,
    };
    let is_json = scan(bytes, &mut proving).is_ok();
    if !is_json || proving.elements == 0 {
        return Err(Unproved::NotJson(NotJson));
    }
    match proving.refused {
        Some(refusal) => Err(Unproved::Refused(refusal)),
        None => Ok(Proved { parts: proving.parts, records: proving.records }),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Unknown,
    Object,
    Array,
}

struct Proving<'a> {
    bytes: &'a [u8],
    checks: Checks<'a>,
    shape: Shape,
    elements: usize,
    parts: usize,
    records: usize,
    /// The two fields of the element that is being read, and nothing else of it.
    fields: Tape,
    /// How often each was seen; the third time tells no more than the second.
    seen: [u8; 2],
    /// Whether the next part is the value of such a field.
    awaited: bool,
    /// The first element that fails.
    refused: Option<Refusal>,
}

impl Proving<'_> {
    /// At which depth the elements lie.
    fn element_depth(&self) -> usize {
        usize::from(self.shape == Shape::Array)
    }

    fn begin_element(&mut self, object: Part) -> Option<u32> {
        self.elements += 1;
        self.fields.begin_object(object);
        self.seen = [0; 2];
        (object.what == What::Object && self.elements <= ELEMENTS_MAX).then_some(0)
    }

    fn add_member_part(&mut self, part: Part) {
        if part.what == What::Key {
            let name = part.key(self.bytes);
            let which = [DATE_PUSH, SIGNATURE].iter().position(|known| **known == *name);
            self.awaited = which.is_some_and(|which| {
                self.seen[which] = self.seen[which].saturating_add(1);
                self.seen[which] <= 2
            });
            if self.awaited {
                self.fields.add_member_part(part);
            }
        } else if self.awaited {
            self.awaited = false;
            self.fields.add_member_part(part);
        }
    }
}

impl Parts for Proving<'_> {
    fn add(&mut self, depth: usize, part: Part) -> Option<u32> {
        self.parts += 1;
        if self.shape == Shape::Unknown {
            self.shape = match part.what {
                What::Object => Shape::Object,
                What::Array => Shape::Array,
                _ => return None,
            };
            self.records = usize::from(self.shape == Shape::Object);
            return if self.shape == Shape::Object { self.begin_element(part) } else { Some(0) };
        }
        let element_depth = self.element_depth();
        // A record is an element, or lies in a member of one, alone or in a list.
        let may_be_record = part.what == What::Object && depth <= element_depth + 2;
        self.records += usize::from(may_be_record);
        if depth == element_depth {
            return self.begin_element(part);
        }
        if depth == element_depth + 1 {
            self.add_member_part(part);
        }
        Some(0)
    }

    fn close(&mut self, depth: usize, _: u32, _: usize) {
        if depth == self.element_depth() && self.refused.is_none() {
            let element: Value<'_> = self.fields.root(self.bytes);
            self.refused = self.checks.check(element).err();
        }
    }

    fn tell(&mut self, _: u32, _: Flaws) {}
}
