//! What becomes of the requests of a batch within its transaction: each kind is handed to those who know it.

use std::collections::HashMap;

use crate::domain::ids::MessageId;
use crate::store::batch::{Abort, Reply, Scope};
use crate::store::privacy::{erase, waste};
use crate::store::request::{Job, Request};
use crate::store::{Claim, Incoming, Settle, Turn, TurnReply};
use crate::store::{
    accept, audit, consent, delivery, feed, gate, keys, media, pauses, queue, recovery, search, sql,
    template, turn,
};

/// Applies all jobs of a batch, kind by kind. Accepting comes first and settling last, so that within a batch causes
/// come before effects.
pub(crate) async fn apply(scope: &mut Scope<'_>, jobs: &[Job]) -> Result<Vec<Reply>, Abort> {
    let mut replies: Vec<Reply> = jobs.iter().map(|_| Reply::Unit).collect();

    let accepts: Vec<usize> = indices(jobs, |request| matches!(request, Request::Accept(..)));
    if !accepts.is_empty() {
        let lists: Vec<&[Incoming]> = jobs.iter().filter_map(|job| job.request.incoming()).collect();
        for (i, accepted) in accepts.iter().zip(accept::apply(scope, &lists).await?) {
            replies[*i] = Reply::Accepted(accepted);
        }
    }

    let turns: Vec<&Turn> = jobs.iter().filter_map(|job| job.request.turn()).collect();
    if !turns.is_empty() {
        turn::apply(scope, &turns).await?;
        for i in indices(jobs, |request| matches!(request, Request::Turn(_))) {
            replies[i] = Reply::Turn(TurnReply::Committed);
        }
    }

    let settles: Vec<&Settle> = jobs.iter().filter_map(|job| job.request.settle()).collect();
    queue::settle(scope, &settles).await?;
    let claims: Vec<i64> = jobs.iter().filter_map(|job| job.request.claim()).map(|id| id.0).collect();
    let mut claimed = gate::claim(scope, &claims).await?;
    for (job, reply) in jobs.iter().zip(&mut replies) {
        if let Some(id) = job.request.claim() {
            *reply = Reply::Claimed(claimed.remove(&id.0).unwrap_or(Claim::Gone));
        }
    }

    for (job, reply) in jobs.iter().zip(&mut replies) {
        match &job.request {
            Request::Accept(..) | Request::Turn(_) | Request::Settle(_) | Request::Claim(_) => {}
            Request::Discard(messages) => {
                let messages: Vec<i64> = messages.iter().map(|id| id.0).collect();
                *reply = Reply::Discarded(queue::discard(scope, &messages).await?);
            }
            Request::Consent(contact, change) => {
                *reply = Reply::Changed(consent::change(scope, *contact, *change, None).await?);
            }
            Request::Attempt(event) => *reply = Reply::Attempts(recovery::attempt(scope, *event).await?),
            Request::Quarantine(event, reason) => {
                *reply = Reply::Changed(recovery::quarantine(scope, *event, reason).await?);
            }
            Request::DiscardEvent(event) => *reply = Reply::Changed(recovery::discard(scope, *event).await?),
            Request::Retry(event) => *reply = Reply::Changed(recovery::retry(scope, *event).await?),
            Request::Number(name) => *reply = Reply::Number(sql::next_number(scope.tx, name).await?),
            Request::Flow(flow) => recovery::keep_flow(scope, flow).await?,
            Request::TokenPause(pause) => pauses::keep(scope, pause).await?,
            Request::Orphans(until) => queue::orphans(scope, *until).await?,
            Request::Writes(writes) => {
                for write in writes {
                    sql::write(scope.tx, write).await?;
                }
            }
            Request::Media(write) => *reply = media::write(scope, write).await?,
            Request::Follow => *reply = Reply::Changed(search::advance(scope).await?),
            Request::Templates(list) => *reply = template::keep(scope, list).await?,
            Request::Key(write) => *reply = keys::write(scope, write).await?,
            Request::Erase(write) => *reply = erase::write(scope, write).await?,
            Request::Waste(write) => *reply = waste::write(scope, write).await?,
            Request::Scrub => {}
            Request::Note(_) => {}
            Request::Delivery(write) => *reply = delivery::write(scope, write).await?,
            Request::ForgetFeed(edge) => *reply = Reply::Changed(feed::forget(scope, *edge).await?),
            Request::Recount => scope.after.open_counted = Some(recovery::count_open(scope).await?),
        }
    }
    audit::write(scope, jobs, &replies).await?;
    feed::write(scope).await?;
    Ok(replies)
}

fn indices(jobs: &[Job], wanted: impl Fn(&Request) -> bool) -> Vec<usize> {
    jobs.iter().enumerate().filter(|(_, job)| wanted(&job.request)).map(|(i, _)| i).collect()
}
