//! Who may be written to: the words by which a person opts out and in again, and what is kept of it.
//!
//! A word counts only as a whole message: `stop` opts out, `stop the line` does not. Words that bots use in their menus
//! (`end`, `cancel`, `quit`, `exit`) are not built in; whoever needs them sets them. A word of START means something only
//! while the person is opted out: else it is a message like any other.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;

/// The built-in words of STOP, by language.
const STOP: &[(&str, &[&str])] = &[
    ("en", &["stop", "stop all", "stopall", "unsubscribe", "opt out", "opt-out", "optout"]),
    ("de", &["stopp", "abmelden", "abbestellen", "austragen"]),
    ("fr", &["arrêt", "arrêter", "désabonner", "se désabonner", "désinscription"]),
    ("es", &["parar", "baja", "darme de baja", "dar de baja", "cancelar suscripción"]),
    ("pt", &["pare", "descadastrar", "cancelar inscrição", "cancelar subscrição"]),
    ("it", &["disiscrivimi", "disiscrizione", "annulla iscrizione", "cancellami"]),
    ("nl", &["afmelden", "uitschrijven"]),
    ("tr", &["dur", "durdur", "ret", "abonelikten çık", "listeden çık"]),
    ("ar", &["توقف", "إيقاف", "قف", "إلغاء الاشتراك"]),
    ("ru", &["стоп", "отписаться", "отписка", "отпишите меня"]),
    ("uk", &["відписатися", "відписка"]),
    ("pl", &["wypisz", "wypisz mnie", "rezygnuję"]),
    ("hi", &["रोकें", "रोको", "बंद करें", "बंद करो", "सदस्यता समाप्त करें"]),
    ("id", &["berhenti", "berhenti berlangganan"]),
    ("zh", &["停止", "退订", "退訂"]),
    ("ja", &["配信停止"]),
];

/// The built-in words of START, by language.
const START: &[(&str, &[&str])] = &[
    ("en", &["start", "unstop", "subscribe", "opt in", "opt-in", "optin"]),
    ("de", &["anmelden", "wieder anmelden"]),
    ("fr", &["démarrer", "commencer", "s'abonner", "réabonner"]),
    ("es", &["alta", "darme de alta", "iniciar", "empezar", "suscribir"]),
    ("pt", &["começar", "inscrever"]),
    ("it", &["inizia", "iscrivimi", "riprendi"]),
    ("nl", &["aanmelden", "inschrijven"]),
    ("tr", &["başla", "başlat", "abone ol"]),
    ("ar", &["ابدأ", "اشتراك", "اشترك"]),
    ("ru", &["старт", "подписаться", "начать"]),
    ("uk", &["підписатися", "почати"]),
    ("pl", &["zapisz mnie", "wznów"]),
    ("hi", &["शुरू", "शुरू करें", "चालू करें"]),
    ("id", &["mulai", "berlangganan"]),
    ("zh", &["开始", "開始", "订阅", "訂閱"]),
    ("ja", &["配信開始"]),
];

/// What a person wants who writes such a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
}

/// The words that hold.
#[derive(Debug, Clone, Default)]
pub struct Words {
    stop: HashSet<String>,
    start: HashSet<String>,
}

impl Words {
    /// The built-in words of all languages.
    #[must_use]
    pub fn built_in() -> Self {
        let all = |table: &[(&str, &[&str])]| {
            table.iter().flat_map(|(_, words)| words.iter().map(|word| normal(word))).collect()
        };
        Self { stop: all(STOP), start: all(START) }
    }

    /// These besides.
    #[must_use]
    pub fn and<'a>(
        mut self,
        stop: impl IntoIterator<Item = &'a str>,
        start: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.stop.extend(stop.into_iter().map(normal).filter(|word| !word.is_empty()));
        self.start.extend(start.into_iter().map(normal).filter(|word| !word.is_empty()));
        self
    }

    /// What `text` as a whole message wishes; a word of both is one of STOP.
    #[must_use]
    pub fn wish(&self, text: &str) -> Option<Wish> {
        // No word of any language is longer; a letter of a person is not normalised for nothing.
        if text.len() > WORD_BYTES_MAX {
            return None;
        }
        let word = normal(text);
        if self.stop.contains(&word) {
            Some(Wish::Stop)
        } else {
            self.start.contains(&word).then_some(Wish::Start)
        }
    }
}

/// Bytes in a message that can be such a word, blanks and punctuation included.
pub const WORD_BYTES_MAX: usize = 200;

