//! `psdctl ceremony new`: a file to be filled in.

use super::GenesisDraft;
use crate::cli::Global;
use crate::dev::instant;
use crate::error::Exit;
use crate::operator::{OperatorConfig, OperatorError};
use crate::output::{hex, print, print_bytes, write_durably};
use clap::{Args, ValueEnum, value_parser};
use psd::UnixMillis;
use psdd_wire::operator::OperatorAppliance;
use std::path::PathBuf;

/// Arguments of `psdctl ceremony new`.
#[derive(Args, Debug)]
pub struct New {
    /// What the ceremony does
    #[arg(value_enum)]
    act: ActName,
    /// How long it can be begun, hours
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = value_parser!(u32).range(1..=168))]
    window: u32,
    /// Where the file goes; else stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum ActName {
    CreatePsds,
    RotateKey,
    RevokeKey,
    RetireKey,
    DestroyKey,
    Operators,
    RevokeOperator,
    RevokePsd,
    RevokeClient,
    RevokeAccount,
    Lock,
    Unlock,
    Scrap,
    BackUp,
    InitialiseToken,
    SplitPin,
    Abandon,
}

pub(super) async fn run(global: &Global, command: &New) -> Result<Exit, OperatorError> {
    let client = OperatorConfig::read(global.config.as_deref())?.client()?;
    let appliance = client.appliance().await?;
    let text = draft(&appliance, GenesisDraft::nonce()?, command.act, command.window);
    match &command.out {
        Some(path) => {
            write_durably(path, text.as_bytes())?;
            print(&format!("{}: fill in the act, then `psdctl ceremony plan {}`\n", path.display(), path.display()))?;
        }
        None => print_bytes(text.as_bytes())?,
    }
    Ok(Exit::Done)
}

fn draft(appliance: &OperatorAppliance, nonce: [u8; 16], act: ActName, hours: u32) -> String {
    let end = appliance.time.saturating_add(u64::from(hours) * 3_600_000);
    format!(
        "# A ceremony: reviewed, approved and carried out as it stands here. Any change needs new approvals.\n\
         # The appliance, its genesis (SHA-256 of record 0) and the number of this ceremony, one more than the last.\n\
         appliance = \"{}\"\ngenesis = \"{}\"\nnumber = {}\n\
         # Fresh randomness, so that no two files are alike.\nnonce = \"{}\"\n\
         # It can be begun in this window, of at most 7 days, UTC.\nnot_before = {}\nnot_after = {}\n\n{}",
        appliance.appliance,
        hex(&appliance.genesis),
        appliance.last_ceremony.saturating_add(1),
        hex(&nonce),
        instant(UnixMillis(appliance.time)),
        instant(UnixMillis(end)),
        act.template(),
    )
}

/// What must hold when it runs; otherwise nothing is done.
const EXPECTED: &str = "# What must hold of the PSD when this runs: its state, and exactly these locks\n\
    # (inspection-overdue, clock, operator, authority, funds, fault).\nexpected = { state = \"active\", locks = [] }\n";
const ROLE: &str = "# indicium, device, certification, token-mac or postal-mac.\nrole = \"indicium\"\n";
const PSD: &str = "# Device ID.\npsd = \"PS010000000001\"\n";
const REASON: &str = "# unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn.\n\
    reason = \"unspecified\"\n";
const GENERATION: &str = "# Which generation of the key, from 1.\ngeneration = 1\n";
const PEM: &str = "public_key = '''\n-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n'''\n";

