//! Lanes and limiters: what a message costs on its way through the sender, apart from the POST.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use switchboard::clock::Clock;
use switchboard::domain::ids::ConversationId;
use switchboard::sender::lanes::Lanes;
use switchboard::sender::pacing::{NumberPacing, PairPacing};
use switchboard::sender::token::TokenWatch;
use switchboard::sender::verdict::OfNumber;
use tokio::runtime::Runtime;

use super::store::Desk;

/// Messages, each of another conversation.
const MESSAGES: usize = 1_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let clock = Clock::system();
    let queued = Runtime::new()
        .expect("a runtime")
        .block_on(async { Desk::new(MESSAGES).await.answer(MESSAGES).await });
    let mut group = criterion.benchmark_group("sender");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    for (name, pairs) in [("lanes", false), ("lanes with the pair limit", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut lanes = Lanes::new(PairPacing::new(pairs, clock.clone()));
                let number = Arc::clone(&queued[0].phone_number_id);
                let pacing = NumberPacing::new(0, clock.clone());
                lanes.add_number(Arc::clone(&number), pacing, TokenWatch::new(&[]), MESSAGES);
                for outbound in &queued {
                    lanes.push(outbound.clone());
                }
                let now = clock.now();
                for (outbound, left) in lanes.depart(now) {
                    lanes.told(&number, left, OfNumber::Fine, now);
                    lanes.finish(outbound.conversation, outbound.id, now);
                }
                lanes
            });
        });
    }
    group.throughput(Throughput::Elements(1));
    let pairs = PairPacing::new(true, clock.clone());
    let mut pair = 0;
    group.bench_function("pair limit", |bencher| {
        bencher.iter(|| {
            pair = (pair + 1) % 100_000;
            pairs.admit(black_box(ConversationId(pair)))
        });
    });
    let mut number = NumberPacing::new(1_000, clock.clone());
    group.bench_function("number limit", |bencher| bencher.iter(|| number.admit()));
    group.finish();
}
