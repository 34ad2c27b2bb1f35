//! The store by itself: what is accepted, committed, settled and found again, on both databases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use switchboard::clock::{Clock, Ids, MINUTE};
use switchboard::domain::dedupe::DedupeKey;
use switchboard::domain::delivery::{Failure, Status};
use switchboard::domain::ids::MessageId;
use switchboard::domain::outbound::Message;
use switchboard::store::read::{MessageFilter, Page, StoredMessage};
use switchboard::store::{
    self, Accepted, Attempted, Claim, Dispatch, Error, Hint, Incoming, Outbound, Outgoing, QueueState,
    Session, Settle, SettleOutcome, SqlWrite, Store, TimerChange, Turn, TurnReply,
};
use switchboard::telemetry::Metrics;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::support::database::{Database, on_both};
use crate::support::store::{incoming, settings};
use crate::support::{self, wire};

const NOW: i64 = 1_795_337_387_000;
const ANN: &str = "4915112345001";
const BEN: &str = "4915112345002";
const ALL: Page = Page::newest(1_000);

/// A store whose clock stands at [`NOW`].
async fn open(database: &Database) -> (Store, UnboundedReceiver<Hint>) {
    support::store::open(database, NOW).await
}

/// The next thing that the writer tells, beside how much came in.
async fn next(hints: &mut UnboundedReceiver<Hint>) -> Option<Hint> {
    loop {
        match hints.recv().await {
            Some(Hint::Heard(_)) => {}
            other => return other,
        }
    }
}

fn text(phone: &str, wamid: &str) -> Vec<Incoming> {
    incoming(&wire::body(wire::NUMBER, &[wire::text(phone, wamid, "hi")]))
}

/// A status as Meta tells it, at this second; with our id of the message where `callback` gives it.
fn status(wamid: &str, status: &str, second: i64, callback: Option<MessageId>) -> Vec<Incoming> {
    let mut status =
        json!({"id": wamid, "status": status, "timestamp": second.to_string(), "recipient_id": ANN});
    if let Some(id) = callback {
        status["biz_opaque_callback_data"] = json!(id.to_string());
    }
    incoming(&wire::ours(json!({"statuses": [status]})))
}

async fn accept(store: &Store, incoming: Vec<Incoming>) -> Vec<Accepted> {
    let room = store.reserve(incoming.len()).unwrap();
    store.accept(incoming, room).await.unwrap()
}

/// What someone wrote, accepted, and the conversation it began or went on.
async fn write(store: &Store, phone: &str, wamid: &str) -> (Accepted, Session) {
    let accepted = accept(store, text(phone, wamid)).await.remove(0);
    let session = store.activate(accepted.conversation.unwrap()).await.unwrap().unwrap().session;
    (accepted, session)
}

/// A turn for `event` that says `texts` and does nothing else.
fn turn(store: &Store, event: Accepted, session: &Session, texts: &[&str]) -> Turn {
    let say = |text: &&str| {
        Outgoing::new(MessageId(store.ids().next()), Arc::new(Message::text(*text).unwrap()), None)
    };
    Turn {
        event: event.id,
        accepted_at: NOW,
        session: Session {
            version: session.version + 1,
            state: Some("here".to_owned()),
            last_inbound_at: Some(NOW),
            ..session.clone()
        },
        identity_changed: false,
        messages: texts.iter().map(say).collect(),
        timer: TimerChange::Keep,
        writes: Vec::new(),
        chosen: Vec::new(),
        consent: None,
        changes: Vec::new(),
    }
}

/// Someone wrote and one message waits for them: its id, as it leaves.
async fn queued(store: &Store, phone: &str, wamid: &str) -> Outbound {
    let (event, session) = write(store, phone, wamid).await;
    let turn = turn(store, event, &session, &["hello"]);
    let id = turn.messages[0].id;
    assert_eq!(store.commit_turn(turn).await.unwrap(), TurnReply::Committed);
    store.outbound().await.unwrap().into_iter().find(|outbound| outbound.id == id).unwrap()
}

