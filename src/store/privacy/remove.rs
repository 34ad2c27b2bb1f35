//! Messages go, and with each of them what is there because of it: its event, its attempts, its row in the queue, its file.

use std::collections::BTreeSet;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Value};

use crate::store::batch::Scope;
use crate::store::entity::media;
use crate::store::privacy::tombstone::{self, Grave};
use crate::store::{bulk, search};

/// A message that goes.
#[derive(Debug, Clone)]
pub(crate) struct Doomed {
    pub(crate) id: i64,
    pub(crate) is_inbound: bool,
    pub(crate) wamid: Option<String>,
    /// Its place in the order of commits, and what it says: by these it is found by its words.
    pub(crate) position: i64,
    pub(crate) body: Option<String>,
    /// The file of ours that it took along.
    pub(crate) media: Option<i64>,
}

/// How much went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) messages: i64,
    pub(crate) events: i64,
    pub(crate) files: i64,
}

/// Removes these messages. Where they are `forgotten`, what Meta may still tell of them is known and not kept, and files that
/// were given to us for them alone go with them.
pub(crate) async fn messages(
    scope: &mut Scope<'_>,
    doomed: &[Doomed],
    forgotten: bool,
) -> Result<Removed, DbErr> {
    let ids: Vec<i64> = doomed.iter().map(|message| message.id).collect();
    scope.after.removed |= !ids.is_empty();
    let inbound: Vec<i64> =
        doomed.iter().filter(|message| message.is_inbound).map(|message| message.id).collect();
    bulk::with_ids(scope.tx, "delete from attempt where message_id in ({ids})", &[], &ids).await?;
    bulk::with_ids(scope.tx, "delete from queue where id in ({ids})", &[], &ids).await?;
    let gone = "delete from media where direction = 'in' and id in ({ids}) returning sha256";
    let mut contents = contents(bulk::returning_ids(scope.tx, gone, &inbound).await?)?;
    let files = contents.len();

    let events = "delete from webhook where id in ({ids}) returning dedupe_key, state";
    let events = bulk::returning_ids(scope.tx, events, &inbound).await?;
    let mut keys = Vec::with_capacity(events.len());
    for row in &events {
        let (key, state): (Vec<u8>, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        scope.after.open_delta -= i64::from(state == "accepted");
        keys.push(key);
    }
    let texts = doomed.iter().filter_map(|message| Some((message.position, message.body.clone()?)));
    search::forget(scope, &texts.collect::<Vec<_>>()).await?;
    let said = bulk::with_ids(scope.tx, "delete from message where id in ({ids})", &[], &ids).await?;

    let mut given = 0;
    if forgotten {
        let known = keys.iter().map(|key| Grave::Event(key));
        let told = doomed.iter().filter(|message| !message.is_inbound);
        let told = told.filter_map(|message| message.wamid.as_deref()).map(Grave::Message);
        let graves: Vec<Grave<'_>> = known.chain(told).collect();
        tombstone::bury(scope, &graves).await?;
        let files: BTreeSet<i64> = doomed.iter().filter_map(|message| message.media).collect();
        let of_nobody_else = given_files(scope, &files.into_iter().collect::<Vec<i64>>()).await?;
        given = of_nobody_else.len();
        contents.extend(of_nobody_else);
    }
    waste(scope, &contents).await?;
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    Ok(Removed {
        messages: i64::try_from(said).unwrap_or(i64::MAX),
        events: count(events.len()),
        files: count(files + given),
    })
}

/// Removes those of these files that were given to us to send and that nothing speaks of any more: no message, no flow, and no
/// wish that waits for its turn. Returns their contents.
async fn given_files(scope: &Scope<'_>, files: &[i64]) -> Result<Vec<String>, DbErr> {
    let alone = "select id from media where direction = 'out' and id in ({ids}) \
                 and not exists (select 1 from message where message.media_id = media.id) \
                 and not exists (select 1 from flow where source like '%med_' || cast(media.id as text) || '%') \
                 and not exists (select 1 from webhook where state = 'accepted' \
                 and payload like '%med_' || cast(media.id as text) || '%')";
    let rows = bulk::returning_ids(scope.tx, alone, files).await?;
    let ids: Result<Vec<i64>, DbErr> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
    let ids = ids?;
    bulk::with_ids(scope.tx, "delete from media_upload where media_id in ({ids})", &[], &ids).await?;
    let gone = bulk::returning_ids(scope.tx, "delete from media where id in ({ids}) returning sha256", &ids);
    contents(gone.await?)
}

/// The hashes of the contents in these rows; one that was never fetched has none.
fn contents(rows: Vec<sea_orm::QueryResult>) -> Result<Vec<String>, DbErr> {
    let hashes: Result<Vec<Option<String>>, DbErr> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
    Ok(hashes?.into_iter().flatten().collect())
}

/// Notes the contents that no file has any more: they go from where bytes are kept after the commit.
pub(crate) async fn waste(scope: &Scope<'_>, contents: &[String]) -> Result<(), DbErr> {
    let contents: BTreeSet<&str> = contents.iter().map(String::as_str).collect();
    if contents.is_empty() {
        return Ok(());
    }
    let kept: Vec<Option<String>> = media::Entity::find()
        .select_only()
        .column(media::Column::Sha256)
        .filter(media::Column::Sha256.is_in(contents.iter().copied()))
        .into_tuple()
        .all(scope.tx)
        .await?;
    let kept: BTreeSet<String> = kept.into_iter().flatten().collect();
    let rows = contents.into_iter().filter(|hash| !kept.contains(*hash));
    let rows = rows.map(|hash| vec![Value::from(hash)]).collect();
    bulk::insert(scope.tx, "media_waste", &["sha256"], rows, "on conflict (sha256) do nothing").await?;
    Ok(())
}
