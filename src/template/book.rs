//! What is known of templates, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::domain::delivery::Refusal;
use crate::domain::outbound::{self, Invalid, Message};
use crate::domain::template::{Category, Status, Template, Wants};
use crate::domain::window::Outside;
use crate::meta::template::wants;
use crate::store::{self, Store, StoredTemplate};

/// Languages of a name that a refusal lists.
const LANGUAGES_SHOWN: usize = 8;

/// Whether a template would be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody knows: no business account is set, or its list was never read. Meta judges.
    Unchecked,
    /// As far as is known.
    Fits {
        /// Whether it is of the category MARKETING.
        marketing: bool,
    },
    /// It would not: why, and the field by its path in the API with what is wrong.
    Refused(Refusal, Invalid),
}

/// What is known of all templates; cheap to clone and to ask.
#[derive(Clone, Default)]
pub struct Book(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The account of each of our numbers that has one.
    accounts: HashMap<String, String>,
    shelves: RwLock<Shelves>,
    /// What the keeper is asked for.
    wish: Mutex<Wish>,
    bell: Notify,
}

#[derive(Default)]
struct Shelves {
    /// By account, then by name, then by language.
    by_account: HashMap<String, HashMap<String, BTreeMap<String, Entry>>>,
    /// Accounts whose list was read, even where there is nothing in it.
    read: BTreeSet<String>,
}

struct Entry {
    status: Status,
    reason: Option<String>,
    marketing: bool,
    wants: Option<Wants>,
}

/// What the keeper is asked for; the stronger wish counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    /// To read again what is written down.
    #[default]
    Refresh,
    /// To read Meta's list as well, soon.
    Look,
    /// To read Meta's list now.
    LookNow,
}

impl Book {
    /// An empty book for `numbers`: each with the business account that it belongs to.
    #[must_use]
    pub fn new(numbers: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(Arc::new(Inner { accounts: numbers.into_iter().collect(), ..Inner::default() }))
    }

    /// Whether there is a business account whose templates are kept.
    #[must_use]
    pub fn has_accounts(&self) -> bool {
        !self.0.accounts.is_empty()
    }

    /// Reads what is written down.
    ///
    /// # Errors
    /// When the store cannot be read; what was known before stays.
    pub async fn refresh(&self, store: &Store) -> Result<(), store::Error> {
        let mut by_account: HashMap<String, HashMap<String, BTreeMap<String, Entry>>> = HashMap::new();
        for StoredTemplate { business_account_id, template, .. } in store.all_templates().await? {
            let names = by_account.entry(business_account_id).or_default();
            let (name, language) = (template.name.clone(), template.language.clone());
            names.entry(name).or_default().insert(language, Entry::of(&template));
        }
        self.0.shelves.write().unwrap_or_else(PoisonError::into_inner).by_account = by_account;
        Ok(())
    }

    /// The list of this account was read and is written down.
    pub(super) fn was_read(&self, account: &str) {
        let mut shelves = self.0.shelves.write().unwrap_or_else(PoisonError::into_inner);
        shelves.read.insert(account.to_owned());
    }

    /// Whether Meta would take `template` from our number `phone_number_id`. Where it is not known or not approved, Meta's
    /// list is read again soon.
    #[must_use]
    pub fn verdict(&self, phone_number_id: &str, template: &outbound::Template) -> Verdict {
        let verdict = self.judge(phone_number_id, template);
        if matches!(verdict, Verdict::Refused(Refusal::TemplateUnknown, _)) {
            self.ask(Wish::Look);
        }
        verdict
    }

    fn judge(&self, phone_number_id: &str, template: &outbound::Template) -> Verdict {
        let Some(account) = self.0.accounts.get(phone_number_id) else { return Verdict::Unchecked };
        let shelves = self.0.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let shelf = shelves.by_account.get(account);
        if shelf.is_none() && !shelves.read.contains(account) {
            return Verdict::Unchecked;
        }
        let languages = shelf.and_then(|shelf| shelf.get(template.name()));
        let entry = languages.and_then(|languages| languages.get(template.language()));
        let Some(entry) = entry.filter(|entry| !entry.status.is_gone()) else {
            return Verdict::Refused(Refusal::TemplateUnknown, unknown(account, template, languages));
        };
        if !entry.status.may_be_sent() {
            return Verdict::Refused(Refusal::TemplateUnknown, entry.rests());
        }
        match entry.wants.as_ref().map_or(Ok(()), |wants| wants.check(template)) {
            Ok(()) => Verdict::Fits { marketing: entry.marketing },
            Err(invalid) => Verdict::Refused(Refusal::TemplateParameters, invalid),
        }
    }

