//! What a keeper tells the worker it starts, before the PIN.

use crate::frame::{self, DecodeFrameError, EncodeFrameError, MAX_FRAME};
use crate::secret::{Pin, PinError};
use hsm_profiles::{Deadlines, ProfileSource};
use minicbor::{Decode, Encode};
use std::io::{self, Read, Write};

/// Everything a worker needs but its PIN and its descriptors.
#[derive(Encode, Decode, Clone, PartialEq, Eq, Debug)]
pub struct WorkerSpec {
    /// The token's name in the configuration.
    #[n(0)]
    pub token: String,
    /// CK_TOKEN_INFO.label of the token.
    #[n(1)]
    pub label: String,
    /// CK_TOKEN_INFO.serialNumber of the token.
    #[n(2)]
    pub serial: String,
    /// The module to load; where it is not said, the first of the profile that exists.
    #[n(3)]
    pub module: Option<String>,
    /// Where the profile is from.
    #[n(4)]
    pub profile_origin: String,
    /// The profile.
    #[n(5)]
    pub profile_text: String,
    /// How many sessions sign.
    #[n(6)]
    pub sessions: u32,
    /// Whether they sign with copies of the keys.
    #[n(7)]
    pub session_copy: bool,
    /// C_SignInit and C_Sign, in milliseconds.
    #[n(8)]
    pub sign_ms: u64,
    /// C_Login, in milliseconds.
    #[n(9)]
    pub login_ms: u64,
    /// C_GenerateKeyPair, in milliseconds.
    #[n(10)]
    pub generate_ms: u64,
    /// One find, in milliseconds.
    #[n(11)]
    pub find_ms: u64,
    /// Any other call, in milliseconds.
    #[n(12)]
    pub other_ms: u64,
    /// Where the login marks are.
    #[n(13)]
    pub state_dir: String,
    /// The keeper, whose end is the worker's end.
    #[n(14)]
    pub keeper_pid: i32,
    /// The command that clears a latch.
    #[n(15)]
    pub clear_command: String,
}

/// Why a specification and its PIN could not be handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// The pipe broke.
    #[error("the pipe between keeper and worker broke")]
    Io(#[from] io::Error),
    /// The specification is too long.
    #[error(transparent)]
    Encode(#[from] EncodeFrameError),
    /// The specification is not one.
    #[error(transparent)]
    Decode(#[from] DecodeFrameError),
    /// The PIN did not come.
    #[error(transparent)]
    Pin(#[from] PinError),
}

impl WorkerSpec {
    /// The deadlines, as the profile has them.
    pub fn deadlines(&self) -> Deadlines {
        Deadlines {
            sign_ms: self.sign_ms,
            login_ms: self.login_ms,
            generate_ms: self.generate_ms,
            find_ms: self.find_ms,
            other_ms: self.other_ms,
        }
    }

    /// The profile, to be parsed.
    pub fn profile(&self) -> ProfileSource {
        ProfileSource { origin: self.profile_origin.clone(), text: self.profile_text.clone() }
    }

    /// Writes the specification and the PIN.
    ///
    /// # Errors
    ///
    /// When the worker does not take them.
    pub fn hand_over(&self, pin: &Pin, pipe: &mut impl Write) -> Result<(), HandOverError> {
        pipe.write_all(&frame::encode(self)?)?;
        let length = u32::try_from(pin.as_bytes().len()).expect("a PIN has at most 256 bytes");
        pipe.write_all(&length.to_le_bytes())?;
        pipe.write_all(pin.as_bytes())?;
        Ok(())
    }

    /// Reads the specification and the PIN, without reading past them.
    ///
    /// # Errors
    ///
    /// When the keeper did not send them.
    pub fn take_over(pipe: &mut impl Read) -> Result<(Self, Pin), HandOverError> {
        let length = read_length(pipe)?;
        let mut bytes = vec![0; length];
        pipe.read_exact(&mut bytes)?;
        let spec = frame::decode(&bytes)?;
        let length = read_length(pipe)?;
        Ok((spec, Pin::read_exact(pipe, length)?))
    }
}

fn read_length(pipe: &mut impl Read) -> Result<usize, HandOverError> {
    let mut prefix = [0; 4];
    pipe.read_exact(&mut prefix)?;
    let announced = u32::from_le_bytes(prefix);
    match usize::try_from(announced) {
        Ok(length) if length <= MAX_FRAME => Ok(length),
        Ok(_) | Err(_) => Err(DecodeFrameError::TooLong(announced).into()),
    }
}