fn defect(number: &str) -> SqlWrite {
    let sql = "insert into defects (id, number, customer_phone, order_number, description, status, reported_at) \
               values ((select coalesce(max(id), 0) + 1 from defects), :number, 'me', 'x', 'y', 'received', :now)";
    let params = BTreeMap::from([("number".to_owned(), json!(number)), ("now".to_owned(), json!(NOW))]);
    SqlWrite { connector: "save".to_owned(), sql: sql.to_owned(), params }
}

async fn defects(store: &Store) -> Vec<Value> {
    let sql = "select number from defects order by number";
    let rows = store.query(sql, &BTreeMap::new(), 100, Duration::from_secs(5)).await.unwrap();
    rows.into_iter().map(|row| row["number"].clone()).collect()
}

fn settle(outbound: &Outbound, outcome: SettleOutcome) -> Settle {
    Settle { id: outbound.id, outcome }
}

fn attempted(outcome: &'static str, code: i64) -> Attempted {
    Attempted { outcome, failure: Failure { code, title: "why".to_owned(), ..Failure::default() } }
}

async fn message(store: &Store, id: MessageId) -> StoredMessage {
    store.find_message(id).await.unwrap().unwrap()
}

async fn event_state(store: &Store, dedupe_key: DedupeKey) -> String {
    store.find_event(dedupe_key).await.unwrap().unwrap().state
}

on_both!(the_same_event_is_accepted_once, async |database: Database| {
    let (store, mut hints) = open(&database).await;
    let [first, second] = [text(ANN, "wamid.1").remove(0), text(ANN, "wamid.2").remove(0)];
    let accepted = accept(&store, vec![first.clone(), second.clone(), first.clone()]).await;
    assert_eq!(accepted.iter().map(|accepted| accepted.duplicate).collect::<Vec<_>>(), [false, false, true]);
    let Some(Hint::Accepted(dispatches)) = next(&mut hints).await else { panic!("no dispatch") };
    assert!(
        dispatches.iter().map(|dispatch| dispatch.event.id).eq(accepted[..2].iter().map(|event| event.id))
    );
    assert!(accepted[0].id < accepted[1].id && accepted[0].conversation == accepted[1].conversation);

    let again = accept(&store, vec![second, first]).await;
    assert!(again.iter().all(|accepted| accepted.duplicate));
    assert!(hints.try_recv().is_err(), "a duplicate wakes nobody");
    assert_eq!(store.unfinished(), 2);
    assert_eq!(store.list_messages(MessageFilter::default(), ALL).await.unwrap().rows.len(), 2);
    assert_eq!(store.statistics(None).await.unwrap().received, 2);
});

on_both!(a_turn_is_committed_with_all_that_it_leads_to, async |database: Database| {
    let (store, mut hints) = open(&database).await;
    let (event, session) = write(&store, ANN, "wamid.1").await;
    let mut turn = turn(&store, event, &session, &["one", "two"]);
    turn.timer = TimerChange::Set(NOW + MINUTE);
    turn.session.timer_generation = 1;
    turn.writes.push(defect("DEF-1"));
    turn.chosen.push(("main".to_owned(), "Orders".to_owned()));
    assert_eq!(store.commit_turn(turn).await.unwrap(), TurnReply::Committed);

    let after = store.activate(session.conversation).await.unwrap().unwrap();
    assert_eq!((after.session.version, after.session.state.as_deref()), (1, Some("here")));
    assert!(after.unfinished.is_empty() && store.unfinished() == 0);
    assert_eq!(event_state(&store, DedupeKey::of(&format!("m:{}:wamid.1", wire::NUMBER))).await, "done");
    let outbound = store.outbound().await.unwrap();
    assert_eq!(outbound.iter().map(|row| row.message.body()).collect::<Vec<_>>(), ["one", "two"]);
    // The head of an empty lane may leave at once, the next waits for it.
    assert_eq!((outbound[0].state, outbound[1].state), (QueueState::Claimed, QueueState::Ready));
    assert!(store.due_timers(NOW + MINUTE - 1, 10).await.unwrap().is_empty());
    let due = store.due_timers(NOW + MINUTE, 10).await.unwrap();
    assert_eq!((due[0].conversation, due[0].generation), (session.conversation, 1));
    assert_eq!(defects(&store).await, ["DEF-1"]);
    let counts = store.statistics(None).await.unwrap();
    assert_eq!((counts.sent, counts.sent_by_status), (2, BTreeMap::from([("queued".to_owned(), 2)])));
    assert_eq!(counts.chosen, [("main".to_owned(), "Orders".to_owned(), 1)]);
    let _accepted = next(&mut hints).await;
    assert!(matches!(next(&mut hints).await, Some(Hint::Queued(queued)) if queued.len() == 2));
});

