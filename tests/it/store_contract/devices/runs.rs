//! Samples that say the same: one row, whose end moves on.
use simdeck::{
    domain::{DeviceEventKind, HistoryFilter, Lasting, SampleRun, StatusSample},
    store::Opened,
};

use super::{MINUTE_MS, Place, asked, at, device, history, keep, sample, sn};

const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What a router tells so many minutes after NOW, where it has been up since `boot` minutes after NOW.
fn told(minute: i64, word: &str, boot: i64) -> StatusSample {
    let taken = Some(at(minute * MINUTE_MS));
    let StatusSample { lasting, .. } = sample(taken, word);
    let up_s = Some((minute - boot) * 60);
    let whole = format!("{word} at {minute}");
    StatusSample { lasting: Lasting { up_s, ..lasting }, ..sample(taken, &whole) }
}

/// The rows of a history in the order of time: first and last minute, how many samples, and what the
/// first one said.
async fn rows(opened: &Opened, nth: usize) -> Vec<(i64, i64, i64, String)> {
    let minute = |moment: simdeck::domain::Timestamp| {
        (moment.unix_ms() - at(0).unix_ms()).div_euclid(MINUTE_MS)
    };
    let mut rows: Vec<_> = history(opened, nth)
        .await
        .into_iter()
        .filter_map(|event| match event.what {
            DeviceEventKind::Status(run) => {
                let SampleRun { whole, until, samples, .. } = run;
                let word = whole.trim_start_matches(r#"{"uptime":""#);
                let word = word.split(" at ").next().unwrap().to_owned();
                Some((minute(event.at), minute(until), samples, word))
            }
            DeviceEventKind::State(_) => None,
        })
        .collect();
    rows.sort();
    rows
}

fn row(from: i64, until: i64, samples: i64, word: &str) -> (i64, i64, i64, String) {
    (from, until, samples, word.to_owned())
}

#[tokio::test]
async fn samples_that_say_the_same_are_one_row_that_says_until_when_and_how_many() {
    let place = Place::new();
    let mut opened = place.open().await;
    let top = opened.store.top().await.unwrap();
    // A question every 15 minutes, whose span begins five minutes before the last one's end, in
    // either order.
    for end in (0..=10).map(|nth| nth * 15) {
        let mut samples: Vec<_> = (end - 20..=end).map(|minute| told(minute, "a", -999)).collect();
        if end % 2 == 0 {
            samples.reverse();
        }
        keep(&mut opened, asked(end * MINUTE_MS, 1, samples)).await;
    }
    assert_eq!(rows(&opened, 1).await, [row(-20, 150, 171, "a")]);
    assert_eq!(opened.store.top().await.unwrap(), top + 1, "a row, and not a sample, takes an id");
    let newest = device(&opened, 1, 150 * MINUTE_MS).await.status.unwrap();
    assert_eq!(newest.sampled_at(), Some(at(150 * MINUTE_MS)), "what is told is as of the newest");
    assert_eq!(&*newest.facts.uptime, "a at 150");

    let samples = vec![told(151, "a", -999), told(152, "b", -999), told(153, "a", -999)];
    for _ in 0..2 {
        keep(&mut opened, asked(153 * MINUTE_MS, 1, samples.clone())).await;
        let rows = rows(&opened, 1).await;
        let expected = [row(-20, 151, 172, "a"), row(152, 152, 1, "b"), row(153, 153, 1, "a")];
        assert_eq!(rows, expected);
    }
    // Nothing of it is another router's.
    keep(&mut opened, asked(154 * MINUTE_MS, 2, vec![told(154, "a", -999)])).await;
    assert_eq!(rows(&opened, 2).await, [row(154, 154, 1, "a")]);
}

#[tokio::test]
async fn a_restart_of_the_router_is_news_though_it_says_the_same_as_before() {
    let place = Place::new();
    let mut opened = place.open().await;
    let up = (0..5).map(|minute| told(minute, "a", -60));
    let again = (5..9).map(|minute| told(minute, "a", 4));
    // Its clock is set by some seconds now and then.
    let drifted = (9..12).map(|minute| {
        let mut sample = told(minute, "a", 4);
        sample.lasting.up_s = sample.lasting.up_s.map(|up_s| up_s + 20 * (minute % 2));
        sample
    });
    let samples: Vec<_> = up.chain(again).chain(drifted).collect();
    for _ in 0..2 {
        keep(&mut opened, asked(HOUR_MS, 1, samples.clone())).await;
        assert_eq!(rows(&opened, 1).await, [row(0, 4, 5, "a"), row(5, 11, 7, "a")]);
    }
}

#[tokio::test]
async fn a_sample_that_comes_late_is_stored_once_and_what_is_around_it_is_not_stored_again() {
    let place = Place::new();
    let mut opened = place.open().await;
    let minutes = |word: &'static str, minutes: &[i64]| -> Vec<_> {
        minutes.iter().map(|minute| told(*minute, word, -999)).collect()
    };
    keep(&mut opened, asked(0, 1, minutes("a", &[0, 1, 3, 4]))).await;
    // Between two that said the same: another word is a row, the same word is known.
    for late in [minutes("b", &[2]), minutes("a", &[2, 3, 4]), minutes("b", &[2])] {
        keep(&mut opened, asked(0, 1, late)).await;
    }
    let expected = [row(0, 4, 4, "a"), row(2, 2, 1, "b")];
    assert_eq!(rows(&opened, 1).await, expected);
    // Before all others, and where nothing was.
    keep(&mut opened, asked(0, 1, minutes("a", &[-9]))).await;
    keep(&mut opened, asked(0, 1, minutes("b", &[-5, -4]))).await;
    let mut expected = expected.to_vec();
    expected.splice(0..0, [row(-9, -9, 1, "a"), row(-5, -4, 2, "b")]);
    assert_eq!(rows(&opened, 1).await, expected);
}

