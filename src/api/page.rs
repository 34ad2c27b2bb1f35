//! Lists, a page at a time: `{"data": […], "next_cursor": …, "prev_cursor": …}`, and a `Link` to the pages that are there.
//!
//! `next_cursor` is `null` at the end of the list. `prev_cursor` is there as soon as a row was shown, because a list can get
//! new rows at any time: a client that asks with the last one it was given follows the list and misses nothing. A `Link` to
//! the previous page is given only where that has rows already.

use actix_web::http::header::LINK;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::cursor::{self, Step};
use super::openapi::words::OrderText;
use super::params::Params;
use super::problem::Problem;
use crate::store::read::{Found, Order, Page, Place};

/// Rows in a page when the client does not say.
pub const PAGE_DEFAULT: usize = 50;
/// Rows in a page, at the most.
pub const PAGE_MAX: usize = 200;

/// Which part of which list is asked for.
#[derive(Debug)]
pub(super) struct Window {
    /// The list in its order: a cursor is good for this alone.
    name: String,
    order: Order,
    step: Option<Step>,
    limit: usize,
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
#[schema(as = Page)]
pub(super) struct Paged<View> {
    /// The rows, in the order that was asked for. There can be fewer than `limit`, even none, although the list goes on.
    data: Vec<View>,
    /// For the parameter `cursor` of the next request; `null` at the end of the list. Opaque, and good for this list in this
    /// order alone.
    #[schema(examples("2n001a1f0c3e5b7000c0ffee12"))]
    next_cursor: Option<String>,
    /// The same to what comes before, where new rows may be by then; `null` as long as nothing was shown.
    #[schema(examples("2p001a1f0c3e5b7200badcafe5"))]
    prev_cursor: Option<String>,
}

/// Which part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
pub(super) struct PageQuery {
    /// Rows in the page, at the most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// A `next_cursor` or `prev_cursor` of this list in this order, unchanged.
    #[param(min_length = 1)]
    cursor: Option<String>,
    /// Whether the newest rows come first (`desc`) or the oldest (`asc`).
    #[param(value_type = Option<OrderText>)]
    order: Option<String>,
}

const _: () = assert!(PAGE_DEFAULT == 50 && PAGE_MAX == 200, "the document says so");

impl Window {
    /// What `limit`, `cursor` and `order` among `params` ask of `list`, which is shown newest first unless told otherwise.
    pub(super) fn of(list: &str, params: &Params) -> Result<Self, Problem> {
        Self::ordered(list, params, Order::NewestFirst)
    }

    /// As [`Window::of`], of a list that is shown in `order` unless told otherwise.
    pub(super) fn ordered(list: &str, params: &Params, order: Order) -> Result<Self, Problem> {
        let limit = params.parsed("limit", &format!("a number from 1 to {PAGE_MAX}"), |text| {
            text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit))
        })?;
        let asked =
            params.parsed("order", "`asc` (oldest first) or `desc` (newest first)", |text| match text {
                "asc" => Some(Order::OldestFirst),
                "desc" => Some(Order::NewestFirst),
                _ => None,
            })?;
        let order = asked.unwrap_or(order);
        let name = format!("{list}:{}", if order == Order::OldestFirst { "asc" } else { "desc" });
        let wanted =
            format!("a `next_cursor` or `prev_cursor` of the list of {list} in this order, unchanged");
        let step = params.parsed("cursor", &wanted, |text| cursor::decode(&name, text))?;
        Ok(Self { name, order, step, limit: limit.unwrap_or(PAGE_DEFAULT) })
    }

    /// For the store.
    pub(super) fn page(&self) -> Page {
        let place = match self.step {
            None => Place::Start,
            Some(Step::Next(key)) => Place::After(key),
            Some(Step::Previous(key)) => Place::Before(key),
        };
        Page { order: self.order, place, limit: self.limit as u64 }
    }

    /// The answer that shows what was `found`.
    pub(super) fn answer<Row, View>(
        &self,
        request: &HttpRequest,
        params: &Params,
        found: Found<Row>,
        key: impl Fn(&Row) -> i64,
    ) -> HttpResponse
    where
        View: From<Row> + Serialize,
    {
        let ends = found.rows.first().map(&key).zip(found.rows.last().map(&key));
        let Around { next, previous, is_known } = self.around(ends, found.rest);
        let encoded = |step: Option<Step>| step.map(|step| cursor::encode(&self.name, step));
        let (next_cursor, prev_cursor) = (encoded(next), encoded(previous));
        let links: Vec<String> =
            [(&next_cursor, "next"), (&prev_cursor.clone().filter(|_| is_known), "prev")]
                .into_iter()
                .filter_map(|(cursor, rel)| {
                    let page = params.with_cursor(request.path(), cursor.as_deref()?);
                    Some(format!("<{page}>; rel=\"{rel}\""))
                })
                .collect();
        let mut response = HttpResponse::Ok();
        if !links.is_empty() {
            response.insert_header((LINK, links.join(", ")));
        }
        let data: Vec<View> = found.rows.into_iter().map(View::from).collect();
        response.json(Paged { data, next_cursor, prev_cursor })
    }

    /// What is around a page whose first and last rows have the keys `ends`, and behind which the list goes on at `rest`.
    fn around(&self, ends: Option<(i64, i64)>, rest: Option<i64>) -> Around {
        // The key next to this one, further on in the list or further back.
        let (on, back) = if self.order == Order::NewestFirst { (-1, 1) } else { (1, -1) };
        match self.step {
            // Whoever asks for what is before has been here: there are rows behind, the one of the cursor among them.
            Some(Step::Previous(asked)) => Around {
                next: Some(Step::Next(ends.map_or(asked.saturating_add(back), |(_, last)| last))),
                previous: Some(Step::Previous(rest.or(ends.map(|(first, _)| first)).unwrap_or(asked))),
                is_known: rest.is_some(),
            },
            step => {
                let asked = match step {
                    Some(Step::Next(asked)) => Some(asked.saturating_add(on)),
                    Some(Step::Previous(_)) | None => None,
                };
                let first = ends.map(|(first, _)| first).or(asked);
                Around {
                    next: rest.map(Step::Next),
                    previous: first.map(Step::Previous),
                    is_known: step.is_some(),
                }
            }
        }
    }
}

/// What is around a page.
struct Around {
    next: Option<Step>,
    previous: Option<Step>,
    /// Whether there are rows before the page.
    is_known: bool,
}
