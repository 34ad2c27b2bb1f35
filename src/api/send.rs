//! `POST /api/whatsapp/send`: `{"to": "+49…", "type": "text", "body": "…"}`.
//!
//! What could not leave now (the person has opted out, the window is closed, the template is none that Meta would take) is
//! refused at once, before anything is stored.
//! It is judged again when it leaves.

use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::body::{self, Body};
use super::command;
use super::idempotency::{IdempotencyHeader, IdempotencyKey};
use super::openapi::message::SendRequest;
use super::openapi::words::{ConversationIdText, EventIdText, MessageIdText};
use super::params::Params;
use super::problem::Problem;
use super::{Number, WindowMargin};
use crate::domain::contact::{Identity, is_user_id, phone_digits};
use crate::domain::event::Command;
use crate::domain::ids::{ConversationId, EventId, MessageId};
use crate::domain::leaving::{Leaving, Passage};
use crate::domain::outbound::{Message, Priority, Template};
use crate::domain::window::{Outside, needs_window};
use crate::store::{Store, Target};
use crate::template::Book;

/// Characters in `reply_to`, at the most. Meta's ids are opaque; those seen have fewer than 100.
pub(super) const WAMID_MAX: usize = 512;

/// What a client wants to be sent.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    phone_number_id: String,
    identity: Identity,
    message: Message,
    reply_to: Option<String>,
    priority: Option<Priority>,
    outside: Outside,
}

/// A message that is to be sent: the wish is on disk, and takes its turn.
#[derive(Serialize, ToSchema)]
struct Queued {
    /// The id of the message.
    #[schema(value_type = MessageIdText)]
    id: MessageId,
    /// The event that it was accepted as.
    #[schema(value_type = EventIdText)]
    event_id: EventId,
    #[schema(value_type = ConversationIdText)]
    conversation_id: ConversationId,
    #[schema(examples("queued"))]
    status: &'static str,
}

/// Sends a message to a person. It is answered once the wish is on disk; how far the message comes stands in
/// `GET /api/whatsapp/messages/{id}`.
#[utoipa::path(
    post,
    path = "/api/whatsapp/send",
    params(IdempotencyHeader),
    request_body(content = SendRequest),
    responses(
        (status = 202, description = "It is on disk and takes its turn.", body = Queued),
        (
            status = 409,
            description = "The person has opted out, or their 24-hour window is closed. Nothing was accepted."
        )
    )
)]
pub(super) async fn send(
    request: HttpRequest,
    body: Json<Body>,
    store: Data<Store>,
    numbers: Data<[Number]>,
    window: Data<WindowMargin>,
    templates: Data<Book>,
) -> Result<HttpResponse, Problem> {
    Params::of(&request, &[])?;
    let key = IdempotencyKey::of(&request)?;
    let wanted = Wanted::read(body.into_inner().0, &numbers)?;
    let unfit = wanted.check(&templates).err();
    let marketing = wanted.is_marketing(&templates);
    let target = Target::Person { phone_number_id: wanted.phone_number_id, identity: wanted.identity };
    let standing = store.standing(&target).await?;
    let leaving = Leaving {
        free_form: needs_window(&wanted.message),
        marketing,
        despite_opt_out: false,
        outside: &wanted.outside,
        consent: standing.consent,
        last_inbound_at: standing.last_inbound_at,
    };
    let withheld = match leaving.judge(store.clock().now(), window.0) {
        Passage::Refuse(refusal) | Passage::Skip(refusal) => Some(Problem::withheld(refusal)),
        Passage::Go | Passage::GoAs(_) | Passage::Hold => None,
    };
    let message_id = MessageId(store.ids().next());
    let command = Command::Send {
        message_id,
        priority: wanted.priority.unwrap_or_else(|| Priority::of(&wanted.message)),
        message: wanted.message,
        reply_to: wanted.reply_to,
        outside: wanted.outside,
        resend_of: None,
    };
    let receipt = command::accept_unless(&store, target, command, key, unfit.or(withheld)).await?;
    // A repeated request is told the id that its message was given the first time.
    let Command::Send { message_id: id, .. } = receipt.command else {
        return Err(Problem::internal("the receipt of a send is for something else"));
    };
    let queued =
        Queued { id, event_id: receipt.event, conversation_id: receipt.conversation, status: "queued" };
    Ok(HttpResponse::Accepted().json(queued))
}

