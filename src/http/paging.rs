//! Walks through a list: pages with `Link` headers, and cursors.
//!
//! A page's links carry an opaque `at`: where the walk began, how many rows there were then, and
//! which row the page hangs on. So following them costs the same at any depth, and rows that
//! arrive meanwhile move nothing. A cursor carries only the row it hangs on.
use crate::{
    domain::{PageSize, Place, SimSpot, Walk},
    http::query_string::append,
};

/// The deepest row that a hand-written page number reaches: skipping costs time for each row.
pub(super) const SKIP_MAX: u64 = 100_000;

/// Which list a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// The store's epoch: a restore begins a new one.
    pub(super) epoch: u64,
    /// The digest of the filter.
    pub(super) filter: u64,
}

/// Why a token is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    /// It is none of ours.
    #[error("this is no token of ours")]
    Unreadable,
    /// It is, but it belongs to another question, or to the store before a restore.
    #[error("this token belongs to another list")]
    Foreign,
}

/// Where a walk by pages stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At<K> {
    /// The newest id when the walk began.
    pub(super) top: i64,
    /// How many rows there were then.
    pub(super) total: u64,
    /// The page, counted from 0.
    pub(super) page: u64,
    /// Rows on a page.
    pub(super) size: u32,
    /// Where that page begins.
    pub(super) place: Place<K>,
}

/// One page of a walk, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page<K> {
    /// See [`At::top`].
    pub(super) top: i64,
    /// See [`At::total`].
    pub(super) total: u64,
    /// See [`At::page`].
    pub(super) number: u64,
    /// Rows on a page.
    pub(super) size: PageSize,
    /// Where it begins.
    pub(super) place: Place<K>,
}

/// The ids of the newest and the oldest row on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edges<K> {
    /// The first row's.
    pub(super) newest: K,
    /// The last row's.
    pub(super) oldest: K,
}

/// What tells a row's place in the order of its list.
pub(super) trait Key: Copy + Send + Sync + 'static {
    /// How long it is in a token.
    const BYTES: usize;

    /// Adds it to a token.
    fn put(self, bytes: &mut Vec<u8>);
    /// Takes it from the front of a token.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
    /// The newest id that can matter to the rows after this one.
    fn top(self) -> i64;
}

impl Key for i64 {
    const BYTES: usize = 8;

    fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_be_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        take(bytes).map(Self::from_be_bytes)
    }

    fn top(self) -> i64 {
        self
    }
}

impl Key for SimSpot {
    const BYTES: usize = 16;

    fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.value.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let value = i64::from_be_bytes(take(bytes)?);
        take(bytes).map(|number| Self { value, number: i64::from_be_bytes(number) })
    }

    /// Which SIMs are new says nothing about their order.
    fn top(self) -> i64 {
        i64::MAX
    }
}

/// What a `Link` header needs beside the page.
#[derive(Clone, Debug)]
pub(super) struct Links<'a> {
    /// The list's address, without a query.
    pub(super) url: &'a str,
    /// The query that asks for the same rows in the same form.
    pub(super) same_rows: &'a str,
    /// What the tokens are bound to.
    pub(super) binding: Binding,
    /// The number of the first page.
    pub(super) first_page: u32,
}

const AT: u8 = 1;
const CURSOR: u8 = 2;
/// Form and binding.
const HEAD_BYTES: usize = 17;
/// What an [`At`] has between its head and its key.
const AT_MIDDLE_BYTES: usize = 29;
/// How long the keys of our lists are.
const KEYS_BYTES: [usize; 2] = [i64::BYTES, SimSpot::BYTES];

/// Every [`At`] as it stands in a URL. What matches and is none of ours is another list's.
pub(super) const AT_PATTERN: &str = "^01([0-9a-f]{106}|[0-9a-f]{122})$";
/// Every cursor as it stands in a URL; the empty one begins a walk.
pub(super) const CURSOR_PATTERN: &str = "^(02([0-9a-f]{48}|[0-9a-f]{64}))?$";

impl<K: Key> At<K> {
    /// As it stands in a URL.
    pub(super) fn encode(&self, binding: Binding) -> String {
        let mut bytes = begin(AT, binding);
        bytes.extend(self.top.to_be_bytes());
        bytes.extend(self.total.to_be_bytes());
        bytes.extend(self.page.to_be_bytes());
        bytes.extend(self.size.to_be_bytes());
        let (tag, number, key) = match self.place {
            Place::Newest => (0, 0, None),
            Place::OlderThan(key) => (1, 0, Some(key)),
            Place::NewerThan(key) => (2, 0, Some(key)),
            Place::Skip(rows) => (3, i64::from(rows), None),
            Place::Oldest => (4, 0, None),
        };
        bytes.push(tag);
        match key {
            Some(key) => key.put(&mut bytes),
            None => number.put(&mut bytes),
        }
        // All of a list's are equally long, so that they can be told from what is cut.
        bytes.resize(HEAD_BYTES + AT_MIDDLE_BYTES + K::BYTES, 0);
        hex::encode(bytes)
    }

