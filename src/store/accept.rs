//! Accepting: the one way in. Dedupe is the unique key in the insert that accepts; what is new gets its conversation, its
//! message row and its count in the same transaction. A status is merged at once and is done.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, Set};

use crate::domain::consent::Change;
use crate::domain::contact::Identity;
use crate::domain::delivery::{Status, StatusUpdate};
use crate::domain::event::{Event, Input};
use crate::domain::identity::Told;
use crate::domain::ids::{ConversationId, EventId, MessageId};
use crate::domain::inbound::{Content, InboundMessage};
use crate::domain::notice;
use crate::store::activity::{self, Wrote};
use crate::store::batch::{Note, Scope};
use crate::store::directory::{Found, Lookup, Person};
use crate::store::entity::{message, timer, webhook};
use crate::store::privacy::redact::ERASED;
use crate::store::privacy::tombstone;
use crate::store::statuses::{self, News};
use crate::store::{Accepted, Dispatch, Hint, Incoming, IncomingBody, Target, bulk, text};
use crate::store::{consent, gate, media, template};

/// Why nothing becomes of what is asked of such a conversation.
const GONE: &str = "its conversation is not there any more";

/// An event between being read and being inserted.
struct Candidate<'a> {
    id: i64,
    incoming: &'a Incoming,
    line: Option<Found>,
    conversation: Option<ConversationId>,
    /// Why it is over before it begins: a wait of a conversation that became part of another one, or anything for one that is
    /// not there any more.
    stale: Option<&'static str>,
    /// It is of something that was erased: it is known, and nothing of it is kept.
    buried: bool,
}

/// Accepts the events of several jobs; the answers are per job, in the order of its events.
pub(crate) async fn apply(scope: &mut Scope<'_>, jobs: &[&[Incoming]]) -> Result<Vec<Vec<Accepted>>, DbErr> {
    let all: Vec<&Incoming> = jobs.iter().flat_map(|job| job.iter()).collect();
    let candidates = find_lines(scope, &all).await?;
    let inserted = insert(scope, &candidates).await?;
    let mut accepted = Vec::with_capacity(candidates.len());
    let mut messages = Vec::new();
    let mut files = Vec::new();
    let mut news = Vec::new();
    let mut open = Vec::new();
    let mut wrote = Vec::new();
    let mut preferences = Vec::new();
    let mut of_templates = Vec::new();
    let mut dispatches = Vec::new();
    let mut heard: HashMap<&str, usize> = HashMap::new();
    for candidate in &candidates {
        let conversation = candidate.conversation;
        let duplicate = !inserted.contains(&candidate.id);
        accepted.push(Accepted { id: EventId(candidate.id), conversation, duplicate });
        if duplicate {
            scope.after.notes.push(Note::Duplicate);
            continue;
        }
        scope.after.notes.push(Note::Accepted(class(&candidate.incoming.body)));
        match &candidate.incoming.body {
            IncomingBody::Message { phone_number_id, message } => {
                *heard.entry(phone_number_id).or_default() += 1;
                if let Some(line) = &candidate.line {
                    messages.push(message_row(scope, candidate.id, line, phone_number_id, message));
                    scope.news.push(notice::News::Message(MessageId(candidate.id)));
                    if let Content::Media(file) = &message.content {
                        files.push(media::wanted(scope, candidate.id, phone_number_id, file));
                    }
                    if message.content.opens_window() {
                        open.push(line.conversation.0);
                    }
                    let (conversation, contact) = (line.conversation.0, line.contact.0);
                    wrote.push(Wrote { conversation, contact, phone_number_id });
                    scope.tally.add(phone_number_id, "in", 1);
                    scope.tally.add(phone_number_id, &format!("in:{}", message.content.kind()), 1);
                }
            }
            IncomingBody::Status { update, .. } => news.push(News { event: candidate.id, update }),
            IncomingBody::Preference { identity, change, .. } => preferences.push((identity, *change)),
            IncomingBody::Template { business_account_id, news, .. } => {
                of_templates.push((business_account_id.as_str(), news));
            }
            IncomingBody::Kept { .. } => scope.after.notes.push(Note::Ignored),
            IncomingBody::Timer { .. } | IncomingBody::Command { .. } => {}
        }
        if let (Some(input), Some(conversation), None) =
            (input(EventId(candidate.id), &candidate.incoming.body), conversation, candidate.stale)
        {
            dispatches.push(Dispatch {
                event: Event {
                    id: EventId(candidate.id),
                    conversation,
                    accepted_at: scope.now,
                    attempts: 0,
                    recovered: false,
                    input: Arc::new(input),
                },
                fresh: candidate.line.as_ref().and_then(|line| line.fresh.clone()).map(Arc::new),
            });
        }
    }
    scope.after.said |= !messages.is_empty();
    bulk::insert_models(scope.tx, messages, "").await?;
    media::want(scope, &files).await?;
    statuses::merge(scope, &news).await?;
    prefer(scope, preferences).await?;
    gate::release(scope, &open).await?;
    activity::count(scope, &wrote).await?;
    template::tell(scope, &of_templates).await?;
    finish_waits(scope, &all).await?;
    if !heard.is_empty() {
        // Before what they lead to: Meta counts them against what may leave.
        let heard = heard.into_iter().map(|(number, count)| (number.into(), count)).collect();
        scope.after.hints.push(Hint::Heard(heard));
    }
    if !dispatches.is_empty() {
        scope.after.open_delta += i64::try_from(dispatches.len()).unwrap_or(0);
        scope.after.hints.push(Hint::Accepted(dispatches));
    }

    let mut rest = accepted.into_iter();
    Ok(jobs.iter().map(|job| rest.by_ref().take(job.len()).collect()).collect())
}