on_both!(a_turn_that_may_not_be_committed_changes_nothing, async |database: Database| {
    let (store, _hints) = open(&database).await;
    let (first, session) = write(&store, ANN, "wamid.1").await;
    let (second, _) = write(&store, ANN, "wamid.2").await;
    let mut done = turn(&store, first, &session, &["one"]);
    done.writes.push(defect("DEF-1"));
    assert_eq!(store.commit_turn(done.clone()).await.unwrap(), TurnReply::Committed);
    let untouched = async |why: &str| {
        let now = store.activate(session.conversation).await.unwrap().unwrap();
        assert_eq!((now.session.version, now.unfinished.len(), store.unfinished()), (1, 1, 1), "{why}");
        assert_eq!(store.outbound().await.unwrap().len(), 1, "{why}");
        assert_eq!(store.statistics(None).await.unwrap().sent, 1, "{why}");
        assert_eq!(defects(&store).await, ["DEF-1"], "{why}");
    };

    let mut again = turn(&store, first, &done.session, &["one"]);
    again.writes.push(defect("DEF-2"));
    assert_eq!(store.commit_turn(again).await.unwrap(), TurnReply::AlreadyDone);
    untouched("the event is done").await;

    let mut stale = turn(&store, second, &session, &["two"]);
    stale.writes.push(defect("DEF-2"));
    assert_eq!(store.commit_turn(stale).await.unwrap(), TurnReply::Conflict);
    untouched("the session is another one").await;

    let mut refused = turn(&store, second, &done.session, &["two"]);
    refused.timer = TimerChange::Set(NOW);
    refused.writes.extend([defect("DEF-2"), defect("DEF-1")]);
    let reply = store.commit_turn(refused.clone()).await.unwrap();
    let TurnReply::WriteFailed { connector, error } = reply else { panic!("{reply:?}") };
    assert!(connector == "save" && error.to_lowercase().contains("unique"), "{error}");
    assert!(store.due_timers(NOW, 10).await.unwrap().is_empty());
    untouched("a write was refused").await;

    refused.writes.pop();
    assert_eq!(store.commit_turn(refused).await.unwrap(), TurnReply::Committed);
    assert_eq!(defects(&store).await, ["DEF-1", "DEF-2"]);
});

on_both!(a_refused_turn_does_not_take_its_neighbours_down, async |database: Database| {
    let (store, _hints) = open(&database).await;
    let mut turns = Vec::new();
    for i in 0..20 {
        let (event, session) = write(&store, &format!("491511234{i:04}"), &format!("wamid.{i}")).await;
        let mut turn = turn(&store, event, &session, &["hello"]);
        // Every fourth wants the same number.
        turn.writes.push(defect(&if i % 4 == 0 { "DEF-0".to_owned() } else { format!("DEF-{i}") }));
        turns.push(turn);
    }
    let replies = join_all(turns.into_iter().map(|turn| store.commit_turn(turn))).await;
    let committed = replies.iter().filter(|reply| matches!(reply, Ok(TurnReply::Committed))).count();
    let refused = replies.iter().filter(|reply| matches!(reply, Ok(TurnReply::WriteFailed { .. }))).count();
    assert_eq!((committed, refused, store.unfinished()), (16, 4, 4));
    assert_eq!((defects(&store).await.len(), store.outbound().await.unwrap().len()), (16, 16));
});

