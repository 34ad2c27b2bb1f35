//! A database with a past of every kind of row, written by the database itself from a few statements. Nothing of the program
//! is measured here, so nothing of it is used but its migrations.

use crate::database::{Database, Engine};
use crate::rows::{self, ID_BITS, Rows, phone};

/// Our number.
pub(crate) const NUMBER: &str = "106540352242922";
const DAY: u64 = 86_400_000;
/// The past that is made up: it ended a day ago.
pub(crate) const PAST: u64 = 400 * DAY;
/// Of so many messages one is of the person with the longest conversation.
const LONGEST_SHARE: u64 = 10;
/// Tables that are written, and whose indexes are made afterwards.
const TABLES: [&str; 8] = ["contact", "alias", "session", "message", "webhook", "queue", "media", "audit"];

/// How much there is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past {
    /// Messages, half of them of people and half replies; of everything else there is in proportion.
    pub(crate) messages: u64,
    /// When it began, in milliseconds since 1970.
    pub(crate) began_at: u64,
}

impl Past {
    /// So many messages, up to a day before `now`.
    pub(crate) fn new(messages: u64, now: u64) -> Self {
        Self { messages, began_at: now - PAST - DAY }
    }

    pub(crate) fn people(&self) -> u64 {
        (self.messages / 20).max(50)
    }

    /// The id of the row `i` of `count` that are spread over the past.
    fn id(&self, i: &str, count: u64) -> String {
        rows::id(self.began_at, PAST, i, count)
    }
}

/// Migrates `database` and writes the past.
pub(crate) async fn write(database: &Database, past: Past) -> anyhow::Result<()> {
    switchboard::store::migrate(database.url()).await?;
    let rows = Rows::begin(database, &TABLES).await?;
    let writer = Writer { rows: &rows, past };
    writer.people().await?;
    writer.messages().await?;
    writer.events().await?;
    writer.rest().await?;
    writer.counters().await?;
    rows.index().await?;
    rows.end(database).await
}

/// What the database's own housekeeping does sooner or later, once the program has taken in the words as well: without it,
/// PostgreSQL does not know which of them are rare.
pub(crate) async fn keep_house(database: &Database) -> anyhow::Result<()> {
    if database.engine() == Engine::Postgres {
        let rows = Rows::begin(database, &[]).await?;
        rows.execute("vacuum analyze").await?;
        rows.end(database).await?;
    }
    Ok(())
}

struct Writer<'a> {
    rows: &'a Rows,
    past: Past,
}