/// Takes in what people told Meta that they want.
async fn prefer(scope: &Scope<'_>, preferences: Vec<(&Identity, Change)>) -> Result<(), DbErr> {
    for (identity, change) in preferences {
        if !consent::told(scope, identity, change).await? {
            tracing::warn!(
                "Meta told the preference of a person whom nobody knows; it is kept with its event"
            );
        }
    }
    Ok(())
}

/// Finds or begins the line of each event. What an event reveals of who is who holds for those before it as well.
async fn find_lines<'a>(scope: &mut Scope<'_>, all: &[&'a Incoming]) -> Result<Vec<Candidate<'a>>, DbErr> {
    let buried = tombstone::buried(scope, all).await?;
    let living = |(place, incoming): (usize, &&'a Incoming)| {
        if buried.contains(&place) { None } else { person(incoming) }
    };
    let people: Vec<Option<Person<'_>>> = all.iter().enumerate().map(living).collect();
    let told: Vec<Person<'_>> = people.iter().flatten().copied().collect();
    let mut lookup = Lookup::prepare(scope, &told).await?;
    let first = scope.ids.next_block(all.len());
    let mut candidates = Vec::with_capacity(all.len());
    for (place, ((id, incoming), person)) in (first..).zip(all).zip(&people).enumerate() {
        let line = match person {
            Some(person) => lookup.line(scope, person).await?,
            None => None,
        };
        let conversation = addressed(&incoming.body);
        let buried = buried.contains(&place);
        candidates.push(Candidate { id, incoming, line, conversation, stale: None, buried });
    }
    lookup.flush(scope).await?;
    let addressed: Vec<i64> =
        candidates.iter().filter_map(|candidate| candidate.conversation).map(|id| id.0).collect();
    let standing = lookup.standing(scope, &addressed).await?;
    for candidate in &mut candidates {
        candidate.line = candidate.line.take().map(|line| lookup.at_the_end(line));
        let stands = candidate.conversation.map(|id| standing.get(&id.0).copied());
        let successor = stands.flatten().flatten();
        let is_wait = matches!(candidate.incoming.body, IncomingBody::Timer { .. });
        candidate.stale = match stands {
            Some(None) => Some(GONE),
            Some(Some(Some(_))) if is_wait => Some("its conversation became part of another"),
            _ => None,
        };
        let line = candidate.line.as_ref().map(|line| line.conversation);
        candidate.conversation = line.or(successor).or(candidate.conversation);
    }
    Ok(candidates)
}

/// From here on the event stands for the wait. One that was set again meanwhile stays.
async fn finish_waits(scope: &Scope<'_>, all: &[&Incoming]) -> Result<(), DbErr> {
    for incoming in all {
        if let IncomingBody::Timer { conversation, generation } = incoming.body {
            timer::Entity::delete_many()
                .filter(timer::Column::ConversationId.eq(conversation.0))
                .filter(timer::Column::Generation.eq(generation))
                .exec(scope.tx)
                .await?;
        }
    }
    Ok(())
}

/// Inserts the events; the answer is the ids of those that were not there before.
async fn insert(scope: &Scope<'_>, candidates: &[Candidate<'_>]) -> Result<HashSet<i64>, DbErr> {
    let living = || candidates.iter().filter(|candidate| !candidate.buried);
    let rows: Vec<webhook::ActiveModel> = living().map(|candidate| webhook_row(scope, candidate)).collect();
    let ids: Vec<i64> = living().map(|candidate| candidate.id).collect();
    let tail = "on conflict (dedupe_key) do nothing";
    if bulk::insert_models(scope.tx, rows, tail).await? == ids.len() as u64 {
        return Ok(ids.into_iter().collect());
    }
    let rows = bulk::returning_ids(scope.tx, "select id from webhook where id in ({ids})", &ids).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// The person and our number, where an event has both.
fn person(incoming: &Incoming) -> Option<Person<'_>> {
    let (told, number) = match &incoming.body {
        IncomingBody::Message { phone_number_id, message } => (told(message), phone_number_id),
        IncomingBody::Command { target: Target::Person { phone_number_id, identity }, .. } => {
            (Told { before: None, now: identity }, phone_number_id)
        }
        IncomingBody::Command { .. }
        | IncomingBody::Timer { .. }
        | IncomingBody::Status { .. }
        | IncomingBody::Preference { .. }
        | IncomingBody::Template { .. }
        | IncomingBody::Kept { .. } => return None,
    };
    Some(Person { told, number, dedupe_key: incoming.dedupe_key })
}

