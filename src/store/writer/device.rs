use super::{Writer, run};
use crate::{
    domain::{
        ClockEvidence, DevicePoll, FleetTotals, Freshness, ListedDevice, Listing, SerialNumber,
        Timestamp,
    },
    store::StoreError,
};

impl Writer {
    /// Keeps what a poll of RCMS learned, in one transaction: all of it, or nothing.
    ///
    /// What the poll calls unchanged is meant as [`Store::known_devices`] told it under the same
    /// freshness.
    ///
    /// [`Store::known_devices`]: crate::store::Store::known_devices
    pub async fn keep_poll(&mut self, poll: &DevicePoll) -> Result<(), StoreError> {
        self.refresh().await?;
        let done = self.try_keep_poll(poll).await;
        self.undo_unless(done).await
    }

    async fn try_keep_poll(&mut self, poll: &DevicePoll) -> Result<(), StoreError> {
        let now = poll.freshness.now;
        run(&mut self.connection, "begin immediate").await?;
        self.lapse(poll.freshness).await?;
        if let Some(totals) = &poll.totals {
            self.write_totals(totals, now).await?;
        }
        if let Some(listing) = &poll.listing {
            self.keep_listing(listing, now).await?;
        }
        // Our clock alone makes no sample old.
        let is_ahead = |theirs: &Timestamp| now.since(*theirs) > ClockEvidence::DIFFERENCE_MAX;
        let both_reached = poll.rcms_time.filter(is_ahead).unwrap_or(now);
        if poll.listing.is_some() || !poll.statuses.is_empty() {
            self.note_reached(both_reached).await?;
        }
        self.keep_statuses(&poll.statuses, both_reached).await?;
        run(&mut self.connection, "commit").await
    }

