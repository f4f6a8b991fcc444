use std::{fmt, str::FromStr};

/// A SIM's number as SmartHub calls it: 18 to 22 digits, kept as text because zeros may lead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Giccid(Box<str>);

/// Why a text is no [`Giccid`]. The text itself is personal and not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GiccidError {
    /// It has this many bytes.
    #[error("a giccid has 18 to 22 digits, not {0} characters")]
    Length(usize),
    /// It has something other than the digits 0 to 9.
    #[error("a giccid consists of digits only")]
    NotDigits,
}

impl Giccid {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A number for each giccid; numbers sort as the texts do, whatever their lengths.
    pub fn ordinal(&self) -> u128 {
        let digits = self.0.bytes().map(|byte| u128::from(byte - b'0') + 1);
        // Where a shorter one has ended stands less than any digit.
        let padded = digits.chain(std::iter::repeat(0)).take(DIGITS_MAX);
        padded.fold(0, |number, digit| number * ORDINAL_BASE + digit)
    }

    /// The giccid with this [`Giccid::ordinal`].
    pub fn of_ordinal(ordinal: u128) -> Result<Self, GiccidError> {
        let mut digits = [0; DIGITS_MAX];
        let mut rest = ordinal;
        for digit in digits.iter_mut().rev() {
            *digit = u8::try_from(rest % ORDINAL_BASE).map_err(|_| GiccidError::NotDigits)?;
            rest /= ORDINAL_BASE;
        }
        let length = digits.iter().rposition(|digit| *digit > 0).map_or(0, |last| last + 1);
        let is_digit = |digit: &u8| (1..=10).contains(digit);
        if rest > 0 || !digits[..length].iter().all(is_digit) {
            return Err(GiccidError::NotDigits);
        }
        digits[..length]
            .iter()
            .map(|digit| char::from(b'0' + digit - 1))
            .collect::<String>()
            .parse()
    }
}

const DIGITS_MAX: usize = 22;
/// Ten digits and the end.
const ORDINAL_BASE: u128 = 11;

impl FromStr for Giccid {
    type Err = GiccidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !(18..=22).contains(&text.len()) {
            return Err(GiccidError::Length(text.len()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(GiccidError::NotDigits);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Giccid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_sort_as_the_texts_do_and_lead_back_to_them() {
        let mut texts: Vec<String> = ["0", "8986001234567890123", "9"]
            .iter()
            .flat_map(|start| (18..=22).map(move |length| format!("{start:0<length$}")))
            .chain((18..=22).map(|length| "9".repeat(length)))
            .collect();
        texts.sort();
        texts.dedup();
        let all: Vec<Giccid> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        assert_eq!(all.len(), texts.len());
        assert!(all.is_sorted_by(|a, b| a.ordinal() < b.ordinal()));
        for giccid in all {
            assert_eq!(Giccid::of_ordinal(giccid.ordinal()), Ok(giccid));
        }
        for none in [0, 1, u128::MAX, ORDINAL_BASE] {
            assert!(Giccid::of_ordinal(none).is_err());
        }
    }
}
