use sqlx::{Encode, Sqlite, Type};

use super::{
    Writer,
    round::{ROWS_MAX, Round, values},
    tail::Summary,
};
use crate::store::{
    StoreError,
    card::{CardSeen, CardSums},
    rollup::{NetworkSums, SimSums},
};

impl Writer {
    /// Brings a summary up to the newest id inside the open transaction, in the order of its trees.
    pub(super) async fn move_mark(&mut self, summary: Summary) -> Result<(), StoreError> {
        match summary {
            Summary::Keys => self.write_keys().await?,
            Summary::Sums => self.write_sums().await?,
            Summary::Sims => self.write_sims().await?,
        }
        sqlx::query("update mark set complete_to = $1 where summary = $2")
            .bind(self.tail.last_id)
            .bind(summary.as_str())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn write_keys(&mut self) -> Result<(), StoreError> {
        const KEYS: &str = "
            insert into usage_key (day, sim_id, start_ms, h, id)
            select start_ms / 86400000 as day, sim_id, start_ms, h, id from usage
            where id > (select complete_to from mark where summary = 'keys')
            order by day, sim_id, start_ms, h";
        super::run(&mut self.connection, KEYS).await
    }

    async fn write_sums(&mut self) -> Result<(), StoreError> {
        const QUARTER_HOURS: &str = "
            insert into usage_quarter_hour (start_ms, series_id, data_usage, records)
            select row.value ->> 0, row.value ->> 1, row.value ->> 2, row.value ->> 3
            from json_each($1) as row where true
            on conflict (start_ms, series_id) do update set
                data_usage = data_usage + excluded.data_usage, records = records + excluded.records";
        const HOURS: &str = "
            insert into usage_hour (dimension, start_ms, value, data_usage, records)
            select dimension.value, row.value ->> 0,
                case dimension.value
                    when 'sim_group' then sim_group when 'country_code' then country_code
                    when 'network' then mcc || '-' || mnc else apn end as name,
                sum(row.value ->> 2), sum(row.value ->> 3)
            from json_each($1) as row join series on series.id = row.value ->> 1
            cross join json_each('[\"sim_group\",\"country_code\",\"network\",\"apn\"]') as dimension
            where true group by 1, 2, 3
            on conflict (dimension, start_ms, value) do update set
                data_usage = data_usage + excluded.data_usage, records = records + excluded.records";
        let sums = NetworkSums::of(self.tail.for_sums());
        for (statement, rows) in [(QUARTER_HOURS, sums.quarter_hours()), (HOURS, sums.hours())] {
            sqlx::query(statement)
                .bind(serde_json::to_string(&rows)?)
                .execute(&mut self.connection)
                .await?;
        }
        self.write_block(&sums).await
    }

    /// Says what lies in the stretch of records that the mark of the sums now passes.
    async fn write_block(&mut self, sums: &NetworkSums) -> Result<(), StoreError> {
        const BLOCK: &str = "
            insert into usage_block (last_id, first_id, start_min_ms, start_max_ms,
                received_min_ms, received_max_ms, records)
            select $1, complete_to + 1, $2, $3, $4, $5, $6 from mark where summary = 'sums'";
        const SERIES: &str = "
            insert into usage_block_series (last_id, series_id, records)
            select $1, row.value ->> 0, row.value ->> 1 from json_each($2) as row";
        let Some((span, received)) = sums.span_ms().zip(self.tail.received_ms()) else {
            return Ok(());
        };
        let (by_series, last_id) = (sums.by_series(), self.tail.last_id);
        sqlx::query(BLOCK)
            .bind(last_id)
            .bind(span.0)
            .bind(span.1)
            .bind(received.0)
            .bind(received.1)
            .bind(by_series.iter().map(|[_, records]| records).sum::<i64>())
            .execute(&mut self.connection)
            .await?;
        sqlx::query(SERIES)
            .bind(last_id)
            .bind(serde_json::to_string(&by_series)?)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn write_sims(&mut self) -> Result<(), StoreError> {
        const DAYS: [&str; 2] = [
            "insert into usage_sim_day (day, sim_id, data_usage, records)
            select column1, column2, column3, column4 from (values ",
            ") where column1 is not null
            on conflict (day, sim_id) do update set
                data_usage = data_usage + excluded.data_usage, records = records + excluded.records;",
        ];
        let (usage, sms) = self.tail.for_sims();
        let days = SimSums::of(usage, &self.days).days();
        let cards = CardSums::of(usage, sms, &self.days);
        self.upsert(DAYS, &days).await?;
        self.write_cards(&cards).await
    }

    async fn write_cards(&mut self, cards: &CardSums) -> Result<(), StoreError> {
        const MONTHS: [&str; 2] = [
            "insert into usage_card_month (month, card_id, data_usage, records)
            select column1, column2, column3, column4 from (values ",
            ") where column1 is not null
            on conflict (month, card_id) do update set
                data_usage = data_usage + excluded.data_usage, records = records + excluded.records;",
        ];
        const SEEN: [&str; 2] = [
            "insert into card_seen (card_id, first_ms, last_ms, sim_id, usage_ms, series_id)
            select column1, column2, column3, column4, column5, column6 from (values ",
            ") where column1 is not null
            on conflict (card_id) do update set
                first_ms = min(first_ms, excluded.first_ms),
                last_ms = max(last_ms, excluded.last_ms),
                sim_id = iif((excluded.last_ms, excluded.sim_id) > (last_ms, sim_id),
                    excluded.sim_id, sim_id),
                usage_ms = coalesce(max(usage_ms, excluded.usage_ms), usage_ms, excluded.usage_ms),
                series_id = iif(usage_ms is null or (excluded.usage_ms, excluded.series_id)
                    > (usage_ms, series_id), excluded.series_id, series_id);",
        ];
        let row = |(card_id, seen): (&i64, &CardSeen)| {
            let CardSeen { first_ms, last: (last_ms, sim_id), usage } = *seen;
            let (usage_ms, series_id) = usage.unzip();
            [Some(*card_id), Some(first_ms), Some(last_ms), Some(sim_id), usage_ms, series_id]
        };
        self.upsert(MONTHS, &cards.months()).await?;
        self.upsert(SEEN, &cards.seen.iter().map(row).collect::<Vec<_>>()).await
    }

    /// Upserts sorted rows of numbers; the statement is what stands before and behind its values.
    pub(super) async fn upsert<N, const COLUMNS: usize>(
        &mut self,
        [before, behind]: [&str; 2],
        rows: &[[N; COLUMNS]],
    ) -> Result<(), StoreError>
    where
        N: Copy + for<'t> Encode<'t, Sqlite> + Type<Sqlite>,
    {
        for chunk in rows.chunks(ROWS_MAX) {
            let mut round = Round::default();
            round.add(before).add(&values(chunk.len(), COLUMNS)).add(behind);
            for number in chunk.as_flattened() {
                round.bind(*number)?;
            }
            round.run(&mut self.connection).await?;
        }
        Ok(())
    }
}
