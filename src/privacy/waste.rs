//! Contents that no file has any more go from where bytes are kept.

use super::erase::Trouble;
use crate::media::vault::Vault;
use crate::store::Store;

/// Removes all of them.
///
/// # Errors
/// When the store or the place of the files refuses: what is left goes the next time.
pub(super) async fn clear(store: &Store, vault: &Vault) -> Result<(), Trouble> {
    loop {
        let waste = store.media_waste().await?;
        if waste.is_empty() {
            return Ok(());
        }
        for sha256 in waste {
            vault.remove(&sha256).await?;
            store.media_wasted(sha256).await?;
        }
    }
}