impl Wanted {
    fn read(body: Value, numbers: &[Number]) -> Result<Self, Problem> {
        let mut fields = body::fields(body)?;
        let identity = person(fields.optional_text("to")?, fields.optional_text("user_id")?)?;
        let phone_number_id = number(fields.optional_text("phone_number_id")?, numbers)?;
        let reply_to = fields.optional_text("reply_to")?;
        if reply_to.as_ref().is_some_and(|wamid| !(1..=WAMID_MAX).contains(&wamid.len())) {
            let detail =
                format!("`reply_to` has to be the `wamid` of a message: 1 to {WAMID_MAX} characters");
            return Err(Problem::field("reply_to", detail));
        }
        let priority = fields.optional_text("priority")?;
        let priority = priority.map(|name| priority_named(&name)).transpose()?;
        let outside = fields.take("outside_window").map(outside).transpose()?.unwrap_or_default();
        let message = Message::read(&mut fields)?;
        fields.finish()?;
        Ok(Self { phone_number_id, identity, message, reply_to, priority, outside })
    }

    /// Refuses a template that Meta would refuse, also one that is to go in the message's place.
    fn check(&self, templates: &Book) -> Result<(), Problem> {
        let check = |message| templates.check(&self.phone_number_id, message).map_err(|(_, invalid)| invalid);
        check(&self.message)?;
        let Outside::Template(template) = &self.outside else { return Ok(()) };
        Ok(check(template).map_err(|invalid| invalid.under("outside_window.template"))?)
    }

    /// Whether it, or what is to go in its place, is known to be marketing.
    fn is_marketing(&self, templates: &Book) -> bool {
        templates.is_marketing(&self.phone_number_id, &self.message, &self.outside)
    }
}

fn priority_named(name: &str) -> Result<Priority, Problem> {
    Priority::parse(name).ok_or_else(|| {
        Problem::field("priority", "`priority` has to be `reply` or `bulk`; a reply goes first")
    })
}

/// `"fail"`, `"wait"` or `{"template": {"name": …}}`.
fn outside(value: Value) -> Result<Outside, Problem> {
    let known = || {
        Problem::field("outside_window", "`outside_window` has to be `fail`, `wait` or `{\"template\": {…}}`")
    };
    match value {
        Value::String(name) if name == "fail" => Ok(Outside::Fail),
        Value::String(name) if name == "wait" => Ok(Outside::Wait),
        Value::Object(mut wish) if wish.len() == 1 => {
            let template = wish.remove("template").ok_or_else(known)?;
            let template = Template::try_from(template)
                .map_err(|invalid| Problem::from(invalid.under("outside_window.template")))?;
            Ok(Outside::Template(Box::new(Message::Template(template))))
        }
        _ => Err(known()),
    }
}

fn person(to: Option<String>, user_id: Option<String>) -> Result<Identity, Problem> {
    match (to, user_id) {
        (Some(_), Some(_)) => Err(Problem::field("user_id", "give `to` or `user_id`, not both")),
        (None, None) => {
            Err(Problem::field("to", "`to` is missing: give a phone number, or `user_id` in its place"))
        }
        (Some(to), None) => phone_digits(&to).map(Identity::phone).ok_or_else(|| {
            Problem::field(
                "to",
                "`to` has to be a phone number with its country code, such as +49 170 1234567",
            )
        }),
        (None, Some(id)) if !is_user_id(&id) => {
            Err(Problem::field("user_id", "`user_id` has to be a business-scoped id, such as US.1349"))
        }
        (None, Some(id)) if id.contains(".ENT.") => {
            Ok(Identity { parent_user_id: Some(id), ..Identity::default() })
        }
        (None, Some(id)) => Ok(Identity { user_id: Some(id), ..Identity::default() }),
    }
}

