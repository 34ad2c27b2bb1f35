//! The judge: knows what went in and what Meta saw, works out from that what has to have happened, and compares it with what
//! lies in the database.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::QueryResult;
use switchboard::clock::Millis;
use switchboard::domain::delivery::{Refusal, Status};

use crate::answers::{Answers, Told};
use crate::ledger::{Ledger, get};
use crate::meta::{About, Fortune, Meta, Parcel, Said, Shown, phone, user};
use crate::operator::Operator;
use crate::silence::{self, Silence};

pub(crate) struct Verdict {
    pub(crate) wrongs: Vec<String>,
    /// Messages that Meta took more than once.
    pub(crate) doubled: usize,
}

/// Writes down what is wrong.
#[derive(Default)]
pub(crate) struct Wrongs(Vec<String>);

impl Wrongs {
    pub(crate) fn add(&mut self, what: String) {
        self.0.push(what);
    }

    pub(crate) fn unless(&mut self, right: bool, what: impl FnOnce() -> String) {
        if !right {
            self.add(what());
        }
    }

    pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: &T, expected: &T) {
        self.unless(found == expected, || format!("{what}: {found:?}, expected {expected:?}"));
    }
}

/// `window` is how long after their last message a person may be written to.
pub(crate) fn judge(meta: &Meta, operator: &Operator, ledger: &Ledger, window: Millis) -> Verdict {
    let mut wrongs = Wrongs::default();
    let said = meta.said();
    let (withheld, held) = (withheld(ledger), held(ledger));
    meta.look(|parcels, in_order| {
        versions(&mut wrongs, parcels, ledger);
        let mut notes = Vec::new();
        let mut silences = BTreeMap::new();
        let mut drawn = BTreeSet::new();
        for (person, texts) in by_person(parcels) {
            let heard = first_of_each(&said, &withheld, person, ledger);
            let is_one = texts.iter().all(|text| text.shown == Shown::Phone);
            let silence = Silence::of(person, ledger);
            if is_one {
                withheld.iter().filter(|withheld| withheld.is_for(person)).for_each(|withheld| {
                    let is_late = withheld.silent_for.is_some_and(|silent| silent >= window);
                    let right = if withheld.opted_out { !silence.unanswered.is_empty() } else { is_late };
                    wrongs.unless(right, || {
                        format!("{withheld:?} was withheld, and the window is {window} ms")
                    });
                });
            }
            let read = if is_one { Answers::of_one } else { Answers::of_two };
            let answers = read(&mut wrongs, person, &heard, &mut drawn);
            let is_answered =
                |text: &&str| !text.starts_with("poison") && !silence.unanswered.contains(*text);
            let written: Vec<&str> = texts.iter().map(|text| text.text).filter(is_answered).collect();
            answers.are_complete(&mut wrongs, written);
            are_in_order(&mut wrongs, &answers, &texts, in_order);
            are_the_state(&mut wrongs, &answers, is_one, ledger);
            notes.extend(answers.notes());
            silence::is_kept(&mut wrongs, &said, person, &silence, ledger);
            silences.insert(person, silence);
        }
        accepted_once(&mut wrongs, parcels, &silences, ledger);
        wrote_once(&mut wrongs, ledger, notes);
        deliveries(&mut wrongs, parcels, &said, (&withheld, &held), ledger);
    });
    wishes(&mut wrongs, operator, &said, (&withheld, &held));
    let doubled = doubled_are_named(&mut wrongs, &said, ledger);
    counters(&mut wrongs, ledger);
    queue(&mut wrongs, ledger);
    Verdict { wrongs: wrongs.0, doubled }
}

/// Something that a person wrote.
struct Text<'a> {
    text: &'a str,
    shown: Shown,
    parcel: &'a Parcel,
}

/// Each person's texts.
fn by_person(parcels: &[Parcel]) -> BTreeMap<usize, Vec<Text<'_>>> {
    let mut people: BTreeMap<usize, Vec<Text<'_>>> = BTreeMap::new();
    for parcel in parcels {
        if let About::Written { person, text, shown } = &parcel.about {
            people.entry(*person).or_default().push(Text { text, shown: *shown, parcel });
        }
    }
    people
}

