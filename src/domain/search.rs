//! What is searched for in texts: words, and beginnings of words.
//!
//! A word is a run of letters and digits, in small letters and without the accents of Latin and Greek; scripts that are
//! written without spaces give a word per character. What is stored and what is asked for go through the same [`words`], so that every database finds the same.

use std::collections::BTreeSet;

use icu_normalizer::properties::{CanonicalDecomposition, Decomposed};

/// Characters of a word that count; what follows does not.
pub const WORD_CHARS_MAX: usize = 64;
/// Different words of a text by which it is found.
pub const WORDS_MAX: usize = 256;
/// Characters in a search, at the most.
pub const SEARCH_CHARS_MAX: usize = 200;
/// Words in a search, at the most.
pub const SEARCH_WORDS_MAX: usize = 10;
/// Characters of a word's beginning, at the least.
pub const BEGINNING_CHARS_MIN: usize = 2;

/// What is asked of a text: all of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search(Vec<Term>);

/// One thing that is asked of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// It has this word.
    Word(String),
    /// It has a word that begins with this.
    Beginning(String),
}

/// Why nothing can be searched for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No letter and no digit.
    #[error("it has no letter and no digit in it")]
    NoWord,
    /// Too long.
    #[error("it has more than {SEARCH_CHARS_MAX} characters")]
    TooLong,
    /// Too many words.
    #[error("it has more than {SEARCH_WORDS_MAX} words")]
    TooManyWords,
    /// Too little before a `*`.
    #[error("`{0}*` is too short: give at least {BEGINNING_CHARS_MIN} characters before the `*`")]
    ShortBeginning(String),
}

impl Search {
    /// What `text` asks for: its words, each of which may end in `*`.
    ///
    /// # Errors
    /// When it has no word, or too much of anything.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.chars().count() > SEARCH_CHARS_MAX {
            return Err(Invalid::TooLong);
        }
        let mut terms: Vec<Term> = Vec::new();
        for (word, end) in split(text) {
            let open = text[end..].starts_with('*') && !word.chars().all(stands_alone);
            let term = match open {
                true if word.chars().count() < BEGINNING_CHARS_MIN => {
                    return Err(Invalid::ShortBeginning(word));
                }
                true => Term::Beginning(word),
                false => Term::Word(word),
            };
            if !terms.contains(&term) {
                terms.push(term);
            }
        }
        match terms.len() {
            0 => Err(Invalid::NoWord),
            1..=SEARCH_WORDS_MAX => Ok(Self(terms)),
            _ => Err(Invalid::TooManyWords),
        }
    }

    /// What is asked for, one to [`SEARCH_WORDS_MAX`] things.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.0
    }

    /// Whether `text` has all of it.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let words = words(text);
        self.0.iter().all(|term| match term {
            Term::Word(word) => words.contains(word),
            Term::Beginning(start) => {
                words.range(start.clone()..).next().is_some_and(|word| word.starts_with(start.as_str()))
            }
        })
    }
}

/// The words by which a text is found.
#[must_use]
pub fn words(text: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for (word, _) in split(text) {
        words.insert(word);
        if words.len() == WORDS_MAX {
            break;
        }
    }
    words
}

/// The words of a text in their order, each with the place behind it.
fn split(text: &str) -> impl Iterator<Item = (String, usize)> {
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = rest.find(|(_, c)| c.is_alphanumeric())?;
        let mut end = start + first.len_utf8();
        while let Some((at, next)) = rest.peek().copied() {
            if stands_alone(first) || stands_alone(next) || !belongs_to_a_word(next) {
                break;
            }
            end = at + next.len_utf8();
            rest.next();
        }
        Some((plain(&text[start..end]), end))
    })
}

/// A word in small letters, of which those of Latin and Greek have no accents. Where accents make another letter of one, as
/// in Cyrillic, they are kept behind it, however they were written.
fn plain(word: &str) -> String {
    let mut plain = String::with_capacity(word.len());
    let mut letters = 0;
    for c in word.chars().flat_map(char::to_lowercase) {
        let (letter, accents) = taken_apart(c);
        // Both are written for the same.
        let letter = if letter == 'ё' { 'е' } else { letter };
        let has_accents = letter >= FIRST_OF_CYRILLIC;
        let before = plain.chars().next_back();
        let goes =
            before.is_some_and(|before| before < FIRST_OF_CYRILLIC || (before == 'е' && letter == '\u{308}'));
        if is_accent(letter) && goes {
            continue;
        }
        plain.push(letter);
        plain.extend(accents.into_iter().filter(|_| has_accents));
        letters += 1;
        if letters == WORD_CHARS_MAX {
            break;
        }
    }
    plain
}

