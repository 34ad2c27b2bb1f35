//! The times in which Meta refused a number's token. They make no message late, and a restart does not forget them.

use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, Value};

use crate::clock::Millis;
use crate::domain::notice::{Alarm, News};
use crate::store::batch::Scope;
use crate::store::entity::token_pause::{Column, Entity, Model};
use crate::store::request::Request;
use crate::store::{Error, Store, TokenPause, bulk};

impl Store {
    /// Keeps a pause, or the end of one that is kept. Beginning and end may come in either order.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn keep_token_pause(&self, pause: TokenPause) -> Result<(), Error> {
        self.ask(Request::TokenPause(pause)).await.map(drop)
    }

    /// The pauses that last, or ended after `since`, in the order in which they began.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn token_pauses(&self, since: Millis) -> Result<Vec<TokenPause>, Error> {
        self.read(move |db| async move {
            let wanted = Condition::any().add(Column::EndedAt.is_null()).add(Column::EndedAt.gt(since));
            let rows = Entity::find().filter(wanted).order_by_asc(Column::BeganAt).all(&db).await?;
            let pause = |Model { phone_number_id, began_at, ended_at }| TokenPause {
                phone_number_id: phone_number_id.into(),
                began_at,
                ended_at,
            };
            Ok(rows.into_iter().map(pause).collect())
        })
        .await
    }
}

pub(crate) async fn keep(scope: &mut Scope<'_>, pause: &TokenPause) -> Result<(), DbErr> {
    let number = pause.phone_number_id.to_string();
    let alarm =
        if pause.ended_at.is_some() { Alarm::NumberResumed(number) } else { Alarm::NumberPaused(number) };
    scope.news.push(News::Alarm(alarm));
    let row: Vec<Value> = vec![(*pause.phone_number_id).into(), pause.began_at.into(), pause.ended_at.into()];
    let known = "on conflict (phone_number_id, began_at) do update \
                 set ended_at = coalesce(excluded.ended_at, token_pause.ended_at)";
    let columns = ["phone_number_id", "began_at", "ended_at"];
    bulk::insert(scope.tx, "token_pause", &columns, vec![row], known).await.map(drop)
}
