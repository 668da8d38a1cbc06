//! The keys of the token: found in one sweep, checked against the profile, held by their CKA_ID.
//!
//! Owns the table of keys, their floors and their session copies. Refuses keys that are extractable or otherwise not
//! as the profile demands, keys whose CKA_ID another key has, and keys without a public half: they are reported with
//! the reason and sign nothing.
//!
//! The first byte of CKA_ID is the number of the key's role. CKA_ID is what every token lets one search by and what
//! survives a change of label, so the role stands there; CKA_LABEL is for people.

use super::fault::{Classifier, Fault};
use super::watch::{Call, CallSlot};
use crate::protocol::KeyEntry;
use crate::role::{Algorithm, Role};
use cryptoki::error::Error;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use hsm_profiles::{KeyTemplate, Profile};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use x509_cert::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef};
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::{AlgorithmIdentifier, SubjectPublicKeyInfo};

const FIND_AT_ONCE: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A key of the token.
pub struct Key {
    /// What psdd is told of it.
    pub entry: KeyEntry,
    /// The private key on the token.
    pub private: ObjectHandle,
    /// The highest ascending register psdd said is committed.
    floor: AtomicU64,
    /// The session copy that signs in its place.
    copy: RwLock<Option<ObjectHandle>>,
}

impl Key {
    /// The floor.
    pub fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    /// Raises the floor to this, if it is not above it already, and gives it.
    pub fn raise_floor(&self, floor: u64) -> u64 {
        self.floor.fetch_max(floor, Ordering::AcqRel).max(floor)
    }

    /// The session copy, if one was made.
    pub fn copy(&self) -> Option<ObjectHandle> {
        *self.copy.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session copy, made by `make` if there is none yet.
    ///
    /// # Errors
    ///
    /// As `make`.
    pub fn copy_or_make(&self, make: impl FnOnce() -> Result<ObjectHandle, Fault>) -> Result<ObjectHandle, Fault> {
        let mut copy = self.copy.write().unwrap_or_else(PoisonError::into_inner);
        match *copy {
            Some(handle) => Ok(handle),
            None => Ok(*copy.insert(make()?)),
        }
    }
}

/// All keys of the token.
#[derive(Default)]
pub struct Keys {
    by_id: RwLock<HashMap<Vec<u8>, Arc<Key>>>,
}

impl Keys {
    /// The key of this CKA_ID.
    pub fn find(&self, key_id: &[u8]) -> Option<Arc<Key>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(key_id).cloned()
    }

    /// Enters a key that was just made.
    pub fn insert(&self, entry: KeyEntry, private: ObjectHandle) {
        let key = Key { entry, private, floor: AtomicU64::new(0), copy: RwLock::new(None) };
        let key_id = key.entry.key_id.clone();
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).insert(key_id, Arc::new(key));
    }

    /// What psdd is told of all keys, by CKA_ID.
    pub fn entries(&self) -> Vec<KeyEntry> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let mut entries: Vec<KeyEntry> = by_id.values().map(|key| key.entry.clone()).collect();
        entries.sort_unstable_by(|a, b| a.key_id.cmp(&b.key_id));
        entries
    }
}

/// What a private key says of itself.
struct Private {
    handle: ObjectHandle,
    key_type: Option<KeyType>,
    attributes: Vec<Attribute>,
}