on_both!(an_attempt_to_send_ends_as_what_became_of_it, async |database: Database| {
    let (store, _hints) = open(&database).await;
    let taken = queued(&store, ANN, "wamid.1").await;
    store.settle(settle(&taken, SettleOutcome::Accepted { wamid: "wamid.out".to_owned() })).await.unwrap();
    let stored = message(&store, taken.id).await;
    assert_eq!((stored.status, stored.wamid.as_deref()), (Status::Accepted, Some("wamid.out")));
    assert_eq!((stored.accepted_at, store.outbound().await.unwrap().len()), (Some(NOW), 0));

    let late = queued(&store, ANN, "wamid.2").await;
    let retry =
        SettleOutcome::Retry { due_at: NOW + MINUTE, attempt: attempted("refused", 131_000), counted: true };
    store.settle(settle(&late, retry)).await.unwrap();
    let again = store.outbound().await.unwrap().remove(0);
    assert_eq!((again.state, again.due_at, again.attempts), (QueueState::Ready, NOW + MINUTE, 1));
    assert_eq!(message(&store, late.id).await.status, Status::Queued);
    assert_eq!(store.claim(late.id).await.unwrap(), Claim::Admitted);
    assert_eq!(store.outbound().await.unwrap()[0].attempts, 2);

    store
        .settle(settle(&late, SettleOutcome::Failed { attempt: attempted("refused", 131_026) }))
        .await
        .unwrap();
    let failed = message(&store, late.id).await;
    assert_eq!((failed.status, failed.error.unwrap().code), (Status::GivenUp, 131_026));
    assert!(store.outbound().await.unwrap().is_empty() && store.claim(late.id).await.unwrap() == Claim::Gone);
    assert_eq!(store.backlog().await.unwrap().by_state, BTreeMap::from([("dead".to_owned(), 1)]));
});

on_both!(what_was_claimed_when_the_program_ended_is_ambiguous_and_says_so, async |database: Database| {
    let (store, _hints) = open(&database).await;
    let lost = queued(&store, ANN, "wamid.1").await;
    assert_eq!(lost.state, QueueState::Claimed);
    store.adopt_orphans(NOW + MINUTE).await.unwrap();
    let found = store.outbound().await.unwrap().remove(0);
    assert_eq!((found.state, found.due_at), (QueueState::Ambiguous, NOW + MINUTE));
    assert_eq!(message(&store, lost.id).await.status, Status::Ambiguous);
    let attempts = store.attempts(lost.id).await.unwrap();
    assert_eq!((attempts.len(), attempts[0].outcome.as_str()), (1, "ambiguous"));
    assert!(attempts[0].reason.contains("the program ended"), "{attempts:?}");
});

on_both!(a_status_that_carries_our_id_settles_what_nobody_knew, async |database: Database| {
    let (store, mut hints) = open(&database).await;
    let lost = queued(&store, ANN, "wamid.1").await;
    let unknown = SettleOutcome::Ambiguous { until: NOW + MINUTE, attempt: attempted("ambiguous", 0) };
    store.settle(settle(&lost, unknown)).await.unwrap();
    assert_eq!(message(&store, lost.id).await.status, Status::Ambiguous);
    assert_eq!(store.outbound().await.unwrap()[0].state, QueueState::Ambiguous);
    while hints.try_recv().is_ok() {}

    accept(&store, status("wamid.out", "sent", 1_795_337_400, Some(lost.id))).await;
    assert!(matches!(hints.try_recv(), Ok(Hint::Settled(gone)) if gone == [(lost.conversation, lost.id)]));
    let stored = message(&store, lost.id).await;
    assert_eq!((stored.status, stored.wamid.as_deref()), (Status::Sent, Some("wamid.out")));
    assert_eq!(stored.sent_at, Some(1_795_337_400_000));
    assert!(store.outbound().await.unwrap().is_empty() && store.claim(lost.id).await.unwrap() == Claim::Gone);

    // Our own answer comes late and says less.
    store.settle(settle(&lost, SettleOutcome::Accepted { wamid: "wamid.out".to_owned() })).await.unwrap();
    assert_eq!(message(&store, lost.id).await.status, Status::Sent);
    assert_eq!(
        store.statistics(None).await.unwrap().sent_by_status,
        BTreeMap::from([("sent".to_owned(), 1)])
    );
});

