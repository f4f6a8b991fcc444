use super::{
    date_push,
    identity::{DATE_PUSH, SIGNATURE},
    json::{Tape, Value, What},
    signature::{self, Verifier},
};
use crate::domain::{HeldReason, Timestamp};

/// The most elements that an array at the top of a body may have.
pub(super) const ELEMENTS_MAX: usize = 10_000;

/// How far from now `datePush` may be for a refused push to count as plausible.
const PLAUSIBLE_SECONDS: i64 = 8 * 24 * 3600;

/// A body is not JSON of the shape that SmartHub sends: an object, or an array of 1 to 10,000
/// objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is neither a JSON object nor an array of 1 to 10,000 objects")]
pub struct NotJson;

/// A body whose shape is right. Nothing else of it has been looked at.
pub struct Body<'a> {
    bytes: &'a [u8],
    tape: Tape,
}

/// A body of which every element carries a valid signature.
pub struct Authentic<'a> {
    body: Body<'a>,
    /// `datePush` of each element, whole seconds since 1970.
    dates_s: Vec<i64>,
}

/// A body that did not prove to be from SmartHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong with the first element that fails.
    pub reason: HeldReason,
    /// The second that its `datePush` stands for, since 1970, or why that is not known.
    pub stands_for_s: Result<i64, HeldReason>,
}

/// The two fields of one element.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Proof {
    date_push_s: i64,
    signature: [u8; 32],
}

impl Authentic<'_> {
    /// `datePush` of each element, whole seconds since 1970.
    pub fn dates_s(&self) -> &[i64] {
        &self.dates_s
    }
}

impl<'a> Body<'a> {
    /// Reads the shape of a body.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotJson> {
        let bytes = without_mark(bytes);
        Self::of(bytes, Tape::scan(bytes).map_err(|_| NotJson)?)
    }

    /// The same for a body of which it is known how many parts it has: they need not be counted.
    pub fn parse_sized(bytes: &'a [u8], parts: usize) -> Result<Self, NotJson> {
        let bytes = without_mark(bytes);
        Self::of(bytes, Tape::scan_sized(bytes, parts).map_err(|_| NotJson)?)
    }

    fn of(bytes: &'a [u8], tape: Tape) -> Result<Self, NotJson> {
        let body = Self { bytes, tape };
        let is_right = match body.root().what() {
            What::Object => true,
            What::Array => {
                let mut count = 0;
                let only_objects = body.root().elements().all(|element| {
                    count += 1;
                    element.what() == What::Object
                });
                only_objects && (1..=ELEMENTS_MAX).contains(&count)
            }
            _ => false,
        };
        if is_right { Ok(body) } else { Err(NotJson) }
    }

    /// Checks the signature of every element, and stops at the first that fails.
    pub fn verify(self, verifier: &Verifier) -> Result<Authentic<'a>, Refusal> {
        let mut checks = Checks::new(verifier);
        let dates_s = self.elements().map(|element| checks.check(element));
        let dates_s = dates_s.collect::<Result<_, _>>()?;
        Ok(Authentic { body: self, dates_s })
    }

    /// Checks a body as it is kept after a refusal: without `signature`, whose bytes lie beside it.
    pub fn verify_kept(
        self,
        signatures: &[u8],
        verifier: &Verifier,
    ) -> Result<Authentic<'a>, Refusal> {
        let (signatures, _) = signatures.as_chunks::<32>();
        let mut checks = Checks::new(verifier);
        let dates_s = self.elements().enumerate().map(|(nth, element)| {
            let proof = || {
                let date_push_s = date_push(element)?;
                let signature = signatures.get(nth).ok_or(HeldReason::SignatureMissing)?;
                Ok(Proof { date_push_s, signature: *signature })
            };
            checks.check_proof(element, proof())
        });
        let dates_s = dates_s.collect::<Result<_, _>>()?;
        Ok(Authentic { body: self, dates_s })
    }

    /// Trusts a body that was verified before it was put into quarantine.
    pub fn trust(self) -> Result<Authentic<'a>, Refusal> {
        let dates_s = self
            .elements()
            .map(date_push)
            .collect::<Result<_, _>>()
            .map_err(|reason| Refusal { reason, stands_for_s: Err(reason) })?;
        Ok(Authentic { body: self, dates_s })
    }

    /// The body without `signature`, and the signature bytes of all elements if each has them: what
    /// is kept of a refused push.
    pub fn without_signature(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut kept = Vec::with_capacity(self.bytes.len());
        let is_array = self.root().what() == What::Array;
        let mut signatures = Some(Vec::new());
        for (nth, element) in self.elements().enumerate() {
            if is_array {
                kept.push(if nth == 0 { b'[' } else { b',' });
            }
            write_without(&mut kept, element, |key| key == SIGNATURE);
            let signature = find_once(element, SIGNATURE).ok().and_then(Value::as_text);
            let bytes = signature.and_then(|text| signature::decode_for_keeping(text.as_bytes()));
            match (&mut signatures, bytes) {
                (Some(all), Some(bytes)) => all.extend(bytes),
                (all, _) => *all = None,
            }
        }
        if is_array {
            kept.push(b']');
        }
        (kept, signatures)
    }

    fn root(&self) -> Value<'_> {
        self.tape.root(self.bytes)
    }

    /// The object itself, or those in the array.
    fn elements(&self) -> impl Iterator<Item = Value<'_>> {
        let root = self.root();
        let single = (root.what() == What::Object).then_some(root);
        single.into_iter().chain(root.elements())
    }
}

