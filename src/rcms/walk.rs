//! Walks through lists of which RCMS documents no total.
//!
//! They end at a short page, at a page with nothing new, and at a page cap.
use std::collections::HashSet;

use super::{
    answer::{DevicePage, StatusPage},
    request::Page,
};
use crate::domain::{ListedDevice, SerialNumber, StatusSample};

/// A walk through the pages of the device list. They may overlap and repeat, since devices come and
/// go meanwhile: each device counts once.
#[derive(Debug)]
pub struct ListWalk {
    page: Page,
    expected: Option<usize>,
    seen: HashSet<SerialNumber>,
    end: Option<End>,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Behind the last device.
    Whole,
    /// Before what `deviceTotal` promises, or at the cap.
    Short,
}

impl ListWalk {
    /// Devices on a page. RCMS's largest page is not known.
    pub const PAGE_SIZE: u32 = 100;
    /// Pages that one walk asks for at most.
    pub const PAGES_MAX: u32 = 1_000;

    /// A walk from the first page. `expected` is what `deviceTotal` says, where it says something: a
    /// page that is short although more should come may only be RCMS's own cap on `pageSize`.
    pub fn new(expected: Option<i64>) -> Self {
        let expected = expected.and_then(|count| usize::try_from(count).ok());
        let page = Page { number: 1, size: Self::PAGE_SIZE };
        Self { page, expected, seen: HashSet::new(), end: None }
    }

    /// The page to ask for; none at the end.
    pub fn next(&self) -> Option<Page> {
        self.end.is_none().then_some(self.page)
    }

    /// Takes a page in; gives the devices that no page had before.
    pub fn take(&mut self, page: DevicePage) -> Vec<ListedDevice> {
        let is_full = page.items >= Self::PAGE_SIZE as usize;
        let mut devices = page.devices;
        devices.retain(|device| self.seen.insert(device.sn.clone()));
        let is_all_there = self.expected.is_none_or(|expected| self.seen.len() >= expected);
        self.end = if devices.is_empty() || (!is_full && is_all_there) {
            Some(if is_all_there { End::Whole } else { End::Short })
        } else if self.page.number >= Self::PAGES_MAX {
            Some(End::Short)
        } else {
            None
        };
        self.page.number += 1;
        devices
    }

    /// How many devices RCMS counts and how many it listed, once there are no more pages.
    pub fn counted_and_listed(&self) -> Option<(usize, usize)> {
        let is_over = self.end.is_some() && self.page.number <= Self::PAGES_MAX;
        self.expected.filter(|_| is_over).map(|counted| (counted, self.seen.len()))
    }

    /// Whether the list was read to its end, so that who was not in it is gone.
    pub fn is_whole(&self) -> bool {
        self.end == Some(End::Whole)
    }
}

/// A walk through a device's samples of one span.
#[derive(Debug)]
pub struct SampleWalk {
    page: Page,
    seen: HashSet<Box<str>>,
    is_over: bool,
}

impl SampleWalk {
    /// Samples on a page. RCMS's largest page is not known.
    pub const PAGE_SIZE: u32 = 100;
    /// Pages that one walk asks for at most: more than any span that is worth asking for has.
    pub const PAGES_MAX: u32 = 1_000;

    /// A walk from the first page.
    pub fn new() -> Self {
        let page = Page { number: 1, size: Self::PAGE_SIZE };
        Self { page, seen: HashSet::new(), is_over: false }
    }

    /// The page to ask for; none at the end.
    pub fn next(&self) -> Option<Page> {
        (!self.is_over).then_some(self.page)
    }

    /// Takes a page in; gives the samples that no page had before.
    pub fn take(&mut self, page: StatusPage) -> Vec<StatusSample> {
        let is_full = page.items >= Self::PAGE_SIZE as usize;
        let mut samples = page.samples;
        samples.retain(|sample| self.seen.insert(sample.whole.clone()));
        self.is_over = !is_full || samples.is_empty() || self.page.number >= Self::PAGES_MAX;
        self.page.number += 1;
        samples
    }
}

impl Default for SampleWalk {
    fn default() -> Self {
        Self::new()
    }
}
