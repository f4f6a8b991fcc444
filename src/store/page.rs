//! What of a page of a database file is rows, and what is left over: the gap in front of the rows, free
//! blocks and fragments between them. SQLite reads none of that, so that it may be overwritten at any
//! time; a page whose parts do not add up to its size is not understood, and stays as it is. After
//! <https://www.sqlite.org/fileformat2.html>. Held by `tests` beside this, on random databases.
use std::{iter, ops::Range};

/// The header of the database file, in its first page.
const FILE_HEADER: usize = 100;
/// SQLite gives a cell as many bytes at least, so that a free block fits in its place.
const CELL_MIN: usize = 4;
/// In front of the bytes of a free block: where the next one is, and how long this one is.
const FREE_BLOCK_HEADER: usize = 4;
/// In front of the bytes of an overflow page: the number of the next one.
pub(super) const NEXT_PAGE: usize = 4;

/// What the header of a database says of all its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) page_size: usize,
    /// Bytes of a page that SQLite uses.
    pub(super) usable: usize,
    pub(super) first_trunk: u32,
    pub(super) free_pages: u32,
    /// Pages that tell where others belong: ours has none.
    pub(super) has_pointer_maps: bool,
}

impl Header {
    pub(super) fn read(first_page: &[u8]) -> Option<Self> {
        let page_size = page_size(first_page)?;
        let reserved = usize::from(*first_page.get(20)?);
        Some(Self {
            page_size,
            usable: page_size.checked_sub(reserved)?,
            first_trunk: number_at(first_page, 32)?,
            free_pages: number_at(first_page, 36)?,
            has_pointer_maps: number_at(first_page, 52)? != 0,
        })
    }
}

/// How large the pages of a database are, by its first bytes.
pub(super) fn page_size(first_bytes: &[u8]) -> Option<usize> {
    match short_at(first_bytes, 16)? {
        1 => Some(65_536),
        size => Some(size).filter(|size| *size >= 512 && size.is_power_of_two()),
    }
}

/// A page that has rows or leads to them.
#[derive(Debug)]
pub(super) struct TreePage {
    /// What SQLite never reads, in the order of its place.
    pub(super) slack: Vec<Range<usize>>,
    /// Of each cell, in the order of the page's list: where the rest of its row is, if it has any.
    pub(super) overflows: Vec<Option<Overflow>>,
}

/// The rest of a row that does not fit on its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow {
    pub(super) first_page: u32,
    pub(super) bytes: u64,
}

impl TreePage {
    /// None where it is no such page, or one that is not understood.
    pub(super) fn read(page: &[u8], number: u32, usable: usize) -> Option<Self> {
        let at = if number == 1 { FILE_HEADER } else { 0 };
        let kind = *page.get(at)?;
        let list = at + if matches!(kind, 2 | 5) { 12 } else { 8 };
        let count = short_at(page, at + 3)?;
        let content = Some(short_at(page, at + 5)?).filter(|at| *at > 0).unwrap_or(65_536);
        let list_end = list + 2 * count;
        if !matches!(kind, 2 | 5 | 10 | 13) || list_end > content || content > usable {
            return None;
        }
        let (mut taken, mut overflows) = (Vec::new(), Vec::new());
        for nth in 0..count {
            let cell_at = short_at(page, list + 2 * nth)?;
            let (length, overflow) = cell(page.get(cell_at..usable)?, kind, usable)?;
            taken.push((cell_at..cell_at + length.max(CELL_MIN), false));
            overflows.push(overflow);
        }
        let mut free_at = short_at(page, at + 1)?;
        while free_at != 0 {
            let (next, length) = (short_at(page, free_at)?, short_at(page, free_at + 2)?);
            taken.push((free_at..free_at + length, true));
            // In the order of their places: so the list has an end.
            if length < FREE_BLOCK_HEADER || (next != 0 && next < free_at + length) {
                return None;
            }
            free_at = next;
        }
        taken.sort_by_key(|(range, _)| range.start);
        let (mut slack, mut fragments, mut end) =
            (iter::once(list_end..content).collect::<Vec<_>>(), 0, content);
        for (range, is_free) in taken {
            if range.start < end || range.end > usable {
                return None;
            }
            fragments += range.start - end;
            slack.push(end..range.start);
            if is_free {
                slack.push(range.start + FREE_BLOCK_HEADER..range.end);
            }
            end = range.end;
        }
        slack.push(end..usable);
        fragments += usable - end;
        slack.retain(|range| !range.is_empty());
        (fragments == usize::from(*page.get(at + 7)?)).then_some(Self { slack, overflows })
    }
}

/// How long a cell is, and where the rest of its row is.
fn cell(cell: &[u8], kind: u8, usable: usize) -> Option<(usize, Option<Overflow>)> {
    let child = if matches!(kind, 2 | 5) { 4 } else { 0 };
    let (payload, mut length) = varint(cell.get(child..)?)?;
    length += child;
    if kind == 5 {
        return Some((length, None));
    }
    if kind == 13 {
        length += varint(cell.get(length..)?)?.1;
    }
    let (least, most) = match kind {
        13 => ((usable - 12) * 32 / 255 - 23, usable - 35),
        _ => ((usable - 12) * 32 / 255 - 23, (usable - 12) * 64 / 255 - 23),
    };
    let here = match usize::try_from(payload).ok()? {
        all if all <= most => all,
        more => match least + (more - least) % (usable - NEXT_PAGE) {
            some if some <= most => some,
            _ => least,
        },
    };
    length += here;
    let bytes = payload - here as u64;
    if bytes == 0 {
        return Some((length, None));
    }
    let first_page = number_at(cell, length)?;
    Some((length + NEXT_PAGE, Some(Overflow { first_page, bytes })))
}

/// A number of one to nine bytes, and how many.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for nth in 0..8 {
        let byte = *bytes.get(nth)?;
        value = value << 7 | u64::from(byte & 0x7F);
        if byte < 0x80 {
            return Some((value, nth + 1));
        }
    }
    Some((value << 8 | u64::from(*bytes.get(8)?), 9))
}

fn short_at(bytes: &[u8], at: usize) -> Option<usize> {
    let two = bytes.get(at..at + 2)?;
    Some(usize::from(u16::from_be_bytes(two.try_into().ok()?)))
}

pub(super) fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
