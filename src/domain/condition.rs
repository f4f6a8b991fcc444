use std::fmt;

use super::{Kind, Timestamp};

/// What can be wrong with how simdeck comes by its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionKind {
    /// A kind of push has not come for far longer than usual.
    Silent,
    /// All pushes of a kind are refused, for one cause.
    RefusedRun,
    /// Something lies in quarantine.
    Quarantining,
    /// Pushes come under a name that is nearly one of SmartHub's kinds.
    KindMisspelt,
    /// Requests come to an address that is none of a push, and may be pushes.
    AddressUnknown,
    /// Requests that may be pushes are sent away before their proof is looked at.
    PushesRejected,
    /// Authentic pushes are sent away, one after another.
    NotAcknowledged,
    /// Authentic pushes wait long for their answer.
    SlowAcknowledgement,
    /// Bodies have no room while they come, or come too slowly for others to wait.
    NoRoom,
    /// A proxy names the client, and is not believed.
    ProxyNotTrusted,
    /// RCMS does not answer as it should.
    RcmsFailing,
    /// RCMS counts more routers than it lists.
    RcmsListShort,
    /// RCMS is too slow for every router to have its turn in time.
    RcmsSlow,
    /// This server's clock and RCMS's differ by a minute or more.
    RcmsClock,
    /// RCMS lists what cannot be read as a router, or not whether it is online.
    RcmsUnread,
    /// RCMS gives nothing of what routers say about themselves, of any router.
    RcmsNoSamples,
    /// The disk has less room than is to be left free.
    DiskLow,
    /// The data directory lies on a disk of its own that has hardly any room.
    FolderLow,
    /// The database was moved or removed while it was open.
    DatabaseMoved,
    /// A listener has all the connections that it may have.
    ConnectionsFull,
    /// The clock and authentic pushes differ by more than a day.
    ClockWrong,
    /// No backup can be made.
    BackupFailing,
    /// The files of the database may still have bytes of an erased SIM.
    ErasedInFiles,
}

/// Something that is wrong, and what to do. Nothing in it is personal or secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What.
    pub kind: ConditionKind,
    /// The push category it is about, where it is about one.
    pub about: Option<Kind>,
    /// Since when.
    pub since: Timestamp,
    /// What there is, in a sentence.
    pub says: String,
    /// What to do, in a sentence.
    pub todo: String,
}

/// Something began to be wrong, or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionChange {
    /// What; as it was last, if it ended.
    pub condition: Condition,
    /// Whether it began.
    pub began: bool,
    /// When that was noticed.
    pub at: Timestamp,
}

impl ConditionKind {
    /// Every kind.
    pub const ALL: [Self; 23] = [
        Self::Silent,
        Self::RefusedRun,
        Self::Quarantining,
        Self::KindMisspelt,
        Self::AddressUnknown,
        Self::PushesRejected,
        Self::NotAcknowledged,
        Self::SlowAcknowledgement,
        Self::NoRoom,
        Self::ProxyNotTrusted,
        Self::RcmsFailing,
        Self::RcmsListShort,
        Self::RcmsSlow,
        Self::RcmsClock,
        Self::RcmsUnread,
        Self::RcmsNoSamples,
        Self::DiskLow,
        Self::FolderLow,
        Self::DatabaseMoved,
        Self::ConnectionsFull,
        Self::ClockWrong,
        Self::BackupFailing,
        Self::ErasedInFiles,
    ];

    /// The word in API, log, metric and alert.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::RefusedRun => "refused_run",
            Self::Quarantining => "quarantining",
            Self::KindMisspelt => "kind_misspelt",
            Self::AddressUnknown => "address_unknown",
            Self::PushesRejected => "pushes_rejected",
            Self::NotAcknowledged => "not_acknowledged",
            Self::SlowAcknowledgement => "slow_acknowledgement",
            Self::NoRoom => "no_room",
            Self::ProxyNotTrusted => "proxy_not_trusted",
            Self::RcmsFailing => "rcms_failing",
            Self::RcmsListShort => "rcms_list_short",
            Self::RcmsSlow => "rcms_slow",
            Self::RcmsClock => "rcms_clock",
            Self::RcmsUnread => "rcms_unread",
            Self::RcmsNoSamples => "rcms_no_samples",
            Self::DiskLow => "disk_low",
            Self::FolderLow => "folder_low",
            Self::DatabaseMoved => "database_moved",
            Self::ConnectionsFull => "connections_full",
            Self::ClockWrong => "clock_wrong",
            Self::BackupFailing => "backup_failing",
            Self::ErasedInFiles => "erased_in_files",
        }
    }

    /// Whether the address that is told of changes is told of this one.
    pub fn is_alerted(self) -> bool {
        match self {
            Self::Silent
            | Self::RefusedRun
            | Self::Quarantining
            | Self::AddressUnknown
            | Self::PushesRejected
            | Self::RcmsFailing
            | Self::DiskLow
            | Self::FolderLow
            | Self::DatabaseMoved
            | Self::ConnectionsFull
            | Self::ClockWrong
            | Self::BackupFailing
            | Self::ErasedInFiles => true,
            Self::KindMisspelt
            | Self::NotAcknowledged
            | Self::SlowAcknowledgement
            | Self::NoRoom
            | Self::ProxyNotTrusted
            | Self::RcmsListShort
            | Self::RcmsSlow
            | Self::RcmsClock
            | Self::RcmsUnread
            | Self::RcmsNoSamples => false,
        }
    }

    /// Whether those who find it log it themselves, when it begins and when it ends.
    pub fn is_logged_where_found(self) -> bool {
        matches!(self, Self::RcmsFailing | Self::DiskLow | Self::DatabaseMoved)
    }
}

impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