/// Finds all keys of ours, once, and checks them.
///
/// # Errors
///
/// When the token cannot be searched.
pub fn sweep(session: &Session, profile: &Profile, classifier: &Classifier, slot: &CallSlot) -> Result<Keys, Fault> {
    let fault = |error: Error| classifier.judge(&error);
    let mut privates: BTreeMap<Vec<u8>, Vec<Private>> = BTreeMap::new();
    for handle in find(session, ObjectClass::PRIVATE_KEY, slot).map_err(fault)? {
        let attributes = read(session, handle, slot).map_err(fault)?;
        if let Some(key_id) = id_of(&attributes) {
            let key_type = type_of(&attributes);
            privates.entry(key_id).or_default().push(Private { handle, key_type, attributes });
        }
    }
    let mut publics: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    for handle in find(session, ObjectClass::PUBLIC_KEY, slot).map_err(fault)? {
        let wanted = [AttributeType::Id, AttributeType::KeyType, AttributeType::EcParams, AttributeType::EcPoint];
        let attributes = slot.during(Call::Find, || session.get_attributes(handle, &wanted)).map_err(fault)?;
        if let Some(key_id) = id_of(&attributes) {
            publics.entry(key_id).or_default().push(spki_of(&attributes).unwrap_or_default());
        }
    }

    let keys = Keys::default();
    for (key_id, found) in privates {
        let Some(role) = key_id.first().and_then(|number| Role::from_number(*number)) else {
            tracing::info!(key_id = %hex(&key_id), "a private key with a CKA_ID of nobody's role is left alone");
            continue;
        };
        let Some(first) = found.first() else { continue };
        let halves = publics.remove(&key_id).unwrap_or_default();
        let algorithm = algorithm_of(first.key_type);
        let unusable = if found.len() > 1 {
            Some(format!("{} private keys have this CKA_ID", found.len()))
        } else if halves.len() != 1 {
            Some(format!("{} public keys have this CKA_ID", halves.len()))
        } else if halves[0].is_empty() || algorithm.is_none() {
            Some("it is not a key on P-256 or Ed25519".to_owned())
        } else {
            departure(role, algorithm, &first.attributes, profile)
        };
        if let Some(reason) = &unusable {
            tracing::error!(key_id = %hex(&key_id), %role, "key refused: {reason}");
        }
        let spki = halves.into_iter().next().unwrap_or_default();
        let algorithm = algorithm.unwrap_or(Algorithm::EcdsaP256);
        keys.insert(KeyEntry { key_id, role, algorithm, spki, unusable }, first.handle);
    }
    Ok(keys)
}

fn find(session: &Session, class: ObjectClass, slot: &CallSlot) -> Result<Vec<ObjectHandle>, Error> {
    let template = [Attribute::Class(class), Attribute::Token(true)];
    slot.during(Call::Find, || session.iter_objects_with_cache_size(&template, FIND_AT_ONCE)?.collect())
}

fn read(session: &Session, handle: ObjectHandle, slot: &CallSlot) -> Result<Vec<Attribute>, Error> {
    const WANTED: [AttributeType; 11] = [
        AttributeType::Id,
        AttributeType::KeyType,
        AttributeType::Token,
        AttributeType::Private,
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::Modifiable,
        AttributeType::AlwaysSensitive,
        AttributeType::NeverExtractable,
        AttributeType::Local,
        AttributeType::Sign,
    ];
    slot.during(Call::Find, || session.get_attributes(handle, &WANTED))
}

/// How a private key just made departs from what the profile demands, if it does.
///
/// # Errors
///
/// When its attributes cannot be read.
pub fn departure_of(
    session: &Session,
    handle: ObjectHandle,
    role: Role,
    algorithm: Algorithm,
    profile: &Profile,
    slot: &CallSlot,
) -> Result<Option<String>, Error> {
    Ok(departure(role, Some(algorithm), &read(session, handle, slot)?, profile))
}

/// The template of a role; digital tokens have no key pairs.
pub fn template(profile: &Profile, role: Role) -> Option<&KeyTemplate> {
    match role {
        Role::Indicium => Some(&profile.keys.indicium),
        Role::Certification => Some(&profile.keys.certification),
        Role::Device => Some(&profile.keys.device),
        Role::Log => Some(&profile.keys.log),
        Role::TokenMac => None,
    }
}

/// Whether the template lets a key of its role have this algorithm.
pub fn allows(template: &KeyTemplate, algorithm: Algorithm) -> bool {
    template.algorithms.iter().any(|allowed| match allowed {
        hsm_profiles::Algorithm::P256 => algorithm == Algorithm::EcdsaP256,
        hsm_profiles::Algorithm::Ed25519 => algorithm == Algorithm::Ed25519,
    })
}

