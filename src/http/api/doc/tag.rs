//! The chapters of the document.

/// A chapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http::api) enum Tag {
    /// What was pushed.
    Records,
    /// What the records came of.
    Sims,
    /// What is new.
    Live,
    /// Routers.
    Devices,
    /// What lies aside.
    Held,
    /// API keys.
    Keys,
    /// The server itself.
    Server,
    /// What SmartHub posts.
    Push,
}

impl Tag {
    /// Every chapter.
    pub(super) const ALL: [Self; 8] = [
        Self::Records,
        Self::Sims,
        Self::Live,
        Self::Devices,
        Self::Held,
        Self::Keys,
        Self::Server,
        Self::Push,
    ];

    /// In one word, which can stand in a link.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Records => "Records",
            Self::Sims => "Sims",
            Self::Live => "Live",
            Self::Devices => "Devices",
            Self::Held => "Held",
            Self::Keys => "Keys",
            Self::Server => "Server",
            Self::Push => "Push",
        }
    }

    /// In a sentence.
    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Records => "What SmartHub pushed: data usage, messages, everything else.",
            Self::Sims => "The SIMs that records came of.",
            Self::Live => "What is new, as it comes.",
            Self::Devices => "The routers that RCMS lists.",
            Self::Held => "Pushes that were refused, or authentic and not readable.",
            Self::Keys => "Who may ask.",
            Self::Server => "How simdeck itself is.",
            Self::Push => "What SmartHub posts to the public listener.",
        }
    }
}
