use std::{fmt, str::FromStr};

/// The name of a group of RCMS's, as it is sent: people read it in a list, so that it must be one that
/// they see and that moves no other text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupName(Box<str>);

/// A text is no [`GroupName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a group's name has 1 to 256 characters, not blanks alone, without control characters and without \
     marks that turn the direction of writing"
)]
pub struct GroupNameError;

impl GroupName {
    /// The longest.
    const CHARACTERS_MAX: usize = 256;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GroupName {
    type Err = GroupNameError;

    fn from_str(text: &str) -> Result<Self, GroupNameError> {
        let turns = |letter| {
            matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}')
                || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        let is_name = (1..=Self::CHARACTERS_MAX).contains(&text.chars().count())
            && !text.trim().is_empty()
            && !text.chars().any(|letter| letter.is_control() || turns(letter));
        is_name.then(|| Self(text.into())).ok_or(GroupNameError)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
