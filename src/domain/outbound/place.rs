//! Locations and contact cards.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::fields::{Fields, missing};
use super::invalid::{Invalid, OTHER_TEXT_MAX, counted, filled, perhaps};

/// Contact cards in one message. Source: Meta's OpenAPI of the Cloud API, 2026.
pub const CARDS_MAX: usize = 5;
/// Phones, addresses and the like on one card. Ours: Meta documents none.
pub const CARD_ENTRIES_MAX: usize = 20;

/// An angle in degrees: a finite number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Degrees(f64);

/// It is never NaN.
impl Eq for Degrees {}

impl Degrees {
    fn new(field: &str, degrees: f64, limit: f64) -> Result<Self, Invalid> {
        if degrees.is_finite() && degrees.abs() <= limit {
            Ok(Self(degrees))
        } else {
            Err(Invalid::wrong(field, format!("has to be degrees from -{limit} to {limit}, not {degrees}")))
        }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

/// A place. JSON: `{"type":"location","latitude":52.5,"longitude":13.4,"name":"Works","address":"Main Street 1"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    latitude: Degrees,
    longitude: Degrees,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

impl Location {
    /// A place by its degrees north (-90 to 90) and east (-180 to 180).
    ///
    /// # Errors
    /// When a number is out of range, or a text is empty or too long.
    pub fn new(
        latitude: f64,
        longitude: f64,
        name: Option<String>,
        address: Option<String>,
    ) -> Result<Self, Invalid> {
        Ok(Self {
            latitude: Degrees::new("latitude", latitude, 90.0)?,
            longitude: Degrees::new("longitude", longitude, 180.0)?,
            name: perhaps("name", name, OTHER_TEXT_MAX)?,
            address: perhaps("address", address, OTHER_TEXT_MAX)?,
        })
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        Self::new(
            fields.number("latitude")?,
            fields.number("longitude")?,
            fields.optional_text("name")?,
            fields.optional_text("address")?,
        )
    }

    /// Its name, or else its address.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_deref().or(self.address.as_deref()).unwrap_or_default()
    }
}

type Texts = BTreeMap<&'static str, String>;

/// Texts by name: those of `known` that are there.
fn texts(fields: &mut Fields, known: &[&'static str]) -> Result<Texts, Invalid> {
    let mut texts = Texts::new();
    for name in known {
        if let Some(text) = fields.optional_text(name)? {
            texts.insert(name, filled(name, text, OTHER_TEXT_MAX)?);
        }
    }
    Ok(texts)
}

/// A contact card, in the shape that Meta has for it: `{"name":{"formatted_name":"Ada Byron"},"phones":[{"phone":"+49…"}]}`.
/// A `name` that is a string is the formatted name. Source: Meta, message reference "contacts", 2026.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Card {
    name: Texts,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phones: Vec<Texts>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    emails: Vec<Texts>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<Texts>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    urls: Vec<Texts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<Texts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    birthday: Option<String>,
}

impl Card {
    /// A card with a name and a phone number.
    ///
    /// # Errors
    /// When one of them is empty or too long.
    pub fn new(name: impl Into<String>, phone: impl Into<String>) -> Result<Self, Invalid> {
        let phone = filled("phone", phone.into(), OTHER_TEXT_MAX).map_err(|e| e.under("phones[0]"))?;
        Ok(Self {
            name: named(name.into()).map_err(|e| e.under("name"))?,
            phones: vec![Texts::from([("phone", phone)])],
            emails: Vec::new(),
            addresses: Vec::new(),
            urls: Vec::new(),
            org: None,
            birthday: None,
        })
    }

    fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        let name = match fields.take("name") {
            None => return Err(missing("name")),
            Some(Value::String(name)) => named(name).map_err(|e| e.under("name"))?,
            Some(other) => Fields::whole(other, |name| {
                let known = ["formatted_name", "first_name", "last_name", "middle_name", "suffix", "prefix"];
                let mut texts = texts(name, &known)?;
                let formatted = texts.get("formatted_name").ok_or_else(|| missing("formatted_name"))?.clone();
                if texts.len() == 1 {
                    texts.insert("first_name", formatted);
                }
                Ok(texts)
            })
            .map_err(|e| e.under("name"))?,
        };
        let mut list = |name: &'static str, known: &[&'static str], needed: &'static str| {
            let entries = fields.optional_list(name, |entry| {
                let texts = texts(entry, known)?;
                if needed.is_empty() || texts.contains_key(needed) { Ok(texts) } else { Err(missing(needed)) }
            })?;
            let entries = entries.unwrap_or_default();
            if !entries.is_empty() {
                counted(name, entries.len(), CARD_ENTRIES_MAX)?;
            }
            Ok::<_, Invalid>(entries)
        };
        Ok(Self {
            name,
            phones: list("phones", &["phone", "type", "wa_id"], "phone")?,
            emails: list("emails", &["email", "type"], "email")?,
            addresses: list(
                "addresses",
                &["street", "city", "state", "zip", "country", "country_code", "type"],
                "",
            )?,
            urls: list("urls", &["url", "type"], "url")?,
            org: fields.object("org", |org| texts(org, &["company", "department", "title"]))?,
            birthday: perhaps("birthday", fields.optional_text("birthday")?, OTHER_TEXT_MAX)?,
        })
    }

    fn formatted_name(&self) -> &str {
        self.name.get("formatted_name").map_or("", String::as_str)
    }
}

/// Meta wants another part of the name beside the formatted one.
fn named(name: String) -> Result<Texts, Invalid> {
    let name = filled("formatted_name", name, OTHER_TEXT_MAX)?;
    Ok(Texts::from([("formatted_name", name.clone()), ("first_name", name)]))
}

/// Contact cards. JSON: `{"type":"contacts","contacts":[{"name":"Ada Byron","phones":[{"phone":"+49…"}]}]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contacts {
    contacts: Vec<Card>,
    /// The names, for those who search.
    #[serde(skip)]
    names: String,
}

impl Contacts {
    /// One to [`CARDS_MAX`] cards.
    ///
    /// # Errors
    /// When there are too many or none.
    pub fn new(contacts: Vec<Card>) -> Result<Self, Invalid> {
        counted("contacts", contacts.len(), CARDS_MAX)?;
        let names = contacts.iter().map(Card::formatted_name).collect::<Vec<_>>().join(", ");
        Ok(Self { contacts, names })
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Self, Invalid> {
        Self::new(fields.list("contacts", Card::read)?)
    }

    /// The cards, in order.
    #[must_use]
    pub fn cards(&self) -> &[Card] {
        &self.contacts
    }

    /// Their names, with commas.
    #[must_use]
    pub fn names(&self) -> &str {
        &self.names
    }
}
