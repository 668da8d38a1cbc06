//! The tables of the file, of which exactly one must be there.

use super::{
    Abandon, Act, BackUp, CreatePsds, InitialiseToken, KeyGeneration, Operators, PsdAct, RevokeAccount, RevokeClient,
    RevokeKey, RevokeOperator, RevokePsd, RotateKey, SplitPin,
};
use crate::ceremony::{CeremonyError, field, instant};
use psd::{ApplianceId, UnixMillis};
use serde::Deserialize;

/// A ceremony file as serde sees it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::ceremony) struct Written {
    #[serde(deserialize_with = "field::parsed")]
    pub(in crate::ceremony) appliance: ApplianceId,
    #[serde(deserialize_with = "field::hex")]
    pub(in crate::ceremony) genesis: [u8; 32],
    pub(in crate::ceremony) number: u64,
    #[serde(deserialize_with = "field::hex")]
    pub(in crate::ceremony) nonce: [u8; 16],
    #[serde(deserialize_with = "instant::read")]
    pub(in crate::ceremony) not_before: UnixMillis,
    #[serde(deserialize_with = "instant::read")]
    pub(in crate::ceremony) not_after: UnixMillis,
    #[serde(rename = "create-psds")]
    create_psds: Option<CreatePsds>,
    #[serde(rename = "rotate-key")]
    rotate_key: Option<RotateKey>,
    #[serde(rename = "revoke-key")]
    revoke_key: Option<RevokeKey>,
    #[serde(rename = "retire-key")]
    retire_key: Option<KeyGeneration>,
    #[serde(rename = "destroy-key")]
    destroy_key: Option<KeyGeneration>,
    operators: Option<Operators>,
    #[serde(rename = "revoke-operator")]
    revoke_operator: Option<RevokeOperator>,
    #[serde(rename = "revoke-psd")]
    revoke_psd: Option<RevokePsd>,
    #[serde(rename = "revoke-client")]
    revoke_client: Option<RevokeClient>,
    #[serde(rename = "revoke-account")]
    revoke_account: Option<RevokeAccount>,
    lock: Option<PsdAct>,
    unlock: Option<PsdAct>,
    scrap: Option<PsdAct>,
    #[serde(rename = "back-up")]
    back_up: Option<BackUp>,
    #[serde(rename = "initialise-token")]
    initialise_token: Option<InitialiseToken>,
    #[serde(rename = "split-pin")]
    split_pin: Option<SplitPin>,
    abandon: Option<Abandon>,
}

impl Written {
    /// The act, of which there must be exactly one.
    pub(in crate::ceremony) fn act(self) -> Result<Act, CeremonyError> {
        let acts = [
            self.create_psds.map(Act::CreatePsds),
            self.rotate_key.map(Act::RotateKey),
            self.revoke_key.map(Act::RevokeKey),
            self.retire_key.map(Act::RetireKey),
            self.destroy_key.map(Act::DestroyKey),
            self.operators.map(Act::Operators),
            self.revoke_operator.map(Act::RevokeOperator),
            self.revoke_psd.map(Act::RevokePsd),
            self.revoke_client.map(Act::RevokeClient),
            self.revoke_account.map(Act::RevokeAccount),
            self.lock.map(Act::Lock),
            self.unlock.map(Act::Unlock),
            self.scrap.map(Act::Scrap),
            self.back_up.map(Act::BackUp),
            self.initialise_token.map(Act::InitialiseToken),
            self.split_pin.map(Act::SplitPin),
            self.abandon.map(Act::Abandon),
        ];
        let mut acts: Vec<Act> = acts.into_iter().flatten().collect();
        match (acts.pop(), acts.is_empty()) {
            (Some(act), true) => Ok(act),
            (Some(act), false) => {
                let tables: Vec<&str> = acts.iter().chain([&act]).map(Act::table).collect();
                let problem = format!("{} acts: {}; write a ceremony for each", tables.len(), tables.join(", "));
                Err(CeremonyError::new("(file)", problem))
            }
            (None, _) => Err(CeremonyError::new("(file)", "no act; add one table, such as [rotate-key]")),
        }
    }
}
