//! Every table and column of the schema, and what becomes of it when a person is erased. A migration that adds one has to say so
//! here; whether it is true, the search through the whole database shows.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use switchboard::clock::Clock;

use super::{echo, meta};
use crate::support::app::TestApp;
use crate::support::database::{Database, on_both};

/// What becomes of what a table holds of a person.
enum Fate {
    /// Rows that are about them go.
    Goes,
    /// Rows stay, and what names them is taken out.
    IsTakenOut,
    /// It holds nothing that says who somebody is.
    NamesNobody,
}

use Fate::{Goes, IsTakenOut, NamesNobody};

const TABLES: [(&str, Fate, &str); 32] = [
    ("alias", Goes, "contact_id kind value"),
    (
        "api_key",
        NamesNobody,
        "created_at expires_at handle hash id last_used_at name requests_per_second revoked_at scopes",
    ),
    ("attempt", Goes, "at code id message_id outcome reason trace"),
    // A target is an id of ours, or what somebody gave in its place.
    ("audit", IsTakenOut, "action actor at event_id id key_id key_name outcome reason request_id target"),
    (
        "contact",
        Goes,
        "created_at id marketing_changed_at marketing_opted_out_at marketing_opted_out_by merged_into name name_key opted_out_at \
         opted_out_by parent_user_id updated_at user_id username wa_id",
    ),
    ("counter", NamesNobody, "hour name phone_number_id value"),
    ("counter_day", NamesNobody, "day name phone_number_id value"),
    // The flow's `on_erase` says so.
    ("defects", Goes, "customer_phone description id media_id number order_number reported_at status"),
    // What is told of somebody is found by ids of ours when it is told, and then it is not there.
    (
        "delivery",
        NamesNobody,
        "attempts commit_id created_at done_at due_at happened_at id lane news outlet place reason since state status",
    ),
    // The ids are there while it goes on.
    (
        "erasure",
        IsTakenOut,
        "contact_id conversations done_at events files id ids messages reason state wanted_at",
    ),
    // See the delivery.
    ("feed", NamesNobody, "at id news"),
    ("flow", NamesNobody, "first_used_at hash name source"),
    ("follower", NamesNobody, "name position"),
    (
        "media",
        Goes,
        "attempts created_at direction due_at filename id kind meta_id mime_type phone_number_id promised ready_at reason sha256 \
         size state",
    ),
    ("media_upload", Goes, "expires_at media_id meta_id phone_number_id"),
    ("media_waste", Goes, "sha256"),
    (
        "message",
        Goes,
        "accepted_at body contact_id content conversation_id created_at delivered_at direction error error_code event_id \
         failed_at id kind media_id phone_number_id position pricing read_at reply_to resend_of resent_as sent_at shard status wamid",
    ),
    // Keyed hashes.
    (
        "opt_out_mark",
        NamesNobody,
        "hash marketing_changed_at marketing_opted_out_at marketing_opted_out_by opted_out_at opted_out_by",
    ),
    // The flow's `on_erase` says so.
    (
        "orders",
        IsTakenOut,
        "customer_name customer_phone delivered_on id line number ordered_on product promised_on quantity status",
    ),
    ("production_schedule", NamesNobody, "day id line planned produced product shift status"),
    ("outlet", NamesNobody, "come_to name place"),
    (
        "queue",
        Goes,
        "attempts conversation_id despite_opt_out due_at event_accepted_at free_form id marketing outside phone_number_id \
         position priority reason shard state waited_ms",
    ),
    ("salt", NamesNobody, "id value"),
    // The words that nobody else said.
    ("search_word", IsTakenOut, "word"),
    ("seaql_migrations", NamesNobody, "applied_at version"),
    ("sequence", NamesNobody, "name value"),
    (
        "session",
        Goes,
        "active_at contact_id created_at flow_hash handed_off handed_off_until id last_inbound_at merged_into phone_number_id shard \
         snapshot state timer_generation updated_at version",
    ),
    (
        "template",
        NamesNobody,
        "business_account_id category category_at components created_at format id language meta_id name quality quality_at reason \
         status status_at synced_at told_at updated_at",
    ),
    ("timer", Goes, "conversation_id due_at generation shard"),
    ("token_pause", NamesNobody, "began_at ended_at phone_number_id"),
    // Keyed hashes.
    ("tombstone", NamesNobody, "hash until"),
    // Events go, but for those that tell of several people.
    (
        "webhook",
        IsTakenOut,
        "accepted_at attempts conversation_id dedupe_key done_at id kind payload phone_number_id reason shard state wamid",
    ),
];

/// Where SQLite keeps its index of words, and where PostgreSQL does.
const SQLITE: [(&str, Fate, &str); 4] = [
    ("search", Goes, "words"),
    ("search_config", NamesNobody, "k v"),
    ("search_data", Goes, "block id"),
    ("search_idx", Goes, "pgno segid term"),
];
const POSTGRES: [(&str, Fate, &str); 1] = [("search", Goes, "position words")];

/// Every table, with its columns in the order of their names.
async fn schema(database: &Database) -> BTreeMap<String, String> {
    let db = database.connect().await;
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "select table_name::text, column_name::text from information_schema.columns where table_schema = 'public'"
        }
        _ => {
            "select m.name, c.name from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table' \
             and m.name not like 'sqlite_%'"
        }
    };
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in db.query_all_raw(Statement::from_string(backend, sql)).await.unwrap() {
        let (table, column) = (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
        found.entry(table).or_default().push(column);
    }
    let joined = |(table, mut columns): (String, Vec<String>)| {
        columns.sort();
        (table, columns.join(" "))
    };
    found.into_iter().map(joined).collect()
}

on_both!(every_column_is_declared_with_what_becomes_of_it, |database| async {
    let test = TestApp::start_on(meta(Clock::system()).await, database, echo(), |_| {}).await;
    let found = schema(&test.database).await;
    let of_engine: &[(&str, Fate, &str)] =
        if test.database.url.starts_with("sqlite:") { &SQLITE } else { &POSTGRES };
    let declared: BTreeMap<String, String> = TABLES
        .iter()
        .chain(of_engine)
        .map(|(table, _, columns)| ((*table).to_owned(), (*columns).to_owned()))
        .collect();
    let goes = TABLES.iter().filter(|(_, fate, _)| matches!(fate, Goes)).count();
    assert!(goes > 8, "{goes} tables go with a person: the register is not what it was");
    for (table, columns) in &found {
        assert_eq!(
            declared.get(table),
            Some(columns),
            "`{table}`: say in tests/it/privacy/register.rs what becomes of its columns when a person is erased"
        );
    }
    assert!(declared.keys().eq(found.keys()), "a table is declared that is not there");
    test.stop().await;
});
