//! Damaged bodies over real connections: none breaks the server, none that is authentic is lost.
//!
//! A second reader of JSON says of each body whether it is complete and carries a valid proof; the
//! server has to agree, in both directions. `SIMDECK_MUTATIONS` sets how many bodies are sent and
//! `SIMDECK_MUTATION_SEED` which.

mod damage;

use std::{
    collections::BTreeSet,
    env,
    net::Ipv4Addr,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    plain_json::{Json, parse},
    program::{Answer, Line, Program, is_signed, proof},
};

const CONNECTIONS: u64 = 4;
/// From each address fewer failures come than are answered 429.
const PUSHES_PER_SOURCE: u64 = 10;
/// The second under which all are sent, so that they depend on nothing but the seed. The server is
/// told to take pushes that are up to ten years old.
const SECOND: u64 = 1_725_499_848;
/// Stands before the number of a body in its proof, so that it can be found again.
const MARK: &str = "marked-";

/// What a body has to be answered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    NotJson,
    Refused,
    /// With at least so many parts to store or hold; an empty list counts for none.
    /// The mark, unless it was damaged away.
    Taken {
        parts_min: u64,
        mark: Option<u64>,
    },
    /// The text of `datePush` was damaged into something that only looks like a time.
    Either,
}

/// What the answers promised.
#[derive(Default)]
struct Promised {
    stored: u64,
    duplicates: u64,
    quarantined: u64,
    /// Bodies that have to be found again.
    marks: BTreeSet<u64>,
    taken: u64,
    refused: u64,
    not_json: u64,
}

#[test]
fn damaged_bodies_break_nothing_and_none_that_is_authentic_is_lost() {
    let setting = |name, usual| env::var(name).map_or(usual, |number| number.parse().unwrap());
    let bodies: u64 = setting("SIMDECK_MUTATIONS", 20_000);
    let seed = setting("SIMDECK_MUTATION_SEED", 20_240_905);
    let program = Program::new();
    let server = program.start();

    let next = AtomicU64::new(0);
    let promised: Vec<Promised> = thread::scope(|scope| {
        let (program, next) = (&program, &next);
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(move || send(program, seed, next, bodies)))
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let promised = promised.into_iter().fold(Promised::default(), Promised::and);
    // Each outcome is common, or the damage is too small or too large to show anything.
    for count in [promised.taken, promised.refused, promised.not_json] {
        assert!(count > bodies / 20, "{count} of {bodies}");
    }
    assert!(promised.stored > bodies / 20 && promised.quarantined > bodies / 20);

    let readable = read_all(&program);
    assert_eq!(program.ask("/v1/status")["ready"], true);
    let log = server.end();
    for bad in ["panic", "ERROR"] {
        let line = log.lines().find(|line| line.contains(bad));
        assert_eq!(line, None, "in the server's log");
    }
    let kept = kept(&program.database());
    assert_eq!(kept.records, promised.stored);
    assert_eq!(kept.records, readable);
    assert_eq!(kept.repeats, promised.duplicates);
    assert_eq!(kept.held, promised.quarantined);
    let lost: Vec<_> = promised.marks.difference(&kept.marks).take(10).collect();
    assert!(lost.is_empty(), "authentic, answered 200 and gone: {lost:?}");
}

fn send(program: &Program, seed: u64, next: &AtomicU64, bodies: u64) -> Promised {
    let mut promised = Promised::default();
    let mut line = None;
    loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= bodies {
            return promised;
        }
        // A body is known by its number, whichever connection takes it: a failure can be repeated.
        let (kind, body) = body(seed, nth);
        let source =
            Ipv4Addr::from_bits(0x0A00_0000 + u32::try_from(nth / PUSHES_PER_SOURCE).unwrap());
        // Every twentieth comes twice.
        for _ in 0..=u64::from(nth.is_multiple_of(20)) {
            let mut open = line.take().unwrap_or_else(|| Line::to(program.public).unwrap());
            let answer = open.push(kind, source, &body).unwrap_or_else(|error| {
                panic!("body {nth} broke the connection: {error}\n{}", body.escape_ascii())
            });
            line = (!answer.closes).then_some(open);
            promised.note(nth, &body, &answer);
        }
    }
}

