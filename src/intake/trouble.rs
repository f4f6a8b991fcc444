/// Why nothing can be stored now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    DiskReserve,
    Failing,
    FilesMoved,
    Stopping,
}

impl Trouble {
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::DiskReserve => {
                "the disk has less room than SIMDECK_DISK_RESERVE; free some, or lower the reserve"
            }
            Self::Failing => "the database does not take records; the log says why",
            Self::FilesMoved => {
                "the database was moved or removed while it was open, so that simdeck ends; the log \
                 says what to do"
            }
            Self::Stopping => "simdeck is stopping",
        }
    }

    /// What there is after a look at the disk.
    pub(super) fn after_look(before: Option<Self>, is_low: bool) -> Option<Self> {
        match (is_low, before) {
            (true, None | Some(Self::Failing)) => Some(Self::DiskReserve),
            (false, Some(Self::DiskReserve)) => None,
            _ => before,
        }
    }

    /// What there is after a commit.
    pub(super) fn after_commit(before: Option<Self>, is_failing: bool) -> Option<Self> {
        match (is_failing, before) {
            (true, None) => Some(Self::Failing),
            (false, Some(Self::Failing)) => None,
            _ => before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Trouble::{self, DiskReserve, Failing, FilesMoved, Stopping};

    #[test]
    fn a_disk_without_room_goes_before_a_failing_database_and_an_end_before_both() {
        for (before, is_low, after) in [
            (None, true, Some(DiskReserve)),
            (None, false, None),
            (Some(Failing), true, Some(DiskReserve)),
            (Some(Failing), false, Some(Failing)),
            (Some(DiskReserve), true, Some(DiskReserve)),
            (Some(DiskReserve), false, None),
            (Some(Stopping), true, Some(Stopping)),
            (Some(Stopping), false, Some(Stopping)),
            (Some(FilesMoved), true, Some(FilesMoved)),
            (Some(FilesMoved), false, Some(FilesMoved)),
        ] {
            assert_eq!(Trouble::after_look(before, is_low), after, "{before:?} {is_low}");
        }
        for (before, is_failing, after) in [
            (None, true, Some(Failing)),
            (None, false, None),
            (Some(Failing), true, Some(Failing)),
            (Some(Failing), false, None),
            (Some(DiskReserve), true, Some(DiskReserve)),
            (Some(DiskReserve), false, Some(DiskReserve)),
            (Some(Stopping), true, Some(Stopping)),
            (Some(Stopping), false, Some(Stopping)),
            (Some(FilesMoved), true, Some(FilesMoved)),
            (Some(FilesMoved), false, Some(FilesMoved)),
        ] {
            assert_eq!(Trouble::after_commit(before, is_failing), after, "{before:?} {is_failing}");
        }
    }
}
