//! What makes two pushed records the same.
//!
//! SmartHub sends no event id, so a record is known by its content: SHA-256 over the kind as
//! received and the record's canonical form. In it keys are sorted at every depth, texts are
//! unescaped, numbers stand as their source wrote them, and every part is preceded by its length,
//! so that no two records share a form.
use sha2::{Digest, Sha256};

use super::json::{Value, What};

/// The two members that belong to the push and not to the record.
pub(super) const DATE_PUSH: &[u8] = b"datePush";
pub(super) const SIGNATURE: &[u8] = b"signature";

/// An object holds the same key twice, at some depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RepeatedKey;

/// The first 64 bits of the digest. They are compared only among records of one millisecond.
///
/// `date_push_s` is given where it tells two records apart.
pub(super) fn identity(
    kind: &str,
    record: Value<'_>,
    date_push_s: Option<i64>,
) -> Result<i64, RepeatedKey> {
    let mut form = Form::of(record);
    form.part(b'k', kind.as_bytes());
    if let Some(seconds) = date_push_s {
        form.part(b'd', &seconds.to_le_bytes());
    }
    form.object(record, |key| key != DATE_PUSH && key != SIGNATURE)?;
    let digest = form.digest();
    let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    Ok(i64::from_le_bytes(*first))
}

/// Finds a repeated key without making an identity. Recursion ends as [`Form::value`]'s does.
pub(super) fn check_keys(value: Value<'_>) -> Result<(), RepeatedKey> {
    let mut members = value.members_by_name().ok_or(RepeatedKey)?;
    members.try_for_each(|(_, value)| check_keys(value))?;
    value.elements().try_for_each(check_keys)
}

/// The canonical form on its way into the digest. Only so much of it lies in memory: that of many
/// small values is five times as long as their source.
struct Form {
    written: Vec<u8>,
    digest: Sha256,
}

impl Form {
    const WRITTEN_MAX: usize = 16 << 10;

    fn of(record: Value<'_>) -> Self {
        let likely = record.source().len() * 2 + 64;
        Self { written: Vec::with_capacity(likely.min(Self::WRITTEN_MAX)), digest: Sha256::new() }
    }

    /// Recursion ends at `json::DEPTH_MAX`: what is deeper is not listed, and its record has flaws.
    fn value(&mut self, value: Value<'_>) -> Result<(), RepeatedKey> {
        match value.what() {
            What::Object => return self.object(value, |_| true),
            What::Array => {
                self.begin(b'a', value.elements().count());
                value.elements().try_for_each(|element| self.value(element))?;
            }
            What::Key | What::Text => self.part(b's', &value.unescaped()),
            What::Number => self.part(b'n', value.source()),
            What::True => self.write(b"t"),
            What::False => self.write(b"f"),
            What::Null => self.write(b"z"),
        }
        Ok(())
    }

    fn object(
        &mut self,
        object: Value<'_>,
        counts: impl Fn(&[u8]) -> bool,
    ) -> Result<(), RepeatedKey> {
        let members = object.members_by_name().ok_or(RepeatedKey)?;
        let that_count = object.members().filter(|(key, _)| counts(&key.unescaped()));
        self.begin(b'o', that_count.count());
        for (key, value) in members {
            let name = key.unescaped();
            if counts(&name) {
                self.part(b's', &name);
                self.value(value)?;
            }
        }
        Ok(())
    }

    /// A container's tag and its count.
    fn begin(&mut self, tag: u8, count: usize) {
        self.write(&[tag]);
        self.write(&(count as u64).to_le_bytes());
    }

    fn part(&mut self, tag: u8, bytes: &[u8]) {
        self.begin(tag, bytes.len());
        self.write(bytes);
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.written.len() + bytes.len() <= Self::WRITTEN_MAX {
            self.written.extend_from_slice(bytes);
            return;
        }
        self.digest.update(&self.written);
        self.written.clear();
        self.digest.update(bytes);
    }

    fn digest(mut self) -> [u8; 32] {
        self.digest.update(&self.written);
        self.digest.finalize().into()
    }
}
