//! A script of the business, which asks by the REST API for messages to be sent, and asks again with the same key until it
//! has an answer.

use std::sync::{Arc, Mutex};

use actix_web::rt::spawn;
use actix_web::test::TestRequest;
use serde_json::json;

use crate::fate::Fate;
use crate::meta::{Meta, phone};
use crate::world::Door;

pub(crate) const KEY: &str = "api-key";
const WISHES_MAX: usize = 3;

/// Something that is to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) person: usize,
    pub(crate) text: String,
    /// What becomes of it while the person has been silent for too long.
    outside: &'static str,
    key: String,
    /// The status of the answer that settles it.
    pub(crate) answer: Option<u16>,
    under_way: bool,
}

pub(crate) struct Operator {
    fate: Arc<Fate>,
    wishes: Arc<Mutex<Vec<Wish>>>,
}

impl Operator {
    pub(crate) fn new(fate: Arc<Fate>) -> Self {
        Self { fate, wishes: Arc::default() }
    }

    pub(crate) fn wishes(&self) -> Vec<Wish> {
        self.wishes.lock().unwrap().clone()
    }

    /// Wishes something new of somebody who has written, or asks again.
    pub(crate) fn step(&self, meta: &Meta, door: Option<&Door>) {
        let people = meta.writers();
        let number = self.wishes.lock().unwrap().len();
        if number < WISHES_MAX && !people.is_empty() && self.fate.throw(|dice| dice.chance(50)) {
            let person = self.fate.throw(|dice| *dice.pick(&people));
            let (text, key) = (format!("asked {person}.{number}"), format!("key-{number}"));
            let outside = self.fate.throw(|dice| *dice.pick(&["fail", "wait"]));
            let wish = Wish { person, text, outside, key, answer: None, under_way: false };
            self.wishes.lock().unwrap().push(wish);
        }
        if let Some(door) = door {
            self.insist(door);
        }
    }

    /// Asks for everything that has no answer yet.
    pub(crate) fn insist(&self, door: &Door) {
        let mut wishes = self.wishes.lock().unwrap();
        for (number, wish) in
            wishes.iter_mut().enumerate().filter(|(_, wish)| wish.answer.is_none() && !wish.under_way)
        {
            wish.under_way = true;
            self.fate.note(format_args!("asks for: {}", wish.text));
            let body = json!({"to": format!("+{}", phone(wish.person)), "type": "text", "body": wish.text,
                              "outside_window": wish.outside});
            let request = TestRequest::post()
                .uri("/api/whatsapp/send")
                .insert_header(("Authorization", format!("Bearer {KEY}")))
                .insert_header(("Idempotency-Key", wish.key.clone()))
                .set_json(body);
            let answer = door(request);
            let (fate, wishes) = (Arc::clone(&self.fate), Arc::clone(&self.wishes));
            spawn(async move {
                let status = answer.await;
                if fate.is_dead() {
                    return;
                }
                fate.note(format_args!("wish {number} is answered {status}"));
                let mut wishes = wishes.lock().unwrap();
                wishes[number].under_way = false;
                // What is refused for good is not asked for again.
                if status < 500 && status != 429 {
                    wishes[number].answer = Some(status);
                }
            });
        }
    }

    pub(crate) fn is_content(&self) -> bool {
        self.wishes.lock().unwrap().iter().all(|wish| wish.answer.is_some())
    }

    pub(crate) fn lose_the_program(&self) {
        self.wishes.lock().unwrap().iter_mut().for_each(|wish| wish.under_way = false);
    }
}