/// As words are compared: lower case, without accents, without anything around them that is no letter or digit, blanks in
/// runs of one.
fn normal(text: &str) -> String {
    let mut letters = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        match plain(letter) {
            Some(plain) if plain.is_whitespace() => letters.push(' '),
            Some(plain) => letters.push(plain),
            None => {}
        }
    }
    let words = letters.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    // The signs of Hindi vowels are no letters to Unicode, and end words.
    let kept = |c: char| c.is_alphanumeric() || ('\u{900}'..='\u{94d}').contains(&c);
    words.trim_matches(|c| !kept(c)).to_owned()
}

/// A letter without its accent; `None` for an accent that stands alone, and for what is not seen.
fn plain(letter: char) -> Option<char> {
    Some(match letter {
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'ď' | 'đ' => 'd',
        'è'..='ë' | 'ē' | 'ę' | 'ě' => 'e',
        'ğ' => 'g',
        'ì'..='ï' | 'ī' | 'ı' => 'i',
        'ł' => 'l',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => 'o',
        'ř' => 'r',
        'ś' | 'ş' | 'š' | 'ș' => 's',
        'ť' | 'ț' => 't',
        'ù'..='ü' | 'ū' | 'ů' | 'ű' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        'ё' => 'е',
        'й' => 'и',
        'ї' => 'і',
        'أ' | 'إ' | 'آ' => 'ا',
        'ى' => 'ي',
        '’' | '`' => '\'',
        // Combining accents, Arabic vowel signs and the stretching sign, nukta, zero-width signs, variation selectors.
        '\u{300}'..='\u{36f}'
        | '\u{640}'
        | '\u{64b}'..='\u{655}'
        | '\u{93c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' => return None,
        other => other,
    })
}

/// By whose word someone is opted out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The person wrote a word of STOP.
    Person,
    /// An operator said so.
    Operator,
    /// The person said so to WhatsApp, and Meta told us.
    Meta,
}

impl By {
    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Operator => "operator",
            Self::Meta => "meta",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Person, Self::Operator, Self::Meta].into_iter().find(|by| by.as_str() == name)
    }
}

/// What a person can be opted out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every message.
    All,
    /// Templates of the category MARKETING.
    Marketing,
}

/// Someone opts out or in. JSON: `{"scope":"all","opted_out":true,"by":"operator","at":1795337387000}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Of what.
    pub scope: Scope,
    /// Out, or in.
    pub opted_out: bool,
    /// By whose word.
    pub by: By,
    /// When it was said.
    pub at: Millis,
}

/// Since when and by whose word someone is opted out of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OptedOut {
    /// Since when.
    pub at: Millis,
    /// By whose word.
    pub by: By,
}

/// What may be sent to a person, as it stands now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Consent {
    /// Nothing may, since then.
    pub all: Option<OptedOut>,
    /// No marketing may, since then.
    pub marketing: Option<OptedOut>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_messages_of_many_languages_stop_and_start() {
        let words = Words::built_in();
        for stop in [
            "STOP",
            " Stop! ",
            "*stop*",
            "«Stopp»",
            "Arrêt",
            "ARRET",
            "Arre\u{302}t",
            "Baja.",
            "Cancelar  inscrição",
            "DURDUR",
            "إيقاف",
            "ايقاف",
            "СТОП",
            "rezygnuje",
            "रोकें",
            "बंद करें।",
            "退订",
        ] {
            assert_eq!(words.wish(stop), Some(Wish::Stop), "{stop}");
        }
        for start in ["Start", "UNSTOP", "démarrer", "BAŞLA", "старт!", "ابدأ", "शुरू"] {
            assert_eq!(words.wish(start), Some(Wish::Start), "{start}");
        }
    }

    #[test]
    fn a_word_within_a_sentence_and_the_words_of_menus_mean_nothing() {
        let words = Words::built_in();
        for other in ["please stop", "stop the line", "end", "cancel", "quit", "0", "", "!", "non-stop"] {
            assert_eq!(words.wish(other), None, "{other}");
        }
        assert_eq!(words.wish(&" ".repeat(WORD_BYTES_MAX).replace(' ', " stop")), None);
    }

    #[test]
    fn words_can_be_added_and_the_built_in_ones_left_out() {
        let words = Words::default().and(["Ende", " "], ["Los"]);
        assert_eq!(words.wish("ende!"), Some(Wish::Stop));
        assert_eq!(words.wish("LOS"), Some(Wish::Start));
        assert_eq!((words.wish("stop"), words.wish("")), (None, None));
    }

    #[test]
    fn no_built_in_word_means_both() {
        let words = Words::built_in();
        assert!(words.stop.is_disjoint(&words.start));
    }
}
