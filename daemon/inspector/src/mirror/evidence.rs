//! What a log did that no honest log does, kept as it was signed.

use super::{Mirror, UpdateError};
use crate::durable;
use psdd_wire::checkpoint::Checkpoint;
use std::fmt::Write;
use std::path::PathBuf;

impl Mirror {
    /// Keeps both signed checkpoints. The name says what they show, so that the same misbehaviour is kept once.
    pub(super) fn keep_evidence(
        &self,
        what: &str,
        newest: &Checkpoint,
        note: &str,
        explained: &str,
    ) -> Result<PathBuf, UpdateError> {
        let mut text = String::new();
        let seen = self.newest.as_ref();
        let written = (|| {
            writeln!(text, "{explained}\n")?;
            writeln!(text, "Log key (SPKI, hex): {}\n", hex(&self.pin.log_spki))?;
            if let Some(seen) = seen {
                writeln!(text, "Signed and seen before:\n\n{}", seen.note)?;
            }
            writeln!(text, "Signed and given now:\n\n{note}")
        })();
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        let size = seen.map_or(0, |seen| seen.checkpoint.size);
        let name = format!("{what}-{size}-{}-{}.txt", newest.size, hex(newest.root.get(..8).unwrap_or_default()));
        let path = self.directory.join("evidence").join(name);
        durable::write(&path, text.as_bytes())?;
        Ok(path)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