/// Which of our numbers it leaves from: the named one, or the only one.
fn number(given: Option<String>, numbers: &[Number]) -> Result<String, Problem> {
    let ids: Vec<&str> = numbers.iter().map(|number| number.phone_number_id.as_str()).collect();
    let known = ids.join("`, `");
    match (given, ids.as_slice()) {
        (_, []) => {
            Err(Problem::field("phone_number_id", "no phone number is configured, so nothing can be sent"))
        }
        (Some(id), ids) if ids.contains(&id.as_str()) => Ok(id),
        (Some(_), _) => {
            let detail = format!("`phone_number_id` is not one of our numbers; those are `{known}`");
            Err(Problem::field("phone_number_id", detail))
        }
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) => {
            let detail = format!("`phone_number_id` is missing: there are several numbers, `{known}`");
            Err(Problem::field("phone_number_id", detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn numbers(ids: &[&str]) -> Vec<Number> {
        ids.iter().map(|id| Number { phone_number_id: (*id).to_owned(), display: None }).collect()
    }

    fn read(body: Value) -> Result<Wanted, Problem> {
        Wanted::read(body, &numbers(&["1"]))
    }

    #[test]
    fn the_body_is_a_message_of_the_domain_with_an_address() {
        for message in [
            json!({"type": "text", "body": "hi", "preview_url": true}),
            json!({"type": "buttons", "body": "b", "buttons": [{"id": "y", "title": "Yes"}], "footer": "f"}),
            json!({"type": "list", "body": "b", "button": "Open", "rows": [{"id": "1", "title": "A", "description": "d"}]}),
        ] {
            let mut body = message.clone();
            body["to"] = json!("+49 (170) 123-4567");
            body["reply_to"] = json!("wamid.1");
            let wanted = read(body).unwrap();
            assert_eq!(serde_json::to_value(&wanted.message).unwrap(), message);
            assert_eq!(wanted.identity, Identity::phone("491701234567"));
            assert_eq!((wanted.phone_number_id.as_str(), wanted.reply_to.as_deref()), ("1", Some("wamid.1")));
        }
    }

    #[test]
    fn a_person_is_a_phone_a_user_id_or_a_parent_user_id() {
        let user = person(None, Some("US.13".into())).unwrap();
        assert_eq!(user.user_id.as_deref(), Some("US.13"));
        let parent = person(None, Some("US.ENT.13".into())).unwrap();
        assert_eq!((parent.user_id, parent.parent_user_id.as_deref()), (None, Some("US.ENT.13")));
        for (to, user_id, field) in [
            (None, None, "to"),
            (Some("49170"), Some("US.13"), "user_id"),
            (Some("four nine"), None, "to"),
            (None, Some("13"), "user_id"),
        ] {
            let refused = person(to.map(str::to_owned), user_id.map(str::to_owned)).unwrap_err();
            assert!(refused.to_string().contains(&format!("`{field}`")), "{refused}");
        }
    }

    #[test]
    fn a_number_has_to_be_named_only_when_there_are_several() {
        assert_eq!(number(None, &numbers(&["1"])), Ok("1".to_owned()));
        assert_eq!(number(Some("2".into()), &numbers(&["1", "2"])), Ok("2".to_owned()));
        for (given, known) in [(None, vec!["1", "2"]), (Some("3"), vec!["1", "2"]), (Some("1"), vec![])] {
            assert!(number(given.map(str::to_owned), &numbers(&known)).is_err(), "{given:?} {known:?}");
        }
    }

    #[test]
    fn a_field_of_another_type_of_message_is_refused() {
        let refused = read(json!({"to": "49170", "type": "text", "body": "b", "buttons": []})).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`buttons` is not known here; known are `to`, `user_id`, `phone_number_id`, `reply_to`, `priority`, `outside_window`, `type`, \
             `body`, `preview_url`"
        );
    }
}
