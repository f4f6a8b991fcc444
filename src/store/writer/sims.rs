use std::collections::{HashMap, HashSet};

use sqlx::{FromRow, SqliteConnection};

use super::{
    intern::{Interned, SEPARATOR},
    round::{ROWS_MAX, Round, values},
};
use crate::{
    domain::{Giccid, ShortText},
    store::{
        StoreError,
        card::{IMSI_DIGITS_MAX, reversed},
    },
};

/// A SIM under one subscriber. Digits are packed, behind a one that keeps leading zeros: half the
/// memory of a text, and nothing to allocate for a look-up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum SimKey {
    /// A giccid of up to 22 digits and an IMSI of up to 15.
    Digits(u128),
    /// The two texts.
    Texts(Box<str>),
}

/// The numbers of a SIM under one subscriber, and of its card.
#[derive(Clone, Copy, Debug)]
pub(super) struct SimIds {
    pub(super) sim_id: i64,
    pub(super) card_id: i64,
}

/// What the tables know of an asked SIM.
#[derive(FromRow)]
struct Known {
    nth: i64,
    card_id: i64,
    sim_id: Option<i64>,
}

/// SIMs and cards that the tables do not have yet.
#[derive(Default)]
struct New {
    cards: Vec<(i64, String, String)>,
    sims: Vec<(SimIds, String, String)>,
}

/// The number that is written with a one and these digits.
fn behind_a_one(digits: &str) -> Option<u128> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u128::from(byte - b'0'));
    digits.bytes().try_fold(1, |number: u128, byte| Some(number * 10 + digit(byte)?))
}

impl SimKey {
    /// More than a one and [`IMSI_DIGITS_MAX`] digits.
    const IMSI_BASE: u128 = 2 * 10_u128.pow(15);

    pub(super) fn new(giccid: &Giccid, imsi: &ShortText) -> Self {
        let packed = || {
            let imsi = (imsi.len() <= IMSI_DIGITS_MAX).then(|| behind_a_one(imsi))??;
            Some(Self::Digits(behind_a_one(giccid.as_str())? * Self::IMSI_BASE + imsi))
        };
        packed().unwrap_or_else(|| Self::Texts(format!("{giccid}{SEPARATOR}{imsi}").into()))
    }

    /// Giccid and IMSI, as the tables have them.
    fn parts(&self) -> (String, String) {
        let digits = |number: u128| number.to_string()[1..].to_owned();
        match self {
            Self::Digits(packed) => {
                (digits(packed / Self::IMSI_BASE), digits(packed % Self::IMSI_BASE))
            }
            Self::Texts(texts) => {
                let (giccid, imsi) = texts.split_once(SEPARATOR).unwrap_or((texts, ""));
                (giccid.to_owned(), imsi.to_owned())
            }
        }
    }
}

impl Interned {
    /// The numbers of each SIM, in the same order; new ones are inserted.
    pub(super) async fn sims(
        &mut self,
        connection: &mut SqliteConnection,
        round: &mut Round,
        keys: &[SimKey],
    ) -> Result<Vec<SimIds>, StoreError> {
        let known: Vec<Option<SimIds>> =
            keys.iter().map(|key| self.sims.get(key).copied()).collect();
        // Each once, and in the order in which they came, which is that of their numbers.
        let mut met = HashSet::new();
        let unknown =
            keys.iter().zip(&known).filter(|(key, ids)| ids.is_none() && met.insert(*key));
        let missing: Vec<&SimKey> = unknown.map(|(key, _)| key).collect();
        let mut found = HashMap::new();
        if !missing.is_empty() {
            // What was put off comes first: the transaction's beginning.
            round.run(connection).await?;
            for (key, ids) in missing.iter().zip(find_or_make(connection, &missing).await?) {
                self.sims.insert((*key).clone(), ids);
                self.new_sims.push((*key).clone());
                found.insert(*key, ids);
            }
        }
        let corrupt = || StoreError::Corrupt { table: "sim", id: 0 };
        keys.iter()
            .zip(known)
            .map(|(key, ids)| ids.or_else(|| found.get(key).copied()).ok_or_else(corrupt))
            .collect()
    }
}