/// Nothing that was acknowledged is lost, and nothing is there twice.
fn accepted_once(
    wrongs: &mut Wrongs,
    parcels: &[Parcel],
    silences: &BTreeMap<usize, Silence>,
    ledger: &Ledger,
) {
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
    let known = known_wamids(ledger);
    for parcel in parcels.iter().filter(|parcel| parcel.acknowledged.is_some()) {
        let (key, allowed): (String, &[&str]) = match &parcel.about {
            About::Written { person, text, .. }
                if text.starts_with("poison")
                    && !silences.get(person).is_some_and(|silence| silence.unanswered.contains(text)) =>
            {
                (format!("message {} ", parcel.id()), &["quarantined"])
            }
            About::Written { .. } => (format!("message {} ", parcel.id()), &["done"]),
            // What names neither our id nor one of Meta's that we know tells nothing.
            About::Told { wamid, status, named: false, .. } if !known.contains(wamid) => {
                (format!("status {wamid} {status}"), &["parked"])
            }
            About::Told { wamid, status, .. } => (format!("status {wamid} {status}"), &["done"]),
        };
        match kept.get(&key) {
            None => wrongs.add(format!("acknowledged and lost: {key} {:?}", parcel.about)),
            Some((state, times)) => {
                wrongs.equal(&format!("times that {key} is kept"), times, &1);
                wrongs.unless(allowed.contains(&state.as_str()), || {
                    format!("{key} {:?} is {state}, expected {allowed:?}", parcel.about)
                });
            }
        }
    }
}

