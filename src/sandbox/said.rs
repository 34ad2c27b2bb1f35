//! What a person can do on a phone, and how it looks on Meta's wire (Meta, "Webhooks reference: messages", 2026).

use serde_json::{Map, Value, json};

use super::entry::{Choice, Content};
use super::media::Sent;
use super::refusal::Refusal;

/// What something that can be pressed stood under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Under {
    Buttons,
    List,
    Template,
}

/// One thing done on a phone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// Typed.
    Text(String),
    /// Wants to press the button or row with this id or title; becomes [`Said::Pressed`] once it is found.
    Press(String),
    /// Pressed a button, or chose a row of a list.
    Pressed { choice: Choice, under: Under },
    /// Sent a file.
    File(Box<Sent>),
    /// Shared a place.
    Location(Place),
    /// Reacted to a message; an empty emoji takes the reaction back.
    Reaction { wamid: String, emoji: String },
    /// Shared contact cards.
    Contacts(Vec<Card>),
    /// Wants to share the phone's own number, as a bot can ask for; becomes [`Said::Contacts`].
    OwnContact,
    /// Filled in a form.
    Form(Value),
    /// Ordered out of a catalogue.
    Order(Value),
    /// Wrote a message anew.
    Edit { wamid: String, text: String },
    /// Deleted a message for everyone.
    Revoke { wamid: String },
    /// Sent what the API cannot show, such as `poll_creation`.
    Unsupported { kind: String },
    /// Sent a message that Meta does not have (yet).
    Unavailable,
    /// Sent a file of this kind that Meta could not fetch.
    Lost { kind: String },
    /// Sent an interactive message of which nothing is left but an error.
    Broken,
    /// Whatever a test likes: the members of the message, in which null takes one away.
    Raw(Map<String, Value>),
}

/// A place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) name: Option<String>,
    pub(super) address: Option<String>,
}

/// A contact card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) name: String,
    /// Digits.
    pub(super) phone: String,
    /// `other`, or `contact_request` for one's own that was asked for.
    pub(super) origin: &'static str,
}

/// What goes along with something said.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Beside {
    /// The wamid that it answers.
    pub(super) quote: Option<String>,
    pub(super) is_forwarded: bool,
    pub(super) is_forwarded_often: bool,
    /// The advertisement that the person came from.
    pub(super) referral: Option<Value>,
    /// The product that the person asks about.
    pub(super) product: Option<Value>,
    /// Whether the message that it answers by its nature is left out, as Meta does now and then.
    pub(super) without_context: bool,
}

/// How it looks on the wire.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wire {
    /// Meta's type.
    pub(super) kind: String,
    /// What stands in the message beside who, when and which.
    pub(super) members: Map<String, Value>,
    /// The `errors` beside the list of messages.
    pub(super) errors: Option<Value>,
}

impl Under {
    /// What stands under a message of this kind.
    pub(super) fn of(content: &Content) -> Self {
        match content.kind.as_str() {
            "list" => Self::List,
            "template" => Self::Template,
            _ => Self::Buttons,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Buttons => "button_reply",
            Self::List => "list_reply",
            Self::Template => "quick_reply",
        }
    }

    fn wire(self, choice: &Choice) -> (&'static str, Value) {
        let mut reply = json!({"id": choice.id, "title": choice.title});
        match self {
            Self::Template => ("button", json!({"payload": choice.id, "text": choice.title})),
            Self::Buttons => ("interactive", json!({"type": "button_reply", "button_reply": reply})),
            Self::List => {
                if let Some(description) = &choice.description {
                    reply["description"] = json!(description);
                }
                ("interactive", json!({"type": "list_reply", "list_reply": reply}))
            }
        }
    }
}

impl Card {
    fn node(&self) -> Value {
        json!({
            "name": {"formatted_name": self.name, "first_name": self.name},
            "phones": [{"phone": format!("+{}", self.phone), "wa_id": self.phone, "type": "CELL"}],
            "origin": self.origin,
        })
    }
}

