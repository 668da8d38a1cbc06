//! `psdctl ceremony genesis new`: a genesis file, with every field explained and what was named filled in.

use super::file;
use crate::authority::AuthorityError;
use crate::dev::instant;
use crate::error::Exit;
use crate::operator::OperatorError;
use crate::output::{hex, print, print_bytes, write_durably};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use clap::{Args, ValueEnum, value_parser};
use psd::{ApplianceId, OperatorName, UnixMillis};
use psdd_wire::ceremony::GenesisFile;
use std::path::{Path, PathBuf};
use std::str::FromStr;

const HOUR_MS: u64 = 3_600_000;
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n";
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n";

/// Arguments of `psdctl ceremony genesis new`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl ceremony genesis new --appliance post-1 --authority-root root.pem --funds funds.pem \\
    --operator anna=anna.key.pub --operator ben=ben.key.pub --out genesis.toml
What is not named is left to be filled in. It needs no connection.")]
pub struct New {
    /// The appliance's name, for ever
    #[arg(long, value_name = "NAME", default_value = "post-1")]
    appliance: ApplianceId,
    /// What its marks are worth, for ever
    #[arg(long, value_enum, default_value = "production")]
    environment: Environment,
    /// How many operators a ceremony needs
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u8).range(1..=32))]
    quorum: u8,
    /// The token that gets the log key, as psdd.toml calls it
    #[arg(long, value_name = "NAME", default_value = "main")]
    log_token: psdd_wire::ceremony::TokenName,
    /// How long it can be born, hours
    #[arg(long, value_name = "HOURS", default_value_t = 168, value_parser = value_parser!(u16).range(1..=2160))]
    window: u16,
    /// The authority's root certificate, PEM
    #[arg(long, value_name = "FILE")]
    authority_root: Option<PathBuf>,
    /// The authority's certificate for funds, PEM
    #[arg(long, value_name = "FILE")]
    funds: Option<PathBuf>,
    /// Its certificate for inspection, PEM
    #[arg(long, value_name = "FILE")]
    inspection: Option<PathBuf>,
    /// Its certificate for policies, PEM
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The host identity key that `psdd-hsm init-host` printed, PEM
    #[arg(long, value_name = "FILE")]
    host_key: Option<PathBuf>,
    /// An operator and the file of their public key; for each of them
    #[arg(long = "operator", value_name = "NAME=FILE")]
    operators: Vec<Named>,
    /// Where the file goes; else stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What the marks of an appliance are worth.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Environment {
    /// Nothing: they are specimens.
    Development,
    /// Money.
    Production,
}

#[derive(Clone, Debug)]
struct Named {
    name: OperatorName,
    file: PathBuf,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = text.split_once('=').ok_or("NAME=FILE is needed")?;
        let name = name.parse().map_err(|error: psd::id::NameError| error.to_string())?;
        Ok(Self { name, file: file.into() })
    }
}

/// What a genesis file says; PEM as it was read, and `None` where it is to be filled in.
pub(crate) struct GenesisDraft<'d> {
    pub(crate) appliance: &'d str,
    pub(crate) environment: Environment,
    pub(crate) quorum: usize,
    pub(crate) log_token: &'d str,
    pub(crate) nonce: [u8; 16],
    pub(crate) not_after: UnixMillis,
    pub(crate) authority_root: Option<String>,
    pub(crate) funds: Option<String>,
    pub(crate) inspection: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) host_key: Option<String>,
    pub(crate) operators: Vec<(String, String)>,
}

impl GenesisDraft<'_> {
    /// Fresh randomness for a nonce.
    pub(crate) fn nonce() -> Result<[u8; 16], OperatorError> {
        let mut nonce = [0; 16];
        SystemRandom::new().fill(&mut nonce).ok().ok_or(OperatorError::Crypto("no randomness"))?;
        Ok(nonce)
    }

    /// Whether nothing is left that must be filled in.
    fn is_whole(&self) -> bool {
        self.authority_root.is_some() && self.funds.is_some() && !self.operators.is_empty()
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        let environment = match self.environment {
            Environment::Development => "development",
            Environment::Production => "production",
        };
        let mut text = format!(
            "# The birth of an appliance: reviewed and approved by every operator, countersigned by the authority, carried out as it\n\
             # stands here. Any change needs new approvals. All of it is for the life of the appliance, but for operators and quorum.\n\n\
             # Its name: 1 to 64 of a-z A-Z 0-9 . _ -. The origin of its log is made of it.\nappliance = \"{}\"\n\
             # production: its marks are money. development: every mark is a specimen.\nenvironment = \"{environment}\"\n\
             # How many operators a ceremony needs.\nquorum = {}\n\
             # The token that gets the log key, by its name in psdd.toml.\nlog_token = \"{}\"\n\
             # Fresh randomness, 16 bytes, so that no two files are alike.\nnonce = \"{}\"\n\
             # It can be born up to then, UTC.\nnot_after = {}\n\
             # The postal authority's root certificate: whom the appliance believes, for ever.\n{}",
            self.appliance,
            self.quorum,
            self.log_token,
            hex(&self.nonce),
            instant(self.not_after),
            field("authority_root", self.authority_root.as_deref().unwrap_or(CERTIFICATE)),
        );
        text += "# The host identity key that `psdd-hsm init-host` prints, where the PIN is to be split among operators; else none.\n";
        text += &optional("host_key", self.host_key.as_deref(), PUBLIC_KEY);
        text += "\n# Certificates of the authority's keys, each signed by the root.\n[authority_keys]\n\
                 # Authorises value.\n";
        text += &field("funds", self.funds.as_deref().unwrap_or(CERTIFICATE));
        text += "# Signs inspections; may be left out.\n";
        text += &optional("inspection", self.inspection.as_deref(), CERTIFICATE);
        text += "# Signs policies and locks; may be left out.\n";
        text += &optional("policy", self.policy.as_deref(), CERTIFICATE);
        text += "\n# Every operator, with a name and a key of their own (`psdctl operator keygen` or `public-key`).\n";
        let blank = ["anna", "ben"].map(|name| (name.to_owned(), PUBLIC_KEY.to_owned()));
        let operators = if self.operators.is_empty() { &blank[..] } else { &self.operators };
        for (name, public) in operators {
            text += &format!("[[operators]]\nname = \"{name}\"\n{}\n", field("public_key", public));
        }
        text
    }
}

