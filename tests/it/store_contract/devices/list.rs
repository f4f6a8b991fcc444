use simdeck::domain::{
    DeviceFilter, DevicePoll,
    DeviceState::{Offline, Online, Unknown},
    Fleet, FleetTotals, KnownDevice, ListedDevice, Listing, PageSize, Place as At, ShortText, Walk,
};

use super::{
    MINUTE_MS, Place, asked, at, count, device, fleet, freshness, history, keep, listed, poll,
    sample, sn, state, states, text, walk,
};

/// Breaks every change of a device and of its history.
const REFUSE: &str = "
    create trigger no_insert before insert on device begin select raise(abort, 'no'); end;
    create trigger no_update before update on device begin select raise(abort, 'no'); end;
    create trigger no_history before insert on device_history
        begin select raise(abort, 'no'); end;";

#[tokio::test]
async fn a_device_and_its_changes_of_state_are_kept() {
    let place = Place::new();
    let mut opened = place.open().await;
    let whole = ListedDevice { description: text("Depot\0 3 ü"), ..listed(1, Online) };
    let bare = ListedDevice {
        name: ShortText::default(),
        create_time: ShortText::default(),
        extra: None,
        ..listed(2, Unknown)
    };
    keep(&mut opened, walk(0, vec![whole.clone(), bare.clone()], &[])).await;

    let first = device(&opened, 1, 1_000).await;
    assert_eq!((first.id, first.listed), (1, whole.clone()));
    assert_eq!((first.state_since, first.listed_at), (at(0), Some(at(0))));
    assert_eq!((first.status_asked_to, first.status), (None, None));
    assert_eq!(device(&opened, 2, 1_000).await.listed, bare);
    assert_eq!(opened.store.device(&sn(3), freshness(0)).await.unwrap(), None);
    assert_eq!(states(&opened, 1).await, [(0, Online)]);
    assert_eq!(states(&opened, 2).await, [(0, Unknown)]);

    // Another name is no change of state.
    let renamed = ListedDevice { name: text("Tram"), extra: None, ..whole };
    keep(&mut opened, walk(MINUTE_MS, vec![renamed.clone(), listed(2, Offline)], &[])).await;
    let first = device(&opened, 1, MINUTE_MS).await;
    assert_eq!((first.id, first.listed), (1, renamed));
    assert_eq!((first.state_since, first.listed_at), (at(0), Some(at(MINUTE_MS))));
    assert_eq!(states(&opened, 1).await, [(0, Online)]);
    let second = (Offline, MINUTE_MS, Some(MINUTE_MS));
    assert_eq!(state(&opened, 2, MINUTE_MS).await, second);
    assert_eq!(states(&opened, 2).await, [(0, Unknown), (MINUTE_MS, Offline)]);

    opened.store.close().await;
    opened.writer.close().await.unwrap();
    let opened = place.open().await;
    assert_eq!(state(&opened, 2, MINUTE_MS).await, second);
    let known = opened.store.known_devices(freshness(MINUTE_MS)).await.unwrap();
    let listed = listed(2, Offline);
    let second = KnownDevice { listed, is_listed: true, status_asked_to: None };
    assert_eq!((known.len(), &known[1]), (2, &second));
}

#[tokio::test]
async fn totals_and_states_of_the_fleet_are_kept_as_far_as_rcms_tells_them() {
    let place = Place::new();
    let mut opened = place.open().await;
    assert_eq!(fleet(&opened, 0).await, Fleet::default());

    let totals = FleetTotals {
        device_total: Some(6),
        online_total: Some(2),
        offline_total: None,
        registered_total: Some(4),
        un_registered_total: Some(0),
        user_total: Some(-1),
    };
    keep(&mut opened, DevicePoll { totals: Some(totals), ..poll(0) }).await;
    assert_eq!(
        fleet(&opened, 0).await,
        Fleet { totals: Some((at(0), totals)), ..Fleet::default() }
    );

    let states = [Online, Online, Offline, Online, Unknown, Offline];
    let devices = states.into_iter().enumerate().map(|(nth, state)| listed(nth, state)).collect();
    keep(&mut opened, walk(1_000, devices, &[])).await;
    let told = Fleet {
        totals: Some((at(0), totals)),
        listed_at: Some(at(1_000)),
        online: 3,
        offline: 2,
        offline_confirmed: 0,
        unknown: 1,
    };
    assert_eq!(fleet(&opened, 1_000).await, told);
    let later = fleet(&opened, 1_001 + 3 * MINUTE_MS).await;
    assert_eq!(later, Fleet { online: 0, offline: 0, unknown: 6, ..told });
}