/// Who wrote, and who that was before, where the message says that they have other ids now.
fn told(message: &InboundMessage) -> Told<'_> {
    match &message.content {
        Content::System { now, .. } if !now.aliases().eq(message.sender.aliases()) => {
            Told { before: Some(&message.sender), now }
        }
        _ => Told { before: None, now: &message.sender },
    }
}

/// The conversation that an event names itself.
fn addressed(body: &IncomingBody) -> Option<ConversationId> {
    match body {
        IncomingBody::Command { target: Target::Conversation(conversation), .. }
        | IncomingBody::Timer { conversation, .. } => Some(*conversation),
        _ => None,
    }
}

/// What the conversation's mailbox gets; `None` for what is done when it is accepted.
fn input(event: EventId, body: &IncomingBody) -> Option<Input> {
    match body {
        IncomingBody::Message { message, .. } => Some(Input::Message(message.clone().accepted_as(event))),
        IncomingBody::Command { command, .. } => Some(Input::Command(command.clone())),
        IncomingBody::Timer { generation, .. } => Some(Input::Timer { generation: *generation }),
        IncomingBody::Status { .. }
        | IncomingBody::Preference { .. }
        | IncomingBody::Template { .. }
        | IncomingBody::Kept { .. } => None,
    }
}

/// What it is counted as: one of a few.
fn class(body: &IncomingBody) -> &'static str {
    match body {
        IncomingBody::Message { .. } => "message",
        IncomingBody::Status { .. } => "status",
        IncomingBody::Preference { .. } => "preference",
        IncomingBody::Template { .. } => "template",
        IncomingBody::Kept { .. } => "other",
        IncomingBody::Command { .. } => "command",
        IncomingBody::Timer { .. } => "timer",
    }
}

