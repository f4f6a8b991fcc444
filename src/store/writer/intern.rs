use std::{collections::HashMap, hash::Hash};

use hashlink::LruCache;
use sqlx::{FromRow, SqliteConnection, sqlite::SqliteRow};

use super::round::Round;
use crate::{
    domain::{Giccid, ShortText, UsageRecord},
    store::StoreError,
};

/// How many SIMs are known by heart: about 10 MiB.
const SIMS_MAX: usize = 131_072;
/// How many network contexts.
const SERIES_MAX: usize = 8_192;

/// A SIM under one subscriber. Digits are packed, behind a one that keeps leading zeros: half the
/// memory of a text, and nothing to allocate for a look-up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum SimKey {
    /// A giccid of up to 22 digits and an IMSI of up to 15.
    Digits(u128),
    /// The two texts.
    Texts(Box<str>),
}

/// A network context: group, country, mcc, mnc, apn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SeriesKey(Box<str>);

/// What can be told from its parts, as the table has them.
trait Parts {
    fn parts(&self) -> Vec<String>;
}

/// Numbers of SIMs and network contexts that records refer to.
#[derive(Debug)]
pub(super) struct Interned {
    sims: LruCache<SimKey, SimIds>,
    series: LruCache<SeriesKey, Id>,
}

/// The numbers of a SIM under one subscriber, and of its card.
#[derive(Clone, Copy, Debug, FromRow)]
pub(super) struct SimIds {
    #[sqlx(rename = "id")]
    pub(super) sim_id: i64,
    pub(super) card_id: i64,
}

/// A number of its own.
#[derive(Clone, Copy, Debug, FromRow)]
struct Id {
    id: i64,
}

impl Default for Interned {
    fn default() -> Self {
        Self { sims: LruCache::new(SIMS_MAX), series: LruCache::new(SERIES_MAX) }
    }
}

/// No text can hold this character: U+0000 is quarantined before.
const SEPARATOR: &str = "\0";

/// The number that is written with a one and these digits.
fn behind_a_one(digits: &str) -> Option<u128> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u128::from(byte - b'0'));
    digits.bytes().try_fold(1, |number: u128, byte| Some(number * 10 + digit(byte)?))
}

impl SimKey {
    /// The most digits of an IMSI (ITU-T E.212).
    const IMSI_DIGITS_MAX: usize = 15;
    /// More than a one and so many digits.
    const IMSI_BASE: u128 = 2 * 10_u128.pow(15);

    pub(super) fn new(giccid: &Giccid, imsi: &ShortText) -> Self {
        let packed = || {
            let imsi = (imsi.len() <= Self::IMSI_DIGITS_MAX).then(|| behind_a_one(imsi))??;
            Some(Self::Digits(behind_a_one(giccid.as_str())? * Self::IMSI_BASE + imsi))
        };
        packed().unwrap_or_else(|| Self::Texts(format!("{giccid}{SEPARATOR}{imsi}").into()))
    }
}

impl Parts for SimKey {
    /// Giccid, IMSI, and the giccid backwards.
    fn parts(&self) -> Vec<String> {
        let digits = |number: u128| number.to_string()[1..].to_owned();
        let mut parts: Vec<String> = match self {
            Self::Digits(packed) => {
                vec![digits(packed / Self::IMSI_BASE), digits(packed % Self::IMSI_BASE)]
            }
            Self::Texts(texts) => texts.split(SEPARATOR).map(str::to_owned).collect(),
        };
        parts.push(parts[0].chars().rev().collect());
        parts
    }
}

impl SeriesKey {
    pub(super) fn of(usage: &UsageRecord) -> Self {
        let parts: [&str; 5] =
            [&usage.sim_group, &usage.country_code, &usage.mcc, &usage.mnc, &usage.apn];
        Self(parts.join(SEPARATOR).into())
    }
}

impl Parts for SeriesKey {
    fn parts(&self) -> Vec<String> {
        self.0.split(SEPARATOR).map(str::to_owned).collect()
    }
}