#[tokio::test]
async fn a_cycle_in_which_nothing_changed_writes_no_row_of_a_device() {
    let place = Place::new();
    let mut opened = place.open().await;
    let devices = (0..50).map(|nth| listed(nth, Online)).collect();
    keep(&mut opened, walk(0, devices, &[])).await;
    let top = opened.store.top().await.unwrap();

    place.sql(REFUSE).await;
    let all: Vec<_> = (0..50).collect();
    for cycle in 1..10 {
        keep(&mut opened, walk(cycle * MINUTE_MS, Vec::new(), &all)).await;
        let seen = (Online, 0, Some(cycle * MINUTE_MS));
        assert_eq!(state(&opened, 49, (cycle + 3) * MINUTE_MS).await, seen);
    }
    keep(&mut opened, poll(11 * MINUTE_MS)).await;
    assert_eq!(opened.store.top().await.unwrap(), top);
    // Had anything been written, it would have failed.
    let changes = walk(11 * MINUTE_MS, vec![listed(1, Offline)], &[]);
    opened.writer.keep_poll(&changes).await.unwrap_err();
}

#[tokio::test]
async fn a_state_is_unknown_once_nobody_confirms_it_whether_or_not_it_was_noted() {
    let place = Place::new();
    let mut opened = place.open().await;
    keep(&mut opened, walk(0, vec![listed(1, Online), listed(2, Unknown)], &[])).await;
    keep(&mut opened, walk(MINUTE_MS, Vec::new(), &[1, 2])).await;

    let lapses_ms = 4 * MINUTE_MS;
    assert_eq!(state(&opened, 1, lapses_ms).await, (Online, 0, Some(MINUTE_MS)));
    let lapsed = (Unknown, lapses_ms, Some(MINUTE_MS));
    assert_eq!(state(&opened, 1, lapses_ms + 1).await, lapsed);
    assert_eq!(state(&opened, 2, lapses_ms + 1).await, (Unknown, 0, Some(MINUTE_MS)));
    assert_eq!(states(&opened, 1).await, [(0, Online)]);
    let known = opened.store.known_devices(freshness(lapses_ms + 1)).await.unwrap();
    assert_eq!(known[0].listed, listed(1, Unknown));

    // Noted late, and only once, it ended all the same when it ended.
    for hour in 1..3 {
        keep(&mut opened, poll(hour * 60 * MINUTE_MS)).await;
        assert_eq!(state(&opened, 1, hour * 60 * MINUTE_MS).await, lapsed);
        assert_eq!(states(&opened, 1).await, [(0, Online), (lapses_ms, Unknown)]);
        assert_eq!(states(&opened, 2).await, [(0, Unknown)]);
    }
    // A poll that confirms it again comes after what lapsed before it.
    let back_ms = 180 * MINUTE_MS;
    keep(&mut opened, walk(back_ms, vec![listed(1, Online)], &[2])).await;
    assert_eq!(state(&opened, 1, back_ms).await, (Online, 0, Some(back_ms)), "it never changed");
    assert_eq!(states(&opened, 1).await, [(0, Online), (lapses_ms, Unknown), (back_ms, Online)]);
}

#[tokio::test]
async fn what_nobody_could_say_for_a_while_is_no_change_of_state() {
    let place = Place::new();
    let mut opened = place.open().await;
    keep(&mut opened, walk(0, vec![listed(1, Online), listed(2, Offline)], &[])).await;
    // Outage after outage, with a restart between: it goes on from where it was.
    for hour in 1..4 {
        let back_ms = hour * 60 * MINUTE_MS;
        keep(&mut opened, walk(back_ms, vec![listed(1, Online), listed(2, Offline)], &[])).await;
        assert_eq!(state(&opened, 1, back_ms).await, (Online, 0, Some(back_ms)), "{hour}");
        assert_eq!(state(&opened, 2, back_ms).await, (Offline, 0, Some(back_ms)), "{hour}");
        opened.store.close().await;
        opened.writer.close().await.unwrap();
        opened = place.open().await;
    }
    // RCMS itself may not know, or not list it.
    keep(&mut opened, walk(181 * MINUTE_MS, vec![listed(1, Unknown)], &[2])).await;
    assert_eq!(state(&opened, 1, 181 * MINUTE_MS).await.1, 181 * MINUTE_MS);
    keep(&mut opened, walk(182 * MINUTE_MS, vec![listed(1, Online)], &[2])).await;
    assert_eq!(state(&opened, 1, 182 * MINUTE_MS).await.1, 0);
    // Another state than before is a change, and the one before it is forgotten.
    let changed_ms = 300 * MINUTE_MS;
    keep(&mut opened, walk(changed_ms, vec![listed(1, Offline), listed(2, Offline)], &[])).await;
    assert_eq!(state(&opened, 1, changed_ms).await.1, changed_ms);
    assert_eq!(state(&opened, 2, changed_ms).await.1, 0);
    let back_ms = 301 * MINUTE_MS;
    keep(&mut opened, walk(back_ms, vec![listed(1, Online)], &[2])).await;
    assert_eq!(state(&opened, 1, back_ms).await, (Online, back_ms, Some(back_ms)));
}

