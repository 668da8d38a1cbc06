//! Certified keys as people see them, their revocation, and the numbers of revocation lists.
//!
//! A revocation is a record: it is made once, and its first time and reason stay. A hold is none: trust ends for good.

use super::fault::Fault;
use super::rows::{column, parsed, unsigned};
use super::{Books, Entry};
use psd::custody::RevocationReason;
use psd::key::Role;
use psd::{PsdId, UnixMillis};

/// Why and since when a key is revoked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyRevocation {
    /// When it was revoked.
    pub since: UnixMillis,
    /// Why.
    pub reason: RevocationReason,
    /// Since when the key may be in other hands (RFC 5280 §5.3.2), where that is known.
    pub invalid_since: Option<UnixMillis>,
}

/// A certified key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertifiedView {
    /// Serial number of its certificate.
    pub serial: u32,
    /// The PSD.
    pub psd: PsdId,
    /// The role, as its certificate has it.
    pub role: String,
    /// The generation.
    pub generation: u8,
    /// Its certificate, DER.
    pub der: Vec<u8>,
    /// When it was issued.
    pub issued: UnixMillis,
    /// Whether no later generation is certified.
    pub newest: bool,
    /// Whether, since when and why it is revoked.
    pub revocation: Option<KeyRevocation>,
}

/// The key that is to be revoked.
#[derive(Clone, Copy, Debug)]
pub struct Revoke {
    /// The PSD.
    pub psd: PsdId,
    /// The role.
    pub role: Role,
    /// The generation; the newest where none is named.
    pub generation: Option<u8>,
    /// Why.
    pub reason: RevocationReason,
    /// Since when the key may be in other hands.
    pub invalid_since: Option<UnixMillis>,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revoked {
    /// Serial number of the certificate.
    pub serial: u32,
    /// The generation.
    pub generation: u8,
    /// What stands in the books.
    pub revocation: KeyRevocation,
    /// Whether it stood there before; nothing was changed then.
    pub repeated: bool,
}

/// Why nothing was revoked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RevokeError {
    /// No such key.
    #[error("no {role} key of {psd}{} is certified here; `psdctl authority keys` lists all", generation_text(*.generation))]
    Unknown {
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: Role,
        /// The generation asked for.
        generation: Option<u8>,
    },
    /// It cannot have been lost later than it was revoked.
    #[error("the key cannot have come into other hands at {0}, which is yet to come")]
    InvalidityAhead(UnixMillis),
}

fn generation_text(generation: Option<u8>) -> String {
    generation.map(|generation| format!(" of generation {generation}")).unwrap_or_default()
}

/// Whose list it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CrlIssuer {
    /// The CA of PSD keys.
    PsdCa,
    /// The root, for its subordinates.
    Root,
}

impl CrlIssuer {
    const fn as_str(self) -> &'static str {
        match self {
            CrlIssuer::PsdCa => "psd-ca",
            CrlIssuer::Root => "root",
        }
    }
}

/// A list that was signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredList {
    /// Its number (RFC 5280 §5.2.3); it rises.
    pub number: u64,
    /// How many certificates it names.
    pub revoked: usize,
    /// By when there is a newer one.
    pub next_update: UnixMillis,
    /// The list, DER.
    pub der: Vec<u8>,
}

impl Books {
    /// Revokes a key. The same key again changes nothing: the first reason stays.
    pub fn revoke_key(&mut self, order: &Revoke, now: UnixMillis) -> Result<Result<Revoked, RevokeError>, Fault> {
        if let Some(ahead) = order.invalid_since.filter(|since| *since > now) {
            return Ok(Err(RevokeError::InvalidityAhead(ahead)));
        }
        self.enter(|entry| {
            let Revoke { psd, role, generation, reason, invalid_since } = *order;
            let mut keys = entry.certified(Some(psd))?.into_iter().filter(|key| key.role == role.to_string());
            let found = keys.rfind(|key| generation.is_none_or(|wanted| wanted == key.generation));
            let Some(key) = found else { return Ok(Err(RevokeError::Unknown { psd, role, generation })) };
            let (serial, generation) = (key.serial, key.generation);
            if let Some(revocation) = key.revocation {
                return Ok(Ok(Revoked { serial, generation, revocation, repeated: true }));
            }
            let invalid = invalid_since.map(|since| column(since.0)).transpose()?;
            entry.write(
                "INSERT INTO revocation (serial, time, reason, invalid_since) VALUES (?1, ?2, ?3, ?4)",
                (serial, column(now.0)?, reason.number(), invalid),
            )?;
            let revocation = KeyRevocation { since: now, reason, invalid_since };
            Ok(Ok(Revoked { serial, generation, revocation, repeated: false }))
        })
    }