    /// Reads what [`At::encode`] wrote for the same list.
    pub(super) fn decode(text: &str, binding: Binding) -> Result<Self, TokenError> {
        let bytes = hex::decode(text).map_err(|_| TokenError::Unreadable)?;
        let length = HEAD_BYTES + AT_MIDDLE_BYTES + K::BYTES;
        let mut rest = open(&bytes, AT, length, binding)?;
        let at = (|| {
            let rest = &mut rest;
            let (top, total) = (i64::from_be_bytes(take(rest)?), u64::from_be_bytes(take(rest)?));
            let (page, size) = (u64::from_be_bytes(take(rest)?), u32::from_be_bytes(take(rest)?));
            let [tag] = take(rest)?;
            let place = match tag {
                1 => Place::OlderThan(K::take(rest)?),
                2 => Place::NewerThan(K::take(rest)?),
                _ => match (tag, i64::take(rest)?) {
                    (0, _) => Place::Newest,
                    (3, rows) => Place::Skip(u32::try_from(rows).ok()?),
                    (4, _) => Place::Oldest,
                    _ => return None,
                },
            };
            Some(Self { top, total, page, size, place })
        })();
        at.ok_or(TokenError::Unreadable)
    }
}

/// A cursor that stands right after the row `oldest`.
pub(super) fn encode_cursor<K: Key>(oldest: K, binding: Binding) -> String {
    let mut bytes = begin(CURSOR, binding);
    oldest.put(&mut bytes);
    hex::encode(bytes)
}

/// The row that a cursor of the same list stands after.
pub(super) fn decode_cursor<K: Key>(text: &str, binding: Binding) -> Result<K, TokenError> {
    let bytes = hex::decode(text).map_err(|_| TokenError::Unreadable)?;
    let mut rest = open(&bytes, CURSOR, HEAD_BYTES + K::BYTES, binding)?;
    K::take(&mut rest).ok_or(TokenError::Unreadable)
}

fn begin(form: u8, binding: Binding) -> Vec<u8> {
    let mut bytes = vec![form];
    bytes.extend(binding.epoch.to_be_bytes());
    bytes.extend(binding.filter.to_be_bytes());
    bytes
}

/// What stands behind a token's head. One that has the right form is another list's; only what has
/// not is unreadable.
fn open(bytes: &[u8], form: u8, length: usize, ours: Binding) -> Result<&[u8], TokenError> {
    let mut rest = bytes;
    let binding = (|| {
        let [of] = take(&mut rest)?;
        let epoch = u64::from_be_bytes(take(&mut rest)?);
        let filter = u64::from_be_bytes(take(&mut rest)?);
        (of == form).then_some(Binding { epoch, filter })
    })();
    let middle = if form == AT { AT_MIDDLE_BYTES } else { 0 };
    let is_long_enough = KEYS_BYTES.iter().any(|key| bytes.len() == HEAD_BYTES + middle + key);
    match binding.filter(|_| is_long_enough) {
        None => Err(TokenError::Unreadable),
        Some(other) if other != ours || bytes.len() != length => Err(TokenError::Foreign),
        Some(_) => Ok(rest),
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*first)
}

impl<K: Key> Page<K> {
    /// The page that a walk asks the store for.
    pub(super) fn walk(&self) -> Walk<K> {
        // The last page is cut where the pages before it end, so that no row stands on two.
        let left = self.total.saturating_sub(self.number.saturating_mul(self.rows()));
        let rows = u32::try_from(left).unwrap_or(u32::MAX).min(self.size.rows());
        let size = match self.place {
            Place::Oldest => PageSize::within(rows, PageSize::MAX).unwrap_or(self.size),
            _ => self.size,
        };
        Walk { top: self.top, place: self.place, size }
    }

    /// The `Link` header's value: first, prev, next and last, the two in the middle where they are.
    pub(super) fn links(&self, edges: Option<Edges<K>>, links: &Links<'_>) -> String {
        let last = self.total.saturating_sub(1) / self.rows();
        let mut value = self.link("first", 0, Place::Newest, links);
        let mut add = |link: String| {
            value.push_str(", ");
            value.push_str(&link);
        };
        if self.number > last {
            // Beyond the end: the way back is the last page.
            add(self.link("prev", last, last_place(last), links));
        } else if let Some(edges) = edges {
            if self.number > 0 {
                let place = match self.number {
                    1 => Place::Newest,
                    _ => Place::NewerThan(edges.newest),
                };
                add(self.link("prev", self.number - 1, place, links));
            }
            if self.number < last {
                let place = Place::OlderThan(edges.oldest);
                add(self.link("next", self.number + 1, place, links));
            }
        }
        add(self.link("last", last, last_place(last), links));
        value
    }

    fn link(&self, rel: &str, page: u64, place: Place<K>, links: &Links<'_>) -> String {
        let size = self.size.rows();
        let at = At { top: self.top, total: self.total, page, size, place };
        let mut query = links.same_rows.to_owned();
        append(&mut query, "page", &page.saturating_add(u64::from(links.first_page)).to_string());
        append(&mut query, "size", &size.to_string());
        append(&mut query, "at", &at.encode(links.binding));
        format!("<{}?{query}>; rel=\"{rel}\"", links.url)
    }

    fn rows(&self) -> u64 {
        u64::from(self.size.rows())
    }
}

fn last_place<K>(last: u64) -> Place<K> {
    if last == 0 { Place::Newest } else { Place::Oldest }
}

/// The `Link` header's value for the page after this one of a walk by cursor.
pub(super) fn cursor_link<K: Key>(oldest: K, size: PageSize, links: &Links<'_>) -> String {
    let mut query = links.same_rows.to_owned();
    append(&mut query, "size", &size.rows().to_string());
    append(&mut query, "cursor", &encode_cursor(oldest, links.binding));
    format!("<{}?{query}>; rel=\"next\"", links.url)
}

#[cfg(test)]
#[path = "paging_tests.rs"]
mod tests;
