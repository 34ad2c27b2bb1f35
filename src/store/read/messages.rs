//! Messages, of either direction, in the order in which they were committed.

use std::collections::HashSet;

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect};
use serde_json::{Value as Json, json};

use super::walk::{Keys, are_more_than};
use super::{Clause, Found, Page, Span, Times, Way, Who, in_order, walk};
use crate::clock::Millis;
use crate::domain::delivery::{Failure, Status};
use crate::domain::ids::{ContactId, ConversationId, EventId, MediaId, MessageId};
use crate::domain::inbound::Content;
use crate::store::entity::{message, session};
use crate::store::search::Sought;
use crate::store::statuses::{of_rank, rank};
use crate::store::{Error, MediaState, Store, bulk, media};

/// Messages of a conversation whose words are looked at for one page, at the most.
const WORDS_READ_MAX: u64 = 2_000;
/// Messages that wait to leave, at the most, for which these are looked at and not all messages.
const WAITING_MAX: u64 = 10_000;

/// The types that are found by walking, as the index `message_kind` leaves them out.
const COMMON_KINDS: [&str; 4] = ["text", "buttons", "list", "choice"];
const RARE: &str = "kind not in ('text', 'buttons', 'list', 'choice')";
/// Queue rows of messages that have not left.
const WAITING: &str = "select id from queue where state in ('ready', 'claimed', 'ambiguous', 'held')";

/// Which messages.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Of this conversation.
    pub conversation: Option<ConversationId>,
    /// Of this person.
    pub who: Option<Who>,
    /// Through this number of ours.
    pub phone_number_id: Option<String>,
    /// `in` or `out`.
    pub direction: Option<String>,
    /// Of one of these types; of any when empty.
    pub kinds: Vec<String>,
    /// That have come exactly as far as one of these; `failed` stands for all failures. Any when empty.
    pub statuses: Vec<Status>,
    /// Stored in this time.
    pub times: Times,
    /// With these words.
    pub words: Option<Sought>,
}

/// A stored message.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Its id.
    pub id: MessageId,
    /// Its place in the order in which messages were committed.
    pub position: i64,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The person.
    pub contact: ContactId,
    /// Our number.
    pub phone_number_id: String,
    /// The event that it is, or that it answers.
    pub event: EventId,
    /// `in` or `out`.
    pub direction: String,
    /// Its type.
    pub kind: String,
    /// The words in it.
    pub body: Option<String>,
    /// The whole of it, as JSON.
    pub content: Option<Json>,
    /// The file that the person sent, and how far it has come.
    pub media: Option<(MediaId, MediaState)>,
    /// Meta's id.
    pub wamid: Option<String>,
    /// The `wamid` that it answers to.
    pub reply_to: Option<String>,
    /// How far it has come.
    pub status: Status,
    /// Why it failed.
    pub error: Option<Failure>,
    /// What Meta told of its price, as it came.
    pub pricing: Option<Json>,
    /// The failed message in whose place it was sent.
    pub resend_of: Option<MessageId>,
    /// The message that was sent in its place.
    pub resent_as: Option<MessageId>,
    /// When it was stored.
    pub created_at: Millis,
    /// When Meta took it.
    pub accepted_at: Option<Millis>,
    /// When it left (by Meta's clock); for an inbound one, when the person sent it.
    pub sent_at: Option<Millis>,
    /// When it reached the device.
    pub delivered_at: Option<Millis>,
    /// When it was seen or played.
    pub read_at: Option<Millis>,
    /// When it failed.
    pub failed_at: Option<Millis>,
}

impl Store {
    /// A page of messages.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_messages(
        &self,
        filter: MessageFilter,
        page: Page,
    ) -> Result<Found<StoredMessage>, Error> {
        self.list(move |db| async move {
            let lines = match lines(&db, &filter).await? {
                Lines::All => None,
                Lines::These(lines) if lines.is_empty() => return Ok(Found::none()),
                Lines::These(lines) => Some(lines),
            };
            let span = Span::of(&db, "message", "position", "created_at", filter.times).await?;
            let ways = ways(&db, &filter, lines.as_deref()).await?;
            let found = match (&filter.words, lines) {
                (Some(words), Some(_)) => with_words(&db, &ways, span, &page, words).await?,
                _ => walk(&db, &ways, span, &page).await?,
            };
            let mut rows = Vec::with_capacity(found.keys.len());
            for part in bulk::parts(&found.keys) {
                let some =
                    message::Entity::find().filter(message::Column::Position.is_in(part.iter().copied()));
                rows.extend(some.all(&db).await?.into_iter().map(stored_message));
            }
            let mut rows = in_order(rows, &found.keys, &page, |row| row.position);
            with_files(&db, &mut rows).await?;
            Ok(Found { rows, rest: found.rest })
        })
        .await
    }

    /// A message by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_message(&self, id: MessageId) -> Result<Option<StoredMessage>, Error> {
        self.read(move |db| async move {
            let mut found = message::Entity::find_by_id(id.0).one(&db).await?.map(stored_message);
            with_files(&db, found.as_mut_slice()).await?;
            Ok(found)
        })
        .await
    }
}

