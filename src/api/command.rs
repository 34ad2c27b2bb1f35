//! From a client's wish to an accepted event, once per idempotency key.

use serde::{Deserialize, Serialize};

use super::digest::fingerprint;
use super::idempotency::{IDEMPOTENCY_KEY, IdempotencyKey};
use super::problem::Problem;
use crate::domain::dedupe::DedupeKey;
use crate::domain::event::Command;
use crate::domain::ids::{ConversationId, EventId};
use crate::domain::outbound::Priority;
use crate::store::read::StoredEvent;
use crate::store::{Incoming, IncomingBody, Store, Target};

/// An accepted command: this time, or the first time when its key was known.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) command: Command,
    pub(super) event: EventId,
    pub(super) conversation: ConversationId,
}

/// What is stored with the event: the command, which is what recovery reads, and what tells one request from another.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    #[serde(flatten)]
    command: Command,
    request: String,
}

/// Accepts `command`: when this returns, it is on disk. A `key` that was used for the same request gives the receipt of
/// that time.
pub(super) async fn accept(
    store: &Store,
    target: Target,
    command: Command,
    key: Option<IdempotencyKey>,
) -> Result<Receipt, Problem> {
    accept_unless(store, target, command, key, None).await
}

/// As [`accept`], unless there is a `refusal`: then only a request that was accepted before gets its receipt.
pub(super) async fn accept_unless(
    store: &Store,
    target: Target,
    command: Command,
    key: Option<IdempotencyKey>,
    refusal: Option<Problem>,
) -> Result<Receipt, Problem> {
    let unique = || DedupeKey::of(&format!("c:{}", store.ids().next()));
    let dedupe_key = key.as_ref().map_or_else(unique, IdempotencyKey::dedupe_key);
    let payload = Payload { request: request(&target, &command), command };
    // Asking first keeps a repeated request from beginning a contact, and answers it even when there is no room.
    if key.is_some()
        && let Some(event) = store.find_event(dedupe_key).await?
    {
        return earlier(&event, &payload);
    }
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    if matches!(payload.command, Command::Send { .. }) && !store.may_queue() {
        return Err(Problem::queue_full());
    }
    let room = store.reserve(1).ok_or_else(Problem::busy)?;
    let incoming = incoming(dedupe_key, target, &payload)?;
    let accepted = store.accept(vec![incoming], room).await?;
    match accepted.first() {
        Some(accepted) if accepted.duplicate => match store.find_event(dedupe_key).await? {
            Some(event) => earlier(&event, &payload),
            None => Err(Problem::conflict(format!(
                "this `{IDEMPOTENCY_KEY}` was used for a person who has been erased since; nothing was accepted"
            ))),
        },
        Some(accepted) => receipt(payload.command, accepted.id, accepted.conversation),
        None => Err(Problem::internal("the store accepted nothing and said nothing")),
    }
}

/// A command that is the same however often it is given, because its key says so.
pub(super) struct Asked {
    pub(super) dedupe_key: DedupeKey,
    pub(super) target: Target,
    pub(super) command: Command,
}

/// Accepts all of these in one commit. Of those that were given before, the command is the earlier one.
pub(super) async fn accept_all(store: &Store, asked: Vec<Asked>) -> Result<Vec<Receipt>, Problem> {
    let room = store.reserve(asked.len()).ok_or_else(Problem::busy)?;
    let mut wanted = Vec::with_capacity(asked.len());
    for Asked { dedupe_key, target, command } in &asked {
        let payload = Payload { request: request(target, command), command: command.clone() };
        wanted.push(incoming(*dedupe_key, target.clone(), &payload)?);
    }
    let accepted = store.accept(wanted, room).await?;
    let mut receipts = Vec::with_capacity(asked.len());
    for (asked, accepted) in asked.into_iter().zip(accepted) {
        let (command, event, conversation) = if accepted.duplicate {
            let earlier = store.find_event(asked.dedupe_key).await?;
            let event = earlier.ok_or_else(|| Problem::internal("an accepted event is not there"))?;
            (stored(&event)?.command, event.id, event.conversation)
        } else {
            (asked.command, accepted.id, accepted.conversation)
        };
        receipts.push(receipt(command, event, conversation)?);
    }
    Ok(receipts)
}

