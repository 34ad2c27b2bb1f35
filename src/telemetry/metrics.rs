//! The numbers at `GET /metrics`: what is counted, and one short method for each place that counts.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::label::{DeliveryOutcome, FetchOutcome, Refusal, SendOutcome, SyncOutcome, TurnOutcome};
use crate::clock::Millis;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What every name begins with.
const PREFIX: &str = "switchboard";

/// Buckets of what should take milliseconds, in seconds.
const FAST_SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets of what Meta, its pacing and a backlog take part in, in seconds.
const SLOW_SECONDS: [f64; 14] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];
/// Buckets of the jobs in one commit.
const JOBS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// One label and its value.
type One = [(&'static str, &'static str); 1];

/// Where a request went and what it got.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    route: String,
    status: u16,
}

/// A number of ours. There are as many as are configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfNumber {
    number: String,
}

/// A system that is told what happens. There are as many as are configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutlet {
    outlet: String,
}

/// A class of messages of a number of ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfClass {
    number: String,
    class: &'static str,
}

/// How a number is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberGauges {
    /// Replies that wait.
    pub reply: usize,
    /// Other messages that wait.
    pub bulk: usize,
    /// Age of the oldest of them; 0.0 when there is none.
    pub oldest_seconds: f64,
    /// Whether nothing leaves.
    pub is_paused: bool,
    /// Messages per second at which they leave; none for no limit.
    pub rate: Option<f64>,
    /// How long it takes until all have left, where that is known.
    pub drain_seconds: Option<f64>,
}

/// All metrics of one program, or of one test. A clone counts into the same.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<All>);

/// Writes [`All`]: each line is a metric with its name, type, first value and help, so that none can be forgotten in the
/// registry.
macro_rules! metrics {
    ($($name:ident: $type:ty = $new:expr, $help:literal;)+) => {
        #[derive(Debug)]
        struct All {
            registry: Registry,
            $($name: $type,)+
        }

        impl Default for All {
            fn default() -> Self {
                let mut registry = Registry::with_prefix(PREFIX);
                registry.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
                $(
                    let $name: $type = $new;
                    registry.register(stringify!($name), $help, $name.clone());
                )+
                Self { registry, $($name,)+ }.with_known_labels()
            }
        }
    };
}

metrics! {
    start_time_seconds: Gauge<f64, AtomicU64> = Gauge::default(), "Unix time of the start";
    events_accepted: Family<One, Counter> = Family::default(), "Events committed, by kind";
    events_duplicate: Counter = Counter::default(), "Events that had been accepted before";
    events_ignored: Counter = Counter::default(), "Events that nobody acts on";
    webhooks_refused: Family<One, Counter> = Family::default(), "Webhook requests refused, by reason";
    ack_seconds: Histogram = Histogram::new(FAST_SECONDS), "Webhook request to answer";
    turns: Family<One, Counter> = Family::default(), "Turns ended, by outcome";
    turn_seconds: Histogram = Histogram::new(SLOW_SECONDS), "Accept to commit of the turn";
    batch_jobs: Histogram = Histogram::new(JOBS), "Jobs in one commit of the writer";
    batch_seconds: Histogram = Histogram::new(FAST_SECONDS), "Time of one commit of the writer";
    unfinished_events: Gauge = Gauge::default(), "Events accepted and not done";
    active_actors: Gauge = Gauge::default(), "Conversations in memory";
    known_contacts: Gauge = Gauge::default(), "Contacts held in memory for look-up";
    queue_depth: Gauge = Gauge::default(), "Messages waiting to leave";
    queue_oldest_seconds: Gauge<f64, AtomicU64> = Gauge::default(), "Age of the oldest message waiting to leave";
    number_queue_depth: Family<OfClass, Gauge> = Family::default(), "Messages waiting to leave a number, by class";
    number_queue_oldest_seconds: Family<OfNumber, Gauge<f64, AtomicU64>> = Family::default(), "Age of the oldest message waiting to leave a number";
    number_rate: Family<OfNumber, Gauge<f64, AtomicU64>> = Family::default(), "Messages per second that leave a number at the most, now";
    number_drain_seconds: Family<OfNumber, Gauge<f64, AtomicU64>> = Family::default(), "Time until all that waits has left a number, where known";
    number_paused: Family<OfNumber, Gauge> = Family::default(), "Whether nothing leaves a number";
    ambiguous_sends: Gauge = Gauge::default(), "Sends with an open outcome";
    sends: Family<One, Counter> = Family::default(), "Attempts to send, by outcome";
    resent_after_ambiguity: Counter = Counter::default(), "Ambiguous sends sent again";
    reply_seconds: Histogram = Histogram::new(SLOW_SECONDS), "Accept to Meta's id of the reply";
    statuses: Family<One, Counter> = Family::default(), "Statuses merged into a message, by status";
    statuses_parked: Counter = Counter::default(), "Statuses of messages that are not known yet";
    media_fetches: Family<One, Counter> = Family::default(), "Attempts to fetch a file that a person sent, by outcome";
    template_syncs: Family<One, Counter> = Family::default(), "Readings of Meta's list of templates, by outcome";
    event_readers: Gauge = Gauge::default(), "Readers of the event stream";
    event_readers_stalled: Counter = Counter::default(), "Readers of the event stream that took nothing and were let go";
    deliveries: Family<One, Counter> = Family::default(), "Attempts to tell an outlet, by outcome";
    outlet_backlog: Family<OfOutlet, Gauge> = Family::default(), "Deliveries that are taken over and not made, by outlet";
    http_requests: Family<Answer, Counter> = Family::default(), "HTTP requests answered, by route and status";
}

