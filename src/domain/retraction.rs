use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    net::IpAddr,
};

use super::Timestamp;

/// Records that are to be taken out: all that came under one `datePush`, or what one source sent of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RetractQuestion {
    /// `datePush`, whole seconds since 1970.
    pub date_push_s: i64,
    /// Who sent them; anybody where it is not said.
    pub source: Option<IpAddr>,
}

/// How much would be taken out of what one source sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetractCount {
    /// The source, where it is known.
    pub source: Option<IpAddr>,
    /// Usage records.
    pub usage: u64,
    /// Messages.
    pub sms: u64,
    /// Notifications.
    pub notifications: u64,
    /// Records of any kind that another push brought, too, and that stay as that one's.
    pub kept: u64,
}

/// A retraction that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retraction {
    /// Its place among the changes.
    pub id: i64,
    /// What it took out.
    pub of: RetractQuestion,
    /// When it was asked for.
    pub at: Timestamp,
    /// It still goes on.
    pub is_pending: bool,
    /// From when on what comes under it is kept again.
    pub lifted_at: Option<Timestamp>,
    /// What it took out so far; none where an earlier version did it, which did not count.
    pub counts: Option<RetractionCounts>,
}

/// What a retraction took out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetractionCounts {
    /// Usage records.
    pub usage: u64,
    /// Messages.
    pub sms: u64,
    /// Notifications.
    pub notifications: u64,
    /// Records of any kind that stayed, as those of another push.
    pub kept: u64,
}

/// All that was retracted: what comes under it again is set aside, since whoever has captured its
/// signature can send it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retracted(HashSet<RetractQuestion>);

impl Retracted {
    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what is retracted now.
    pub fn add(&mut self, question: RetractQuestion) {
        self.0.insert(question);
    }

    /// The seconds of which what this source sent is set aside, and not what others sent.
    pub fn only_of(&self, source: IpAddr) -> BTreeSet<i64> {
        let source = Some(source.to_canonical());
        self.0.iter().filter(|it| it.source == source).map(|it| it.date_push_s).collect()
    }

    /// Whether a push of this second from this source is set aside.
    pub fn has(&self, date_push_s: i64, source: IpAddr) -> bool {
        !self.is_empty()
            && [None, Some(source.to_canonical())]
                .into_iter()
                .any(|source| self.0.contains(&RetractQuestion { date_push_s, source }))
    }
}

impl FromIterator<RetractQuestion> for Retracted {
    fn from_iter<I: IntoIterator<Item = RetractQuestion>>(questions: I) -> Self {
        Self(questions.into_iter().collect())
    }
}

impl fmt::Display for RetractQuestion {
    /// As the audit has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = Timestamp::from_unix_ms(self.date_push_s.saturating_mul(1000));
        write!(f, "datePush={second}")?;
        match self.source {
            Some(source) => write!(f, "&source={source}"),
            None => Ok(()),
        }
    }
}
