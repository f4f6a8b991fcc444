use std::collections::{HashMap, HashSet};

use hashlink::LruCache;
use sqlx::SqliteConnection;

use super::{
    round::Round,
    sims::{SimIds, SimKey},
};
use crate::{domain::UsageRecord, store::StoreError};

/// How many SIMs are known by heart: about 10 MiB.
const SIMS_MAX: usize = 131_072;
/// How many network contexts.
const SERIES_MAX: usize = 8_192;

/// A network context: group, country, mcc, mnc, apn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SeriesKey(Box<str>);

/// Numbers of SIMs and network contexts that records refer to.
#[derive(Debug)]
pub(super) struct Interned {
    pub(super) sims: LruCache<SimKey, SimIds>,
    series: LruCache<SeriesKey, i64>,
    /// Those that were looked up in the database since the last commit, which may have made them.
    pub(super) new_sims: Vec<SimKey>,
    new_series: Vec<SeriesKey>,
}

impl Default for Interned {
    fn default() -> Self {
        Self {
            sims: LruCache::new(SIMS_MAX),
            series: LruCache::new(SERIES_MAX),
            new_sims: Vec::new(),
            new_series: Vec::new(),
        }
    }
}

/// No text can hold this character: U+0000 is quarantined before.
pub(super) const SEPARATOR: &str = "\0";

impl SeriesKey {
    pub(super) fn of(usage: &UsageRecord) -> Self {
        let parts: [&str; 5] =
            [&usage.sim_group, &usage.country_code, &usage.mcc, &usage.mnc, &usage.apn];
        Self(parts.join(SEPARATOR).into())
    }

    fn parts(&self) -> Vec<&str> {
        self.0.split(SEPARATOR).collect()
    }
}

impl Interned {
    /// A transaction begins: what is known now is in the database.
    pub(super) fn begin(&mut self) {
        self.new_sims.clear();
        self.new_series.clear();
    }

    /// It was undone: what came since may have no number any more.
    pub(super) fn undo(&mut self) {
        for key in self.new_sims.drain(..) {
            self.sims.remove(&key);
        }
        for key in self.new_series.drain(..) {
            self.series.remove(&key);
        }
    }

    /// The number of each network context, in the same order; new ones are inserted.
    pub(super) async fn series(
        &mut self,
        connection: &mut SqliteConnection,
        round: &mut Round,
        keys: &[SeriesKey],
    ) -> Result<Vec<i64>, StoreError> {
        const INSERT: &str = "
            insert into series (sim_group, country_code, mcc, mnc, apn)
            select key.value ->> 0, key.value ->> 1, key.value ->> 2, key.value ->> 3,
                key.value ->> 4
            from json_each($1) as key where true
            on conflict do nothing";
        const FIND: &str = "
            select key.key, series.id from json_each($1) as key
            join series on series.sim_group = key.value ->> 0
                and series.country_code = key.value ->> 1 and series.mcc = key.value ->> 2
                and series.mnc = key.value ->> 3 and series.apn = key.value ->> 4";
        let known: Vec<Option<i64>> =
            keys.iter().map(|key| self.series.get(key).copied()).collect();
        let missing = keys.iter().zip(&known).filter(|(_, id)| id.is_none()).map(|(key, _)| key);
        let missing: Vec<_> = missing.collect::<HashSet<_>>().into_iter().collect();
        let mut found = HashMap::new();
        if !missing.is_empty() {
            // What was put off comes first: the transaction's beginning.
            round.run(connection).await?;
            let parts: Vec<_> = missing.iter().map(|key| key.parts()).collect();
            let parts = serde_json::to_string(&parts)?;
            sqlx::query(INSERT).bind(&parts).execute(&mut *connection).await?;
            let rows: Vec<(i64, i64)> =
                sqlx::query_as(FIND).bind(&parts).fetch_all(&mut *connection).await?;
            for (nth, id) in rows {
                let Some(key) = usize::try_from(nth).ok().and_then(|nth| missing.get(nth)) else {
                    continue;
                };
                self.series.insert((*key).clone(), id);
                self.new_series.push((*key).clone());
                found.insert(*key, id);
            }
        }
        let corrupt = || StoreError::Corrupt { table: "series", id: 0 };
        keys.iter()
            .zip(known)
            .map(|(key, id)| id.or_else(|| found.get(key).copied()).ok_or_else(corrupt))
            .collect()
    }
}
