//! What goes over the wire, made before a run begins: Meta's webhooks, signed and framed as whole HTTP requests, so that a
//! run spends its time on the program and not on the load.

use std::fmt::Write as _;

use switchboard::meta::signature::AppSecret;
use switchboard::webhook;

use crate::moment;

/// Our number.
pub(crate) const NUMBER: &str = "106540352242922";
/// The app secret of a run.
pub(crate) const APP_SECRET: &str = "b1e9a2c4d7f0835612ab34cd56ef7890";
/// The access token of a run.
pub(crate) const TOKEN: &str = "EAAG-load-token";
/// The API key of a run.
pub(crate) const API_KEY: &str = "load-key";

/// One of Meta's statuses of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    Sent,
    Delivered,
    Read,
}

impl Fate {
    /// In the order in which they come.
    pub(crate) const ALL: [Self; 3] = [Self::Sent, Self::Delivered, Self::Read];

    fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}

/// A message of ours, as Meta knows it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// Meta's id of it.
    pub(crate) wamid: String,
    /// Our id of it, which Meta repeats.
    pub(crate) callback: String,
    /// Who got it, in digits.
    pub(crate) phone: String,
}

/// The number in the business-scoped id of the first person.
pub(crate) const USER_ID_FIRST: u64 = 3_491_208_655_302_741_918;

/// Digits of a person's phone.
pub(crate) fn phone(person: usize) -> String {
    format!("49151{person:08}")
}

/// What a person says in the message with this number.
pub(crate) fn said(message: usize) -> String {
    format!("message {message}")
}

/// The space of the ids that the local Meta gives.
pub(crate) const REPLIES: u64 = 1;

/// An id as long and as free of order as Meta's (splitmix64, twice).
pub(crate) fn wamid(space: u64, number: u64) -> String {
    let mix = |seed: u64| {
        let mut mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ mixed >> 27
    };
    let (one, other) = (mix(number.wrapping_add(space << 40) + 1), mix(mix(number) ^ space));
    format!("wamid.HBgNNDkxNTE{one:016X}{other:016X}AA==")
}

/// Makes requests for one address.
pub(crate) struct Framer {
    secret: AppSecret,
    /// Unix seconds that the webhooks say.
    timestamp: u64,
    /// Of its messages' ids.
    space: u64,
}

impl Framer {
    /// One whose messages have other ids than those of one with another `number`.
    pub(crate) fn new(number: u64) -> Self {
        let space = REPLIES + 1 + number;
        Self { secret: AppSecret::new(APP_SECRET), timestamp: moment::now() / 1_000_000, space }
    }

    /// A text of a person, as a request at the end of `into`.
    pub(crate) fn text(&self, into: &mut Vec<u8>, person: usize, message: usize) {
        let (phone, wamid, said) = (phone(person), wamid(self.space, message as u64), said(message));
        let value = format!(
            r#""contacts":[{{"profile":{{"name":"Person {person}"}},"wa_id":"{phone}","user_id":"{}"}}],"messages":[{{"from":"{phone}","from_user_id":"{}","id":"{wamid}","timestamp":"{}","type":"text","text":{{"body":"{said}"}}}}]"#,
            user_id(person),
            user_id(person),
            self.timestamp,
        );
        self.webhook(into, &value);
    }

    /// Statuses of messages of ours, as one request at the end of `into`.
    pub(crate) fn statuses(&self, into: &mut Vec<u8>, told: &[(&Known, Fate)]) {
        let mut value = String::from(r#""statuses":["#);
        for (place, (known, fate)) in told.iter().enumerate() {
            let Known { wamid, callback, phone } = known;
            let comma = if place == 0 { "" } else { "," };
            let pricing = if matches!(fate, Fate::Read) {
                ""
            } else {
                r#","pricing":{"billable":false,"pricing_model":"PMP","type":"free_customer_service","category":"service"}"#
            };
            // Writing to a String cannot fail.
            let _ = write!(
                value,
                r#"{comma}{{"id":"{wamid}","status":"{}","timestamp":"{}","recipient_id":"{phone}","biz_opaque_callback_data":"{callback}"{pricing}}}"#,
                fate.word(),
                self.timestamp,
            );
        }
        value.push(']');
        self.webhook(into, &value);
    }

    fn webhook(&self, into: &mut Vec<u8>, value: &str) {
        let body = format!(
            r#"{{"object":"whatsapp_business_account","entry":[{{"id":"102290129340398","changes":[{{"value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550783881","phone_number_id":"{NUMBER}"}},{value}}},"field":"messages"}}]}}]}}"#
        );
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\nuser-agent: facebookexternalua\r\ncontent-type: application/json\r\nx-hub-signature-256: {}\r\ncontent-length: {}\r\n\r\n",
            webhook::PATH,
            self.secret.sign(body.as_bytes()),
            body.len(),
        );
        into.extend_from_slice(head.as_bytes());
        into.extend_from_slice(body.as_bytes());
    }
}

/// A person's business-scoped id.
fn user_id(person: usize) -> String {
    format!("DE.{}", USER_ID_FIRST + person as u64)
}
