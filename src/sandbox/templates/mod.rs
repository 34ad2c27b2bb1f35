//! Message templates as Meta keeps them: created, reviewed, edited, paused, deleted, and checked against when one is sent.
//!
//! Source: Meta, "Message templates" and "Webhooks reference: message_template_status_update", 2026. A review ends at once
//! with `APPROVED`, unless [`Review::Wait`] leaves that to whoever sets the status. Not here: the upload of header
//! examples (any handle is taken), libraries, and pacing.

mod buttons;
mod define;
mod demo;
mod fill;
pub(super) mod graph;
pub(super) mod levers;
mod list;
mod news;
mod shape;

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) use demo::templates as demo_templates;

use self::define::{Definition, Examples, invalid};
use self::shape::{Action, Category, Shape};
use super::courier::Courier;
use super::entry::Content;
use super::lock;
use super::param::{Checked, Param};
use super::payload::Update;
use super::refusal::Refusal;
use crate::clock::{Clock, HOUR, Millis};

/// Templates of one business account (Meta, "Error codes": 2388019).
pub const TEMPLATES_MAX: usize = 250;
const DAY: Millis = 24 * HOUR;
/// How long the name of a deleted approved template stays taken, and how far back edits count.
const MONTH: Millis = 30 * DAY;
/// Edits of an approved template in a month; and one a day.
const EDITS_A_MONTH: usize = 10;

/// How the review of a new or edited template ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// It is approved at once.
    #[default]
    Approve,
    /// It stays `PENDING` until its status is set.
    Wait,
}

/// Why something cannot be done with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadTemplate(String);

/// A send's wish for a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) name: String,
    pub(super) language: String,
    /// The `components` of the request; null without.
    pub(super) components: Value,
    /// Whether it is for a business-scoped user id.
    pub(super) to_user_id: bool,
}

/// One template in one language.
#[derive(Debug, Clone)]
struct Template {
    id: String,
    /// Grows with every template: what cursors point at.
    number: u64,
    name: String,
    language: String,
    category: Category,
    previous_category: Option<Category>,
    status: &'static str,
    rejected_reason: String,
    quality: &'static str,
    /// Since when it has this quality.
    rated_at: Millis,
    components: Vec<Value>,
    shape: Shape,
    edited_at: Vec<Millis>,
}

#[derive(Default)]
struct Book {
    templates: Vec<Template>,
    last_number: u64,
    /// Names that cannot be used again yet, and until when.
    blocked: Vec<(String, Millis)>,
    review: Review,
}

/// All templates of the account.
#[derive(Clone)]
pub(super) struct Templates {
    book: Arc<Mutex<Book>>,
    courier: Arc<Courier>,
    clock: Clock,
    /// Whether a template that is not known is delivered unchecked.
    any: bool,
}

impl Templates {
    pub(super) fn new(courier: Arc<Courier>, clock: Clock, any: bool) -> Self {
        Self { book: Arc::default(), courier, clock, any }
    }

    /// Puts a template there that is approved already, without a webhook. The answer is its id.
    pub(super) fn add(&self, definition: &Value) -> Result<String, BadTemplate> {
        let definition = define::read(definition, Examples::Optional);
        let added = definition.and_then(|definition| self.insert(definition, "APPROVED"));
        added.map(|template| template.id).map_err(|refusal| BadTemplate(refusal.words().to_owned()))
    }

    /// `POST /{business_account_id}/message_templates`: creates one and sends it to review.
    fn create(&self, definition: &Value) -> Checked<Value> {
        let definition = define::read(definition, Examples::Needed)?;
        let template = self.insert(definition, "PENDING")?;
        let reviewed = self.review(template);
        Ok(json!({"id": reviewed.id, "status": reviewed.status, "category": reviewed.category.word()}))
    }

