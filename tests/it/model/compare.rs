//! Whether the server holds what the model holds, by every way that tells of it.
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use super::{
    read::{Follower, all_rows, key_of, quarantine},
    record::{HOUR_MS, Kind, SIMS, Spec},
    world::{Held, Key, World},
};
use crate::server::Simdeck;

const ZONES: [&str; 3] = ["UTC", "Asia/Kathmandu", "America/New_York"];
/// Refused pushes are written when the writer has nothing better to do.
const REFUSED_TIME_MAX: Duration = Duration::from_secs(20);

/// Compares everything; `nth` picks the zone and interval of this time.
pub(super) async fn agree(
    server: &Simdeck,
    world: &World,
    follower: &mut Follower,
    nth: usize,
) -> Result<(), String> {
    lists(server, world).await?;
    sums(server, world, nth).await?;
    sims(server, world).await?;
    held(server, world).await?;
    follower.follow(server).await;
    let seen: BTreeSet<Key> = follower.seen.keys().copied().collect();
    same("what a follower has seen", &seen, &world.followed)?;
    let erased = world.ever_erased.len();
    same("erased SIMs, as a follower has seen", &follower.tombstones.len(), &erased)
}

async fn lists(server: &Simdeck, world: &World) -> Result<(), String> {
    for list in ["data-usage", "mo-sms", "notifications"] {
        let rows = all_rows(server, &format!("/v1/{list}")).await;
        let keys: Vec<Key> = rows.iter().map(key_of).collect();
        let told: BTreeSet<Key> = keys.iter().copied().collect();
        same(&format!("rows of {list} and how many are different"), &keys.len(), &told.len())?;
        same(list, &told, &world.kept_of(list))?;
        let answer = server.get_whole(&format!("/v1/{list}?size=1")).await;
        same("X-Total-Count", &answer.header("x-total-count"), &&*told.len().to_string())?;
    }
    Ok(())
}

type Sums = BTreeMap<(String, String), (i64, i64)>;

async fn sums(server: &Simdeck, world: &World, nth: usize) -> Result<(), String> {
    let zone = ZONES[nth % ZONES.len()];
    let (interval, of_row): (_, fn(&Value) -> Value) = match nth / 3 % 2 {
        0 => ("1d", |row| row["day"].clone()),
        _ => ("15m", |row| row["start"].clone()),
    };
    let time = |spec: &Spec| {
        let at = Timestamp::from_millisecond(spec.own_ms(world.began_ms)).unwrap();
        if interval == "1d" {
            at.to_zoned(TimeZone::get(zone).unwrap()).date().to_string()
        } else {
            let quarter_ms = at.as_millisecond() / 900_000 * 900_000;
            Timestamp::from_millisecond(quarter_ms).unwrap().strftime("%FT%T.000Z").to_string()
        }
    };
    let (by, group): (_, fn(&Spec) -> &'static str) = match nth % 2 {
        0 => ("country_code", |it| it.country()),
        _ => ("sim_group", |it| it.group()),
    };
    let asked = question(world, interval, zone, by);
    let told = rows_of(server.get(&asked).await, by, of_row);
    let wanted = expected(world.counted(false), time, group);
    same(&asked, &told, &wanted)?;

    let asked = question(world, interval, zone, "giccid");
    let (status, answer) = server.ask(reqwest::Method::GET, &asked).await;
    // Of a SIM that is erased by now, perhaps: the server does not know whose they were.
    let is_pruned = world.kept_from_ms.contains_key(Kind::Usage.list());
    let by_rollup = interval == "1d" && zone == "UTC";
    if status == 409 && is_pruned && !by_rollup {
        return Ok(());
    }
    same(&format!("{asked}: {answer}"), &status, &200)?;
    let wanted = expected(world.counted(true), time, |it| it.giccid());
    same(&asked, &rows_of(answer, "giccid", of_row), &wanted)
}

/// A question about whole days of all zones.
fn question(world: &World, interval: &str, zone: &str, by: &str) -> String {
    let day_ms = 24 * HOUR_MS;
    let today_ms = world.began_ms / day_ms * day_ms;
    let (from, to) = (today_ms - 7 * day_ms, today_ms + 3 * day_ms);
    format!(
        "/v1/data-usage/aggregate?interval={interval}&tz={zone}&group_by={by}&from={from}&to={to}"
    )
}

fn rows_of(answer: Value, by: &str, of_row: fn(&Value) -> Value) -> Sums {
    let rows = answer.as_array().unwrap().iter().filter(|row| row["records"] != 0);
    let sum = |row: &Value| (row["data_usage"].as_i64().unwrap(), row["records"].as_i64().unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.map(|row| ((text(&of_row(row)), text(&row[by])), sum(row))).collect()
}

fn expected(
    records: impl Iterator<Item = Spec>,
    time: impl Fn(&Spec) -> String,
    group: impl Fn(&Spec) -> &'static str,
) -> Sums {
    let mut sums = Sums::new();
    for spec in records {
        let sum = sums.entry((time(&spec), group(&spec).to_owned())).or_default();
        *sum = (sum.0 + spec.number(), sum.1 + 1);
    }
    sums
}

async fn sims(server: &Simdeck, world: &World) -> Result<(), String> {
    let rows = all_rows(server, "/v1/sims").await;
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let told: BTreeMap<_, _> = rows
        .iter()
        .map(|row| (text(row, "giccid"), (text(row, "first_seen"), text(row, "last_seen"))))
        .collect();
    let mut wanted = BTreeMap::new();
    for sim in SIMS.into_iter().filter(|sim| !world.erased.contains(sim)) {
        let of_sim = world.records.keys().map(|(spec, _)| *spec);
        let times: BTreeSet<i64> = of_sim
            .filter(|it| matches!(it.kind, Kind::Usage | Kind::Sms) && it.giccid() == sim)
            .map(|it| it.own_ms(world.began_ms))
            .collect();
        let shown =
            |ms: &i64| Timestamp::from_millisecond(*ms).unwrap().strftime("%FT%T.000Z").to_string();
        if let (Some(first), Some(last)) = (times.first(), times.last()) {
            wanted.insert(sim.to_owned(), (shown(first), shown(last)));
        }
    }
    same("SIMs", &told, &wanted)
}

async fn held(server: &Simdeck, world: &World) -> Result<(), String> {
    let rows = quarantine(server, world.began_ms).await;
    let told: BTreeSet<Held> = rows.into_iter().map(|(_, held)| held).collect();
    same("quarantine", &told, &world.held)?;
    let began = Instant::now();
    loop {
        let refused = all_rows(server, "/v1/held?class=refused").await.len();
        if refused == world.refused.len() {
            return Ok(());
        }
        if began.elapsed() > REFUSED_TIME_MAX {
            return same("refused pushes", &refused, &world.refused.len());
        }
        tokio::task::yield_now().await;
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, told: &T, wanted: &T) -> Result<(), String> {
    if told == wanted {
        return Ok(());
    }
    Err(format!("{what}\n  the server has: {told:?}\n  the model has:  {wanted:?}"))
}