fn field(name: &str, pem: &str) -> String {
    format!("{name} = '''\n{}\n'''\n", pem.trim())
}

/// The field, or how it would look.
fn optional(name: &str, pem: Option<&str>, blank: &str) -> String {
    match pem {
        Some(pem) => field(name, pem),
        None => field(name, blank).lines().map(|line| format!("# {line}\n")).collect(),
    }
}

pub(super) fn run(command: &New) -> Result<Exit, OperatorError> {
    let now = psdd_authority::serve::now()
        .map_err(|error| OperatorError::Ctl(Box::new(AuthorityError::from(error).into())))?;
    let pem = |path: &Option<PathBuf>| path.as_deref().map(file::text).transpose();
    let operator = |named: &Named| Ok((named.name.to_string(), file::text(&named.file)?));
    let draft = GenesisDraft {
        appliance: command.appliance.as_str(),
        environment: command.environment,
        quorum: command.quorum.into(),
        log_token: command.log_token.as_str(),
        nonce: GenesisDraft::nonce()?,
        not_after: UnixMillis(now.0.saturating_add(u64::from(command.window) * HOUR_MS)),
        authority_root: pem(&command.authority_root)?,
        funds: pem(&command.funds)?,
        inspection: pem(&command.inspection)?,
        policy: pem(&command.policy)?,
        host_key: pem(&command.host_key)?,
        operators: command.operators.iter().map(operator).collect::<Result<_, OperatorError>>()?,
    };
    let text = draft.text();
    if draft.is_whole() {
        let path = command.out.clone().unwrap_or_else(|| PathBuf::from("genesis"));
        GenesisFile::read(text.as_bytes()).map_err(|source| OperatorError::Ceremony { path, source })?;
    }
    match &command.out {
        Some(path) => written(path, &text, draft.is_whole())?,
        None => print_bytes(text.as_bytes())?,
    }
    Ok(Exit::Done)
}

fn written(path: &Path, text: &str, whole: bool) -> Result<(), OperatorError> {
    write_durably(path, text.as_bytes())?;
    let (name, next) = (path.display(), if whole { "review it" } else { "fill in what is left open (…)" });
    print(&format!("{name}: {next}, then `psdctl ceremony genesis plan {name}`\n"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::KeyFile;
    use psd::record::AuthorityPurpose;
    use psdd_wire::ceremony::OperatorKey;
    use rcgen::{CertificateParams, KeyPair};

    fn draft<'d>() -> GenesisDraft<'d> {
        GenesisDraft {
            appliance: "post-1",
            environment: Environment::Production,
            quorum: 2,
            log_token: "main",
            nonce: [7; 16],
            not_after: UnixMillis(1_795_176_000_123),
            authority_root: None,
            funds: None,
            inspection: None,
            policy: None,
            host_key: None,
            operators: Vec::new(),
        }
    }

    #[test]
    fn what_is_left_open_is_refused_and_what_is_filled_in_is_a_genesis() {
        let open = draft();
        assert!(!open.is_whole());
        let refused = GenesisFile::read(open.text().as_bytes()).unwrap_err().to_string();
        assert!(refused.contains("not one certificate in PEM"), "{refused}");

        let dir = tempfile::tempdir().unwrap();
        let certificate = || {
            let params = CertificateParams::new(Vec::<String>::new()).unwrap();
            params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
        };
        let key = |name: &str| KeyFile::create(&dir.path().join(name)).unwrap().public_key().to_pem();
        let operators = ["anna", "ben"].map(|name| (name.to_owned(), key(name))).to_vec();
        let named =
            GenesisDraft { authority_root: Some(certificate()), funds: Some(certificate()), operators, ..draft() };
        assert!(named.is_whole());
        let read = GenesisFile::read(named.text().as_bytes()).unwrap();
        assert_eq!((read.appliance().as_str(), read.quorum(), read.nonce()), ("post-1", 2, [7; 16]));
        assert_eq!(read.environment(), psd::record::Environment::Production);
        assert_eq!(read.not_after(), UnixMillis(1_795_176_000_000));
        assert!(read.host_key().is_none());
        assert_eq!(read.authority_keys().len(), 1);

        let all = GenesisDraft {
            environment: Environment::Development,
            inspection: Some(certificate()),
            policy: Some(certificate()),
            host_key: Some(key("host")),
            ..named
        };
        let read = GenesisFile::read(all.text().as_bytes()).unwrap();
        assert_eq!(read.environment(), psd::record::Environment::Development);
        assert_eq!(read.host_key().map(psdd_wire::ceremony::P256PublicKey::to_pem), all.host_key);
        let purposes: Vec<_> = read.authority_keys().into_iter().map(|(purpose, _)| purpose).collect();
        assert_eq!(purposes, [AuthorityPurpose::Funds, AuthorityPurpose::Inspection, AuthorityPurpose::Policy]);
    }
}