on_both!(a_failed_message_that_meta_delivers_after_all_is_no_dead_letter, async |database: Database| {
    let (store, _hints) = open(&database).await;
    let state = async |told: &str| {
        let by_state = store.backlog().await.unwrap().by_state;
        assert_eq!(by_state.get("dead").copied().unwrap_or(0), i64::from(told == "failed"), "{told}");
    };
    // Sent twice, because nobody knew of the first time: one of the two failed, the other arrived.
    let twice = queued(&store, ANN, "wamid.1").await;
    let unknown = SettleOutcome::Ambiguous { until: NOW + MINUTE, attempt: attempted("ambiguous", 0) };
    store.settle(settle(&twice, unknown)).await.unwrap();
    for (wamid, told, second) in [("out.1", "failed", 1), ("out.2", "sent", 2), ("out.2", "delivered", 3)] {
        accept(&store, status(wamid, told, 1_795_337_400 + second, Some(twice.id))).await;
        state(if told == "delivered" { told } else { "failed" }).await;
    }
    assert_eq!(message(&store, twice.id).await.status, Status::Delivered);

    // Given up, because the answer was missing once too often: Meta had it.
    let given_up = queued(&store, BEN, "wamid.2").await;
    let failed = SettleOutcome::Failed { attempt: attempted("given_up", 0) };
    store.settle(settle(&given_up, failed)).await.unwrap();
    state("failed").await;
    accept(&store, status("out.3", "sent", 1_795_337_404, Some(given_up.id))).await;
    state("sent").await;
    assert_eq!(message(&store, given_up.id).await.status, Status::Sent);
    assert_eq!((store.queued(), store.outbound().await.unwrap().len()), (0, 0));
});

on_both!(statuses_may_come_in_any_order_and_again, async |database: Database| {
    let (store, _hints) = open(&database).await;
    let told = [("sent", 1), ("delivered", 2), ("read", 3)];
    for (i, order) in
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].into_iter().enumerate()
    {
        let outbound = queued(&store, ANN, &format!("wamid.{i}")).await;
        let wamid = format!("wamid.out.{i}");
        // Before, between and after what Meta answered us.
        for (step, place) in order.into_iter().chain(order).enumerate() {
            if step == i % 4 {
                let accepted = SettleOutcome::Accepted { wamid: wamid.clone() };
                store.settle(settle(&outbound, accepted)).await.unwrap();
            }
            let (name, second) = told[place];
            accept(&store, status(&wamid, name, 1_795_337_400 + second, Some(outbound.id))).await;
        }
        let stored = message(&store, outbound.id).await;
        assert_eq!((stored.status, stored.wamid), (Status::Read, Some(wamid)), "{order:?}");
        let times = [stored.sent_at, stored.delivered_at, stored.read_at].map(Option::unwrap);
        assert_eq!(times, [1, 2, 3].map(|second| (1_795_337_400 + second) * 1_000), "{order:?}");
    }
    assert_eq!(
        store.statistics(None).await.unwrap().sent_by_status,
        BTreeMap::from([("read".to_owned(), 6)])
    );
    assert!(store.outbound().await.unwrap().is_empty());
});

