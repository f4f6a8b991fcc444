//! `/v1/changes`: everything that is stored, in order of commit. Who follows it has each row once.
use std::time::Duration;

use axum::{
    extract::{RawQuery, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use tokio::time::{Instant, sleep_until};

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
        auth::Reader,
        paging::{Binding, Links, cursor_link, decode_cursor},
        query_string::append,
    },
    store::StoreError,
};

/// Rows of an answer that nobody chose the size of.
const SIZE_DEFAULT: u32 = 100;

/// How long a waiting reader rests between two looks at the store: a flood of what it did not ask
/// for must not keep it busy.
const REST: Duration = Duration::from_millis(20);

/// `GET /v1/changes`
pub(super) async fn show(
    State(state): State<InternalState>,
    _: Reader,
    base: Base,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let question = params::CHANGES.read(query.as_deref())?;
    let follower = Follower::new(state, question)?;
    let rows = follower.wait().await?;
    let view = View { base, sms_text_field: follower.state.settings.sms_text_field.clone() };
    let mut body = b"[".to_vec();
    for row in &rows {
        if body.len() > 1 {
            body.push(b',');
        }
        change_row::write(&mut body, row, &view)?;
    }
    body.push(b']');
    let content_type = HeaderValue::from_static("application/json");
    let mut response = ([(header::CONTENT_TYPE, content_type)], body).into_response();
    add_link(&mut response, &follower.link(&rows, &view.base));
    Ok(response)
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
    after: i64,
    size: PageSize,
}

impl Follower {
    fn new(state: InternalState, question: Question) -> Result<Self, ApiError> {
        let rows = question.size.unwrap_or(SIZE_DEFAULT);
        let size = PageSize::within(rows, PageSize::MAX)
            .ok_or_else(|| params::CHANGES.invalid("size", "from 1 to 1000"))?;
        let filter = question.digest(params::CHANGES.resource);
        let binding = Binding { epoch: state.store.epoch(), filter };
        let after = match question.cursor.as_deref().unwrap_or_default() {
            "" => 0,
            token => decode_cursor(token, binding)
                .map_err(|error| refused_token(&params::CHANGES, "cursor", error))?,
        };
        Ok(Self { state, question, binding, after, size })
    }

    /// The next rows, as soon as there are any, or none when the time is up.
    async fn wait(&self) -> Result<Vec<Change>, StoreError> {
        let wait = self.question.live.wait.as_ref().map_or(Duration::ZERO, |(wait, _)| *wait);
        let ends = Instant::now() + wait;
        let (filter, stop) = (filter_of(&self.question, false), &self.state.live.stop);
        let mut newest = self.state.intake.newest();
        loop {
            // What is committed from here on wakes us below, whether or not this read sees it.
            newest.mark_unchanged();
            let changes = self.state.store.changes(&filter, self.after, self.size.rows()).await?;
            let news = async {
                sleep_until(Instant::now() + REST).await;
                newest.changed().await
            };
            if !changes.rows.is_empty() || wait.is_zero() {
                return Ok(changes.rows);
            }
            tokio::select! {
                Ok(()) = news => (),
                () = sleep_until(ends) => return Ok(Vec::new()),
                () = stop.cancelled() => return Ok(Vec::new()),
            }
        }
    }

    /// Where to go on: behind the last row, or where we are.
    fn link(&self, rows: &[Change], base: &Base) -> String {
        let after = rows.last().map_or(self.after, Change::id);
        let mut same_rows = self.question.same_rows();
        if let Some((_, wait)) = &self.question.live.wait {
            append(&mut same_rows, "wait", wait);
        }
        let url = base.url("/v1/changes");
        let (binding, first_page) = (self.binding, self.state.settings.first_page);
        let links = Links { url: &url, same_rows: &same_rows, binding, first_page };
        cursor_link(after, self.size, &links)
    }
}
