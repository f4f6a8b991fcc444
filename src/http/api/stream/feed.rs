use std::{error::Error, time::Duration};

use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tracing::Span;

use crate::{
    domain::{Change, ChangeFilter},
    http::{
        api::{
            InternalState,
            change_row::{kind_of, write},
            error::ApiError,
            list::View,
            live::{Slot, StreamLimits},
        },
        auth::Guest,
    },
    store::{Store, StoreError},
};

/// Rows that are read and sent at once.
const ROWS_AT_ONCE: u32 = 100;
/// How long a stream rests between two looks at the store: a person sees no difference, and a flood
/// of small commits is read in few pieces.
const REST: Duration = Duration::from_millis(50);
/// How soon a stream ends whose key was revoked.
const KEY_LOOK_EVERY: Duration = Duration::from_millis(500);
/// Of which span a stream shows so many rows and counts the others.
const SPAN: Duration = Duration::from_secs(1);

/// One client's stream.
pub(super) struct Feed {
    state: InternalState,
    newest: watch::Receiver<i64>,
    guest: Guest,
    limits: StreamLimits,
    filter: ChangeFilter,
    view: View,
    /// Up to here all was sent, or counted in a tick.
    after: i64,
    /// How often stored records had gone when the client was last told that it misses some.
    generation: i64,
    /// Up to here nothing is left out, because it was there before the client came back.
    backlog_to: i64,
    /// What was shown of this second; none where rows are never left out.
    shown: Option<Shown>,
    said_at: Instant,
    /// Before then the store is not looked at again.
    rests_until: Instant,
    /// The request's, which the body outlives.
    span: Span,
    _slot: Slot,
}

#[derive(Clone, Copy)]
struct Shown {
    ends: Instant,
    rows: u32,
}

impl Feed {
    pub(super) fn new(
        state: InternalState,
        guest: Guest,
        slot: Slot,
        filter: ChangeFilter,
        view: View,
    ) -> Self {
        let (newest, limits) = (state.intake.newest(), state.live.limits());
        Self {
            state,
            newest,
            guest,
            limits,
            filter,
            view,
            after: 0,
            generation: 0,
            backlog_to: 0,
            shown: None,
            said_at: Instant::now(),
            rests_until: Instant::now(),
            span: Span::current(),
            _slot: slot,
        }
    }

