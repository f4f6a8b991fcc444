use simdeck::{
    domain::{
        DeviceEventWord, DevicePoll,
        DeviceState::{Offline, Online, Unknown},
        HistoryFilter, PageSize, Place as At, StatusSample, Timestamp, Walk,
    },
    store::{Opened, Submission},
};

use super::{
    super::{push, usage},
    MINUTE_MS, NOW_MS, Place, asked, at, device, fleet, history, keep, listed, poll, sample,
    samples, sn, state, states, walk,
};

const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

#[tokio::test]
async fn a_device_that_only_the_settings_name_has_samples_and_no_state() {
    let place = Place::new();
    let mut opened = place.open().await;
    let taken = at(-5_000);
    let answer = vec![sample(Some(at(-9_000)), "old"), sample(Some(taken), "new")];
    keep(&mut opened, asked(0, 7, answer)).await;

    let told = device(&opened, 7, 0).await;
    assert_eq!((told.listed.state, told.state_since, told.listed_at), (Unknown, at(0), None));
    assert_eq!(told.status_asked_to, Some(at(0)));
    let newest = told.status.unwrap();
    assert_eq!((newest.sampled_at(), &*newest.facts.uptime), (Some(taken), "new"));
    assert_eq!(states(&opened, 7).await, []);
    let whole = r#"{"uptime":"new"}"#.to_owned();
    assert_eq!(samples(&opened, 7).await[1], (taken, whole));
    assert_eq!(fleet(&opened, 0).await.unknown, 1);

    // It stays unknown since then, however old that is, until the list shows it.
    assert_eq!(state(&opened, 7, DAY_MS).await, (Unknown, 0, None));
    keep(&mut opened, walk(DAY_MS, vec![listed(7, Offline)], &[])).await;
    assert_eq!(states(&opened, 7).await, [(DAY_MS, Offline)]);
    assert_eq!(device(&opened, 7, DAY_MS).await.id, told.id);
}

