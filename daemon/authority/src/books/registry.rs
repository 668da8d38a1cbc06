//! PSDs and their certified keys, serial numbers of certificates, clients of the funds system.

use super::account::Account;
use super::fault::Fault;
use super::rows::{column, parsed, unsigned};
use super::{Books, Entry};
use crate::decide::MarkKey;
use psd::key::Role;
use psd::{ApplianceId, LicenceNumber, PsdId, UnixMillis};
use psdd_wire::spki::PublicKey;

/// Serial numbers below are free for tests and ceremonies.
const FIRST_SERIAL: i64 = 1000;

/// A key of a PSD that asks for a certificate.
#[derive(Clone, Debug)]
pub struct PsdKey {
    /// The PSD.
    pub psd: PsdId,
    /// What the key signs: indicia, certifications of corrected mail, or statements of value.
    pub role: Role,
    /// Its generation, from 1 on; the last byte of its CKA_ID.
    pub generation: u8,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
}

/// A device key that was certified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceKey {
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// Since when it is revoked.
    pub revoked: Option<UnixMillis>,
}

/// What became of a key's request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Registered {
    /// Its certificate is new, with this serial number.
    New(u32, Vec<u8>),
    /// It was certified before; this is the certificate.
    Known(u32, Vec<u8>),
}

/// Why a key is not certified.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegisterError {
    /// No such licence.
    #[error("there is no licence {0}; `psdctl authority licence add` makes one")]
    UnknownLicence(LicenceNumber),
    /// The PSD belongs elsewhere.
    #[error("{psd} is registered for appliance {appliance} under licence {licence}")]
    Elsewhere {
        /// The PSD.
        psd: PsdId,
        /// Its appliance.
        appliance: String,
        /// Its licence.
        licence: String,
    },
    /// Another PSD, or another role, has the key.
    #[error("the {role} key of {psd} is certified for {other} already; a key has one PSD and one role")]
    KeyTaken {
        /// The PSD.
        psd: PsdId,
        /// The role asked for.
        role: Role,
        /// Whose it is.
        other: String,
    },
    /// The PSD has a key of this role.
    #[error("{psd} has a certified {role} key; a further one is certified with --renew only")]
    HasKey {
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: Role,
    },
    /// A generation that is past.
    #[error("{psd} has {role} keys up to generation {last}; the next is a later one, not {asked}")]
    Generation {
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: Role,
        /// The last generation certified.
        last: u8,
        /// The generation asked for.
        asked: u8,
    },
    /// Strength would fall.
    #[error("the {role} key of {psd} is on {asked}, its predecessor on {before}: strength never falls")]
    Weaker {
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: Role,
        /// What the key is.
        asked: &'static str,
        /// What its predecessor is.
        before: &'static str,
    },
    /// The certificate of this very key was revoked.
    #[error("the {role} key of {psd} was certified and is revoked since {since}; a revoked key is not certified again")]
    Revoked {
        /// The PSD.
        psd: PsdId,
        /// The role.
        role: Role,
        /// When.
        since: UnixMillis,
    },
    /// Value has left it.
    #[error("{0} is withdrawn; none of its keys is certified again")]
    Withdrawn(PsdId),
    /// PSDs sign indicia, certifications and statements.
    #[error("a {0} key is not certified here")]
    Role(Role),
    /// All serial numbers are used.
    #[error("every serial number of 32 bits is used; the CA must be replaced")]
    NoSerial,
}

/// A client of the funds system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientView {
    /// Serial number of its certificate.
    pub serial: u32,
    /// The appliance it speaks for.
    pub appliance: String,
    /// When it was issued.
    pub issued: UnixMillis,
    /// When it was revoked.
    pub revoked: Option<UnixMillis>,
}