    /// Finds its place: behind the row that the client has, or at the newest. Gives what is said
    /// first, so that the client, and every proxy between us, knows that the stream has begun.
    pub(super) async fn begin(
        &mut self,
        last_id: Option<i64>,
        newest: i64,
        sample: bool,
    ) -> Result<Vec<u8>, StoreError> {
        let mut said = b":\n\n".to_vec();
        self.after = last_id.unwrap_or(newest);
        // An id does not tell when the client had it, so all that ever went counts.
        said.extend(self.gap().await?.unwrap_or_default());
        if !sample {
            return Ok(said);
        }
        self.shown = Some(Shown { ends: Instant::now(), rows: 0 });
        self.backlog_to = newest;
        let store = &self.state.store;
        let rows = self.limits.backlog_rows_max;
        let begins = store.before_newest_changes(&self.filter, self.after, rows).await?;
        if begins > self.after {
            let left_out = counted(store, &self.filter, self.after, begins).await?;
            self.after = begins;
            said.extend(tick(rows, left_out, begins));
        }
        Ok(said)
    }

    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        match self.piece().await {
            Ok(piece) => piece,
            Err(error) => {
                let error = &error as &dyn Error;
                self.span.in_scope(|| tracing::warn!(error, "A stream was ended"));
                None
            }
        }
    }

    async fn piece(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        loop {
            if self.state.live.stop.is_cancelled() || !self.guest.may_stay().await {
                return Ok(None);
            }
            let room = self.room();
            if room == 0 {
                if let Some(tick) = self.end_of_second().await? {
                    return Ok(Some(self.say(tick)));
                }
                continue;
            }
            sleep_until(self.rests_until).await;
            // What is committed from here on wakes us below, whether or not this read sees it.
            self.newest.mark_unchanged();
            let changes = self.state.store.changes(&self.filter, self.after, room).await?;
            if let Some(gap) = self.gap().await? {
                return Ok(Some(self.say(gap)));
            }
            self.after = changes.through;
            // It waited and read; meanwhile the key may have ended.
            if !self.guest.may_stay().await {
                return Ok(None);
            }
            if !changes.rows.is_empty() {
                if changes.rows.len() < usize::try_from(room).unwrap_or(usize::MAX) {
                    self.rests_until = Instant::now() + REST;
                }
                let events = self.events(&changes.rows)?;
                return Ok(Some(self.say(events)));
            }
            if self.wait().await {
                return Ok(Some(self.say(b":\n\n".to_vec())));
            }
        }
    }

    /// What is said where rows that the client was to see are gone by age: it could not know. An
    /// erasure is an event of its own.
    async fn gap(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let missed = self.state.store.missed(self.after, self.generation).await?;
        Ok(missed.map(|missed| {
            self.generation = missed.generation;
            let (after, data) = (self.after, json!({"removed_through": missed.through}));
            format!("event: gap\nid: {after}\ndata: {data}\n\n").into_bytes()
        }))
    }

    /// How many rows may be sent now.
    fn room(&self) -> u32 {
        match self.shown {
            Some(shown) if self.after >= self.backlog_to => {
                let rows = if Instant::now() < shown.ends { shown.rows } else { 0 };
                self.limits.rows_a_second.saturating_sub(rows)
            }
            _ => ROWS_AT_ONCE,
        }
    }

    /// Rows as events, and counted.
    fn events(&mut self, rows: &[Change]) -> Result<Vec<u8>, ApiError> {
        if let Some(shown) = self.shown.as_mut().filter(|_| self.after > self.backlog_to) {
            let now = Instant::now();
            if now >= shown.ends {
                *shown = Shown { ends: now + SPAN, rows: 0 };
            }
            shown.rows += u32::try_from(rows.len()).unwrap_or(u32::MAX);
        }
        let mut text = Vec::new();
        for row in rows {
            let head = format!("event: {}\nid: {}\ndata: ", kind_of(row), row.id());
            text.extend(head.into_bytes());
            let begins = text.len();
            write(&mut text, row, &self.view)?;
            // Stored JSON is passed on as it came. A line break in it stands between its parts,
            // never in a text, and would end the event's line.
            for byte in &mut text[begins..] {
                if matches!(*byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
            text.extend(b"\n\n");
        }
        Ok(text)
    }

    /// Waits for the end of a second in which no more may be shown; tells what was left out of it.
    async fn end_of_second(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(Shown { ends, rows }) = self.shown else { return Ok(None) };
        tokio::select! {
            () = sleep_until(ends) => (),
            () = self.state.live.stop.cancelled() => return Ok(None),
        }
        if let Some(gap) = self.gap().await? {
            return Ok(Some(gap));
        }
        let through = (*self.newest.borrow()).max(self.after);
        let left_out = counted(&self.state.store, &self.filter, self.after, through).await?;
        self.after = through;
        Ok((left_out != Some(0)).then(|| tick(rows, left_out, through)))
    }

    /// Waits for something new, or until the client must hear that we are still there: then it is
    /// true.
    async fn wait(&mut self) -> bool {
        self.rests_until = Instant::now() + REST;
        let guest = &self.guest;
        let key_ended = async {
            while guest.has_live_key() {
                sleep(KEY_LOOK_EVERY).await;
            }
        };
        tokio::select! {
            Ok(()) = self.newest.changed() => false,
            () = sleep_until(self.said_at + self.limits.keep_alive) => true,
            () = key_ended => false,
            () = self.state.live.stop.cancelled() => false,
        }
    }

    fn say(&mut self, piece: Vec<u8>) -> Vec<u8> {
        self.said_at = Instant::now();
        piece
    }
}

/// How many rows there are; none where counting them takes too long.
async fn counted(
    store: &Store,
    filter: &ChangeFilter,
    after: i64,
    through: i64,
) -> Result<Option<u64>, StoreError> {
    match store.changes_count(filter, after, through).await {
        Ok(rows) => Ok(Some(rows)),
        Err(StoreError::TooSlow) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An event that says how many rows there were. Its id stands behind those that were left out: a
/// client that comes back goes on from there.
fn tick(shown: u32, left_out: Option<u64>, through: i64) -> Vec<u8> {
    let of = left_out.map(|rows| rows + u64::from(shown));
    let data = json!({"shown": shown, "of": of});
    format!("event: tick\nid: {through}\ndata: {data}\n\n").into_bytes()
}