    /// Every certified key, of one PSD or of all, by PSD, role and generation.
    pub fn certified_keys(&mut self, psd: Option<PsdId>) -> Result<Vec<CertifiedView>, Fault> {
        self.enter(|entry| entry.certified(psd))
    }

    /// Takes the next number for a list, has it signed with what is revoked, and keeps it: number and list are durable when given out.
    pub fn store_list<E>(
        &mut self,
        issuer: CrlIssuer,
        (now, next_update): (UnixMillis, UnixMillis),
        sign: impl FnOnce(u64, &[(u32, KeyRevocation)]) -> Result<Vec<u8>, E>,
    ) -> Result<Result<StoredList, E>, Fault> {
        self.enter(|entry| {
            let revoked: Vec<(u32, KeyRevocation)> = match issuer {
                CrlIssuer::PsdCa => {
                    let keys = entry.certified(None)?.into_iter();
                    keys.filter_map(|key| Some((key.serial, key.revocation?))).collect()
                }
                // None of its subordinates can be revoked here: that takes a new authority.
                CrlIssuer::Root => Vec::new(),
            };
            let sql = "SELECT coalesce(max(number), 0) + 1 FROM crl WHERE issuer = ?1";
            let number: i64 = entry.value(sql, [issuer.as_str()])?;
            let der = match sign(unsigned(number)?, &revoked) {
                Ok(der) => der,
                Err(error) => return Ok(Err(error)),
            };
            entry.write(
                "INSERT INTO crl (issuer, number, time, next_update, der) VALUES (?1, ?2, ?3, ?4, ?5)",
                (issuer.as_str(), number, column(now.0)?, column(next_update.0)?, &der),
            )?;
            Ok(Ok(StoredList { number: unsigned(number)?, revoked: revoked.len(), next_update, der }))
        })
    }
}

impl Entry<'_> {
    pub(super) fn certified(&self, psd: Option<PsdId>) -> Result<Vec<CertifiedView>, Fault> {
        let sql = "SELECT serial, psd, role, generation, der, issued, time, reason, invalid_since,
                       generation = max(generation) OVER (PARTITION BY psd, role)
                   FROM certificate LEFT JOIN revocation USING (serial) WHERE ?1 IS NULL OR psd = ?1
                   ORDER BY psd, role, generation";
        let rows = self.all(sql, [psd.map(|psd| psd.to_string())], |row| {
            let key = (row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            let revocation: (Option<i64>, Option<u8>, Option<i64>) = (row.get(6)?, row.get(7)?, row.get(8)?);
            Ok((key, row.get::<_, i64>(5)?, revocation, row.get::<_, bool>(9)?))
        })?;
        let view = |((serial, psd, role, generation, der), issued, revocation, newest): (_, _, _, _)| {
            let psd: String = psd;
            let (psd, issued) = (parsed(&psd)?, UnixMillis(unsigned(issued)?));
            let revocation = read_revocation(revocation)?;
            Ok(CertifiedView { serial, psd, role, generation, der, issued, newest, revocation })
        };
        rows.into_iter().map(view).collect()
    }
}

fn read_revocation(row: (Option<i64>, Option<u8>, Option<i64>)) -> Result<Option<KeyRevocation>, Fault> {
    let (Some(since), Some(number), invalid) = row else { return Ok(None) };
    let reason = RevocationReason::from_number(number);
    let reason = reason.ok_or_else(|| Fault::broken(format!("{number} is no reason of a revocation")))?;
    let invalid_since = invalid.map(unsigned).transpose()?.map(UnixMillis);
    Ok(Some(KeyRevocation { since: UnixMillis(unsigned(since)?), reason, invalid_since }))
}