/// The command as it is accepted under this key.
fn incoming(dedupe_key: DedupeKey, target: Target, payload: &Payload) -> Result<Incoming, Problem> {
    Ok(Incoming {
        dedupe_key,
        payload: serde_json::to_string(payload).map_err(|error| Problem::internal(&error.to_string()))?,
        body: IncomingBody::Command { target, command: payload.command.clone() },
    })
}

fn stored(event: &StoredEvent) -> Result<Payload, Problem> {
    serde_json::from_str(event.payload.as_deref().unwrap_or_default())
        .map_err(|error| Problem::internal(&format!("the payload of {} cannot be read: {error}", event.id)))
}

/// The receipt of the event that has the key already, if it is for the same request.
fn earlier(event: &StoredEvent, wanted: &Payload) -> Result<Receipt, Problem> {
    let stored = stored(event)?;
    if stored.request != wanted.request {
        return Err(Problem::key_reused(IDEMPOTENCY_KEY));
    }
    receipt(stored.command, event.id, event.conversation)
}

fn receipt(
    command: Command,
    event: EventId,
    conversation: Option<ConversationId>,
) -> Result<Receipt, Problem> {
    let conversation =
        conversation.ok_or_else(|| Problem::internal("a command was accepted without a conversation"))?;
    Ok(Receipt { command, event, conversation })
}

/// A fingerprint of what was asked of whom. The message's id is ours and not part of it.
fn request(target: &Target, command: &Command) -> String {
    let target = match target {
        Target::Conversation(id) => serde_json::to_string(id),
        Target::Person { phone_number_id, identity } => serde_json::to_string(&(phone_number_id, identity)),
    };
    let command = match command {
        Command::Send { message, reply_to, priority, outside, resend_of, .. } => {
            // A request of before there were classes has the fingerprint that it had.
            if *priority == Priority::of(message) && outside.is_default() && resend_of.is_none() {
                serde_json::to_string(&(message, reply_to))
            } else {
                serde_json::to_string(&(message, reply_to, priority, outside, resend_of))
            }
        }
        Command::HandOff { .. } | Command::Release | Command::Reset => serde_json::to_string(command),
    };
    let text = target.and_then(|target| command.map(|command| format!("{target} {command}")));
    fingerprint(&text.expect("ids and texts are always JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::Identity;
    use crate::domain::ids::MessageId;
    use crate::domain::outbound::Message;
    use crate::domain::window::Outside;

    fn send(id: i64, text: &str, reply_to: Option<&str>) -> Command {
        let message = Message::text(text).unwrap();
        Command::Send {
            message_id: MessageId(id),
            message,
            reply_to: reply_to.map(str::to_owned),
            priority: Priority::Reply,
            outside: Outside::Fail,
            resend_of: None,
        }
    }

    #[test]
    fn requests_differ_by_all_that_the_client_says_and_by_nothing_else() {
        let to =
            |phone: &str| Target::Person { phone_number_id: "1".into(), identity: Identity::phone(phone) };
        let first = request(&to("49170"), &send(1, "hi", None));
        assert_eq!(first, request(&to("49170"), &send(2, "hi", None)));
        for other in [
            request(&to("49171"), &send(1, "hi", None)),
            request(&to("49170"), &send(1, "ho", None)),
            request(&to("49170"), &send(1, "hi", Some("wamid.1"))),
            request(&Target::Conversation(ConversationId(1)), &Command::Reset),
            request(&Target::Conversation(ConversationId(1)), &Command::Release),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn recovery_reads_the_command_out_of_the_payload() {
        for command in [
            send(7, "hi", Some("wamid.1")),
            Command::HandOff { until: None },
            Command::Release,
            Command::Reset,
        ] {
            let payload = Payload { command: command.clone(), request: "r".into() };
            let stored = serde_json::to_string(&payload).unwrap();
            assert_eq!(serde_json::from_str::<Command>(&stored).unwrap(), command);
            assert_eq!(serde_json::from_str::<Payload>(&stored).unwrap().command, command);
        }
    }
}
