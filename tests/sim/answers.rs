//! What a person read, taken apart: each answer of the flow names its number, what it answers and what was answered before it.

use std::collections::BTreeSet;

use crate::judge::Wrongs;

/// What is said where a query of the flow fails, as it may when the database does.
const FAILED: &str = "failed";
/// What somebody is told who wants no more messages, and who wants them again.
pub(crate) const STOPPED: &str = "stopped";
pub(crate) const STARTED: &str = "started";

/// The first of the messages that one turn says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// How many the conversation had answered with this one.
    pub(crate) number: usize,
    /// What it answers.
    pub(crate) said: String,
    /// What the answer before it answered.
    pub(crate) before: String,
}

/// A message of the flow to a person, or one that was to be and was withheld.
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) withheld: bool,
}

/// All that one person read from the flow.
pub(crate) struct Answers {
    pub(crate) person: usize,
    pub(crate) all: Vec<Answer>,
    /// Where the last dialogue begins in them: whoever writes STOP begins anew.
    begins: usize,
    /// Answers whose place among the others is not known: withheld ones, where there may have been two conversations.
    placeless: Vec<Answer>,
}

impl Answer {
    fn read(text: &str) -> Option<Self> {
        let (number, rest) = text.split_once(": ")?;
        // A silence names what it comes after as well.
        let (said, before) = rest.rsplit_once(", after ")?;
        Some(Self { number: number.parse().ok()?, said: said.to_owned(), before: before.to_owned() })
    }

    fn is_silence(&self) -> bool {
        self.said.starts_with("silence after ")
    }
}

impl Answers {
    /// What somebody read who is one person from the beginning: a single chain without a gap, each answer with what belongs
    /// to it right behind it. STOP ends a chain, and START begins another one.
    pub(crate) fn of_one(
        wrongs: &mut Wrongs,
        person: usize,
        heard: &[Told],
        drawn: &mut BTreeSet<String>,
    ) -> Self {
        let mut all: Vec<Answer> = Vec::new();
        let (mut notes, mut begins, mut silent) = (0, 0, false);
        let mut rest = heard.iter().map(|told| &told.text);
        while let Some(text) = rest.next() {
            if text == STOPPED || text == STARTED {
                wrongs.unless(silent == (text == STARTED), || format!("person {person} reads twice: {text}"));
                silent = text == STOPPED;
                begins = all.len();
                continue;
            }
            let Some(answer) = Answer::read(text).filter(|_| !silent) else {
                wrongs.add(format!("person {person} reads out of place: {text}"));
                continue;
            };
            let before = all[begins..].last().map_or("nothing", |answer| answer.said.as_str());
            let number = all.len() - begins + 1;
            let expected = Answer { number, said: answer.said.clone(), before: before.to_owned() };
            wrongs.equal(&format!("what person {person} reads"), &answer, &expected);
            let kind = answer.said.split(' ').next().unwrap_or_default();
            if ["note", "tell", "ticket"].contains(&kind) {
                notes += usize::from(kind == "note");
                let second = rest.next().cloned().unwrap_or_default();
                second_is_right(wrongs, &answer.said, &second, Some(notes), drawn);
            }
            all.push(answer);
        }
        let in_a_row = all.windows(2).filter(|pair| pair[0].is_silence() && pair[1].is_silence());
        wrongs.equal("silences in a row", &in_a_row.count(), &0);
        Self { person, all, begins, placeless: Vec::new() }
    }

