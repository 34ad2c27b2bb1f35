//! What states say beside plain text: messages of every type, what stands around a prompt, WhatsApp's own buttons, and what
//! holds for all of it: quoting, and the closed window.

use super::Compiler;
use super::shapes::beginning;
use super::states::optional;
use crate::domain::outbound::{FOOTER_MAX, Header, INTERACTIVE_BODY_MAX, Message, TEXT_BODY_MAX, Template};
use crate::flow::definition::{Answer, Expect, Manner, Margins, OptOut, OutsideWindow, Receipts, Request};
use crate::flow::fields::{self, Fields};
use crate::flow::shape::Shape;
use crate::flow::template::{self, has_code};
use crate::flow::words::did_you_mean;
use crate::flow::yaml::{Node, Span, Yaml};

/// Messages of one `send`.
const SENDS_MAX: usize = 10;
/// The types that a `send` takes: what is missing is offered by a `menu` or an `ask`, or is not a message.
const SENT: [&str; 14] = [
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "reaction",
    "cta_url",
    "location_request",
    "contact_request",
    "flow",
    "template",
];
/// What a form message is given by the `ask` that it belongs to.
const OF_THE_ASK: [&str; 4] = ["type", "body", "header", "footer"];
const OUTSIDE: [&str; 4] = ["fail", "wait", "skip", "template"];
const RECEIPTS: [&str; 3] = ["off", "read", "typing"];
/// Said to those who opt out, and in again, when the file does not say.
pub(in crate::flow) const STOPPED: &str =
    "You will get no more messages from us. Write START to get them again.";
pub(in crate::flow) const STARTED: &str = "Welcome back! You will get our messages again.";

