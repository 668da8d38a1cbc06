//! Words of the wire for what the state of a PSD holds. Written anew here: the daemon's own hand is what is judged.

use psd::State;
use psd::device::CertifiedKey;
use psd::rotation::successor;
use psdd_wire::status::KeyState;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// Where a key stands; of several things, what binds most. And since when, milliseconds since 1970.
pub(super) fn standing(state: &State, certified: &CertifiedKey) -> (KeyState, u64) {
    let life = &certified.life;
    if let Some(revoked) = life.revoked {
        return (KeyState::Revoked, revoked.since.0);
    }
    if let Some(at) = life.destroyed {
        return (KeyState::Destroyed, at.0);
    }
    if let Some(at) = life.retired {
        return (KeyState::Retired, at.0);
    }
    let Some(activated) = life.activated else {
        let state = if certified.is_certified() { KeyState::Certified } else { KeyState::Created };
        return (state, life.created.0);
    };
    if state.key_in_use(certified.key.role).is_some_and(|used| used.key.key_id == certified.key.key_id) {
        return (KeyState::Active, activated.at.0);
    }
    (KeyState::Superseded, successor(state, certified).map_or(life.created, |next| next.at).0)
}

/// The last instant of all certificates of a chain; `None` without any, or where one is none.
pub(crate) fn end_of<D: AsRef<[u8]>>(chain: &[D]) -> Option<u64> {
    let end = |der: &D| {
        let certificate = Certificate::from_der(der.as_ref()).ok()?;
        u64::try_from(certificate.tbs_certificate().validity().not_after.to_unix_duration().as_millis()).ok()
    };
    let ends: Option<Vec<u64>> = chain.iter().map(end).collect();
    ends?.into_iter().min()
}

/// Where a key stands, in a word.
pub(crate) const fn state_word(state: KeyState) -> &'static str {
    match state {
        KeyState::Created => "created",
        KeyState::Certified => "certified",
        KeyState::Active => "in use",
        KeyState::Superseded => "superseded",
        KeyState::Retired => "retired",
        KeyState::Destroyed => "destroyed",
        KeyState::Revoked => "revoked",
    }
}
