use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A key or token. It is wiped when dropped and cannot be printed by accident.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret itself. Every use is a place to look at in a review.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A character that nobody sees, where it was hardly meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invisible {
    /// Its place among the characters, counted from 1.
    place: usize,
    char: char,
}

/// The first character of a text that nobody sees and that was hardly meant. A blank can be meant.
pub fn invisible_in(text: &str) -> Option<Invisible> {
    let is_invisible = |char: char| {
        char.is_control()
            || (char.is_whitespace() && char != ' ')
            || matches!(
                char,
                '\u{AD}'
                    | '\u{34F}'
                    | '\u{61C}'
                    | '\u{115F}'..='\u{1160}'
                    | '\u{17B4}'..='\u{17B5}'
                    | '\u{180B}'..='\u{180F}'
                    | '\u{200B}'..='\u{200F}'
                    | '\u{202A}'..='\u{202E}'
                    | '\u{2060}'..='\u{206F}'
                    | '\u{3164}'
                    | '\u{FEFF}'
                    | '\u{FFA0}'
                    | '\u{FFF9}'..='\u{FFFB}'
                    | '\u{E0000}'..='\u{E007F}'
            )
    };
    let found = text.chars().enumerate().find(|(_, char)| is_invisible(*char));
    found.map(|(at, char)| Invisible { place: at + 1, char })
}

/// What is said of a secret with a [blank edge](has_blank_edge), after its name.
pub const BLANK_EDGE: &str = "begins or ends with a blank, which is taken as part of it: remove the \
                              blank, unless the other side has it too";

/// Whether a secret begins or ends with a blank, which nobody sees.
pub fn has_blank_edge(secret: &str) -> bool {
    secret.trim() != secret
}

/// A text without the byte order mark with which some editors begin a file.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{FEFF}').unwrap_or(text)
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Invisible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, char } = *self;
        write!(f, "the invisible character U+{:04X} as character {place}", u32::from(char))
    }
}