/// Those of these messages that are there.
pub(in crate::store) async fn messages_by_id(
    db: &DatabaseConnection,
    ids: &[MessageId],
) -> Result<Vec<StoredMessage>, Error> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let mut rows = Vec::with_capacity(ids.len());
    for part in bulk::parts(&ids) {
        let some = message::Entity::find().filter(message::Column::Id.is_in(part.iter().copied()));
        rows.extend(some.all(db).await?.into_iter().map(stored_message));
    }
    with_files(db, &mut rows).await?;
    Ok(rows)
}

/// The conversations in which messages are looked for.
enum Lines {
    All,
    These(Vec<i64>),
}

async fn lines(db: &DatabaseConnection, filter: &MessageFilter) -> Result<Lines, Error> {
    let mut lines = Lines::All;
    if let Some(who) = &filter.who {
        let Some(contact) = who.find(db).await? else { return Ok(Lines::These(Vec::new())) };
        let of_contact = session::Entity::find()
            .filter(session::Column::ContactId.eq(contact))
            .select_only()
            .column(session::Column::Id)
            .into_tuple();
        lines = Lines::These(of_contact.all(db).await?);
    }
    if let Some(conversation) = filter.conversation {
        let row = session::Entity::find_by_id(conversation.0).one(db).await?;
        let conversation = row.and_then(|row| row.merged_into).unwrap_or(conversation.0);
        lines = match lines {
            Lines::These(lines) if !lines.contains(&conversation) => Lines::These(Vec::new()),
            _ => Lines::These(vec![conversation]),
        };
    }
    Ok(lines)
}

/// How messages are found: by the conversation, else by their words, else by what few have (a failure, a type that is not
/// common, that they have not left), else from the newest on.
async fn ways(
    db: &DatabaseConnection,
    filter: &MessageFilter,
    lines: Option<&[i64]>,
) -> Result<Vec<Way>, Error> {
    let rest = rest(filter);
    let along = |on: Clause| Way::along("message", "position", vec![on], rest.clone());
    if let Some(lines) = lines {
        let line = |line: &i64| along(Clause::new("conversation_id = ?", [(*line).into()]));
        return Ok(lines.iter().map(line).collect());
    }
    if let Some(words) = &filter.words {
        let Some(matching) = words.clause(db.get_database_backend()) else { return Ok(Vec::new()) };
        let key = words.key(db.get_database_backend());
        let this = Clause::plain(format!("message.position = search.{key}"));
        let row = || Clause::select("select 1 from message", &[&[this], rest.as_slice()].concat()).exists();
        let rest = if rest.is_empty() { Vec::new() } else { vec![row()] };
        return Ok(vec![Way::along("search", key, vec![matching], rest)]);
    }
    let has = |all: &[Status]| filter.statuses.iter().all(|status| all.contains(status));
    if !filter.statuses.is_empty() && has(&[Status::Failed, Status::Queued, Status::Ambiguous]) {
        let mut ways = Vec::new();
        if filter.statuses.contains(&Status::Failed) {
            ways.push(along(Clause::plain("failed_at is not null")));
        }
        if !has(&[Status::Failed]) {
            if are_more_than(db, Clause::plain(WAITING), WAITING_MAX).await? {
                return Ok(vec![Way::along("message", "position", Vec::new(), rest)]);
            }
            let waiting = Clause::plain(WAITING).holds("id");
            ways.push(Way::to_few("message", "position", vec![waiting], rest));
        }
        return Ok(ways);
    }
    if !filter.kinds.is_empty() && !filter.kinds.iter().any(|kind| COMMON_KINDS.contains(&kind.as_str())) {
        let rest = self::rest(&MessageFilter { kinds: Vec::new(), ..filter.clone() });
        let of_kind = |kind: &String| {
            let on = Clause::new(format!("kind = ? and {RARE}"), [kind.as_str().into()]);
            Way::along("message", "position", vec![on], rest.clone())
        };
        return Ok(filter.kinds.iter().map(of_kind).collect());
    }
    Ok(vec![Way::along("message", "position", Vec::new(), rest)])
}

