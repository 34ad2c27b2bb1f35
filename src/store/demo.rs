//! Rows for the sandbox: some orders for each demo phone, and a schedule around today.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde_json::{Value, json};

use crate::store::request::Request;
use crate::store::{Error, SqlWrite, Store};

const ORDER: &str = "insert into orders (id, number, customer_phone, customer_name, product, quantity, status, line, \
                     ordered_on, promised_on, delivered_on) values (:id, :number, :phone, :name, :product, :quantity, \
                     :status, :line, :ordered, :promised, :delivered) on conflict do nothing";
const SHIFT: &str = "insert into production_schedule (id, line, day, shift, product, planned, produced, status) \
                     values (:id, :line, :day, :shift, :product, :planned, :produced, :status) on conflict do nothing";

/// Product, quantity, status, line, and the days from today of order, promise and delivery.
type Order = (&'static str, i64, &'static str, &'static str, i64, i64, Option<i64>);

/// What each phone has ordered.
const ORDERS: [Order; 4] = [
    ("Gearbox housing GH-20", 120, "in production", "Line A", -12, 6, None),
    ("Drive shaft DS-7", 400, "shipped", "Line B", -20, 1, None),
    ("Bearing plate BP-3", 1_000, "delivered", "Line B", -41, -9, Some(-10)),
    ("Pump cover PC-11", 60, "planned", "Line C", -2, 18, None),
];
/// What is made on each day: line, shift, product, planned.
const SHIFTS: [(&str, &str, &str, i64); 4] = [
    ("Line A", "early", "Gearbox housing GH-20", 40),
    ("Line A", "late", "Gearbox housing GH-22", 35),
    ("Line B", "early", "Drive shaft DS-7", 150),
    ("Line C", "early", "Pump cover PC-11", 30),
];

/// Fills the factory's tables for these phones (number and name). Filling them again changes nothing.
///
/// # Errors
/// When the database refuses.
pub async fn fill<'a>(store: &Store, phones: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), Error> {
    let now = store.clock().now();
    let mut writes = Vec::new();
    let mut number = 0;
    for (phone, name) in phones {
        for (product, quantity, status, line, ordered, promised, delivered) in ORDERS {
            number += 1;
            writes.push(write(
                ORDER,
                json!({
                    "id": number, "number": format!("ORD-{number:03}"), "phone": phone, "name": name, "product": product,
                    "quantity": quantity, "status": status, "line": line, "ordered": day(now, ordered),
                    "promised": day(now, promised), "delivered": delivered.map(|days| day(now, days)),
                }),
            ));
        }
    }
    let mut id = 0;
    for days in -1..=7 {
        for (line, shift, product, planned) in SHIFTS {
            id += 1;
            let (produced, status) = match days {
                ..0 => (planned, "done"),
                0 => (planned / 2, "running"),
                1.. => (0, "planned"),
            };
            writes.push(write(
                SHIFT,
                json!({
                    "id": id, "line": line, "day": day(now, days), "shift": shift, "product": product, "planned": planned,
                    "produced": produced, "status": status,
                }),
            ));
        }
    }
    store.run_writes(writes).await
}

fn write(sql: &str, params: Value) -> SqlWrite {
    let params: BTreeMap<String, Value> = match params {
        Value::Object(params) => params.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    SqlWrite { connector: "demo".to_owned(), sql: sql.to_owned(), params }
}

fn day(now: i64, days: i64) -> String {
    let today = Timestamp::from_millisecond(now).unwrap_or_default().to_zoned(TimeZone::UTC).date();
    today.saturating_add(days.days()).to_string()
}

impl Store {
    /// Runs writes to the business's own tables in one transaction, outside of any turn.
    ///
    /// # Errors
    /// When the database refuses one of them: none is kept.
    pub async fn run_writes(&self, writes: Vec<SqlWrite>) -> Result<(), Error> {
        self.ask(Request::Writes(writes)).await.map(drop)
    }
}
