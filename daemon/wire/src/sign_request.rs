//! The request for signatures: items, and who shall sign them.

use crate::exact;
use crate::message::SignItem;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// POST /v1/indicia. Texts are kept as received; [`crate::item`] judges them one item at a time.
#[derive(Clone, Debug)]
pub struct SignRequest<'a> {
    /// Who shall sign.
    pub target: SignTarget<'a>,
    /// 1 to 4096 items.
    pub items: Vec<SignItem<'a>>,
    /// The newest checkpoint the client has seen.
    pub checkpoint: Option<Cow<'a, str>>,
    /// Whether a refusal of one item refuses all.
    pub all_or_none: bool,
}

/// Who shall sign, as received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SignTarget<'a> {
    /// This PSD.
    Psd(Cow<'a, str>),
    /// A PSD of a licence.
    Licence {
        /// The licence's number.
        licence: Cow<'a, str>,
        /// How the PSD is chosen.
        select: Select,
    },
}

/// How a PSD is chosen among those of a licence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Select {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one that can spend most.
    MostFunds,
    /// One after the other among those that are meant for the destination's ZIP.
    Zip,
}

impl Select {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RoundRobin, Self::MostFunds, Self::Zip];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Select::RoundRobin => "round-robin",
            Select::MostFunds => "most-funds",
            Select::Zip => "zip",
        }
    }

    /// The selection of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|select| select.as_str() == word)
    }
}

/// The fields as they stand in the message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Received<'a> {
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    psd: Option<Cow<'a, str>>,
    #[serde(borrow)]
    items: Vec<SignItem<'a>>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    select: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    licence: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "exact::some_text")]
    checkpoint: Option<Cow<'a, str>>,
    #[serde(default)]
    all_or_none: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for SignRequest<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Received { psd, items, select, licence, checkpoint, all_or_none } = Received::deserialize(deserializer)?;
        let target = match (psd, licence, select) {
            (Some(psd), None, None) => SignTarget::Psd(psd),
            (None, Some(licence), select) => {
                let select = select.map_or(Some(Select::default()), |word| Select::from_word(&word));
                let unknown = "`select` is round-robin, most-funds or zip";
                SignTarget::Licence { licence, select: select.ok_or_else(|| D::Error::custom(unknown))? }
            }
            (Some(_), None, Some(_)) => return Err(D::Error::custom("`select` stands with `licence` only")),
            (Some(_), Some(_), _) | (None, None, _) => {
                return Err(D::Error::custom("a sign request has either `psd` or `licence`"));
            }
        };
        Ok(Self { target, items, checkpoint, all_or_none })
    }
}

/// The same in the order of deterministic encoding.
#[derive(Serialize)]
struct Sent<'r, 'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    psd: Option<&'r str>,
    items: &'r [SignItem<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    select: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    licence: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    all_or_none: Option<bool>,
}

impl Serialize for SignRequest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (psd, licence, select) = match &self.target {
            SignTarget::Psd(psd) => (Some(&**psd), None, None),
            SignTarget::Licence { licence, select } => {
                let select = (*select != Select::default()).then(|| select.as_str());
                (None, Some(&**licence), select)
            }
        };
        let (items, checkpoint) = (self.items.as_slice(), self.checkpoint.as_deref());
        let all_or_none = self.all_or_none.then_some(true);
        Sent { psd, items, select, licence, checkpoint, all_or_none }.serialize(serializer)
    }
}