#[tokio::test]
async fn a_device_that_is_gone_from_the_list_is_unknown_until_it_is_back() {
    let place = Place::new();
    let mut opened = place.open().await;
    let devices = vec![listed(1, Online), listed(2, Offline), listed(3, Unknown)];
    keep(&mut opened, walk(0, devices, &[])).await;
    keep(&mut opened, walk(MINUTE_MS, Vec::new(), &[1, 2, 3])).await;

    let mut gone = walk(2 * MINUTE_MS, Vec::new(), &[2]);
    if let Some(listing) = &mut gone.listing {
        listing.gone = vec![sn(1), sn(3)];
    }
    keep(&mut opened, gone).await;
    let after_ms = 2 * MINUTE_MS + 1;
    assert_eq!(state(&opened, 1, after_ms).await, (Unknown, 2 * MINUTE_MS, Some(MINUTE_MS)));
    assert_eq!(state(&opened, 2, after_ms).await, (Offline, 0, Some(2 * MINUTE_MS)));
    assert_eq!(state(&opened, 3, after_ms).await, (Unknown, 0, Some(MINUTE_MS)));
    assert_eq!(states(&opened, 1).await, [(0, Online), (2 * MINUTE_MS, Unknown)]);
    assert_eq!(states(&opened, 3).await, [(0, Unknown)]);
    let known = opened.store.known_devices(freshness(after_ms)).await.unwrap();
    assert_eq!(known.iter().map(|known| known.is_listed).collect::<Vec<_>>(), [false, true, false]);
    // All but its state is as it was.
    assert_eq!(device(&opened, 1, after_ms).await.listed, listed(1, Unknown));

    keep(&mut opened, walk(3 * MINUTE_MS, vec![listed(1, Online)], &[2, 3])).await;
    for (nth, told) in [(1, (Online, 0)), (3, (Unknown, 0))] {
        let seen = state(&opened, nth, 3 * MINUTE_MS).await;
        assert_eq!(seen, (told.0, told.1, Some(3 * MINUTE_MS)), "{nth}");
    }
    let known = opened.store.known_devices(freshness(3 * MINUTE_MS)).await.unwrap();
    assert!(known.iter().all(|known| known.is_listed));
    assert_eq!(
        states(&opened, 1).await,
        [(0, Online), (2 * MINUTE_MS, Unknown), (3 * MINUTE_MS, Online)]
    );
}

#[tokio::test]
async fn a_list_that_was_not_read_to_its_end_says_nothing_of_whom_it_did_not_show() {
    let place = Place::new();
    let mut opened = place.open().await;
    let devices = (1..5).map(|nth| listed(nth, Online)).collect();
    keep(&mut opened, walk(0, devices, &[])).await;

    let listing = Listing {
        is_complete: false,
        since: None,
        respelled: Vec::new(),
        changed: vec![listed(1, Offline), listed(9, Online)],
        unchanged: vec![sn(2)],
        gone: vec![sn(3)],
    };
    keep(&mut opened, DevicePoll { listing: Some(listing), ..poll(MINUTE_MS) }).await;
    for (nth, told) in [
        (1, (Offline, MINUTE_MS, Some(MINUTE_MS))),
        (2, (Online, 0, Some(MINUTE_MS))),
        (3, (Online, 0, Some(0))),
        (4, (Online, 0, Some(0))),
        (9, (Online, MINUTE_MS, Some(MINUTE_MS))),
    ] {
        assert_eq!(state(&opened, nth, 3 * MINUTE_MS).await, told, "{nth}");
    }
    assert_eq!(fleet(&opened, MINUTE_MS).await.listed_at, Some(at(0)));
    let known = opened.store.known_devices(freshness(MINUTE_MS)).await.unwrap();
    assert!(known.len() == 5 && known.iter().all(|known| known.is_listed));

    // Who was shown holds longer than who was not.
    assert_eq!(state(&opened, 2, 4 * MINUTE_MS).await.0, Online);
    assert_eq!(state(&opened, 4, 4 * MINUTE_MS).await.0, Unknown);
}

