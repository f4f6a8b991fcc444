//! What goes by an erasure.
use std::{fs, path::PathBuf, sync::Arc};

use simdeck::{
    domain::{
        AggregateQuestion, Change, ChangeFilter, Filter, LabelChange, NewHeld, Ring, ShortText,
    },
    store::{self, OpenOptions, Outcome, Submission, Verdict},
};

use super::{
    super::{NOW, Place, commit, giccid, notification, push, sms, usage},
    DAY_MS, NOW_MS, caller, changes, close, erase, files_with, listed, plan, quarantined, question,
    traces, volume,
};

#[tokio::test]
async fn an_erased_sim_is_in_no_sum_no_list_and_no_file() {
    let place = Place::new();
    let mut opened = traces(&place).await;
    let all = volume(&opened, &question(None, false)).await.unwrap();
    // Questions leave tails in memory; they must not answer from there.
    assert_eq!(volume(&opened, &question(None, true)).await.unwrap(), all);
    let number = giccid(1).to_string();
    assert!(!files_with(place.folder.path(), &number).is_empty());

    let erased = erase(&mut opened, 1).await;
    assert_eq!((erased.usage, erased.sms, erased.notifications), (40, 40, 40));
    assert_eq!(erased.held, 41);
    let backwards: String = number.chars().rev().collect();
    for text in [&number, &backwards, &format!("46000{}", 1)[..].to_owned()] {
        // The subscriber's number is the beginning of others' here, so it is asked of the tables.
        if text.len() > 10 {
            assert_eq!(files_with(place.folder.path(), text), [] as [PathBuf; 0], "{text}");
        }
    }
    let left = all - 40 * 2;
    let of_messages = AggregateQuestion { group_by: vec![], ..question(None, false) };
    for opened in [opened, place.open().await] {
        assert_eq!(volume(&opened, &question(None, false)).await.unwrap(), left);
        assert_eq!(volume(&opened, &question(None, true)).await.unwrap(), left);
        let messages = opened.store.sms_aggregate(&of_messages).await.unwrap();
        assert_eq!(messages.iter().map(|row| row.records).sum::<i64>(), 59 * 40);
        assert_eq!(opened.store.search(&number).await.unwrap(), []);
        let of_sim = Filter { giccid: vec![number.clone()], ..Filter::default() };
        assert_eq!(listed(&opened, &of_sim).await, (0, 0));
        let count = opened.store.usage_count(&Filter::default(), erased.id).await.unwrap();
        assert_eq!(count, 59 * 40);
        let rows = opened.store.changes(&ChangeFilter::default(), erased.id - 1, 9).await.unwrap();
        let [Change::Erased(tombstone)] = &rows.rows[..] else { panic!("{rows:?}") };
        assert_eq!(tombstone.id, erased.id);
        close(opened).await;
    }
    for nothing in [
        "select count(*) from sim where imsi = '460001'",
        "select count(*) from usage_sim_day where sim_id not in (select id from sim)",
        "select count(*) from usage_card_month where card_id not in (select id from card)",
        "select count(*) from card_seen where card_id not in (select id from card)",
        "select count(*) from sim_label",
        "select count(*) from erased where pending is not null",
        "select 59 * 40 - sum(records) from usage_block",
    ] {
        assert_eq!(place.number(nothing).await, 0, "{nothing}");
    }
    // What was of another SIM in the same body is there still.
    assert_eq!(place.number("select count(*) from held").await, 1);
}