    /// Whether Meta would take `message`, as far as templates are to blame.
    ///
    /// # Errors
    /// Why not, and the field by its path in the API with what is wrong.
    pub fn check(&self, phone_number_id: &str, message: &Message) -> Result<(), (Refusal, Invalid)> {
        let Message::Template(template) = message else { return Ok(()) };
        match self.verdict(phone_number_id, template) {
            Verdict::Unchecked | Verdict::Fits { .. } => Ok(()),
            Verdict::Refused(refusal, invalid) => Err((refusal, invalid)),
        }
    }

    /// Whether `message`, or what goes in its place outside of the window, is a template that is known to be marketing.
    #[must_use]
    pub fn is_marketing(&self, phone_number_id: &str, message: &Message, outside: &Outside) -> bool {
        let in_its_place = if let Outside::Template(template) = outside { Some(&**template) } else { None };
        [Some(message), in_its_place].into_iter().flatten().any(|message| match message {
            Message::Template(template) => self.is_of_marketing(phone_number_id, template),
            _ => false,
        })
    }

    fn is_of_marketing(&self, phone_number_id: &str, template: &outbound::Template) -> bool {
        let Some(account) = self.0.accounts.get(phone_number_id) else { return false };
        let shelves = self.0.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let languages = shelves.by_account.get(account).and_then(|shelf| shelf.get(template.name()));
        languages
            .and_then(|languages| languages.get(template.language()))
            .is_some_and(|entry| entry.marketing)
    }

    /// News of templates are written down; `look` when Meta's list has to tell the rest.
    pub fn told(&self, look: bool) {
        self.ask(if look { Wish::Look } else { Wish::Refresh });
    }

    /// Has Meta's lists read now.
    pub fn look_now(&self) {
        self.ask(Wish::LookNow);
    }

    fn ask(&self, wish: Wish) {
        let mut strongest = self.0.wish.lock().unwrap_or_else(PoisonError::into_inner);
        *strongest = wish.max(*strongest);
        self.0.bell.notify_one();
    }

