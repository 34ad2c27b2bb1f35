//! Databases with a past: people, their conversations, and what was said, written by the database itself from a few
//! statements. Nothing of the program is measured here, so nothing of it is used but its migrations.

use std::path::Path;
use std::process::Command;

use crate::database::{Database, Engine};
use crate::moment;
use crate::report::tell;
use crate::rows::{self, ID_BITS, Rows, phone};
use crate::wire;

/// The past that is made up, in milliseconds: 40 days, which ended a day ago.
const PAST: u64 = 40 * 86_400_000;
const DAY: u64 = 86_400_000;
/// How long ago the unfinished events were accepted: within the time in which an answer is still worth sending.
const UNFINISHED_FOR: u64 = 60_000;
/// Tables that are written, and whose indexes are made afterwards.
const TABLES: [&str; 5] = ["contact", "alias", "session", "message", "webhook"];

/// What there is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past {
    /// People, each with a conversation.
    pub(crate) people: u64,
    /// Messages, half of them of the people and half replies.
    pub(crate) messages: u64,
    /// People whose newest message is accepted and not done.
    pub(crate) unfinished: u64,
}

/// Migrates `database` and writes the past. The unfinished message of person `p` has the number `p`.
pub(crate) async fn write(binary: &Path, database: &Database, past: Past) -> anyhow::Result<()> {
    let migrated =
        Command::new(binary).arg("migrate").env_clear().env("DATABASE_URL", database.url()).output()?;
    anyhow::ensure!(migrated.status.success(), "the migrations failed");
    let rows = Rows::begin(database, &TABLES).await?;
    Writer {
        rows: &rows,
        past,
        dialect: Dialect::of(database.engine()),
        began_at: moment::now() / 1_000 - PAST - DAY,
    }
    .write()
    .await?;
    tell("  indexes");
    rows.index().await?;
    rows.end(database).await
}

/// What the databases say differently.
struct Dialect {
    /// 40 random hexadecimal digits.
    random: &'static str,
}

impl Dialect {
    fn of(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self { random: "hex(randomblob(20))" },
            Engine::Postgres => {
                Self { random: "upper(md5(random()::text)) || upper(substr(md5(random()::text), 1, 8))" }
            }
        }
    }
}

struct Writer<'a> {
    rows: &'a Rows,
    past: Past,
    dialect: Dialect,
    /// Milliseconds.
    began_at: u64,
}

