use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What counts as one source: an IPv4 address, or the /64 of an IPv6 address, since whoever has
/// one address of a /64 has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceBlock {
    /// One IPv4 address.
    V4([u8; 4]),
    /// The first 64 bits of IPv6 addresses.
    V6([u8; 8]),
}

impl SourceBlock {
    /// The address that stands for it: the first of a /64.
    pub fn first(self) -> IpAddr {
        match self {
            Self::V4(octets) => IpAddr::from(octets),
            // Of this one there is one address only.
            Self::V6([0, 0, 0, 0, 0, 0, 0, 0]) => Ipv6Addr::LOCALHOST.into(),
            Self::V6([a, b, c, d, e, f, g, h]) => {
                IpAddr::from([a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0])
            }
        }
    }
}

impl From<IpAddr> for SourceBlock {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl fmt::Display for SourceBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(octets) => write!(f, "{}", Ipv4Addr::from(octets)),
            Self::V6([a, b, c, d, e, f6, g, h]) => {
                let first = Ipv6Addr::from([a, b, c, d, e, f6, g, h, 0, 0, 0, 0, 0, 0, 0, 0]);
                write!(f, "{first}/64")
            }
        }
    }
}