impl Said {
    /// The kind of message that it answers, if the newest one of the business is of that kind.
    pub(super) fn answers(&self) -> Option<&'static str> {
        match self {
            Self::Form(_) => Some("flow"),
            Self::Location(_) => Some("location_request_message"),
            Self::OwnContact => Some("request_contact_info"),
            _ => None,
        }
    }

    /// What the transcript shows.
    pub(super) fn shown(&self) -> Content {
        let (kind, text) = match self {
            Self::Text(text) => ("text", text.clone()),
            Self::Press(id) => ("button_reply", id.clone()),
            Self::Pressed { choice, under } => (under.kind(), choice.title.clone()),
            Self::File(sent) => (sent.kind, sent.caption.clone().unwrap_or_default()),
            Self::Location(Place { latitude, longitude, name, .. }) => {
                let name = name.as_deref().unwrap_or_default();
                ("location", format!("{name} ({latitude}, {longitude})").trim_start().to_owned())
            }
            Self::Reaction { emoji, .. } => ("reaction", emoji.clone()),
            Self::Contacts(cards) => {
                let names: Vec<&str> = cards.iter().map(|card| card.name.as_str()).collect();
                ("contacts", names.join(", "))
            }
            Self::OwnContact => ("contacts", String::new()),
            Self::Form(data) => ("form", data.to_string()),
            Self::Order(order) => ("order", order["text"].as_str().unwrap_or_default().to_owned()),
            Self::Edit { text, .. } => ("edit", text.clone()),
            Self::Revoke { .. } => ("revoke", String::new()),
            Self::Unsupported { kind } => ("unsupported", kind.clone()),
            Self::Unavailable => ("unsupported", "unavailable".to_owned()),
            Self::Lost { kind } => ("unsupported", format!("{kind} that Meta could not fetch")),
            Self::Broken => ("unsupported", "interactive".to_owned()),
            Self::Raw(members) => ("raw", Value::Object(members.clone()).to_string()),
        };
        let sent = if let Self::File(sent) = self { Some(sent) } else { None };
        let media = sent.map(|sent| sent.file.id.clone());
        let voice = sent.is_some_and(|sent| sent.voice);
        Content { kind: kind.to_owned(), text, media, voice, ..Content::default() }
    }

    /// What stands in the webhook. `context` is what it answers, `business` who wrote that.
    pub(super) fn wire(&self, beside: &Beside, context: Option<&str>, business: &str) -> Wire {
        let mut wire = self.bare();
        // A reaction names its message inside its node, not in `context`.
        let context = context.filter(|_| !matches!(self, Self::Reaction { .. }));
        let mut about = Map::new();
        if let Some(wamid) = context {
            about.insert("from".into(), json!(business));
            about.insert("id".into(), json!(wamid));
        }
        if beside.is_forwarded {
            about.insert("forwarded".into(), json!(true));
        }
        if beside.is_forwarded_often {
            about.insert("frequently_forwarded".into(), json!(true));
        }
        if let Some(product) = &beside.product {
            about.insert("referred_product".into(), product.clone());
        }
        if !about.is_empty() {
            wire.members.entry("context").or_insert(Value::Object(about));
        }
        if let Some(referral) = &beside.referral {
            wire.members.insert("referral".into(), referral.clone());
        }
        wire
    }

    /// Its type and its own node.
    fn bare(&self) -> Wire {
        let (kind, node) = match self {
            Self::Text(text) | Self::Press(text) => ("text", json!({"body": text})),
            Self::Pressed { choice, under } => under.wire(choice),
            Self::File(sent) => (sent.kind, sent.node()),
            Self::Location(place) => ("location", place.node()),
            Self::Reaction { wamid, emoji } if emoji.is_empty() => ("reaction", json!({"message_id": wamid})),
            Self::Reaction { wamid, emoji } => ("reaction", json!({"message_id": wamid, "emoji": emoji})),
            Self::Contacts(cards) => ("contacts", cards.iter().map(Card::node).collect()),
            Self::OwnContact => ("contacts", json!([])),
            Self::Form(data) => {
                let reply = json!({"name": "flow", "body": "Sent", "response_json": data.to_string()});
                ("interactive", json!({"type": "nfm_reply", "nfm_reply": reply}))
            }
            Self::Order(order) => ("order", order.clone()),
            Self::Edit { wamid, text } => {
                let message = json!({"type": "text", "text": {"body": text}});
                ("edit", json!({"original_message_id": wamid, "message": message}))
            }
            Self::Revoke { wamid } => ("revoke", json!({"original_message_id": wamid})),
            Self::Unsupported { kind } => {
                let mut wire = failed("unsupported", &unknown_type());
                wire.members.insert("unsupported".into(), json!({"type": kind}));
                return wire;
            }
            Self::Unavailable => return failed("unsupported", &Refusal::of(131_060)),
            Self::Lost { kind } => return failed(kind, &Refusal::of(131_052)),
            Self::Broken => {
                let errors =
                    json!([Refusal::of(131_000).details("Unsupported webhook payload").status_error()]);
                return Wire { kind: "interactive".into(), members: Map::new(), errors: Some(errors) };
            }
            Self::Raw(members) => {
                let kind = members.get("type").and_then(Value::as_str).unwrap_or("text").to_owned();
                return Wire { kind, members: members.clone(), errors: None };
            }
        };
        Wire { kind: kind.to_owned(), members: Map::from_iter([(kind.to_owned(), node)]), errors: None }
    }
}

