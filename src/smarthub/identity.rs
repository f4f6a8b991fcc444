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
    let mut form = Vec::with_capacity(record.source().len() * 2 + 64);
    part(&mut form, b'k', kind.as_bytes());
    if let Some(seconds) = date_push_s {
        part(&mut form, b'd', &seconds.to_le_bytes());
    }
    object(&mut form, record, |key| key != DATE_PUSH && key != SIGNATURE)?;
    let digest = Sha256::digest(&form);
    let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    Ok(i64::from_le_bytes(*first))
}

/// Finds a repeated key without making an identity.
pub(super) fn check_keys(value: Value<'_>) -> Result<(), RepeatedKey> {
    canonical(&mut Vec::new(), value)
}

/// Recursion ends at `json::DEPTH_MAX`: what is deeper is not listed, and its record has flaws.
fn canonical(form: &mut Vec<u8>, value: Value<'_>) -> Result<(), RepeatedKey> {
    match value.what() {
        What::Object => return object(form, value, |_| true),
        What::Array => {
            let count_at = begin(form, b'a');
            let mut count = 0;
            for element in value.elements() {
                canonical(form, element)?;
                count += 1;
            }
            end(form, count_at, count);
        }
        What::Key | What::Text => part(form, b's', &value.unescaped()),
        What::Number => part(form, b'n', value.source()),
        What::True => form.push(b't'),
        What::False => form.push(b'f'),
        What::Null => form.push(b'z'),
    }
    Ok(())
}

fn object(
    form: &mut Vec<u8>,
    object: Value<'_>,
    counts: impl Fn(&[u8]) -> bool,
) -> Result<(), RepeatedKey> {
    let mut members: Vec<_> =
        object.members().map(|(key, value)| (key.unescaped(), value)).collect();
    members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    if members.array_windows().any(|[(a, _), (b, _)]| a == b) {
        return Err(RepeatedKey);
    }
    let count_at = begin(form, b'o');
    let mut count = 0;
    for (key, value) in members.iter().filter(|(key, _)| counts(key)) {
        part(form, b's', key);
        canonical(form, *value)?;
        count += 1;
    }
    end(form, count_at, count);
    Ok(())
}

fn part(form: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    form.push(tag);
    form.extend((bytes.len() as u64).to_le_bytes());
    form.extend(bytes);
}

/// A container's tag and room for its count.
fn begin(form: &mut Vec<u8>, tag: u8) -> usize {
    form.push(tag);
    form.extend([0; 8]);
    form.len() - 8
}

fn end(form: &mut [u8], count_at: usize, count: u64) {
    form[count_at..count_at + 8].copy_from_slice(&count.to_le_bytes());
}
