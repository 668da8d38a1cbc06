//! The form of a profile.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// One HSM family.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The family's name, for people.
    pub family: String,
    /// What the family is validated as.
    pub validated: Validation,
    /// Where its PKCS#11 module may be; the first that exists is loaded.
    pub modules: Vec<PathBuf>,
    /// How it signs.
    pub mechanisms: Mechanisms,
    /// How many sessions, and how they are used.
    pub sessions: Sessions,
    /// How long its calls may take.
    pub deadlines: Deadlines,
    /// What it does unlike others.
    pub quirks: Quirks,
    /// Its clock.
    pub clock: Clock,
    /// Where the ledger's anchor goes.
    pub anchor: AnchorRule,
    /// How keys are made and what is checked of them.
    pub keys: KeyTemplates,
    /// CKR names whose class differs from the default table of psdd-hsm.
    pub error_classes: BTreeMap<String, ErrorClass>,
    /// How far the profile was tested.
    pub tested: Tested,
}

impl Profile {
    pub(crate) fn inconsistency(&self) -> Option<(&'static str, &'static str)> {
        let wants_ed25519 = [&self.keys.indicium, &self.keys.certification, &self.keys.device, &self.keys.log]
            .iter()
            .any(|template| template.algorithms.contains(&Algorithm::Ed25519));
        if self.modules.is_empty() {
            return Some(("modules", "names no module"));
        }
        if self.sessions.default == 0 || self.sessions.default > self.sessions.limit {
            return Some(("sessions.default", "must be at least 1 and at most sessions.limit"));
        }
        if wants_ed25519 && self.mechanisms.ed25519 == Ed25519Mechanism::None {
            return Some(("keys", "names ed25519, which mechanisms.ed25519 does not have"));
        }
        if self.error_classes.keys().any(|name| !name.starts_with("CKR_")) {
            return Some(("error_classes", "names of PKCS#11 errors begin with CKR_"));
        }
        None
    }
}

/// What a family is validated as.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Validation {
    /// Nothing: a software token can claim no validation, whatever it is built from.
    #[serde(rename = "software")]
    Software,
    /// FIPS 140-2 level 2.
    #[serde(rename = "fips140-2-level-2")]
    Fips1402Level2,
    /// FIPS 140-2 level 3.
    #[serde(rename = "fips140-2-level-3")]
    Fips1402Level3,
    /// FIPS 140-3 level 2.
    #[serde(rename = "fips140-3-level-2")]
    Fips1403Level2,
    /// FIPS 140-3 level 3.
    #[serde(rename = "fips140-3-level-3")]
    Fips1403Level3,
}

impl Validation {
    /// Whether it is a module of its own that may claim its level.
    pub fn is_hardware(self) -> bool {
        match self {
            Validation::Software => false,
            Validation::Fips1402Level2
            | Validation::Fips1402Level3
            | Validation::Fips1403Level2
            | Validation::Fips1403Level3 => true,
        }
    }
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Validation::Software => "software",
            Validation::Fips1402Level2 => "fips140-2-level-2",
            Validation::Fips1402Level3 => "fips140-2-level-3",
            Validation::Fips1403Level2 => "fips140-3-level-2",
            Validation::Fips1403Level3 => "fips140-3-level-3",
        })
    }
}

/// The mechanisms used to sign.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Mechanisms {
    /// For ECDSA P-256.
    pub ecdsa: EcdsaMechanism,
    /// For Ed25519.
    pub ed25519: Ed25519Mechanism,
}

/// How ECDSA is asked for.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum EcdsaMechanism {
    /// CKM_ECDSA over a SHA-256 that the worker makes.
    RawDigest,
    /// CKM_ECDSA_SHA256 over the message.
    EcdsaSha256,
}

/// How Ed25519 is asked for.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum Ed25519Mechanism {
    /// The family has none.
    None,
    /// CKM_EC_EDWARDS_KEY_PAIR_GEN and CKM_EDDSA without parameters.
    Eddsa,
}

