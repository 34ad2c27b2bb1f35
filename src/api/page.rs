//! Lists, a page at a time: `{"data": […], "next_cursor": …}` and a `Link` to the next one.

use actix_web::http::header::LINK;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::cursor;
use super::params::Params;
use super::problem::Problem;
use crate::store::read::Page;

/// Rows in a page when the client does not say.
pub const PAGE_DEFAULT: usize = 50;
/// Rows in a page, at the most.
pub const PAGE_MAX: usize = 200;

/// Which part of which list is asked for.
#[derive(Debug)]
pub(super) struct Window {
    list: &'static str,
    before: Option<i64>,
    limit: usize,
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
#[schema(as = Page)]
pub(super) struct Paged<View> {
    /// The rows, newest first.
    data: Vec<View>,
    /// For the parameter `cursor` of the next request; `null` on the last page. Opaque, and good for this list alone.
    #[schema(examples("1001a1f0c3e5b7000c0ffee12"))]
    next_cursor: Option<String>,
}

/// Which part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
pub(super) struct PageQuery {
    /// Rows in the page, at the most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before, unchanged.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

const _: () = assert!(PAGE_DEFAULT == 50 && PAGE_MAX == 200, "the document says so");

impl Window {
    /// What `limit` and `cursor` among `params` ask of `list`.
    pub(super) fn of(list: &'static str, params: &Params) -> Result<Self, Problem> {
        let limit = params.parsed("limit", &format!("a number from 1 to {PAGE_MAX}"), |text| {
            text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit))
        })?;
        let before = params.parsed(
            "cursor",
            &format!("a `next_cursor` of the list of {list}, unchanged"),
            |text| cursor::decode(list, text),
        )?;
        Ok(Self { list, before, limit: limit.unwrap_or(PAGE_DEFAULT) })
    }

    /// For the store: one row more than is shown tells whether there is a next page.
    pub(super) fn page(&self) -> Page {
        Page { before: self.before, limit: self.limit as u64 + 1 }
    }

    /// The answer that shows `rows`.
    pub(super) fn answer<Row, View>(
        &self,
        request: &HttpRequest,
        params: &Params,
        mut rows: Vec<Row>,
        id: impl Fn(&Row) -> i64,
    ) -> HttpResponse
    where
        View: From<Row> + Serialize,
    {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next_cursor = rows.last().filter(|_| more).map(|row| cursor::encode(self.list, id(row)));
        let mut response = HttpResponse::Ok();
        if let Some(cursor) = &next_cursor {
            let next = params.with_cursor(request.path(), cursor);
            response.insert_header((LINK, format!("<{next}>; rel=\"next\"")));
        }
        let data: Vec<View> = rows.into_iter().map(View::from).collect();
        response.json(Paged { data, next_cursor })
    }
}