impl Writer<'_> {
    async fn write(&self) -> anyhow::Result<()> {
        let Past { people, messages, unfinished } = self.past;
        tell(&format!("  {people} people"));
        self.people().await?;
        tell(&format!("  {messages} messages"));
        self.messages().await?;
        tell(&format!("  {unfinished} unfinished events"));
        self.unfinished().await?;
        self.followed().await
    }

    /// The id of the row `i` of `count` that are spread over the past.
    fn id(&self, i: &str, count: u64) -> String {
        rows::id(self.began_at, PAST, i, count)
    }

    async fn people(&self) -> anyhow::Result<()> {
        let people = self.past.people;
        let (id, at, number) = (self.id("i", people), self.began_at, wire::NUMBER);
        let (phone, user) = (phone("i"), user_id("i"));
        self.rows
            .insert(
                people,
                "contact (id, wa_id, user_id, name, created_at, updated_at)",
                &format!("{id}, {phone}, {user}, 'Person ' || i, {at}, {at}"),
            )
            .await?;
        for (kind, value) in [("wa_id", &phone), ("user_id", &user)] {
            let select = format!("{value}, '{kind}', {id}");
            self.rows.insert(people, "alias (value, kind, contact_id)", &select).await?;
        }
        self.rows.insert(
            people,
            "session (id, contact_id, phone_number_id, shard, version, flow_hash, state, snapshot, handed_off, \
             timer_generation, last_inbound_at, created_at, updated_at)",
            &format!("{id}, {id}, '{number}', i % 256, 0, '', null, '', false, 0, {at}, {at}, {at}"),
        )
        .await
    }

    async fn messages(&self) -> anyhow::Result<()> {
        let Past { people, messages, .. } = self.past;
        if messages == 0 {
            return Ok(());
        }
        // What was said and its reply are neighbours; who said it jumps.
        let person = format!("((i / 2) * 7919 % {people})");
        let line = self.id(&person, people);
        let (id, event) = (self.id("i", messages), self.id("i - i % 2", messages));
        let (number, random, key) = (wire::NUMBER, self.dialect.random, self.rows.random_key());
        let at = format!("{id} / {}", 1 << ID_BITS);
        self.rows.insert(
            messages,
            "message (id, conversation_id, contact_id, shard, phone_number_id, event_id, direction, kind, body, content, \
             wamid, status, created_at, accepted_at, sent_at, delivered_at, read_at, position)",
            &format!(
                "{id}, {line}, {line}, i % 256, '{number}', {event}, case i % 2 when 0 then 'in' else 'out' end, 'text', \
                 'message ' || i, case i % 2 when 0 then null else '{{\"type\":\"text\",\"body\":\"message ' || i || '\"}}' end, \
                 'wamid.HBgNNDkxNTE' || {random}, case i % 2 when 0 then 0 else 70 end, {at}, {at}, {at}, {at}, {at}, {id}"
            ),
        )
        .await?;
        let payload =
            payload(&phone(&person), &user_id(&person), &format!("'wamid.HBgNNDkxNTE' || {random}"), "i");
        let (event, at) =
            (self.id("2 * i", messages), format!("{} / {}", self.id("2 * i", messages), 1 << ID_BITS));
        let person = format!("(i * 7919 % {people})");
        let line = self.id(&person, people);
        self.rows.insert(
            messages / 2,
            "webhook (id, dedupe_key, kind, state, conversation_id, shard, phone_number_id, wamid, attempts, payload, \
             accepted_at, done_at)",
            &format!(
                "{event}, {key}, 'message', 'done', {line}, i % 256, '{number}', \
                 'wamid.HBgNNDkxNTE' || {random}, 0, {payload}, {at}, {at}"
            ),
        )
        .await
    }

    async fn unfinished(&self) -> anyhow::Result<()> {
        let Past { people, unfinished, .. } = self.past;
        let at = self.began_at + PAST + DAY - UNFINISHED_FOR;
        let after = at << ID_BITS;
        let (id, line, number) = (format!("({after} + i)"), self.id("i", people), wire::NUMBER);
        let (wamid, key) = ("'wamid.seed.' || i", self.rows.random_key());
        let payload = payload(&phone("i"), &user_id("i"), wamid, "i");
        self.rows.insert(
            unfinished,
            "webhook (id, dedupe_key, kind, state, conversation_id, shard, phone_number_id, wamid, attempts, payload, \
             accepted_at)",
            &format!(
                "{id}, {key}, 'message', 'accepted', {line}, i % 256, '{number}', {wamid}, 0, {payload}, {at}"
            ),
        )
        .await?;
        self.rows.insert(
            unfinished,
            "message (id, conversation_id, contact_id, shard, phone_number_id, event_id, direction, kind, body, wamid, \
             status, created_at, sent_at, position)",
            &format!(
                "{id}, {line}, {line}, i % 256, '{number}', {id}, 'in', 'text', 'message ' || i, {wamid}, 0, {at}, {at}, {id}"
            ),
        )
        .await
    }

    /// The past is not searched: its words would be looked at while something is measured.
    async fn followed(&self) -> anyhow::Result<()> {
        let sql =
            "insert into follower (name, position) select 'search', coalesce(max(position), 0) from message";
        self.rows.execute(sql).await
    }
}

/// As [`wire::user_id`], of the person `i`.
fn user_id(i: &str) -> String {
    format!("'DE.' || cast({} + {i} as text)", wire::USER_ID_FIRST)
}

/// The stored payload of a text.
fn payload(phone: &str, user_id: &str, wamid: &str, message: &str) -> String {
    let number = wire::NUMBER;
    format!(
        "'{{\"id\":\"102290129340398\",\"field\":\"messages\",\"value\":{{\"messaging_product\":\"whatsapp\",\"metadata\":{{\
         \"display_phone_number\":\"15550783881\",\"phone_number_id\":\"{number}\"}},\"contacts\":[{{\"profile\":{{\"name\":\
         \"Someone\"}},\"wa_id\":\"' || {phone} || '\",\"user_id\":\"' || {user_id} || '\"}}],\"messages\":[{{\"from\":\"' || \
         {phone} || '\",\"from_user_id\":\"' || {user_id} || '\",\"id\":\"' || {wamid} || '\",\"timestamp\":\"1795337387\",\
         \"type\":\"text\",\"text\":{{\"body\":\"message ' || {message} || '\"}}}}]}}}}'"
    )
}
