//! A compiled flow: what the file says, checked and ready to run. Built by `compile`, read by `step`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use super::shape::Shape;
use super::template::{Expression, Template};
use crate::clock::Millis;
use crate::domain::inbound::MediaKind;

/// The one parameter of `on_erase` and `on_export`: an id under which a person is known, as `contact.id` is.
pub const PERSON: &str = "person";

/// The name of a state.
pub(super) type StateName = String;

#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) start: StateName,
    /// Words in normal form, and where they lead.
    pub(super) globals: BTreeMap<String, StateName>,
    pub(super) fallback: Fallback,
    pub(super) timeout: Option<Timeout>,
    pub(super) outside: OutsideWindow,
    pub(super) opt_out: OptOut,
    pub(super) receipts: Receipts,
    pub(super) connectors: BTreeMap<String, Declared>,
    /// Statements by which a person leaves the business's own tables.
    pub(super) on_erase: Vec<String>,
    /// Queries that give what these hold of a person.
    pub(super) on_export: Vec<String>,
    pub(super) states: BTreeMap<StateName, State>,
    /// The names that some state saves.
    pub(super) variables: Arc<[String]>,
}

/// What happens on input that nothing understands.
#[derive(Debug)]
pub(super) struct Fallback {
    pub(super) say: Template,
    /// Misses in a row that lead to `then`.
    pub(super) retries: u32,
    pub(super) then: StateName,
}

/// What happens when a person says nothing.
#[derive(Debug)]
pub(super) struct Timeout {
    pub(super) after_ms: Millis,
    pub(super) say: Option<Template>,
    pub(super) go: StateName,
}

/// What becomes of what is said while the person's 24-hour window is closed.
#[derive(Debug)]
pub(super) enum OutsideWindow {
    Fail,
    Wait,
    Skip,
    /// The fields of a template, which goes in its place.
    Template(Shape),
}

/// What is said to people who opt out or in again by a word of their own.
#[derive(Debug)]
pub(super) struct OptOut {
    pub(super) stopped: Template,
    pub(super) started: Template,
}

/// What a person sees of their message having come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receipts {
    Off,
    /// That it was read.
    Read,
    /// That, and that an answer is being written.
    Typing,
}

/// How a state says what it says.
#[derive(Debug, Default)]
pub(super) struct Manner {
    /// Whether it quotes what the person wrote.
    pub(super) reply: bool,
    /// None: as at the top of the file.
    pub(super) outside: Option<OutsideWindow>,
}

/// What stands above and below a prompt.
#[derive(Debug, Default)]
pub(super) struct Margins {
    pub(super) header: Option<Shape>,
    pub(super) footer: Option<Template>,
}

/// A connector with the expressions of its parameters.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) connector: Connector,
    pub(super) params: BTreeMap<String, Expression>,
}

/// What a flow may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connector {
    /// Reads rows. The SQL is a single `select` (or `with`) whose only parameters are bound ones, written `:name`.
    Query {
        /// The statement.
        sql: String,
        /// Rows that are taken at most.
        rows_max: usize,
        /// How long it may take.
        timeout: Duration,
    },
    /// Writes within the turn's own transaction: a single `insert`, `update` or `delete` with bound parameters only.
    Write {
        /// The statement.
        sql: String,
    },
    /// Counts durably, under the connector's name: `prefix`, a dash, and the next number padded to `digits`
    /// (`DEF-000123`); without a prefix, only the number.
    Sequence {
        /// What stands before the number; may be empty.
        prefix: String,
        /// Digits of the number at least.
        digits: usize,
    },
    /// Asks a service over HTTP, which answers in JSON.
    Http(Arc<Service>),
}

/// What is asked of a service over HTTP, but for the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Where: `https://` or `http://`, a fixed host, then a path and a query in which `{name}` stands for a parameter.
    pub address: String,
    /// How.
    pub method: Method,
    /// Headers with their values.
    pub headers: Vec<(String, String)>,
    /// Headers whose values are secret, each with the environment variable that holds it.
    pub secrets: Vec<(String, String)>,
    /// The names of fields and places of entries that lead to what is taken of the answer; none for all of it.
    pub take: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// How a service is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// It changes nothing there, so it may be asked any number of times.
    Get,
    /// It may change something there. The parameters that are not in the address are the body, and the request names itself,
    /// so that the service can tell a repetition.
    Post,
}

/// What a state does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKind {
    /// Offers options and waits.
    Menu,
    /// Asks for an answer and waits.
    Ask,
    /// Says something and goes on.
    Say,
    /// Calls a connector and goes on.
    Call,
    /// Goes on according to conditions.
    Branch,
    /// Leaves the person to a colleague.
    Handoff,
    /// Ends the conversation.
    End,
}

