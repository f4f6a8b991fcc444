//! Walks through a list: pages with `Link` headers, and cursors.
//!
//! A page's links carry an opaque `at`: where the walk began, how many rows there were then, and
//! which row the page hangs on. So following them costs the same at any depth, and rows that
//! arrive meanwhile move nothing. A cursor carries only the row it hangs on.
use crate::{
    domain::{PageSize, Place, Walk},
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
pub(super) struct At {
    /// The newest id when the walk began.
    pub(super) top: i64,
    /// How many rows there were then.
    pub(super) total: u64,
    /// The page, counted from 0.
    pub(super) page: u64,
    /// Rows on a page.
    pub(super) size: u32,
    /// Where that page begins.
    pub(super) place: Place,
}

/// One page of a walk, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// See [`At::top`].
    pub(super) top: i64,
    /// See [`At::total`].
    pub(super) total: u64,
    /// See [`At::page`].
    pub(super) number: u64,
    /// Rows on a page.
    pub(super) size: PageSize,
    /// Where it begins.
    pub(super) place: Place,
}

/// The ids of the newest and the oldest row on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edges {
    /// The first row's.
    pub(super) newest: i64,
    /// The last row's.
    pub(super) oldest: i64,
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
const AT_BYTES: usize = 54;
const CURSOR_BYTES: usize = 25;

/// Every [`At`] as it stands in a URL. What matches and is none of ours is another list's.
pub(super) const AT_PATTERN: &str = "^01[0-9a-f]{106}$";
/// Every cursor as it stands in a URL; the empty one begins a walk.
pub(super) const CURSOR_PATTERN: &str = "^(02[0-9a-f]{48})?$";

impl At {
    /// As it stands in a URL.
    pub(super) fn encode(&self, binding: Binding) -> String {
        let (tag, id) = match self.place {
            Place::Newest => (0, 0),
            Place::OlderThan(id) => (1, id),
            Place::NewerThan(id) => (2, id),
            Place::Skip(rows) => (3, i64::from(rows)),
            Place::Oldest => (4, 0),
        };
        let mut bytes = begin(AT, binding);
        bytes.extend(self.top.to_be_bytes());
        bytes.extend(self.total.to_be_bytes());
        bytes.extend(self.page.to_be_bytes());
        bytes.extend(self.size.to_be_bytes());
        bytes.push(tag);
        bytes.extend(id.to_be_bytes());
        hex::encode(bytes)
    }

    /// Reads what [`At::encode`] wrote for the same list.
    pub(super) fn decode(text: &str, binding: Binding) -> Result<Self, TokenError> {
        let bytes = hex::decode(text).map_err(|_| TokenError::Unreadable)?;
        let mut rest = open(&bytes, AT, AT_BYTES, binding)?;
        let at = (|| {
            let (top, total) =
                (i64::from_be_bytes(take(&mut rest)?), u64::from_be_bytes(take(&mut rest)?));
            let (page, size) =
                (u64::from_be_bytes(take(&mut rest)?), u32::from_be_bytes(take(&mut rest)?));
            let [tag] = take(&mut rest)?;
            let id = i64::from_be_bytes(take(&mut rest)?);
            let place = match tag {
                0 => Place::Newest,
                1 => Place::OlderThan(id),
                2 => Place::NewerThan(id),
                3 => Place::Skip(u32::try_from(id).ok()?),
                4 => Place::Oldest,
                _ => return None,
            };
            Some(Self { top, total, page, size, place })
        })();
        at.ok_or(TokenError::Unreadable)
    }
}

/// A cursor that stands right after the row `oldest`.
pub(super) fn encode_cursor(oldest: i64, binding: Binding) -> String {
    let mut bytes = begin(CURSOR, binding);
    bytes.extend(oldest.to_be_bytes());
    hex::encode(bytes)
}

/// The row that a cursor of the same list stands after.
pub(super) fn decode_cursor(text: &str, binding: Binding) -> Result<i64, TokenError> {
    let bytes = hex::decode(text).map_err(|_| TokenError::Unreadable)?;
    let mut rest = open(&bytes, CURSOR, CURSOR_BYTES, binding)?;
    take(&mut rest).map(i64::from_be_bytes).ok_or(TokenError::Unreadable)
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
        (of == form && bytes.len() == length).then_some(Binding { epoch, filter })
    })();
    match binding {
        None => Err(TokenError::Unreadable),
        Some(other) if other != ours => Err(TokenError::Foreign),
        Some(_) => Ok(rest),
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*first)
}

impl Page {
    /// The page that a walk asks the store for.
    pub(super) fn walk(&self) -> Walk {
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
    pub(super) fn links(&self, edges: Option<Edges>, links: &Links<'_>) -> String {
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

    fn link(&self, rel: &str, page: u64, place: Place, links: &Links<'_>) -> String {
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

fn last_place(last: u64) -> Place {
    if last == 0 { Place::Newest } else { Place::Oldest }
}

/// The `Link` header's value for the page after this one of a walk by cursor.
pub(super) fn cursor_link(oldest: i64, size: PageSize, links: &Links<'_>) -> String {
    let mut query = links.same_rows.to_owned();
    append(&mut query, "size", &size.rows().to_string());
    append(&mut query, "cursor", &encode_cursor(oldest, links.binding));
    format!("<{}?{query}>; rel=\"next\"", links.url)
}

#[cfg(test)]
#[path = "paging_tests.rs"]
mod tests;
