//! Who erases and who shows people, made of the flows' statements, the store and the files. The command line makes its own,
//! for where no server runs.

use std::sync::Arc;

use super::Parts;
use crate::config::Config;
use crate::flow::Flow;
use crate::media::vault::Vault;
use crate::privacy::erase::Eraser;
use crate::privacy::export::Exporter;
use crate::store::Store;

/// What the flows say of the business's own tables.
pub struct Statements {
    on_erase: Arc<[String]>,
    on_export: Arc<[String]>,
}

impl Statements {
    /// Those of all flows, each once.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let of_all = |statements: fn(&Flow) -> &[String]| {
            let mut found: Vec<String> = Vec::new();
            for statement in std::iter::once(&*parts.flow).chain(parts.flows.values()).flat_map(statements) {
                if !found.contains(statement) {
                    found.push(statement.clone());
                }
            }
            found.into()
        };
        Self { on_erase: of_all(Flow::on_erase), on_export: of_all(Flow::on_export) }
    }
}

/// Who does what people can ask of those who keep their data.
#[derive(Clone)]
pub struct People {
    /// Who erases them.
    pub eraser: Eraser,
    /// Who shows them what is kept.
    pub exporter: Exporter,
}

impl People {
    /// Those who work on this store and these files.
    pub(super) fn new(store: &Store, vault: &Vault, statements: Statements) -> Self {
        Self {
            eraser: Eraser::new(store.clone(), vault.clone(), statements.on_erase),
            exporter: Exporter::new(store.clone(), vault.clone(), statements.on_export),
        }
    }

    /// Those who work on this store and on the files that the configuration names.
    ///
    /// # Errors
    /// When the place of the files cannot be used.
    pub fn beside(config: &Config, store: &Store, parts: &Parts) -> anyhow::Result<Self> {
        // A server that runs has files arriving in that place.
        let vault = Vault::look_into(&config.media.url)?;
        Ok(Self::new(store, &vault, Statements::of(parts)))
    }
}