impl Entry<'_> {
    /// Registers a key under a licence and gives its certificate: the one it has, or one that `issue` makes with a serial number that no
    /// certificate of the authority had before.
    pub fn certify<E: From<RegisterError>>(
        &self,
        key: &PsdKey,
        (appliance, licence): (&ApplianceId, &LicenceNumber),
        renew: bool,
        now: UnixMillis,
        issue: impl FnOnce(u32) -> Result<Vec<u8>, E>,
    ) -> Result<Result<Registered, E>, Fault> {
        let (psd, role) = (key.psd, key.role);
        let role_text = match role {
            Role::Indicium | Role::Certification | Role::Device => role.to_string(),
            Role::TokenMac | Role::PostalMac | Role::Log => return Ok(Err(RegisterError::Role(role).into())),
        };
        let known = self.known(key)?;
        if let Some(Err(error)) = known {
            return Ok(Err(error.into()));
        }
        if let Err(error) = self.place(psd, appliance, licence, now)? {
            return Ok(Err(error.into()));
        }
        if let Some(Ok(known)) = known {
            return Ok(Ok(known));
        }
        if let Err(error) = self.may_follow(key, renew)? {
            return Ok(Err(error.into()));
        }
        let next: i64 = self.value("SELECT coalesce(max(serial) + 1, ?1) FROM certificate", [FIRST_SERIAL])?;
        let Ok(serial) = u32::try_from(next) else { return Ok(Err(RegisterError::NoSerial.into())) };
        let der = match issue(serial) {
            Ok(der) => der,
            Err(error) => return Ok(Err(error)),
        };
        self.write(
            "INSERT INTO certificate (serial, psd, role, generation, spki, der, issued) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (serial, psd.to_string(), role_text, key.generation, &key.spki, &der, column(now.0)?),
        )?;
        Ok(Ok(Registered::New(serial, der)))
    }

    /// The certificate that this very key has, or why it gets no other.
    fn known(&self, key: &PsdKey) -> Result<Option<Result<Registered, RegisterError>>, Fault> {
        let sql = "SELECT serial, der, psd, role, generation, time FROM certificate LEFT JOIN revocation USING (serial)
                   WHERE spki = ?1";
        let known = self.one(sql, [&key.spki], |row| {
            let owner = (row.get::<_, String>(2)?, row.get::<_, String>(3)?, row.get::<_, u8>(4)?);
            Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?, owner, row.get::<_, Option<i64>>(5)?))
        })?;
        let Some((serial, der, (of, as_role, generation), revoked)) = known else { return Ok(None) };
        let (psd, role) = (key.psd, key.role);
        if of != psd.to_string() || as_role != role.to_string() || generation != key.generation {
            let other = format!("the {as_role} key of {of} of generation {generation}");
            return Ok(Some(Err(RegisterError::KeyTaken { psd, role, other })));
        }
        Ok(Some(match revoked {
            Some(since) => Err(RegisterError::Revoked { psd, role, since: UnixMillis(unsigned(since)?) }),
            None => Ok(Registered::Known(serial, der)),
        }))
    }

    /// Whether a new key may come after those certified for the same PSD and role.
    fn may_follow(&self, key: &PsdKey, renew: bool) -> Result<Result<(), RegisterError>, Fault> {
        let (psd, role, asked) = (key.psd, key.role, key.generation);
        let sql =
            "SELECT generation, spki FROM certificate WHERE psd = ?1 AND role = ?2 ORDER BY generation DESC LIMIT 1";
        let last = self.one(sql, (psd.to_string(), role.to_string()), |row| {
            Ok((row.get::<_, u8>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        let Some((last, before)) = last else { return Ok(Ok(())) };
        if !renew {
            return Ok(Err(RegisterError::HasKey { psd, role }));
        }
        if asked <= last {
            return Ok(Err(RegisterError::Generation { psd, role, last, asked }));
        }
        // What stands in the books was of a known kind when it was certified.
        let kind = |spki| PublicKey::of_spki(spki).map(|key| key.kind());
        Ok(match (kind(&before), kind(&key.spki)) {
            (Some(before), Some(asked)) if asked.strength_bits() < before.strength_bits() => {
                Err(RegisterError::Weaker { psd, role, asked: asked.name(), before: before.name() })
            }
            (_, None) => Err(RegisterError::Weaker { psd, role, asked: "no curve known", before: "one" }),
            (_, Some(_)) => Ok(()),
        })
    }

    /// The PSD under this licence on this appliance, made where it is new.
    fn place(
        &self,
        psd: PsdId,
        appliance: &ApplianceId,
        licence: &LicenceNumber,
        now: UnixMillis,
    ) -> Result<Result<(), RegisterError>, Fault> {
        if self.licence(licence)?.is_none() {
            return Ok(Err(RegisterError::UnknownLicence(licence.clone())));
        }
        let sql = "SELECT appliance, licence, standing FROM psd WHERE id = ?1";
        let found = self.one(sql, [psd.to_string()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?;
        match found {
            Some((found, under, standing)) if found == appliance.as_str() && under == licence.as_str() => {
                Ok(if standing == "open" { Ok(()) } else { Err(RegisterError::Withdrawn(psd)) })
            }
            Some((appliance, licence, _)) => Ok(Err(RegisterError::Elsewhere { psd, appliance, licence })),
            None => {
                self.write(
                    "INSERT INTO psd (id, licence, appliance, standing, registered) VALUES (?1, ?2, ?3, 'open', ?4)",
                    (psd.to_string(), licence.as_str(), appliance.as_str(), column(now.0)?),
                )?;
                self.open_account(&Account::Psd(psd)).map(Ok)
            }
        }
    }

    /// The certified device keys of a PSD, newest first; none where it is not registered.
    pub(crate) fn device_keys(&self, psd: PsdId) -> Result<Vec<DeviceKey>, Fault> {
        let sql = "SELECT spki, time FROM certificate LEFT JOIN revocation USING (serial)
                   WHERE psd = ?1 AND role = 'device' ORDER BY generation DESC";
        let rows = self.all(sql, [psd.to_string()], |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?)))?;
        let key = |(spki, revoked): (Vec<u8>, Option<i64>)| {
            Ok(DeviceKey { spki, revoked: revoked.map(unsigned).transpose()?.map(UnixMillis) })
        };
        rows.into_iter().map(key).collect()
    }

    /// The certified indicium keys of a PSD.
    pub(crate) fn mark_keys(&self, psd: PsdId) -> Result<Vec<MarkKey>, Fault> {
        let sql = "SELECT serial, spki, time, invalid_since FROM certificate LEFT JOIN revocation USING (serial)
                   WHERE psd = ?1 AND role = 'indicium'";
        let rows = self.all(sql, [psd.to_string()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<i64>>(2)?, row.get::<_, Option<i64>>(3)?))
        })?;
        let key = |(serial, spki, revoked, invalid): (u32, Vec<u8>, Option<i64>, Option<i64>)| {
            // The earlier of the two: whoever had the key may have signed since then.
            let until = revoked.into_iter().chain(invalid).min().map(unsigned).transpose()?.map(UnixMillis);
            Ok(MarkKey { serial, spki, trusted_until: until })
        };
        rows.into_iter().map(key).collect()
    }

    /// The appliance and the licence of a PSD.
    pub(crate) fn registration(&self, psd: PsdId) -> Result<Option<(ApplianceId, LicenceNumber)>, Fault> {
        let sql = "SELECT appliance, licence FROM psd WHERE id = ?1";
        let row = self.one(sql, [psd.to_string()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        row.map(|(appliance, licence)| Ok((parsed(&appliance)?, parsed(&licence)?))).transpose()
    }
}

impl Books {
    /// Takes the next serial number for a client's certificate.
    pub fn add_client(&mut self, appliance: &ApplianceId, now: UnixMillis) -> Result<u32, Fault> {
        self.enter(|entry| {
            let serial: u32 = entry.value("SELECT coalesce(max(serial), 99) + 1 FROM client", [])?;
            let row = (serial, appliance.as_str(), column(now.0)?);
            entry.write("INSERT INTO client (serial, appliance, issued) VALUES (?1, ?2, ?3)", row)?;
            Ok(serial)
        })
    }

    /// Notes that a client's certificate is revoked. Gives whether there is one of that serial number.
    pub fn revoke_client(&mut self, serial: u32, now: UnixMillis) -> Result<bool, Fault> {
        self.enter(|entry| {
            let sql = "UPDATE client SET revoked = coalesce(revoked, ?2) WHERE serial = ?1";
            Ok(entry.change(sql, (serial, column(now.0)?))? == 1)
        })
    }

    /// Every client.
    pub fn clients(&mut self) -> Result<Vec<ClientView>, Fault> {
        self.enter(|entry| {
            let rows =
                entry.all("SELECT serial, appliance, issued, revoked FROM client ORDER BY serial", [], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, Option<i64>>(3)?))
                })?;
            let time = |column| unsigned(column).map(UnixMillis);
            let view = |(serial, appliance, issued, revoked): (_, _, _, Option<i64>)| {
                Ok(ClientView { serial, appliance, issued: time(issued)?, revoked: revoked.map(time).transpose()? })
            };
            rows.into_iter().map(view).collect()
        })
    }
}
