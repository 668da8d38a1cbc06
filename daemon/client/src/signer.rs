//! Who is asked for signatures.

use psd::{LicenceNumber, PsdId};
use psdd_wire::message::{Select, SignTarget};
use std::fmt;

/// A PSD, or any PSD of a licence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Signer {
    /// This PSD.
    Psd(PsdId),
    /// A PSD of the licence, chosen by the appliance; each result says which.
    Licence {
        /// The licence.
        licence: LicenceNumber,
        /// How it is chosen.
        select: Select,
    },
}

impl Signer {
    pub(crate) fn wire(&self) -> SignTarget<'_> {
        match self {
            Signer::Psd(psd) => SignTarget::Psd(psd.to_string().into()),
            Signer::Licence { licence, select } => {
                SignTarget::Licence { licence: licence.as_str().into(), select: *select }
            }
        }
    }
}

impl From<PsdId> for Signer {
    fn from(psd: PsdId) -> Self {
        Signer::Psd(psd)
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signer::Psd(psd) => write!(f, "PSD {psd}"),
            Signer::Licence { licence, .. } => write!(f, "licence {licence}"),
        }
    }
}
