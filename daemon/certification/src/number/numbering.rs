//! The keyed permutation between what a number says and what it stands for.
//!
//! FF1 of NIST SP 800-38G with AES-256, radix 32 and nine numerals: 2⁴⁵ strings, far above the 10⁶ that the standard asks for. A
//! permutation never gives one number twice, so that numbers are unique by construction within an appliance and an epoch; without the
//! key they show neither PSD nor order nor how many there are. The key is a MAC that the token makes once for an epoch, because one call of the token for each
//! number would bind certifications to the token's speed.

use super::numerals::{Numerals, RADIX};
use super::{CHECKED, CertificationNumber, Place};
use crate::mac::{self, MAC_LENGTH, Mac};
use aes::Aes256Enc;
use fpe::ff1::FF1;
use minicbor::Encoder;
use minicbor::encode::Error;
use psd::ApplianceId;
use std::convert::Infallible;
use std::fmt;
use zeroize::Zeroizing;

/// What the MAC is for that becomes the key of an epoch's numbers.
pub const KEY_PURPOSE: &str = "psdd-certification-number-1";

/// The number of a numbering epoch, counted by the appliance. A new one begins with a new key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NumberingEpoch(pub u32);

impl NumberingEpoch {
    /// What a number shows of it.
    pub fn modulo(self) -> u8 {
        (self.0 % RADIX).to_le_bytes()[0]
    }
}

/// The numbers of one appliance in one epoch, both ways. Holds the key's schedule and wipes it when it is dropped.
pub struct Numbering {
    /// Both ways by the cipher's forward direction; `fpe` copies the round keys for each round, so those of the other are not kept.
    permutation: FF1<Aes256Enc>,
    tweak: Vec<u8>,
    epoch: NumberingEpoch,
}

/// The number is of another epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{number} is of an epoch that is {} modulo 32, and this is epoch {}; open it with the key of its own", number.epoch_modulo(), .epoch.0)]
pub struct OtherEpoch {
    /// The number.
    pub number: CertificationNumber,
    /// Whose key was asked.
    pub epoch: NumberingEpoch,
}

impl Numbering {
    /// The message whose MAC is the key: the domain of MAC keys, [`KEY_PURPOSE`], `[appliance, epoch]` in deterministic CBOR.
    pub fn key_message(appliance: &ApplianceId, epoch: NumberingEpoch) -> Vec<u8> {
        mac::message(KEY_PURPOSE, |encoder| scope(encoder, appliance, epoch))
    }

    /// The numbers under a key of 32 bytes, the MAC of [`Numbering::key_message`]; the key given is wiped.
    pub fn new(key: Zeroizing<[u8; MAC_LENGTH]>, appliance: &ApplianceId, epoch: NumberingEpoch) -> Self {
        let permutation = match FF1::new(key.as_slice(), RADIX) {
            Ok(permutation) => permutation,
            Err(error) => unreachable!("FF1 has every radix from 2 to 65536: {error}"),
        };
        let mut tweak = Encoder::new(Vec::new());
        mac::infallible(scope(&mut tweak, appliance, epoch));
        Self { permutation, tweak: tweak.into_writer(), epoch }
    }

    /// The same with the key that the token makes.
    ///
    /// # Errors
    ///
    /// When the token makes none.
    pub fn derive<M: Mac>(token: &M, appliance: &ApplianceId, epoch: NumberingEpoch) -> Result<Self, M::Error> {
        let key = Zeroizing::new(token.mac(&Self::key_message(appliance, epoch))?);
        Ok(Self::new(key, appliance, epoch))
    }

    /// Its epoch.
    pub const fn epoch(&self) -> NumberingEpoch {
        self.epoch
    }

    /// The number of the certification at a place.
    pub fn number(&self, place: Place) -> CertificationNumber {
        let permuted = match self.permutation.encrypt(&self.tweak, &Numerals::of_place(place)) {
            Ok(permuted) => permuted,
            Err(error) => unreachable!("nine numerals below 32: {error}"),
        };
        let mut checked = [0; CHECKED];
        checked[0] = self.epoch.modulo();
        checked[1..].copy_from_slice(&permuted.values());
        CertificationNumber::of(checked)
    }

    /// What a number stands for. Every number of 2⁴⁵ stands for some leaf: whether a certification is there, the log says.
    ///
    /// # Errors
    ///
    /// [`OtherEpoch`].
    pub fn open(&self, number: &CertificationNumber) -> Result<Place, OtherEpoch> {
        if number.epoch_modulo() != self.epoch.modulo() {
            return Err(OtherEpoch { number: *number, epoch: self.epoch });
        }
        match self.permutation.decrypt(&self.tweak, &Numerals::of_values(number.permuted())) {
            Ok(plain) => Ok(plain.place()),
            Err(error) => unreachable!("nine numerals below 32: {error}"),
        }
    }
}

impl fmt::Debug for Numbering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Numbering").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

fn scope(
    encoder: &mut Encoder<Vec<u8>>,
    appliance: &ApplianceId,
    epoch: NumberingEpoch,
) -> Result<(), Error<Infallible>> {
    encoder.array(2)?.str(appliance.as_str())?.u32(epoch.0)?;
    Ok(())
}
