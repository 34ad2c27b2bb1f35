//! People who want no more messages: what they write to say so, and what nobody may hear of them or say to them from then on.

use std::collections::BTreeSet;

use crate::answers::STOPPED;
use crate::judge::{Wrongs, callback};
use crate::ledger::{Ledger, get};
use crate::meta::{Said, Shown, dice_about, phone};

/// In so many of a hundred seeds people opt out, and so many of a hundred of their texts are words of it. The dice are of their
/// own: all other seeds are what they would be without.
const SEEDS: usize = 25;
const WORDS: usize = 35;

/// Puts words of STOP and START in the place of some of what people are going to write who show one id only.
pub(crate) fn put_words(seed: u64, script: &mut [Vec<(String, Shown)>]) {
    let mut dice = dice_about(seed, &["silent"]);
    if !dice.chance(SEEDS) {
        return;
    }
    for texts in script.iter_mut().filter(|texts| texts.iter().all(|(_, shown)| *shown == Shown::Phone)) {
        for (number, (text, _)) in texts.iter_mut().enumerate() {
            if dice.chance(WORDS) {
                // What ends a word does not count, and tells one text from the other.
                *text = dice.pick(&["stop", "stop", "start"]).to_string() + &".".repeat(number + 1);
            }
        }
    }
}

/// What became of a person's texts, taken in the order in which they were accepted.
#[derive(Default)]
pub(crate) struct Silence {
    /// Those that have no answer of the flow: words of STOP, and what came after one.
    pub(crate) unanswered: BTreeSet<String>,
    /// Whether they want no messages in the end.
    pub(crate) lasts: bool,
}

impl Silence {
    pub(crate) fn of(person: usize, ledger: &Ledger) -> Self {
        let sql = format!(
            "select m.body from message m join contact c on c.id = m.contact_id \
             where m.direction = 'in' and c.wa_id = '{}' order by m.position",
            phone(person)
        );
        let mut silence = Self::default();
        for row in ledger.rows(&sql) {
            let text: String = get(&row, 0);
            match text.trim_end_matches('.') {
                "stop" => silence.lasts = true,
                "start" => silence.lasts = false,
                _ => {}
            }
            if silence.lasts {
                silence.unanswered.insert(text);
            }
        }
        silence
    }
}

/// Nothing reaches who wants no messages that comes after the word which says so. Where they want them again later, what was asked
/// for meanwhile may leave.
pub(crate) fn is_kept(wrongs: &mut Wrongs, said: &[Said], person: usize, silence: &Silence, ledger: &Ledger) {
    if !silence.lasts {
        return;
    }
    let theirs = format!(
        "from message m join contact c on c.id = m.contact_id where m.direction = 'out' and c.wa_id = '{}'",
        phone(person)
    );
    let sql = format!(
        "select m.id {theirs} and m.position > (select max(m.position) {theirs} and m.body = '{STOPPED}')"
    );
    let after: BTreeSet<String> = ledger.rows(&sql).iter().map(|row| callback(get(row, 0))).collect();
    for said in said.iter().filter(|said| after.contains(&said.callback)) {
        wrongs.add(format!("person {person} wants no messages, and reads `{}`", said.text));
    }
}
