//! Whose request it is.
//!
//! Anyone may write an `X-Forwarded-For` header; only what a proxy of ours added to it is true.
//! So the list is read from its right end, and only as far as those who wrote it are trusted.
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

pub use crate::domain::SourceBlock;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// IPv4-mapped IPv6 networks (`::ffff:10.0.0.0/104`) have prefixes of at least this length.
const MAPPED_PREFIX: u8 = 96;

/// The address of the client that sent a request which `peer` handed to us.
///
/// That is `peer`, unless it is trusted: then `X-Forwarded-For` is walked from right to left, past
/// trusted addresses, to the first that is not. A piece that is no address ends the walk at the
/// last address before it, because what stands further left was written by nobody we know.
/// IPv4-mapped IPv6 addresses come out as IPv4.
pub fn client_ip(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    // Several headers are one list, in the order in which they came.
    let mut entries = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .rev()
        .flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty());
    while is_within(client, trusted) {
        match entries.next().map(forwarded_address) {
            Some(Some(address)) => client = address,
            Some(None) | None => break,
        }
    }
    client
}

/// Whether `peer` names the client and is not believed.
pub fn is_unheard(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    headers.contains_key(FORWARDED_FOR) && !is_within(peer, trusted)
}

/// One piece of the list: an address, perhaps in brackets, perhaps with a port.
fn forwarded_address(entry: &[u8]) -> Option<IpAddr> {
    let entry = str::from_utf8(entry).ok()?;
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    entry
        .parse::<IpAddr>()
        .ok()
        .or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| bracketed().map(IpAddr::V6))
        .map(|address| address.to_canonical())
}

/// Whether one of `networks` holds `address`; IPv4 and IPv4-mapped IPv6 are the same on both sides.
pub fn is_within(address: IpAddr, networks: &[IpNet]) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| match (network, address) {
        (IpNet::V6(mapped), IpAddr::V4(address)) if mapped.prefix_len() >= MAPPED_PREFIX => {
            mapped.contains(&address.to_ipv6_mapped())
        }
        (network, address) => network.contains(&address),
    })
}
