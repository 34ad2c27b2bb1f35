//! What a state says: the messages of a text, a prompt or a `send`, what they quote, and what becomes of them while the
//! person's 24-hour window is closed.

use std::sync::Arc;

use minijinja::Value as Scope;
use serde_json::Value;

use super::definition::{Manner, Margins, OutsideWindow, Receipts, Request, Say};
use super::prompt::{self, Around, Offer, Top};
use super::scope::{Names, event};
use super::shape::Shape;
use super::step::Turn;
use super::template::Template;
use super::transition::{Context, Effect};
use super::{Flow, compile};
use crate::domain::consent::Wish;
use crate::domain::outbound::{ContactRequest, Header, LocationRequest, Message, Read, Template as Approved};
use crate::domain::window::{Outside, needs_window};

/// What a prompt consists of, but for its options.
pub(super) struct Prompt<'a> {
    pub(super) body: &'a Template,
    pub(super) margins: &'a Margins,
    pub(super) manner: &'a Manner,
    /// What the button that opens a list says.
    pub(super) button: &'a str,
    pub(super) request: Option<&'a Request>,
}

impl Flow {
    /// What a person is told whose message was a word of STOP or START, once that is kept. A text of the flow that fails or
    /// comes to nothing is replaced by the built-in one.
    ///
    /// # Panics
    /// Never: the built-in texts are messages.
    #[must_use]
    pub fn opt_out_text(&self, wish: Wish, context: &Context<'_>) -> Message {
        let texts = &self.definition.opt_out;
        let (text, built_in) = match wish {
            Wish::Stop => (&texts.stopped, compile::STOPPED),
            Wish::Start => (&texts.started, compile::STARTED),
        };
        let names = Names {
            variables: Arc::clone(&self.definition.variables),
            saved: serde_json::Map::new(),
            event: Arc::new(event(None)),
            person: Arc::new(context.contact.clone()),
            phone_number_id: context.phone_number_id.into(),
            now: context.now,
        };
        let scope = names.into_scope();
        let said = self.engine.render(text, &scope).ok().and_then(|said| Message::text(said).ok());
        said.unwrap_or_else(|| Message::text(built_in).expect("a constant text"))
    }
}