impl ActName {
    fn template(self) -> String {
        match self {
            ActName::CreatePsds => create_psds(),
            ActName::RotateKey => format!(
                "[rotate-key]\n{PSD}{ROLE}# State and locks of the PSD, and the newest generation of the key now.\n\
                 expected = {{ state = \"active\", locks = [], generation = 1 }}\n"
            ),
            ActName::RevokeKey => format!("[revoke-key]\n{PSD}{ROLE}{GENERATION}{REASON}{EXPECTED}"),
            ActName::RetireKey => format!("[retire-key]\n{PSD}{ROLE}{GENERATION}{EXPECTED}"),
            ActName::DestroyKey => format!("[destroy-key]\n{PSD}{ROLE}{GENERATION}{EXPECTED}"),
            ActName::Operators => format!(
                "[operators]\n# How many operators a ceremony needs from then on.\nquorum = 2\n\
                 # The whole new list; who is not on it is no operator any more.\n\
                 [[operators.list]]\nname = \"ada\"\n{PEM}[[operators.list]]\nname = \"ben\"\n{PEM}"
            ),
            ActName::RevokeOperator => format!("[revoke-operator]\nname = \"ada\"\n{REASON}"),
            ActName::RevokePsd => format!("[revoke-psd]\n{PSD}{REASON}{EXPECTED}"),
            ActName::RevokeClient => format!("[revoke-client]\ntenant = \"acme\"\nclient = \"press-1\"\n{REASON}"),
            ActName::RevokeAccount => format!("[revoke-account]\ntenant = \"acme\"\n{REASON}"),
            ActName::Lock => format!("[lock]\n{PSD}{EXPECTED}"),
            ActName::Unlock => {
                format!("[unlock]\n{PSD}{}", EXPECTED.replace("locks = []", "locks = [\"operator\"]"))
            }
            ActName::Scrap => format!("[scrap]\n{PSD}{}", EXPECTED.replace("\"active\"", "\"withdrawn\"")),
            ActName::BackUp => {
                "[back-up]\n# An absolute path on the daemon's machine.\ndirectory = \"/var/backups/psdd\"\n".to_owned()
            }
            ActName::InitialiseToken => {
                "[initialise-token]\n# Its name in psdd.toml, and the label it gets; whatever it \
                 held is lost.\ntoken = \"main\"\nlabel = \"psdd main\"\n"
                    .to_owned()
            }
            ActName::SplitPin => format!(
                "[split-pin]\ntoken = \"main\"\n# Any threshold of the shares give the PIN back; one holder for each share.\n\
                 shares = 3\nthreshold = 2\n[[split-pin.holders]]\nname = \"ada\"\n{PEM}[[split-pin.holders]]\nname = \"ben\"\n\
                 {PEM}[[split-pin.holders]]\nname = \"cem\"\n{PEM}"
            ),
            ActName::Abandon => "[abandon]\n# The ceremony that was interrupted.\nnumber = 1\n".to_owned(),
        }
    }
}

fn create_psds() -> String {
    "[create-psds]\n# Keys of each PSD; indicium and device are always needed.\nroles = [\"indicium\", \"device\"]\n\
     # With the role certification: p256 or p384.\n# certification = \"p256\"\n\
     # resident in the token, or wrapped under its wrapping key.\nresidence = \"resident\"\n\n\
     # A group of PSDs with consecutive serial numbers; repeat it as needed.\n[[create-psds.psds]]\n\
     first = \"PS010000000001\"\ncount = 1\ntenant = \"acme\"\nlicence = \"L-1000\"\nlicensing_zip = \"94301\"\n\
     format = \"ibi\"\nsoftware_id = \"psdd01\"\ntoken = \"main\"\n[create-psds.psds.limits]\nsmallest_postage = \"0.01\"\n\
     largest_postage = \"100.00\"\nlargest_descending = \"1000.00\"\n"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use psdd_wire::ceremony::{Ceremony, OperatorKey};

    #[test]
    fn every_draft_is_a_ceremony_once_keys_are_filled_in() {
        let dir = tempfile::tempdir().unwrap();
        let appliance = OperatorAppliance {
            psds: 0,
            time: 1_795_176_000_123,
            quorum: 2,
            tokens: Vec::new(),
            genesis: [1; 32],
            appliance: "post-1".to_owned(),
            operators: Vec::new(),
            environment: "development".to_owned(),
            last_ceremony: 6,
        };
        for act in ActName::value_variants() {
            let mut text = draft(&appliance, [7; 16], *act, 24);
            for number in 0.. {
                let Some(at) = text.find("-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n") else { break };
                let key = crate::operator::KeyFile::create(&dir.path().join(format!("{act:?}{number}"))).unwrap();
                let blank = "-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n".len();
                text.replace_range(at..at + blank, &key.public_key().to_pem());
            }
            let ceremony = Ceremony::read(text.as_bytes()).unwrap_or_else(|error| panic!("{act:?}: {error}\n{text}"));
            let name = act.to_possible_value().unwrap();
            assert_eq!((ceremony.act().table(), ceremony.head().number), (name.get_name(), 7));
            assert_eq!(ceremony.head().not_before.0, 1_795_176_000_000);
        }
    }
}
