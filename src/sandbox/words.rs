//! What a script tells a phone to do.

use serde::Deserialize;

use super::media::Files;
use super::said::{Media, Said, Sent};

/// What a phone is to do, in a script's words: `{"text":"hi"}`, `{"image":true,"caption":"…"}`.
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
    location: Option<Place>,
    reaction: Option<String>,
    to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    latitude: f64,
    longitude: f64,
    name: Option<String>,
}

impl Words {
    /// The one thing that is said, or what is wrong.
    pub(super) fn said(self, files: &Files) -> Result<Said, &'static str> {
        let caption = self.caption;
        let media = |wanted: bool, media| {
            wanted.then(|| Said::File(Box::new(Sent::sample(files, media, caption.clone()))))
        };
        let reaction = match (self.reaction, self.to) {
            (Some(emoji), Some(wamid)) => Some(Said::Reaction { wamid, emoji }),
            (None, None) => None,
            _ => return Err("`reaction` (an emoji) and `to` (the wamid) belong together"),
        };
        let place = |Place { latitude, longitude, name }| Said::Location { latitude, longitude, name };
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
        ]
        .into_iter()
        .flatten();
        let (first, second) = (said.next(), said.next());
        match first {
            Some(one) if second.is_none() => Ok(one),
            _ => Err("say one thing: {\"text\":\"hi\"}, {\"press\":\"<id or title>\"}, {\"image\":true}, \
                      {\"location\":{…}} or {\"reaction\":\"👍\",\"to\":\"wamid…\"}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::Clock;

    fn said(body: Value) -> Result<Said, &'static str> {
        let files = Files::new("http://127.0.0.1:1", Clock::system());
        serde_json::from_value::<Words>(body).unwrap().said(&files)
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
    }
}
