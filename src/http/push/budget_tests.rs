use super::*;

const MIB: usize = 1 << 20;

fn source(host: u8) -> IpAddr {
    [192, 0, 2, host].into()
}

impl Room {
    /// So much has come, and there is room for it.
    fn take(&mut self, bytes: usize, now: Instant) -> Result<(), NoRoom> {
        self.came(bytes, now);
        self.try_grow(bytes, now)
    }
}

fn has_ended(room: &Room) -> bool {
    use futures_util::FutureExt;
    room.ended().now_or_never().is_some()
}

#[test]
fn the_slowest_of_a_source_makes_room_for_the_next_and_strangers_keep_theirs() {
    let (budget, mut now) = (Budget::default(), Instant::now());
    let mut stranger = budget.enter(source(9), None, now).expect("room");
    stranger.take(MIB, now).expect("room");
    now += Duration::from_millis(100);
    let mut rooms = Vec::new();
    for bytes in [4, 1, 2] {
        let mut room = budget.enter(source(1), None, now).expect("room");
        room.take(bytes * MIB, now).expect("room");
        rooms.push(room);
    }
    now += Duration::from_millis(1_000);
    let mut next = budget.enter(source(1), None, now).expect("room");
    next.take(2 * MIB, now).expect("room");
    let ended: Vec<_> = rooms.iter().map(has_ended).collect();
    assert_eq!(ended, [false, true, false]);
    assert_eq!(rooms[1].take(5 * MIB, now), Err(NoRoom), "it has no place any more");
    assert!(!has_ended(&stranger));
    // What is being read is not put out; then the one that asks has to go.
    next.is_now(State::Read).expect("room");
    for nth in [0, 2] {
        rooms[nth].is_now(State::Read).expect("room");
    }
    let mut late = budget.enter(source(1), None, now).expect("room");
    assert_eq!(late.take(4 * MIB, now), Err(NoRoom));
    drop(rooms);
    let mut again = budget.enter(source(1), None, now).expect("room");
    assert_eq!(again.take(4 * MIB, now), Ok(()));
}

#[test]
fn when_a_body_does_not_fit_whoever_goes_nobody_is_put_out() {
    let (budget, mut now) = (Budget::default(), Instant::now());
    let part = LARGE_SHARE.bytes / SOURCES_MIN;
    let mut rooms = Vec::new();
    for bytes in [MIB, 2 * MIB, part - 4 * MIB] {
        let mut room = budget.enter(source(1), None, now).expect("room");
        room.take(bytes, now).expect("room");
        rooms.push(room);
    }
    rooms[2].is_now(State::Read).expect("room");
    now += Duration::from_millis(1_000);
    // Both slower ones together have 3 MiB, and one is free.
    let mut next = budget.enter(source(1), None, now).expect("room");
    assert_eq!(next.take(4 * MIB + 1, now), Err(NoRoom));
    drop(next);
    assert!(!rooms.iter().any(has_ended), "for nothing");
    let mut next = budget.enter(source(1), None, now).expect("room");
    assert_eq!(next.take(2 * MIB, now), Ok(()));
    let ended: Vec<_> = rooms.iter().map(has_ended).collect();
    assert_eq!(ended, [true, false, false], "the slowest alone, which is enough");
}

#[test]
fn bodies_of_which_nothing_comes_make_room_for_those_that_come() {
    let (budget, mut now) = (Budget::default(), Instant::now());
    let mut silent = Vec::new();
    for nth in 0..SMALL_SHARE.bodies {
        let host = u8::try_from(nth / (SMALL_SHARE.bodies / SOURCES_MIN)).expect("few sources");
        silent.push(budget.enter(source(host), None, now).expect("room"));
    }
    assert!(budget.enter(source(0), None, now).is_err(), "as slow as all others");
    now += Duration::from_millis(600);
    let mut quick = budget.enter(source(100), None, now).expect("room");
    quick.take(SMALL_BYTES_MAX, now).expect("room");
    assert_eq!(silent.iter().filter(|room| has_ended(room)).count(), 1);
    drop(quick);
    drop(silent);
    let bodies = budget.lock();
    assert_eq!((bodies.small.used, bodies.large.used), Default::default());
    assert!(bodies.small.by_source.is_empty() && bodies.by_number.is_empty());
}

#[test]
fn a_single_body_has_room_however_large_and_a_small_one_beside_large_ones() {
    let (budget, now) = (Budget::default(), Instant::now());
    let mut rooms = Vec::new();
    for host in 0..SOURCES_MIN {
        let mut room =
            budget.enter(source(u8::try_from(host).expect("few")), None, now).expect("room");
        room.take(LARGE_SHARE.bytes / SOURCES_MIN, now).expect("room");
        room.is_now(State::Read).expect("room");
        rooms.push(room);
    }
    let mut next = budget.enter(source(50), None, now).expect("a place");
    next.take(SMALL_BYTES_MAX, now).expect("room for a small one");
    assert_eq!(next.take(SMALL_BYTES_MAX + 1, now), Err(NoRoom));
    drop(rooms);
    let mut huge = budget.enter(source(1), None, now).expect("a place");
    assert_eq!(huge.take(2 * LARGE_SHARE.bytes, now), Ok(()));
}

/// Four sources that have all there is, each in two bodies of equal speed.
fn full(budget: &Budget, now: Instant) -> Vec<Room> {
    let mut rooms = Vec::new();
    for nth in 0..2 * SOURCES_MIN {
        let host = u8::try_from(nth / 2).expect("few");
        let mut room = budget.enter(source(host), None, now).expect("room");
        room.take(LARGE_SHARE.bytes / SOURCES_MIN / 2, now).expect("room");
        rooms.push(room);
    }
    rooms
}

#[test]
fn a_source_that_has_more_makes_room_for_one_that_has_less_however_fast_it_is() {
    let (budget, now) = (Budget::default(), Instant::now());
    let mut rooms = full(&budget, now);
    for room in rooms.iter_mut().skip(2) {
        room.is_now(State::Read).expect("room");
    }
    let mut other = budget.enter(source(50), None, now).expect("a place");
    other.take(MIB, now).expect("room");
    assert_eq!(rooms.iter().filter(|room| has_ended(room)).count(), 1);
}

#[test]
fn a_refused_body_makes_room_before_all_others() {
    let (budget, now) = (Budget::default(), Instant::now());
    let mut rooms = full(&budget, now);
    for room in &mut rooms {
        room.is_now(State::Read).expect("room");
    }
    let mut other = budget.enter(source(0), None, now).expect("a place");
    assert_eq!(other.take(MIB, now), Err(NoRoom));
    rooms[1].is_refused();
    assert_eq!(other.take(MIB, now), Ok(()));
    assert!(has_ended(&rooms[1]));
}

#[tokio::test]
async fn a_body_waits_for_those_that_are_being_read_and_not_for_ever() {
    let budget = Budget::default();
    let mut rooms = full(&budget, Instant::now());
    for room in &mut rooms {
        room.is_now(State::Read).expect("room");
    }
    let mut next = budget.enter(source(50), None, Instant::now()).expect("a place");
    let began = Instant::now();
    let patience = 3 * LOOK_EVERY;
    assert_eq!(next.grow_within(patience, MIB).await, Err(NoRoom));
    assert!(began.elapsed() >= patience);
    let growing = async { next.grow(MIB).await };
    let going = async { drop(rooms.pop()) };
    let (grown, ()) = tokio::join!(growing, going);
    assert_eq!(grown, Ok(()));
}