#[tokio::test]
async fn a_sample_that_comes_again_is_stored_once() {
    let place = Place::new();
    let mut opened = place.open().await;
    let answer = |words: &[&str]| -> Vec<StatusSample> {
        words.iter().map(|word| sample(None, word)).collect()
    };
    keep(&mut opened, asked(0, 1, answer(&["a", "b", "a"]))).await;
    keep(&mut opened, asked(MINUTE_MS, 1, answer(&["c", "b", "a"]))).await;
    keep(&mut opened, asked(MINUTE_MS, 2, answer(&["a"]))).await;
    let told = |words: &[(i64, &str)]| -> Vec<_> {
        words.iter().map(|(ms, word)| (at(*ms), format!(r#"{{"uptime":"{word}"}}"#))).collect()
    };
    assert_eq!(samples(&opened, 1).await, told(&[(0, "a"), (0, "b"), (MINUTE_MS, "c")]));
    assert_eq!(samples(&opened, 2).await, told(&[(MINUTE_MS, "a")]));

    // On a tie the first of the answer counts; an older one, or none at all, counts for nothing.
    keep(&mut opened, asked(2 * MINUTE_MS, 1, vec![sample(Some(at(0)), "late")])).await;
    keep(&mut opened, asked(3 * MINUTE_MS, 1, Vec::new())).await;
    let told = device(&opened, 1, 3 * MINUTE_MS).await;
    assert_eq!(told.status_asked_to, Some(at(3 * MINUTE_MS)));
    let newest = told.status.unwrap();
    assert_eq!((newest.as_of, &*newest.facts.uptime), (at(MINUTE_MS), "c"));
    assert_eq!(newest.sampled_at(), None, "it says none");
    assert_eq!(samples(&opened, 1).await.len(), 4);
}

/// What thinning should leave of samples at these times, told the long way.
fn thinned(all: &[i64], now_ms: i64) -> Vec<i64> {
    let mut kept = Vec::new();
    let mut taken = std::collections::BTreeSet::new();
    for ms in all {
        let span_ms = if *ms < cut_ms(now_ms, 30 * DAY_MS, DAY_MS) {
            DAY_MS
        } else if *ms < cut_ms(now_ms, DAY_MS, HOUR_MS) {
            HOUR_MS
        } else {
            1
        };
        if taken.insert((span_ms, ms.div_euclid(span_ms))) {
            kept.push(*ms);
        }
    }
    kept
}

/// The beginning of the first span that is not wholly older than this.
fn cut_ms(now_ms: i64, age_ms: i64, span_ms: i64) -> i64 {
    (now_ms - age_ms).div_euclid(span_ms) * span_ms
}

fn taken_at(times_ms: &[i64]) -> Vec<StatusSample> {
    let moments = times_ms.iter().map(|ms| Timestamp::from_unix_ms(*ms));
    moments.map(|moment| sample(Some(moment), &moment.to_string())).collect()
}

#[tokio::test]
async fn samples_get_fewer_with_age_however_long_nobody_asked() {
    let place = Place::new();
    let mut opened = place.open().await;
    keep(&mut opened, walk(0, vec![listed(1, Online)], &[])).await;
    keep(&mut opened, asked(0, 2, taken_at(&[NOW_MS, NOW_MS + 1]))).await;
    let mut all = Vec::new();
    let mut now_ms = NOW_MS;
    // Every 7 minutes for some days; then at once what gathered over weeks; then rarely.
    let often = (0..700).map(|nth| nth * 7 * MINUTE_MS);
    let rarely = (1..40).map(|nth| 45 * DAY_MS + nth * 31 * HOUR_MS);
    for after_ms in often.chain([45 * DAY_MS]).chain(rarely) {
        let new: Vec<_> = (now_ms..NOW_MS + after_ms).step_by(3 * 420_000).collect();
        now_ms = NOW_MS + after_ms;
        all.extend_from_slice(&new);
        keep(&mut opened, asked(after_ms, 1, taken_at(&new))).await;
        if after_ms % (9 * 420_000) == 0 || after_ms > 4 * DAY_MS {
            let left: Vec<_> =
                samples(&opened, 1).await.iter().map(|(at, _)| at.unix_ms()).collect();
            let wanted = thinned(&all, now_ms);
            // One page shows the newest of them.
            let shown = wanted.len().saturating_sub(left.len());
            assert_eq!(left, wanted[shown..], "after {after_ms}");
        }
    }
    assert_eq!(states(&opened, 1).await.len(), 2);
    assert_eq!(samples(&opened, 2).await.len(), 2, "nobody asked this one");
}

#[tokio::test]
async fn a_sample_that_comes_late_is_thinned_with_its_hour_and_its_day() {
    let place = Place::new();
    let mut opened = place.open().await;
    let day_ms = cut_ms(NOW_MS, 40 * DAY_MS, DAY_MS);
    let hour_ms = cut_ms(NOW_MS, 3 * DAY_MS, HOUR_MS);
    let first = [day_ms + 5, hour_ms + 5, hour_ms + HOUR_MS, NOW_MS - 2, NOW_MS - 1];
    keep(&mut opened, asked(0, 1, taken_at(&first))).await;
    let late = [day_ms + 4, day_ms + HOUR_MS, hour_ms + 6, NOW_MS - DAY_MS + HOUR_MS];
    keep(&mut opened, asked(1, 1, taken_at(&late))).await;
    let mut left: Vec<_> = samples(&opened, 1).await.iter().map(|(at, _)| at.unix_ms()).collect();
    left.sort_unstable();
    let kept = [
        day_ms + 4,
        hour_ms + 5,
        hour_ms + HOUR_MS,
        NOW_MS - DAY_MS + HOUR_MS,
        NOW_MS - 2,
        NOW_MS - 1,
    ];
    assert_eq!(left, kept);
    // The newest is told, also when its row is thinned away.
    keep(&mut opened, asked(3 * DAY_MS, 1, Vec::new())).await;
    assert_eq!(samples(&opened, 1).await.len(), 5);
    assert_eq!(device(&opened, 1, 0).await.status.unwrap().as_of, at(-1));
}

#[tokio::test]
async fn samples_get_no_fewer_while_pushes_say_that_the_clock_is_ahead() {
    let place = Place::new();
    let mut opened = place.open().await;
    let mut nth = 0;
    let mut push_at = async |opened: &mut Opened, pushed_ms: i64, received_ms: i64| {
        nth += 1;
        let records = vec![usage(1, NOW_MS, nth)];
        let pushed = Submission { pushed_at: Some(at(pushed_ms)), ..push(records) };
        opened.writer.commit(&[pushed], at(received_ms)).await.unwrap();
    };
    push_at(&mut opened, 0, 0).await;
    let taken: Vec<_> = (0..80).map(|nth| NOW_MS - nth * 15 * MINUTE_MS).collect();
    keep(&mut opened, asked(0, 1, taken_at(&taken))).await;
    for wrong_ms in [2 * DAY_MS, 500 * DAY_MS] {
        push_at(&mut opened, MINUTE_MS, wrong_ms).await;
        keep(&mut opened, asked(wrong_ms, 1, Vec::new())).await;
        assert_eq!(samples(&opened, 1).await.len(), 80);
    }
    for later_ms in [2 * MINUTE_MS, DAY_MS, 2 * DAY_MS] {
        push_at(&mut opened, later_ms, later_ms).await;
        keep(&mut opened, asked(later_ms, 1, Vec::new())).await;
    }
    assert!((20..=22).contains(&samples(&opened, 1).await.len()));
}

#[tokio::test]
async fn a_history_is_narrowed_by_kind_and_time_and_read_by_pages() {
    let place = Place::new();
    let mut opened = place.open().await;
    for nth in 0..6 {
        let state = if nth % 2 == 0 { Online } else { Offline };
        keep(&mut opened, walk(nth * MINUTE_MS, vec![listed(1, state), listed(2, state)], &[]))
            .await;
        let answer = vec![sample(None, &nth.to_string())];
        let DevicePoll { statuses, .. } = asked(nth * MINUTE_MS, 1, answer);
        keep(&mut opened, DevicePoll { statuses, ..poll(nth * MINUTE_MS) }).await;
    }
    let top = opened.store.top().await.unwrap();
    let all = history(&opened, 1).await;
    assert_eq!(all.len(), 12);
    let none = HistoryFilter::default();
    let only = |word| HistoryFilter { only: Some(word), ..none.clone() };
    let from_ms = Some(NOW_MS + MINUTE_MS);
    let between = HistoryFilter { from_ms, to_ms: Some(NOW_MS + 3 * MINUTE_MS), ..none.clone() };
    let narrow = HistoryFilter { from_ms, ..only(DeviceEventWord::Status) };
    for (filter, rows) in [
        (&none, 12),
        (&only(DeviceEventWord::State), 6),
        (&only(DeviceEventWord::Status), 6),
        (&between, 4),
        (&narrow, 5),
    ] {
        let count = opened.store.device_history_count(&sn(1), filter, top).await.unwrap();
        assert_eq!(count, rows, "{filter:?}");
        let mut ids = Vec::new();
        while ids.len() < usize::try_from(rows).unwrap() {
            let place = ids.last().map_or(At::Newest, |last| At::OlderThan(*last));
            let walk = Walk { top, place, size: PageSize::within(5, 5).unwrap() };
            let page = opened.store.device_history(&sn(1), filter, &walk).await.unwrap();
            assert!(!page.is_empty(), "{filter:?} after {ids:?}");
            ids.extend(page.iter().map(|event| event.id));
        }
        assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
        assert!(ids.iter().all(|id| all.iter().any(|event| event.id == *id)));
    }
    let before = all[6].id;
    assert_eq!(opened.store.device_history_count(&sn(1), &none, before).await.unwrap(), 6);
    assert_eq!(history(&opened, 3).await, []);
}
