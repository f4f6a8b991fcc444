//! Lists that a command reads to their end, in smaller pages where RCMS refuses the size that is set.
use std::time::Duration;

use crate::{
    cli::output,
    domain::{Clock, ListedDevice, SerialNumber, StatusSample, SystemClock, Timestamp},
    rcms::{Client, ListWalk, RcmsError, SampleWalk, StatusPage, smaller_page},
};

/// What was read of the device list.
pub(super) struct Listed {
    pub(super) devices: Vec<ListedDevice>,
    /// How it was read.
    pub(super) walk: ListWalk,
    /// Items on the first page, and how many were asked for there.
    pub(super) first_page: (usize, u32),
}

/// What was read of a device's samples.
pub(super) struct Sampled {
    pub(super) samples: Vec<StatusSample>,
    pub(super) walk: SampleWalk,
    /// There was no list at all, not even an empty one.
    pub(super) is_absent: bool,
    pub(super) begin: Timestamp,
}

/// What `rcms status` asks for.
pub(super) struct Asked<'a> {
    pub(super) sn: &'a SerialNumber,
    pub(super) since: Duration,
    pub(super) page_size: u32,
}

/// Walks the whole list, to an empty page or one with nothing new. `expected` is what RCMS counts.
pub(super) async fn devices(
    client: &Client,
    page_size: u32,
    expected: Option<i64>,
) -> Result<Listed, RcmsError> {
    let (mut walk, mut devices) = (ListWalk::new(expected, page_size), Vec::new());
    let mut first_page = (0, page_size);
    let progress = output::counting("devices");
    while let Some(page) = walk.next() {
        let answer = match client.devices(page).await {
            Ok(answer) => answer,
            Err(error) if page.number == 1 => match next_size(&error, page.size) {
                Some(size) => {
                    walk = ListWalk::new(expected, size);
                    continue;
                }
                None => return Err(error),
            },
            // Some have no answer for the page behind the last, be it an empty one.
            Err(_) if walk.is_all_there() => {
                walk.end_here();
                break;
            }
            Err(error) => return Err(error),
        };
        if page.number == 1 {
            first_page = (answer.items, page.size);
        }
        let new = walk.take(answer);
        progress.inc(new.len() as u64);
        devices.extend(new);
    }
    progress.finish_and_clear();
    Ok(Listed { devices, walk, first_page })
}

/// Reads what a device told about itself. Pages that are too large are halved.
pub(super) async fn samples(client: &Client, asked: &Asked<'_>) -> Result<Sampled, RcmsError> {
    let Asked { sn, since, page_size } = asked;
    let end = client.time_there().unwrap_or_else(|| SystemClock.now());
    let begin = end.minus(*since);
    let (mut walk, mut samples) = (SampleWalk::new(*page_size, 0), Vec::new());
    let mut is_absent = false;
    while let Some(page) = walk.next() {
        match client.status_data(sn, page, begin, end).await {
            Ok(answer @ StatusPage { is_absent: said_nothing, .. }) => {
                is_absent |= page.number == 1 && said_nothing;
                samples.extend(walk.take(answer));
            }
            Err(error @ RcmsError::TooLarge(_)) => {
                walk.halve().ok_or(error)?;
            }
            Err(error) if page.number == 1 => match next_size(&error, page.size) {
                Some(size) => walk = SampleWalk::new(size, 0),
                None => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
    let samples = client.date(samples, begin, end).await;
    Ok(Sampled { samples, walk, is_absent, begin })
}

/// The size to try next, if it may be the size that RCMS refuses.
fn next_size(error: &RcmsError, size: u32) -> Option<u32> {
    smaller_page(size).filter(|_| error.may_be_about_size())
}
