//! What a script tells a phone to do.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::media::{Files, Media, Sent};
use super::said::{Beside, Card, Place, Said};
use super::validate::digits;

/// What a phone is to do, in a script's words: one thing such as `{"text":"hi"}` or `{"image":true,"caption":"…"}`, and
/// what goes along with it, such as `"quote":"wamid…"` or `"forwarded":true`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Words {
    text: Option<String>,
    press: Option<String>,
    image: bool,
    video: bool,
    voice: bool,
    document: bool,
    sticker: bool,
    caption: Option<String>,
    location: Option<PlaceWords>,
    reaction: Option<String>,
    to: Option<String>,
    contacts: Option<Vec<CardWords>>,
    share_contact: bool,
    form: Option<Map<String, Value>>,
    order: Option<Map<String, Value>>,
    edit: Option<EditWords>,
    revoke: Option<String>,
    unsupported: Option<String>,
    unavailable: bool,
    lost: Option<String>,
    broken: bool,
    raw: Option<Map<String, Value>>,
    quote: Option<String>,
    forwarded: bool,
    forwarded_often: bool,
    referral: Option<Map<String, Value>>,
    product: Option<Map<String, Value>>,
    without_context: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceWords {
    latitude: f64,
    longitude: f64,
    name: Option<String>,
    address: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardWords {
    name: String,
    phone: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditWords {
    wamid: String,
    text: String,
}

const ONE_THING: &str = "say one thing: {\"text\":\"hi\"}, {\"press\":\"<id or title>\"}, {\"image\":true} (or video, \
    voice, document, sticker), {\"location\":{…}}, {\"reaction\":\"👍\",\"to\":\"wamid…\"}, {\"contacts\":[…]}, \
    {\"share_contact\":true}, {\"form\":{…}}, {\"order\":{…}}, {\"edit\":{\"wamid\":…,\"text\":…}}, \
    {\"revoke\":\"wamid…\"}, {\"unsupported\":\"poll_creation\"}, {\"unavailable\":true}, {\"lost\":\"image\"}, \
    {\"broken\":true} or {\"raw\":{\"type\":…}}";

impl Words {
    /// The one thing that is said with what goes along with it, or what is wrong.
    pub(super) fn said(self, files: &Files) -> Result<(Said, Beside), &'static str> {
        let beside = Beside {
            quote: self.quote,
            is_forwarded: self.forwarded,
            is_forwarded_often: self.forwarded_often,
            referral: self.referral.map(Value::Object),
            product: self.product.map(Value::Object),
            without_context: self.without_context,
        };
        let caption = self.caption;
        let media = |wanted: bool, media| {
            wanted.then(|| Said::File(Box::new(Sent::sample(files, media, caption.clone()))))
        };
        let reaction = match (self.reaction, self.to) {
            (Some(emoji), Some(wamid)) => Some(Said::Reaction { wamid, emoji }),
            (None, None) => None,
            _ => return Err("`reaction` (an emoji) and `to` (the wamid) belong together"),
        };
        let contacts = self.contacts.map(cards).transpose()?.map(Said::Contacts);
        let edit = |EditWords { wamid, text }| Said::Edit { wamid, text };
        let mut said = [
            self.text.filter(|text| !text.is_empty()).map(Said::Text),
            self.press.map(Said::Press),
            media(self.image, Media::Image),
            media(self.video, Media::Video),
            media(self.voice, Media::Voice),
            media(self.document, Media::Document),
            media(self.sticker, Media::Sticker),
            self.location.map(place),
            reaction,
            contacts,
            self.share_contact.then_some(Said::OwnContact),
            self.form.map(Value::Object).map(Said::Form),
            self.order.map(Value::Object).map(Said::Order),
            self.edit.map(edit),
            self.revoke.map(|wamid| Said::Revoke { wamid }),
            self.unsupported.map(|kind| Said::Unsupported { kind }),
            self.unavailable.then_some(Said::Unavailable),
            self.lost.map(|kind| Said::Lost { kind }),
            self.broken.then_some(Said::Broken),
            self.raw.map(Said::Raw),
        ]
        .into_iter()
        .flatten();
        let (first, second) = (said.next(), said.next());
        match first {
            Some(one) if second.is_none() => Ok((one, beside)),
            _ => Err(ONE_THING),
        }
    }
}

fn place(PlaceWords { latitude, longitude, name, address }: PlaceWords) -> Said {
    Said::Location(Place { latitude, longitude, name, address })
}

fn cards(words: Vec<CardWords>) -> Result<Vec<Card>, &'static str> {
    let card = |CardWords { name, phone }| Some(Card { name, phone: digits(&phone)?, origin: "other" });
    words.into_iter().map(card).collect::<Option<_>>().ok_or("a `phone` of `contacts` is not a phone number")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Clock;

    fn said(body: Value) -> Result<Said, &'static str> {
        let files = Files::new("http://127.0.0.1:1", Clock::system());
        serde_json::from_value::<Words>(body).unwrap().said(&files).map(|(said, _)| said)
    }

    #[test]
    fn exactly_one_thing_can_be_said_at_a_time() {
        assert_eq!(said(json!({"text": "hi"})), Ok(Said::Text("hi".into())));
        let Ok(Said::File(sent)) = said(json!({"image": true, "caption": "look"})) else { panic!("no file") };
        assert_eq!((sent.kind, sent.caption.as_deref()), ("image", Some("look")));
        assert!(said(json!({})).is_err());
        assert!(said(json!({"text": ""})).is_err());
        assert!(said(json!({"text": "hi", "press": "a"})).is_err());
        assert!(said(json!({"reaction": "👍"})).unwrap_err().contains("`to`"));
        assert!(said(json!({"contacts": [{"name": "Kim", "phone": "x"}]})).unwrap_err().contains("`phone`"));
    }
}
