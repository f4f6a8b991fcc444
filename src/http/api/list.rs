//! Any list: by page, by cursor, whole, and one row of it.
use std::borrow::Cow;

use axum::{
    extract::{FromRequestParts, RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    InternalState,
    base::Base,
    cells::Cells,
    error::{ApiError, Invalid},
    export,
    params::{Question, Route},
    respond::{self, Form},
    row_id::RowId,
};
use crate::{
    domain::{PageSize, Place, Scope, Walk},
    http::{
        auth::{Guest, Reader},
        paging::{
            At, Binding, Edges, Key, Links, Page, SKIP_MAX, TokenError, cursor_link, decode_cursor,
        },
        problem::{Code, FieldError},
    },
    store::{Heavy, Portion, Store, StoreError},
};

/// Rows on a page that nobody chose the size of.
const SIZE_DEFAULT: u32 = 20;
/// Rows on a page at most, as with SmartHub.
const PAGE_ROWS_MAX: u32 = 100;

const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// What a row needs to know of the request to be shown.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// What links begin with.
    pub(super) base: Base,
    /// The field that holds a message's text.
    pub(super) sms_text_field: Option<String>,
}

/// What one read of a list gives.
pub(super) type RowsOf<L> = Portion<<L as List>::Row, <L as List>::Key>;

/// A resource that is a list of rows, from the newest to the oldest.
pub(super) trait List: Sized + Send + Sync + 'static {
    /// Its parameters and its name.
    const ROUTE: &'static Route;
    /// Who may look.
    const SCOPE: Scope = Scope::Read;
    /// What the rows depend on beside the query string: whose they are, or as of when.
    type Within: FromRequestParts<InternalState> + Send + Sync + 'static;
    /// A row as the store gives it.
    type Row: Send + Sync + 'static;
    /// What tells a row's place in the list's order.
    type Key: Key + PartialEq;
    /// A row as the client reads it.
    type Out<'a>: Serialize;

    /// Where the list is, below `/v1/`.
    fn path(_: &Self::Within) -> Cow<'static, str> {
        Self::ROUTE.resource.into()
    }
    /// The newest id.
    fn top(store: &Store) -> impl Future<Output = Result<i64, StoreError>> + Send;
    /// The rows of one page, or the first of them: one portion.
    fn rows(
        store: &Store,
        within: &Self::Within,
        question: &Question,
        walk: &Walk<Self::Key>,
    ) -> impl Future<Output = Result<RowsOf<Self>, StoreError>> + Send;
    /// How many rows there are up to `top`.
    fn count(
        store: &Store,
        within: &Self::Within,
        question: &Question,
        top: i64,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
    /// A row's place in the order: its number, in a list that goes by that.
    fn id(row: &Self::Row) -> Self::Key;
    /// A row as JSON.
    fn out<'a>(row: &'a Self::Row, view: &'a View) -> Result<Self::Out<'a>, ApiError>;
    /// The names of a table's columns.
    fn columns(view: &View) -> Vec<&'static str>;
    /// A row as cells, as many as there are columns.
    fn cells(row: &Self::Row, view: &View, cells: &mut Cells) -> Result<(), ApiError>;
}

/// A list of which one row can be asked for alone.
pub(super) trait ById: List {
    /// The row with this number.
    fn by_id(
        store: &Store,
        id: i64,
    ) -> impl Future<Output = Result<Option<Self::Row>, StoreError>> + Send;
}

