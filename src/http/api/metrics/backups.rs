//! How backups fare.
use std::fmt;

use super::page::Page;
use crate::{domain::Timestamp, intake::BackupState};

pub(super) fn encode(backups: &BackupState, now: Timestamp, page: &mut Page<'_>) -> fmt::Result {
    let help = "How often a backup is made by itself; 0 for never.";
    let every = backups.every.unwrap_or_default();
    page.gauge("simdeck_backup_every_seconds", help, every.as_secs())?;
    let help = "Backups that failed since the start.";
    page.counter("simdeck_backup_failures_total", help, backups.failures)?;
    if let Some(took) = backups.took {
        let help = "How long the newest backup took.";
        page.gauge("simdeck_backup_duration_seconds", help, took.as_secs_f64())?;
    }
    let Some(newest) = &backups.newest else { return Ok(()) };
    let seconds = |ms: f64| ms / 1000.0;
    let help = "When the newest backup was made.";
    let at_s = seconds(newest.at.unix_ms() as f64);
    page.gauge("simdeck_backup_last_success_timestamp_seconds", help, at_s)?;
    let help = "Seconds since the newest backup was made.";
    let age_s = seconds(now.since(newest.at).as_millis() as f64);
    page.gauge("simdeck_backup_age_seconds", help, age_s)?;
    let help = "The size of the newest backup.";
    page.gauge("simdeck_backup_bytes", help, newest.bytes)
}