impl Writer<'_> {
    async fn people(&self) -> anyhow::Result<()> {
        let people = self.past.people();
        let (id, phone) = (self.past.id("i", people), phone("i"));
        let at = format!("{id} / {}", 1 << ID_BITS);
        self.rows
            .insert(
                people,
                "contact (id, wa_id, name, name_key, opted_out_at, opted_out_by, created_at, updated_at)",
                &format!(
                    "{id}, {phone}, 'Person ' || i, 'person ' || i, case i % 100 when 0 then {at} end, \
                 case i % 100 when 0 then 'person' end, {at}, {at}"
                ),
            )
            .await?;
        let alias = format!("{phone}, 'wa_id', {id}");
        self.rows.insert(people, "alias (value, kind, contact_id)", &alias).await?;
        self.rows.insert(
            people,
            "session (id, contact_id, phone_number_id, shard, version, flow_hash, state, snapshot, handed_off, \
             timer_generation, last_inbound_at, created_at, updated_at)",
            &format!(
                "{id}, {id}, '{NUMBER}', i % 256, 3, '', case i % 10 when 0 then 'orders' else 'main' end, \
                 '{{\"state\":\"main\",\"vars\":{{}},\"misses\":0,\"handed_off\":false}}', i % 200 = 0, 0, {at}, {at}, {at}"
            ),
        )
        .await
    }

    /// What was said and its reply are neighbours; who said it jumps, but for one person of whom a tenth is.
    fn line(&self) -> String {
        let people = self.past.people();
        self.past.id(
            &format!("(case (i / 2) % {LONGEST_SHARE} when 0 then 0 else (i / 2) * 7919 % {people} end)"),
            people,
        )
    }

    async fn messages(&self) -> anyhow::Result<()> {
        let messages = self.past.messages;
        let line = self.line();
        let (id, event) = (self.past.id("i", messages), self.past.id("i - i % 2", messages));
        let at = format!("{id} / {}", 1 << ID_BITS);
        // A word in all, one in a third, one in a thousandth, and one of its own in each tenth message.
        let body = "'order w' || (i % 1000) || case i % 3 when 0 then ' gear' else '' end \
                    || case i % 10 when 0 then ' ORD-' || i else '' end";
        self.rows.insert(
            messages,
            "message (id, position, conversation_id, contact_id, shard, phone_number_id, event_id, direction, kind, body, \
             content, wamid, status, error_code, error, created_at, accepted_at, sent_at, delivered_at, read_at, failed_at)",
            &format!(
                "{id}, {id}, {line}, {line}, i % 256, '{NUMBER}', {event}, case i % 2 when 0 then 'in' else 'out' end, \
                 case i % 50 when 0 then 'image' else 'text' end, {body}, \
                 case i % 2 when 1 then '{{\"type\":\"text\",\"body\":\"order\"}}' end, 'wamid.fill.' || i, \
                 case when i % 2 = 0 then 0 when i % 1000 = 1 then {failed} else 70 end, \
                 case i % 1000 when 1 then 131026 end, \
                 case i % 1000 when 1 then '{{\"code\":131026,\"title\":\"Message undeliverable\"}}' end, \
                 {at}, {at}, {at}, {at}, {at}, case i % 1000 when 1 then {at} end",
                failed = FAILED,
            ),
        )
        .await
    }

    async fn events(&self) -> anyhow::Result<()> {
        let messages = self.past.messages;
        let events = messages / 2;
        let id = self.past.id("2 * i", messages);
        let at = format!("{id} / {}", 1 << ID_BITS);
        let key = self.rows.random_key();
        let people = self.past.people();
        let line = self
            .past
            .id(&format!("(case i % {LONGEST_SHARE} when 0 then 0 else i * 7919 % {people} end)"), people);
        self.rows.insert(
            events,
            "webhook (id, dedupe_key, kind, state, conversation_id, shard, phone_number_id, wamid, attempts, reason, payload, \
             accepted_at, done_at)",
            &format!(
                "{id}, {key}, case i % 2000 when 1 then 'flows' else 'message' end, \
                 case when i % 2000 = 1 then 'ignored' when i % 1000 = 500 then 'quarantined' else 'done' end, \
                 case i % 2000 when 1 then null else {line} end, i % 256, '{NUMBER}', 'wamid.fill.' || (2 * i), 0, \
                 case when i % 2000 = 1 then 'not handled' when i % 1000 = 500 then 'panic: index out of bounds' end, \
                 '{{\"value\":{{\"messages\":[{{\"type\":\"text\",\"text\":{{\"body\":\"order\"}}}}]}}}}', {at}, {at}"
            ),
        )
        .await
    }

    /// Dead letters, files, keys, the audit log and templates.
    async fn rest(&self) -> anyhow::Result<()> {
        let messages = self.past.messages;
        let (failed, line) = (self.past.id("1000 * i + 1", messages), self.past.id("0", self.past.people()));
        let at = format!("{failed} / {}", 1 << ID_BITS);
        self.rows.insert(
            messages / 1_000,
            "queue (id, position, conversation_id, shard, phone_number_id, state, attempts, due_at, event_accepted_at, reason)",
            &format!("{failed}, {failed}, {line}, 0, '{NUMBER}', 'dead', 1, {at}, {at}, 'Meta said 131026'"),
        )
        .await?;
        let image = self.past.id("50 * i", messages);
        let at = format!("{image} / {}", 1 << ID_BITS);
        self.rows.insert(
            messages / 50,
            "media (id, direction, state, kind, phone_number_id, mime_type, sha256, size, attempts, due_at, created_at, ready_at)",
            &format!(
                "{image}, 'in', case i % 50 when 0 then 'failed' else 'ready' end, 'image', '{NUMBER}', 'image/jpeg', \
                 'hash ' || i, 1000, 1, {at}, {at}, {at}"
            ),
        )
        .await?;
        let deed = self.past.id("100 * i + 7", messages);
        let at = format!("{deed} / {}", 1 << ID_BITS);
        self.rows.insert(
            messages / 100,
            "audit (id, at, actor, action, target, outcome)",
            &format!(
                "{deed}, {at}, 'environment key', case i % 50 when 0 then 'keys.create' else 'send.send' end, \
                 'cnv_' || (i % 100), case i % 20 when 0 then 'refused' else 'accepted' end"
            ),
        )
        .await?;
        let id = self.past.id("i", 1_000);
        let at = format!("{id} / {}", 1 << ID_BITS);
        self.rows
            .insert(
                1_000,
                "api_key (id, name, handle, hash, scopes, created_at)",
                &format!("{id}, 'key ' || i, i, '{:064x}', 'read', {at}", 7),
            )
            .await?;
        self.rows.insert(
            1_000,
            "template (id, business_account_id, name, language, category, status, components, created_at, updated_at, synced_at)",
            &format!("{id}, '1', 'template_' || i, 'en', 'UTILITY', 'APPROVED', '[]', {at}, {at}, {at}"),
        )
        .await
    }

    /// The counts, as the transactions would have kept them.
    async fn counters(&self) -> anyhow::Result<()> {
        let hour = "created_at - created_at % 3600000";
        for (name, condition) in [
            ("direction", ""),
            ("direction || ':' || kind", ""),
            ("'status:' || case status when 70 then 'read' else 'failed' end", "where direction = 'out'"),
            ("'response:' || (id % 60)", "where direction = 'out'"),
            ("'chosen:main:Option ' || (id % 40)", "where direction = 'in'"),
            ("'person:' || (id % 100)", "where direction = 'in'"),
            ("'active:' || (id % 100)", "where direction = 'in'"),
        ] {
            let sql = format!(
                "insert into counter (phone_number_id, hour, name, value) \
                 select phone_number_id, {hour} as hour, {name} as name, count(*) from message {condition} group by 1, 2, 3"
            );
            self.rows.execute(&sql).await?;
        }
        for sql in [
            "insert into counter_day (phone_number_id, day, name, value) \
             select phone_number_id, hour - hour % 86400000 as day, name, sum(value) from counter group by 1, 2, 3",
            "insert into counter (phone_number_id, hour, name, value) \
             select phone_number_id, 0, name, sum(value) from counter_day group by 1, 2, 3",
        ] {
            self.rows.execute(sql).await?;
        }
        Ok(())
    }
}

/// The rank of `failed`, as the store keeps it.
const FAILED: i16 = 50;
