//! What goes by age and by an erasure, and what copies of the database bring back.
mod age;
mod beside;
mod copies;
mod erasures;
mod listed;
mod numbers;

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::tz::TimeZone;
use simdeck::{
    domain::{
        AggregateQuestion, Caller, Change, ChangeFilter, Filter, GroupBy, HeldReason, Interval,
        LabelChange, NewHeld, PageSize, Place as At, Scope, ShortText, Walk,
    },
    store::{BackupPlan, Erased, Opened, StoreError, Submission},
};

use super::{NOW, Place, giccid, notification, sms, usage};

const DAY_MS: i64 = 86_400_000;
const NOW_MS: i64 = NOW.unix_ms();

fn caller() -> Caller {
    Caller::new("tester", Scope::Admin)
}

async fn erase(opened: &mut Opened, sim: usize) -> Erased {
    let mut erasing = opened.writer.begin_erasure(&giccid(sim), &caller(), NOW).await.unwrap();
    while !erasing.is_done() {
        opened.writer.erase_some(&mut erasing).await.unwrap();
    }
    erasing.erased()
}

async fn close(opened: Opened) {
    opened.store.close().await;
    opened.writer.close().await.unwrap();
}

/// A backup into a folder of its own, beside the database.
fn plan(place: &Place) -> BackupPlan {
    BackupPlan {
        database: place.database(),
        folder: place.folder.path().join("backups"),
        keep: 7,
        pushes_need: Vec::new(),
        reserve_bytes: 0,
        log_bytes: 0,
    }
}

async fn changes(opened: &Opened) -> Vec<Change> {
    opened.store.changes(&ChangeFilter::default(), 0, 1_000).await.unwrap().rows
}

/// How many usage records there are, as the list shows and as it counts them.
async fn listed(opened: &Opened, filter: &Filter) -> (u64, u64) {
    let top = opened.store.top().await.unwrap();
    let size = PageSize::within(1_000, PageSize::MAX).unwrap();
    let walk = Walk { top, place: At::Newest, size };
    let rows = opened.store.usage(filter, &walk).await.unwrap().rows.len();
    (rows as u64, opened.store.usage_count(filter, top).await.unwrap())
}

fn question(from_ms: Option<i64>, by_records: bool) -> AggregateQuestion {
    let group_by = match by_records {
        true => vec![GroupBy::Giccid, GroupBy::Apn],
        false => vec![GroupBy::Apn],
    };
    let filter = Filter { from_ms, ..Filter::default() };
    AggregateQuestion { filter, interval: Interval::Hour, zone: TimeZone::UTC, group_by, top: None }
}

async fn volume(opened: &Opened, question: &AggregateQuestion) -> Result<i64, StoreError> {
    let rows = opened.store.usage_aggregate(question).await?;
    Ok(rows.iter().map(|row| row.data_usage).sum())
}

fn quarantined(body: String) -> NewHeld {
    NewHeld {
        ring: None,
        reason: HeldReason::FieldMissing,
        field: None,
        kind: "data-usage".parse().unwrap(),
        source: [192, 0, 2, 1].into(),
        body: body.into_bytes().into(),
        signatures: None,
        pushed_at: None,
    }
}

/// All files below a folder that hold this text.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path).unwrap().windows(text.len()).any(|it| it == text.as_bytes()) {
            found.push(path);
        }
    }
    found
}

/// A store in which 60 SIMs have left traces everywhere, over many days.
async fn traces(place: &Place) -> Opened {
    let mut opened = place.open().await;
    for day in 0..40 {
        let at = NOW_MS - day * DAY_MS;
        let mut records = Vec::new();
        for sim in 1..=60 {
            let nth = i64::try_from(sim).unwrap();
            records.extend([usage(sim, at - nth, 1 << (sim % 3)), sms(sim, at - nth)]);
            records.push(notification(sim, at - nth));
        }
        let both =
            format!(r#"{{"list":[{{"giccid":"{}"}},{{"giccid":"{}"}}]}}"#, giccid(1), giccid(2));
        let aside = Submission {
            records,
            quarantine: vec![quarantined(both), quarantined(format!("{day} {}", giccid(1)))],
            ..Submission::default()
        };
        opened.writer.commit(&[aside], NOW).await.unwrap();
    }
    let name = LabelChange {
        giccid: giccid(1),
        name: Some(ShortText::try_from("Roof").unwrap()),
        device_sn: None,
    };
    opened.writer.label_sims(&[name], &caller(), NOW).await.unwrap();
    opened
}
