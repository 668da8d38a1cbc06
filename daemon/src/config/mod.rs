//! The configuration of `psdd`: TOML, unknown fields refused, one file a section.
//!
//! Relative paths are relative to the file. Absence of a limit means its documented default, never "no limit".

mod certification;
mod clock;
mod custodian;
mod doors;
mod funds;
mod ledger;
mod signing;
mod token;

pub use certification::CertificationConfig;
pub use clock::ClockConfig;
pub use custodian::{CustodianConfig, Rotation, RotationConfig, rule_for};
pub use doors::{DoorConfig, LocalConfig};
pub use funds::{FundsConfig, TopUpConfig, TopUpRule};
pub use ledger::LedgerConfig;
pub use signing::SigningConfig;
pub use token::TokenConfig;

use hsm_profiles::{ReadTomlError, parse_toml, read_toml};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Everything `psdd` is told.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the ledger is; local disk with honest fsync.
    pub state_dir: PathBuf,
    /// Directory with `vendor.cedar` and `authority.cedar`; the shipped policies where absent.
    pub policy_dir: Option<PathBuf>,
    /// The vendor door.
    pub vendor: DoorConfig,
    /// The operator door; without it there is none.
    pub operator: Option<DoorConfig>,
    /// The authority door; without it there is none.
    pub authority: Option<DoorConfig>,
    /// So many days before a CRL or certificate of a door ends it is told.
    #[serde(default = "crl_alarm_days")]
    pub crl_alarm_days: u32,
    /// Where `psdd-hsm` takes shares of a sealed PIN; its `unseal_socket`.
    pub unseal_socket: Option<PathBuf>,
    /// The local door.
    pub local: LocalConfig,
    /// Where time comes from.
    pub clock: ClockConfig,
    /// The tokens.
    #[serde(rename = "token")]
    pub tokens: Vec<TokenConfig>,
    /// The authority's funds system; without it nothing is topped up.
    pub funds: Option<FundsConfig>,
    /// When to top up; the first rule that names a PSD's licence, else the first that names none.
    #[serde(rename = "top_up", default)]
    pub top_ups: Vec<TopUpConfig>,
    /// The custodian of keys; without it keys are rotated by order alone.
    pub custodian: Option<CustodianConfig>,
    /// By which prices and scales corrected mail is certified; without it none is.
    pub certification: Option<CertificationConfig>,
    /// The ledger.
    #[serde(default)]
    pub ledger: LedgerConfig,
    /// Signing.
    #[serde(default)]
    pub signing: SigningConfig,
}

