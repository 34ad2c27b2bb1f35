//! `switchboard export` and `switchboard erase`: what people can ask of those who keep their data, on the database itself. Where
//! a server runs on these settings, it carries the erasing out, because it remembers people; else it is done here.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::app::people::People;
use crate::app::{Parts, store_settings};
use crate::cli::{complain, open, say};
use crate::config::Config;
use crate::domain::contact::{Identity, is_user_id, phone_digits};
use crate::domain::ids::ContactId;
use crate::store::{Actor, Deed, Erasure, ErasureState, Outcome, Store};

/// How long a server is waited for that has to carry out an erasing.
const PATIENCE: Duration = Duration::from_mins(30);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a server has to take a connection, if there is one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Whose data: how people name somebody.
#[derive(clap::Args)]
pub(super) struct Who {
    /// A phone number with its country code (+49…), a business-scoped user id (US.…) or a contact id (con_…).
    person: String,
}

#[derive(clap::Args)]
pub(super) struct Export {
    #[command(flatten)]
    who: Who,
    /// Where it goes; without this, to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(super) struct Erase {
    #[command(flatten)]
    who: Who,
    /// That you mean it: it cannot be undone.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn export(config: &Config, parts: &Parts, options: Export) -> anyhow::Result<ExitCode> {
    let store = open(config, &store_settings(config)).await?;
    let contact = find(&store, &options.who.person).await?;
    let export = People::beside(config, &store, parts)?.exporter.begin(contact).await?;
    let export = export.context("the person was erased just now")?;
    store.note(deed("contacts.export", contact), Outcome::Done, None).await?;
    let mut out: Box<dyn std::io::Write> = match &options.out {
        Some(path) => {
            let file = std::fs::File::create(path);
            Box::new(file.with_context(|| format!("{} cannot be written", path.display()))?)
        }
        None => Box::new(std::io::stdout().lock()),
    };
    let mut lines = export.lines();
    while let Some(line) = lines.recv().await {
        out.write_all(&line?).context("the export cannot be written")?;
    }
    out.flush().context("the export cannot be written")?;
    if let Some(path) = options.out {
        complain(&format!("everything that is kept of {contact} is in {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn erase(config: &Config, parts: &Parts, options: Erase) -> anyhow::Result<ExitCode> {
    let store = open(config, &store_settings(config)).await?;
    let contact = find(&store, &options.who.person).await?;
    if !options.yes {
        bail!("this erases everything that is kept of {contact} and cannot be undone; say it with --yes");
    }
    let on_behalf = store.on_behalf(deed("contacts.erase", contact));
    let ordered = on_behalf.want_erasure(contact).await?.context("the person was erased just now")?;
    let is_served = TcpStream::connect_timeout(&config.listen, CONNECT_TIMEOUT).is_ok();
    if !is_served {
        People::beside(config, &store, parts)?.eraser.carry_out().await?;
    }
    let erasure = over(&store, &ordered).await?;
    match erasure.state {
        ErasureState::Done => {
            let Erasure { messages, events, files, .. } = erasure;
            say(&format!(
                "{contact} is erased: {messages} messages, {events} events, {files} files are gone"
            ));
            Ok(ExitCode::SUCCESS)
        }
        ErasureState::Refused => {
            let reason = erasure.reason.unwrap_or_default();
            bail!("nothing was erased: the database refuses a statement of `on_erase`: {reason}")
        }
        state => {
            bail!("it is {}, and the server that runs at {} goes on with it", state.as_str(), config.listen)
        }
    }
}

/// The erasing at its end, or as it is when nobody has the patience to wait any longer.
async fn over(store: &Store, ordered: &Erasure) -> anyhow::Result<Erasure> {
    let over = async {
        loop {
            let now = store.find_erasure(ordered.contact).await?;
            match now.filter(|now| matches!(now.state, ErasureState::Done | ErasureState::Refused)) {
                Some(over) => return anyhow::Ok(over),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    };
    match tokio::time::timeout(PATIENCE, over).await {
        Ok(over) => over,
        Err(_) => Ok(store.find_erasure(ordered.contact).await?.unwrap_or_else(|| ordered.clone())),
    }
}

async fn find(store: &Store, person: &str) -> anyhow::Result<ContactId> {
    let found = if let Ok(contact) = person.parse::<ContactId>() {
        store.find_contact(contact).await?.map(|contact| contact.id)
    } else if is_user_id(person) {
        let id = Some(person.to_owned());
        let by_user = store.find_person(Identity { user_id: id.clone(), ..Identity::default() }).await?;
        match by_user {
            Some(contact) => Some(contact),
            None => store.find_person(Identity { parent_user_id: id, ..Identity::default() }).await?,
        }
    } else if let Some(phone) = phone_digits(person) {
        store.find_person(Identity::phone(phone)).await?
    } else {
        bail!("give a phone number with its country code (+49…), a user id (US.…) or a contact id (con_…)");
    };
    found.context("nobody is known by that")
}

fn deed(action: &str, contact: ContactId) -> Arc<Deed> {
    Arc::new(Deed::new(Actor::CommandLine, action, Some(contact.to_string()), None))
}
