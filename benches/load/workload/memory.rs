//! *memory*: what a conversation costs that is active: resident memory with so many of them, beyond that of a program that
//! has done the same work with few.

use super::{Common, Talk, judge_all, stage};
use crate::judge::Outcome;
use crate::report::{Goal, Report, tell};
use crate::stage::Meta;

/// The most that a conversation may cost.
const WANTED_BYTES: f64 = 1536.0;
/// People who talk beforehand, until caches and allocators have what they keep anyhow.
const WARM_PEOPLE: usize = 500;
/// How much they say.
const WARM_MESSAGES: usize = 40_000;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Conversations that are active at once, each after two turns.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) active: usize,
}

/// Runs it, and adds to the report.
pub(crate) async fn run(
    common: &Common,
    options: &Options,
    meta: &mut Meta,
    report: &mut Report,
) -> anyhow::Result<()> {
    for engine in common.database.iter().copied() {
        tell(&format!("memory, {}: {} conversations", engine.name(), options.active));
        let all = (options.active + WARM_PEOPLE).to_string();
        let settings =
            [("SWITCHBOARD_ACTIVE_CONVERSATIONS", all.as_str()), ("SWITCHBOARD_CONVERSATION_IDLE", "10h")];
        let staged = stage(common, engine, meta, &settings).await?;
        let mut talk = Talk::new();
        let warm = talk.round(0..WARM_PEOPLE, WARM_MESSAGES.min(options.active * 2), common.connections);
        staged.prepare(common, meta, &warm, talk.said.len()).await?;
        let few = staged.target.process().resident_kib()?;

        let strangers =
            talk.round(WARM_PEOPLE..WARM_PEOPLE + options.active, 2 * options.active, common.connections);
        staged.prepare(common, meta, &strangers, talk.said.len()).await?;
        let many = staged.target.process().resident_kib()?;
        let active = staged.program().metric("switchboard_active_actors").await?;
        let outcome = judge_all(&talk, &meta.log().await?, &staged.target);
        anyhow::ensure!(outcome == Outcome::default(), "{outcome:?}");
        #[expect(clippy::cast_precision_loss, reason = "a count of bytes")]
        let bytes = many.saturating_sub(few) as f64 * 1024.0 / (active - WARM_PEOPLE as f64).max(1.0);
        let what = format!(
            "memory, {}: {active} active, {} MiB resident against {} MiB with {WARM_PEOPLE}; bytes for one",
            staged.name,
            many >> 10,
            few >> 10
        );
        report.goals.push(Goal::at_most(what, bytes, WANTED_BYTES));
    }
    Ok(())
}
