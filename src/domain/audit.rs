//! Who changed what, or took it away: the rows of the audit.
use std::{collections::BTreeMap, fmt, net::IpAddr, str::FromStr};

use super::{Caller, Timestamp, held::UnknownWord};

/// Who the audit names for what the server does by itself.
pub const AUDITED_SERVER: &str = "simdeck";
/// Who the audit names for a command that works on the files, while no server runs.
pub const AUDITED_COMMAND: &str = "command line";
/// Who the audit names for an erasure that the list of erased SIMs asks for, when a store is opened.
pub const AUDITED_LIST: &str = "list of erased SIMs";

/// Digests of the secrets in force, by what they are for: they tell that one is another one now, and
/// nothing of what it is.
pub type SecretDigests = BTreeMap<String, Vec<String>>;

/// How many of such secrets are new and how many are gone, in words; none if there is no change.
pub fn changed_secrets<T: PartialEq>(what: &str, before: &[T], now: &[T]) -> Option<String> {
    let lacks = |of: &[T], in_: &[T]| of.iter().filter(|one| !in_.contains(one)).count();
    let counts = [(lacks(now, before), "added"), (lacks(before, now), "removed")].into_iter();
    let counts = counts.filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
    (!counts.is_empty()).then(|| format!("{what}: {}", counts.join(", ")))
}

/// What is recorded. Reads are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditAction {
    /// A browser came in.
    SignIn,
    /// A key or a link that is not live was shown, by a browser or to the API.
    SignInFailed,
    /// A link was made that lets a browser in.
    SignInLink,
    /// A key asked for what it does not allow.
    Forbidden,
    /// A browser went out.
    SignOut,
    /// An API key was made.
    KeyCreate,
    /// An API key was revoked.
    KeyRevoke,
    /// Held pushes were read again.
    HeldRetry,
    /// Held pushes were thrown away.
    HeldDiscard,
    /// A SIM was taken out of everything.
    Erase,
    /// What comes of an erased SIM is kept again.
    EraseLift,
    /// What was pushed under one `datePush` was taken out.
    Retract,
    /// What comes under a retracted `datePush` is stored again.
    RetractLift,
    /// Records were read in from a file.
    Import,
    /// SIMs were given names or routers.
    SimLabel,
    /// A router was moved into another group of RCMS.
    DeviceGroup,
    /// A router that is gone was forgotten.
    DeviceForget,
    /// A whole list was taken away as a file.
    Export,
    /// What is too old was taken away, as asked.
    Prune,
    /// The database was copied, as asked.
    Backup,
    /// A copy took the database's place.
    Restore,
    /// The sums by day were made anew.
    Rebuild,
    /// Keys, tokens or certificates were replaced while the server ran.
    Reload,
    /// The server started.
    Start,
    /// The server stopped in good order.
    Stop,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    /// It has begun, and goes on. What a server that was ended has left is ended by the next start.
    Begun,
    /// It was done.
    Done,
    /// It was tried, and not done, or not wholly.
    Failed,
    /// It was not allowed.
    Refused,
}

/// A row to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditNote {
    /// The label of an API key, or one of the names above; empty where nobody is known.
    pub who: String,
    /// The address that it came from, if it came from one.
    pub source: Option<IpAddr>,
    /// What was done.
    pub action: AuditAction,
    /// On what.
    pub subject: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// What else there is to say: counts and names, never a secret.
    pub details: String,
}

/// A row as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number.
    pub id: i64,
    /// When; of several that are counted in one row, the first.
    pub at: Timestamp,
    /// Who; empty where nobody is known.
    pub who: String,
    /// From which address; empty where it came from none.
    pub source: String,
    /// What was done, also in a word that a newer version has written.
    pub action: String,
    /// On what.
    pub subject: String,
    /// How it ended.
    pub outcome: String,
    /// What else there is to say.
    pub details: String,
    /// How often, where the same is counted in one row.
    pub count: i64,
}

/// Which rows are meant: every field that is not empty narrows, the values in one field widen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// What was done.
    pub action: Vec<AuditAction>,
    /// By whom.
    pub who: Vec<String>,
    /// From which addresses.
    pub source: Vec<String>,
    /// How it ended.
    pub outcome: Vec<AuditOutcome>,
    /// From this millisecond on.
    pub from_ms: Option<i64>,
    /// Before this millisecond.
    pub to_ms: Option<i64>,
}

impl AuditAction {
    /// Every action.
    pub const ALL: [Self; 25] = [
        Self::SignIn,
        Self::SignInFailed,
        Self::SignInLink,
        Self::Forbidden,
        Self::SignOut,
        Self::KeyCreate,
        Self::KeyRevoke,
        Self::HeldRetry,
        Self::HeldDiscard,
        Self::Erase,
        Self::EraseLift,
        Self::Retract,
        Self::RetractLift,
        Self::Import,
        Self::SimLabel,
        Self::DeviceGroup,
        Self::DeviceForget,
        Self::Export,
        Self::Prune,
        Self::Backup,
        Self::Restore,
        Self::Rebuild,
        Self::Reload,
        Self::Start,
        Self::Stop,
    ];

    /// The word in API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignInFailed => "sign_in.failed",
            Self::SignInLink => "sign_in.link",
            Self::Forbidden => "forbidden",
            Self::SignOut => "sign_out",
            Self::KeyCreate => "key.create",
            Self::KeyRevoke => "key.revoke",
            Self::HeldRetry => "held.retry",
            Self::HeldDiscard => "held.discard",
            Self::Erase => "erase",
            Self::EraseLift => "erase.lift",
            Self::Retract => "retract",
            Self::RetractLift => "retract.lift",
            Self::Import => "import",
            Self::SimLabel => "sim.label",
            Self::DeviceGroup => "device.group",
            Self::DeviceForget => "device.forget",
            Self::Export => "export",
            Self::Prune => "prune",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Rebuild => "rebuild",
            Self::Reload => "reload",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

impl FromStr for AuditAction {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|action| action.as_str() == text).ok_or(UnknownWord)
    }
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AuditOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Begun, Self::Done, Self::Failed, Self::Refused];

    /// The word in API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

impl FromStr for AuditOutcome {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or(UnknownWord)
    }
}

impl AuditNote {
    /// That a caller did something.
    pub fn by(caller: &Caller, action: AuditAction, subject: impl Into<String>) -> Self {
        Self {
            who: caller.label.clone(),
            source: caller.source,
            action,
            subject: subject.into(),
            outcome: AuditOutcome::Done,
            details: String::new(),
        }
    }

    /// That the server or a command did something by itself.
    pub fn by_itself(
        who: &'static str,
        action: AuditAction,
        subject: impl Into<String>,
        details: impl Into<String>,
    ) -> Self {
        Self {
            who: who.to_owned(),
            source: None,
            action,
            subject: subject.into(),
            outcome: AuditOutcome::Done,
            details: details.into(),
        }
    }

    /// The same with how it ended, and what is to be said of that.
    pub fn ended(self, outcome: AuditOutcome, details: impl Into<String>) -> Self {
        Self { outcome, details: details.into(), ..self }
    }
}
