//! Meta's error answers: the JSON, its HTTP status, and the words that belong to a code.
//!
//! Codes and words: Meta, "Error codes" (2026). That page has no HTTP statuses any more; they follow an older copy and,
//! for 4 and 130429, captured traffic.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::Millis;

/// Code, HTTP status, Meta's short text.
const KNOWN: &[(u32, u16, &str)] = &[
    (0, 401, "AuthException"),
    (1, 400, "API Unknown"),
    (2, 503, "API Service"),
    (3, 500, "API Method"),
    (4, 429, "API Too Many Calls"),
    (10, 403, "Permission Denied"),
    (100, 400, "Invalid parameter"),
    (190, 401, "Access token has expired"),
    (368, 403, "Temporarily blocked for policies violations"),
    (80007, 400, "Rate limit issues"),
    (130_429, 429, "Rate limit hit"),
    (130_472, 400, "User's number is part of an experiment"),
    (131_000, 500, "Something went wrong"),
    (131_005, 403, "Access denied"),
    (131_008, 400, "Required parameter is missing"),
    (131_009, 400, "Parameter value is not valid"),
    (131_016, 500, "Service unavailable"),
    (131_021, 400, "Recipient cannot be sender"),
    (131_026, 400, "Message undeliverable"),
    (131_030, 400, "Recipient phone number not in allowed list"),
    (131_031, 403, "Account has been locked"),
    (131_042, 400, "Business eligibility payment issue"),
    (131_045, 500, "Incorrect certificate"),
    (131_047, 400, "Re-engagement message"),
    (131_048, 400, "Spam rate limit hit"),
    (131_049, 400, "Message was not delivered to maintain healthy ecosystem engagement"),
    (131_050, 400, "User has stopped marketing messages"),
    (131_051, 400, "Unsupported message type"),
    (131_052, 400, "Media download error"),
    (131_053, 400, "Media upload error"),
    (131_056, 400, "(Business Account, Consumer Account) pair rate limit hit"),
    (131_057, 500, "Account in maintenance mode"),
    (131_060, 400, "This message is unavailable"),
    (131_062, 400, "Business-scoped User ID (BSUID) recipients are not supported for this message"),
    (132_000, 400, "Number of parameters does not match the expected number of params"),
    (132_001, 404, "Template name does not exist in the translation"),
    (132_005, 400, "Translated text too long"),
    (132_007, 400, "Template format character policy violated"),
    (132_012, 400, "Parameter format does not match format in the created template"),
    (132_015, 400, "Template is paused"),
    (132_016, 400, "Template is disabled"),
    (132_018, 400, "There was an issue with the parameters in your template"),
    (133_010, 400, "Phone number Not Registered"),
];

/// One refusal of the Graph API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: u32,
    pub(super) subcode: Option<u32>,
    pub(super) message: String,
    pub(super) details: Option<String>,
    /// A title and a sentence for the person who made the request, as Meta gives them about templates.
    pub(super) for_people: Option<(String, String)>,
}

impl Refusal {
    /// The refusal that Meta gives under `code`; an unknown code is a 400.
    pub(super) fn of(code: u32) -> Self {
        let (status, title) = KNOWN
            .iter()
            .find(|(known, ..)| *known == code)
            .map_or((400, "Unknown error"), |(_, status, title)| (*status, *title));
        Self {
            status,
            code,
            subcode: None,
            message: format!("(#{code}) {title}"),
            details: None,
            for_people: None,
        }
    }

    /// One with a message of its own.
    pub(super) fn saying(status: u16, code: u32, subcode: Option<u32>, message: String) -> Self {
        Self { status, code, subcode, message, details: None, for_people: None }
    }

    /// Words for a person beside those for a program.
    pub(super) fn for_people(mut self, title: &str, sentence: &str) -> Self {
        self.for_people = Some((title.to_owned(), sentence.to_owned()));
        self
    }

    /// The words that say the most.
    pub(super) fn words(&self) -> &str {
        let sentence = self.for_people.as_ref().map(|(_, sentence)| sentence.as_str());
        sentence.or(self.details.as_deref()).unwrap_or(&self.message)
    }

    pub(super) fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// A parameter that has to be there and is not.
    pub(super) fn missing(path: &str) -> Self {
        Self::of(131_008).details(format!("The parameter {path} is required."))
    }

    /// A parameter whose value breaks one of Meta's rules; `rule` completes "Param x …".
    pub(super) fn value(path: &str, rule: &str) -> Self {
        Self::of(131_009).details(format!("Param {path} {rule}."))
    }

    /// A parameter of the wrong JSON type, or one that does not belong there.
    pub(super) fn shape(path: &str, rule: &str) -> Self {
        Self::of(100).details(format!("Param {path} {rule}."))
    }

    /// A token that is missing or not ours.
    pub(super) fn bad_token() -> Self {
        let message = "Invalid OAuth access token - Cannot parse access token".into();
        Self::saying(401, 190, None, message)
    }

    /// A token that was good until `ended` (Meta, "Error codes": 190; the subcode from captured traffic).
    pub(super) fn expired_token(ended: Millis, now: Millis) -> Self {
        let shown =
            |at| jiff::Timestamp::from_millisecond(at).map_or_else(|_| String::new(), |at| at.to_string());
        let message = format!(
            "Error validating access token: Session has expired on {}. The current time is {}.",
            shown(ended),
            shown(now)
        );
        Self::saying(401, 190, Some(463), message)
    }

    /// An object (phone number, media, …) that this token cannot see. Meta answers 400 and not 404.
    pub(super) fn unknown_object(id: &str) -> Self {
        let message = format!(
            "Unsupported request. Object with ID '{id}' does not exist, cannot be loaded due to missing permissions, \
             or does not support this operation"
        );
        Self::saying(400, 100, Some(33), message)
    }

    /// Meta's error body (Meta, "Error codes").
    pub(super) fn body(&self) -> Value {
        let mut error = json!({
            "message": self.message, "type": "OAuthException", "code": self.code, "fbtrace_id": trace_id(),
        });
        if let Some(details) = &self.details {
            error["error_data"] = json!({"messaging_product": "whatsapp", "details": details});
        }
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = json!(subcode);
        }
        if let Some((title, sentence)) = &self.for_people {
            error["is_transient"] = json!(false);
            error["error_user_title"] = json!(title);
            error["error_user_msg"] = json!(sentence);
        }
        json!({"error": error})
    }

    /// One item of `statuses[].errors[]`, as it comes with a message that failed after it was accepted.
    pub(super) fn status_error(&self) -> Value {
        let title = self.message.split_once(") ").map_or(&*self.message, |(_, title)| title);
        json!({
            "code": self.code, "title": title, "message": title,
            "error_data": {"details": self.details.as_deref().unwrap_or(title)},
            "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
        })
    }
}

fn trace_id() -> String {
    let random = Uuid::new_v4().simple().to_string();
    format!("A{}", &random[..22])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_like_metas() {
        let body = Refusal::missing("text['body']").body();
        assert_eq!(body["error"]["message"], "(#131008) Required parameter is missing");
        assert_eq!(body["error"]["error_data"]["details"], "The parameter text['body'] is required.");
        assert_eq!(body["error"]["type"], "OAuthException");
        assert_eq!(Refusal::unknown_object("7").body()["error"]["error_subcode"], 33);
    }

    #[test]
    fn a_failed_status_carries_the_title_without_its_number() {
        assert_eq!(Refusal::of(131_047).status_error()["title"], "Re-engagement message");
    }
}
