//! The SIMs with the largest sums, among more than an answer has room for.
use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::{Store, cells::Shape, rows};
use crate::{
    domain::{AggregateQuestion, Calendar, Interval},
    store::{StoreError, error::of_read},
};

/// Volumes by the number of a SIM in its table; none of a SIM without a record.
struct Volumes(Vec<Option<i64>>);

impl Store {
    /// The `top` SIMs with the largest volumes over the whole range.
    pub(super) async fn largest_sims(
        &self,
        question: &AggregateQuestion,
        top: usize,
        moment: &mut SqliteConnection,
    ) -> Result<Vec<String>, StoreError> {
        let whole = Calendar::new(question.zone.clone(), Interval::Whole);
        let question = AggregateQuestion { interval: Interval::Whole, ..question.clone() };
        let sims: i64 = sqlx::query_scalar("select coalesce(max(id), 0) from sim")
            .fetch_one(&mut *moment)
            .await
            .map_err(of_read)?;
        let mut volumes = Volumes(vec![None; usize::try_from(sims).unwrap_or(0) + 1]);
        let (statements, rest) = self.statements(&question, Shape::Sims, &whole, moment).await?;
        for sql in statements {
            for (sims, data_usage) in rows::<(String, String)>(sql, moment).await? {
                let sims: Vec<i64> = serde_json::from_str(&sims)?;
                let data_usage: Vec<i64> = serde_json::from_str(&data_usage)?;
                for (sim_id, data_usage) in sims.into_iter().zip(data_usage) {
                    volumes.add(sim_id, data_usage)?;
                }
            }
        }
        for record in rest.records(&question, moment).await? {
            volumes.add(record.sim_id, record.data_usage)?;
        }
        volumes.join_subscribers(moment).await?;
        volumes.largest(top, moment).await
    }
}

impl Volumes {
    fn of(&mut self, sim_id: i64) -> Result<&mut Option<i64>, StoreError> {
        let place = usize::try_from(sim_id).ok();
        let volume = place.and_then(|place| self.0.get_mut(place));
        volume.ok_or(StoreError::Corrupt { table: "sim", id: sim_id })
    }

    fn add(&mut self, sim_id: i64, data_usage: i64) -> Result<(), StoreError> {
        *self.of(sim_id)?.get_or_insert(0) += data_usage;
        Ok(())
    }

    /// A SIM with several subscribers is one SIM: its first row has the sum of all.
    async fn join_subscribers(&mut self, moment: &mut SqliteConnection) -> Result<(), StoreError> {
        const SEVERAL: &str = "
            select json_group_array(id) from sim group by card_id having count(*) > 1";
        let several: Vec<String> =
            sqlx::query_scalar(SEVERAL).fetch_all(moment).await.map_err(of_read)?;
        for ids in several {
            let ids: Vec<i64> = serde_json::from_str(&ids)?;
            let Some((first, others)) = ids.split_first() else { continue };
            for other in others {
                if let Some(volume) = self.of(*other)?.take() {
                    self.add(*first, volume)?;
                }
            }
        }
        Ok(())
    }

    async fn largest(
        self,
        top: usize,
        moment: &mut SqliteConnection,
    ) -> Result<Vec<String>, StoreError> {
        const NAMES: &str = "
            select id, giccid from sim where id in (select value from json_each($1))";
        let mut sims: Vec<(i64, i64)> =
            (0..).zip(self.0).filter_map(|(sim_id, volume)| Some((volume?, sim_id))).collect();
        // Of SIMs that are as large as the last one, the names decide.
        if let Some(last) = top.checked_sub(1).filter(|last| *last < sims.len()) {
            let (_, (least, _), _) = sims.select_nth_unstable_by(last, |a, b| b.cmp(a));
            let least = *least;
            sims.retain(|(volume, _)| *volume >= least);
        }
        let ids: Vec<i64> = sims.iter().map(|(_, sim_id)| *sim_id).collect();
        let names: Vec<(i64, String)> = sqlx::query_as(NAMES)
            .bind(serde_json::to_string(&ids)?)
            .fetch_all(moment)
            .await
            .map_err(of_read)?;
        let names: BTreeMap<i64, String> = names.into_iter().collect();
        let mut named: Vec<_> = sims
            .into_iter()
            .filter_map(|(volume, sim_id)| Some((-volume, names.get(&sim_id)?.clone())))
            .collect();
        named.sort();
        Ok(named.into_iter().take(top).map(|(_, giccid)| giccid).collect())
    }
}
