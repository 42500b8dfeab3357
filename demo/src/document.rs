//! A text document over the CRDT `yrs`.
//!
//! Job: turn the patches of one transaction into one update, and merge the updates
//! of others. Owns the replica. Must not know traces' order, agents or the network.
//!
//! Positions are Unicode code points outside and UTF-16 units inside: that is how
//! the CRDT counts its clocks anyway (as Yjs does in JavaScript).

use yrs::updates::decoder::Decode;
use yrs::{
    ClientID, Doc, GetString, OffsetKind, Options, ReadTxn, Text, TextRef, Transact, Update,
};

use super::txn::Patch;

#[cfg(test)]
mod tests;

/// Name of the one shared text in the document; all replicas must use the same.
const TEXT_NAME: &str = "text";

/// Client identifier of replicas that never write. Writers have their agent's
/// number plus one, which stays below 2^33.
const READER_CLIENT: u64 = 1 << 40;

/// Why a document refused a patch or an update; none of these is temporary.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// A patch reaches outside the text; the document is unchanged.
    #[error("patch {patch} deletes {del} at {pos}, but the text has {len} code points")]
    OutOfRange {
        /// Index of the patch in its transaction.
        patch: usize,
        /// Its position, in code points.
        pos: usize,
        /// How many code points it deletes.
        del: usize,
        /// Length of the text before this patch, in code points.
        len: usize,
    },
    /// The bytes are not an update.
    #[error("the update cannot be decoded")]
    Decode(#[source] yrs::encoding::read::Error),
    /// The update contradicts the document.
    #[error("the update cannot be applied")]
    Apply(#[source] yrs::error::UpdateError),
}

/// One replica of the shared text.
pub struct Document {
    doc: Doc,
    text: TextRef,
    /// The text as code points, to translate positions. Local patches keep it up
    /// to date; a remote update makes it unknown, and it is rendered again when
    /// next needed. What [`Document::text`] returns never comes from here.
    rendered: Option<Vec<char>>,
}

impl Document {
    /// An empty replica that `agent` writes to. No two replicas of one document
    /// may have the same agent: their updates would be taken for each other's.
    pub fn new(agent: u32) -> Self {
        Self::with_client(u64::from(agent) + 1)
    }

    /// An empty replica that only merges the updates of others.
    pub fn reader() -> Self {
        Self::with_client(READER_CLIENT)
    }

    fn with_client(client: u64) -> Self {
        let mut options = Options::with_client_id(ClientID::new(client));
        options.offset_kind = OffsetKind::Utf16;
        // Plain text: there are no formatting marks to look for.
        options.cleanup_formatting = false;
        let doc = Doc::with_options(options);
        let text = doc.get_or_insert_text(TEXT_NAME);
        Self {
            doc,
            text,
            rendered: None,
        }
    }

    /// Applies the patches of one transaction in order and returns them as one
    /// update (v1 encoding), to be given to every other replica. All or nothing.
    ///
    /// # Errors
    /// [`DocumentError::OutOfRange`] names the patch.
    pub fn apply_local(&mut self, patches: &[Patch]) -> Result<Vec<u8>, DocumentError> {
        let text = &self.text;
        let chars = self
            .rendered
            .get_or_insert_with(|| render(&self.doc, text).chars().collect());
        check_ranges(patches, chars.len())?;
        let mut transaction = self.doc.transact_mut();
        for Patch { pos, del, ins } in patches {
            let at = utf16_units(&chars[..*pos]);
            let units = utf16_units(&chars[*pos..*pos + *del]);
            if units > 0 {
                text.remove_range(&mut transaction, at, units);
            }
            text.insert(&mut transaction, at, ins);
            chars.splice(*pos..*pos + *del, ins.chars());
        }
        Ok(transaction.encode_update_v1())
    }

    /// Merges an update of another replica. Applying one twice changes nothing; one
    /// that comes before what it builds on is kept aside until that has come
    /// ([`Document::is_waiting`]).
    ///
    /// # Errors
    /// [`DocumentError::Decode`] and [`DocumentError::Apply`].
    pub fn apply_remote(&mut self, update: &[u8]) -> Result<(), DocumentError> {
        let update = Update::decode_v1(update).map_err(DocumentError::Decode)?;
        self.rendered = None;
        let mut transaction = self.doc.transact_mut();
        transaction
            .apply_update(update)
            .map_err(DocumentError::Apply)
    }

    /// Whether an update is kept aside because one that it builds on is missing.
    pub fn is_waiting(&self) -> bool {
        self.doc.transact().has_missing_updates()
    }

    /// The text as the CRDT has it.
    pub fn text(&self) -> String {
        render(&self.doc, &self.text)
    }
}

fn render(doc: &Doc, text: &TextRef) -> String {
    text.get_string(&doc.transact())
}

fn check_ranges(patches: &[Patch], mut len: usize) -> Result<(), DocumentError> {
    for (patch, &Patch { pos, del, ref ins }) in patches.iter().enumerate() {
        if pos.checked_add(del).is_none_or(|end| end > len) {
            return Err(DocumentError::OutOfRange {
                patch,
                pos,
                del,
                len,
            });
        }
        len = len - del + ins.chars().count();
    }
    Ok(())
}

fn utf16_units(chars: &[char]) -> u32 {
    chars.iter().map(|char| char.len_utf16() as u32).sum()
}