impl Authentic<'_> {
    /// How many bytes the body has.
    pub(super) fn bytes(&self) -> usize {
        self.body.bytes.len()
    }

    /// Each element with its `datePush` in whole seconds since 1970.
    pub(super) fn elements(&self) -> impl Iterator<Item = (Value<'_>, i64)> {
        self.body.elements().zip(self.dates_s.iter().copied())
    }
}

impl Refusal {
    /// Whether this may be a real push that only our key, our clock or a form that we do not know
    /// refuses: its time is near, or it has a signature beside a time that cannot be read.
    pub fn is_plausible(&self, now: Timestamp) -> bool {
        let is_near =
            |seconds: i64| seconds.abs_diff(now.unix_seconds()) <= PLAUSIBLE_SECONDS.unsigned_abs();
        match (self.reason, self.stands_for_s) {
            (HeldReason::DateMissing | HeldReason::DateUnreadable, _)
            | (HeldReason::SignatureUnreadable, Err(HeldReason::DateUnreadable)) => true,
            (
                HeldReason::SignatureWrong
                | HeldReason::SignatureMissing
                | HeldReason::SignatureUnreadable,
                Ok(seconds),
            ) => is_near(seconds),
            _ => false,
        }
    }
}

/// Checks the signatures of elements, one after another.
pub(super) struct Checks<'v> {
    verifier: &'v Verifier,
    /// The elements of one push usually share both fields; one hash then does for all.
    last_good: Option<Proof>,
}

impl<'v> Checks<'v> {
    pub(super) fn new(verifier: &'v Verifier) -> Self {
        Self { verifier, last_good: None }
    }

    /// Gives the element's `datePush`.
    pub(super) fn check(&mut self, element: Value<'_>) -> Result<i64, Refusal> {
        self.check_proof(element, Proof::read(element))
    }

    fn check_proof(
        &mut self,
        element: Value<'_>,
        proof: Result<Proof, HeldReason>,
    ) -> Result<i64, Refusal> {
        let refused = |reason| Refusal {
            reason,
            stands_for_s: date_push(element).map(|seconds| self.verifier.shifted(seconds)),
        };
        let proof = proof.map_err(refused)?;
        if self.last_good != Some(proof)
            && !self.verifier.verify(proof.date_push_s, &proof.signature)
        {
            return Err(refused(HeldReason::SignatureWrong));
        }
        self.last_good = Some(proof);
        Ok(proof.date_push_s)
    }
}

impl Proof {
    fn read(element: Value<'_>) -> Result<Self, HeldReason> {
        let (mut date, mut signature) = (Field::default(), Field::default());
        for (key, value) in element.members() {
            match &*key.unescaped() {
                DATE_PUSH => date.add(value),
                SIGNATURE => signature.add(value),
                _ => (),
            }
        }
        let signature =
            signature.once(HeldReason::SignatureMissing, HeldReason::SignatureUnreadable)?;
        let date = date.once(HeldReason::DateMissing, HeldReason::DateUnreadable)?;
        Ok(Self {
            signature: decode(signature).ok_or(HeldReason::SignatureUnreadable)?,
            date_push_s: seconds(date).ok_or(HeldReason::DateUnreadable)?,
        })
    }
}

/// A member that must be there exactly once.
#[derive(Default)]
struct Field<'a> {
    value: Option<Value<'a>>,
    repeated: bool,
}

impl<'a> Field<'a> {
    fn add(&mut self, value: Value<'a>) {
        self.repeated = self.value.replace(value).is_some();
    }

    fn once(self, missing: HeldReason, repeated: HeldReason) -> Result<Value<'a>, HeldReason> {
        if self.repeated { Err(repeated) } else { self.value.ok_or(missing) }
    }
}

/// A body without the byte order mark with which some senders begin a text in UTF-8.
pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

pub(super) fn find_once<'a>(element: Value<'a>, name: &[u8]) -> Result<Value<'a>, HeldReason> {
    let mut field = Field::default();
    for (_, value) in element.members().filter(|(key, _)| &*key.unescaped() == name) {
        field.add(value);
    }
    field.once(HeldReason::DateMissing, HeldReason::DateUnreadable)
}

pub(super) fn date_push(element: Value<'_>) -> Result<i64, HeldReason> {
    seconds(find_once(element, DATE_PUSH)?).ok_or(HeldReason::DateUnreadable)
}

fn seconds(date: Value<'_>) -> Option<i64> {
    match date.as_text() {
        Some(text) => date_push::parse_text(&text),
        None => date_push::parse_number(date.as_number()?),
    }
}

fn decode(signature: Value<'_>) -> Option<[u8; 32]> {
    signature::decode(signature.as_text()?.as_bytes())
}

/// Writes an object without some of its members, everything else as it stands in the source.
pub(super) fn write_without(
    out: &mut Vec<u8>,
    object: Value<'_>,
    left_out: impl Fn(&[u8]) -> bool,
) {
    let mut separator = b'{';
    for (key, value) in object.members().filter(|(key, _)| !left_out(&key.unescaped())) {
        out.push(separator);
        out.extend(key.source());
        out.push(b':');
        out.extend(value.source());
        separator = b',';
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}