impl Turn<'_> {
    pub(super) fn say(&mut self, template: &Template, manner: &Manner) -> Result<(), String> {
        let text = self.render(template)?;
        self.say_words(&text, manner);
        Ok(())
    }

    pub(super) fn say_words(&mut self, text: &str, manner: &Manner) {
        self.send(prompt::texts(text), manner);
    }

    /// The text of a `say`, then the messages of its `send`.
    pub(super) fn say_all(&mut self, say: &Say) -> Result<(), String> {
        let text = say.say.as_ref().map_or(Ok(String::new()), |say| self.render(say))?;
        let mut messages = prompt::texts(&text);
        for (place, shape) in say.send.iter().enumerate() {
            messages.extend(
                self.message_of(shape).map_err(|why| format!("`send`, message {}: {why}", place + 1))?,
            );
        }
        self.send(messages, &say.manner);
        Ok(())
    }

    pub(super) fn prompt(
        &mut self,
        state: &str,
        asked: &Prompt<'_>,
        offers: &[Offer<'_>],
        hint: impl Fn() -> String,
    ) -> Result<(), String> {
        let mut body = self.render(asked.body)?;
        if body.is_empty() && asked.request.is_some() {
            // Meta wants a body above its button.
            body = hint();
        }
        let messages = match asked.request {
            Some(Request::Form(form)) => vec![self.form(form, &body, asked.margins)?],
            Some(Request::Location) => prompt::request(&body, self.around(asked.margins)?, |body| {
                LocationRequest::new(body).map(Message::LocationRequest)
            }),
            Some(Request::Contact) => prompt::request(&body, self.around(asked.margins)?, |body| {
                ContactRequest::new(body).map(Message::ContactRequest)
            }),
            None if offers.is_empty() => prompt::question(&body, self.around(asked.margins)?),
            None => prompt::options(state, &body, asked.button, offers, self.around(asked.margins)?),
        };
        self.send(messages, asked.manner);
        Ok(())
    }

    /// A message of a `send`; none for a reaction where there is nothing to react to.
    fn message_of(&self, shape: &Shape) -> Result<Option<Message>, String> {
        let mut value = self.fill(shape)?;
        if value["type"] == "reaction" && value.get("message_id").is_none() {
            let Some(wamid) = self.wamid() else { return Ok(None) };
            value["message_id"] = wamid.into();
        }
        Message::try_from(value).map(Some).map_err(|invalid| invalid.to_string())
    }

    /// The question with the button that opens a form.
    fn form(&self, form: &Shape, body: &str, margins: &Margins) -> Result<Message, String> {
        let mut value = self.fill(form)?;
        value["type"] = "flow".into();
        value["body"] = body.into();
        if let Some(header) = self.header(margins)? {
            value["header"] = header;
        }
        if let Some(footer) = self.footer(margins)? {
            value["footer"] = footer.into();
        }
        Message::try_from(value).map_err(|invalid| invalid.to_string())
    }

    fn around(&self, margins: &Margins) -> Result<Around, String> {
        let top = match self.header(margins)? {
            None => None,
            Some(Value::String(line)) => Some(Top::Text(line)),
            Some(header) => {
                match Header::try_from(header).map_err(|invalid| invalid.under("header").to_string())? {
                    Header::Text(line) => Some(Top::Text(line)),
                    Header::Media(media) => Some(Top::Media(media)),
                }
            }
        };
        Ok(Around { top, footer: self.footer(margins)? })
    }

    /// The header as JSON; a line of text as a string.
    fn header(&self, margins: &Margins) -> Result<Option<Value>, String> {
        let Some(shape) = &margins.header else { return Ok(None) };
        let mut value = self.fill(shape)?;
        if let Some(line) = value.get_mut("text") {
            value = line.take();
        }
        let is_blank = value.as_str().is_some_and(str::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty);
        Ok((!is_blank).then_some(value))
    }

    fn footer(&self, margins: &Margins) -> Result<Option<String>, String> {
        let footer = margins.footer.as_ref().map(|footer| self.render(footer)).transpose()?;
        Ok(footer.filter(|footer| !footer.is_empty()))
    }

    /// Wishes for messages. The first of a turn that quotes, quotes; a template in place of what cannot go, goes once.
    fn send(&mut self, messages: Vec<Message>, manner: &Manner) {
        if messages.is_empty() {
            return;
        }
        let outside = self.outside(manner);
        for message in messages {
            let quotes = manner.reply && !matches!(message, Message::Reaction(_)) && !self.has_quoted();
            let reply_to = if quotes { self.wamid().map(str::to_owned) } else { None };
            let outside = match &outside {
                _ if !needs_window(&message) => Outside::Fail,
                Outside::Template(_) if self.has_said(&outside) => Outside::Skip,
                outside => outside.clone(),
            };
            self.progress.effects.push(Effect::Send { message, reply_to, outside });
        }
    }

    fn has_quoted(&self) -> bool {
        self.progress.effects.iter().any(|effect| matches!(effect, Effect::Send { reply_to: Some(_), .. }))
    }

    fn has_said(&self, wanted: &Outside) -> bool {
        let says = |effect: &Effect| matches!(effect, Effect::Send { outside, .. } if outside == wanted);
        self.progress.effects.iter().any(says)
    }

    /// What becomes of messages while the window is closed. A template that is wrong is told, and does not keep the person
    /// from what can be said to them now.
    fn outside(&mut self, manner: &Manner) -> Outside {
        let flow = self.flow;
        match manner.outside.as_ref().unwrap_or(&flow.definition.outside) {
            OutsideWindow::Fail => Outside::Fail,
            OutsideWindow::Wait => Outside::Wait,
            OutsideWindow::Skip => Outside::Skip,
            OutsideWindow::Template(shape) => {
                let filled = self.fill(shape).and_then(|value| {
                    Approved::try_from(value).map_err(|invalid| invalid.under("template").to_string())
                });
                match filled {
                    Ok(template) => Outside::Template(Box::new(Message::Template(template))),
                    Err(why) => {
                        self.progress.effects.push(Effect::Trouble(format!("`outside_window`: {why}")));
                        Outside::Fail
                    }
                }
            }
        }
    }

    /// The mark that the message of this turn was read, if the flow wants it to be seen. That we write shows until a message
    /// comes, so it is not shown where none will.
    pub(super) fn receipt(&self) -> Option<Effect> {
        let typing = match self.flow.definition.receipts {
            Receipts::Off => return None,
            Receipts::Read => false,
            Receipts::Typing => {
                self.progress.effects.iter().any(|effect| matches!(effect, Effect::Send { .. }))
            }
        };
        let message = Message::Read(Read::new(self.wamid()?, typing).ok()?);
        Some(Effect::Send { message, reply_to: None, outside: Outside::Fail })
    }

    /// Meta's id of the message that began the turn.
    fn wamid(&self) -> Option<&str> {
        self.progress.event.get("id").and_then(Value::as_str)
    }

    fn fill(&self, shape: &Shape) -> Result<Value, String> {
        shape.fill(&self.flow.engine, &self.scope())
    }

    pub(super) fn render(&self, template: &Template) -> Result<String, String> {
        self.flow.engine.render(template, &self.scope())
    }

    /// What templates and expressions see now.
    pub(super) fn scope(&self) -> Scope {
        let names = Names {
            variables: Arc::clone(&self.flow.definition.variables),
            saved: self.progress.snapshot.vars.clone(),
            event: Arc::clone(&self.progress.event),
            person: Arc::clone(&self.person),
            phone_number_id: Arc::clone(&self.phone_number_id),
            now: self.context.now,
        };
        names.into_scope()
    }
}
