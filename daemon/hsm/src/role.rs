//! Roles, algorithms and residences of keys, and how the protocol writes them: as their numbers.

use minicbor::decode::Error;

pub use psd::key::{Algorithm, Residence, Role};

/// Writes a [`Role`] as its number.
pub mod role_codec {
    use super::{Error, Role};
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    /// Writes the number of the role.
    ///
    /// # Errors
    ///
    /// As the writer.
    pub fn encode<Ctx, W: Write>(
        role: &Role,
        encoder: &mut Encoder<W>,
        _: &mut Ctx,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.u8(role.number())?.ok()
    }

    /// Reads the number of a role.
    ///
    /// # Errors
    ///
    /// When there is no such role.
    pub fn decode<Ctx>(decoder: &mut Decoder<'_>, _: &mut Ctx) -> Result<Role, Error> {
        let number = decoder.u8()?;
        Role::from_number(number).ok_or_else(|| Error::message("no such role"))
    }
}

/// Writes an [`Algorithm`] as its number.
pub mod algorithm_codec {
    use super::{Algorithm, Error};
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    /// Writes the number of the algorithm.
    ///
    /// # Errors
    ///
    /// As the writer.
    pub fn encode<Ctx, W: Write>(
        algorithm: &Algorithm,
        encoder: &mut Encoder<W>,
        _: &mut Ctx,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.u8(algorithm.number())?.ok()
    }

    /// Reads the number of an algorithm.
    ///
    /// # Errors
    ///
    /// When there is no such algorithm.
    pub fn decode<Ctx>(decoder: &mut Decoder<'_>, _: &mut Ctx) -> Result<Algorithm, Error> {
        let number = decoder.u8()?;
        Algorithm::from_number(number).ok_or_else(|| Error::message("no such algorithm"))
    }
}

/// Writes a [`Residence`] as its number.
pub mod residence_codec {
    use super::{Error, Residence};
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    /// Writes the number of the residence.
    ///
    /// # Errors
    ///
    /// As the writer.
    pub fn encode<Ctx, W: Write>(
        residence: &Residence,
        encoder: &mut Encoder<W>,
        _: &mut Ctx,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.u8(residence.number())?.ok()
    }

    /// Reads the number of a residence.
    ///
    /// # Errors
    ///
    /// When there is no such residence.
    pub fn decode<Ctx>(decoder: &mut Decoder<'_>, _: &mut Ctx) -> Result<Residence, Error> {
        let number = decoder.u8()?;
        Residence::from_number(number).ok_or_else(|| Error::message("no such residence"))
    }
}
