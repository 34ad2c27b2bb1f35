//! Carries out the orders to erase people, one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::waste;
use crate::domain::ids::ContactId;
use crate::media::vault::{Vault, VaultError};
use crate::store::{self, Erasure, ErasureState, Parted, Scrubbed, Store};

/// How often orders are looked for that others have written into the database.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why an order waits.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Where files are kept, it is refused.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Who erases people; cheap to clone.
#[derive(Clone)]
pub struct Eraser {
    store: Store,
    vault: Vault,
    /// By which a person leaves the business's own tables.
    statements: Arc<[String]>,
    bell: Arc<Notify>,
    ended: Arc<watch::Sender<u64>>,
}

impl Eraser {
    /// One that works on this store and these files, and runs the `statements` of the flows in the transaction that cuts a
    /// person off.
    #[must_use]
    pub fn new(store: Store, vault: Vault, statements: Arc<[String]>) -> Self {
        Self { store, vault, statements, bell: Arc::default(), ended: Arc::new(watch::Sender::new(0)) }
    }

    /// Orders the erasing of a person on behalf of whoever `store` notes, and waits for its end, up to `patience`: it goes on
    /// without whoever waits. `None` when there is no such person.
    ///
    /// # Errors
    /// When the store cannot be written or read.
    pub async fn erase(
        &self,
        store: &Store,
        contact: ContactId,
        patience: Duration,
    ) -> Result<Option<Erasure>, store::Error> {
        let mut ended = self.ended.subscribe();
        let Some(ordered) = store.want_erasure(contact).await? else { return Ok(None) };
        self.bell.notify_one();
        let over = async {
            loop {
                let now = store.find_erasure(ordered.contact).await?;
                let is_over = |erasure: &Erasure| {
                    matches!(erasure.state, ErasureState::Done | ErasureState::Refused)
                        && erasure.id == ordered.id
                };
                if now.as_ref().is_some_and(is_over) || ended.changed().await.is_err() {
                    return Ok(now);
                }
            }
        };
        match tokio::time::timeout(patience, over).await {
            Ok(over) => over,
            Err(_) => store.find_erasure(ordered.contact).await,
        }
    }

    /// For ever: carries out what is ordered, as soon as it is, and what others order within a second.
    pub async fn attend(self) {
        loop {
            match self.carry_out().await {
                Ok(()) => {}
                Err(Trouble::Store(store::Error::Closed)) => return,
                Err(trouble) => tracing::error!(%trouble, "the erasing of a person waits"),
            }
            tokio::select! {
                () = self.bell.notified() => {}
                () = self.store.clock().sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Carries out what is ordered.
    ///
    /// # Errors
    /// When the store or the place of the files refuses: what is left is taken up the next time.
    pub async fn carry_out(&self) -> Result<(), Trouble> {
        for erasure in self.store.open_erasures().await? {
            let carried_out = self.one(&erasure).await;
            self.ended.send_modify(|count| *count += 1);
            carried_out?;
        }
        // Such as that of a file that was still being fetched.
        waste::clear(&self.store, &self.vault).await
    }

    async fn one(&self, erasure: &Erasure) -> Result<(), Trouble> {
        let (id, contact) = (erasure.id, erasure.contact);
        if erasure.state == ErasureState::Wanted
            && let Parted::Refused(reason) =
                self.store.begin_erasure(id, Arc::clone(&self.statements)).await?
        {
            tracing::error!(%contact, reason, "a person is not erased: a statement of `on_erase` is refused");
            return Ok(());
        }
        if erasure.state != ErasureState::Cleaning {
            while self.store.erase_part(id).await? {}
            self.erase_traces(id, contact).await?;
            self.store.clean_erasure(id).await?;
        }
        waste::clear(&self.store, &self.vault).await?;
        if self.store.scrub().await? == Scrubbed::Overwritten {
            tracing::warn!(
                "the database is too large to be written anew (SWITCHBOARD_ERASE_VACUUM_BYTES): copies of what was \
                 erased may be left in gaps of its pages until `vacuum` is run"
            );
        }
        self.store.end_erasure(id).await?;
        tracing::info!(%contact, "a person was erased");
        Ok(())
    }

    /// Reads the journal to its end for what else tells of the person.
    async fn erase_traces(&self, id: i64, contact: ContactId) -> Result<(), Trouble> {
        let ids = self.store.find_erasure(contact).await?.map(|erasure| erasure.ids).unwrap_or_default();
        let mut after = 0;
        loop {
            let (found, next) = self.store.find_traces(&ids, after).await?;
            if !found.is_empty() {
                self.store.erase_traces(id, found).await?;
            }
            let Some(next) = next else { return Ok(()) };
            after = next;
        }
    }
}