    /// Waits until something is asked for, and says what.
    pub(super) async fn wish(&self) -> Wish {
        self.0.bell.notified().await;
        std::mem::take(&mut *self.0.wish.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Entry {
    fn of(template: &Template) -> Self {
        Self {
            status: template.status.clone(),
            reason: template.reason.clone(),
            marketing: template.category == Category::Marketing,
            wants: wants(template),
        }
    }

    fn rests(&self) -> Invalid {
        let status = self.status.as_str();
        let reason = self.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        Invalid::wrong(
            "name",
            format!("names a template that is {status}{reason}; only approved ones can be sent"),
        )
    }
}

/// What there is instead of a template that is not there.
fn unknown(
    account: &str,
    template: &outbound::Template,
    languages: Option<&BTreeMap<String, Entry>>,
) -> Invalid {
    let there = languages.into_iter().flatten().filter(|(_, entry)| !entry.status.is_gone());
    let there: Vec<&str> = there.map(|(language, _)| language.as_str()).collect();
    if there.is_empty() {
        let why = format!(
            "names no template of the business account {account}; a new one is known once its list has been read \
             again (`POST /api/whatsapp/templates/sync`)"
        );
        return Invalid::wrong("name", why);
    }
    let (name, shown) = (template.name(), there[..there.len().min(LANGUAGES_SHOWN)].join("`, `"));
    let more = if there.len() > LANGUAGES_SHOWN { " and others" } else { "" };
    Invalid::wrong(
        "language",
        format!("is none in which there is a template `{name}`; there is `{shown}`{more}"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NUMBER: &str = "106540352242922";
    const ACCOUNT: &str = "102290129340398";

    fn listed(name: &str, language: &str, category: Category, status: Status, body: &str) -> Template {
        Template {
            meta_id: None,
            name: name.into(),
            language: language.into(),
            category,
            status,
            quality: None,
            reason: None,
            format: None,
            components: json!([{"type": "BODY", "text": body}]).to_string(),
        }
    }

    fn book(templates: &[Template]) -> Book {
        let book = Book::new([(NUMBER.to_owned(), ACCOUNT.to_owned())]);
        let mut shelves = book.0.shelves.write().unwrap();
        let names = shelves.by_account.entry(ACCOUNT.into()).or_default();
        for template in templates {
            let languages = names.entry(template.name.clone()).or_default();
            languages.insert(template.language.clone(), Entry::of(template));
        }
        drop(shelves);
        book
    }

    fn known() -> Book {
        book(&[
            listed("order_ready", "en", Category::Utility, Status::Approved, "{{1}}: {{2}} is ready"),
            listed("order_ready", "de", Category::Utility, Status::Approved, "{{1}}: {{2}} ist da"),
            listed("order_ready", "fr", Category::Utility, Status::Deleted, "{{1}}"),
            listed("sale", "en", Category::Marketing, Status::Approved, "Sale!"),
            Template {
                reason: Some("It is paused.".into()),
                ..listed("slow", "en", Category::Marketing, Status::Paused, "x")
            },
            listed("gone", "en", Category::Marketing, Status::PendingDeletion, "x"),
        ])
    }

    fn sent(name: &str, language: &str, body: Value) -> outbound::Template {
        outbound::Template::try_from(json!({"name": name, "language": language, "body": body})).unwrap()
    }

    fn refused(book: &Book, template: &outbound::Template) -> (Refusal, String, String) {
        match book.verdict(NUMBER, template) {
            Verdict::Refused(refusal, invalid) => (refusal, invalid.field().into(), invalid.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_approved_and_filled_in_fits() {
        let fits = |template| known().verdict(NUMBER, &template);
        assert_eq!(
            fits(sent("order_ready", "de", json!(["Ada", "A-17"]))),
            Verdict::Fits { marketing: false }
        );
        assert_eq!(fits(sent("sale", "en", json!([]))), Verdict::Fits { marketing: true });
    }

    #[test]
    fn a_refusal_says_what_there_is() {
        let book = known();
        let (refusal, field, says) = refused(&book, &sent("order_redy", "en", json!([])));
        assert_eq!((refusal, field.as_str()), (Refusal::TemplateUnknown, "name"));
        assert!(says.contains("no template of the business account 102290129340398"), "{says}");
        let (refusal, field, says) = refused(&book, &sent("order_ready", "fr", json!(["x"])));
        assert_eq!((refusal, field.as_str()), (Refusal::TemplateUnknown, "language"));
        assert!(says.contains("`order_ready`; there is `de`, `en`"), "{says}");
        let (refusal, field, says) = refused(&book, &sent("slow", "en", json!([])));
        assert_eq!((refusal, field.as_str()), (Refusal::TemplateUnknown, "name"));
        assert!(says.contains("is PAUSED (It is paused.); only approved ones"), "{says}");
        assert_eq!(refused(&book, &sent("gone", "en", json!([]))).1, "name");
        let (refusal, field, says) = refused(&book, &sent("order_ready", "en", json!(["Ada"])));
        assert_eq!((refusal, field.as_str()), (Refusal::TemplateParameters, "body"));
        assert_eq!(says, "`body` has 1 parameter, the template wants 2");
    }

    #[test]
    fn nothing_is_refused_by_who_knows_nothing() {
        let template = sent("order_ready", "en", json!([]));
        let book = Book::new([(NUMBER.to_owned(), ACCOUNT.to_owned())]);
        assert_eq!(book.verdict(NUMBER, &template), Verdict::Unchecked);
        assert_eq!(known().verdict("another number", &template), Verdict::Unchecked);
        // An account that is known to have none is another thing.
        book.was_read(ACCOUNT);
        assert_eq!(refused(&book, &template).1, "name");
    }

    #[test]
    fn a_template_whose_components_cannot_be_read_is_metas_to_judge() {
        let odd = listed("odd", "en", Category::of("NEW"), Status::of("FROZEN"), "x");
        let book = book(&[Template { components: "{}".into(), ..odd }]);
        assert_eq!(
            book.verdict(NUMBER, &sent("odd", "en", json!(["a", "b"]))),
            Verdict::Fits { marketing: false }
        );
    }

    #[test]
    fn marketing_is_known_by_category() {
        let template = |name: &str| Message::Template(sent(name, "en", json!([])));
        let is_marketing = |message: &Message| known().is_marketing(NUMBER, message, &Outside::Fail);
        assert!(is_marketing(&template("sale")) && is_marketing(&template("slow")));
        assert!(!is_marketing(&template("order_ready")) && !is_marketing(&template("nothing")));
        let text = Message::text("sale").unwrap();
        assert!(!is_marketing(&text));
        let in_its_place = |name: &str| Outside::Template(Box::new(template(name)));
        assert!(known().is_marketing(NUMBER, &text, &in_its_place("sale")));
        assert!(!known().is_marketing(NUMBER, &text, &in_its_place("order_ready")));
    }

    #[tokio::test]
    async fn the_strongest_wish_counts_and_an_unknown_template_is_one() {
        let book = known();
        book.told(false);
        assert_eq!(book.wish().await, Wish::Refresh);
        book.look_now();
        book.told(true);
        book.told(false);
        assert_eq!(book.wish().await, Wish::LookNow);
        let _ = refused(&book, &sent("nothing", "en", json!([])));
        assert_eq!(book.wish().await, Wish::Look);
    }
}