impl Compiler<'_> {
    /// `reply` and `outside_window`, which every state may have that says something.
    pub(super) fn manner(&mut self, fields: &mut Fields<'_>) -> Option<Manner> {
        let reply = fields.take("reply").map(|node| fields::switch(node, "reply", &mut self.report));
        let outside = self.outside_window(fields);
        Some(Manner { reply: reply.unwrap_or(Some(false))?, outside: outside? })
    }

    pub(super) fn outside_window(&mut self, fields: &mut Fields<'_>) -> Option<Option<OutsideWindow>> {
        let Some((key, node)) = fields.take_entry("outside_window") else { return Some(None) };
        if matches!(node.value, Yaml::Map(_)) {
            let mut fields = Fields::of(node, &key.at, "`outside_window`", &mut self.report)?;
            let template = match fields.take_entry("template") {
                Some((key, node)) => self.shape(node, "template").inspect(|shape| {
                    self.judge("template", (node, &key.at), shape, Template::try_from);
                }),
                None => fields.need("template", &mut self.report).and(None),
            };
            fields.finish(&mut self.report);
            return Some(Some(OutsideWindow::Template(template?)));
        }
        Some(Some(match fields::scalar(node, "outside_window", &mut self.report)? {
            "fail" => OutsideWindow::Fail,
            "wait" => OutsideWindow::Wait,
            "skip" => OutsideWindow::Skip,
            other => {
                let help = did_you_mean(other, OUTSIDE).unwrap_or_else(|| {
                    "it may be `fail`, `wait`, `skip`, or a map with `template`".to_owned()
                });
                self.report.error(&node.at, format!("`outside_window` cannot be `{other}`")).help(help);
                return None;
            }
        }))
    }

    /// `header` and `footer`.
    pub(super) fn margins(&mut self, fields: &mut Fields<'_>) -> Option<Margins> {
        let header = fields.take_entry("header").map(|(key, node)| {
            let shape = self.shape(node, "header")?;
            self.judge("header", (node, &key.at), &shape, Header::try_from);
            Some(shape)
        });
        let footer = fields.take("footer").map(|node| self.template_within(node, "footer", FOOTER_MAX));
        Some(Margins { header: optional(header)?, footer: optional(footer)? })
    }

    /// `request`, which asks for an answer with a button of WhatsApp's own. `body` is the question above it.
    pub(super) fn request(
        &mut self,
        fields: &mut Fields<'_>,
        expect: Option<&Expect>,
        body: Option<&Node>,
    ) -> Option<Option<Request>> {
        let Some((key, node)) = fields.take_entry("request") else { return Some(None) };
        let request = match &expect?.answer {
            Answer::Location => self.requested(node, Request::Location)?,
            Answer::Contact => self.requested(node, Request::Contact)?,
            Answer::Form => Some(Request::Form(self.form(node, &key.at)?)),
            _ => {
                self.report
                    .error(&key.at, "`request` has no button for this answer")
                    .help("it is for `expect: location`, `expect: contact` and `expect: form`");
                return None;
            }
        };
        if let (Some(request), Some(node)) = (&request, body)
            && let Yaml::Scalar(text) = &node.value
            && !has_code(text)
            && text.trim().chars().count() > INTERACTIVE_BODY_MAX
        {
            let message = format!("the text is longer than {INTERACTIVE_BODY_MAX} characters");
            if matches!(request, Request::Form(_)) {
                self.report.error(&node.at, message).help("say the long part in a `say` before");
            } else {
                self.report
                    .warn(&node.at, format!("{message}: sent without the button"))
                    .help("say the long part in a `say` before");
            }
        }
        Some(request)
    }

    fn requested(&mut self, node: &Node, request: Request) -> Option<Option<Request>> {
        fields::switch(node, "request", &mut self.report).map(|on| on.then_some(request))
    }

    fn form(&mut self, node: &Node, at: &Span) -> Option<Shape> {
        let Yaml::Map(entries) = &node.value else {
            self.report
                .error(&node.at, format!("`request` has to be a map here, not {}", node.kind()))
                .help("say which form: `request: { button: Open, flow_id: … }`");
            return None;
        };
        for (key, _) in entries.iter().filter(|(key, _)| OF_THE_ASK.contains(&key.name.as_str())) {
            self.report
                .error(&key.at, format!("`request` has no use for `{}`", key.name))
                .help("the question, `header` and `footer` of the `ask` stand around the button");
        }
        let shape = self.shape(node, "request")?;
        self.judge("request", (node, at), &shape, |mut value| {
            value["type"] = "flow".into();
            value["body"] = "x".into();
            Message::try_from(value)
        });
        Some(shape)
    }

    /// `send`: the fields of one message, or of several in a list.
    pub(super) fn sends(&mut self, fields: &mut Fields<'_>) -> Option<Vec<Shape>> {
        let Some((key, node)) = fields.take_entry("send") else { return Some(Vec::new()) };
        let Yaml::List(items) = &node.value else {
            return self.message(node, &key.at).map(|shape| vec![shape]);
        };
        if items.is_empty() || items.len() > SENDS_MAX {
            let message = format!("`send` needs 1 to {SENDS_MAX} messages, it has {}", items.len());
            self.report.error(&key.at, message);
            return None;
        }
        let read: Vec<_> = items.iter().map(|item| self.message(item, beginning(item))).collect();
        read.into_iter().collect()
    }

    fn message(&mut self, node: &Node, at: &Span) -> Option<Shape> {
        let Yaml::Map(entries) = &node.value else {
            self.report
                .error(
                    &node.at,
                    format!("`send` has to be a map of the fields of a message, not {}", node.kind()),
                )
                .help("like `send: { type: image, link: https://… }`; a text is a `say`");
            return None;
        };
        let Some((_, kind)) = entries.iter().find(|(key, _)| key.name == "type") else {
            self.report
                .error(at, "the message has no `type`")
                .help(format!("add `type: …`, one of {}", fields::listed(&SENT)));
            return None;
        };
        let name = fields::scalar(kind, "type", &mut self.report)?;
        if !SENT.contains(&name) {
            let help = match name {
                "buttons" | "list" => "offer options with a `menu`, or an `ask` with `choice`".to_owned(),
                "read" => "say `read_receipts: read` at the top of the file".to_owned(),
                _ => {
                    did_you_mean(name, SENT).unwrap_or_else(|| format!("it may be {}", fields::listed(&SENT)))
                }
            };
            self.report.error(&kind.at, format!("`send` has no type `{name}`")).help(help);
            return None;
        }
        let shape = self.shape(node, "send")?;
        self.judge("", (node, at), &shape, |mut value| {
            // What is reacted to is known when it is said.
            if value["type"] == "reaction" && value.get("message_id").is_none() {
                value["message_id"] = "x".into();
            }
            Message::try_from(value)
        });
        Some(shape)
    }

    pub(super) fn opt_out(&mut self, fields: &mut Fields<'_>) -> Option<OptOut> {
        let (mut stopped, mut started) = (None, None);
        if let Some((key, node)) = fields.take_entry("opt_out") {
            let mut fields = Fields::of(node, &key.at, "`opt_out`", &mut self.report)?;
            for (name, text) in [("stopped", &mut stopped), ("started", &mut started)] {
                *text = fields.take(name).map(|node| self.template_within(node, name, TEXT_BODY_MAX));
            }
            fields.finish(&mut self.report);
        }
        let mut built_in =
            |name: &str, text: &str| -> Option<template::Template> { self.engine.add(name, text).ok() };
        Some(OptOut {
            stopped: stopped.unwrap_or_else(|| built_in("opt_out.stopped", STOPPED))?,
            started: started.unwrap_or_else(|| built_in("opt_out.started", STARTED))?,
        })
    }

    pub(super) fn receipts(&mut self, node: Option<&Node>) -> Option<Receipts> {
        let Some(node) = node else { return Some(Receipts::Off) };
        Some(match fields::scalar(node, "read_receipts", &mut self.report)? {
            "off" => Receipts::Off,
            "read" => Receipts::Read,
            "typing" => Receipts::Typing,
            other => {
                let help = did_you_mean(other, RECEIPTS)
                    .unwrap_or_else(|| format!("it may be {}", fields::listed(&RECEIPTS)));
                self.report.error(&node.at, format!("`read_receipts` cannot be `{other}`")).help(help);
                return None;
            }
        })
    }

    /// A text of one message; one that is fixed in the file has at most `limit` characters.
    fn template_within(&mut self, node: &Node, what: &str, limit: usize) -> Option<template::Template> {
        if let Yaml::Scalar(text) = &node.value
            && !has_code(text)
            && !self.no_longer_than(text.trim(), &node.at, what, limit)
        {
            return None;
        }
        self.template(node, what)
    }
}
