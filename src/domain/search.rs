use super::{Giccid, SerialNumber, ShortText};

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub of: HitOf,
    /// What people or RCMS call it.
    pub name: ShortText,
    /// What the text was found in.
    pub matched: Matched,
    /// Whether the text is all of that.
    pub is_whole: bool,
}

/// What can be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HitOf {
    /// A SIM.
    Sim(Giccid),
    /// A router.
    Device(SerialNumber),
    /// A number that messages came from or went to.
    Msisdn {
        /// The number.
        msisdn: ShortText,
        /// The SIM that sent the newest of these messages.
        giccid: Giccid,
    },
}

/// What a text can be found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// The number of a SIM.
    Giccid,
    /// A subscriber of a SIM.
    Imsi,
    /// The sender of messages.
    FromMsisdn,
    /// Their recipient.
    ToMsisdn,
    /// The serial number of a router.
    Sn,
    /// A name.
    Name,
}

impl Matched {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Giccid => "giccid",
            Self::Imsi => "imsi",
            Self::FromMsisdn => "from_msisdn",
            Self::ToMsisdn => "to_msisdn",
            Self::Sn => "sn",
            Self::Name => "name",
        }
    }
}