fn crl_alarm_days() -> u32 {
    7
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read, or is not of the form.
    #[error(transparent)]
    Toml(#[from] ReadTomlError),
    /// Of the form, but it makes no sense.
    #[error("{path}: {field}: {problem}")]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl Config {
    /// Reads and checks a configuration file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read_toml(path)?;
        let mut config: Config = parse_toml(&path.display().to_string(), &text)?;
        let base = path.parent().unwrap_or(Path::new("."));
        config.resolve(base);
        config.check().map_err(|(field, problem)| ConfigError::Field { path: path.to_owned(), field, problem })?;
        Ok(config)
    }

    fn resolve(&mut self, base: &Path) {
        let paths = [&mut self.state_dir, &mut self.local.socket]
            .into_iter()
            .chain(self.policy_dir.as_mut())
            .chain(self.unseal_socket.as_mut())
            .chain(self.vendor.paths_mut())
            .chain(self.operator.iter_mut().chain(&mut self.authority).flat_map(DoorConfig::paths_mut))
            .chain(self.funds.iter_mut().flat_map(FundsConfig::paths_mut))
            .chain(self.custodian.iter_mut().filter_map(|it| it.ca.as_mut()).flat_map(FundsConfig::paths_mut))
            .chain(self.certification.iter_mut().flat_map(CertificationConfig::paths_mut))
            .chain(self.tokens.iter_mut().map(|token| &mut token.socket));
        for path in paths {
            *path = base.join(&*path);
        }
    }

    fn check(&self) -> Result<(), (String, String)> {
        let wrong = |field: &str, problem: &str| Err((field.to_owned(), problem.to_owned()));
        if self.tokens.is_empty() {
            return wrong("token", "at least one [[token]] is needed");
        }
        for (index, token) in self.tokens.iter().enumerate() {
            if self.tokens[..index].iter().any(|other| other.name == token.name) {
                return Err(("token.name".to_owned(), format!("{:?} stands twice", token.name)));
            }
        }
        let signing = &self.signing;
        if !(1..=4096).contains(&signing.chunk_items) {
            return wrong("signing.chunk_items", "1 to 4096");
        }
        if signing.in_flight_items < signing.chunk_items || signing.in_flight_items > 16_384 {
            return wrong("signing.in_flight_items", "chunk_items to 16384");
        }
        // The look-up queue has room for one question of each item that may wait.
        if signing.queued_items_per_tenant < 4096
            || !(signing.queued_items_per_tenant..=32_768).contains(&signing.queued_items)
        {
            return wrong("signing.queued_items", "at least 4096 per tenant, in all at least that and at most 32768");
        }
        if self.ledger.checkpoint_bound_ms <= self.ledger.checkpoint_every_ms {
            return wrong("ledger.checkpoint_bound_ms", "must be above checkpoint_every_ms");
        }
        if self.ledger.state_digest_records < 256 {
            return wrong("ledger.state_digest_records", "256 or more");
        }
        for (index, top_up) in self.top_ups.iter().enumerate() {
            top_up.check()?;
            if self.top_ups[..index].iter().any(|other| other.licence == top_up.licence) {
                let licence = top_up.licence.as_deref().unwrap_or("(all others)");
                return Err(("top_up.licence".to_owned(), format!("{licence} stands twice")));
            }
        }
        match &self.funds {
            Some(funds) => funds.check()?,
            None if !self.top_ups.is_empty() => {
                return wrong("top_up", "needs [funds]: the authority's funds system and how to reach it");
            }
            None => {}
        }
        self.custodian.as_ref().map_or(Ok(()), CustodianConfig::check)?;
        self.certification.as_ref().map_or(Ok(()), CertificationConfig::check)?;
        if self.crl_alarm_days > 366 {
            return wrong("crl_alarm_days", "0 to 366");
        }
        let doors = self.doors();
        for (index, (name, door)) in doors.iter().enumerate() {
            door.check(name)?;
            if index > 0 {
                door.check_without_tenants(name)?;
            }
            doors[..index].iter().try_for_each(|other| DoorConfig::check_apart(*other, (name, door)))?;
        }
        Ok(())
    }

    /// The doors there are, the vendor door first.
    pub fn doors(&self) -> Vec<(&'static str, &DoorConfig)> {
        let operator = self.operator.iter().map(|door| ("operator", door));
        let authority = self.authority.iter().map(|door| ("authority", door));
        [("vendor", &self.vendor)].into_iter().chain(operator).chain(authority).collect()
    }

    /// The rules of rotation, checked.
    pub fn rotations(&self) -> Vec<Rotation> {
        let configured = self.custodian.iter().flat_map(|custodian| &custodian.rotations);
        configured.filter_map(|rotation| rotation.check().ok()).collect()
    }

    /// The rules of top-up, checked.
    pub fn top_up_rules(&self) -> Vec<TopUpRule> {
        self.top_ups.iter().filter_map(|top_up| top_up.check().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_units_holds() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/etc/psdd.toml");
        let config = Config::read(&path).unwrap();
        assert_eq!(config.state_dir, Path::new("/var/lib/psdd"));
        assert_eq!(config.tokens[0].socket, Path::new("/run/psdd-hsm/main.sock"));
    }
}
