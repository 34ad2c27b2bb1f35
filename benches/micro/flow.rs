//! The step, by the size of the flow: it must not depend on it.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::Criterion;
use switchboard::domain::contact::Identity;
use switchboard::domain::inbound::{Content, InboundMessage};
use switchboard::flow::{Context, Flow, Input, Snapshot, Step, step};

/// Menus, each of which leads to the next one.
fn menus(count: usize) -> Flow {
    let mut source = String::from(
        "switchboard: 1\nbot: menus\nstart: menu0\nglobals: { \"hi | menu\": menu0 }\n\
         fallback: { say: \"Sorry?\", retries: 3, then: menu0 }\nstates:\n",
    );
    for number in 0..count {
        let next = (number + 1) % count;
        // Writing to a String cannot fail.
        let _ = write!(
            source,
            "  menu{number}:\n    menu: \"Hello ${{ contact.name or 'there' }}, this is menu {number}.\"\n    \
             button: Menu {number}\n    options:\n      - {{ label: On, go: menu{next}, keys: [\"on\", next] }}\n      \
             - {{ label: Again, go: menu{number}, keys: [again] }}\n"
        );
    }
    Flow::parse(&source, "menus").unwrap_or_else(|problems| panic!("{problems}"))
}

fn message(text: &str) -> InboundMessage {
    InboundMessage {
        wamid: Some("wamid.1".to_owned()),
        sent_at: None,
        sender: person(),
        reply_to: None,
        content: Content::Text { body: text.to_owned() },
    }
}

fn person() -> Identity {
    Identity {
        wa_id: Some("4915112345001".to_owned()),
        name: Some("Someone".to_owned()),
        ..Identity::default()
    }
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let (contact, hello, on, nonsense) = (person(), message("hi"), message("1"), message("what?"));
    let context = Context { contact: &contact, phone_number_id: "106540352242922", now: 1_795_337_387_000 };
    let flows = [5, 50, 500].map(|states| (format!("{states} states"), menus(states)));
    let mut group = criterion.benchmark_group("step");
    for (name, flow) in flows.iter().chain([&("factory".to_owned(), Flow::factory())]) {
        let begun = match step(flow, &Snapshot::default(), &Input::Message(&hello), &context) {
            Step::Done(transition) => transition.snapshot,
            Step::Call(_) => unreachable!("a greeting calls nothing"),
        };
        for (what, message) in [("greeting", &hello), ("choice", &on), ("nonsense", &nonsense)] {
            group.bench_function(format!("{what}/{name}"), |bencher| {
                bencher.iter(|| step(flow, black_box(&begun), &Input::Message(message), &context));
            });
        }
    }
    group.finish();
}