#[tokio::test]
async fn what_comes_of_an_erased_sim_is_not_kept_and_counted() {
    let place = Place::new();
    let mut opened = place.open().await;
    commit(&mut opened, &[push(vec![usage(1, NOW_MS, 1)])]).await;
    erase(&mut opened, 1).await;
    close(opened).await;
    let mut opened = place.open().await;
    let other =
        quarantined(format!(r#"[{{"giccid":"{}"}},{{"giccid":"{}"}}]"#, giccid(1), giccid(2)));
    let again = Submission {
        records: vec![
            usage(1, NOW_MS, 1),
            usage(2, NOW_MS, 2),
            sms(1, NOW_MS),
            notification(1, NOW_MS),
        ],
        quarantine: vec![quarantined(format!("[{}]", giccid(1))), other],
        ..Submission::default()
    };
    let told = opened.writer.commit(&[again], NOW).await.unwrap();
    let outcome = Outcome { stored: 1, duplicates: 0, quarantined: 1, erased: 4 };
    assert_eq!(told, [Verdict::Stored(outcome)]);
    let name = LabelChange {
        giccid: giccid(1),
        name: Some(ShortText::try_from("Roof").unwrap()),
        device_sn: None,
    };
    opened.writer.label_sims(&[name], &caller(), NOW).await.unwrap();
    assert_eq!(opened.store.erasures().await.unwrap(), (1, 5));
    close(opened).await;
    let number = giccid(1).to_string();
    assert_eq!(files_with(place.folder.path(), &number), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn an_erasure_that_was_cut_short_is_finished_when_the_store_is_opened() {
    let place = Place::new();
    let mut opened = traces(&place).await;
    let mut erasing = opened.writer.begin_erasure(&giccid(1), &caller(), NOW).await.unwrap();
    for _ in 0..4 {
        opened.writer.erase_some(&mut erasing).await.unwrap();
    }
    close(opened).await;
    let opened = place.open().await;
    let of_sim = Filter { giccid: vec![giccid(1).to_string()], ..Filter::default() };
    assert_eq!(listed(&opened, &of_sim).await, (0, 0));
    close(opened).await;
    let number = giccid(1).to_string();
    assert_eq!(files_with(place.folder.path(), &number), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn more_of_a_sim_is_erased_than_fits_into_one_step() {
    let place = Place::new();
    let mut opened = place.open().await;
    let records = (0..600).map(|nth| usage(1, NOW_MS - nth * DAY_MS / 100, nth));
    commit(&mut opened, &[push(records.chain([usage(2, NOW_MS, 5)]).collect())]).await;
    assert_eq!(erase(&mut opened, 1).await.usage, 600);
    assert_eq!(listed(&opened, &Filter::default()).await, (1, 1));
    assert_eq!(volume(&opened, &question(None, false)).await.unwrap(), 5);
}

#[tokio::test]
async fn of_refused_pushes_only_those_that_name_an_erased_sim_are_not_kept() {
    let place = Place::new();
    let mut opened = place.open().await;
    erase(&mut opened, 1).await;
    let refused = |sim| NewHeld {
        ring: Some(Ring::Noise),
        ..quarantined(format!(r#"{{"giccid":"{}"}}"#, giccid(sim)))
    };
    opened.writer.keep_refused(&[refused(1), refused(2)], NOW).await.unwrap();
    assert_eq!(place.number("select count(*) from held").await, 1);
    close(opened).await;
    assert!(!files_with(place.folder.path(), giccid(2).as_str()).is_empty());
    assert_eq!(files_with(place.folder.path(), giccid(1).as_str()), [] as [PathBuf; 0]);
}

/// The list of erased SIMs beside a database, one a line.
fn list(place: &Place) -> PathBuf {
    place.database().with_extension("db.erased")
}

#[tokio::test]
async fn a_list_that_lost_a_sim_has_it_again_from_the_database() {
    let place = Place::new();
    let mut opened = place.open().await;
    for sim in [1, 2] {
        erase(&mut opened, sim).await;
    }
    close(opened).await;
    let whole = fs::read_to_string(list(&place)).unwrap();
    let lines = |text: &str| {
        let mut lines: Vec<_> =
            text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let all = lines(&whole);
    assert_eq!(all.len(), 2);
    for left in [&all[..0], &all[..1], &all[1..], &all] {
        fs::write(list(&place), left.join("\n")).unwrap();
        close(place.open().await).await;
        assert_eq!(lines(&fs::read_to_string(list(&place)).unwrap()), all);
    }
}

#[tokio::test]
async fn a_sim_that_only_the_list_names_is_not_kept_when_it_comes() {
    let place = Place::new();
    let mut opened = place.open().await;
    let empty = store::back_up(&plan(&place), &Arc::default(), NOW).await.unwrap().path;
    for sim in [1, 2] {
        erase(&mut opened, sim).await;
    }
    close(opened).await;
    let options = OpenOptions { database: place.database(), time_zone: None, limits: place.limits };
    store::restore(&empty, &options, true).await.unwrap();
    for life in 0..2 {
        let mut opened = place.open().await;
        let records = [1, 3, 2].map(|sim| usage(sim, NOW_MS + life, 1)).into();
        let Verdict::Stored(told) = commit(&mut opened, &[push(records)]).await[0] else {
            panic!()
        };
        assert_eq!((told.stored, told.erased), (1, 2));
        assert_eq!(opened.store.erasures().await.unwrap(), (2, 2 * (life + 1)));
        close(opened).await;
    }
    let opened = place.open().await;
    let ids: Vec<_> = changes(&opened).await.iter().map(Change::id).collect();
    assert_eq!(ids, [1, 2, 3, 4], "a gap or a number that was given twice");
    assert_eq!(opened.store.top().await.unwrap(), 4);
}
