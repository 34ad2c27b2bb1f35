//! The judge: knows what went in and what Meta saw, works out from that what has to have happened, and compares it with what
//! lies in the database.

use std::collections::{BTreeMap, BTreeSet};

use switchboard::domain::delivery::Status;

use crate::ledger::{Ledger, get};
use crate::meta::{About, Fortune, Meta, Parcel, Said, phone};

pub(crate) struct Verdict {
    pub(crate) wrongs: Vec<String>,
    /// Messages that Meta took more than once.
    pub(crate) doubled: usize,
}

/// Writes down what is wrong.
#[derive(Default)]
struct Wrongs(Vec<String>);

impl Wrongs {
    fn unless(&mut self, right: bool, what: impl FnOnce() -> String) {
        if !right {
            self.0.push(what());
        }
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: T, expected: T) {
        self.unless(found == expected, || format!("{what}: {found:?}, expected {expected:?}"));
    }
}

pub(crate) fn judge(meta: &Meta, ledger: &Ledger) -> Verdict {
    let mut wrongs = Wrongs::default();
    let said = meta.said();
    meta.look(|parcels, in_order| {
        accepted_once(&mut wrongs, parcels, ledger);
        let mut notes = BTreeMap::new();
        let mut drawn = BTreeSet::new();
        for (person, texts) in by_person(parcels) {
            let heard = first_of_each(&said, &phone(person));
            let chain = Chain::read(&mut wrongs, person, &heard, &mut drawn);
            chain.is_complete(&mut wrongs, &texts);
            chain.is_in_order(&mut wrongs, &texts, in_order);
            notes.insert(phone(person), chain.notes());
            chain.is_the_state(&mut wrongs, ledger);
        }
        wrote_once(&mut wrongs, ledger, &notes);
        deliveries(&mut wrongs, parcels, &said, ledger);
    });
    let doubled = doubled_are_named(&mut wrongs, &said, ledger);
    versions(&mut wrongs, ledger);
    counters(&mut wrongs, ledger);
    queue(&mut wrongs, &said, ledger);
    Verdict { wrongs: wrongs.0, doubled }
}

/// Each person's texts, as parcels.
fn by_person(parcels: &[Parcel]) -> BTreeMap<usize, Vec<(&str, &Parcel)>> {
    let mut people: BTreeMap<usize, Vec<(&str, &Parcel)>> = BTreeMap::new();
    for parcel in parcels {
        if let About::Written { person, text } = &parcel.about {
            people.entry(*person).or_default().push((text, parcel));
        }
    }
    people
}

/// Nothing that was acknowledged is lost, and nothing is there twice.
fn accepted_once(wrongs: &mut Wrongs, parcels: &[Parcel], ledger: &Ledger) {
    let rows =
        ledger.rows("select kind, state, wamid, payload from webhook where kind in ('message', 'status')");
    let mut kept: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for row in &rows {
        let (kind, state, wamid, payload): (String, String, String, String) =
            (get(row, 0), get(row, 1), get(row, 2), get(row, 3));
        let payload: serde_json::Value = serde_json::from_str(&payload).unwrap_or_default();
        let status = if kind == "status" { find_status(&payload) } else { String::new() };
        let entry = kept.entry(format!("{kind} {wamid} {status}")).or_insert((state, 0));
        entry.1 += 1;
    }
    for parcel in parcels.iter().filter(|parcel| parcel.acknowledged.is_some()) {
        let (key, allowed): (String, &[&str]) = match &parcel.about {
            About::Written { text, .. } if text.starts_with("poison") => {
                (format!("message {} ", parcel.id()), &["quarantined"])
            }
            About::Written { .. } => (format!("message {} ", parcel.id()), &["done"]),
            About::Told { wamid, status, .. } => (format!("status {wamid} {status}"), &["done"]),
        };
        match kept.get(&key) {
            None => wrongs.0.push(format!("acknowledged and lost: {key} {:?}", parcel.about)),
            Some((state, times)) => {
                wrongs.equal(&format!("times that {key} is kept"), *times, 1);
                wrongs.unless(allowed.contains(&state.as_str()), || {
                    format!("{key} {:?} is {state}, expected {allowed:?}", parcel.about)
                });
            }
        }
    }
}

