//! The flows: the one that new conversations get, and the earlier ones that sessions are still pinned to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::flow::{Flow, Functions};
use crate::store::{Error, KnownFlow, Store};

/// Finds flows. Every flow that a session may be pinned to is kept in the store.
pub struct Flows {
    current: Arc<Flow>,
    /// Of the numbers that have one of their own.
    by_number: HashMap<String, Arc<Flow>>,
    functions: Functions,
    /// By hash. As many as there are versions with live sessions: few.
    known: Mutex<HashMap<String, Arc<Flow>>>,
    store: Store,
}

impl Flows {
    /// Makes `current` the flow of new conversations, but for the numbers that have one of their own, and keeps them all.
    ///
    /// # Errors
    /// When the store cannot keep them.
    pub async fn new(
        store: Store,
        current: Arc<Flow>,
        by_number: HashMap<String, Flow>,
        functions: Functions,
    ) -> Result<Self, Error> {
        let by_number: HashMap<String, Arc<Flow>> =
            by_number.into_iter().map(|(number, flow)| (number, Arc::new(flow))).collect();
        let mut known = HashMap::new();
        for flow in by_number.values().chain([&current]) {
            let kept = KnownFlow {
                hash: flow.hash().to_owned(),
                name: flow.name().to_owned(),
                source: flow.source().to_owned(),
            };
            store.keep_flow(kept).await?;
            known.insert(flow.hash().to_owned(), Arc::clone(flow));
        }
        Ok(Self { current, by_number, functions, known: Mutex::new(known), store })
    }

    /// `flow` for every number, and nothing kept: sessions that are pinned to another one go on with this.
    #[must_use]
    pub fn of_one(store: Store, flow: Flow) -> Self {
        let (by_number, functions) = (HashMap::new(), Functions::default());
        Self { current: Arc::new(flow), by_number, functions, known: Mutex::default(), store }
    }

    /// The flow of new conversations with this number of ours.
    #[must_use]
    pub fn current(&self, phone_number_id: &str) -> Arc<Flow> {
        Arc::clone(self.by_number.get(phone_number_id).unwrap_or(&self.current))
    }

    /// The flow with this hash; the current one of the number where there is none, or none that can still be read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn find(&self, hash: &str, phone_number_id: &str) -> Result<Arc<Flow>, Error> {
        let remembered = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(hash).cloned();
        if let Some(flow) = remembered {
            return Ok(flow);
        }
        let Some(known) = self.store.find_flow(hash).await? else { return Ok(self.current(phone_number_id)) };
        let flow = match Flow::parse_with(&known.source, &known.name, &self.functions) {
            Ok(flow) => Arc::new(flow),
            Err(problems) => {
                tracing::error!(flow = hash, %problems, "a stored flow cannot be read; its sessions go on with the current one");
                self.current(phone_number_id)
            }
        };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(hash.to_owned(), Arc::clone(&flow));
        Ok(flow)
    }
}
