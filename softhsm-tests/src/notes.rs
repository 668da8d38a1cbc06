//! What clients saw, one JSON object a line, as the checker reads it (`softhsm-tests/python/psdd_checker/clientnotes.py`).

use psd::{PieceKey, PsdId};
use psdd_client::{SignedPiece, ValueAppliedResponse, ValueVoidedResponse};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A file of notes; any thread may add to it.
pub struct Notes {
    path: PathBuf,
    file: Mutex<BufWriter<File>>,
}

impl Notes {
    /// An empty one.
    pub fn create(path: PathBuf) -> Self {
        let file = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, file: Mutex::new(BufWriter::new(file)) }
    }

    /// Its path, with all notes so far in the file.
    pub fn path(&self) -> &Path {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush().expect("notes");
        &self.path
    }

    /// A piece came back signed.
    pub fn signed(&self, tenant: &str, piece: &SignedPiece) {
        let registers = &piece.registers;
        self.add(&json!({
            "kind": "signed", "tenant": tenant, "key": hex(&piece.key), "leaf": piece.leaf, "psd": piece.psd.to_string(),
            "sequence": piece.sequence, "indicium": hex(&piece.indicium), "time": piece.time,
            "registers": {
                "pieces": registers.pieces, "ascending": registers.ascending.to_string(),
                "descending": registers.descending.to_string(), "control_total": registers.control_total.to_string(),
            },
        }));
    }

    /// A piece was refused for good: unless another note says that it was signed, it must not be in the ledger.
    pub fn refused(&self, tenant: &str, key: PieceKey, code: &str) {
        self.add(&json!({ "kind": "refused", "tenant": tenant, "key": hex(key.as_bytes()), "code": code }));
    }

    /// A piece met a fault and may be tried again.
    pub fn fault(&self, tenant: &str, key: PieceKey, code: &str) {
        self.add(&json!({ "kind": "fault", "tenant": tenant, "key": hex(key.as_bytes()), "code": code }));
    }

    /// A value download was applied.
    pub fn value_applied(&self, psd: PsdId, told: &ValueAppliedResponse) {
        let (sequence, leaf, amount) = (told.sequence, told.leaf, told.amount.to_string());
        self.add(&json!({
            "kind": "value-applied", "psd": psd.to_string(), "sequence": sequence, "leaf": leaf, "amount": amount,
        }));
    }

    /// A value download was given up.
    pub fn value_voided(&self, psd: PsdId, told: &ValueVoidedResponse) {
        let (sequence, leaf, amount) = (told.sequence, told.leaf, told.amount.to_string());
        self.add(&json!({
            "kind": "value-voided", "psd": psd.to_string(), "sequence": sequence, "leaf": leaf, "amount": amount,
        }));
    }

    /// A checkpoint came with an answer.
    pub fn checkpoint(&self, note: &str) {
        self.add(&json!({ "kind": "checkpoint", "note": note }));
    }

    fn add(&self, note: &Value) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{note}").expect("notes");
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