fn kind(body: &IncomingBody) -> &str {
    match body {
        IncomingBody::Template { kind, .. } | IncomingBody::Kept { kind, .. } => kind,
        _ => class(body),
    }
}

fn number(body: &IncomingBody) -> Option<&str> {
    match body {
        IncomingBody::Status { phone_number_id, .. }
        | IncomingBody::Preference { phone_number_id, .. }
        | IncomingBody::Kept { phone_number_id, .. } => phone_number_id.as_deref(),
        IncomingBody::Message { phone_number_id, .. }
        | IncomingBody::Command { target: Target::Person { phone_number_id, .. }, .. } => {
            Some(phone_number_id)
        }
        IncomingBody::Template { .. } | IncomingBody::Command { .. } | IncomingBody::Timer { .. } => None,
    }
}

fn webhook_row(scope: &Scope<'_>, candidate: &Candidate<'_>) -> webhook::ActiveModel {
    let body = &candidate.incoming.body;
    let conversation = candidate.conversation;
    let (state, reason) = match body {
        _ if candidate.stale.is_some() => ("done", candidate.stale.map(str::to_owned)),
        IncomingBody::Kept { reason, .. } => ("ignored", Some(reason.clone())),
        IncomingBody::Status { .. } | IncomingBody::Preference { .. } | IncomingBody::Template { .. } => {
            ("done", None)
        }
        IncomingBody::Message { .. } | IncomingBody::Command { .. } | IncomingBody::Timer { .. } => {
            ("accepted", None)
        }
    };
    let wamid = match body {
        IncomingBody::Message { message, .. } => message.wamid.clone(),
        IncomingBody::Status { update: StatusUpdate { wamid, .. }, .. } => Some(wamid.clone()),
        IncomingBody::Kept { .. }
        | IncomingBody::Preference { .. }
        | IncomingBody::Template { .. }
        | IncomingBody::Command { .. }
        | IncomingBody::Timer { .. } => None,
    };
    webhook::ActiveModel {
        id: Set(candidate.id),
        dedupe_key: Set(candidate.incoming.dedupe_key.as_bytes().to_vec()),
        kind: Set(text(kind(body))),
        state: Set(state.to_owned()),
        conversation_id: Set(conversation.map(|id| id.0)),
        shard: Set(conversation.map(ConversationId::shard)),
        phone_number_id: Set(number(body).map(text)),
        wamid: Set(wamid.as_deref().map(text)),
        attempts: Set(0),
        reason: Set(reason.as_deref().map(text)),
        // What a conversation is asked that is not there any more may be about a person who was erased.
        payload: Set(if candidate.stale == Some(GONE) {
            ERASED.to_owned()
        } else {
            text(&candidate.incoming.payload)
        }),
        accepted_at: Set(scope.now),
        done_at: Set((state != "accepted").then_some(scope.now)),
    }
}

fn message_row(
    scope: &Scope<'_>,
    event: i64,
    line: &Found,
    phone_number_id: &str,
    message: &InboundMessage,
) -> message::ActiveModel {
    message::ActiveModel {
        // An inbound message is its event: one id for both.
        id: Set(event),
        conversation_id: Set(line.conversation.0),
        contact_id: Set(line.contact.0),
        shard: Set(line.conversation.shard()),
        phone_number_id: Set(phone_number_id.to_owned()),
        event_id: Set(event),
        direction: Set("in".to_owned()),
        kind: Set(text(message.content.kind())),
        body: Set(message.content.text().map(text)),
        content: Set(crate::store::read::inbound_content(&message.content)),
        wamid: Set(message.wamid.as_deref().map(text)),
        reply_to: Set(message.reply_to.as_deref().map(text)),
        status: Set(crate::store::statuses::rank(Status::Received)),
        created_at: Set(scope.now),
        sent_at: Set(message.sent_at),
        // The id is given within the transaction that commits it.
        position: Set(event),
        // The rest is of what we send, and a column that is not named is null.
        ..Default::default()
    }
}