impl StateKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Menu, Self::Ask, Self::Say, Self::Call, Self::Branch, Self::Handoff, Self::End];

    /// The key by which a state of this kind is known in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Menu => "menu",
            Self::Ask => "ask",
            Self::Say => "say",
            Self::Call => "call",
            Self::Branch => "branch",
            Self::Handoff => "handoff",
            Self::End => "end",
        }
    }

    /// Whether a turn can end in such a state: it waits for a message, is muted, or ends the conversation.
    #[must_use]
    pub fn rests(self) -> bool {
        matches!(self, Self::Menu | Self::Ask | Self::Handoff | Self::End)
    }
}

#[derive(Debug)]
pub(super) enum State {
    Menu(Menu),
    Ask(Ask),
    Say(Say),
    Call(Call),
    Branch(Branch),
    Handoff(Handoff),
    End(End),
}

impl State {
    pub(super) fn kind(&self) -> StateKind {
        match self {
            Self::Menu(_) => StateKind::Menu,
            Self::Ask(_) => StateKind::Ask,
            Self::Say(_) => StateKind::Say,
            Self::Call(_) => StateKind::Call,
            Self::Branch(_) => StateKind::Branch,
            Self::Handoff(_) => StateKind::Handoff,
            Self::End(_) => StateKind::End,
        }
    }

    /// The time-out that this state has for itself.
    pub(super) fn timeout(&self) -> Option<&Timeout> {
        match self {
            Self::Menu(menu) => menu.timeout.as_ref(),
            Self::Ask(ask) => ask.timeout.as_ref(),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Menu {
    pub(super) body: Template,
    pub(super) margins: Margins,
    pub(super) manner: Manner,
    /// What the button that opens a list says.
    pub(super) button: String,
    pub(super) options: Vec<MenuOption>,
    /// Where the label of the chosen option is saved.
    pub(super) save: Option<String>,
    pub(super) timeout: Option<Timeout>,
}

#[derive(Debug)]
pub(super) struct MenuOption {
    pub(super) label: String,
    pub(super) description: Option<String>,
    /// The label and the keys in normal form.
    pub(super) words: Vec<String>,
    pub(super) go: StateName,
}

#[derive(Debug)]
pub(super) struct Ask {
    pub(super) body: Template,
    pub(super) margins: Margins,
    pub(super) manner: Manner,
    pub(super) button: String,
    pub(super) expect: Expect,
    pub(super) request: Option<Request>,
    pub(super) save: String,
    pub(super) invalid: Option<Template>,
    pub(super) globals: bool,
    pub(super) go: StateName,
    pub(super) timeout: Option<Timeout>,
}

/// WhatsApp's own button by which the person answers.
#[derive(Debug)]
pub(super) enum Request {
    Location,
    Contact,
    /// The fields of a form message, but for those that stand around the question.
    Form(Shape),
}

/// What counts as an answer.
#[derive(Debug)]
pub(super) struct Expect {
    pub(super) answer: Answer,
    /// Words in normal form that are accepted besides, and saved as none.
    pub(super) or: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Answer {
    /// Characters.
    Text {
        min: usize,
        max: usize,
    },
    Number {
        min: Option<f64>,
        max: Option<f64>,
    },
    /// Of this kind; none is any.
    Media(Option<MediaKind>),
    Pattern(Regex),
    Choice(Vec<String>),
    Location,
    Contact,
    Form,
}

#[derive(Debug)]
pub(super) struct Say {
    pub(super) say: Option<Template>,
    /// The messages that go after the text.
    pub(super) send: Vec<Shape>,
    pub(super) manner: Manner,
    pub(super) set: Vec<(String, Expression)>,
    pub(super) go: StateName,
}

#[derive(Debug)]
pub(super) struct Handoff {
    pub(super) say: Template,
    pub(super) manner: Manner,
    /// How long the bot is silent; none: until an operator releases it.
    pub(super) for_ms: Option<Millis>,
    pub(super) go: StateName,
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) say: Template,
    pub(super) manner: Manner,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) connector: String,
    pub(super) save: Option<String>,
    /// Only the first row is saved, as a map.
    pub(super) first: bool,
    pub(super) ok: StateName,
    pub(super) empty: StateName,
    /// None: a built-in apology, then the fallback.
    pub(super) error: Option<StateName>,
}

#[derive(Debug)]
pub(super) struct Branch {
    pub(super) cases: Vec<(Expression, StateName)>,
    pub(super) otherwise: StateName,
}