impl All {
    /// Series that exist from the start, at zero, so that a rate over the first event is seen.
    fn with_known_labels(self) -> Self {
        for reason in Refusal::ALL {
            drop(self.webhooks_refused.get_or_create(&[("reason", reason.as_str())]));
        }
        for outcome in TurnOutcome::ALL {
            drop(self.turns.get_or_create(&[("outcome", outcome.as_str())]));
        }
        for outcome in FetchOutcome::ALL {
            drop(self.media_fetches.get_or_create(&[("outcome", outcome.as_str())]));
        }
        for outcome in SyncOutcome::ALL {
            drop(self.template_syncs.get_or_create(&[("outcome", outcome.as_str())]));
        }
        for outcome in DeliveryOutcome::ALL {
            drop(self.deliveries.get_or_create(&[("outcome", outcome.as_str())]));
        }
        for outcome in SendOutcome::ALL {
            drop(self.sends.get_or_create(&[("outcome", outcome.as_str())]));
        }
        self
    }
}

/// Gauges are fed with lengths and with counts of rows alike; what does not fit is as large as can be.
fn set(gauge: &Gauge, value: impl TryInto<i64>) {
    gauge.set(value.try_into().unwrap_or(i64::MAX));
}

impl Metrics {
    /// Fresh metrics, all at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All metrics in OpenMetrics text, of the type [`CONTENT_TYPE`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("a String takes whatever is written to it");
        text
    }

    /// The program started at `at`.
    pub fn started(&self, at: Millis) {
        // Whole milliseconds of any real date are exact in an f64.
        self.0.start_time_seconds.set(at as f64 / 1_000.0);
    }

    /// An event of this kind (`message`, `status`, `command`, …) was committed.
    pub fn accepted(&self, kind: &'static str) {
        self.0.events_accepted.get_or_create(&[("kind", kind)]).inc();
    }

    /// An event came that had been accepted before.
    pub fn duplicate(&self) {
        self.0.events_duplicate.inc();
    }

    /// A webhook request was refused.
    pub fn refused(&self, reason: Refusal) {
        self.0.webhooks_refused.get_or_create(&[("reason", reason.as_str())]).inc();
    }

    /// An event was kept, and nobody acts on it.
    pub fn ignored(&self) {
        self.0.events_ignored.inc();
    }

    /// A webhook request was answered this long after it had come.
    pub fn acknowledged(&self, seconds: f64) {
        self.0.ack_seconds.observe(seconds);
    }

    /// A turn ended, this long after its event was accepted. Only the times of those that are done go into the
    /// histogram.
    pub fn turn(&self, outcome: TurnOutcome, seconds: f64) {
        self.0.turns.get_or_create(&[("outcome", outcome.as_str())]).inc();
        if outcome == TurnOutcome::Done {
            self.0.turn_seconds.observe(seconds);
        }
    }

    /// An attempt to fetch a file ended.
    pub fn fetched(&self, outcome: FetchOutcome) {
        self.0.media_fetches.get_or_create(&[("outcome", outcome.as_str())]).inc();
    }

    /// Reading Meta's list of templates ended.
    pub fn templates_synced(&self, outcome: SyncOutcome) {
        self.0.template_syncs.get_or_create(&[("outcome", outcome.as_str())]).inc();
    }

    /// The writer committed this many jobs in one transaction.
    pub fn batch(&self, jobs: usize, seconds: f64) {
        self.0.batch_jobs.observe(jobs as f64);
        self.0.batch_seconds.observe(seconds);
    }

    /// So many events are accepted and not done.
    pub fn unfinished_events(&self, count: impl TryInto<i64>) {
        set(&self.0.unfinished_events, count);
    }

    /// A conversation came into memory.
    pub fn actor_started(&self) {
        self.0.active_actors.inc();
    }

    /// A conversation left memory.
    pub fn actor_stopped(&self) {
        self.0.active_actors.dec();
    }

    /// So many contacts are held in memory for look-up.
    pub fn known_contacts(&self, count: impl TryInto<i64>) {
        set(&self.0.known_contacts, count);
    }

    /// So many messages wait to leave, the oldest of them for so long; 0.0 when there is none.
    pub fn queue(&self, depth: impl TryInto<i64>, oldest_seconds: f64) {
        set(&self.0.queue_depth, depth);
        self.0.queue_oldest_seconds.set(oldest_seconds);
    }

    /// How a number of ours is doing.
    pub fn number(&self, number: &str, gauges: &NumberGauges) {
        let all = &self.0;
        for (class, depth) in [("reply", gauges.reply), ("bulk", gauges.bulk)] {
            set(&all.number_queue_depth.get_or_create(&OfClass { number: number.to_owned(), class }), depth);
        }
        let label = OfNumber { number: number.to_owned() };
        all.number_queue_oldest_seconds.get_or_create(&label).set(gauges.oldest_seconds);
        set(&all.number_paused.get_or_create(&label), i64::from(gauges.is_paused));
        for (family, value) in
            [(&all.number_rate, gauges.rate), (&all.number_drain_seconds, gauges.drain_seconds)]
        {
            match value {
                Some(value) => _ = family.get_or_create(&label).set(value),
                None => _ = family.remove(&label),
            }
        }
    }

    /// So many sends have an open outcome.
    pub fn ambiguous_sends(&self, count: impl TryInto<i64>) {
        set(&self.0.ambiguous_sends, count);
    }

    /// An attempt to send ended.
    pub fn send(&self, outcome: SendOutcome) {
        self.0.sends.get_or_create(&[("outcome", outcome.as_str())]).inc();
    }

    /// An ambiguous send was sent again and may arrive twice.
    pub fn resent_after_ambiguity(&self) {
        self.0.resent_after_ambiguity.inc();
    }

    /// A reply got its id from Meta, this long after the event that it answers was accepted.
    pub fn replied(&self, seconds: f64) {
        self.0.reply_seconds.observe(seconds);
    }

    /// A status of this name was merged into its message.
    pub fn status(&self, status: &'static str) {
        self.0.statuses.get_or_create(&[("status", status)]).inc();
    }

    /// A status was parked: its message is not known yet.
    pub fn status_parked(&self) {
        self.0.statuses_parked.inc();
    }

    /// Somebody reads the event stream.
    pub fn reader_came(&self) {
        self.0.event_readers.inc();
    }

    /// Somebody does not read it any more.
    pub fn reader_left(&self) {
        self.0.event_readers.dec();
    }

    /// A reader took nothing for too long.
    pub fn reader_stalled(&self) {
        self.0.event_readers_stalled.inc();
    }

    /// An attempt to tell an outlet ended.
    pub fn delivery(&self, outcome: DeliveryOutcome) {
        self.0.deliveries.get_or_create(&[("outcome", outcome.as_str())]).inc();
    }

    /// So many deliveries wait for this outlet.
    pub fn outlet_backlog(&self, outlet: &str, count: usize) {
        set(&self.0.outlet_backlog.get_or_create(&OfOutlet { outlet: outlet.to_owned() }), count);
    }

    /// An HTTP request was answered. `route` is the pattern that matched (`/api/whatsapp/messages`), never the path.
    pub fn http_request(&self, route: &str, status: u16) {
        self.0.http_requests.get_or_create(&Answer { route: route.to_owned(), status }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used() -> Metrics {
        let metrics = Metrics::new();
        metrics.started(1_700_000_000_500);
        metrics.accepted("message");
        metrics.accepted("status");
        metrics.duplicate();
        metrics.refused(Refusal::Signature);
        metrics.ignored();
        metrics.acknowledged(0.002);
        metrics.turn(TurnOutcome::Done, 0.02);
        metrics.turn(TurnOutcome::Panicked, 0.02);
        metrics.batch(7, 0.004);
        metrics.unfinished_events(3_usize);
        metrics.actor_started();
        metrics.actor_started();
        metrics.actor_stopped();
        metrics.known_contacts(u64::MAX);
        metrics.queue(9_usize, 1.5);
        metrics.ambiguous_sends(1_i64);
        let number = NumberGauges {
            reply: 2,
            bulk: 7,
            oldest_seconds: 1.5,
            is_paused: true,
            rate: Some(76.8),
            drain_seconds: Some(3.0),
        };
        metrics.number("106", &number);
        metrics.number("106", &NumberGauges { drain_seconds: None, ..number });
        metrics.send(SendOutcome::NotSent);
        metrics.resent_after_ambiguity();
        metrics.replied(0.3);
        metrics.status("delivered");
        metrics.status_parked();
        metrics.templates_synced(SyncOutcome::Failed);
        metrics.reader_came();
        metrics.reader_came();
        metrics.reader_left();
        metrics.reader_stalled();
        metrics.delivery(DeliveryOutcome::Dead);
        metrics.outlet_backlog("crm", 3);
        metrics.http_request("/api/{\"odd\"}", 200);
        metrics
    }

    #[test]
    fn every_metric_is_in_the_text_with_its_value() {
        let text = used().encode();
        for line in [
            concat!("switchboard_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "switchboard_start_time_seconds 1700000000.5",
            "switchboard_events_accepted_total{kind=\"message\"} 1",
            "switchboard_events_accepted_total{kind=\"status\"} 1",
            "switchboard_events_duplicate_total 1",
            "switchboard_webhooks_refused_total{reason=\"signature\"} 1",
            "switchboard_webhooks_refused_total{reason=\"too_large\"} 0",
            "switchboard_events_ignored_total 1",
            "switchboard_ack_seconds_count 1",
            "switchboard_turns_total{outcome=\"done\"} 1",
            "switchboard_turns_total{outcome=\"panicked\"} 1",
            "switchboard_turns_total{outcome=\"conflict\"} 0",
            "switchboard_turn_seconds_count 1",
            "switchboard_batch_jobs_sum 7.0",
            "switchboard_batch_jobs_bucket{le=\"8.0\"} 1",
            "switchboard_batch_seconds_count 1",
            "switchboard_unfinished_events 3",
            "switchboard_active_actors 1",
            "switchboard_known_contacts 9223372036854775807",
            "switchboard_queue_depth 9",
            "switchboard_queue_oldest_seconds 1.5",
            "switchboard_number_queue_depth{number=\"106\",class=\"reply\"} 2",
            "switchboard_number_queue_depth{number=\"106\",class=\"bulk\"} 7",
            "switchboard_number_queue_oldest_seconds{number=\"106\"} 1.5",
            "switchboard_number_rate{number=\"106\"} 76.8",
            "switchboard_number_paused{number=\"106\"} 1",
            "switchboard_ambiguous_sends 1",
            "switchboard_sends_total{outcome=\"not_sent\"} 1",
            "switchboard_resent_after_ambiguity_total 1",
            "switchboard_reply_seconds_sum 0.3",
            "switchboard_statuses_total{status=\"delivered\"} 1",
            "switchboard_statuses_parked_total 1",
            "switchboard_template_syncs_total{outcome=\"failed\"} 1",
            "switchboard_event_readers 1",
            "switchboard_event_readers_stalled_total 1",
            "switchboard_deliveries_total{outcome=\"dead\"} 1",
            "switchboard_outlet_backlog{outlet=\"crm\"} 3",
            "switchboard_http_requests_total{route=\"/api/{\\\"odd\\\"}\",status=\"200\"} 1",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn the_text_is_what_a_scraper_can_read() {
        let text = used().encode();
        let comment = regex::Regex::new(
            r"^# (HELP switchboard_[a-z_]+ .+\.|TYPE switchboard_[a-z_]+ (counter|gauge|histogram|info)|EOF)$",
        );
        let sample = regex::Regex::new(
            r#"^switchboard_[a-z_]+(\{[a-z]+="([^"\\]|\\.)*"(,[a-z]+="([^"\\]|\\.)*")*\})? -?[0-9.e-]+$"#,
        );
        let (comment, sample) = (comment.unwrap(), sample.unwrap());
        for line in text.lines() {
            assert!(comment.is_match(line) || sample.is_match(line), "{line}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_clone_counts_into_the_same_and_another_does_not() {
        let metrics = Metrics::new();
        let clone = metrics.clone();
        metrics.duplicate();
        assert!(clone.encode().contains("switchboard_events_duplicate_total 1"));
        assert!(Metrics::new().encode().contains("switchboard_events_duplicate_total 0"));
    }
}
