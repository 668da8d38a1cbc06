//! Making a key, and taking over one that an interrupted step had made and no record knows.

use super::{ConsoleError, TOKEN_PATIENCE};
use psd::key::{Algorithm, Residence, Role};
use psdd_hsm::link::{CallError, Generated, Link};
use psdd_hsm::protocol::{FoundKey, KEY_EXISTS};
use std::time::Duration;

/// How long a key may take.
const KEY_PATIENCE: Duration = Duration::from_secs(60);

/// What key is wanted.
pub(crate) struct WantedKey<'w> {
    /// What it signs.
    pub(crate) role: Role,
    /// How.
    pub(crate) algorithm: Algorithm,
    /// CKA_ID.
    pub(crate) key_id: &'w [u8],
    /// CKA_LABEL.
    pub(crate) label: &'w str,
    /// Where its private half is kept.
    pub(crate) residence: Residence,
}

/// Makes a key and gives its public half, SPKI DER. Where a step that was interrupted had made it, and no record knows it yet, it is
/// taken over: it is searched for in the token itself, not in what the token said of its keys when its worker connected, and must have the
/// same CKA_ID, label, role and algorithm, and be fit to be used.
///
/// # Errors
///
/// [`ConsoleError::UnfitKey`] for another key under its CKA_ID; [`ConsoleError::Token`] as the token fails.
pub(crate) fn make_key(link: &Link, token: &str, wanted: &WantedKey<'_>) -> Result<Generated, ConsoleError> {
    let on_token = |source| ConsoleError::Token { token: token.to_owned(), source };
    let WantedKey { role, algorithm, key_id, label, residence } = *wanted;
    link.blocking().wait_up(TOKEN_PATIENCE).map_err(on_token)?;
    match link.blocking().generate(role, algorithm, key_id, label, residence, KEY_PATIENCE) {
        Err(CallError::Failed(fault)) if fault.code == KEY_EXISTS => {}
        made => return made.map_err(on_token),
    }
    let found = link.blocking().find(key_id, KEY_PATIENCE).map_err(on_token)?;
    let unfit = |problem| ConsoleError::UnfitKey { token: token.to_owned(), key: label.to_owned(), problem };
    let taken_over = judge(found, wanted).map_err(unfit)?;
    tracing::info!(token, key = label, "a key that was made before its record is taken over");
    Ok(taken_over)
}

/// Whether what was found is what is wanted; why not, in words.
fn judge(found: Option<FoundKey>, wanted: &WantedKey<'_>) -> Result<Generated, String> {
    let Some(FoundKey { entry, label }) = found else {
        return Err("it is kept wrapped, under another record".to_owned());
    };
    if let Some(problem) = entry.unusable {
        return Err(problem);
    }
    if (entry.role, entry.algorithm) != (wanted.role, wanted.algorithm) {
        return Err(format!("it is a {} key of {}", entry.role, entry.algorithm));
    }
    if label != wanted.label {
        return Err(format!("its label is {label:?}"));
    }
    match wanted.residence {
        Residence::Resident => Ok(Generated { spki: entry.spki, wrapped: None }),
        Residence::Wrapped => Err("it is an object of the token".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use psdd_hsm::protocol::KeyEntry;

    #[test]
    fn only_the_very_key_that_is_wanted_is_taken_over() {
        let wanted = WantedKey {
            role: Role::Device,
            algorithm: Algorithm::EcdsaP256,
            key_id: &[4, 1],
            label: "device PS010000001 1",
            residence: Residence::Resident,
        };
        let entry = KeyEntry {
            key_id: vec![4, 1],
            role: Role::Device,
            algorithm: Algorithm::EcdsaP256,
            spki: vec![7],
            unusable: None,
        };
        let found = |entry: &KeyEntry, label: &str| Some(FoundKey { entry: entry.clone(), label: label.to_owned() });
        let label = wanted.label;
        assert_eq!(judge(found(&entry, label), &wanted), Ok(Generated { spki: vec![7], wrapped: None }));
        let unusable = KeyEntry { unusable: Some("it is extractable".to_owned()), ..entry.clone() };
        let curve = KeyEntry { algorithm: Algorithm::EcdsaP384, ..entry.clone() };
        for (refused, reason) in [
            (None, "kept wrapped"),
            (found(&unusable, label), "extractable"),
            (found(&curve, label), "it is a device key of"),
            (found(&entry, "device PS010000001 2"), "its label is"),
        ] {
            let why = judge(refused, &wanted).expect_err(reason);
            assert!(why.contains(reason), "{why}");
        }
        let wrapped = WantedKey { residence: Residence::Wrapped, ..wanted };
        assert_eq!(judge(found(&entry, label), &wrapped), Err("it is an object of the token".to_owned()));
    }
}
