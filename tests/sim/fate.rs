//! What is decided by chance in a run, and what is written down of it. Everything that can go one way or the other asks
//! here, in an order that is the same in every run of the seed.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::dice::Dice;

/// How rough the world is in one run, in times of a hundred. Every seed has another one, so that some runs are about order,
/// some about crashes and some about a sick database.
#[derive(Debug, Clone)]
pub(crate) struct Temper {
    /// Something in the store or on the network takes its time.
    pub(crate) hold: usize,
    /// The database refuses a piece of work.
    pub(crate) fail: usize,
    /// A commit happens and its answer is lost.
    pub(crate) lose_commit: usize,
    /// The program dies at a moment of the store, or of a post.
    pub(crate) die: usize,
    /// A post to Meta is lost on its way, or its answer is.
    pub(crate) lose_post: usize,
    /// Meta refuses a post for now, or it never leaves.
    pub(crate) refuse: usize,
    /// Meta refuses a post for good.
    pub(crate) refuse_for_good: usize,
    /// A post panics.
    pub(crate) panic: usize,
    /// A status goes missing.
    pub(crate) lose_status: usize,
    /// A webhook is posted again though it was answered 200.
    pub(crate) repeat: usize,
    /// A person has two ids, and shows now one, now the other, now both.
    pub(crate) two_ids: usize,
    /// Whether a person's next message waits until the one before is acknowledged.
    pub(crate) in_turn: bool,
}

impl Temper {
    fn of(dice: &mut Dice) -> Self {
        let mut some = |levels: &[usize]| *dice.pick(levels);
        Self {
            hold: some(&[0, 10, 30, 60]),
            fail: some(&[0, 0, 2, 8]),
            lose_commit: some(&[0, 0, 2, 8]),
            die: some(&[0, 1, 2, 4]),
            lose_post: some(&[0, 5, 15]),
            refuse: some(&[0, 5, 15]),
            refuse_for_good: some(&[0, 0, 5]),
            panic: some(&[0, 0, 3]),
            lose_status: some(&[0, 20, 60, 100]),
            repeat: some(&[0, 10, 30]),
            two_ids: some(&[10, 30, 100]),
            in_turn: some(&[0, 1]) == 1,
        }
    }
}

/// A promise that is broken on purpose, to see that the judge notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Meta has its 200 before anything is committed.
    AnswersFirst,
    /// A message counts as accepted by Meta before it is posted.
    SettlesFirst,
    /// A turn on an outdated state is committed.
    Unfenced,
}

/// Something that waits until the driver lets it go.
struct Held {
    what: String,
    go: oneshot::Sender<()>,
}

struct Inner {
    dice: Dice,
    faults_left: usize,
    deaths_left: usize,
    dead: bool,
    calm: bool,
    held: Vec<Held>,
    trace: String,
    moment: u64,
}

/// See the module.
pub(crate) struct Fate {
    pub(crate) seed: u64,
    pub(crate) broken: Option<Broken>,
    pub(crate) temper: Temper,
    inner: Mutex<Inner>,
}

/// Failures of the database in one run, at the most: an event whose turn fails more often is put aside, as it should be.
const FAULTS_MAX: usize = 6;
/// Deaths of the program in one run, at the most.
const DEATHS_MAX: usize = 3;

impl Fate {
    pub(crate) fn new(seed: u64, broken: Option<Broken>) -> Self {
        let mut dice = Dice::new(seed);
        let temper = Temper::of(&mut dice);
        let inner = Inner {
            dice,
            faults_left: FAULTS_MAX,
            deaths_left: DEATHS_MAX,
            dead: false,
            calm: false,
            held: Vec::new(),
            trace: format!("seed {seed} {temper:?}\n"),
            moment: 0,
        };
        Self { seed, broken, temper, inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Throws the dice.
    pub(crate) fn throw<T>(&self, throw: impl FnOnce(&mut Dice) -> T) -> T {
        throw(&mut self.inner().dice)
    }

    /// Writes down what happens.
    pub(crate) fn note(&self, what: std::fmt::Arguments<'_>) {
        let mut inner = self.inner();
        inner.moment += 1;
        let moment = inner.moment;
        let _ = writeln!(inner.trace, "{moment:5} {what}");
    }

    /// How much has happened so far.
    pub(crate) fn moment(&self) -> u64 {
        self.inner().moment
    }

    pub(crate) fn trace(&self) -> String {
        self.inner().trace.clone()
    }

    /// Whether the program has died and was not started again yet.
    pub(crate) fn is_dead(&self) -> bool {
        self.inner().dead
    }

    /// The program dies where it stands: nothing that it does from here on has an effect.
    pub(crate) fn die(&self, where_: &str) {
        self.note(format_args!("--- dies: {where_}"));
        let mut inner = self.inner();
        inner.dead = true;
        inner.deaths_left = inner.deaths_left.saturating_sub(1);
    }

    /// The program dies here, perhaps: then this is never ready.
    pub(crate) async fn may_die(&self, where_: impl FnOnce() -> String) {
        if self.is_mortal() && self.throw(|dice| dice.chance(self.temper.die)) {
            self.die(&where_());
            std::future::pending::<()>().await;
        }
    }

    /// The program is started again.
    pub(crate) fn revive(&self) {
        self.note(format_args!("--- starts"));
        let mut inner = self.inner();
        inner.dead = false;
        inner.held.clear();
    }

    /// Whether it may still die in this run.
    pub(crate) fn is_mortal(&self) -> bool {
        let inner = self.inner();
        !inner.calm && inner.deaths_left > 0
    }

    /// From here on, nothing goes wrong.
    pub(crate) fn calm_down(&self) {
        self.note(format_args!("--- calm"));
        let held = {
            let mut inner = self.inner();
            inner.calm = true;
            std::mem::take(&mut inner.held)
        };
        for held in held {
            let _ = held.go.send(());
        }
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.inner().calm
    }

    /// True `per_cent` times of a hundred, while faults are left and the world is not calm.
    pub(crate) fn fault(&self, per_cent: usize) -> bool {
        let mut inner = self.inner();
        if inner.calm || inner.faults_left == 0 || !inner.dice.chance(per_cent) {
            return false;
        }
        inner.faults_left -= 1;
        true
    }

    /// Waits here, perhaps, until the driver lets it go; for ever, if the program dies meanwhile.
    pub(crate) async fn linger(&self, what: impl FnOnce() -> String) {
        let waiting = {
            let mut inner = self.inner();
            if inner.dead {
                None
            } else if inner.calm || !inner.dice.chance(self.temper.hold) {
                return;
            } else {
                let (go, waiting) = oneshot::channel();
                inner.held.push(Held { what: what(), go });
                Some(waiting)
            }
        };
        let let_go = match waiting {
            Some(waiting) => waiting.await.is_ok(),
            None => false,
        };
        if !let_go || self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// Lets one of those go that wait. False when none does.
    pub(crate) fn let_one_go(&self) -> bool {
        let held = {
            let mut inner = self.inner();
            if inner.held.is_empty() {
                return false;
            }
            let number = inner.held.len();
            let place = inner.dice.below(number);
            inner.held.remove(place)
        };
        self.note(format_args!("goes on: {}", held.what));
        let _ = held.go.send(());
        true
    }
}