#[tokio::test]
async fn samples_that_say_no_time_are_told_apart_and_come_again_without_being_stored_again() {
    let place = Place::new();
    let mut opened = place.open().await;
    let answer = |words: &[&str]| words.iter().map(|word| sample(None, word)).collect::<Vec<_>>();
    keep(&mut opened, asked(0, 1, answer(&["a", "b"]))).await;
    keep(&mut opened, asked(MINUTE_MS, 1, answer(&["b"]))).await;
    keep(&mut opened, asked(2 * MINUTE_MS, 1, answer(&["b", "a"]))).await;
    let told = [r#"a"}"#, r#"b"}"#].map(str::to_owned);
    let expected = [(0, 0, 1, told[0].clone()), (0, 2, 3, told[1].clone())];
    assert_eq!(rows(&opened, 1).await, expected);
    let newest = device(&opened, 1, 0).await.status.unwrap();
    assert_eq!((newest.as_of, newest.sampled_at()), (at(2 * MINUTE_MS), None));
    for event in history(&opened, 1).await {
        assert!(matches!(event.what, DeviceEventKind::Status(run) if !run.has_own_time));
    }
    // One that says when it was taken is no continuation of those.
    let whole = "b at 3".into();
    let own = StatusSample { whole, ..sample(Some(at(3 * MINUTE_MS)), "b") };
    keep(&mut opened, asked(3 * MINUTE_MS, 1, vec![own])).await;
    assert_eq!(rows(&opened, 1).await.len(), 3);
}

#[tokio::test]
async fn what_holds_over_the_end_of_an_hour_is_not_thinned_away() {
    let place = Place::new();
    let mut opened = place.open().await;
    let start = -100 * 60 - at(0).unix_ms().rem_euclid(HOUR_MS) / MINUTE_MS;
    // In one hour a, b and c; c holds for another day and a half; then d within that hour.
    let hold = (40..2_000).step_by(10).map(|minute| told(start + minute, "c", -9_999));
    let mut samples = vec![told(start + 1, "a", -9_999), told(start + 20, "b", -9_999)];
    samples.extend(hold);
    samples.push(told(start + 1_999, "d", -9_999));
    keep(&mut opened, asked(0, 1, samples)).await;
    let words: Vec<_> = rows(&opened, 1).await.into_iter().map(|(.., word)| word).collect();
    assert_eq!(words, ["a", "c"], "neither b nor d was the first of its hour or held in the next");
}

#[tokio::test]
async fn what_an_earlier_version_has_stored_is_not_stored_again_and_does_not_tell_whose_its_time_is()
 {
    let place = Place::new();
    let mut opened = place.open().await;
    let samples: Vec<_> = (0..3).map(|minute| told(minute, "a", -999)).collect();
    for sample in &samples {
        // A row each, as they were.
        keep(&mut opened, asked(0, 1, vec![sample.clone()])).await;
        place
            .sql(
                "update device_history set until_ms = null, samples = null, has_own_time = null,
                    facts_h = null, up_s = null;
                update device set status_has_own_time = null",
            )
            .await;
    }
    let told_of = device(&opened, 1, 0).await.status.unwrap();
    assert_eq!((told_of.as_of, told_of.sampled_at()), (at(2 * MINUTE_MS), None));
    let new = samples.iter().cloned().chain([told(3, "a", -999), told(4, "a", -999)]).collect();
    keep(&mut opened, asked(5 * MINUTE_MS, 1, new)).await;
    let old = [0, 1, 2].map(|minute| row(minute, minute, 1, "a"));
    let expected: Vec<_> = old.into_iter().chain([row(3, 4, 2, "a")]).collect();
    assert_eq!(rows(&opened, 1).await, expected);
}

#[tokio::test]
async fn a_history_of_a_time_has_what_began_before_it_and_still_held() {
    let place = Place::new();
    let mut opened = place.open().await;
    let words = [(0, "a"), (10, "a"), (20, "b"), (30, "c")];
    let samples = words.iter().map(|(minute, word)| told(*minute, word, -999)).collect();
    keep(&mut opened, asked(30 * MINUTE_MS, 1, samples)).await;
    let ms = |minute: i64| Some(at(minute * MINUTE_MS).unix_ms());
    for (from, to, count) in [(0, 1, 1), (5, 20, 1), (5, 21, 2), (10, 31, 3), (11, 31, 2)] {
        let filter = HistoryFilter { from_ms: ms(from), to_ms: ms(to), ..HistoryFilter::default() };
        let top = opened.store.top().await.unwrap();
        let found = opened.store.device_history_count(&sn(1), &filter, top).await.unwrap();
        assert_eq!(found, count, "from {from} to {to}");
    }
}
