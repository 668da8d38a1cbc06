//! The wrapping key: the object of the token under which keys leave it, encrypted, and come back.
//!
//! Owns how it is made, found and checked, and the two calls. Refuses a wrapping key that is not alone of its label, that can
//! be read, or that can do anything but wrap and unwrap: who can decrypt with it has every wrapped key.

use super::fault::{Classifier, Fault};
use super::keys::hex;
use super::pool::refused;
use super::watch::{Call, CallSlot};
use super::{public_half, sweep};
use crate::protocol::{HsmFault, KeyEntry};
use crate::role::Algorithm;
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use hsm_profiles::{Wrapping, WrappingMechanism};

/// AES-256.
const LENGTH: u64 = 32;

/// What the standard has C_UnwrapKey say of a blob (PKCS#11 3.1 §5.14.4); a profile names what its family says besides.
const OF_THE_BLOB: [&str; 4] = [
    "CKR_WRAPPED_KEY_INVALID",
    "CKR_WRAPPED_KEY_LEN_RANGE",
    "CKR_ENCRYPTED_DATA_INVALID",
    "CKR_ENCRYPTED_DATA_LEN_RANGE",
];

/// How keys leave the token, or why they cannot.
pub enum Wrapper {
    /// The wrapping key is there and as it must be.
    Ready(ObjectHandle, Wrapping),
    /// It is not, or the family has none.
    Unusable {
        /// The code psdd gets.
        code: &'static str,
        /// Why.
        reason: String,
    },
}

/// Why a blob gave no key.
pub enum UnwrapFault {
    /// The blob is none of the wrapping key, or of another kind of key.
    Blob(String),
    /// The module failed.
    Call(Fault),
}

impl Wrapper {
    /// Finds the wrapping key and checks it.
    ///
    /// # Errors
    ///
    /// When the token cannot be searched.
    pub fn find(session: &Session, rules: Option<&Wrapping>, family: &str, slot: &CallSlot) -> Result<Self, Error> {
        let Some(rules) = rules else {
            let reason = format!("the profile of {family} has no [wrapping]");
            return Ok(Wrapper::Unusable { code: "wrapping-not-offered", reason });
        };
        let wanted = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::Token(true),
            Attribute::Label(rules.label.as_bytes().to_vec()),
        ];
        let found = slot.during(Call::Find, || session.find_objects(&wanted))?;
        let [handle] = found.as_slice() else {
            let reason = format!("{} secret keys are labelled {:?}; exactly one must be", found.len(), rules.label);
            let code = if found.is_empty() { "wrapping-key-missing" } else { "wrapping-key-ambiguous" };
            return Ok(Wrapper::Unusable { code, reason });
        };
        match departure(session, *handle, rules, slot)? {
            None => Ok(Wrapper::Ready(*handle, rules.clone())),
            Some(demand) => {
                let reason = format!("the wrapping key {:?} does not say {demand:?}", rules.label);
                Ok(Wrapper::Unusable { code: "wrapping-key-unfit", reason })
            }
        }
    }

    /// The wrapping key and its rules, for a key of this algorithm.
    ///
    /// # Errors
    ///
    /// With the refusal psdd gets when there is no such key, or it wraps none of the algorithm.
    pub fn ready_for(&self, algorithm: Algorithm) -> Result<(ObjectHandle, &Wrapping), HsmFault> {
        let (handle, rules) = self.ready()?;
        if !rules.algorithms.iter().any(|offered| sweep::is(*offered, algorithm)) {
            let step = format!("the profile wraps no key of {algorithm}");
            return Err(refused("algorithm-not-offered", step));
        }
        Ok((handle, rules))
    }

    /// Why no key can be kept wrapped, if none can.
    pub fn problem(&self) -> Option<String> {
        match self {
            Wrapper::Ready(..) => None,
            Wrapper::Unusable { reason, .. } => Some(reason.clone()),
        }
    }

    /// The handle and the rules.
    ///
    /// # Errors
    ///
    /// With the refusal psdd gets when there is no such key.
    pub fn ready(&self) -> Result<(ObjectHandle, &Wrapping), HsmFault> {
        match self {
            Wrapper::Ready(handle, rules) => Ok((*handle, rules)),
            Wrapper::Unusable { code, reason } => Err(refused(code, reason.clone())),
        }
    }
}