    fn insert(&self, definition: Definition, status: &'static str) -> Checked<Template> {
        let now = self.clock.now();
        let mut book = lock(&self.book);
        let Definition { name, language, category, components, shape } = definition;
        if book.find(&name, &language).is_some() {
            let words = format!(
                "There is already {language} content for this template. You can create a new template and try again."
            );
            return Err(invalid(Some(2_388_024), "Content in This Language Already Exists", words));
        }
        book.blocked.retain(|(_, until)| *until > now);
        if book.blocked.iter().any(|(blocked, _)| *blocked == name) {
            let words =
                format!("New content can't be added while {name} is being deleted. Try again in 4 weeks.");
            return Err(invalid(Some(2_388_023), "Message Template Language Is Being Deleted", words));
        }
        if book.templates.len() >= TEMPLATES_MAX {
            let words = format!("This account has {TEMPLATES_MAX} message templates already.");
            return Err(invalid(Some(2_388_019), "Message Template Limit Exceeded", words));
        }
        book.last_number += 1;
        let template = Template {
            id: new_id(),
            number: book.last_number,
            name,
            language,
            category,
            previous_category: None,
            status,
            rejected_reason: "NONE".into(),
            quality: "UNKNOWN",
            rated_at: now,
            components,
            shape,
            edited_at: Vec::new(),
        };
        book.templates.push(template.clone());
        Ok(template)
    }

    /// Ends the review of a template, if it ends by itself.
    fn review(&self, template: Template) -> Template {
        if lock(&self.book).review == Review::Wait {
            return template;
        }
        let approved = self.change(&template.id, "APPROVED", None).ok();
        approved.unwrap_or(template)
    }

    /// `POST /{template_id}`: another category, other components, or both (Meta, "Edit templates").
    fn edit(&self, id: &str, change: &Value) -> Checked<()> {
        let now = self.clock.now();
        let root = Param::root(change);
        let mut book = lock(&self.book);
        let template = book.by_id(id).ok_or_else(|| Refusal::unknown_object(id))?;
        let refuse = |words: &str| Err(invalid(None, "Template Can't Be Edited", words));
        if !matches!(template.status, "APPROVED" | "REJECTED" | "PAUSED") {
            return refuse("Only templates that are approved, rejected or paused can be edited.");
        }
        let category = root.find("category").map(|param| define::category(&param)).transpose()?;
        if template.status == "APPROVED" {
            if category.is_some_and(|category| category != template.category) {
                return refuse("The category of an approved template can't be edited.");
            }
            template.edited_at.retain(|at| now - at < MONTH);
            let is_recent = template.edited_at.last().is_some_and(|at| now - at < DAY);
            if is_recent || template.edited_at.len() >= EDITS_A_MONTH {
                return refuse(
                    "An approved template can be edited once in 24 hours and 10 times in 30 days.",
                );
            }
        }
        let category = category.unwrap_or(template.category);
        if let Some(components) = root.find("components") {
            let read = define::components(&components, category, template.shape.named, Examples::Needed);
            (template.components, template.shape) = read.map_err(define::as_invalid)?;
        }
        template.category = category;
        template.edited_at.push(now);
        template.status = "PENDING";
        let edited = template.clone();
        drop(book);
        self.review(edited);
        Ok(())
    }

    /// `DELETE /{business_account_id}/message_templates`: all languages of a name, or the one with the id `only`.
    fn delete(&self, name: &str, only: Option<&str>) -> Checked<()> {
        let now = self.clock.now();
        let mut book = lock(&self.book);
        let goes = |one: &Template| one.name == name && only.is_none_or(|id| id == one.id);
        let gone: Vec<Template> = book.templates.extract_if(.., |one| goes(one)).collect();
        if gone.is_empty() {
            let words = format!("No message template with the name {name} was found.");
            return Err(Refusal { status: 404, ..invalid(None, "Message Template Not Found", words) });
        }
        if gone.iter().any(|template| template.status == "APPROVED") {
            book.blocked.push((name.to_owned(), now + MONTH));
        }
        let deleted = |template: &Template| self.news(news::status(template, "PENDING_DELETION", None, now));
        self.courier.enqueue(gone.iter().map(deleted).collect::<Vec<Update>>());
        Ok(())
    }

    /// Tells a status event of Meta's, and sets the status that comes with it.
    fn change(&self, id: &str, event: &str, reason: Option<&str>) -> Result<Template, BadTemplate> {
        let now = self.clock.now();
        let known = news::EVENTS.iter().find(|(known, _)| *known == event);
        let Some((event, status)) = known else {
            let words: Vec<&str> = news::EVENTS.iter().map(|(event, _)| *event).collect();
            return Err(BadTemplate(format!("`event` has to be one of {}", words.join(", "))));
        };
        let mut book = lock(&self.book);
        let template = book.by_id(id).ok_or_else(|| no_such(id))?;
        template.status = status.unwrap_or(template.status);
        reason.unwrap_or("NONE").clone_into(&mut template.rejected_reason);
        let changed = template.clone();
        book.templates.retain(|one| one.status != "DELETED");
        self.courier.enqueue([self.news(news::status(&changed, event, reason, now))]);
        Ok(changed)
    }