impl Interned {
    /// The number of each SIM, in the same order; new ones are inserted.
    pub(super) async fn sims(
        &mut self,
        connection: &mut SqliteConnection,
        round: &mut Round,
        keys: &[SimKey],
    ) -> Result<Vec<SimIds>, StoreError> {
        const FIND: &str = "
            select key.value as parts, sim.id, sim.card_id from json_each($1) as key
            cross join card on card.giccid_reversed = key.value ->> 2
            cross join sim on sim.card_id = card.id and sim.imsi = key.value ->> 1";
        const CARDS: &str = "
            insert into card (giccid) select key.value ->> 0 from json_each($1) as key where true
            on conflict do nothing";
        const SIMS: &str = "
            insert into sim (card_id, giccid, imsi)
            select card.id, key.value ->> 0, key.value ->> 1 from json_each($1) as key
            cross join card on card.giccid_reversed = key.value ->> 2 where true
            on conflict do nothing";
        all(&mut self.sims, connection, round, keys, FIND, &[CARDS, SIMS]).await
    }

    /// The number of each network context, in the same order; new ones are inserted.
    pub(super) async fn series(
        &mut self,
        connection: &mut SqliteConnection,
        round: &mut Round,
        keys: &[SeriesKey],
    ) -> Result<Vec<i64>, StoreError> {
        const FIND: &str = "
            select key.value as parts, series.id from json_each($1) as key
            join series on series.sim_group = key.value ->> 0
                and series.country_code = key.value ->> 1 and series.mcc = key.value ->> 2
                and series.mnc = key.value ->> 3 and series.apn = key.value ->> 4";
        const INSERT: &str = "
            insert into series (sim_group, country_code, mcc, mnc, apn)
            select key.value ->> 0, key.value ->> 1, key.value ->> 2, key.value ->> 3,
                key.value ->> 4
            from json_each($1) as key where true
            on conflict do nothing";
        let ids = all::<_, Id>(&mut self.series, connection, round, keys, FIND, &[INSERT]).await?;
        Ok(ids.into_iter().map(|Id { id }| id).collect())
    }
}

/// What a key stands for, with the key's parts as JSON.
#[derive(FromRow)]
struct Found<N> {
    parts: String,
    #[sqlx(flatten)]
    numbers: N,
}

/// Looks up what memory knows, then what the table knows, then inserts the rest.
async fn all<K, N>(
    cache: &mut LruCache<K, N>,
    connection: &mut SqliteConnection,
    round: &mut Round,
    keys: &[K],
    find: &'static str,
    inserts: &[&'static str],
) -> Result<Vec<N>, StoreError>
where
    K: Parts + Hash + Eq + Clone,
    N: Copy + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let mut numbers: Vec<Option<N>> = keys.iter().map(|key| cache.get(key).copied()).collect();
    for statements in [&[], inserts] {
        let missing: Vec<_> = keys
            .iter()
            .zip(&numbers)
            .filter(|(_, number)| number.is_none())
            .map(|(key, _)| key.parts())
            .collect();
        if missing.is_empty() {
            break;
        }
        // What was put off comes first: the transaction's beginning.
        round.run(connection).await?;
        let missing = serde_json::to_string(&missing)?;
        for insert in statements {
            sqlx::query(*insert).bind(&missing).execute(&mut *connection).await?;
        }
        let rows: Vec<Found<N>> =
            sqlx::query_as(find).bind(&missing).fetch_all(&mut *connection).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for Found { parts, numbers } in rows {
            found.insert(serde_json::from_str::<Vec<String>>(&parts)?, numbers);
        }
        for (key, number) in keys.iter().zip(&mut numbers).filter(|(_, number)| number.is_none()) {
            *number = found.get(&key.parts()).copied();
            if let Some(number) = number {
                cache.insert(key.clone(), *number);
            }
        }
    }
    numbers
        .into_iter()
        .map(|number| number.ok_or(StoreError::Corrupt { table: "sim or series", id: 0 }))
        .collect()
}