/// Letters from here on keep their accents.
const FIRST_OF_CYRILLIC: char = '\u{400}';

/// The letter in `c`, and the accents that it has in one character with it, the first one first.
fn taken_apart(mut c: char) -> (char, Vec<char>) {
    let mut accents = Vec::new();
    if c.is_ascii() || c == 'ё' {
        return (c, accents);
    }
    loop {
        match CanonicalDecomposition::new().decompose(c) {
            Decomposed::Expansion(letter, accent) if is_accent(accent) => {
                accents.insert(0, accent);
                c = letter;
            }
            Decomposed::Singleton(letter) => c = letter,
            Decomposed::Expansion(..) | Decomposed::Default => return (c, accents),
        }
    }
}

/// What is written above and below letters.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Letters, digits, and the signs within words that Unicode does not count among the letters: combining accents, joiners,
/// nukta and virama of the scripts of India, vowel and tone signs of Thai.
fn belongs_to_a_word(c: char) -> bool {
    c.is_alphanumeric()
        || is_accent(c)
        || matches!(c, '\u{200c}' | '\u{200d}' | '\u{e47}'..='\u{e4e}')
        || (matches!(c, '\u{900}'..='\u{dff}') && matches!(u32::from(c) & 0x7f, 0x3c | 0x4d))
}

/// Chinese characters and Japanese kana: nobody writes spaces between words of these.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        words(text).into_iter().collect()
    }

    #[test]
    fn words_are_letters_and_digits_in_small_letters() {
        assert_eq!(
            found("📦 *Order ORD-001*: 120 pcs, Müller & Söhne!"),
            ["001", "120", "muller", "ord", "order", "pcs", "sohne"]
        );
        assert_eq!(found("ПРИВЕТ привет Ωμέγα"), ["ωμεγα", "привет"]);
        assert_eq!(found("क्या हिन्दी"), ["क्या", "हिन्दी"]);
        assert_eq!(found("订单 123号"), ["123", "单", "号", "订"]);
        assert_eq!(found("hello👋world _-*\"' \u{0}"), ["hello", "world"]);
        assert!(found("👍 … !").is_empty());
    }

    #[test]
    fn accents_do_not_matter_and_neither_does_how_they_are_written() {
        for (one, other) in [
            ("Émile", "E\u{301}MILE"),
            ("emile", "Émile"),
            ("Nguyễn", "nguyen"),
            ("İstanbul", "istanbul"),
            ("ещё", "еще"),
            ("ещё", "еще\u{308}"),
            ("мой", "мои\u{306}"),
            ("ångström", "A\u{30a}NGSTRO\u{308}M"),
        ] {
            assert_eq!(found(one), found(other), "{one}");
        }
        assert_ne!(found("мой"), found("мои"));
        assert!(Search::parse("mull*").unwrap().matches("bei MÜLLER"));
    }

    #[test]
    fn long_words_are_cut_and_long_texts_have_an_end() {
        assert_eq!(found(&"x".repeat(100)), ["x".repeat(WORD_CHARS_MAX)]);
        let many: String = (0..1_000).map(|i| format!("w{i} ")).collect();
        assert_eq!(found(&many).len(), WORDS_MAX);
    }

    #[test]
    fn a_search_is_all_of_its_words_and_beginnings() {
        let search = Search::parse("  Gear* \"ORD-001\" gear* ").unwrap();
        let expected = [Term::Beginning("gear".into()), Term::Word("ord".into()), Term::Word("001".into())];
        assert_eq!(search.terms(), expected);
        assert!(search.matches("Order ORD 001: a gearbox"));
        assert!(search.matches("ord-001 GEAR"));
        assert!(!search.matches("Order ORD 0011: a gearbox"));
        assert!(!search.matches("ORD-001: a box"));
        assert_eq!(Search::parse("订*").unwrap().terms(), [Term::Word("订".into())]);
    }

    #[test]
    fn what_cannot_be_searched_for_is_told() {
        for (text, why) in [
            ("", Invalid::NoWord),
            ("* OR \" -".replace("OR", "&").as_str(), Invalid::NoWord),
            ("a*", Invalid::ShortBeginning("a".into())),
            (&"x".repeat(201), Invalid::TooLong),
            ("a b c d e f g h i j k", Invalid::TooManyWords),
        ] {
            assert_eq!(Search::parse(text), Err(why), "{text}");
        }
    }
}
