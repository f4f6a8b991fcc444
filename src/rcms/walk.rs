//! Walks through lists of which RCMS documents neither a total nor its largest page.
//!
//! A page that is shorter than asked is a page size learned and no end: the end is an empty page, or
//! one with nothing new.
use std::collections::HashSet;

use super::{
    answer::{DevicePage, StatusPage},
    request::Page,
};
use crate::domain::{ListedDevice, SerialNumber, StatusSample};

/// The page sizes to try in turn where RCMS refuses a larger one.
const SMALLER_SIZES: [u32; 3] = [50, 20, 10];

/// Items on a page, where nothing else is set. RCMS's largest page is not known.
pub const PAGE_SIZE: u32 = 100;

/// The next size to try where RCMS refuses pages of this one.
pub fn smaller_page(size: u32) -> Option<u32> {
    SMALLER_SIZES.into_iter().find(|smaller| *smaller < size)
}

/// A walk through the pages of the device list. They may overlap and repeat, since devices come and
/// go meanwhile: each device counts once.
#[derive(Debug)]
pub struct ListWalk {
    page: Page,
    expected: Option<usize>,
    /// What `deviceTotal` and the list's own answers counted first, and whether either counted otherwise
    /// since.
    counted_first: [Option<usize>; 2],
    is_count_steady: bool,
    seen: HashSet<SerialNumber>,
    /// The first page had as many items as were asked for.
    is_first_full: bool,
    /// Pages in a row that had items and nothing new.
    barren: u32,
    /// Pages in a row that were passed over.
    skipped: u32,
    has_gap: bool,
    /// Items without a serial number, and devices whose online flag says nothing.
    unread: (usize, usize),
    /// Once all that RCMS counts is there, no page is asked for any more.
    ends_by_count: bool,
    end: Option<End>,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Behind the last device.
    Whole,
    /// Before what RCMS counts, with a page missing, or where pages may not be told apart.
    Short,
    /// At the page cap.
    Cap,
}

impl ListWalk {
    /// Pages that one walk asks for at most.
    pub const PAGES_MAX: u32 = 1_000;
    /// So many pages in a row without an answer end a walk.
    const SKIPPED_MAX: u32 = 2;

    /// A walk from the first page, with so many items asked for on each. `expected` is what
    /// `deviceTotal` says, where it says something.
    pub fn new(expected: Option<i64>, page_size: u32) -> Self {
        let page = Page { number: 1, size: page_size };
        let mut walk = Self {
            page,
            expected: None,
            counted_first: [None; 2],
            is_count_steady: true,
            seen: HashSet::new(),
            is_first_full: false,
            barren: 0,
            skipped: 0,
            has_gap: false,
            unread: (0, 0),
            ends_by_count: false,
            end: None,
        };
        walk.expect(expected);
        walk
    }

    /// Takes in how many devices `deviceTotal` counts by now.
    pub fn expect(&mut self, count: Option<i64>) {
        let count = count.and_then(|count| usize::try_from(count).ok());
        self.expected = count.or(self.expected);
        self.note_count(0, count);
    }

    /// A device that goes while the list is read moves all behind it up by one, and one of them is on no
    /// page that is read then.
    fn note_count(&mut self, source: usize, count: Option<usize>) {
        let Some(count) = count else { return };
        let first = *self.counted_first[source].get_or_insert(count);
        self.is_count_steady &= first == count;
    }

    /// The page to ask for; none at the end.
    pub fn next(&self) -> Option<Page> {
        self.end.is_none().then_some(self.page)
    }

    /// Takes a page in; gives the devices that no page had before.
    pub fn take(&mut self, page: DevicePage) -> Vec<ListedDevice> {
        self.skipped = 0;
        self.expected = page.total.or(self.expected);
        self.note_count(1, page.total);
        let unreadable = page.items.saturating_sub(page.devices.len());
        let has_unreadable = unreadable > 0;
        let mut devices = page.devices;
        devices.retain(|device| self.seen.insert(device.sn.clone()));
        self.barren = if devices.is_empty() { self.barren + 1 } else { 0 };
        if self.page.number == 1 {
            self.is_first_full = page.items >= self.page.size as usize;
        }
        // A page of nothing but unreadable items may have readable ones behind it.
        let is_counted = self.ends_by_count && self.is_all_there();
        let is_over = is_counted
            || page.items == 0
            || (devices.is_empty() && !has_unreadable)
            || self.barren > 1;
        if is_over {
            self.end = Some(self.end_at(page.items));
        } else {
            self.unread.0 += unreadable;
            self.unread.1 += page.unknown_flags;
        }
        if is_over {
            // Nothing is asked for any more.
        } else if self.page.number >= Self::PAGES_MAX {
            self.end = Some(End::Cap);
        } else if self.page.number == 1 {
            // What the first page holds is what RCMS gives: by that size no device lies between two
            // pages, whichever size RCMS counts its pages by.
            let held = u32::try_from(page.items).unwrap_or(u32::MAX);
            self.page.size = self.page.size.min(held);
        }
        self.page.number += 1;
        devices
    }

    /// Passes over a page that has no answer: what is behind it can still be read. False once that
    /// has no prospect any more.
    pub fn skip(&mut self) -> bool {
        self.has_gap = true;
        self.skipped += 1;
        self.page.number += 1;
        self.skipped < Self::SKIPPED_MAX
    }