#[tokio::test]
async fn filters_narrow_and_pages_meet() {
    let place = Place::new();
    let mut opened = place.open().await;
    let devices = (0..23).map(|nth| {
        let state = [Online, Offline, Unknown, Online][nth % 4];
        ListedDevice { description: text(["", "Spare 100%"][nth / 20]), ..listed(nth, state) }
    });
    keep(&mut opened, walk(0, devices.collect(), &[])).await;
    keep(&mut opened, asked(0, 99, vec![sample(None, "1")])).await;
    let top = opened.store.device_top().await.unwrap();
    assert_eq!(top, 24);

    let none = DeviceFilter::default();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let of_model = DeviceFilter { model: words(&["R1510"]), ..none.clone() };
    let of_none = DeviceFilter { model: words(&["R15"]), ..none.clone() };
    let of_groups = DeviceFilter { group: words(&["North", "South"]), ..none.clone() };
    let unknown = DeviceFilter { state: vec![Unknown], ..none.clone() };
    let both = DeviceFilter { state: vec![Online, Offline], ..of_groups.clone() };
    let called = DeviceFilter { q: words(&["bUS 1", "spaRE"]), ..none.clone() };
    let numbered = DeviceFilter { q: words(&["rb0000"]), ..of_model.clone() };
    let percent = DeviceFilter { q: words(&["0%"]), ..none.clone() };
    for (filter, rows) in [
        (&none, 24),
        (&of_model, 12),
        (&of_none, 0),
        (&of_groups, 16),
        (&unknown, 7),
        (&both, 12),
        (&called, 14),
        (&numbered, 5),
        (&percent, 3),
    ] {
        assert_eq!(count(&opened, filter, 0).await, rows, "{filter:?}");
        let mut ids = Vec::new();
        loop {
            let place = ids.last().map_or(At::Newest, |last| At::OlderThan(*last));
            let walk = Walk { top, place, size: PageSize::within(5, 5).unwrap() };
            let page = opened.store.devices(filter, freshness(0), &walk).await.unwrap();
            ids.extend(page.rows.iter().map(|device| device.id));
            if page.rows.len() < 5 {
                break;
            }
        }
        assert_eq!(ids.len() as u64, rows, "{filter:?}");
        assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    }
    // By their states as of the moment of asking.
    assert_eq!(count(&opened, &unknown, 3 * MINUTE_MS + 1).await, 24);

    // What comes later is not part of a walk that began before.
    keep(&mut opened, walk(0, vec![listed(50, Online)], &[])).await;
    let walk = Walk { top, place: At::Skip(0), size: PageSize::ONE };
    let page = opened.store.devices(&none, freshness(0), &walk).await.unwrap();
    assert_eq!(page.rows[0].listed.sn, sn(99));
    assert_eq!(opened.store.device_count(&none, freshness(0), top).await.unwrap(), 24);
    assert_eq!(history(&opened, 99).await.len(), 1);
}

#[tokio::test]
async fn a_page_of_devices_ends_by_bytes_as_well_as_by_rows() {
    let place = Place::new();
    let mut opened = place.open().await;
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(3 << 20));
    let devices = (0..6).map(|nth| match nth % 2 {
        0 => ListedDevice { extra: Some(long.as_str().into()), ..listed(nth, Online) },
        _ => listed(nth, Online),
    });
    keep(&mut opened, walk(0, devices.collect(), &[])).await;
    let top = opened.store.device_top().await.unwrap();
    let (mut seen, mut reads, mut at) = (Vec::new(), 0, At::Newest);
    loop {
        let walk = Walk { top, place: at, size: PageSize::LARGEST };
        let page = opened.store.devices(&DeviceFilter::default(), freshness(0), &walk).await;
        let page = page.unwrap();
        let extras = page.rows.iter().map(|device| device.listed.extra.as_deref());
        let bytes: usize = extras.map(|extra| extra.map_or(0, str::len)).sum();
        assert!(bytes <= 8 << 20, "{bytes} bytes at once");
        assert!(page.rows.iter().all(|device| device.listed.extra.is_some()));
        seen.extend(page.rows.iter().map(|device| device.id));
        reads += 1;
        let Some(oldest) = page.rows.last().filter(|_| !page.left.is_empty()) else { break };
        at = At::OlderThan(oldest.id);
    }
    assert_eq!((seen.len(), reads), (6, 2), "{seen:?}");
}