/// Wherever it stands in the payload.
fn find_status(payload: &serde_json::Value) -> String {
    match payload {
        serde_json::Value::Object(map) => match map.get("status") {
            Some(serde_json::Value::String(status)) => status.clone(),
            _ => map.values().map(find_status).find(|status| !status.is_empty()).unwrap_or_default(),
        },
        serde_json::Value::Array(list) => {
            list.iter().map(find_status).find(|status| !status.is_empty()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// What a person was told, each message where it came first; what Meta refused for good counts as told.
fn first_of_each(said: &[Said], to: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let theirs = said.iter().filter(|said| said.to == to && seen.insert(said.callback.clone()));
    theirs.map(|said| said.text.clone()).collect()
}

/// What one person's answers say about the order of what they answer.
struct Chain {
    person: usize,
    /// What was answered, in order.
    answered: Vec<String>,
}

impl Chain {
    /// Reads the answers, and compares each with what the ones before it make it.
    fn read(wrongs: &mut Wrongs, person: usize, heard: &[String], drawn: &mut BTreeSet<String>) -> Self {
        let mut answered: Vec<String> = Vec::new();
        let mut notes = 0;
        let mut rest = heard.iter();
        while let Some(text) = rest.next() {
            let before = answered.last().map_or("nothing", String::as_str);
            let number = answered.len() + 1;
            let said = text.split_once(": ").and_then(|(_, rest)| rest.split_once(", after "));
            let said = said.map_or_else(|| text.clone(), |(said, _)| said.to_owned());
            wrongs.equal(
                &format!("answer to person {person}"),
                text.clone(),
                format!("{number}: {said}, after {before}"),
            );
            match said.split(' ').next() {
                Some("note") => {
                    notes += 1;
                    let second = rest.next().cloned().unwrap_or_default();
                    wrongs.equal("second answer", second, format!("noted {said}"));
                }
                Some("tell") => {
                    let second = rest.next().cloned().unwrap_or_default();
                    wrongs.equal("second answer", second, format!("{notes} notes"));
                }
                Some("ticket") => {
                    let second = rest.next().cloned().unwrap_or_default();
                    wrongs.unless(second.starts_with("drew T-"), || format!("no ticket was drawn: {second}"));
                    wrongs.unless(drawn.insert(second.clone()), || format!("drawn twice: {second}"));
                }
                _ => {}
            }
            answered.push(said);
        }
        Self { person, answered }
    }

    /// Everything is answered once, and silence once where it falls.
    fn is_complete(&self, wrongs: &mut Wrongs, texts: &[(&str, &Parcel)]) {
        let mut answered: Vec<&str> = self.answered.iter().map(String::as_str).collect();
        answered.retain(|text| *text != "silence");
        answered.sort_unstable();
        let mut expected: Vec<&str> =
            texts.iter().map(|(text, _)| *text).filter(|text| !text.starts_with("poison")).collect();
        expected.sort_unstable();
        wrongs.equal(&format!("answered of person {}", self.person), answered, expected);
        let silences = self.answered.windows(2).filter(|pair| pair[0] == "silence" && pair[1] == "silence");
        wrongs.equal("silences in a row", silences.count(), 0);
        let last = self.answered.last().map(String::as_str);
        wrongs.unless(last.is_none_or(|last| last == "silence"), || {
            format!("person {} was silent in the end, and was not asked: {:?}", self.person, self.answered)
        });
    }

    /// What was acknowledged before something else was first posted is answered before it, and so is what stood before it
    /// in the first body of both.
    fn is_in_order(&self, wrongs: &mut Wrongs, texts: &[(&str, &Parcel)], in_order: &[usize]) {
        let place = |text: &str| self.answered.iter().position(|answered| answered == text);
        for (earlier, one) in texts {
            for (later, other) in texts {
                let before = one.acknowledged.zip(other.first_sent).is_some_and(|(ack, sent)| ack < sent);
                let within = one.first_body.zip(other.first_body).is_some_and(|(one, other)| {
                    one.0 == other.0 && one.1 < other.1 && in_order.contains(&one.0)
                });
                if let (true, Some(first), Some(second)) = (before || within, place(earlier), place(later)) {
                    wrongs.unless(first < second, || format!("`{later}` is answered before `{earlier}`"));
                }
            }
        }
    }

    fn notes(&self) -> Vec<String> {
        self.answered.iter().filter(|text| text.starts_with("note")).cloned().collect()
    }

    /// The stored state is that of a run in which nothing went wrong.
    fn is_the_state(&self, wrongs: &mut Wrongs, ledger: &Ledger) {
        let Some(last) = self.answered.last() else { return };
        let sql = format!(
            "select s.snapshot from session s join contact c on c.id = s.contact_id where c.wa_id = '{}'",
            phone(self.person)
        );
        let rows = ledger.rows(&sql);
        wrongs.equal("conversations of one person", rows.len(), 1);
        let Some(row) = rows.first() else { return };
        let snapshot: String = get(row, 0);
        let snapshot: serde_json::Value = serde_json::from_str(&snapshot).unwrap_or_default();
        let variables = &snapshot["vars"];
        let found = (variables["count"].as_i64(), variables["said"].as_str());
        let expected = (i64::try_from(self.answered.len()).ok(), Some(last.as_str()));
        wrongs.unless(found == expected, || format!("the state is {snapshot}, expected {expected:?}"));
    }
}

/// What the flow wrote is there once.
fn wrote_once(wrongs: &mut Wrongs, ledger: &Ledger, notes: &BTreeMap<String, Vec<String>>) {
    let mut written: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in ledger.rows("select customer_phone, description from defects order by id") {
        written.entry(get(&row, 0)).or_default().push(get(&row, 1));
    }
    for (phone, expected) in notes {
        wrongs.equal(
            &format!("notes of {phone}"),
            written.remove(phone).unwrap_or_default(),
            expected.clone(),
        );
    }
    wrongs.unless(written.is_empty(), || format!("notes of nobody: {written:?}"));
}

/// Whatever Meta took more than once, somebody wrote down that it might.
fn doubled_are_named(wrongs: &mut Wrongs, said: &[Said], ledger: &Ledger) -> usize {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for said in said.iter().filter(|said| said.fortune != Fortune::Refused) {
        *times.entry(&said.callback).or_default() += 1;
    }
    let doubled = times.iter().filter(|(_, times)| **times > 1);
    let mut count = 0;
    for (callback, times) in doubled {
        count += 1;
        let sql = format!(
            "select count(*) from attempt where outcome = 'ambiguous' and message_id = {}",
            callback.trim_start_matches("msg_")
        );
        let named = ledger.number(&sql);
        wrongs.unless(usize::try_from(named).unwrap() + 1 >= *times, || {
            format!("message {callback} reached Meta {times} times, and {named} attempts are named ambiguous")
        });
    }
    count
}

/// What is known of a message is the furthest that Meta told of it.
fn deliveries(wrongs: &mut Wrongs, parcels: &[Parcel], said: &[Said], ledger: &Ledger) {
    let mut told: BTreeMap<&str, Status> = BTreeMap::new();
    for said in said {
        let status = if said.fortune == Fortune::Refused { Status::GivenUp } else { Status::Accepted };
        let furthest = told.entry(&said.callback).or_insert(status);
        *furthest = furthest.merge(status);
    }
    for parcel in parcels.iter().filter(|parcel| parcel.acknowledged.is_some()) {
        if let About::Told { callback, status, .. } = &parcel.about
            && let Some(status) = Status::parse(status)
        {
            let furthest = told.entry(callback).or_insert(status);
            *furthest = furthest.merge(status);
        }
    }
    let mut stored = BTreeMap::new();
    for row in ledger.rows("select id, status from message where direction = 'out'") {
        stored.insert(callback(get(&row, 0)), get::<i16>(&row, 1));
    }
    wrongs.equal("messages of ours", stored.len(), told.len());
    for (callback, status) in told {
        wrongs.equal(&format!("status of {callback}"), stored.get(callback).copied(), Some(rank(status)));
    }
}

/// What Meta was told to repeat about the message `id`.
fn callback(id: i64) -> String {
    format!("msg_{id}")
}

/// As stored.
fn rank(status: Status) -> i16 {
    match status {
        Status::Received => 0,
        Status::Queued => 10,
        Status::Ambiguous => 20,
        Status::GivenUp => 25,
        Status::Accepted => 30,
        Status::Sent => 40,
        Status::Failed => 50,
        Status::Delivered => 60,
        Status::Read => 70,
        Status::Played => 80,
    }
}

/// A conversation's version grows by one with each event that is done, and with nothing else.
fn versions(wrongs: &mut Wrongs, ledger: &Ledger) {
    let sql = "select s.id, s.version, (select count(*) from webhook w where w.conversation_id = s.id and w.state = 'done') \
               from session s where s.merged_into is null";
    for row in ledger.rows(sql) {
        let (id, version, done): (i64, i64, i64) = (get(&row, 0), get(&row, 1), get(&row, 2));
        wrongs.equal(&format!("version of conversation {id}"), version, done);
    }
}

/// The counts that are kept are those that counting gives.
fn counters(wrongs: &mut Wrongs, ledger: &Ledger) {
    let counts = |sql: &str| -> BTreeMap<String, i64> {
        ledger.rows(sql).iter().map(|row| (get(row, 0), get(row, 1))).collect()
    };
    let mut kept = counts("select name, value from counter where hour = 0 and value <> 0 and name <> 'batches'");
    let by_hour = counts(
        "select name, cast(sum(value) as bigint) from counter where hour > 0 group by name having sum(value) <> 0",
    );
    wrongs.equal("counts by hour", by_hour, kept.clone());
    kept.retain(|name, _| !name.starts_with("response:") && !name.starts_with("chosen:"));
    let mut counted = counts(
        "select direction, count(*) from message group by direction \
         union all select direction || ':' || kind, count(*) from message group by direction, kind \
         union all select 'contacts', count(*) from contact where merged_into is null having count(*) > 0 \
         union all select 'conversations', count(*) from session where merged_into is null having count(*) > 0",
    );
    for row in ledger.rows("select status, count(*) from message where direction = 'out' group by status") {
        let (stored, count): (i16, i64) = (get(&row, 0), get(&row, 1));
        let status = Status::ALL.into_iter().find(|status| rank(*status) == stored).unwrap();
        *counted.entry(format!("status:{}", status.as_str())).or_default() += count;
    }
    wrongs.equal("counts", kept, counted);
}

/// Nothing is in the queue but what Meta will not have.
fn queue(wrongs: &mut Wrongs, said: &[Said], ledger: &Ledger) {
    for row in ledger.rows("select id, state from queue") {
        let (id, state): (i64, String) = (get(&row, 0), get(&row, 1));
        let callback = callback(id);
        let refused = said.iter().any(|said| said.callback == callback && said.fortune == Fortune::Refused);
        let failed =
            ledger.number(&format!("select count(*) from message where id = {id} and status = 50")) > 0;
        wrongs.unless(state == "dead" && (refused || failed), || {
            format!("message {id} is {state} in the queue")
        });
    }
}
