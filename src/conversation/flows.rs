//! The flows: the one that new conversations get, and the earlier ones that sessions are still pinned to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::flow::{Flow, Functions};
use crate::store::{Error, KnownFlow, Store};

/// Finds flows by their hash. Every flow that a session may be pinned to is kept in the store.
pub struct Flows {
    current: Arc<Flow>,
    functions: Functions,
    /// By hash. As many as there are versions with live sessions: few.
    known: Mutex<HashMap<String, Arc<Flow>>>,
    store: Store,
}

impl Flows {
    /// Makes `current` the flow of new conversations and keeps it.
    ///
    /// # Errors
    /// When the store cannot keep it.
    pub async fn new(store: Store, current: Flow, functions: Functions) -> Result<Self, Error> {
        let known = KnownFlow {
            hash: current.hash().to_owned(),
            name: current.name().to_owned(),
            source: current.source().to_owned(),
        };
        store.keep_flow(known).await?;
        let current = Arc::new(current);
        let known = Mutex::new(HashMap::from([(current.hash().to_owned(), Arc::clone(&current))]));
        Ok(Self { current, functions, known, store })
    }

    /// The flow of new conversations.
    #[must_use]
    pub fn current(&self) -> Arc<Flow> {
        Arc::clone(&self.current)
    }

    /// The flow with this hash; the current one where there is none, or none that can still be read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn find(&self, hash: &str) -> Result<Arc<Flow>, Error> {
        let remembered = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(hash).cloned();
        if let Some(flow) = remembered {
            return Ok(flow);
        }
        let Some(known) = self.store.find_flow(hash).await? else { return Ok(self.current()) };
        let flow = match Flow::parse_with(&known.source, &known.name, &self.functions) {
            Ok(flow) => Arc::new(flow),
            Err(problems) => {
                tracing::error!(flow = hash, %problems, "a stored flow cannot be read; its sessions go on with the current one");
                self.current()
            }
        };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(hash.to_owned(), Arc::clone(&flow));
        Ok(flow)
    }
}