fn body(seed: u64, nth: u64) -> (&'static str, Vec<u8>) {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(1 << 32).wrapping_add(nth));
    let proof = || format!(r#"{},"{MARK}{nth:08}":0"#, proof(SECOND));
    let (kind, parts) = damage::body(&mut rng, nth, proof);
    let spares_proof = rng.random();
    (kind, damage::damage(&mut rng, parts, spares_proof))
}

impl Promised {
    fn note(&mut self, nth: u64, body: &[u8], answer: &Answer) {
        let wanted = wanted(body);
        let agrees = match wanted {
            Wanted::NotJson => answer.status == 400,
            Wanted::Refused => answer.status == 401,
            Wanted::Taken { .. } => answer.status == 200,
            Wanted::Either => [200, 401].contains(&answer.status),
        };
        let told = || {
            let (status, text) = (answer.status, answer.text());
            format!(
                "body {nth} is {wanted:?} and was answered {status} {text}\n{}",
                body.escape_ascii()
            )
        };
        assert!(agrees, "{}", told());
        match answer.status {
            200 => {
                let [stored, duplicates, quarantined] =
                    ["stored", "duplicates", "quarantined"].map(|name| answer.count(name));
                self.stored += stored;
                self.duplicates += duplicates;
                self.quarantined += quarantined;
                self.taken += 1;
                if let Wanted::Taken { parts_min, mark } = wanted {
                    assert!(stored + duplicates + quarantined >= parts_min, "{}", told());
                    // Beside a list of records that are all there already nothing new is kept.
                    self.marks.extend(mark.filter(|_| stored + quarantined > 0));
                }
            }
            401 => self.refused += 1,
            _ => self.not_json += 1,
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.quarantined += other.quarantined;
        self.taken += other.taken;
        self.refused += other.refused;
        self.not_json += other.not_json;
        self.marks.extend(other.marks);
        self
    }
}

/// What the rules in section 4 of the design say of a body.
fn wanted(body: &[u8]) -> Wanted {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let Some(whole) = parse(body) else { return Wanted::NotJson };
    let elements = match whole {
        Json::Object(_) => vec![whole],
        Json::Array(elements) => elements,
        _ => return Wanted::NotJson,
    };
    let are_objects = elements.iter().all(|element| matches!(element, Json::Object(_)));
    if !are_objects || !(1..=10_000).contains(&elements.len()) {
        return Wanted::NotJson;
    }
    let proofs: Vec<_> = elements.iter().map(is_proved).collect();
    if proofs.contains(&Some(false)) {
        return Wanted::Refused;
    }
    if proofs.contains(&None) {
        return Wanted::Either;
    }
    let parts = elements.iter().filter(|element| !may_be_empty(element)).count();
    let members = elements.iter().flat_map(|element| match element {
        Json::Object(members) => &members[..],
        _ => &[],
    });
    let is_whole = |(name, value): &&(Vec<u8>, Json)| {
        name.len() == MARK.len() + 8 && *value == Json::Number("0".into())
    };
    let mark = members.filter(is_whole).find_map(|(name, _)| marks(name).next());
    Wanted::Taken { parts_min: parts as u64, mark }
}

/// Whether an element's two fields agree; none where only a reader of times can tell.
fn is_proved(element: &Json) -> Option<bool> {
    let ([date], [Json::Text(signature)]) =
        (&element.named("datePush")[..], &element.named("signature")[..])
    else {
        return Some(false);
    };
    let (Ok(signature), 64) = (hex::decode(signature), signature.len()) else { return Some(false) };
    let digits = match date {
        Json::Number(digits) => digits.clone().into_bytes(),
        Json::Text(text) => text.clone(),
        _ => return Some(false),
    };
    let is_plain = digits.iter().all(u8::is_ascii_digit) && [10, 13].contains(&digits.len());
    if !is_plain {
        // Exponents, fractions, finer parts of a second, dates: tests/it/properties/dates.rs.
        return (!digits.trim_ascii().first().is_some_and(u8::is_ascii_digit)).then_some(false);
    }
    let seconds: i64 = std::str::from_utf8(&digits[..10]).unwrap().parse().unwrap();
    Some(seconds >= 1_000_000_000 && is_signed(seconds, &signature))
}

/// Whether the element holds an empty list, which may be the whole of what it brings.
fn may_be_empty(element: &Json) -> bool {
    let Json::Object(members) = element else { return false };
    members.iter().any(|(_, value)| *value == Json::Array(Vec::new()))
}

/// What lies in the store.
struct Kept {
    records: u64,
    repeats: u64,
    held: u64,
    marks: BTreeSet<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn kept(database: &Path) -> Kept {
    const TEXTS: &str = "
        select cast(extra as blob) from usage where extra is not null
        union all select cast(extra as blob) from sms where extra is not null
        union all select cast(payload as blob) from notification
        union all select body from held where class = 'quarantined'";
    const RECORDS: &str = "
        select (select count(*) from usage) + (select count(*) from sms)
            + (select count(*) from notification)";
    const HELD: &str = "select coalesce(sum(count), 0) from held where class = 'quarantined'";
    let options = SqliteConnectOptions::new().filename(database).read_only(true);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let texts: Vec<Vec<u8>> = sqlx::query_scalar(TEXTS).fetch_all(&mut database).await.unwrap();
    let mut counts = Vec::new();
    for question in [RECORDS, "select coalesce(sum(repeats), 0) from tally", HELD] {
        let count: i64 = sqlx::query_scalar(question).fetch_one(&mut database).await.unwrap();
        counts.push(count.unsigned_abs());
    }
    let marks = texts.iter().flat_map(|text| marks(text)).collect();
    Kept { records: counts[0], repeats: counts[1], held: counts[2], marks }
}

/// The numbers behind the marks in a text.
fn marks(text: &[u8]) -> impl Iterator<Item = u64> {
    let places = text.windows(MARK.len() + 8).filter(|window| window.starts_with(MARK.as_bytes()));
    places.filter_map(|place| std::str::from_utf8(&place[MARK.len()..]).ok()?.parse().ok())
}

/// Reads every record through the API: whatever was taken in can be shown. Gives their number.
fn read_all(program: &Program) -> u64 {
    let mut read = 0;
    for list in ["data-usage", "mo-sms", "notifications"] {
        for page in 0.. {
            let rows = program.ask(&format!("/v1/{list}?size=100&page={page}"));
            let rows = rows.as_array().unwrap().len();
            if rows == 0 {
                break;
            }
            read += rows as u64;
        }
    }
    read
}
