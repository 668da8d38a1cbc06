//! Numbers of signed instructions: each key counts for each appliance, and a number is used up before its instruction exists.

use super::Books;
use super::fault::Fault;
use super::rows::{column, unsigned};
use psd::{ApplianceId, UnixMillis};

/// An instruction to be numbered, signed and kept.
#[derive(Clone, Debug)]
pub struct StoredInstruction<'a> {
    /// Which key signs: `funds`, `inspection` or `policy`.
    pub purpose: &'a str,
    /// The appliance it is for.
    pub appliance: &'a ApplianceId,
    /// `lock`, `unlock` or `ceiling`.
    pub act: &'a str,
    /// The PSD or the licence.
    pub subject: &'a str,
    /// When it ends.
    pub expires: UnixMillis,
}

impl Books {
    /// Takes the next number, has the instruction signed with it, and keeps it. Number and bytes are durable when they are given out.
    pub fn instruct(
        &mut self,
        instruction: &StoredInstruction<'_>,
        now: UnixMillis,
        sign: impl FnOnce(u64) -> Result<Vec<u8>, Fault>,
    ) -> Result<(u64, Vec<u8>), Fault> {
        let StoredInstruction { purpose, appliance, act, subject, expires } = instruction;
        self.enter(|entry| {
            let sql = "SELECT coalesce(max(sequence), 0) + 1 FROM instruction WHERE purpose = ?1 AND appliance = ?2";
            let sequence: i64 = entry.value(sql, (purpose, appliance.as_str()))?;
            let bytes = sign(unsigned(sequence)?)?;
            entry.write(
                "INSERT INTO instruction (purpose, appliance, sequence, act, subject, time, expires, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (purpose, appliance.as_str(), sequence, act, subject, column(now.0)?, column(expires.0)?, &bytes),
            )?;
            Ok((unsigned(sequence)?, bytes))
        })
    }
}
