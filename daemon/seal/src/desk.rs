//! The keeper's side of unsealing: what it offers, and what becomes of each envelope. Pure; the keeper does the talking.
//!
//! Owns the key pair of this start and the shares that are in. Both end with the process.

use crate::answer::{Answer, Refusal};
use crate::codec;
use crate::envelope::{Envelope, info};
use crate::gather::{Gathering, Progress, ShareRefused};
use crate::host_key::{HostKey, HostKeyError};
use crate::hpke::{HpkeError, RecipientKey};
use crate::locked::LockedBytes;
use crate::offer::{Offer, TokenOffer, VERSION};
use crate::set::ShareSet;
use crate::share::{Share, ShareError};

/// A token that waits for its PIN.
#[derive(Clone, Debug)]
pub struct SealedToken {
    /// Its name in psdd-hsm.toml.
    pub name: String,
    /// The set made at its ceremony.
    pub set: ShareSet,
}

/// Gathers the shares of all sealed tokens of a keeper.
pub struct Desk {
    host: HostKey,
    key: RecipientKey,
    incarnation: [u8; 16],
    tokens: Vec<AtDesk>,
}

struct AtDesk {
    name: String,
    gathering: Gathering,
    unsealed: bool,
}

/// Why a desk cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Its key pair.
    #[error(transparent)]
    Key(#[from] HpkeError),
    /// Its random number.
    #[error("no random numbers")]
    Random(#[from] aws_lc_rs::error::Unspecified),
}

/// What became of an envelope.
pub struct Taken {
    /// What the operator is told.
    pub answer: Answer,
    /// The token it concerned, by its place in the list; none where it was refused.
    pub token: Option<usize>,
    /// The PIN, if this share was the last one needed.
    pub pin: Option<LockedBytes>,
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("not a sealed share: {0}")]
    Malformed(#[from] minicbor::decode::Error),
    #[error("a sealed share of format {0}; this version reads {VERSION}")]
    Version(u8),
    #[error("the share was sealed for another start of the keeper, or another host: fetch the offer again")]
    OtherStart,
    #[error("no token {0:?} is sealed here")]
    NoSuchToken(String),
    #[error("token {0} is unsealed already; no share is wanted")]
    AlreadyUnsealed(String),
    #[error("the share of token {0} does not open: it was altered, or sealed for another host, start or set")]
    DoesNotOpen(String, #[source] HpkeError),
    #[error("what was sealed for token {0} is not a share: {1}")]
    NotAShare(String, #[source] ShareError),
    #[error("token {0}: {1}")]
    Share(String, #[source] ShareRefused),
}

impl Refused {
    fn refusal(&self) -> Refusal {
        match self {
            Refused::Malformed(_) | Refused::Version(_) => Refusal::Malformed,
            Refused::OtherStart => Refusal::OtherStart,
            Refused::NoSuchToken(_) => Refusal::NoSuchToken,
            Refused::AlreadyUnsealed(_) => Refusal::AlreadyUnsealed,
            Refused::DoesNotOpen(_, HpkeError::Lock(_)) => Refusal::Keeper,
            Refused::DoesNotOpen(
                _,
                HpkeError::Open(_)
                | HpkeError::PublicKey
                | HpkeError::PrivateKey
                | HpkeError::Pem(_)
                | HpkeError::Seal(_),
            ) => Refusal::DoesNotOpen,
            Refused::NotAShare(_, ShareError::Lock(_)) => Refusal::Keeper,
            Refused::NotAShare(
                _,
                ShareError::Malformed(_) | ShareError::Set(_) | ShareError::Index { .. } | ShareError::Length(_),
            ) => Refusal::Malformed,
            Refused::Share(_, refused) => match refused {
                ShareRefused::OtherSet { .. } => Refusal::OtherSet,
                ShareRefused::Altered { .. } => Refusal::Altered,
                ShareRefused::AlreadyIn { .. } => Refusal::AlreadyIn,
                ShareRefused::DoNotCombine { .. } => Refusal::DoNotCombine,
                ShareRefused::Lock(_) => Refusal::Keeper,
            },
        }
    }
}

impl Desk {
    /// Opens the desk of a start: a fresh key pair, a fresh incarnation, no shares.
    ///
    /// # Errors
    ///
    /// When there are no random numbers, or no memory can be locked.
    pub fn open(host: HostKey, tokens: Vec<SealedToken>) -> Result<Self, DeskError> {
        let mut incarnation = [0; 16];
        aws_lc_rs::rand::fill(&mut incarnation)?;
        let at_desk =
            |token: SealedToken| AtDesk { name: token.name, gathering: Gathering::new(token.set), unsealed: false };
        let tokens = tokens.into_iter().map(at_desk).collect();
        Ok(Self { host, key: RecipientKey::generate()?, incarnation, tokens })
    }

    /// The offer as it is now, signed by the host.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn offer(&self) -> Result<Vec<u8>, HostKeyError> {
        let token = |token: &AtDesk| {
            let gathering = &token.gathering;
            TokenOffer::new(token.name.clone(), gathering.set(), gathering.held(), token.unsealed)
        };
        let tokens = self.tokens.iter().map(token).collect();
        Offer::new(&self.host, self.incarnation, self.key.public().clone(), tokens).sign(&self.host)
    }

    /// How many shares of the token at this place are in, and how many are needed.
    pub fn progress(&self, token: usize) -> Option<(u8, u8)> {
        let gathering = &self.tokens.get(token)?.gathering;
        Some((u8::try_from(gathering.held().len()).ok()?, gathering.set().threshold()))
    }

    /// Takes an envelope.
    pub fn take(&mut self, envelope: &[u8]) -> Taken {
        match self.judge(envelope) {
            Ok(taken) => taken,
            Err((token, refused)) => {
                let answer = Answer::Refused { refusal: refused.refusal(), text: refused.to_string() };
                Taken { answer, token, pin: None }
            }
        }
    }

    fn judge(&mut self, envelope: &[u8]) -> Result<Taken, (Option<usize>, Refused)> {
        let envelope: Envelope = codec::decode(envelope).map_err(|error| (None, error.into()))?;
        if envelope.version != VERSION {
            return Err((None, Refused::Version(envelope.version)));
        }
        if *envelope.incarnation != self.incarnation {
            return Err((None, Refused::OtherStart));
        }
        let name = envelope.name;
        let Some(place) = self.tokens.iter().position(|token| token.name == name) else {
            return Err((None, Refused::NoSuchToken(name)));
        };
        let token = &mut self.tokens[place];
        if token.unsealed {
            return Err((Some(place), Refused::AlreadyUnsealed(name)));
        }
        let set = token.gathering.set();
        let info = info(self.host.public(), self.incarnation, set.token(), set.id());
        let opened = self.key.open(&info, name.as_bytes(), &envelope.sealed);
        let opened = opened.map_err(|error| (Some(place), Refused::DoesNotOpen(name.clone(), error)))?;
        let share = Share::decode(&opened).map_err(|error| (Some(place), Refused::NotAShare(name.clone(), error)))?;
        drop(opened);
        let (index, threshold) = (share.index(), set.threshold());
        match token.gathering.add(share) {
            Ok(Progress::Waiting { held }) => {
                let answer = Answer::Taken { token: name, index, held, threshold };
                Ok(Taken { answer, token: Some(place), pin: None })
            }
            Ok(Progress::Complete(pin)) => {
                token.unsealed = true;
                Ok(Taken { answer: Answer::Unsealed { token: name }, token: Some(place), pin: Some(pin) })
            }
            Err(refused) => Err((Some(place), Refused::Share(name, refused))),
        }
    }
}