/// Sessions of a worker.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// The most sessions that sign; one more is opened for everything else.
    pub limit: u32,
    /// How many sign where the configuration does not say.
    pub default: u32,
    /// Whether to sign with a session copy of the key (C_CopyObject with CKA_TOKEN false).
    pub session_copy: bool,
    /// After how many idle seconds a session is asked for its state, so that it is not dropped; 0 for never.
    pub keep_alive_s: u64,
}

/// After how long a call is taken for hung, in milliseconds.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Deadlines {
    /// C_SignInit and C_Sign together.
    pub sign_ms: u64,
    /// C_Login.
    pub login_ms: u64,
    /// C_GenerateKeyPair.
    pub generate_ms: u64,
    /// One find, or one read of attributes.
    pub find_ms: u64,
    /// Everything else, loading the module included.
    pub other_ms: u64,
}

/// What a family does unlike others.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Quirks {
    /// Session errors are not repaired with a new session: the worker ends, and a fresh process takes over.
    pub needs_second_process_for_recovery: bool,
}

/// The token's clock.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Whether CKF_CLOCK_ON_TOKEN of this family can be believed.
    pub on_token: bool,
}

/// Where the ledger's anchor goes, and what it is worth.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct AnchorRule {
    /// The kind of object.
    pub object: AnchorObject,
    /// Whether it is outside of what a disk image copies.
    pub survives_disk_image: bool,
    /// At most so many records may be committed after the anchor was written.
    pub window_records: u64,
    /// At most so many milliseconds may pass between a commit and its anchor.
    pub window_ms: u64,
}

/// Kinds of object an anchor can be.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum AnchorObject {
    /// A private CKO_DATA object of the token.
    Data,
}

impl fmt::Display for AnchorObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AnchorObject::Data => "data",
        })
    }
}

/// Templates, one per role that signs with a key pair.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct KeyTemplates {
    /// Keys that sign indicia.
    pub indicium: KeyTemplate,
    /// Keys that sign certifications.
    pub certification: KeyTemplate,
    /// Keys that sign value requests, audits and refunds.
    pub device: KeyTemplate,
    /// Keys that sign checkpoints.
    pub log: KeyTemplate,
}

/// How a private key is made; the same attributes are read back and checked before it is used.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct KeyTemplate {
    /// What the key may be, the preferred one first.
    pub algorithms: Vec<Algorithm>,
    /// CKA_TOKEN.
    pub token: bool,
    /// CKA_PRIVATE.
    pub private: bool,
    /// CKA_SENSITIVE.
    pub sensitive: bool,
    /// CKA_EXTRACTABLE.
    pub extractable: bool,
    /// CKA_MODIFIABLE.
    pub modifiable: bool,
    /// What the token must say of the key's past.
    pub checked: Attested,
}

/// Attributes that only the token sets; absent means that this family does not report it truly, and it is not checked.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Attested {
    /// CKA_ALWAYS_SENSITIVE.
    pub always_sensitive: Option<bool>,
    /// CKA_NEVER_EXTRACTABLE.
    pub never_extractable: Option<bool>,
    /// CKA_LOCAL.
    pub local: Option<bool>,
}

/// Algorithms of key pairs.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// ECDSA on P-256.
    P256,
    /// Ed25519.
    Ed25519,
}

/// Whose fault a PKCS#11 error is.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// The session: it is closed and replaced.
    Session,
    /// The login: the worker ends, and an error of the PIN latches.
    Login,
    /// The module: the worker ends and a fresh process follows.
    Module,
    /// The request alone.
    Request,
    /// The token: the worker ends and a fresh process follows.
    Token,
}

/// How far a profile was tested.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Tested {
    /// How deeply.
    pub depth: TestDepth,
    /// With what.
    pub with: String,
}

/// Depths of testing.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum TestDepth {
    /// Written from the vendor's documents; never run.
    Never,
    /// Run by hand.
    ByHand,
    /// The whole test suite runs over it.
    Suite,
}
