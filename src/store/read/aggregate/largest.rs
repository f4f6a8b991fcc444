//! The SIMs with the largest sums, among more than an answer has room for.
use std::collections::BTreeMap;

use futures_util::TryFutureExt;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Store,
    cells::{Cells, Shape},
    plan::Edges,
};
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
        let question = AggregateQuestion { interval: Interval::Whole, ..question.clone() };
        let sims: i64 = sqlx::query_scalar("select coalesce(max(id), 0) from sim")
            .fetch_one(&mut *moment)
            .await
            .map_err(of_read)?;
        let by_nearest = match self.volumes(&question, Edges::Nearest, sims, moment).await {
            Ok(volumes) => Some(volumes.largest(top)),
            // What would have to be taken off may be gone where what is asked about is not.
            Err(StoreError::Pruned { .. }) => None,
            Err(error) => return Err(error),
        };
        // A SIM whose records were all taken off again looks as one without volume.
        let by_nearest = by_nearest.filter(|sims| sims.iter().all(|(volume, _)| *volume != 0));
        if let Some(largest) = by_nearest {
            return named(largest, top, moment).await;
        }
        let volumes = self.volumes(&question, Edges::Added, sims, moment).await?;
        named(volumes.largest(top), top, moment).await
    }

    /// The volume of each SIM.
    async fn volumes(
        &self,
        question: &AggregateQuestion,
        edges: Edges,
        sims: i64,
        moment: &mut SqliteConnection,
    ) -> Result<Volumes, StoreError> {
        let calendar = Calendar::new(question.zone.clone(), question.interval);
        let cells = Cells { question, shape: Shape::Sims };
        let reading = self.reading(cells, edges, &calendar, moment).await?;
        let mut volumes = Volumes(vec![None; usize::try_from(sims).unwrap_or(0) + 1]);
        volumes.add_all(reading.statements, 1, moment).await?;
        for record in reading.rest.records(question, moment).await? {
            volumes.add(record.sim_id, record.data_usage)?;
        }
        volumes.add_all(reading.too_much, -1, moment).await?;
        for record in reading.rest.too_much(question, moment).await? {
            volumes.add(record.sim_id, -record.data_usage)?;
        }
        volumes.join_subscribers(moment).await?;
        Ok(volumes)
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

    /// Adds what statements say, or takes it off. While the database is at work on one, what the one
    /// before it said is added up.
    async fn add_all(
        &mut self,
        statements: Vec<QueryBuilder<Sqlite>>,
        sign: i64,
        moment: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        let mut said: Option<(String, String)> = None;
        for mut sql in statements {
            let next = sql.build_query_as().fetch_one(&mut *moment).map_err(of_read);
            let before = async { said.take().map_or(Ok(()), |texts| self.add_texts(texts, sign)) };
            // In this order: the first is on its way when the second begins.
            let (next, ()) = tokio::try_join!(biased; next, before)?;
            said = Some(next);
        }
        said.map_or(Ok(()), |texts| self.add_texts(texts, sign))
    }

    fn add_texts(
        &mut self,
        (sims, data_usage): (String, String),
        sign: i64,
    ) -> Result<(), StoreError> {
        let sims: Vec<i64> = serde_json::from_str(&sims)?;
        let data_usage: Vec<i64> = serde_json::from_str(&data_usage)?;
        for (sim_id, data_usage) in sims.into_iter().zip(data_usage) {
            self.add(sim_id, sign * data_usage)?;
        }
        Ok(())
    }

    /// A SIM with several subscribers is one SIM: its first row has the sum of all.
    async fn join_subscribers(&mut self, moment: &mut SqliteConnection) -> Result<(), StoreError> {
        const SEVERAL: &str = "
            select json_group_array(id) from sim
            where card_id in (select card_id from sim group by card_id having count(*) > 1)
            group by card_id";
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

    /// The largest volumes and whose they are, with all that are as large as the last of them.
    fn largest(self, top: usize) -> Vec<(i64, i64)> {
        let mut sims: Vec<(i64, i64)> =
            (0..).zip(self.0).filter_map(|(sim_id, volume)| Some((volume?, sim_id))).collect();
        if let Some(last) = top.checked_sub(1).filter(|last| *last < sims.len()) {
            let (_, (least, _), _) = sims.select_nth_unstable_by(last, |a, b| b.cmp(a));
            let least = *least;
            sims.retain(|(volume, _)| *volume >= least);
        }
        sims
    }
}

/// The SIMs of the `top` largest volumes. Of those that are as large, the names decide.
async fn named(
    sims: Vec<(i64, i64)>,
    top: usize,
    moment: &mut SqliteConnection,
) -> Result<Vec<String>, StoreError> {
    const NAMES: &str = "
        select id, giccid from sim where id in (select value from json_each($1))";
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
