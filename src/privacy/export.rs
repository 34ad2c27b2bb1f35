//! All that is kept of a person as one file: JSON Lines, each line a row with its kind.
//!
//! One file, because it is to be handed over; lines, because both ends can work through them one by one, whatever the size of
//! the whole; no archive, because every tool reads lines, and an archive has its table at the end. A file that the person sent
//! is among them as `bytes`: parts in base64, so that no line is long.
//!
//! It ends with a line of the kind `end`, which says how many lines are before it: what has none was cut off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::TryStreamExt as _;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::domain::ids::ContactId;
use crate::media::vault::{Vault, VaultError};
use crate::store::{self, Line, Part, Place, Store};

/// The version of the file.
const FORMAT: u32 = 1;
/// Bytes of a file in one line, before they are base64: a multiple of 3, so that no part but the last is padded.
const BYTES_AT_ONCE: usize = 384 << 10;
/// Lines that wait for whoever reads them.
const LINES_WAITING: usize = 8;
/// Rows that one statement of `on_export` may give for one id.
const RECORDS_MAX: usize = 1_000;
/// How long one may take.
const RECORDS_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a person cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A file cannot be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A statement of a flow was refused.
    #[error("`{statement}` of `on_export`: {reason}")]
    Statement {
        /// Which.
        statement: String,
        /// Why.
        reason: String,
    },
    /// Nobody reads it any more.
    #[error("nobody reads it any more")]
    Left,
}

/// Who shows people what is kept of them; cheap to clone.
#[derive(Clone)]
pub struct Exporter {
    store: Store,
    vault: Vault,
    /// What the business's own tables hold of a person.
    statements: Arc<[String]>,
}

/// An export that has begun.
pub struct Export {
    exporter: Exporter,
    place: Place,
    records: Vec<Line>,
}

/// The lines of an export, each with its line break; the last may be why there are no more.
pub type Lines = mpsc::Receiver<Result<Vec<u8>, Trouble>>;

impl Exporter {
    /// One that reads this store and these files, and runs the `statements` of the flows.
    #[must_use]
    pub fn new(store: Store, vault: Vault, statements: Arc<[String]>) -> Self {
        Self { store, vault, statements }
    }

    /// Finds this person, and what the business's own tables hold of them; `None` when there is no such person.
    ///
    /// # Errors
    /// When the store cannot be read, or refuses a statement of a flow.
    pub async fn begin(&self, contact: ContactId) -> Result<Option<Export>, Trouble> {
        let Some(place) = self.store.place_of(contact).await? else { return Ok(None) };
        let mut records = Vec::new();
        for statement in self.statements.iter() {
            let refused = |reason| Trouble::Statement { statement: statement.clone(), reason };
            for id in &place.ids {
                let params = BTreeMap::from([("person".to_owned(), Value::from(id.clone()))]);
                let rows = self.store.query(statement, &params, RECORDS_MAX + 1, RECORDS_TIMEOUT).await;
                let rows = rows.map_err(refused)?;
                if rows.len() > RECORDS_MAX {
                    return Err(refused(format!("more than {RECORDS_MAX} rows")));
                }
                records.extend(rows.into_iter().map(|row| Line { kind: "record", row }));
            }
        }
        Ok(Some(Export { exporter: self.clone(), place, records }))
    }
}

impl Export {
    /// Whom it is of: where they turned out to be another one, that one.
    #[must_use]
    pub fn contact(&self) -> ContactId {
        self.place.contact
    }

    /// Reads the rest as fast as the lines are taken: there are never more than a few of them in memory.
    #[must_use]
    pub fn lines(self) -> Lines {
        let (out, lines) = mpsc::channel(LINES_WAITING);
        tokio::spawn(async move {
            let mut writer = Writer { out, lines: 0 };
            if let Err(trouble) = self.write(&mut writer).await {
                tracing::warn!(%trouble, "an export was cut off");
                // Whoever reads it may be gone.
                let _ = writer.out.send(Err(trouble)).await;
            }
        });
        lines
    }

    async fn write(self, writer: &mut Writer) -> Result<(), Trouble> {
        let Self { exporter: Exporter { store, vault, .. }, place, records } = self;
        let now = jiff::Timestamp::from_millisecond(store.clock().now()).unwrap_or_default();
        writer
            .line("export", &json!({"format": FORMAT, "id": place.contact, "at": format!("{now:.3}")}))
            .await?;
        for part in Part::ALL {
            let mut after = 0;
            loop {
                let (lines, next) = store.export_part(&place, part, after).await?;
                for line in lines {
                    let file = (line.kind == "file").then(|| line.row.clone());
                    writer.line(line.kind, &line.row.into()).await?;
                    if let Some(file) = file {
                        writer.bytes(&vault, &file).await?;
                    }
                }
                let Some(next) = next else { break };
                after = next;
            }
        }
        for Line { kind, row } in records {
            writer.line(kind, &row.into()).await?;
        }
        let count = writer.lines;
        writer.line("end", &json!({"lines": count})).await
    }
}

/// Writes lines, and counts them.
struct Writer {
    out: mpsc::Sender<Result<Vec<u8>, Trouble>>,
    lines: u64,
}

impl Writer {
    async fn line(&mut self, kind: &str, row: &Value) -> Result<(), Trouble> {
        let mut line = json!({"kind": kind, "row": row}).to_string().into_bytes();
        line.push(b'\n');
        self.out.send(Ok(line)).await.map_err(|_| Trouble::Left)?;
        self.lines += 1;
        Ok(())
    }

    /// The content of a file, part by part; nothing where it was never fetched.
    async fn bytes(&mut self, vault: &Vault, file: &Map<String, Value>) -> Result<(), Trouble> {
        let Some(sha256) = file.get("sha256").and_then(Value::as_str) else { return Ok(()) };
        let Some(mut bytes) = vault.read(sha256, None).await? else { return Ok(()) };
        let id = file.get("id").cloned().unwrap_or_default();
        let (mut part, mut waiting) = (0, Vec::with_capacity(BYTES_AT_ONCE));
        loop {
            let chunk = bytes.try_next().await?;
            let is_last = chunk.is_none();
            waiting.extend(chunk.unwrap_or_default());
            while waiting.len() >= BYTES_AT_ONCE || (is_last && !waiting.is_empty()) {
                let now: Vec<u8> = waiting.drain(..waiting.len().min(BYTES_AT_ONCE)).collect();
                let row = json!({"file": id, "part": part, "base64": BASE64.encode(&now)});
                self.line("bytes", &row).await?;
                part += 1;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}