/// A message of which only an error is left.
fn failed(kind: &str, why: &Refusal) -> Wire {
    let members = Map::from_iter([("errors".to_owned(), json!([why.status_error()]))]);
    Wire { kind: kind.to_owned(), members, errors: None }
}

/// Meta's words for a message that the API cannot show.
fn unknown_type() -> Refusal {
    Refusal::saying(400, 131_051, None, "(#131051) Message type unknown".into())
        .details("Message type is currently not supported.")
}

impl Place {
    fn node(&self) -> Value {
        let mut node = json!({"latitude": self.latitude, "longitude": self.longitude});
        for (key, value) in [("name", &self.name), ("address", &self.address)] {
            if let Some(value) = value {
                node[key] = json!(value);
            }
        }
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(said: &Said) -> Value {
        Value::Object(said.wire(&Beside::default(), None, "1").members)
    }

    #[test]
    fn a_taken_back_reaction_has_no_emoji_on_the_wire() {
        let back = Said::Reaction { wamid: "wamid.1".into(), emoji: String::new() };
        assert_eq!(members(&back), json!({"reaction": {"message_id": "wamid.1"}}));
        let wire = back.wire(&Beside::default(), Some("wamid.1"), "1");
        assert_eq!(wire.members.get("context"), None);
    }

    #[test]
    fn a_chosen_row_carries_its_description_and_a_button_has_none() {
        let choice =
            Choice { id: "r".into(), title: "Row".into(), description: Some("More".into()), section: None };
        let row = members(&Said::Pressed { choice: choice.clone(), under: Under::List });
        let expected = json!({"id": "r", "title": "Row", "description": "More"});
        assert_eq!(row["interactive"]["list_reply"], expected);
        let button = members(&Said::Pressed { choice, under: Under::Buttons });
        assert_eq!(button["interactive"]["button_reply"], json!({"id": "r", "title": "Row"}));
    }

    #[test]
    fn a_forwarded_reply_about_a_product_holds_all_of_it_in_one_context() {
        let product = json!({"catalog_id": "1", "product_retailer_id": "a"});
        let beside = Beside {
            is_forwarded: true,
            product: Some(product.clone()),
            referral: Some(json!({"source_type": "ad"})),
            ..Beside::default()
        };
        let wire = Said::Text("hi".into()).wire(&beside, Some("wamid.1"), "1555");
        assert_eq!(
            wire.members["context"],
            json!({"from": "1555", "id": "wamid.1", "forwarded": true, "referred_product": product})
        );
        assert_eq!(wire.members["referral"], json!({"source_type": "ad"}));
    }
}
