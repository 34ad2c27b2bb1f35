//! A person as Meta names them, which since 2026 need not include a phone number.

use serde::{Deserialize, Serialize};

/// What one webhook says about who a person is. At least one of the three ids is present in a usable identity.
///
/// `wa_id` is a phone number in digits; `user_id` is Meta's business-scoped id (`US.1349…`), `parent_user_id` the one of
/// a managed business (`US.ENT.…`). Source: Meta, business-scoped user ids, 2026.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// Phone number in digits, without `+`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wa_id: Option<String>,
    /// Business-scoped user id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Business-scoped user id within the parent business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_user_id: Option<String>,
    /// Profile name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// WhatsApp user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// The kind of an alias: which of a person's ids it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AliasKind {
    /// A phone number in digits.
    WaId,
    /// A business-scoped user id.
    UserId,
    /// A parent business-scoped user id.
    ParentUserId,
}

impl AliasKind {
    /// All of them, the most lasting one first.
    pub const ALL: [Self; 3] = [Self::UserId, Self::ParentUserId, Self::WaId];

    /// The kind with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaId => "wa_id",
            Self::UserId => "user_id",
            Self::ParentUserId => "parent_user_id",
        }
    }
}

impl Identity {
    /// An identity known by its phone number only.
    #[must_use]
    pub fn phone(wa_id: impl Into<String>) -> Self {
        Self { wa_id: Some(wa_id.into()), ..Self::default() }
    }

    /// The ids under which this person can be found, the most lasting one first.
    pub fn aliases(&self) -> impl Iterator<Item = (AliasKind, &str)> {
        AliasKind::ALL.into_iter().filter_map(|kind| self.id(kind).map(|id| (kind, id)))
    }

    /// The id of this kind.
    #[must_use]
    pub fn id(&self, kind: AliasKind) -> Option<&str> {
        match kind {
            AliasKind::WaId => self.wa_id.as_deref(),
            AliasKind::UserId => self.user_id.as_deref(),
            AliasKind::ParentUserId => self.parent_user_id.as_deref(),
        }
    }

    /// Makes `id` the id of this kind.
    pub fn set_id(&mut self, kind: AliasKind, id: Option<String>) {
        match kind {
            AliasKind::WaId => self.wa_id = id,
            AliasKind::UserId => self.user_id = id,
            AliasKind::ParentUserId => self.parent_user_id = id,
        }
    }

    /// Whether anything names this person.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.aliases().next().is_some()
    }

    /// Where to send: Meta's `to` when there is a phone number, else `recipient`.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        match (&self.wa_id, &self.user_id, &self.parent_user_id) {
            (Some(phone), _, _) => Some(Address::Phone(phone.clone())),
            (None, Some(id), _) | (None, None, Some(id)) => Some(Address::User(id.clone())),
            (None, None, None) => None,
        }
    }
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// A phone number in digits: Meta's `to`.
    Phone(String),
    /// A business-scoped id: Meta's `recipient`.
    User(String),
}

/// Whether `text` has the form of a business-scoped id: two capitals, a dot, perhaps `ENT.`, then 1 to 128
/// letters or digits. Source: Meta, business-scoped user ids.
#[must_use]
pub fn is_user_id(text: &str) -> bool {
    let Some((country, rest)) = text.split_once('.') else { return false };
    let id = rest.strip_prefix("ENT.").unwrap_or(rest);
    country.len() == 2
        && country.bytes().all(|b| b.is_ascii_uppercase())
        && (1..=128).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// A phone number in digits from what people and Meta write: `+`, blanks, dashes, dots and brackets are dropped.
/// `None` unless 5 to 15 digits remain (E.164 allows 15) and nothing else.
#[must_use]
pub fn phone_digits(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
    ((5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

/// A phone number or id with its middle hidden, for logs: `4917…89`.
#[must_use]
pub fn masked(id: &str) -> String {
    let chars: Vec<char> = id.chars().collect();
    if chars.len() <= 6 {
        return "…".to_owned();
    }
    let head: String = chars.iter().take(4).collect();
    let tail: String = chars.iter().skip(chars.len() - 2).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_without_a_phone_has_an_address() {
        let person = Identity { user_id: Some("US.1".into()), ..Identity::default() };
        assert_eq!(person.address(), Some(Address::User("US.1".into())));
        assert!(!Identity::default().is_known());
    }

    #[test]
    fn user_ids_and_phones_are_told_apart() {
        assert!(is_user_id("US.13491208655302741918") && is_user_id("US.ENT.118"));
        for wrong in ["4917012345", "us.1", "US.", "USA.1", "US.a b", "US.ENT."] {
            assert!(!is_user_id(wrong), "{wrong}");
        }
        assert_eq!(phone_digits("+49 (170) 123-45"), Some("4917012345".into()));
        assert_eq!(phone_digits("US.1"), None);
    }

    #[test]
    fn a_masked_number_shows_neither_all_nor_nothing() {
        assert_eq!(masked("4917012345678"), "4917…78");
        assert_eq!(masked("123"), "…");
    }
}