    /// What somebody read who may have been two people at first: up to two chains, of which one may end where the other
    /// goes on. Nothing is answered from a state that somebody else has already gone on from.
    pub(crate) fn of_two(
        wrongs: &mut Wrongs,
        person: usize,
        heard: &[Told],
        drawn: &mut BTreeSet<String>,
    ) -> Self {
        let mut all: Vec<Answer> = Vec::new();
        let mut seconds: Vec<&String> = Vec::new();
        let withheld = heard.iter().filter(|told| told.withheld);
        let placeless: Vec<Answer> = withheld.filter_map(|told| Answer::read(&told.text)).collect();
        let whenever: Vec<Answer> = heard.iter().filter_map(|told| Answer::read(&told.text)).collect();
        for Told { text, withheld } in heard {
            let Some(answer) = Answer::read(text) else {
                seconds.push(text);
                continue;
            };
            let earlier = if *withheld { &whenever } else { &all };
            let follows = earlier
                .iter()
                .chain(&placeless)
                .any(|earlier| earlier.number + 1 == answer.number && earlier.said == answer.before);
            wrongs.unless(follows || (answer.number == 1 && answer.before == "nothing"), || {
                format!("person {person} reads {answer:?}, which follows nothing: {all:?}")
            });
            let taken = answer.number > 1
                && all.iter().any(|other| (other.number, &other.before) == (answer.number, &answer.before));
            wrongs.unless(!taken, || {
                format!("two answers to person {person} go on from one state: {all:?}, {answer:?}")
            });
            all.push(answer);
        }
        let roots = all.iter().filter(|answer| answer.number == 1).count();
        wrongs.unless(roots <= 2, || format!("person {person} began {roots} times: {all:?}"));
        for answer in &all {
            let belongs = |second: &&String| match answer.said.split_once(' ') {
                Some(("note", _)) => **second == format!("noted {}", answer.said),
                Some(("tell", _)) => second.ends_with(" notes") || *second == FAILED,
                Some(("ticket", _)) => second.starts_with("drew "),
                _ => false,
            };
            if let Some(place) = seconds.iter().position(belongs) {
                let second = seconds.remove(place);
                second_is_right(wrongs, &answer.said, second, None, drawn);
            } else {
                let alone = !["note", "tell", "ticket"].iter().any(|kind| answer.said.starts_with(kind));
                wrongs.unless(alone, || format!("person {person} does not read all of {answer:?}"));
            }
        }
        wrongs.unless(seconds.is_empty(), || format!("person {person} reads out of place: {seconds:?}"));
        Self { person, all, begins: 0, placeless }
    }

    /// Everything that was written is answered once, and in the end the person is asked whether they are still there.
    pub(crate) fn are_complete(&self, wrongs: &mut Wrongs, mut written: Vec<&str>) {
        let mut answered: Vec<&str> = self
            .all
            .iter()
            .filter(|answer| !answer.is_silence())
            .map(|answer| answer.said.as_str())
            .collect();
        answered.sort_unstable();
        written.sort_unstable();
        wrongs.equal(&format!("what person {} has an answer to", self.person), &answered, &written);
        let last_is_known = self.placeless.is_empty();
        let is_asked = self.dialogue().last().is_none_or(Answer::is_silence) || self.is_asked_in_one_of_two();
        wrongs.unless(!last_is_known || is_asked, || {
            format!("person {} was silent in the end, and was not asked: {:?}", self.person, self.all)
        });
    }

    /// The answers of the dialogue that goes on.
    pub(crate) fn dialogue(&self) -> &[Answer] {
        &self.all[self.begins..]
    }

    /// Whether these were two conversations, and one of them ended with the question: the dialogue goes on in which a message was
    /// accepted last, in whatever order they were written and answered, and either where both were accepted at once.
    fn is_asked_in_one_of_two(&self) -> bool {
        let two = self.all.iter().filter(|answer| answer.number == 1).count() > 1;
        let is_last = |asked: &Answer| !self.all.iter().any(|answer| answer.before == asked.said);
        two && self.all.iter().any(|answer| answer.is_silence() && is_last(answer))
    }

    /// Where the answer to `said` stands, where that is known.
    pub(crate) fn place(&self, said: &str) -> Option<usize> {
        if self.placeless.iter().any(|answer| answer.said == said) {
            return None;
        }
        self.all.iter().position(|answer| answer.said == said)
    }

    /// What was noted, in order.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.all.iter().map(|answer| answer.said.clone()).filter(|said| said.starts_with("note ")).collect()
    }
}

/// The second message of a turn.
fn second_is_right(
    wrongs: &mut Wrongs,
    said: &str,
    second: &str,
    notes: Option<usize>,
    drawn: &mut BTreeSet<String>,
) {
    let right = match (said.split(' ').next(), notes) {
        (Some("note"), _) => second == format!("noted {said}"),
        (Some("tell"), Some(notes)) => second == format!("{notes} notes") || second == FAILED,
        (Some("tell"), None) => second.ends_with(" notes") || second == FAILED,
        // A number may be left out, and none comes twice.
        _ => second.starts_with("drew T-") && drawn.insert(second.to_owned()),
    };
    wrongs
        .unless(right, || format!("the second message about `{said}` is `{second}`, after {notes:?} notes"));
}
