use super::HeldReason;

impl HeldReason {
    /// What is wrong with a push: it is held for …
    pub fn fault(self) -> &'static str {
        match self {
            Self::SignatureMissing => "a missing `signature`",
            Self::SignatureUnreadable => "a `signature` that is not 64 hex digits",
            Self::SignatureWrong => "a signature that no key of this server makes",
            Self::DateMissing => "a missing `datePush`",
            Self::DateUnreadable => "a `datePush` that cannot be read",
            Self::NotJson => "a body that is not JSON of the right shape",
            Self::DateOld => {
                "a `datePush` that is too old: late, or sent again by somebody who captured it"
            }
            Self::DateRetracted => "a `datePush` that was retracted",
            Self::DateAhead => "a `datePush` that is ahead of this server's clock",
            Self::FieldMissing => "a required field that is missing",
            Self::FieldInvalid => "a field that cannot be read",
            Self::RepeatedKey => "a key that stands twice in one object",
            Self::Unreadable => "text or numbers that cannot be kept exactly",
            Self::StoreRefused => {
                "something that the store would not take: older than what is kept, or a volume for \
                 which the sum of all volumes has no room left (take out what is far too large with \
                 `simdeck retract`, then retry)"
            }
        }
    }

    /// What to do about refused pushes.
    pub fn advice(self) -> &'static str {
        match self {
            Self::SignatureWrong => {
                "If SmartHub sent them, set the key that is registered there, and retry them."
            }
            Self::DateOld | Self::DateAhead => {
                "If SmartHub sent them, set this server's clock right, and retry them."
            }
            _ => {
                "Look at one of them: if SmartHub sent it, its form is new to this version, so \
                 please report it, and retry them after an update; if not, somebody else found the \
                 address."
            }
        }
    }
}
