//! `GET /api/whatsapp/stats`: what was counted, of all time or of a range, and what waits now.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::openapi::words::EveryText;
use super::params::Params;
use super::problem::Problem;
use super::view::{Time, age_seconds};
use crate::clock::Millis;
use crate::store::Store;
use crate::store::read::{Backlog, Every, Period, Statistics, Times};

/// Menu options that are told, those that were chosen most often.
pub(super) const MENU_OPTIONS_MAX: usize = 100;

/// The counts are of the number asked for, or of all, and of the range from `since` until `until`, or of all time; what waits
/// is of all numbers and of now.
#[derive(Serialize, ToSchema)]
struct Stats {
    phone_number_id: Option<String>,
    /// When the first hour or day that is counted began; `null` for all time.
    since: Option<Time>,
    /// When the last hour or day that is counted ends.
    until: Option<Time>,
    #[serde(flatten)]
    counts: Counts,
    /// Each hour or day of the range, where asked for.
    periods: Vec<PeriodView>,
    queue: Queue,
    unfinished_events: i64,
    oldest_unfinished_age_seconds: Option<f64>,
    quarantined_events: i64,
    ambiguous_messages: i64,
}

/// An hour or a day.
#[derive(Serialize, ToSchema)]
#[schema(as = Period)]
struct PeriodView {
    since: Time,
    until: Time,
    #[serde(flatten)]
    counts: Counts,
}

/// What was counted.
#[derive(Serialize, ToSchema)]
struct Counts {
    messages: Messages,
    /// People who wrote, each once.
    unique_contacts: i64,
    /// People who came to be known, less those who turned out to be somebody known.
    new_contacts: i64,
    response_time_ms: ResponseTime,
    /// Those that were chosen most often, up to 100.
    menu_options: Vec<MenuOption>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = MessageCounts)]
struct Messages {
    received: i64,
    sent: i64,
    received_by_type: BTreeMap<String, i64>,
    sent_by_type: BTreeMap<String, i64>,
    /// How far the messages sent have come by now.
    sent_by_status: BTreeMap<String, i64>,
}

/// From accepting what a person wrote to Meta's id of the reply.
#[derive(Serialize, ToSchema)]
struct ResponseTime {
    p50: Option<Millis>,
    p95: Option<Millis>,
    p99: Option<Millis>,
    count: i64,
}

#[derive(Serialize, ToSchema)]
struct MenuOption {
    state: String,
    option: String,
    count: i64,
}

/// What waits to be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queue {
    by_state: BTreeMap<String, i64>,
    oldest_age_seconds: Option<f64>,
}

impl Queue {
    pub(super) fn new(backlog: &Backlog, now: Millis) -> Self {
        Self {
            by_state: backlog.by_state.clone(),
            oldest_age_seconds: backlog.oldest_at.map(|at| age_seconds(now, at)),
        }
    }
}

/// Which counts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the document; parameters are read one by one")]
struct StatsQuery {
    /// Of this number of ours; else of all.
    #[param(min_length = 1)]
    phone_number_id: Option<String>,
    /// From the hour or day on in which this time is; else of all time.
    #[param(value_type = Option<Time>)]
    since: Option<String>,
    /// Up to the end of the hour or day before which this time is; needs `since`. Without it, until now.
    #[param(value_type = Option<Time>)]
    until: Option<String>,
    /// Whether each hour (up to 168) or day (up to 1,000) of UTC is told as well; needs `since`.
    #[param(value_type = Option<EveryText>)]
    by: Option<String>,
}

/// The counts of all time or of a range, of one number or of all, and what waits now.
#[utoipa::path(
    get,
    path = "/api/whatsapp/stats",
    params(StatsQuery),
    responses((status = 200, description = "The counts.", body = Stats))
)]
pub(super) async fn stats(request: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let params = Params::of(&request, &["phone_number_id", "since", "until", "by"])?;
    let number = params.text("phone_number_id");
    let now = store.clock().now();
    let range = Range::of(&params, now)?;
    let (counts, periods) = match range {
        None => (store.statistics(number.clone()).await?, Vec::new()),
        Some(Range { every, since, parts, .. }) => {
            store.statistics_of(number.clone(), every, since, parts).await?
        }
    };
    let backlog = store.backlog().await?;
    let shown = range.filter(|range| range.divided).map(|range| range.every);
    let periods =
        shown.map(|every| periods.into_iter().map(|period| PeriodView::new(period, every)).collect());
    Ok(HttpResponse::Ok().json(Stats {
        phone_number_id: number,
        since: range.map(|range| Time(range.since)),
        until: range.map(|range| Time(range.until())),
        counts: counts.into(),
        periods: periods.unwrap_or_default(),
        queue: Queue::new(&backlog, now),
        unfinished_events: store.unfinished(),
        oldest_unfinished_age_seconds: backlog.oldest_unfinished_at.map(|at| age_seconds(now, at)),
        quarantined_events: backlog.quarantined,
        ambiguous_messages: backlog.by_state.get("ambiguous").copied().unwrap_or(0),
    }))
}

/// Whole hours or days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    every: Every,
    since: Millis,
    parts: i64,
    /// Whether each of them is shown.
    divided: bool,
}