/// `GET /v1/{list}`
pub(super) async fn show<L: List>(
    State(state): State<InternalState>,
    guest: Guest,
    within: L::Within,
    base: Base,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    guest.must_have(L::SCOPE, L::ROUTE.resource)?;
    let question = L::ROUTE.read(query.as_deref())?;
    let form = Form::of(&question, &headers);
    let view = View { base, sms_text_field: state.settings.sms_text_field.clone() };
    let list = Asked::<L> { state, guest, within, question, view, form };
    let is_paged = list.question.page.is_some()
        || list.question.size.is_some()
        || list.question.at.is_some()
        || list.question.cursor.is_some();
    let mut response = if !is_paged && form.is_export() {
        export::stream(list).await?
    } else if list.question.cursor.is_some() {
        list.cursor().await?
    } else {
        list.page().await?
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// `GET /v1/{list}/{id}`
pub(super) async fn show_one<L: ById>(
    State(state): State<InternalState>,
    _: Reader,
    base: Base,
    id: RowId,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    super::params::read_none(L::ROUTE.resource, query.as_deref())?;
    let row = L::by_id(&state.store, id.of(L::ROUTE.resource)?).await?;
    let row = row.ok_or(ApiError::NoSuchRow(L::ROUTE.resource))?;
    let view = View { base, sms_text_field: state.settings.sms_text_field.clone() };
    Ok(axum::Json(L::out(&row, &view)?).into_response())
}

/// A list as it was asked for.
pub(super) struct Asked<L: List> {
    pub(super) state: InternalState,
    pub(super) guest: Guest,
    pub(super) within: L::Within,
    pub(super) question: Question,
    /// What its rows need to be shown.
    pub(super) view: View,
    /// In which form.
    pub(super) form: Form,
}

impl<L: List> Asked<L> {
    /// The newest id there is now.
    pub(super) async fn top(&self) -> Result<i64, StoreError> {
        L::top(&self.state.store).await
    }

    /// A place among the heavy reads, or the news that there is none soon.
    pub(super) async fn place_among_heavy(&self) -> Result<Heavy, StoreError> {
        self.state.store.heavy_for(&self.guest.caller.label).await
    }

    /// The next place among the heavy reads, unless the key has ended meanwhile.
    pub(super) async fn turn_among_heavy(&self) -> Result<Heavy, ApiError> {
        let place = self.state.store.heavy_in_turn_for(&self.guest.caller.label).await?;
        if self.guest.may_stay().await { Ok(place) } else { Err(ApiError::NoKey) }
    }

    /// The rows of one read.
    pub(super) async fn read(&self, walk: &Walk<L::Key>) -> Result<RowsOf<L>, StoreError> {
        L::rows(&self.state.store, &self.within, &self.question, walk).await
    }

    /// The rows of one page, as many as are read at once.
    async fn rows(&self, walk: &Walk<L::Key>) -> Result<RowsOf<L>, StoreError> {
        let _place = self.place_if_narrowed().await?;
        self.read(walk).await
    }

    /// A filter may leave few rows among many, which all have to be looked at.
    async fn place_if_narrowed(&self) -> Result<Option<Heavy>, StoreError> {
        match self.question.is_narrowed() {
            true => self.place_among_heavy().await.map(Some),
            false => Ok(None),
        }
    }

    async fn count(&self, top: i64) -> Result<u64, ApiError> {
        let _place = self.place_if_narrowed().await?;
        let count = L::count(&self.state.store, &self.within, &self.question, top).await;
        count.map_err(|error| match error {
            StoreError::TooSlow => use_cursor::<L>("Counting these rows takes too long.").into(),
            other => other.into(),
        })
    }

    async fn page(self) -> Result<Response, ApiError> {
        let page = self.which_page().await?;
        let Portion { rows, left } = self.rows(&page.walk()).await?;
        let oldest = left.last().copied().or_else(|| rows.last().map(L::id));
        let edges = rows.first().map(L::id).zip(oldest);
        let edges = edges.map(|(newest, oldest)| Edges { newest, oldest });
        let url = self.url();
        let same_rows = self.question.same_rows();
        let link = page.links(edges, &self.links(&url, &same_rows));
        // A page by number has all its rows, or those after them would stand on no page.
        let mut response = match left.is_empty() {
            true => respond::rows::<L>(rows, &self.view, self.form).await?,
            false => export::page(self, Portion { rows, left }).await?,
        };
        response.headers_mut().insert(TOTAL_COUNT, HeaderValue::from(page.total));
        add_link(&mut response, &link);
        Ok(response)
    }

    /// Where `at` says, if the page is the one that `at` was made for; else so far down.
    async fn which_page(&self) -> Result<Page<L::Key>, ApiError> {
        let first_page = self.state.settings.first_page;
        let at = match &self.question.at {
            Some(at) => Some(At::decode(at, self.binding()).map_err(refused::<L>("at"))?),
            None => None,
        };
        let size = self.size(at.map(|at| at.size), PAGE_ROWS_MAX)?;
        let number = match (self.question.page, at) {
            (Some(page), _) => page.checked_sub(u64::from(first_page)).ok_or_else(|| {
                L::ROUTE.invalid("page", &format!("at least {first_page}, the first page"))
            })?,
            (None, Some(at)) => at.page,
            (None, None) => 0,
        };
        let (top, total) = match at {
            Some(at) => (at.top, at.total),
            None => {
                let top = self.top().await?;
                (top, self.count(top).await?)
            }
        };
        let linked = at.filter(|at| at.page == number && at.size == size.rows());
        let place = match linked {
            Some(at) => at.place,
            None => skip::<L>(number, size, total)?,
        };
        Ok(Page { top, total, number, size, place })
    }

    async fn cursor(&self) -> Result<Response, ApiError> {
        if self.question.page.is_some() || self.question.at.is_some() {
            let field = if self.question.page.is_some() { "page" } else { "at" };
            let why = format!("`cursor` and `{field}` are two ways to walk a list: send one.");
            return Err(contradicts(L::ROUTE, field, why));
        }
        let size = self.size(None, PageSize::MAX)?;
        let token = self.question.cursor.as_deref().unwrap_or_default();
        let walk = if token.is_empty() {
            Walk { top: self.top().await?, place: Place::Newest, size }
        } else {
            let after = decode_cursor(token, self.binding()).map_err(refused::<L>("cursor"))?;
            older_than(after, size)
        };
        let Portion { rows, left } = self.rows(&walk).await?;
        let (oldest, is_full) = (rows.last().map(L::id), rows.len() == rows_of(size));
        let mut response = respond::rows::<L>(rows, &self.view, self.form).await?;
        if let Some(oldest) = oldest
            && (!left.is_empty() || (is_full && self.has_more(oldest).await?))
        {
            let url = self.url();
            let same_rows = self.question.same_rows();
            let link = cursor_link(oldest, size, &self.links(&url, &same_rows));
            add_link(&mut response, &link);
        }
        Ok(response)
    }

    async fn has_more(&self, oldest: L::Key) -> Result<bool, ApiError> {
        let walk = older_than(oldest, PageSize::ONE);
        let next = self.rows(&walk).await?;
        Ok(!next.rows.is_empty())
    }

    /// A size that only a cursor has contradicts a page: alone it would have been right.
    fn size(&self, linked: Option<u32>, max: u32) -> Result<PageSize, ApiError> {
        let rows = self.question.size.or(linked).unwrap_or(SIZE_DEFAULT);
        PageSize::within(rows, max).ok_or_else(|| {
            let why = format!("A page has at most {max} rows; with `cursor=` it may be 1000.");
            contradicts(L::ROUTE, "size", why)
        })
    }

    fn binding(&self) -> Binding {
        let filter = self.question.digest(&L::path(&self.within));
        Binding { epoch: self.state.store.epoch(), filter }
    }

    fn url(&self) -> String {
        self.view.base.url(&format!("/v1/{}", L::path(&self.within)))
    }

    fn links<'a>(&self, url: &'a str, same_rows: &'a str) -> Links<'a> {
        let first_page = self.state.settings.first_page;
        Links { url, same_rows, binding: self.binding(), first_page }
    }
}

/// The rows after the one with this id; its own id is the newest that matters.
pub(super) fn older_than<K: Key>(id: K, size: PageSize) -> Walk<K> {
    Walk { top: id.top(), place: Place::OlderThan(id), size }
}

/// The number of rows on a page, for comparing with how many came.
pub(super) fn rows_of(size: PageSize) -> usize {
    usize::try_from(size.rows()).unwrap_or(usize::MAX)
}

/// Beyond the last row there is nothing to skip: such a page is empty, however far it is.
fn skip<L: List>(number: u64, size: PageSize, total: u64) -> Result<Place<L::Key>, Invalid> {
    let rows = number.saturating_mul(u64::from(size.rows())).min(total);
    match u32::try_from(rows) {
        Ok(0) => Ok(Place::Newest),
        Ok(few) if rows < SKIP_MAX => Ok(Place::Skip(few)),
        _ => Err(use_cursor::<L>("A page number reaches the first 100,000 rows.")),
    }
}

fn use_cursor<L: List>(why: &str) -> Invalid {
    let detail = format!("{why} Use `cursor=` (empty to start) and follow `Link`, rel `next`.");
    Invalid::field(L::ROUTE.resource, "cursor", detail)
}

/// Two parameters, each right alone.
fn contradicts(route: &Route, field: &str, why: String) -> ApiError {
    let resource = route.resource;
    let error = FieldError { resource, field: field.to_owned(), code: Code::Invalid };
    ApiError::Conflict(why, Some(error))
}

fn refused<L: List>(field: &'static str) -> impl Fn(TokenError) -> ApiError {
    move |error| refused_token(L::ROUTE, field, error)
}

/// What to say of a token that is of no use here.
pub(super) fn refused_token(route: &Route, field: &'static str, error: TokenError) -> ApiError {
    match error {
        TokenError::Unreadable => {
            route.invalid(field, "one that came in a `Link`, unchanged").into()
        }
        TokenError::Foreign => {
            const WHY: &str = "The token belongs to another question, or to the store before a \
                               restore. Start again without it.";
            contradicts(route, field, WHY.to_owned())
        }
    }
}

pub(super) fn add_link(response: &mut Response, link: &str) {
    // Our links are percent-encoded and a Host is checked; what is none of that gets no links.
    if let Ok(link) = HeaderValue::from_str(link) {
        response.headers_mut().insert(header::LINK, link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::usage::Usage;

    #[test]
    fn a_page_by_number_reaches_the_first_100_000_rows_of_a_longer_list() {
        let size = PageSize::within(100, 100).expect("a size");
        let skipped = |number, total| skip::<Usage>(number, size, total).ok();
        assert_eq!(skipped(0, 1_000_000), Some(Place::Newest));
        assert_eq!(skipped(999, 1_000_000), Some(Place::Skip(99_900)));
        assert_eq!(skipped(1_000, 1_000_000), None);
        assert_eq!(skipped(1_000, 50), Some(Place::Skip(50)));
        assert_eq!(skipped(u64::MAX, 0), Some(Place::Newest));
    }
}