    /// Whether it has seen as many devices as RCMS counts; no, where RCMS does not count.
    pub fn is_all_there(&self) -> bool {
        self.expected.is_some_and(|expected| self.seen.len() >= expected)
    }

    /// Ends it behind the last page that was answered.
    pub fn end_here(&mut self) {
        self.end = Some(self.end_at(0));
    }

    /// Has it end once it is all there, for an RCMS that refuses the page behind its last.
    pub fn end_by_count(&mut self, ends_by_count: bool) {
        self.ends_by_count = ends_by_count;
    }

    fn end_at(&self, items: usize) -> End {
        let is_all_there = self.expected.is_none_or(|expected| self.seen.len() >= expected);
        // The first page again, as full as asked: RCMS may give that one whatever page is asked for.
        let may_be_stuck = items > 0 && self.page.number == 2 && self.is_first_full;
        let is_doubtful = may_be_stuck && self.expected.is_none();
        if is_all_there && !is_doubtful && !self.has_gap { End::Whole } else { End::Short }
    }

    /// How many devices RCMS counts and how many it listed, once there are no more pages.
    pub fn counted_and_listed(&self) -> Option<(usize, usize)> {
        let is_over = self.end.is_some_and(|end| end != End::Cap) && !self.has_gap;
        self.expected.filter(|_| is_over).map(|counted| (counted, self.seen.len()))
    }

    /// Whether a page of it had no answer.
    pub fn has_gap(&self) -> bool {
        self.has_gap
    }

    /// Whether the list was read to its end.
    pub fn is_whole(&self) -> bool {
        self.end == Some(End::Whole)
    }

    /// Whether the list was read to its end, and held exactly as many devices as RCMS counts and has
    /// counted all the while.
    pub fn is_confirmed(&self) -> bool {
        let is_exact = self.expected == Some(self.seen.len()) && self.is_count_steady;
        self.is_whole() && !self.seen.is_empty() && is_exact
    }

    /// How many items had no serial number that can be read, and how many devices an online flag that
    /// says neither yes nor no.
    pub fn unread(&self) -> (usize, usize) {
        self.unread
    }

    /// The devices that were on any page.
    pub fn seen(&self) -> &HashSet<SerialNumber> {
        &self.seen
    }
}

/// A walk through a device's samples of one span.
#[derive(Debug)]
pub struct SampleWalk {
    page: Page,
    seen: HashSet<Box<str>>,
    /// The most items on a page, of this walk and of those before.
    largest: usize,
    /// Items of pages that are asked for again, in smaller ones.
    again: usize,
    /// The first page had as many items as were asked for.
    is_first_full: bool,
    is_over: bool,
    is_cut: bool,
}

impl SampleWalk {
    /// Pages that one walk asks for at most.
    pub const PAGES_MAX: u32 = 1_000;

    /// A walk from the first page, with so many items asked for on each. A first page that is shorter
    /// than that and than the `largest` one of the same RCMS is the only one; any other may only be as
    /// large as RCMS makes them.
    pub fn new(page_size: u32, largest: usize) -> Self {
        Self {
            page: Page { number: 1, size: page_size },
            seen: HashSet::new(),
            largest,
            again: 0,
            is_first_full: false,
            is_over: false,
            is_cut: false,
        }
    }

    /// The page to ask for; none at the end.
    pub fn next(&self) -> Option<Page> {
        (!self.is_over).then_some(self.page)
    }

    /// Takes a page in; gives the samples that no page had before.
    pub fn take(&mut self, page: StatusPage) -> Vec<StatusSample> {
        let Page { number, size } = self.page;
        let (items, is_full) = (page.items, page.items >= size as usize);
        let mut samples = page.samples;
        samples.retain(|sample| self.seen.insert(sample.whole.clone()));
        let is_again = number as usize * size as usize <= self.again;
        let is_last = items == 0 || (number == 1 && !is_full && items < self.largest);
        let is_repeated = samples.is_empty() && !is_again;
        // The first page again, as full as asked: RCMS may give that one whatever page is asked for.
        let is_stuck = number == 2 && items > 0 && is_repeated && self.is_first_full;
        self.is_over = is_last || is_repeated || number >= Self::PAGES_MAX;
        self.is_cut = is_stuck || (number >= Self::PAGES_MAX && !is_last && !is_repeated);
        self.largest = self.largest.max(items);
        if number == 1 {
            self.is_first_full = is_full;
            self.page.size = size.min(u32::try_from(items).unwrap_or(size)).max(1);
        }
        self.page.number += 1;
        samples
    }

    /// Asks for pages of half the size, since a page is too large; gives that size. What was read is
    /// read again where a new page does not begin behind it.
    pub fn halve(&mut self) -> Option<u32> {
        let Page { number, size } = self.page;
        let half = size / 2;
        if half == 0 {
            return None;
        }
        self.again = self.again.max((number as usize - 1) * size as usize);
        self.page = Page { number: 1, size: half };
        self.is_first_full = false;
        Some(half)
    }

    /// Whether all samples of the span were read.
    pub fn is_whole(&self) -> bool {
        self.is_over && !self.is_cut
    }

    /// The most items that a page has had.
    pub fn largest(&self) -> usize {
        self.largest
    }
}