impl Range {
    /// What `since`, `until` and `by` ask for at `now`: the hours or days in which the range lies; `None` for all time.
    fn of(params: &Params, now: Millis) -> Result<Option<Self>, Problem> {
        let by = params.parsed("by", "`hour`, `day` or `total`", |text| match text {
            "hour" => Some(Some(Every::Hour)),
            "day" => Some(Some(Every::Day)),
            "total" => Some(None),
            _ => None,
        })?;
        let Times { since, until } = params.times()?;
        let Some(since) = since else {
            return match (until, by.flatten()) {
                (None, None) => Ok(None),
                (Some(_), _) => {
                    Err(Problem::parameter("until", "`until` needs `since` beside it".to_owned()))
                }
                (None, Some(_)) => Err(Problem::parameter(
                    "by",
                    "`by=hour` and `by=day` need `since` beside them".to_owned(),
                )),
            };
        };
        let until = until.unwrap_or(now.saturating_add(1)).max(since.saturating_add(1));
        let whole = |every: Every| Self::whole(every, since, until, by.flatten().is_some());
        let range = match by.flatten() {
            Some(every) => whole(every),
            None => Some(whole(Every::Hour)).filter(Self::is_allowed).unwrap_or_else(|| whole(Every::Day)),
        };
        if range.is_allowed() {
            return Ok(Some(range));
        }
        let (unit, mend) = match range.every {
            Every::Hour => ("hours", "ask `by=day`, or for less"),
            Every::Day => ("days", "ask for less"),
        };
        let (parts, max) = (range.parts, range.every.parts_max());
        let detail =
            format!("from `since` to `until` it is {parts} {unit}, at most {max} are told at once; {mend}");
        Err(Problem::parameter("since", detail))
    }

    fn whole(every: Every, since: Millis, until: Millis, divided: bool) -> Self {
        let length = every.length();
        let first = since.div_euclid(length);
        let parts = (until - 1).div_euclid(length) - first + 1;
        Self { every, since: first * length, parts, divided }
    }

    fn is_allowed(&self) -> bool {
        self.parts <= self.every.parts_max()
    }

    fn until(&self) -> Millis {
        self.since + self.parts * self.every.length()
    }
}

impl PeriodView {
    fn new(period: Period, every: Every) -> Self {
        let until = period.since + every.length();
        Self { since: Time(period.since), until: Time(until), counts: period.counts.into() }
    }
}

impl From<Statistics> for Counts {
    fn from(counts: Statistics) -> Self {
        let option = |(state, option, count): (String, String, i64)| MenuOption { state, option, count };
        Self {
            unique_contacts: counts.active_contacts,
            new_contacts: counts.contacts,
            response_time_ms: ResponseTime {
                p50: counts.response_p50_ms,
                p95: counts.response_p95_ms,
                p99: counts.response_p99_ms,
                count: counts.responses,
            },
            menu_options: counts.chosen.into_iter().take(MENU_OPTIONS_MAX).map(option).collect(),
            messages: Messages {
                received: counts.received,
                sent: counts.sent,
                received_by_type: counts.received_by_type,
                sent_by_type: counts.sent_by_type,
                sent_by_status: counts.sent_by_status,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{DAY, HOUR};

    /// 2023-11-14T22:13:20Z.
    const NOW: Millis = 1_700_000_000_000;

    fn range(query: &str) -> Result<Option<Range>, Problem> {
        Range::of(&Params::parse(query, &["since", "until", "by"]).unwrap(), NOW)
    }

    #[test]
    fn a_range_is_told_in_whole_hours_or_days() {
        let hour = NOW - NOW % HOUR;
        let day = NOW - NOW % DAY;
        for (query, every, since, parts, divided) in [
            ("since=2023-11-14T20:59:59Z&by=hour", Every::Hour, hour - 2 * HOUR, 3, true),
            (
                "since=2023-11-14T20:00:00Z&until=2023-11-14T21:00:00Z&by=hour",
                Every::Hour,
                hour - 2 * HOUR,
                1,
                true,
            ),
            (
                "since=2023-11-14T20:00:00Z&until=2023-11-14T21:00:00.001Z&by=hour",
                Every::Hour,
                hour - 2 * HOUR,
                2,
                true,
            ),
            ("since=2023-11-13T23:00:00-01:00&by=day", Every::Day, day, 1, true),
            ("since=2023-11-13T12:00:00Z", Every::Hour, day - 12 * HOUR, 35, false),
            ("since=2023-11-01T12:00:00Z&by=total", Every::Day, day - 13 * DAY, 14, false),
            ("since=2023-11-15T12:00:00Z&by=day", Every::Day, day + DAY, 1, true),
        ] {
            assert_eq!(range(query), Ok(Some(Range { every, since, parts, divided })), "{query}");
        }
        assert_eq!((range(""), range("by=total")), (Ok(None), Ok(None)));
    }

    #[test]
    fn a_range_that_is_too_long_or_has_no_beginning_is_refused() {
        for (query, field, word) in [
            ("by=day", "by", "since"),
            ("until=2023-11-14T20:00:00Z", "until", "since"),
            ("since=2023-01-01T00:00:00Z&by=hour", "since", "by=day"),
            ("since=2001-01-01T00:00:00Z", "since", "at most 1000"),
            ("since=2023-11-14T20:00:00Z&until=2023-11-14T20:00:00Z", "until", "later"),
            ("since=yesterday", "since", "2027-01-31T18:00:00Z"),
            ("by=week", "by", "`total`"),
        ] {
            let problem = range(query).unwrap_err();
            assert!(problem.to_string().contains(word), "{query}: {problem}");
            let json = problem.to_string();
            assert!(json.contains(field), "{query}: {json}");
        }
    }
}