    /// [`Templates::change`] by name and language.
    pub(super) fn change_named(&self, name: &str, language: &str, event: &str) -> Result<(), BadTemplate> {
        let id = lock(&self.book).find(name, language).map(|template| template.id.clone());
        let id = id.ok_or_else(|| no_such(&format!("{name} in {language}")))?;
        self.change(&id, event, None).map(drop)
    }

    /// Gives a template another quality score, with its webhook.
    fn rate(&self, id: &str, score: &str) -> Result<(), BadTemplate> {
        let now = self.clock.now();
        let Some(score) = news::SCORES.iter().find(|known| **known == score) else {
            return Err(BadTemplate(format!("`score` has to be one of {}", news::SCORES.join(", "))));
        };
        let mut book = lock(&self.book);
        let template = book.by_id(id).ok_or_else(|| no_such(id))?;
        let before = std::mem::replace(&mut template.quality, score);
        template.rated_at = now;
        self.courier.enqueue([self.news(news::quality(template, before, now))]);
        Ok(())
    }

    /// Gives a template another category, as Meta does to those that are wrongly classified, with its webhook.
    fn recategorize(&self, id: &str, category: &str) -> Result<(), BadTemplate> {
        let now = self.clock.now();
        let Some(category) = Category::read(category) else {
            return Err(BadTemplate(format!("`category` has to be one of {}", Category::WORDS.join(", "))));
        };
        let mut book = lock(&self.book);
        let template = book.by_id(id).ok_or_else(|| no_such(id))?;
        template.previous_category = Some(std::mem::replace(&mut template.category, category));
        self.courier.enqueue([self.news(news::category(template, now))]);
        Ok(())
    }

    /// What the person reads of the template that is sent, or why it cannot be sent.
    pub(super) fn fill(&self, wish: &Wish) -> Checked<Option<Content>> {
        let mut book = lock(&self.book);
        let Some(template) = book.find(&wish.name, &wish.language) else {
            return if self.any { Ok(None) } else { Err(not_there(wish)) };
        };
        match template.status {
            "APPROVED" => {}
            "PAUSED" => {
                let words = format!("template ({}) is paused because of low quality", wish.name);
                return Err(Refusal::of(132_015).details(words));
            }
            "DISABLED" => {
                let words = format!("template ({}) has been disabled for good", wish.name);
                return Err(Refusal::of(132_016).details(words));
            }
            _ => return Err(not_there(wish)),
        }
        if wish.to_user_id && template.shape.buttons.iter().any(|button| button.action == Action::Otp) {
            return Err(
                Refusal::of(131_062).details("A one-time password can be sent to a phone number only.")
            );
        }
        let components = Param::at("template['components']", &wish.components);
        let given = (!wish.components.is_null()).then_some(&components);
        let mut content = fill::fill(&template.shape, given)?;
        content.category = Some(template.category.word().to_ascii_lowercase());
        Ok(Some(content))
    }

    fn news(&self, (field, at, value): (&'static str, Millis, Value)) -> Update {
        Update::of_account(self.courier.account(), field, at, value)
    }
}

impl Book {
    fn find(&mut self, name: &str, language: &str) -> Option<&mut Template> {
        self.templates.iter_mut().find(|one| one.name == name && one.language == language)
    }

    fn by_id(&mut self, id: &str) -> Option<&mut Template> {
        self.templates.iter_mut().find(|one| one.id == id)
    }
}

fn no_such(what: &str) -> BadTemplate {
    BadTemplate(format!("there is no template {what}"))
}

/// What is not approved is not there for those who send.
fn not_there(wish: &Wish) -> Refusal {
    let words = format!("template name ({}) does not exist in {}", wish.name, wish.language);
    Refusal::of(132_001).details(words)
}

/// An id that is a JSON number in webhooks: fifteen digits.
fn new_id() -> String {
    (100_000_000_000_000 + Uuid::new_v4().as_u128() % 900_000_000_000_000).to_string()
}

#[cfg(test)]
mod tests;
