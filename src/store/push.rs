//! How the table `push` holds the address of a source, and how lists read whence a record came.
use std::net::IpAddr;

use crate::domain::PushOrigin;

/// An address as 4 or 16 bytes.
pub(super) fn source_octets(source: IpAddr) -> Vec<u8> {
    match source.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The address that these bytes are; none where it is not known.
pub(super) fn source_of(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// The push of a row of this table, as a column that [`origin`] reads: the push's id, a space, the
/// octets in hex.
macro_rules! push_column {
    ($table:literal) => {
        concat!(
            "(select p.id || ' ' || hex(p.source) from push as p where p.date_push_s = ",
            $table,
            ".date_push_s and p.id <= ",
            $table,
            ".id order by p.id desc limit 1) as push"
        )
    };
}
pub(super) use push_column;

/// Reads such a column.
pub(super) fn origin(text: Option<&str>) -> Option<PushOrigin> {
    let (id, octets) = text?.split_once(' ')?;
    let source = source_of(&hex::decode(octets).ok()?);
    Some(PushOrigin { id: id.parse().ok()?, source })
}