/// Meta's ids of our messages, as far as we know them: of a message that was sent twice, the first one that we heard of.
fn known_wamids(ledger: &Ledger) -> BTreeSet<String> {
    let rows = ledger.rows("select wamid from message where direction = 'out' and wamid is not null");
    rows.iter().map(|row| get(row, 0)).collect()
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

/// A message that the gate did not let go, because the person had been silent for too long.
#[derive(Debug)]
struct Withheld {
    callback: String,
    position: i64,
    text: String,
    /// The person's phone number and user id, as far as they are known.
    whose: [Option<String>; 2],
    /// For how long they had been, in milliseconds, but for what they wrote at the very moment, which may have come after;
    /// `None` if they never wrote.
    silent_for: Option<Millis>,
    /// It was withheld because they want no messages.
    opted_out: bool,
}

impl Withheld {
    fn is_for(&self, person: usize) -> bool {
        self.whose.contains(&Some(phone(person))) || self.whose.contains(&Some(user(person)))
    }
}

fn withheld(ledger: &Ledger) -> Vec<Withheld> {
    let sql = "select m.id, m.position, m.body, c.wa_id, c.user_id, a.at, (select max(i.created_at) from message i \
               where i.conversation_id = m.conversation_id and i.direction = 'in' and i.created_at < a.at), \
               a.code \
               from attempt a join message m on m.id = a.message_id join contact c on c.id = m.contact_id \
               where a.outcome = 'withheld' order by m.position";
    let withheld = |row: &QueryResult| Withheld {
        callback: callback(get(row, 0)),
        position: get(row, 1),
        text: get(row, 2),
        whose: [get(row, 3), get(row, 4)],
        silent_for: get::<Option<i64>>(row, 6).map(|wrote_at| get::<i64>(row, 5) - wrote_at),
        opted_out: get::<Option<i64>>(row, 7) == Some(Refusal::OptedOut.code()),
    };
    ledger.rows(sql).iter().map(withheld).collect()
}

/// Messages that wait until their person writes: what each is known by to Meta, and its text.
fn held(ledger: &Ledger) -> BTreeMap<String, String> {
    let sql = "select m.id, m.body from queue q join message m on m.id = q.id where q.state = 'held'";
    ledger.rows(sql).iter().map(|row| (callback(get(row, 0)), get(row, 1))).collect()
}

/// What the flow told a person, each message where it came first; what Meta refused for good counts as told, and what was
/// withheld as told where it would have been.
fn first_of_each(said: &[Said], withheld: &[Withheld], person: usize, ledger: &Ledger) -> Vec<Told> {
    let (phone, user) = (phone(person), user(person));
    let mut seen = BTreeSet::new();
    let mut told: Vec<(i64, Told)> = Vec::new();
    let rows = ledger.rows("select id, position from message where direction = 'out'");
    let positions: BTreeMap<String, i64> =
        rows.iter().map(|row| (callback(get(row, 0)), get(row, 1))).collect();
    for said in said.iter().filter(|said| said.to == phone || said.to == user) {
        if !said.text.starts_with("asked ") && seen.insert(said.callback.as_str()) {
            let position = positions.get(&said.callback).copied().unwrap_or(i64::MAX);
            told.push((position, Told { text: said.text.clone(), withheld: false }));
        }
    }
    for one in withheld.iter().filter(|withheld| withheld.is_for(person)) {
        if !one.text.starts_with("asked ") && seen.insert(&one.callback) {
            let place = told.iter().position(|(position, _)| *position > one.position);
            let one = (one.position, Told { text: one.text.clone(), withheld: true });
            told.insert(place.unwrap_or(told.len()), one);
        }
    }
    told.into_iter().map(|(_, told)| told).collect()
}

/// What was acknowledged before something else was first posted is answered before it, and so is what stood before it in the
/// first body of both. Of two ids that were not known to be one person's, each has an order of its own.
fn are_in_order(wrongs: &mut Wrongs, answers: &Answers, texts: &[Text<'_>], in_order: &[usize]) {
    for earlier in texts {
        for later in texts {
            let (one, other) = (earlier.parcel, later.parcel);
            let before = one.acknowledged.zip(other.first_sent).is_some_and(|(ack, sent)| ack < sent);
            let within = one
                .first_body
                .zip(other.first_body)
                .is_some_and(|(one, other)| one.0 == other.0 && one.1 < other.1 && in_order.contains(&one.0));
            let apart = [earlier.shown, later.shown].contains(&Shown::Phone)
                && [earlier.shown, later.shown].contains(&Shown::User);
            if (before || within)
                && !apart
                && let Some((first, second)) = answers.place(earlier.text).zip(answers.place(later.text))
            {
                wrongs.unless(first < second, || {
                    format!("`{}` is answered before `{}`", later.text, earlier.text)
                });
            }
        }
    }
}

/// The stored state is that of a run in which nothing went wrong: what the answers say that it is.
fn are_the_state(wrongs: &mut Wrongs, answers: &Answers, is_one: bool, ledger: &Ledger) {
    let person = answers.person;
    let sql = format!(
        "select s.snapshot from session s join contact c on c.id = s.contact_id \
         where s.merged_into is null and (c.wa_id = '{}' or c.user_id = '{}')",
        phone(person),
        user(person)
    );
    let rows = ledger.rows(&sql);
    wrongs.unless(rows.len() == 1 || (!is_one && rows.len() == 2), || {
        format!("person {person} has {} conversations", rows.len())
    });
    let mut tips: Vec<(u64, String)> = Vec::new();
    for row in &rows {
        let snapshot: String = get(row, 0);
        let snapshot: serde_json::Value = serde_json::from_str(&snapshot).unwrap_or_default();
        let vars = &snapshot["vars"];
        // One that was only written to by a script, or whose every text was too much for the flow.
        let Some(count) = vars["count"].as_u64() else { continue };
        tips.push((count, vars["said"].as_str().unwrap_or_default().to_owned()));
    }
    let known: Vec<(u64, String)> =
        answers.dialogue().iter().map(|answer| (answer.number as u64, answer.said.clone())).collect();
    if is_one {
        wrongs.equal(&format!("state of person {person}"), &tips.last(), &known.last());
    }
    let right = tips.iter().all(|tip| known.contains(tip));
    wrongs.unless(right, || format!("person {person} stands at {tips:?}, which nobody told them: {known:?}"));
}

/// What the flow wrote is there once.
fn wrote_once(wrongs: &mut Wrongs, ledger: &Ledger, mut notes: Vec<String>) {
    let rows = ledger.rows("select description from defects order by description");
    let written: Vec<String> = rows.iter().map(|row| get(row, 0)).collect();
    notes.sort_unstable();
    wrongs.equal("what the flow wrote", &written, &notes);
}

/// What a script was told would be sent is sent, once.
fn wishes(
    wrongs: &mut Wrongs,
    operator: &Operator,
    said: &[Said],
    (withheld, held): (&[Withheld], &BTreeMap<String, String>),
) {
    for wish in operator.wishes() {
        let said = said.iter().map(|said| (&said.text, &said.callback));
        let all = said.chain(withheld.iter().map(|withheld| (&withheld.text, &withheld.callback)));
        let all = all.chain(held.iter().map(|(callback, text)| (text, callback)));
        let callbacks: BTreeSet<&String> =
            all.filter(|(text, _)| **text == wish.text).map(|(_, callback)| callback).collect();
        let expected = usize::from(wish.answer == Some(202));
        wrongs.equal(&format!("messages about {wish:?}"), &callbacks.len(), &expected);
    }
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
fn deliveries(
    wrongs: &mut Wrongs,
    parcels: &[Parcel],
    said: &[Said],
    (withheld, held): (&[Withheld], &BTreeMap<String, String>),
    ledger: &Ledger,
) {
    let mut told: BTreeMap<&str, Status> =
        withheld.iter().map(|withheld| (withheld.callback.as_str(), Status::GivenUp)).collect();
    told.extend(held.keys().map(|callback| (callback.as_str(), Status::Queued)));
    for said in said {
        let status = if said.fortune == Fortune::Refused { Status::GivenUp } else { Status::Accepted };
        let furthest = told.entry(&said.callback).or_insert(status);
        *furthest = furthest.merge(status);
    }
    let known = known_wamids(ledger);
    for parcel in parcels.iter().filter(|parcel| parcel.acknowledged.is_some()) {
        if let About::Told { callback, status, named, wamid } = &parcel.about
            && (*named || known.contains(wamid))
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
    wrongs.equal("messages of ours", &stored.len(), &told.len());
    for (callback, status) in told {
        let kept = stored.get(callback).copied();
        // Taken once without our hearing of it, and refused or withheld when it was sent again: nobody told us better.
        let refused = said.iter().any(|said| said.callback == *callback && said.fortune == Fortune::Refused)
            || withheld.iter().any(|withheld| withheld.callback == *callback);
        let unheard = match status {
            Status::Accepted if refused => kept == Some(rank(Status::GivenUp)),
            // Held when it was to be sent again.
            Status::Queued | Status::Accepted if held.contains_key(callback) => {
                kept == Some(rank(Status::Ambiguous))
            }
            _ => false,
        };
        wrongs.unless(unheard || kept == Some(rank(status)), || {
            format!("status of {callback}: {kept:?}, expected {}", rank(status))
        });
    }
}

/// What Meta was told to repeat about the message `id`.
pub(crate) fn callback(id: i64) -> String {
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

/// A conversation's version grows by one with each event that is done, when it becomes part of another one, and when an id
/// of its person changes.
fn versions(wrongs: &mut Wrongs, parcels: &[Parcel], ledger: &Ledger) {
    let changing: BTreeSet<String> = by_person(parcels)
        .into_iter()
        .filter(|(_, texts)| texts.iter().any(|text| text.shown != Shown::Phone))
        .flat_map(|(person, _)| [phone(person), user(person)])
        .collect();
    let sql = "select s.id, s.version, (select count(*) from webhook w where w.conversation_id = s.id \
               and w.state = 'done' and w.reason is null), s.merged_into is not null, \
               coalesce(c.wa_id, c.user_id, '') from session s join contact c on c.id = s.contact_id";
    for row in ledger.rows(sql) {
        let (id, version, done, merged): (i64, i64, i64, bool) =
            (get(&row, 0), get(&row, 1), get(&row, 2), get(&row, 3));
        let whose: String = get(&row, 4);
        let expected = done + i64::from(merged);
        let right = version == expected || (version > expected && changing.contains(&whose));
        wrongs.unless(right, || format!("version of conversation {id}: {version}, expected {expected}"));
    }
}

/// The counts that are kept are those that counting gives.
fn counters(wrongs: &mut Wrongs, ledger: &Ledger) {
    let counts = |sql: &str| -> BTreeMap<String, i64> {
        ledger.rows(sql).iter().map(|row| (get(row, 0), get(row, 1))).collect()
    };
    // How many people there were is counted once in each span, and does not add up.
    let adds_up = "name <> 'batches' and name not like 'active%' and name not like 'person%'";
    let all = format!("select name, value from counter where hour = 0 and value <> 0 and {adds_up}");
    let mut kept = counts(&all);
    let by_hour = counts(&format!(
        "select name, cast(sum(value) as bigint) from counter where hour > 0 and {adds_up} \
         group by name having sum(value) <> 0"
    ));
    wrongs.equal("counts by hour", &by_hour, &kept);
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
    wrongs.equal("counts", &kept, &counted);
}

/// Nothing is in the queue but what has failed, and nobody told better since, and what waits until its person writes; and all
/// that has failed is.
fn queue(wrongs: &mut Wrongs, ledger: &Ledger) {
    let [given_up, failed] = [Status::GivenUp, Status::Failed].map(rank);
    let sql = format!(
        "select m.id, m.status from message m left join queue q on q.id = m.id \
         where q.id is null and m.status in ({given_up}, {failed})"
    );
    for row in ledger.rows(&sql) {
        let (id, status): (i64, i16) = (get(&row, 0), get(&row, 1));
        wrongs.add(format!("message {id} has failed ({status}), and is no dead letter"));
    }
    let sql = "select q.id, q.state, m.status from queue q left join message m on m.id = q.id";
    for row in ledger.rows(sql) {
        let (id, state, status): (i64, String, Option<i16>) = (get(&row, 0), get(&row, 1), get(&row, 2));
        let has_failed = [Status::GivenUp, Status::Failed].map(rank).map(Some).contains(&status);
        let waits = [Status::Queued, Status::Ambiguous].map(rank).map(Some).contains(&status);
        wrongs.unless((state == "dead" && has_failed) || (state == "held" && waits), || {
            format!("message {id} is {state} in the queue, with the status {status:?}")
        });
    }
}
