//! What can happen to a server, and how it is made up.
use proptest::{collection::vec, prelude::*};

use super::record::{Kind, Spec};

/// One part of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Good(Spec),
    /// Authentic, and not to be read: of this SIM, and not the same as one with another number.
    Bad(Spec),
}

impl Part {
    pub(super) fn spec(self) -> Spec {
        match self {
            Self::Good(spec) | Self::Bad(spec) => spec,
        }
    }
}

/// How parts stand in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The first part, its members beside the proof.
    Single,
    /// All in one member.
    Container,
    /// Each with a proof of its own.
    Array,
}

/// Of when `datePush` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    /// Eight days ago.
    Old,
    /// In ten minutes.
    Ahead,
    /// One of a few seconds whose signature somebody has captured.
    Captured(i64),
}

/// How many seconds were captured.
const CAPTURED: i64 = 3;

/// A push that is signed.
#[derive(Clone, Debug)]
pub(super) struct Push {
    pub(super) kind: Kind,
    pub(super) parts: Vec<Part>,
    pub(super) shape: Shape,
    pub(super) age: Age,
    pub(super) backwards: bool,
}

/// One step of a case.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Push(Push),
    /// Several clients at once; the server may be killed after so many answers.
    Burst(Vec<Push>, Option<usize>),
    /// One body with more records than the summaries are usually behind.
    Flood(usize),
    WrongKey(Spec),
    Erase(usize),
    /// What comes of an erased SIM is kept again.
    LiftErasure(usize),
    /// What came under a captured second is taken out; the server may be killed on the way.
    Retract(i64, bool),
    LiftRetraction(i64),
    Prune,
    Restart,
    Kill,
    Retry(prop::sample::Index),
    Discard(prop::sample::Index),
    Export(Kind, bool),
    Import(prop::sample::Index),
    /// A file in the vendor's words.
    ImportNew(Kind, Vec<Spec>),
    /// The server's clock is so many hours ahead from here on.
    Clock(i64),
}

fn spec(kind: Kind) -> impl Strategy<Value = Spec> {
    (0..6_usize, 0..10_usize, 0..3_i64)
        .prop_map(move |(sim, hours_ago, variant)| Spec::new(kind, sim, hours_ago, variant))
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Usage),
        2 => Just(Kind::Sms),
        2 => Just(Kind::Status),
        1 => Just(Kind::Future),
    ]
}

/// A push on its own: which of several comes first nobody could say.
fn lone_push() -> impl Strategy<Value = Push> {
    let captured = proptest::option::weighted(0.4, 0..CAPTURED);
    (push(), captured).prop_map(|(push, captured)| match captured {
        Some(nth) => Push { age: Age::Captured(nth), ..push },
        None => push,
    })
}

fn push() -> impl Strategy<Value = Push> {
    let shape = prop_oneof![Just(Shape::Single), Just(Shape::Container), Just(Shape::Array)];
    let age = prop_oneof![6 => Just(Age::Fresh), 1 => Just(Age::Old), 1 => Just(Age::Ahead)];
    (kind(), shape, age, any::<bool>()).prop_flat_map(|(kind, shape, age, backwards)| {
        let part = (spec(kind), prop::bool::weighted(0.1));
        let part =
            part.prop_map(|(spec, is_bad)| if is_bad { Part::Bad(spec) } else { Part::Good(spec) });
        let parts = vec(part, 1..7);
        parts.prop_map(move |parts| Push { kind, parts, shape, age, backwards })
    })
}

/// One thing that happens.
pub(super) fn step() -> impl Strategy<Value = Step> {
    let burst = (vec(push(), 2..12), proptest::option::weighted(0.4, 0..8_usize));
    let new = kind().prop_flat_map(|kind| (Just(kind), vec(spec(kind), 1..6)));
    prop_oneof![
        14 => lone_push().prop_map(Step::Push),
        4 => burst.prop_map(|(pushes, kill)| Step::Burst(pushes, kill)),
        1 => (0..6_usize).prop_map(Step::Flood),
        1 => spec(Kind::Usage).prop_map(Step::WrongKey),
        2 => (0..6_usize).prop_map(Step::Erase),
        1 => (0..6_usize).prop_map(Step::LiftErasure),
        2 => (0..CAPTURED, prop::bool::weighted(0.3))
            .prop_map(|(nth, killed)| Step::Retract(nth, killed)),
        1 => (0..CAPTURED).prop_map(Step::LiftRetraction),
        2 => Just(Step::Prune),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        3 => any::<prop::sample::Index>().prop_map(Step::Retry),
        1 => any::<prop::sample::Index>().prop_map(Step::Discard),
        1 => (kind(), any::<bool>()).prop_map(|(kind, is_table)| Step::Export(kind, is_table)),
        1 => any::<prop::sample::Index>().prop_map(Step::Import),
        1 => new.prop_map(|(kind, specs)| Step::ImportNew(kind, specs)),
        2 => prop_oneof![3 => Just(0_i64), 1 => Just(-1), 1 => Just(8 * 24), 1 => Just(500 * 24)]
            .prop_map(Step::Clock),
    ]
}