/// The first attribute the wrapping key must have and does not say, if there is one.
fn departure(
    session: &Session,
    handle: ObjectHandle,
    rules: &Wrapping,
    slot: &CallSlot,
) -> Result<Option<Attribute>, Error> {
    let wanted = [
        AttributeType::KeyType,
        AttributeType::ValueLen,
        AttributeType::Private,
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::AlwaysSensitive,
        AttributeType::NeverExtractable,
        AttributeType::Local,
        AttributeType::Wrap,
        AttributeType::Unwrap,
        AttributeType::Encrypt,
        AttributeType::Decrypt,
        AttributeType::Sign,
        AttributeType::Modifiable,
        AttributeType::Trusted,
    ];
    let found = slot.during(Call::Find, || session.get_attributes(handle, &wanted))?;
    let demands = [
        Some(Attribute::KeyType(KeyType::AES)),
        Some(Attribute::ValueLen(LENGTH.into())),
        Some(Attribute::Private(true)),
        Some(Attribute::Sensitive(true)),
        Some(Attribute::Extractable(false)),
        Some(Attribute::AlwaysSensitive(true)),
        Some(Attribute::NeverExtractable(true)),
        Some(Attribute::Local(true)),
        Some(Attribute::Wrap(true)),
        Some(Attribute::Unwrap(true)),
        Some(Attribute::Encrypt(false)),
        Some(Attribute::Decrypt(false)),
        Some(Attribute::Sign(false)),
        // Or the user could let it decrypt.
        Some(Attribute::Modifiable(false)),
        rules.trusted.then_some(Attribute::Trusted(true)),
    ];
    Ok(demands.into_iter().flatten().find(|demand| !found.contains(demand)))
}

/// Makes the wrapping key before the user logs in, where it is to be trusted: only the security officer may say so
/// (PKCS#11 CKA_TRUSTED). He sees no private object, so it is a session object that [`install`] makes a private object of the
/// token; it is never on the disk as a public one.
///
/// # Errors
///
/// As the module.
pub fn prepare(session: &Session, rules: &Wrapping) -> Result<Option<ObjectHandle>, Error> {
    if !rules.trusted {
        return Ok(None);
    }
    let mut template = template(rules);
    template.extend([
        Attribute::Token(false),
        Attribute::Private(false),
        Attribute::Trusted(true),
        Attribute::Modifiable(true),
    ]);
    session.generate_key(&Mechanism::AesKeyGen, &template).map(Some)
}

/// Puts the wrapping key into the token, as the user.
///
/// # Errors
///
/// As the module.
pub fn install(session: &Session, rules: &Wrapping, prepared: Option<ObjectHandle>) -> Result<(), Error> {
    // In this order: see [`unwrap`].
    let place = [Attribute::Token(true), Attribute::Private(true), Attribute::Modifiable(false)];
    match prepared {
        Some(prepared) => {
            session.copy_object(prepared, &place)?;
            session.destroy_object(prepared)
        }
        None => {
            let mut template = template(rules);
            template.extend(place);
            session.generate_key(&Mechanism::AesKeyGen, &template).map(drop)
        }
    }
}

fn template(rules: &Wrapping) -> Vec<Attribute> {
    vec![
        Attribute::ValueLen(LENGTH.into()),
        Attribute::Label(rules.label.as_bytes().to_vec()),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Wrap(true),
        Attribute::Unwrap(true),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Derive(false),
    ]
}

fn mechanism(rules: &Wrapping) -> Mechanism<'static> {
    match rules.mechanism {
        WrappingMechanism::AesKeyWrapPad => Mechanism::AesKeyWrapPad,
    }
}

/// Encrypts a key.
///
/// # Errors
///
/// As the module.
pub fn wrap(
    session: &Session,
    wrapping_key: ObjectHandle,
    rules: &Wrapping,
    key: ObjectHandle,
    slot: &CallSlot,
) -> Result<Vec<u8>, Error> {
    slot.during(Call::Wrap, || session.wrap_key(&mechanism(rules), wrapping_key, key))
}

/// Decrypts a key into a session object that cannot be extracted.
///
/// # Errors
///
/// When the blob is not one, or the module fails.
pub fn unwrap(
    session: &Session,
    (wrapping_key, rules): (ObjectHandle, &Wrapping),
    entry: &KeyEntry,
    blob: &[u8],
    classifier: &Classifier,
    slot: &CallSlot,
) -> Result<ObjectHandle, UnwrapFault> {
    let class = match entry.algorithm {
        Algorithm::EcdsaP256 | Algorithm::EcdsaP384 | Algorithm::Ed25519 => ObjectClass::PRIVATE_KEY,
        Algorithm::HmacSha256 => ObjectClass::SECRET_KEY,
    };
    let template = [
        Attribute::Class(class),
        Attribute::KeyType(public_half::key_type(entry.algorithm)),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        Attribute::Id(entry.key_id.clone()),
        // Last: SoftHSM2 2.6.1 goes through the template in order, and changes nothing after this (CKR_ATTRIBUTE_READ_ONLY).
        Attribute::Modifiable(false),
    ];
    let made = slot.during(Call::Wrap, || session.unwrap_key(&mechanism(rules), wrapping_key, blob, &template));
    made.map_err(|error| {
        let fault = classifier.judge(&error);
        // Only what speaks of the blob is blamed on it: a key is not given up because the token had no room.
        let of_blob = OF_THE_BLOB.contains(&fault.code.as_str()) || rules.bad_blob.contains(&fault.code);
        if of_blob {
            UnwrapFault::Blob(format!("{} for the blob of key {}", fault.code, hex(&entry.key_id)))
        } else {
            UnwrapFault::Call(fault)
        }
    })
}
