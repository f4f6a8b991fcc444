use super::{Writer, run};
use crate::store::{StoreError, rollup::Fold};

impl Writer {
    /// Writes what the tail holds into the key tree and the rollups, sorted, inside the open
    /// transaction, and moves the mark to the newest id.
    pub(super) async fn move_mark(&mut self) -> Result<(), StoreError> {
        const KEYS: &str = "
            insert into usage_key (day, sim_id, start_ms, h, id)
            select start_ms / 86400000 as day, sim_id, start_ms, h, id from usage
            where id > (select rolled_up_to from mark)
            order by day, sim_id, start_ms, h";
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
        const SIM_DAYS: &str = "
            insert into usage_sim_day (day, sim_id, data_usage, records)
            select row.value ->> 0, row.value ->> 1, row.value ->> 2, row.value ->> 3
            from json_each($1) as row where true
            on conflict (day, sim_id) do update set
                data_usage = data_usage + excluded.data_usage, records = records + excluded.records";
        const SEEN: &str = "
            insert into sim_seen (sim_id, first_ms, last_ms)
            select row.value ->> 0, row.value ->> 1, row.value ->> 2
            from json_each($1) as row where true
            on conflict (sim_id) do update set
                first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms)";
        let fold = Fold::of(&self.tail.usage, &self.tail.sms, &self.zone);
        run(&mut self.connection, KEYS).await?;
        for (statement, rows) in [
            (QUARTER_HOURS, serde_json::to_string(&fold.quarter_hours())?),
            (HOURS, serde_json::to_string(&fold.hours())?),
            (SIM_DAYS, serde_json::to_string(&fold.sim_days())?),
            (SEEN, serde_json::to_string(&fold.seen())?),
        ] {
            sqlx::query(statement).bind(rows).execute(&mut self.connection).await?;
        }
        sqlx::query("update mark set rolled_up_to = $1")
            .bind(self.tail.last_id)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}
