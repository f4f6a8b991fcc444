use super::{Writer, device_sample::taken_ms};
use crate::{
    domain::{DeviceStatus, StatusFacts, Timestamp},
    store::{
        StoreError,
        rollup::{DAY_MS, HOUR_MS},
    },
};

/// A rule of thinning: of the samples that are older than `age_ms`, the first of each `span_ms` stays,
/// and whatever still held in the next.
struct Thinning {
    age_ms: i64,
    span_ms: i64,
}

/// The coarser first, so that the finer finds little left of the oldest samples.
const THINNINGS: [Thinning; 2] = [
    Thinning { age_ms: 30 * DAY_MS, span_ms: DAY_MS },
    Thinning { age_ms: DAY_MS, span_ms: HOUR_MS },
];

impl Writer {
    /// Keeps answers of `statusData` inside the open transaction. A device that only the settings
    /// name begins here. What a clock has noted that was ahead is not taken for the truth.
    pub(super) async fn keep_statuses(
        &mut self,
        statuses: &[DeviceStatus],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const ASKED: &str = "
            update device set status_asked_ms = row.value ->> 1, thinned_ms = $2
            from json_each($1) as row where device.sn = row.value ->> 0";
        const NEWEST: &str = "
            update device set status_ms = row.value ->> 3, status_system_time = row.value ->> 4,
                status_device_model = row.value ->> 5, status_firmware_version = row.value ->> 6,
                status_uptime = row.value ->> 7, status_ip = row.value ->> 8,
                status_gateway = row.value ->> 9, status_link_uptime = row.value ->> 10,
                status_has_own_time = row.value ->> 11
            from json_each($1) as row
            where device.sn = row.value ->> 0 and row.value ->> 3 is not null
                and coalesce(device.status_ms not between (row.value ->> 3) + 1 and $3, true)";
        if statuses.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = statuses.iter().map(|status| status_row(status, now)).collect();
        let rows = serde_json::to_string(&rows)?;
        self.make_devices(&rows, now).await?;
        self.keep_samples(statuses, now).await?;
        let thinned_at = self.thinning_now(now);
        self.thin(&rows, thinned_at).await?;
        for statement in [ASKED, NEWEST] {
            sqlx::query(statement)
                .bind(&rows)
                .bind(thinned_at.unix_ms())
                .bind(now.unix_ms())
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    /// Thins the samples of these devices. Only whole hours and days are looked at, and of them those
    /// that were not old enough the last time or that something was just put into: nearly always
    /// none.
    async fn thin(&mut self, rows: &str, now: Timestamp) -> Result<(), StoreError> {
        const THIN: &str = "
            delete from device_history where id in (
                select sample.id from json_each($1) as row
                join device on device.sn = row.value ->> 0
                join device_history as sample
                    on sample.device_id = device.id and sample.what = 'status'
                    and sample.at_ms < $2
                    and sample.at_ms >= min(row.value ->> 2,
                        min(coalesce(device.thinned_ms, row.value ->> 2), $5) - $3) / $4 * $4
                where coalesce(sample.until_ms, sample.at_ms) / $4 = sample.at_ms / $4
                    and (exists (
                        select 1 from device_history as first
                        where first.device_id = sample.device_id and first.what = 'status'
                            and first.at_ms >= sample.at_ms / $4 * $4
                            and (first.at_ms, first.id) < (sample.at_ms, sample.id))
                    or sample.at_ms / $4 * $4 <= (
                        select coalesce(first.until_ms, first.at_ms) from device_history as first
                        where first.device_id = sample.device_id and first.what = 'status'
                            and first.at_ms < sample.at_ms / $4 * $4
                        order by first.at_ms desc limit 1)))";
        for Thinning { age_ms, span_ms } in THINNINGS {
            let old_ms = now.unix_ms() - age_ms;
            sqlx::query(THIN)
                .bind(rows)
                .bind(old_ms - old_ms.rem_euclid(span_ms))
                .bind(age_ms)
                .bind(span_ms)
                .bind(now.unix_ms())
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }
}

type StatusRow<'a> = (
    &'a str,
    i64,
    i64,
    Option<i64>,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    Option<i64>,
);

/// Whose, up to when, the time of the oldest sample, time and facts of the newest, and whether that time
/// is its own.
fn status_row(status: &DeviceStatus, now: Timestamp) -> StatusRow<'_> {
    let times = status.samples.iter().map(|sample| taken_ms(sample, now));
    let oldest_ms = times.min().unwrap_or_else(|| now.unix_ms());
    // Of several that are the newest, the last in reverse is the first of the answer.
    let newest = status.samples.iter().rev().max_by_key(|sample| taken_ms(sample, now));
    let newest_ms = newest.map(|sample| taken_ms(sample, now));
    let text = |fact: fn(&StatusFacts) -> &str| newest.map_or("", |sample| fact(&sample.facts));
    (
        status.sn.as_str(),
        status.asked_to.min(now).unix_ms(),
        oldest_ms,
        newest_ms,
        text(|facts| &facts.system_time),
        text(|facts| &facts.device_model),
        text(|facts| &facts.firmware_version),
        text(|facts| &facts.uptime),
        text(|facts| &facts.ip),
        text(|facts| &facts.gateway),
        text(|facts| &facts.link_uptime),
        newest.map(|sample| i64::from(sample.sampled_at.is_some())),
    )
}
