//! Single fields of a record, in the forms in which SmartHub may write them.
use std::borrow::Cow;

use super::json::{Value, What};
use crate::domain::{Giccid, ShortText, VOLUME_MAX};

/// A field's value has a form that its type does not know, or is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// A field that may be absent; `null` counts as absent.
pub(super) type Field<'a> = Option<Value<'a>>;

/// The field unless it is `null`.
pub(super) fn sent(value: Value<'_>) -> Field<'_> {
    (value.what() != What::Null).then_some(value)
}

/// A SIM's number: a text, or an integer, kept as its digits.
pub(super) fn giccid(value: Value<'_>) -> Result<Giccid, Invalid> {
    text_or_digits(value)?.parse().map_err(|_| Invalid)
}

/// A text of at most 256 bytes, or an integer, kept as its digits. Absent is the empty text.
pub(super) fn short_text(field: Field<'_>) -> Result<ShortText, Invalid> {
    let Some(value) = field else { return Ok(ShortText::default()) };
    ShortText::try_from(&*text_or_digits(value)?).map_err(|_| Invalid)
}

/// A volume or a duration: an integer from 0 to 10¹⁵, as a number or a text of digits.
pub(super) fn volume(value: Value<'_>) -> Result<i64, Invalid> {
    integer(value).filter(|volume| *volume <= VOLUME_MAX).ok_or(Invalid)
}

/// A time in epoch milliseconds, as a number or a text of digits, that is at least `min_ms` and
/// at most `max_ms`.
pub(super) fn time_ms(value: Value<'_>, min_ms: i64, max_ms: i64) -> Result<i64, Invalid> {
    integer(value).filter(|ms| (min_ms..=max_ms).contains(ms)).ok_or(Invalid)
}

fn text_or_digits(value: Value<'_>) -> Result<Cow<'_, str>, Invalid> {
    value.as_text().or_else(|| value.as_digits().map(Cow::Borrowed)).ok_or(Invalid)
}

fn integer(value: Value<'_>) -> Option<i64> {
    let digits = text_or_digits(value).ok()?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
