//! A database of an earlier version: what was accepted then is known now.

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::json;

use crate::support::database::on_both;
use crate::support::{self, wire};

const ANN: &str = "4915112345001";
/// More events than are changed at once.
const EVENTS: i64 = 2_500;

/// The place of a migration among all.
fn place(name: &str) -> u32 {
    let place = Migrator::migrations().iter().position(|migration| migration.name().ends_with(name));
    u32::try_from(place.unwrap()).unwrap()
}

on_both!(what_was_accepted_under_a_long_key_is_known, async |database: Database| {
    let db = database.connect().await;
    Migrator::up(&db, Some(place("_short"))).await.unwrap();
    for id in 1..=EVENTS {
        let key = match id {
            1 => format!("s:{}:msg_4711:wamid.out:read", wire::NUMBER),
            2 => format!("s:{}:wamid.other:read", wire::NUMBER),
            _ => format!("m:{}:wamid.{id}", wire::NUMBER),
        };
        let sql = "insert into webhook (id, dedupe_key, kind, state, attempts, payload, accepted_at) \
                   values ($1, $2, 'message', 'done', 0, '{}', 0)";
        let values = [id.into(), key.into()];
        db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await.unwrap();
    }
    db.close().await.unwrap();

    let (store, _hints) = support::store::open(&database, 1_795_337_387_000).await;
    let status = |wamid: &str, callback: Option<&str>| {
        let told = json!({"id": wamid, "status": "read", "timestamp": "1795337400", "recipient_id": ANN,
            "biz_opaque_callback_data": callback});
        wire::ours(json!({"statuses": [told]}))
    };
    let text = |id: i64| wire::body(wire::NUMBER, &[wire::text(ANN, &format!("wamid.{id}"), "hi")]);
    let told_again =
        [status("wamid.out", Some("msg_4711")), status("wamid.other", None), text(3), text(EVENTS)];
    for (place, body) in told_again.iter().chain([&text(EVENTS + 1)]).enumerate() {
        let incoming = support::store::incoming(body);
        let accepted = store.accept(incoming, store.reserve(1).unwrap()).await.unwrap();
        assert_eq!(accepted[0].duplicate, place < told_again.len(), "{place}");
    }
});
