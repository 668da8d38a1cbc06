//! What psdd-hsm must know of each HSM family, one TOML file per family.
//!
//! Owns the form of a profile and the profiles that ship. Refuses unknown fields: a misspelt attribute in a key
//! template must never fall back to a default. Knows no other crate of the project; `psdd-hsm` calls it.

#![forbid(unsafe_code)]

mod profile;
mod read;

pub use profile::{
    Algorithm, AnchorObject, AnchorRule, Attested, Clock, Deadlines, EcdsaMechanism, Ed25519Mechanism, ErrorClass,
    HmacMechanism, KeyTemplate, KeyTemplates, Mechanisms, Profile, Quirks, Sessions, TestDepth, Tested, Validation,
    Wrapping, WrappingMechanism,
};
pub use read::{ReadTomlError, parse_toml, read_toml};

use std::path::Path;

/// The profiles that ship, by the name that a configuration gives.
pub const SHIPPED: &[(&str, &str)] = &[("softhsm2", include_str!("../softhsm2.toml"))];

/// The text of a profile and where it is from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProfileSource {
    /// The name of a shipped profile, or a path.
    pub origin: String,
    /// The TOML text.
    pub text: String,
}

/// Why a profile could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The name is not one that ships, and not a path either.
    #[error("no profile named {0:?} ships with psdd-hsm, and it is not a path (a path has a slash)")]
    Unknown(String),
    /// The file cannot be read or is not a profile.
    #[error(transparent)]
    Read(#[from] ReadTomlError),
    /// Two fields contradict one another.
    #[error("{origin}: {field}: {problem}")]
    Inconsistent {
        /// Which profile.
        origin: String,
        /// Which field.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
}

impl ProfileSource {
    /// The profile of this name, or the file at this path.
    ///
    /// # Errors
    ///
    /// When there is none, or the file cannot be read.
    pub fn find(name_or_path: &str) -> Result<Self, ProfileError> {
        if name_or_path.contains('/') {
            let text = read_toml(Path::new(name_or_path))?;
            return Ok(Self { origin: name_or_path.to_owned(), text });
        }
        let shipped = SHIPPED.iter().find(|(name, _)| *name == name_or_path);
        let (name, text) = shipped.ok_or_else(|| ProfileError::Unknown(name_or_path.to_owned()))?;
        Ok(Self { origin: (*name).to_owned(), text: (*text).to_owned() })
    }

    /// Reads the profile.
    ///
    /// # Errors
    ///
    /// When the text is not a profile; the error names file, line and field.
    pub fn parse(&self) -> Result<Profile, ProfileError> {
        let profile: Profile = parse_toml(&self.origin, &self.text)?;
        match profile.inconsistency() {
            None => Ok(profile),
            Some((field, problem)) => Err(ProfileError::Inconsistent { origin: self.origin.clone(), field, problem }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_profile_loads() {
        for (name, _) in SHIPPED {
            let profile = ProfileSource::find(name).expect(name).parse();
            let profile = profile.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!profile.modules.is_empty(), "{name} names no module");
        }
    }

    #[test]
    fn every_profile_file_ships() {
        let files = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).expect("own directory");
        for file in files {
            let path = file.expect("own directory").path();
            let is_profile = path.extension().is_some_and(|e| e == "toml") && !path.ends_with("Cargo.toml");
            let name = path.file_stem().and_then(|s| s.to_str()).expect("plain name");
            assert!(!is_profile || SHIPPED.iter().any(|(shipped, _)| *shipped == name), "{name} is not embedded");
        }
    }

    #[test]
    fn an_unknown_field_is_refused_with_file_line_and_field() {
        let (_, text) = SHIPPED[0];
        let text = text.replace("[quirks]\n", "[quirks]\nsensitve = true\n");
        let line = 1 + text.lines().position(|line| line.starts_with("sensitve")).expect("just inserted");
        let error = ProfileSource { origin: "x.toml".to_owned(), text }.parse().expect_err("unknown field");
        let message = error.to_string();
        assert!(message.starts_with(&format!("x.toml:{line}: quirks.sensitve: ")), "{message}");
    }

    #[test]
    fn a_missing_field_is_named() {
        let (_, text) = SHIPPED[0];
        let text = text.replace("sign_ms = 5000\n", "");
        let error = ProfileSource { origin: "x.toml".to_owned(), text }.parse().expect_err("missing field");
        assert!(error.to_string().contains("sign_ms"), "{error}");
    }

    #[test]
    fn a_software_token_claims_nothing() {
        assert!(!Validation::Software.is_hardware());
        assert_eq!(Validation::Software.to_string(), "software");
    }
}