/// What is looked at message by message.
fn rest(filter: &MessageFilter) -> Vec<Clause> {
    let mut rest = Vec::new();
    if let Some(number) = &filter.phone_number_id {
        rest.push(Clause::new("phone_number_id = ?", [number.as_str().into()]));
    }
    if let Some(direction) = &filter.direction {
        rest.push(Clause::new("direction = ?", [direction.as_str().into()]));
    }
    if !filter.kinds.is_empty() {
        rest.push(Clause::any_of("kind", filter.kinds.iter().map(String::as_str)));
    }
    if !filter.statuses.is_empty() {
        let asked = |status: &Status| filter.statuses.iter().any(|asked| asked.as_str() == status.as_str());
        rest.push(Clause::any_of("status", Status::ALL.into_iter().filter(asked).map(rank)));
    }
    rest
}

/// As [`walk`], for messages of a conversation: their words are read, because a conversation is small beside the index of all
/// words.
async fn with_words(
    db: &DatabaseConnection,
    ways: &[Way],
    span: Span,
    page: &Page,
    words: &Sought,
) -> Result<Keys, Error> {
    let read = Page { limit: WORDS_READ_MAX, ..*page };
    let Keys { keys, rest } = walk(db, ways, span, &read).await?;
    let mut matching = HashSet::new();
    for part in bulk::parts(&keys) {
        let bodies: Vec<(i64, Option<String>)> = message::Entity::find()
            .select_only()
            .columns([message::Column::Position, message::Column::Body])
            .filter(message::Column::Position.is_in(part.iter().copied()))
            .into_tuple()
            .all(db)
            .await?;
        let found = |(key, body): (i64, Option<String>)| {
            body.is_some_and(|body| words.search().matches(&body)).then_some(key)
        };
        matching.extend(bodies.into_iter().filter_map(found));
    }
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut keys: Vec<i64> = keys.into_iter().filter(|key| matching.contains(key)).collect();
    let more = keys.len() > limit;
    keys.truncate(limit);
    let rest = if more { keys.last().copied() } else { rest };
    Ok(Keys { keys, rest })
}

/// Adds how far the files in inbound messages have come.
async fn with_files(db: &DatabaseConnection, messages: &mut [StoredMessage]) -> Result<(), Error> {
    let came = messages.iter().filter(|message| message.direction == "in").map(|message| message.id.0);
    let states = media::states(db, came.collect()).await?;
    for message in messages {
        // An inbound file has the id of its message.
        message.media = states.get(&message.id.0).map(|state| (MediaId(message.id.0), *state));
    }
    Ok(())
}

fn stored_message(row: message::Model) -> StoredMessage {
    let status = of_rank(row.status);
    // A failure that Meta's later word has overtaken is none: it stays among the attempts.
    let error = row.error.filter(|_| status.is_failure());
    StoredMessage {
        id: MessageId(row.id),
        position: row.position,
        conversation: ConversationId(row.conversation_id),
        contact: ContactId(row.contact_id),
        phone_number_id: row.phone_number_id,
        event: EventId(row.event_id),
        direction: row.direction,
        kind: row.kind,
        body: row.body,
        media: None,
        content: row.content.and_then(|text| serde_json::from_str(&text).ok()),
        wamid: row.wamid,
        reply_to: row.reply_to,
        status,
        error: error.and_then(|text| serde_json::from_str(&text).ok()),
        pricing: row.pricing.and_then(|text| serde_json::from_str(&text).ok()),
        resend_of: row.resend_of.map(MessageId),
        resent_as: row.resent_as.map(MessageId),
        created_at: row.created_at,
        accepted_at: row.accepted_at,
        sent_at: row.sent_at,
        delivered_at: row.delivered_at,
        read_at: row.read_at,
        failed_at: row.failed_at,
    }
}

/// What of an inbound message's content is not in its text; the raw JSON stays with its event.
pub(crate) fn inbound_content(content: &Content) -> Option<String> {
    let value = match content {
        Content::Text { .. } => return None,
        Content::Media(media) => serde_json::to_value(media).ok()?,
        Content::Location { latitude, longitude, name, address } => {
            json!({"latitude": latitude, "longitude": longitude, "name": name, "address": address})
        }
        Content::Contacts(cards) => cards.clone(),
        Content::Reaction { wamid, emoji } => json!({"wamid": wamid, "emoji": emoji}),
        Content::Choice { id, title } => json!({"id": id, "title": title}),
        Content::Form { data } => data.clone(),
        Content::Order(order) => order.clone(),
        Content::System { kind, previous, body, now } => {
            json!({"kind": kind, "previous": previous, "body": body, "now": now})
        }
        Content::Edit { wamid, text } => json!({"wamid": wamid, "text": text}),
        Content::Revoke { wamid } => json!({"wamid": wamid}),
        Content::Unsupported { kind, code } => json!({"kind": kind, "code": code}),
        Content::Unknown { kind } => json!({"kind": kind}),
    };
    Some(value.to_string())
}
