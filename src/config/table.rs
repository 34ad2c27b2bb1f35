//! The table of all settings. Each line group is everything there is to know of one: what it does, its name, type,
//! default, environment variable and rule.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::number::Number;
use super::outlet::Outlet;
use super::setting::settings;
use super::source::Sources;
use super::{AmbiguousPolicy, DatabaseUrl, Secret, rule};
use crate::domain::access::KEY_RATE_MAX;
use crate::telemetry::LogFormat;

/// The most changes that Meta puts into one webhook POST: a smaller limit could never take such a POST.
/// Source: Meta, webhooks, "Frequency".
pub const META_BATCH_MAX: usize = 1_000;
/// The largest webhook payload of Meta, in bytes. Source: Meta, webhooks overview, "Size".
pub const META_PAYLOAD_MAX: usize = 3 * rule::MIB;

/// The largest file that a person can send, in bytes. Source: Meta, "Media", 2026.
const META_FILE_MAX: usize = 100 * rule::MIB;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// As long as Meta repeats an event, and a day more. Source: Meta, webhooks, "Retry", 2026.
const EVENTS_KEPT: Duration = Duration::from_hours(8 * 24);
const CENTURY: Duration = Duration::from_hours(36_525 * 24);

settings! { Config:

/// All that can be set. Defaults are overridden by `switchboard.toml`, and both by the environment.
struct Config {
    /// Where the server listens.
    listen: SocketAddr = "127.0.0.1:8000", "SWITCHBOARD_LISTEN", rule::address();
    /// The flow of every number that names none of its own: a YAML file. Without one, the built-in factory bot.
    flow: Option<PathBuf> = "", "SWITCHBOARD_FLOW", rule::path().optional();
    /// A key for scripts that call the API, sent as `Authorization: Bearer …`. It may do everything; `switchboard key create`
    /// makes keys that may do less.
    api_key: Option<Secret> = "", "SWITCHBOARD_API_KEY", rule::secret().optional();
    ..
    /// Where rows are kept.
    pub database: Database;
    /// How Meta is reached and believed.
    pub meta: Meta;
    /// Our phone numbers: that of `meta.phone_number_id`, then those of `[[numbers]]`, each there once.
    pub numbers: Vec<Number>;
    /// Systems of the user's own that are told what happens: those of `[[outlets]]`.
    pub outlets: Vec<Outlet>;
    /// How what happens is told.
    pub live: Live;
    /// How outlets are told.
    pub outlet: OutletLimits;
    /// How fast messages leave.
    pub pacing: Pacing;
    /// The words of STOP and START.
    pub consent: Consent;
    /// What flows may ask.
    pub connectors: Connectors;
    /// Who calls the API, and how often.
    pub api: Api;
    /// Files that people send and are sent.
    pub media: Media;
    /// How long what is kept.
    pub retention: Retention;
    /// What is kept of people who are no more.
    pub privacy: Privacy;
    /// The limits.
    pub limits: Limits;
    /// What is logged, and how.
    pub log: Log;
    /// Where each value came from.
    pub(super) sources: Sources;
}

/// Where rows are kept.
struct Database in database {
    /// The database: an SQLite file or a PostgreSQL server.
    url: DatabaseUrl = "sqlite://switchboard.db?mode=rwc", "DATABASE_URL", rule::database_url();
    /// Whether pending migrations are applied at start. When off, a database that needs them is refused.
    migrate: bool = "on", "SWITCHBOARD_MIGRATE", rule::switch();
    /// Connections that read, beside the one that writes.
    reader_connections: u32 = "4", "SWITCHBOARD_READER_CONNECTIONS", rule::count("connections", 1..=64);
    /// The most jobs that the writer puts into one commit.
    writer_batch: usize = "1024", "SWITCHBOARD_WRITER_BATCH", rule::count("jobs", 1..=4_096);
}

/// How Meta is reached and believed.
struct Meta in meta {
    /// The WhatsApp business account to which the numbers belong. With it, templates are listed and checked before they
    /// are sent.
    business_account_id: Option<String> = "", "WHATSAPP_BUSINESS_ACCOUNT_ID", rule::meta_id().optional();
    /// Our phone number, by Meta's id of it. For several numbers use `[[numbers]]`.
    phone_number_id: Option<String> = "", "WHATSAPP_PHONE_NUMBER_ID", rule::meta_id().optional();
    /// The access token for `phone_number_id`, and for every number that has none of its own.
    token: Option<Secret> = "", "WHATSAPP_API_TOKEN", rule::secret().optional();
    /// The app secret, with which Meta signs every webhook.
    app_secret: Option<Secret> = "", "WHATSAPP_APP_SECRET", rule::secret().optional();
    /// The verify token that is typed into Meta's form when the webhook is subscribed.
    verify_token: Option<Secret> = "", "WHATSAPP_WEBHOOK_VERIFY_TOKEN", rule::secret().optional();
    /// The public address of our webhook. Only shown, in logs and hints.
    webhook_url: Option<String> = "", "WHATSAPP_WEBHOOK_URL", rule::web_url().optional();
    /// The Graph API. Plain http is for a local one.
    graph_url: String = "https://graph.facebook.com", "WHATSAPP_GRAPH_URL", rule::web_url();
    /// The version of the Graph API.
    graph_version: String = "v26.0", "WHATSAPP_GRAPH_VERSION", rule::graph_version();
    /// How often Meta's list of templates is read, for the accounts that are set. Its webhooks tell changes at once.
    template_sync: Duration = "10m", "SWITCHBOARD_TEMPLATE_SYNC", rule::duration(MINUTE..=DAY);
}

/// How fast messages leave.
struct Pacing in pacing {
    /// Messages per second and phone number. Meta grants 80, and 1000 after an upgrade; 0 turns this pacing off.
    messages_per_second: u32 = "80", "SWITCHBOARD_MESSAGES_PER_SECOND",
        rule::count("messages per second", 0..=100_000);
    /// Whether Meta's limit per pair of numbers is kept: 1 message in 6 seconds, with a borrowed burst of 45.
    pair: bool = "on", "SWITCHBOARD_PAIR_PACING", rule::switch();
}

/// The words by which a person opts out of all messages and in again: whole messages only, whatever their case, accents and
/// punctuation.
struct Consent in consent {
    /// Words of STOP beside the built-in ones, separated by commas.
    stop_words: Vec<String> = "", "SWITCHBOARD_STOP_WORDS", rule::words();
    /// Words of START beside the built-in ones, separated by commas. They mean something only to who is opted out.
    start_words: Vec<String> = "", "SWITCHBOARD_START_WORDS", rule::words();
    /// Whether the built-in words of all languages hold.
    built_in_words: bool = "on", "SWITCHBOARD_BUILT_IN_WORDS", rule::switch();
}

/// What flows may ask.
struct Connectors in connectors {
    /// Hosts that flows may ask over plain http, separated by commas. Those of this machine always; all others over https alone.
    plain_http: Vec<String> = "", "SWITCHBOARD_PLAIN_HTTP_HOSTS", rule::words();
}

/// How often the API may be called.
struct Api in api {
    /// Requests per second with one API key, unless the key has a rate of its own. Over it, the answer is 429; 0 is no limit.
    requests_per_second: u32 = "100", "SWITCHBOARD_API_REQUESTS_PER_SECOND",
        rule::count("requests per second", 0..=KEY_RATE_MAX);
    /// Requests at once with one API key after a rest. A key with a rate of its own has more or less in proportion.
    burst: u32 = "200", "SWITCHBOARD_API_BURST", rule::count("requests", 1..=1_000_000);
}

/// How what happens is told to those who listen: the event stream, and what it stands on.
struct Live in live {
    /// Readers of the event stream at once. Over it, the answer is 503.
    readers: usize = "64", "SWITCHBOARD_LIVE_READERS", rule::count("readers", 1..=10_000);
    /// Events that wait for one reader to take them, beside what the system keeps for its connection.
    buffer: usize = "256", "SWITCHBOARD_LIVE_BUFFER", rule::count("events", 1..=100_000);
    /// How often a reader is sent a sign of life where nothing happens. A revoked key is noticed then, too.
    heartbeat: Duration = "15s", "SWITCHBOARD_LIVE_HEARTBEAT", rule::duration(SECOND..=10 * MINUTE);
    /// How long a reader whose buffer is full may take nothing. After it, it is let go and may come back.
    stalled_after: Duration = "30s", "SWITCHBOARD_LIVE_STALLED_AFTER", rule::duration(SECOND..=HOUR);
    /// How long what happened is told: who comes back later is told so.
    kept_for: Duration = "168h", "SWITCHBOARD_LIVE_KEPT_FOR", rule::duration(HOUR..=365 * DAY);
    /// Commits of which is told at the most, the newest. Under load, one commit holds hundreds of events.
    commits: usize = "5000000", "SWITCHBOARD_LIVE_COMMITS", rule::count("commits", 1_000..=1_000_000_000);
}

/// How outlets are told: limits that hold for each of `[[outlets]]`.
struct OutletLimits in outlet {
    /// Posts at once.
    in_flight: usize = "8", "SWITCHBOARD_OUTLET_IN_FLIGHT", rule::count("posts", 1..=1_000);
    /// How long a post may take.
    timeout: Duration = "15s", "SWITCHBOARD_OUTLET_TIMEOUT", rule::duration(10 * MILLISECOND..=5 * MINUTE);
    /// How long something is tried again until it is given up.
    deadline: Duration = "72h", "SWITCHBOARD_OUTLET_DEADLINE", rule::duration(SECOND..=30 * DAY);
    /// The longest pause between two attempts. The first is a second, and each is twice the one before.
    longest_pause: Duration = "1h", "SWITCHBOARD_OUTLET_LONGEST_PAUSE", rule::duration(10 * MILLISECOND..=DAY);
    /// Deliveries that are taken over and not made. What is beyond waits as long as `live.kept_for`.
    backlog: usize = "10000", "SWITCHBOARD_OUTLET_BACKLOG", rule::count("deliveries", 1..=1_000_000);
    /// How long a delivery that is done with is in the log.
    log_kept_for: Duration = "168h", "SWITCHBOARD_OUTLET_LOG_KEPT_FOR", rule::duration(HOUR..=365 * DAY);
}

/// Files that people send and are sent.
struct Media in media {
    /// Where files are kept: a folder, or a bucket as s3://BUCKET/FOLDER. The bucket's region and credentials are read
    /// from AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the other variables that AWS names.
    url: String = "media", "SWITCHBOARD_MEDIA_URL", rule::media_url();
    /// The largest file that is kept. Meta lets people send up to 100 MiB.
    file_bytes: usize = "100MiB", "SWITCHBOARD_MEDIA_FILE_BYTES", rule::size(1024..=META_FILE_MAX);
    /// The types of file that are kept, as MIME types between commas. Others stay at Meta's.
    types: Vec<String> = "*", "SWITCHBOARD_MEDIA_TYPES", rule::media_types();
    /// Files that are fetched from Meta at the same time.
    fetches: usize = "4", "SWITCHBOARD_MEDIA_FETCHES", rule::count("files", 1..=256);
    /// How often fetching a file may fail before it is given up. Pauses double from 1 second to 1 hour; 200 attempts take
    /// longer than the 7 days for which Meta keeps it, which end them anyhow.
    fetch_attempts: u32 = "200", "SWITCHBOARD_MEDIA_FETCH_ATTEMPTS", rule::count("attempts", 1..=1_000);
    /// How long the transfer of one file may take.
    transfer_timeout: Duration = "5m", "SWITCHBOARD_MEDIA_TRANSFER_TIMEOUT",
        rule::duration(10 * MILLISECOND..=HOUR);
}

/// How long what is kept. What is unfinished is kept whatever its age; what has no time here is kept for ever.
struct Retention in retention {
    /// Raw events that are done with, and with them idempotency keys. Never longer than messages. Meta repeats an event for 7
    /// days, so they cannot be kept for less than 8.
    events: Option<Duration> = "30d", "SWITCHBOARD_RETENTION_EVENTS", rule::days(EVENTS_KEPT..=CENTURY).optional();
    /// Messages, with their files and attempts.
    messages: Option<Duration> = "", "SWITCHBOARD_RETENTION_MESSAGES", rule::days(EVENTS_KEPT..=CENTURY).optional();
    /// Contents of files, that people sent or that were given to be sent.
    files: Option<Duration> = "", "SWITCHBOARD_RETENTION_FILES", rule::days(DAY..=CENTURY).optional();
    /// Failed attempts to send.
    attempts: Option<Duration> = "90d", "SWITCHBOARD_RETENTION_ATTEMPTS", rule::days(DAY..=CENTURY).optional();
    /// The audit log.
    audit: Option<Duration> = "", "SWITCHBOARD_RETENTION_AUDIT", rule::days(DAY..=CENTURY).optional();
    /// API keys that are revoked or have expired.
    keys: Option<Duration> = "", "SWITCHBOARD_RETENTION_KEYS", rule::days(DAY..=CENTURY).optional();
    /// Counts by the hour. Those by the day and of all time are kept for ever.
    hours: Option<Duration> = "400d", "SWITCHBOARD_RETENTION_HOURS", rule::days(DAY..=CENTURY).optional();
    /// The rest between two transactions of at most 500 rows, while nothing waits; ten times that while events do.
    pause: Duration = "50ms", "SWITCHBOARD_RETENTION_PAUSE", rule::duration(MILLISECOND..=MINUTE);
}

/// What is kept of people who are no more.
struct Privacy in privacy {
    /// Goes into the hashes that are kept of erased people: that they wanted no messages. Without it, who has the whole
    /// database could try all phone numbers out. Changing it forgets these opt-outs.
    hash_key: Option<Secret> = "", "SWITCHBOARD_PRIVACY_HASH_KEY", rule::secret().optional();
    /// The largest SQLite file that is written anew after a person was erased, which keeps writes waiting for some seconds per
    /// GiB. In a larger one, copies of what was erased may be left in gaps of its pages until `vacuum` is run; 0 turns it off.
    erase_vacuum_bytes: usize = "512MiB", "SWITCHBOARD_ERASE_VACUUM_BYTES", rule::size(0..=1 << 40);
}

/// The limits: what is held, for how long, and how often something is tried.
struct Limits in limits {
    /// Events accepted and not done. Over it, webhooks are answered 503 and Meta tries again.
    unfinished_events: usize = "10000", "SWITCHBOARD_UNFINISHED_EVENTS",
        rule::count("events (the least is Meta's largest batch)", META_BATCH_MAX..=10_000_000);
    /// The largest webhook body. Over it, the answer is 413.
    webhook_body_bytes: usize = "4MiB", "SWITCHBOARD_WEBHOOK_BODY_BYTES",
        rule::size(META_PAYLOAD_MAX..=64 * rule::MIB);
    /// The `Retry-After` of a 503, rounded up to whole seconds.
    retry_after: Duration = "1s", "SWITCHBOARD_RETRY_AFTER", rule::duration(SECOND..=HOUR);
    /// Conversations in memory. Over it, those longest unused are put away.
    active_conversations: usize = "50000", "SWITCHBOARD_ACTIVE_CONVERSATIONS",
        rule::count("conversations", 1..=10_000_000);
    /// How long a conversation stays in memory unused.
    conversation_idle: Duration = "15m", "SWITCHBOARD_CONVERSATION_IDLE", rule::duration(SECOND..=DAY);
    /// Contacts kept in memory for look-up.
    directory_cache: usize = "100000", "SWITCHBOARD_DIRECTORY_CACHE",
        rule::count("contacts", 1..=100_000_000);
    /// How often a turn is tried before its event is quarantined.
    turn_attempts: u32 = "3", "SWITCHBOARD_TURN_ATTEMPTS", rule::count("attempts", 2..=100);
    /// How long a turn may take, with all its calls.
    turn_timeout: Duration = "30s", "SWITCHBOARD_TURN_TIMEOUT",
        rule::duration(10 * MILLISECOND..=10 * MINUTE);
    /// Threads that run conversations; 0 is one per core.
    actor_threads: usize = "0", "SWITCHBOARD_ACTOR_THREADS", rule::count("threads", 0..=1_024);
    /// Threads that serve HTTP; 0 is one per core.
    http_workers: usize = "0", "SWITCHBOARD_HTTP_WORKERS", rule::count("threads", 0..=1_024);
    /// How often accepted events that are not done are looked for.
    sweep_interval: Duration = "5s", "SWITCHBOARD_SWEEP_INTERVAL", rule::duration(10 * MILLISECOND..=HOUR);
    /// How old an event has to be for that search to find it.
    sweep_age: Duration = "10s", "SWITCHBOARD_SWEEP_AGE", rule::duration(Duration::ZERO..=HOUR);
    /// Requests to Meta that are under way at once.
    sends_in_flight: usize = "256", "SWITCHBOARD_SENDS_IN_FLIGHT", rule::count("requests", 1..=10_000);
    /// How long one request to Meta may take. After it, the send is ambiguous.
    send_timeout: Duration = "30s", "SWITCHBOARD_SEND_TIMEOUT",
        rule::duration(10 * MILLISECOND..=10 * MINUTE);
    /// How long connecting to Meta may take.
    connect_timeout: Duration = "5s", "SWITCHBOARD_CONNECT_TIMEOUT",
        rule::duration(10 * MILLISECOND..=MINUTE);
    /// Messages that may wait to leave. Over it, sends over the API are answered 503.
    outbound_queue: usize = "1000000", "SWITCHBOARD_OUTBOUND_QUEUE", rule::count("messages", 1..=100_000_000);
    /// How long before the end of a person's 24-hour window nothing but templates is sent any more.
    window_margin: Duration = "1m", "SWITCHBOARD_WINDOW_MARGIN", rule::duration(Duration::ZERO..=HOUR);
    /// How often a message is tried before it fails.
    send_attempts: u32 = "8", "SWITCHBOARD_SEND_ATTEMPTS", rule::count("attempts", 1..=1_000);
    /// How long after it was written a message may still be tried.
    send_deadline: Duration = "24h", "SWITCHBOARD_SEND_DEADLINE", rule::duration(SECOND..=30 * DAY);
    /// How long an ambiguous send waits for a status that tells whether Meta took it.
    ambiguous_grace: Duration = "2m", "SWITCHBOARD_AMBIGUOUS_GRACE", rule::duration(MILLISECOND..=7 * DAY);
    /// What becomes of a send that is still ambiguous then: it is sent again, at the risk of arriving twice, or a
    /// person is asked.
    ambiguous_policy: AmbiguousPolicy = "resend", "SWITCHBOARD_AMBIGUOUS_POLICY",
        rule::choice([("resend", AmbiguousPolicy::Resend), ("ask", AmbiguousPolicy::Ask)]);
    /// How long a stop waits for running turns and sends.
    shutdown_timeout: Duration = "20s", "SWITCHBOARD_SHUTDOWN_TIMEOUT", rule::duration(Duration::ZERO..=HOUR);
}

/// What is logged, and how.
struct Log in log {
    /// How log lines are written: for people, or as one JSON object each.
    format: LogFormat = "human", "SWITCHBOARD_LOG_FORMAT",
        rule::choice([("human", LogFormat::Human), ("json", LogFormat::Json)]);
    /// Which log lines are written.
    filter: String = "info", "SWITCHBOARD_LOG", rule::log_filter();
}

}