/// The numbers of these SIMs, each of them asked once. Nobody else inserts any while the
/// transaction is open, so that new ones can be numbered here. No number is used twice, not even one
/// whose SIM is gone: held by `store_contract::keep::numbers`.
async fn find_or_make(
    connection: &mut SqliteConnection,
    keys: &[&SimKey],
) -> Result<Vec<SimIds>, StoreError> {
    const FIND: &str = "
        select key.key as nth, card.id as card_id, sim.id as sim_id
        from json_each($1) as key cross join card on card.giccid_reversed = key.value ->> 0
        left join sim on sim.card_id = card.id and sim.imsi = key.value ->> 1";
    const LAST: &str = "
        select max(last, (select coalesce(max(id), 0) from card)),
            (select max(last, (select coalesce(max(id), 0) from sim)) from gone_id where what = 'sim')
        from gone_id where what = 'card'";
    let parts: Vec<_> = keys.iter().map(|key| key.parts()).collect();
    let asked: Vec<_> =
        parts.iter().map(|(giccid, imsi)| (reversed(giccid, usize::MAX), imsi)).collect();
    let rows: Vec<Known> = sqlx::query_as(FIND)
        .bind(serde_json::to_string(&asked)?)
        .fetch_all(&mut *connection)
        .await?;
    let mut known: HashMap<usize, Known> = HashMap::with_capacity(rows.len());
    known.extend(rows.into_iter().filter_map(|row| Some((usize::try_from(row.nth).ok()?, row))));
    let (mut last_card, mut last_sim) = (0, 0);
    if known.len() < keys.len() || known.values().any(|known| known.sim_id.is_none()) {
        (last_card, last_sim) = sqlx::query_as(LAST).fetch_one(&mut *connection).await?;
    }
    let (mut new, mut new_cards) = (New::default(), HashMap::new());
    let mut all = Vec::with_capacity(keys.len());
    for (nth, ((giccid, imsi), (backwards, _))) in parts.iter().zip(asked).enumerate() {
        let known = known.get(&nth);
        let card_id = known.map(|known| known.card_id).unwrap_or_else(|| {
            *new_cards.entry(giccid.clone()).or_insert_with(|| {
                last_card += 1;
                new.cards.push((last_card, giccid.clone(), backwards));
                last_card
            })
        });
        let sim_id = known.and_then(|known| known.sim_id).unwrap_or_else(|| {
            last_sim += 1;
            let ids = SimIds { sim_id: last_sim, card_id };
            new.sims.push((ids, giccid.clone(), imsi.clone()));
            last_sim
        });
        all.push(SimIds { sim_id, card_id });
    }
    new.insert(connection).await?;
    Ok(all)
}

impl New {
    async fn insert(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        const CARDS: [&str; 2] = [
            "insert into card (id, giccid, giccid_reversed)
            select column1, column2, column3 from (values ",
            ") where column1 is not null;",
        ];
        const SIMS: [&str; 2] = [
            "insert into sim (id, card_id, giccid, imsi, imsi_reversed)
            select column1, column2, column3, column4, column5 from (values ",
            ") where column1 is not null;",
        ];
        for chunk in self.cards.chunks(ROWS_MAX) {
            let mut round = Round::default();
            round.add(CARDS[0]).add(&values(chunk.len(), 3)).add(CARDS[1]);
            for (id, giccid, reversed) in chunk {
                round.bind(id)?.bind(giccid)?.bind(reversed)?;
            }
            round.run(connection).await?;
        }
        for chunk in self.sims.chunks(ROWS_MAX) {
            let mut round = Round::default();
            round.add(SIMS[0]).add(&values(chunk.len(), 5)).add(SIMS[1]);
            for (SimIds { sim_id, card_id }, giccid, imsi) in chunk {
                let imsi_reversed = reversed(imsi, IMSI_DIGITS_MAX);
                round.bind(sim_id)?.bind(card_id)?.bind(giccid)?.bind(imsi)?.bind(imsi_reversed)?;
            }
            round.run(connection).await?;
        }
        Ok(())
    }
}
