//! The outcome of a run: every message answered once, to whom it came from, in the order in which it was said, and with
//! the memory of what was said before.

use std::collections::HashMap;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::generator::{histogram, record};
use crate::moment::Micros;
use crate::wire::{self, Known};

/// A message that arrived at Meta.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) arrived_at: Micros,
    pub(crate) known: Known,
    /// The number of the message that it answers.
    pub(crate) message: usize,
    /// What it remembers of the conversation: the number of the message before; none for a first one.
    before: Option<usize>,
}

impl Reply {
    /// Reads a line of the local Meta's log.
    pub(crate) fn read(line: &str) -> anyhow::Result<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [arrived_at, phone, callback, wamid, text] = fields[..] else {
            anyhow::bail!("a line of the log has {} fields", fields.len())
        };
        let (said, before) = text.split_once(", before that ").unwrap_or((text, "nothing"));
        let number = |text: &str| text.strip_prefix("message ").and_then(|digits| digits.parse().ok());
        Ok(Self {
            arrived_at: arrived_at.parse()?,
            known: Known { wamid: wamid.to_owned(), callback: callback.to_owned(), phone: phone.to_owned() },
            message: number(said).with_context(|| format!("an unexpected reply: {text}"))?,
            before: number(before),
        })
    }
}

/// What is promised of the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// One for each message.
    Once,
    /// And in order, with memory.
    InOrder,
}

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    /// Messages without an answer.
    pub(crate) lost: u64,
    /// Answers beyond the first, and answers to what nobody said.
    pub(crate) doubled: u64,
    /// Answers that came before the answer to an earlier message of the same person.
    pub(crate) disordered: u64,
    /// Answers that did not know what was said before.
    pub(crate) forgotten: u64,
}

impl Outcome {
    pub(crate) fn is_right(&self) -> bool {
        *self == Self::default()
    }
}

/// Who said what: message number `i` is of the person `said[i]`. A person's numbers grow.
pub(crate) fn judge(said: &[usize], replies: &[Reply], promise: Promise) -> Outcome {
    let mut outcome = Outcome::default();
    let mut answered = vec![false; said.len()];
    let mut newest: HashMap<&str, usize> = HashMap::new();
    let mut before: HashMap<usize, usize> = HashMap::new();
    let mut earlier = vec![None; said.len()];
    for (message, person) in said.iter().enumerate() {
        earlier[message] = before.insert(*person, message);
    }
    for reply in replies {
        let asked = said.get(reply.message).is_some_and(|person| wire::phone(*person) == reply.known.phone);
        if !asked || std::mem::replace(&mut answered[reply.message], true) {
            outcome.doubled += 1;
            continue;
        }
        if promise == Promise::InOrder {
            let newest = newest.entry(&reply.known.phone).or_insert(reply.message);
            outcome.disordered += u64::from(*newest > reply.message);
            *newest = (*newest).max(reply.message);
            outcome.forgotten += u64::from(reply.before != earlier[reply.message]);
        }
    }
    outcome.lost = answered.iter().filter(|answered| !**answered).count() as u64;
    outcome
}

/// From the intended moments of the messages to the arrival of their answers, in microseconds.
pub(crate) fn latencies<'a>(
    replies: impl IntoIterator<Item = &'a Reply>,
    intended: impl Fn(usize) -> Option<Micros>,
) -> Histogram<u64> {
    let mut latencies = histogram();
    for reply in replies {
        if let Some(intended) = intended(reply.message) {
            record(&mut latencies, reply.arrived_at.saturating_sub(intended));
        }
    }
    latencies
}