on_both!(a_status_of_an_unknown_message_waits_until_it_is_known, async |database: Database| {
    let (store, _hints) = open(&database).await;
    let outbound = queued(&store, ANN, "wamid.1").await;
    for wamid in ["wamid.out", "wamid.nobodys"] {
        accept(&store, status(wamid, "delivered", 1_795_337_400, None)).await;
    }
    let strangers = MessageId(4_711);
    accept(&store, status("wamid.strangers", "delivered", 1_795_337_400, Some(strangers))).await;
    let name = |wamid: &str| format!("s:{}:{wamid}:delivered", wire::NUMBER);
    let key = |wamid: &str| DedupeKey::of(&name(wamid));
    for wamid in ["wamid.out", "wamid.nobodys"] {
        assert_eq!(event_state(&store, key(wamid)).await, "parked", "{wamid}");
    }
    // A message of ours has its row before it leaves: this one is no more, and nothing is kept of what is told of it.
    assert!(
        store.find_event(DedupeKey::told_of(strangers, &name("wamid.strangers"))).await.unwrap().is_none()
    );
    store.settle(settle(&outbound, SettleOutcome::Accepted { wamid: "wamid.out".to_owned() })).await.unwrap();
    let stored = message(&store, outbound.id).await;
    assert_eq!((stored.status, stored.delivered_at), (Status::Delivered, Some(1_795_337_400_000)));
    assert_eq!(event_state(&store, key("wamid.out")).await, "done");
    assert_eq!(event_state(&store, key("wamid.nobodys")).await, "parked");
});

on_both!(numbers_are_given_once_even_across_a_restart, async |database: Database| {
    let (store, hints) = open(&database).await;
    let given = join_all((0..20).map(|_| store.next_number("DEF"))).await;
    let mut given: Vec<i64> = given.into_iter().map(Result::unwrap).collect();
    given.sort_unstable();
    assert_eq!(given, (1..=20).collect::<Vec<_>>());
    assert_eq!(store.next_number("other").await.unwrap(), 1);
    drop((store, hints));
    let (store, _hints) = open(&database).await;
    assert_eq!(store.next_number("DEF").await.unwrap(), 21);
});

on_both!(what_was_open_is_found_again_in_order, async |database: Database| {
    let (store, hints) = open(&database).await;
    let (first, session) = write(&store, ANN, "wamid.1").await;
    for wamid in ["wamid.2", "wamid.3"] {
        write(&store, ANN, wamid).await;
        write(&store, BEN, &format!("{wamid}.b")).await;
    }
    store.commit_turn(turn(&store, first, &session, &["one", "two"])).await.unwrap();
    drop((store, hints));

    let (store, _hints) = open(&database).await;
    assert_eq!(store.unfinished(), 4);
    let found = store.unfinished_before(i64::MAX).await.unwrap();
    let place = |dispatch: &Dispatch| (dispatch.event.conversation, dispatch.event.id);
    assert!(
        found.windows(2).all(|pair| place(&pair[0]) < place(&pair[1])),
        "in order within each conversation"
    );
    assert!(found.iter().all(|dispatch| dispatch.event.recovered && dispatch.fresh.is_none()));
    let again = store.activate(session.conversation).await.unwrap().unwrap();
    assert_eq!((again.session.version, again.unfinished.len()), (1, 2));
    assert_eq!(again.session.identity.name.as_deref(), Some("Person 4915112345001"));
    assert_eq!(
        store.outbound().await.unwrap().iter().map(|row| row.message.body()).collect::<Vec<_>>(),
        ["one", "two"]
    );
    // A clock that stands still gives no id twice.
    assert!(found.iter().all(|dispatch| store.ids().next() > dispatch.event.id.0));
    assert!(accept(&store, text(ANN, "wamid.1")).await[0].duplicate);
});

on_both!(migrations_are_applied_once_and_can_be_left_to_a_person, async |database: Database| {
    let (clock, _) = Clock::manual(NOW);
    let refused =
        Store::open(&settings(&database, false), clock.clone(), Ids::new(clock.clone()), Metrics::new())
            .await;
    let Err(Error::Setup(told)) = refused.map(drop) else { panic!("it started on an empty database") };
    assert!(told.contains("SWITCHBOARD_MIGRATE") && told.contains("switchboard migrate"), "{told}");
    assert!(store::migrate(&database.url).await.unwrap() > 0);
    assert_eq!(store::migrate(&database.url).await.unwrap(), 0);
    let (store, _hints) =
        Store::open(&settings(&database, false), clock.clone(), Ids::new(clock), Metrics::new())
            .await
            .unwrap();
    assert!(!accept(&store, text(ANN, "wamid.1")).await[0].duplicate);
});
