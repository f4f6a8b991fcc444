//! What RCMS may be like.
use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    pub(super) cycle: Duration,
    /// The largest page that is given, whatever is asked for.
    pub(super) cap: Option<usize>,
    /// A larger `pageSize` is refused.
    pub(super) refused_above: Option<usize>,
    pub(super) total: Total,
    pub(super) order: Order,
    pub(super) time: SampleTime,
    pub(super) flag: Flag,
    /// So many routers have no `statusData`, but this status.
    pub(super) failing: usize,
    pub(super) failing_with: u16,
    /// More requests than that in a minute are answered 429.
    pub(super) a_minute: Option<usize>,
    /// How long each page of the list takes.
    pub(super) page_takes: Duration,
    /// By how much our clock is ahead of RCMS's.
    pub(super) ahead: Duration,
    /// Now and then every call is answered with no data for a minute.
    pub(super) has_null_cycles: bool,
    /// A router tells the same each time, but for how long it has been up.
    pub(super) is_steady: bool,
}

/// What `deviceTotal` says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Total {
    Right,
    Is(usize),
    Empty,
    Fails(u16),
    /// For a minute in ten.
    FailsNowAndThen(u16),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    OldestFirst,
    NewestFirst,
}

/// In what form a sample says its time.
#[derive(Clone, Copy, Debug)]
pub(super) enum SampleTime {
    EpochMs,
    EpochS,
    Offset,
    /// In RCMS's own zone, without saying so.
    Local,
}

/// In what form the list says who is online.
#[derive(Clone, Copy, Debug)]
pub(super) enum Flag {
    Number,
    Text,
    Word,
    Truth,
}

impl Habits {
    pub(super) const USUAL: Self = Self {
        cycle: Duration::from_secs(60),
        cap: None,
        refused_above: None,
        total: Total::Right,
        order: Order::NewestFirst,
        time: SampleTime::EpochMs,
        flag: Flag::Number,
        failing: 0,
        failing_with: 404,
        a_minute: None,
        page_takes: Duration::ZERO,
        ahead: Duration::ZERO,
        has_null_cycles: false,
        is_steady: false,
    };

    pub(super) fn at_random(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        fn one<T: Copy>(random: &mut StdRng, of: &[T]) -> T {
            *of.choose(random).unwrap()
        }
        let random = &mut random;
        let totals = [
            Total::Right,
            Total::Is(30),
            Total::Is(200),
            Total::Empty,
            Total::Fails(404),
            Total::Fails(500),
            Total::FailsNowAndThen(502),
        ];
        let times =
            [SampleTime::EpochMs, SampleTime::EpochS, SampleTime::Offset, SampleTime::Local];
        Self {
            cycle: Duration::from_secs(one(random, &[10, 60, 60, 60])),
            cap: one(random, &[None, Some(10), Some(20), Some(50), Some(100)]),
            refused_above: one(random, &[None, None, Some(99), Some(20)]),
            total: one(random, &totals),
            order: one(random, &[Order::OldestFirst, Order::NewestFirst]),
            time: one(random, &times),
            flag: one(random, &[Flag::Number, Flag::Text, Flag::Word, Flag::Truth]),
            failing: one(random, &[0, 0, 3, 30]),
            failing_with: one(random, &[400, 404, 500, 503]),
            a_minute: one(random, &[None, None, Some(25), Some(60)]),
            page_takes: Duration::from_secs(one(random, &[0, 0, 2, 14])),
            ahead: Duration::from_secs(one(random, &[0, 0, 600])),
            has_null_cycles: random.random_bool(0.25),
            is_steady: random.random_bool(0.5),
        }
    }
}
