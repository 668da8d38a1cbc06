//! Acts on the appliance: its operators, its clients, its tokens, its ledger.

use crate::ceremony::operator;
use crate::ceremony::{ClientName, NewOperator, P256PublicKey, TokenName, field};
use psd::custody::RevocationReason;
use psd::{OperatorName, TenantName};
use serde::{Deserialize, Deserializer, de};
use std::path::{Component, PathBuf};

/// Most shares of a PIN.
const MOST_SHARES: usize = 16;

/// `[operators]`: the whole list that is to be, and the quorum.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(try_from = "WrittenOperators")]
pub struct Operators {
    /// All operators, in order.
    pub operators: Vec<NewOperator>,
    /// How many of them a ceremony needs.
    pub quorum: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOperators {
    quorum: u64,
    list: Vec<NewOperator>,
}

/// `[revoke-operator]`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct RevokeOperator {
    /// Who.
    #[serde(deserialize_with = "field::parsed")]
    pub name: OperatorName,
    /// Why.
    #[serde(deserialize_with = "field::parsed")]
    pub reason: RevocationReason,
}

/// `[revoke-client]`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct RevokeClient {
    /// Whose.
    #[serde(deserialize_with = "field::parsed")]
    pub tenant: TenantName,
    /// Which.
    #[serde(deserialize_with = "field::parsed")]
    pub client: ClientName,
    /// Why.
    #[serde(deserialize_with = "field::parsed")]
    pub reason: RevocationReason,
}

/// `[revoke-account]`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct RevokeAccount {
    /// Which.
    #[serde(deserialize_with = "field::parsed")]
    pub tenant: TenantName,
    /// Why.
    #[serde(deserialize_with = "field::parsed")]
    pub reason: RevocationReason,
}

/// `[back-up]`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct BackUp {
    /// Where the copy goes, on the machine of the daemon: an absolute path without `..`.
    #[serde(deserialize_with = "directory")]
    pub directory: PathBuf,
}

/// `[initialise-token]`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct InitialiseToken {
    /// By its name in the configuration of `psdd`.
    #[serde(deserialize_with = "field::parsed")]
    pub token: TokenName,
    /// CKA_LABEL of the token, 1 to 32 printable ASCII characters (PKCS#11 §5.5, C_InitToken).
    #[serde(deserialize_with = "label")]
    pub label: String,
}

/// `[split-pin]`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(try_from = "WrittenSplitPin")]
pub struct SplitPin {
    /// By its name in the configuration of `psdd`.
    pub token: TokenName,
    /// How many shares give the PIN.
    pub threshold: u8,
    /// Who gets a share, one each.
    pub holders: Vec<Holder>,
}

/// Who gets a share of a PIN.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Who.
    #[serde(deserialize_with = "field::parsed")]
    pub name: OperatorName,
    /// What the share is encrypted to.
    #[serde(deserialize_with = "field::parsed")]
    pub public_key: P256PublicKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSplitPin {
    #[serde(deserialize_with = "field::parsed")]
    token: TokenName,
    shares: u8,
    threshold: u8,
    holders: Vec<Holder>,
}

/// `[abandon]`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Abandon {
    /// Number of the ceremony that was interrupted.
    pub number: u64,
}

/// Two fields of an act contradict each other.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub(super) struct Contradiction {
    field: &'static str,
    problem: String,
}

impl TryFrom<WrittenOperators> for Operators {
    type Error = Contradiction;

    fn try_from(WrittenOperators { quorum, list }: WrittenOperators) -> Result<Self, Contradiction> {
        match operator::fault(&list, quorum) {
            None => Ok(Self { operators: list, quorum }),
            Some((field, problem)) => Err(Contradiction { field, problem }),
        }
    }
}

impl TryFrom<WrittenSplitPin> for SplitPin {
    type Error = Contradiction;

    fn try_from(written: WrittenSplitPin) -> Result<Self, Contradiction> {
        let WrittenSplitPin { token, shares, threshold, holders } = written;
        let wrong = |field, problem: String| Err(Contradiction { field, problem });
        if !(2..=MOST_SHARES).contains(&usize::from(shares)) {
            return wrong("shares", format!("{shares}; 2 to {MOST_SHARES} can be"));
        }
        if !(2..=shares).contains(&threshold) {
            return wrong("threshold", format!("{threshold} of {shares}; 2 to {shares} can be"));
        }
        if holders.len() != usize::from(shares) {
            return wrong("holders", format!("{} holders for {shares} shares; each gets one", holders.len()));
        }
        for (index, holder) in holders.iter().enumerate() {
            let before = &holders[..index];
            if before.iter().any(|other| other.name == holder.name || other.public_key == holder.public_key) {
                return wrong("holders", format!("{} stands there twice, by name or by public key", holder.name));
            }
        }
        Ok(Self { token, threshold, holders })
    }
}

fn directory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::from(String::deserialize(deserializer)?);
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain || path.as_os_str().len() > 4096 {
        return Err(de::Error::custom("not an absolute path of at most 4096 bytes without . and .."));
    }
    Ok(path)
}

fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let label = String::deserialize(deserializer)?;
    let printable = label.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !(1..=32).contains(&label.len()) || !printable || label.trim() != label {
        return Err(de::Error::custom("not 1 to 32 printable ASCII characters without spaces at the ends"));
    }
    Ok(label)
}
