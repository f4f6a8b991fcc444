use crate::{
    rcms::{ParametersIn, SignBody, UniqueCode},
    smarthub::IdentityRule,
};

/// A closed set of words, as a setting has them.
pub(in crate::cli) trait Words: Copy + PartialEq + 'static {
    /// Each word and what it means.
    const WORDS: &'static [(&'static str, Self)];

    /// The word for it; `WORDS` has one for each.
    fn as_word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(_, meaning)| *meaning == self);
        found.map_or("", |(word, _)| word)
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What happens to a push from outside the allowed sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowMode {
    /// Nothing.
    Off,
    /// It is told.
    Monitor,
    /// It is refused.
    Enforce,
}

/// The answer to GET and HEAD on a push address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// 405
    MethodNotAllowed,
    /// 200
    Ok,
}

impl Words for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Words for AllowMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("monitor", Self::Monitor), ("enforce", Self::Enforce)];
}

impl Words for IdentityRule {
    const WORDS: &'static [(&'static str, Self)] =
        &[("content", Self::Content), ("content+date", Self::ContentAndDate)];
}

impl Words for Probe {
    const WORDS: &'static [(&'static str, Self)] =
        &[("405", Self::MethodNotAllowed), ("ok", Self::Ok)];
}

impl Words for UniqueCode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("client-id", Self::ClientId), ("random", Self::Random)];
}

impl Words for SignBody {
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("ampersand_json", Self::AmpersandJson)];
}

impl Words for ParametersIn {
    const WORDS: &'static [(&'static str, Self)] =
        &[("query+headers", Self::QueryAndHeaders), ("headers", Self::Headers)];
}