    /// By this time histories of routers go by age.
    async fn note_reached(&mut self, reached: Timestamp) -> Result<(), StoreError> {
        sqlx::query("update fleet set reached_ms = $1")
            .bind(reached.unix_ms())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Ends the states that nobody confirmed for too long, at the moment when they became too old.
    async fn lapse(&mut self, freshness: Freshness) -> Result<(), StoreError> {
        const HISTORY: &str = "
            insert into device_history (id, device_id, at_ms, what, state)
            select (select last from seq) + row_number() over (order by seen_ms, id), id,
                coalesce(seen_ms + $2, state_ms), 'state', 'unknown'
            from device_seen where state <> 'unknown' and coalesce(seen_ms < $1, true)";
        const LAPSE: &str = "
            update device set known_state = device.state, known_ms = device.state_ms,
                state = 'unknown', state_ms = coalesce(seen_ms + $2, device.state_ms)
            from device_seen as seen
            where seen.id = device.id and seen.state <> 'unknown'
                and coalesce(seen.seen_ms < $1, true)";
        let (oldest_ms, good_for_ms) = (freshness.oldest().unix_ms(), good_for_ms(freshness));
        let lapsed = sqlx::query(HISTORY)
            .bind(oldest_ms)
            .bind(good_for_ms)
            .execute(&mut self.connection)
            .await?
            .rows_affected();
        if lapsed > 0 {
            self.use_ids(lapsed).await?;
            sqlx::query(LAPSE)
                .bind(oldest_ms)
                .bind(good_for_ms)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    async fn write_totals(
        &mut self,
        totals: &FleetTotals,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const WRITE: &str = "
            update fleet set totals_ms = $1, device_total = $2, online_total = $3,
                offline_total = $4, registered_total = $5, un_registered_total = $6,
                user_total = $7";
        sqlx::query(WRITE)
            .bind(now.unix_ms())
            .bind(totals.device_total)
            .bind(totals.online_total)
            .bind(totals.offline_total)
            .bind(totals.registered_total)
            .bind(totals.un_registered_total)
            .bind(totals.user_total)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Writes what a walk through the list changes. A list that was read to its end is noted in one
    /// row, which then says of every listed device when it was last seen.
    async fn keep_listing(&mut self, listing: &Listing, now: Timestamp) -> Result<(), StoreError> {
        const SHOWN: &str = "
            update device set is_listed = 1, listed_ms = $2
            where sn in (select value from json_each($1))";
        const LISTED_AGAIN: &str = "
            update device set is_listed = 1
            where is_listed = 0 and sn in (select value from json_each($1))";
        self.respell(&listing.respelled).await?;
        self.keep_changed(&listing.changed, now).await?;
        if !listing.unchanged.is_empty() {
            let shown: Vec<_> = listing.unchanged.iter().map(|sn| sn.as_str()).collect();
            let is_at_once = listing.is_complete && listing.since.is_none();
            sqlx::query(if is_at_once { LISTED_AGAIN } else { SHOWN })
                .bind(serde_json::to_string(&shown)?)
                .bind(now.unix_ms())
                .execute(&mut self.connection)
                .await?;
        }
        if listing.is_complete {
            self.keep_gone(listing, now).await?;
            // Who was on an early page was seen when the reading began, and not later.
            sqlx::query("update fleet set listed_ms = $1")
                .bind(listing.since.unwrap_or(now).unix_ms())
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    /// Writes serial numbers in RCMS's letters of today. Where older versions made two routers of one,
    /// both stay as they are.
    async fn respell(
        &mut self,
        respelled: &[(SerialNumber, SerialNumber)],
    ) -> Result<(), StoreError> {
        const RESPELL: &str = "
            update device set sn = row.value ->> 1 from json_each($1) as row
            where device.sn = row.value ->> 0
                and not exists (select 1 from device as other where other.sn = row.value ->> 1)";
        if respelled.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> =
            respelled.iter().map(|(stored, now)| (stored.as_str(), now.as_str())).collect();
        let rows = serde_json::to_string(&rows)?;
        sqlx::query(RESPELL).bind(rows).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn keep_changed(
        &mut self,
        changed: &[ListedDevice],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const HISTORY: &str = "
            insert into device_history (id, device_id, at_ms, what, state)
            select (select last from seq) + row_number() over (order by row.key), device.id, $2,
                'state', row.value ->> 7
            from json_each($1) as row join device on device.sn = row.value ->> 0
            where device.id > $3 or device.state <> row.value ->> 7";
        const CHANGE: &str = "
            update device set name = row.value ->> 1, model = row.value ->> 2,
                device_group = row.value ->> 3, firmware_version = row.value ->> 4,
                description = row.value ->> 5, create_time = row.value ->> 6,
                state_ms = case
                    when device.state = row.value ->> 7 then device.state_ms
                    when device.state = 'unknown' and device.known_state = row.value ->> 7
                        then device.known_ms
                    else $2
                end,
                known_state = iif(device.state = 'unknown', device.known_state, device.state),
                known_ms = iif(device.state = 'unknown', device.known_ms, device.state_ms),
                state = row.value ->> 7, extra = row.value ->> 8, is_listed = 1, listed_ms = $2
            from json_each($1) as row where device.sn = row.value ->> 0";
        if changed.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = changed
            .iter()
            .map(|device| {
                let ListedDevice { name, model, group, firmware_version, .. } = device;
                let names = (device.sn.as_str(), &**name, &**model, &**group, &**firmware_version);
                let (sn, name, model, group, firmware) = names;
                let (description, created) = (&*device.description, &*device.create_time);
                let (state, extra) = (device.state.as_str(), &device.extra);
                (sn, name, model, group, firmware, description, created, state, extra)
            })
            .collect();
        let rows = serde_json::to_string(&rows)?;
        let known = self.make_devices(&rows, now).await?;
        let states = sqlx::query(HISTORY)
            .bind(&rows)
            .bind(now.unix_ms())
            .bind(known)
            .execute(&mut self.connection)
            .await?
            .rows_affected();
        self.use_ids(states).await?;
        sqlx::query(CHANGE).bind(&rows).bind(now.unix_ms()).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Of what the list holds no more we cannot say anything. It keeps the moment at which the list
    /// last held it, because the fleet's row no longer stands for it.
    async fn keep_gone(&mut self, listing: &Listing, now: Timestamp) -> Result<(), StoreError> {
        const HISTORY: &str = "
            insert into device_history (id, device_id, at_ms, what, state)
            select (select last from seq) + row_number() over (order by id), id, $2, 'state',
                'unknown'
            from device
            where state <> 'unknown' and sn in (select value from json_each($1))";
        const GO: &str = "
            update device set is_listed = 0, listed_ms = seen.seen_ms,
                known_state = iif(device.state = 'unknown', device.known_state, device.state),
                known_ms = iif(device.state = 'unknown', device.known_ms, device.state_ms),
                state_ms = iif(device.state = 'unknown', device.state_ms, $2), state = 'unknown'
            from device_seen as seen
            where seen.id = device.id and device.sn in (select value from json_each($1))";
        if listing.gone.is_empty() {
            return Ok(());
        }
        let gone: Vec<_> = listing.gone.iter().map(|sn| sn.as_str()).collect();
        let gone = serde_json::to_string(&gone)?;
        let states = sqlx::query(HISTORY)
            .bind(&gone)
            .bind(now.unix_ms())
            .execute(&mut self.connection)
            .await?
            .rows_affected();
        self.use_ids(states).await?;
        sqlx::query(GO).bind(&gone).bind(now.unix_ms()).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Makes the devices that are not there, of JSON rows that begin with a serial number; their
    /// state is unknown and the list has never shown them. Gives the newest number before.
    pub(super) async fn make_devices(
        &mut self,
        rows: &str,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        // The number of one that was forgotten is not given again.
        const KNOWN: &str = "
            select max(coalesce((select max(id) from device), 0), forgotten_id) from fleet";
        const MAKE: &str = "
            insert into device (id, sn, state_ms)
            select $3 + row_number() over (order by row.key), row.value ->> 0, $2
            from json_each($1) as row
            where not exists (select 1 from device where sn = row.value ->> 0)
            on conflict (sn) do nothing";
        let known: i64 = sqlx::query_scalar(KNOWN).fetch_one(&mut self.connection).await?;
        sqlx::query(MAKE)
            .bind(rows)
            .bind(now.unix_ms())
            .bind(known)
            .execute(&mut self.connection)
            .await?;
        Ok(known)
    }

    /// Takes so many ids of the one sequence, which were just given to rows of history.
    pub(super) async fn use_ids(&mut self, ids: u64) -> Result<(), StoreError> {
        let ids = i64::try_from(ids).unwrap_or(i64::MAX);
        if ids > 0 {
            sqlx::query("update seq set last = last + $1")
                .bind(ids)
                .execute(&mut self.connection)
                .await?;
            self.tail.last_id += ids;
        }
        Ok(())
    }
}

/// How long a state holds.
fn good_for_ms(freshness: Freshness) -> i64 {
    freshness.now.unix_ms().saturating_sub(freshness.oldest().unix_ms())
}
