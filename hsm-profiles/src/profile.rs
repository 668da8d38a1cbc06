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
    /// How keys are kept outside of the token, encrypted under a key of it; absent where the family cannot.
    pub wrapping: Option<Wrapping>,
    /// CKR names whose class differs from the default table of psdd-hsm.
    pub error_classes: BTreeMap<String, ErrorClass>,
    /// How far the profile was tested.
    pub tested: Tested,
}

impl Profile {
    pub(crate) fn inconsistency(&self) -> Option<(&'static str, &'static str)> {
        let pairs = [&self.keys.indicium, &self.keys.certification, &self.keys.device, &self.keys.log];
        let wants = |algorithm| pairs.iter().any(|template| template.algorithms.contains(&algorithm));
        let macs = &self.keys.token_mac.algorithms;
        if self.modules.is_empty() {
            return Some(("modules", "names no module"));
        }
        if self.sessions.default == 0 || self.sessions.default > self.sessions.limit {
            return Some(("sessions.default", "must be at least 1 and at most sessions.limit"));
        }
        if wants(Algorithm::HmacSha256) || macs.iter().any(|algorithm| *algorithm != Algorithm::HmacSha256) {
            return Some(("keys", "hmac-sha256 is for token-mac keys, and they are of nothing else"));
        }
        if !macs.is_empty() && self.mechanisms.hmac_sha256 == HmacMechanism::None {
            return Some(("keys.token-mac", "names hmac-sha256, which mechanisms.hmac_sha256 does not have"));
        }
        if wants(Algorithm::Ed25519) && self.mechanisms.ed25519 == Ed25519Mechanism::None {
            return Some(("keys", "names ed25519, which mechanisms.ed25519 does not have"));
        }
        if self.wrapping.as_ref().is_some_and(|wrapping| wrapping.label.is_empty() || wrapping.cached_keys == 0) {
            return Some(("wrapping", "needs a label, and room for one key at least"));
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
    /// For ECDSA on P-256 and P-384.
    pub ecdsa: EcdsaMechanism,
    /// For Ed25519.
    pub ed25519: Ed25519Mechanism,
    /// For the MACs of digital tokens.
    pub hmac_sha256: HmacMechanism,
}

/// How ECDSA is asked for.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum EcdsaMechanism {
    /// CKM_ECDSA over a digest that the worker makes: SHA-256 for P-256, SHA-384 for P-384.
    RawDigest,
    /// CKM_ECDSA_SHA256 over the message, and CKM_ECDSA_SHA384 for P-384.
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

/// How HMAC with SHA-256 is asked for.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum HmacMechanism {
    /// The family cannot make such a key, or cannot use it.
    None,
    /// CKM_GENERIC_SECRET_KEY_GEN and CKM_SHA256_HMAC.
    Sha256Hmac,
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

/// Templates, one per role.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct KeyTemplates {
    /// Keys that sign indicia.
    pub indicium: KeyTemplate,
    /// Keys that sign certifications.
    pub certification: KeyTemplate,
    /// Secrets that make digital tokens; no algorithm where the family cannot have them.
    #[serde(rename = "token-mac")]
    pub token_mac: KeyTemplate,
    /// Keys that sign value requests, audits and refunds.
    pub device: KeyTemplate,
    /// Keys that sign checkpoints.
    pub log: KeyTemplate,
}

/// How a private or secret key is made; the same attributes are read back and checked before it is used.
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

/// Algorithms of keys.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// HMAC with SHA-256 under a secret of 32 bytes.
    HmacSha256,
}

/// Keys that are kept outside of the token, encrypted.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Wrapping {
    /// How they are encrypted.
    pub mechanism: WrappingMechanism,
    /// The keys that can be.
    pub algorithms: Vec<Algorithm>,
    /// CKA_LABEL of the wrapping key, an AES-256 key that `psdd-hsm init-token` makes.
    pub label: String,
    /// Whether the security officer makes the wrapping key CKA_TRUSTED, and keys are made CKA_WRAP_WITH_TRUSTED.
    pub trusted: bool,
    /// CKR names by which C_UnwrapKey says that a blob is not one, though the default table takes them for more.
    pub bad_blob: Vec<String>,
    /// The most keys that are unwrapped at a time.
    pub cached_keys: u32,
}

/// How keys are encrypted.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum WrappingMechanism {
    /// CKM_AES_KEY_WRAP_PAD (RFC 5649).
    AesKeyWrapPad,
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