fn departure(role: Role, algorithm: Option<Algorithm>, found: &[Attribute], profile: &Profile) -> Option<String> {
    let Some(template) = template(profile, role) else {
        return Some("a key of this role is not a key pair".to_owned());
    };
    if !algorithm.is_some_and(|algorithm| allows(template, algorithm)) {
        return Some(format!("the profile has no {role} key of this algorithm"));
    }
    let checked = &template.checked;
    let demands = [
        Some(Attribute::Token(template.token)),
        Some(Attribute::Private(template.private)),
        Some(Attribute::Sensitive(template.sensitive)),
        Some(Attribute::Extractable(template.extractable)),
        Some(Attribute::Modifiable(template.modifiable)),
        Some(Attribute::Sign(true)),
        checked.always_sensitive.map(Attribute::AlwaysSensitive),
        checked.never_extractable.map(Attribute::NeverExtractable),
        checked.local.map(Attribute::Local),
    ];
    let missed = demands.into_iter().flatten().find(|demand| !found.contains(demand));
    missed.map(|demand| format!("the profile demands {demand:?}, and the token does not say so"))
}

/// Where a session copy departs from its original: it must be as sensitive, and gone with the session.
///
/// # Errors
///
/// When its attributes cannot be read.
pub fn copy_departure(session: &Session, copy: ObjectHandle, slot: &CallSlot) -> Result<Option<String>, Error> {
    let found = read(session, copy, slot)?;
    let demands = [Attribute::Token(false), Attribute::Sensitive(true), Attribute::Extractable(false)];
    let missed = demands.into_iter().find(|demand| !found.contains(demand));
    Ok(missed.map(|demand| format!("a session copy does not say {demand:?}")))
}

fn id_of(attributes: &[Attribute]) -> Option<Vec<u8>> {
    attributes.iter().find_map(|attribute| match attribute {
        Attribute::Id(id) if !id.is_empty() => Some(id.clone()),
        _ => None,
    })
}

fn type_of(attributes: &[Attribute]) -> Option<KeyType> {
    attributes.iter().find_map(|attribute| match attribute {
        Attribute::KeyType(key_type) => Some(*key_type),
        _ => None,
    })
}

fn algorithm_of(key_type: Option<KeyType>) -> Option<Algorithm> {
    match key_type {
        Some(KeyType::EC) => Some(Algorithm::EcdsaP256),
        Some(KeyType::EC_EDWARDS) => Some(Algorithm::Ed25519),
        Some(_) | None => None,
    }
}

/// CKA_EC_PARAMS of an algorithm: its curve's name.
pub fn ec_params(algorithm: Algorithm) -> Vec<u8> {
    let curve = match algorithm {
        Algorithm::EcdsaP256 => P256,
        Algorithm::Ed25519 => ED25519,
    };
    curve.to_der().expect("an object identifier has a DER form")
}

/// The SubjectPublicKeyInfo of a public key, if it is on a curve of ours.
pub fn spki_of(attributes: &[Attribute]) -> Option<Vec<u8>> {
    let algorithm = algorithm_of(type_of(attributes))?;
    let point = attributes.iter().find_map(|attribute| match attribute {
        Attribute::EcPoint(point) => Some(point.as_slice()),
        _ => None,
    })?;
    let params = attributes.iter().find_map(|attribute| match attribute {
        Attribute::EcParams(params) => Some(params.as_slice()),
        _ => None,
    })?;
    let (length, identifier) = match algorithm {
        Algorithm::EcdsaP256 => {
            let curve = AnyRef::from(&P256);
            (65, AlgorithmIdentifier { oid: EC_PUBLIC_KEY, parameters: Some(curve) })
        }
        Algorithm::Ed25519 => (32, AlgorithmIdentifier { oid: ED25519, parameters: None }),
    };
    // Tokens that follow an older text name this curve as a PrintableString.
    let named = algorithm == Algorithm::Ed25519 && params.ends_with(b"edwards25519");
    if params != ec_params(algorithm) && !named {
        return None;
    }
    // PKCS#11 wraps the point in an OCTET STRING; some tokens give it bare.
    let bare = if point.len() == length { point } else { <&OctetStringRef>::from_der(point).ok()?.as_bytes() };
    if bare.len() != length {
        return None;
    }
    let subject_public_key = BitStringRef::from_bytes(bare).ok()?;
    SubjectPublicKeyInfo { algorithm: identifier, subject_public_key }.to_der().ok()
}

/// Lower-case hexadecimal, for the log.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("memory");
        text
    })
}
