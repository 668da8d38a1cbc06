//! What a ceremony does: one struct for each act, valid by construction.

mod appliance;
mod create_psds;
mod device;
mod key;
mod written;

pub use appliance::{
    Abandon, BackUp, Holder, InitialiseToken, Operators, RevokeAccount, RevokeClient, RevokeOperator, SplitPin,
};
pub use create_psds::{Certification, CreatePsds, MOST_PSDS, PSD_ROLES};
pub use device::{PsdAct, RevokePsd};
pub use key::{KeyGeneration, RevokeKey, RotateKey};
pub(super) use written::Written;

use psd::PsdId;

/// The one act of a ceremony.
#[derive(Clone, PartialEq, Debug)]
pub enum Act {
    /// New PSDs with their keys.
    CreatePsds(CreatePsds),
    /// The next generation of a key, now.
    RotateKey(RotateKey),
    /// A key that signs nothing from then on, and whose marks are judged by the time of revocation.
    RevokeKey(RevokeKey),
    /// A key that verifies and does not sign.
    RetireKey(KeyGeneration),
    /// A private key that is destroyed in the token.
    DestroyKey(KeyGeneration),
    /// Another list of operators, or another quorum.
    Operators(Operators),
    /// An operator whose approvals count no more.
    RevokeOperator(RevokeOperator),
    /// A PSD that never signs again.
    RevokePsd(RevokePsd),
    /// A vendor's client that is let in no more.
    RevokeClient(RevokeClient),
    /// A tenant with all its clients.
    RevokeAccount(RevokeAccount),
    /// The operators' lock, set.
    Lock(PsdAct),
    /// The operators' lock, cleared.
    Unlock(PsdAct),
    /// A PSD whose keys are destroyed and whose life ends.
    Scrap(PsdAct),
    /// A copy of the ledger.
    BackUp(BackUp),
    /// A token made ready for keys.
    InitialiseToken(InitialiseToken),
    /// A token's PIN split among holders.
    SplitPin(SplitPin),
    /// An interrupted ceremony that is given up.
    Abandon(Abandon),
}

impl Act {
    /// The name of its table in the file.
    pub const fn table(&self) -> &'static str {
        match self {
            Act::CreatePsds(_) => "create-psds",
            Act::RotateKey(_) => "rotate-key",
            Act::RevokeKey(_) => "revoke-key",
            Act::RetireKey(_) => "retire-key",
            Act::DestroyKey(_) => "destroy-key",
            Act::Operators(_) => "operators",
            Act::RevokeOperator(_) => "revoke-operator",
            Act::RevokePsd(_) => "revoke-psd",
            Act::RevokeClient(_) => "revoke-client",
            Act::RevokeAccount(_) => "revoke-account",
            Act::Lock(_) => "lock",
            Act::Unlock(_) => "unlock",
            Act::Scrap(_) => "scrap",
            Act::BackUp(_) => "back-up",
            Act::InitialiseToken(_) => "initialise-token",
            Act::SplitPin(_) => "split-pin",
            Act::Abandon(_) => "abandon",
        }
    }

    /// The PSDs it touches or makes.
    pub fn psds(&self) -> Vec<PsdId> {
        match self {
            Act::CreatePsds(act) => act.groups.iter().flat_map(|group| group.psds.iter().copied()).collect(),
            Act::RotateKey(act) => vec![act.psd],
            Act::RevokeKey(act) => vec![act.psd],
            Act::RetireKey(act) | Act::DestroyKey(act) => vec![act.psd],
            Act::RevokePsd(act) => vec![act.psd],
            Act::Lock(act) | Act::Unlock(act) | Act::Scrap(act) => vec![act.psd],
            Act::Operators(_)
            | Act::RevokeOperator(_)
            | Act::RevokeClient(_)
            | Act::RevokeAccount(_)
            | Act::BackUp(_)
            | Act::InitialiseToken(_)
            | Act::SplitPin(_)
            | Act::Abandon(_) => Vec::new(),
        }
    }
}
