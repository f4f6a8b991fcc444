//! `/v1/changes`: everything that is stored, in order of commit. Who follows it has each row once.
use std::{io, time::Duration};

use axum::{
    extract::{RawQuery, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

use super::{
    InternalState,
    base::Base,
    change_row,
    error::ApiError,
    list::{View, add_link, refused_token},
    params::{self, Question},
};
use crate::{
    domain::{Change, ChangeFilter, PageSize},
    http::{
        auth::Guest,
        paging::{Binding, Key, Links, cursor_link, decode_cursor},
        problem::{Code, FieldError},
        query_string::append,
    },
};

/// Rows of an answer that nobody chose the size of.
const SIZE_DEFAULT: u32 = 100;

/// How long a waiting reader rests between two looks at the store: a flood of what it did not ask
/// for must not keep it busy.
const REST: Duration = Duration::from_millis(20);

/// `GET /v1/changes`
pub(super) async fn show(
    State(state): State<InternalState>,
    guest: Guest,
    base: Base,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let question = params::CHANGES.read(query.as_deref())?;
    let follower = Follower::new(state, question).await?;
    let (rows, reach) = match follower.wait().await? {
        Looked::AtRows(rows, reach) => (rows, reach),
        Looked::AtGap(reach) => {
            // Who has been told goes on at the same place: what is kept after it still comes.
            let mut response = missed().into_response();
            add_link(&mut response, &follower.link(reach, &base));
            return Ok(response);
        }
    };
    // It may have waited; meanwhile the key may have ended.
    if !guest.has_live_key() {
        return Err(ApiError::NoKey);
    }
    let view = View { base, sms_text_field: follower.state.settings.sms_text_field.clone() };
    let base = view.base.clone();
    // Their texts may be long: see `Form::rows_aside`.
    let body = spawn_blocking(move || written(&rows, &view)).await.map_err(io::Error::from)??;
    let content_type = HeaderValue::from_static("application/json");
    let mut response = ([(header::CONTENT_TYPE, content_type)], body).into_response();
    add_link(&mut response, &follower.link(reach, &base));
    Ok(response)
}

fn written(rows: &[Change], view: &View) -> Result<Vec<u8>, ApiError> {
    let mut body = b"[".to_vec();
    for row in rows {
        if body.len() > 1 {
            body.push(b',');
        }
        change_row::write(&mut body, row, view)?;
    }
    body.push(b']');
    Ok(body)
}

/// Which records of the one sequence a question means.
pub(super) fn filter_of(question: &Question, with_tests: bool) -> ChangeFilter {
    let filter = &question.filter;
    let (giccid, sim_group) = (filter.giccid.clone(), filter.sim_group.clone());
    ChangeFilter { kind: filter.kind.clone(), giccid, sim_group, with_tests }
}

/// Who asks, and how far it has come.
struct Follower {
    state: InternalState,
    question: Question,
    binding: Binding,
    reach: Reach,
    size: PageSize,
}

/// What a look at the next rows finds.
enum Looked {
    /// Rows, or none, and how far it looked.
    AtRows(Vec<Change>, Reach),
    /// Rows are gone that were not read; from there they are told to have been missed.
    AtGap(Reach),
}

/// How far a reader has come, and how often stored records had gone by then: what goes later and
/// lies ahead of it, it misses.
#[derive(Clone, Copy, Debug)]
struct Reach {
    after: i64,
    generation: i64,
}

impl Key for Reach {
    const BYTES: usize = 16;

    fn put(self, bytes: &mut Vec<u8>) {
        self.after.put(bytes);
        self.generation.put(bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { after: i64::take(bytes)?, generation: i64::take(bytes)? })
    }

    fn top(self) -> i64 {
        self.after
    }
}

impl Follower {
    async fn new(state: InternalState, question: Question) -> Result<Self, ApiError> {
        let rows = question.size.unwrap_or(SIZE_DEFAULT);
        let size = PageSize::within(rows, PageSize::MAX)
            .ok_or_else(|| params::CHANGES.invalid("size", "from 1 to 1000"))?;
        let filter = question.digest(params::CHANGES.resource);
        let binding = Binding { epoch: state.store.epoch(), filter };
        let reach = match question.cursor.as_deref().unwrap_or_default() {
            "" => Reach { after: 0, generation: state.store.generation().await? },
            token => decode_cursor(token, binding)
                .or_else(|error| {
                    // Before anything was ever pruned, a cursor held no more than this.
                    let after = decode_cursor(token, binding).map_err(|_| error)?;
                    Ok(Reach { after, generation: 0 })
                })
                .map_err(|error| refused_token(&params::CHANGES, "cursor", error))?,
        };
        Ok(Self { state, question, binding, reach, size })
    }

    /// The next rows, as soon as there are any, or none when the time is up; and how far has been
    /// looked. That may be behind the last row: what a filter leaves out was looked at, too, and
    /// whoever has seen all that there is misses nothing when it is pruned.
    async fn wait(&self) -> Result<Looked, ApiError> {
        let wait = self.question.live.wait.as_ref().map_or(Duration::ZERO, |(wait, _)| *wait);
        let ends = Instant::now() + wait;
        let (filter, stop) = (filter_of(&self.question, false), &self.state.live.stop);
        let mut newest = self.state.intake.newest();
        loop {
            // What is committed from here on wakes us below, whether or not this read sees it.
            newest.mark_unchanged();
            let store = &self.state.store;
            let Reach { after, generation } = self.reach;
            let now_generation = store.generation().await?;
            let changes = store.changes(&filter, after, self.size.rows()).await?;
            let reach = Reach { after: changes.through, generation: now_generation };
            if store.has_missed(after, generation).await? {
                return Ok(Looked::AtGap(Reach { after, generation: now_generation }));
            }
            let news = async {
                sleep_until(Instant::now() + REST).await;
                newest.changed().await
            };
            if !changes.rows.is_empty() || wait.is_zero() {
                return Ok(Looked::AtRows(changes.rows, reach));
            }
            tokio::select! {
                Ok(()) = news => (),
                () = sleep_until(ends) => return Ok(Looked::AtRows(Vec::new(), reach)),
                () = stop.cancelled() => return Ok(Looked::AtRows(Vec::new(), reach)),
            }
        }
    }

    /// Where to go on.
    fn link(&self, reach: Reach, base: &Base) -> String {
        let mut same_rows = self.question.same_rows();
        if let Some((_, wait)) = &self.question.live.wait {
            append(&mut same_rows, "wait", wait);
        }
        let url = base.url("/v1/changes");
        let (binding, first_page) = (self.binding, self.state.settings.first_page);
        let links = Links { url: &url, same_rows: &same_rows, binding, first_page };
        cursor_link(reach, self.size, &links)
    }
}

/// Nobody is told that a row is there no more, so who was behind has to be told that some are not.
fn missed() -> ApiError {
    const WHY: &str = "Records after this cursor were pruned before they were read. Go on without \
                       them by `Link`, rel `next`, or start again without a cursor: all that is \
                       kept comes.";
    let field = "cursor".to_owned();
    let error = FieldError { resource: "changes", field, code: Code::Invalid };
    ApiError::Conflict(WHY.to_owned(), Some(error))
}
