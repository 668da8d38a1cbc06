//! The keys of the token: found in one sweep and checked against the profile.
//!
//! Owns what is demanded of a key. Refuses keys that are extractable or otherwise not as the profile demands, keys whose
//! CKA_ID another key has, and keys without a public half: they are reported with the reason and sign nothing.

use super::fault::{Classifier, Fault};
use super::keys::{Keys, hex};
use super::public_half;
use super::watch::{Call, CallSlot};
use crate::protocol::{KEY_CHECK, KeyEntry};
use crate::role::{Algorithm, Residence, Role};
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use hsm_profiles::{KeyTemplate, Profile};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

const FIND_AT_ONCE: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// What a private or secret key says of itself.
struct Found {
    handle: ObjectHandle,
    attributes: Vec<Attribute>,
}

type ById<T> = BTreeMap<Vec<u8>, Vec<T>>;

/// Finds all keys of ours, once, and checks them.
///
/// # Errors
///
/// When the token cannot be searched.
pub fn sweep(session: &Session, profile: &Profile, classifier: &Classifier, slot: &CallSlot) -> Result<Keys, Fault> {
    let fault = |error: Error| classifier.judge(&error);
    let privates = all(session, ObjectClass::PRIVATE_KEY, slot).map_err(fault)?;
    let mut secrets = all(session, ObjectClass::SECRET_KEY, slot).map_err(fault)?;
    let mut publics: ById<Option<(Algorithm, Vec<u8>)>> = BTreeMap::new();
    for handle in find(session, ObjectClass::PUBLIC_KEY, slot).map_err(fault)? {
        let wanted = [AttributeType::Id, AttributeType::KeyType, AttributeType::EcParams, AttributeType::EcPoint];
        let attributes = slot.during(Call::Find, || session.get_attributes(handle, &wanted)).map_err(fault)?;
        if let Some(key_id) = id_of(&attributes) {
            publics.entry(key_id).or_default().push(public_half::spki_of(&attributes));
        }
    }

    let keys = Keys::default();
    for (key_id, found) in privates {
        let Some(role) = role_of(&key_id) else { continue };
        let Some(first) = found.first() else { continue };
        let halves = publics.remove(&key_id).unwrap_or_default();
        let others = secrets.remove(&key_id).map_or(0, |secrets| secrets.len());
        let half = halves.first().cloned().flatten();
        let unusable = if found.len() > 1 {
            Some(format!("{} private keys have this CKA_ID", found.len()))
        } else if others > 0 {
            Some("a secret key has this CKA_ID too".to_owned())
        } else if halves.len() != 1 {
            Some(format!("{} public keys have this CKA_ID", halves.len()))
        } else {
            match &half {
                None => Some("it is not a key on P-256, P-384 or Ed25519".to_owned()),
                Some((algorithm, _)) => departure(role, *algorithm, Residence::Resident, &first.attributes, profile),
            }
        };
        let (algorithm, spki) = half.unwrap_or((Algorithm::EcdsaP256, Vec::new()));
        enter(&keys, KeyEntry { key_id, role, algorithm, spki, unusable }, first.handle);
    }
    for (key_id, found) in secrets {
        let Some(role) = role_of(&key_id) else { continue };
        let Some(first) = found.first() else { continue };
        let algorithm = Algorithm::HmacSha256;
        let mut unusable = if found.len() > 1 {
            Some(format!("{} secret keys have this CKA_ID", found.len()))
        } else {
            departure(role, algorithm, Residence::Resident, &first.attributes, profile)
        };
        let mut spki = Vec::new();
        if unusable.is_none() {
            match check_value(session, first.handle, slot) {
                Ok(value) => spki = value,
                Err(error) => unusable = Some(format!("it makes no MAC: {error}")),
            }
        }
        enter(&keys, KeyEntry { key_id, role, algorithm, spki, unusable }, first.handle);
    }
    Ok(keys)
}

fn enter(keys: &Keys, entry: KeyEntry, handle: ObjectHandle) {
    if let Some(reason) = &entry.unusable {
        tracing::error!(key_id = %hex(&entry.key_id), role = %entry.role, "key refused: {reason}");
    }
    keys.insert(entry, handle);
}

fn role_of(key_id: &[u8]) -> Option<Role> {
    let role = key_id.first().and_then(|number| Role::from_number(*number));
    if role.is_none() {
        tracing::info!(key_id = %hex(key_id), "a key with a CKA_ID of nobody's role is left alone");
    }
    role
}

/// All keys of a class that have a CKA_ID.
fn all(session: &Session, class: ObjectClass, slot: &CallSlot) -> Result<ById<Found>, Error> {
    let mut by_id: ById<Found> = BTreeMap::new();
    for handle in find(session, class, slot)? {
        let attributes = read(session, handle, slot)?;
        if let Some(key_id) = id_of(&attributes) {
            by_id.entry(key_id).or_default().push(Found { handle, attributes });
        }
    }
    Ok(by_id)
}

fn find(session: &Session, class: ObjectClass, slot: &CallSlot) -> Result<Vec<ObjectHandle>, Error> {
    let template = [Attribute::Class(class), Attribute::Token(true)];
    slot.during(Call::Find, || session.iter_objects_with_cache_size(&template, FIND_AT_ONCE)?.collect())
}

fn read(session: &Session, handle: ObjectHandle, slot: &CallSlot) -> Result<Vec<Attribute>, Error> {
    const WANTED: [AttributeType; 13] = [
        AttributeType::Id,
        AttributeType::Class,
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
        AttributeType::WrapWithTrusted,
    ];
    slot.during(Call::Find, || session.get_attributes(handle, &WANTED))
}

/// How a key just made departs from what is demanded, if it does.
///
/// # Errors
///
/// When its attributes cannot be read.
pub fn departure_of(
    session: &Session,
    handle: ObjectHandle,
    (role, algorithm, residence): (Role, Algorithm, Residence),
    profile: &Profile,
    slot: &CallSlot,
) -> Result<Option<String>, Error> {
    Ok(departure(role, algorithm, residence, &read(session, handle, slot)?, profile))
}

/// The template of a role.
pub fn template(profile: &Profile, role: Role) -> &KeyTemplate {
    match role {
        Role::Indicium => &profile.keys.indicium,
        Role::Certification => &profile.keys.certification,
        Role::TokenMac => &profile.keys.token_mac,
        Role::Device => &profile.keys.device,
        Role::Log => &profile.keys.log,
    }
}

/// Whether the template lets a key of its role have this algorithm.
pub fn allows(template: &KeyTemplate, algorithm: Algorithm) -> bool {
    template.algorithms.iter().any(|allowed| is(*allowed, algorithm))
}

/// Whether a profile's algorithm is this one.
pub fn is(named: hsm_profiles::Algorithm, algorithm: Algorithm) -> bool {
    match named {
        hsm_profiles::Algorithm::P256 => algorithm == Algorithm::EcdsaP256,
        hsm_profiles::Algorithm::P384 => algorithm == Algorithm::EcdsaP384,
        hsm_profiles::Algorithm::Ed25519 => algorithm == Algorithm::Ed25519,
        hsm_profiles::Algorithm::HmacSha256 => algorithm == Algorithm::HmacSha256,
    }
}

/// A key that is to be kept wrapped is in the token for the time of its making only, and leaves it under the wrapping key; the
/// key that comes back is judged by [`session_departure`].
fn departure(
    role: Role,
    algorithm: Algorithm,
    residence: Residence,
    found: &[Attribute],
    profile: &Profile,
) -> Option<String> {
    let template = template(profile, role);
    if (role == Role::TokenMac) != (algorithm == Algorithm::HmacSha256) {
        let kind = if role == Role::TokenMac { "not a key pair" } else { "not a secret" };
        return Some(format!("a key of this role is {kind}"));
    }
    if !allows(template, algorithm) {
        return Some(format!("the profile of {} has no {role} key of {algorithm}", profile.family));
    }
    let checked = &template.checked;
    let resident = residence == Residence::Resident;
    let trusted = profile.wrapping.as_ref().is_some_and(|wrapping| wrapping.trusted);
    let demands = [
        Some(Attribute::KeyType(public_half::key_type(algorithm))),
        Some(Attribute::Token(template.token && resident)),
        Some(Attribute::Private(template.private)),
        Some(Attribute::Sensitive(template.sensitive)),
        Some(Attribute::Extractable(template.extractable || !resident)),
        Some(Attribute::Modifiable(template.modifiable)),
        Some(Attribute::Sign(true)),
        checked.always_sensitive.map(Attribute::AlwaysSensitive),
        checked.never_extractable.filter(|_| resident).map(Attribute::NeverExtractable),
        checked.local.map(Attribute::Local),
        (!resident && trusted).then_some(Attribute::WrapWithTrusted(true)),
    ];
    let missed = demands.into_iter().flatten().find(|demand| !found.contains(demand));
    missed.map(|demand| format!("the profile demands {demand:?}, and the token does not say so"))
}

/// Where a session object that signs departs from what it must be: sensitive, not extractable, gone with the session.
///
/// # Errors
///
/// When its attributes cannot be read.
pub fn session_departure(session: &Session, object: ObjectHandle, slot: &CallSlot) -> Result<Option<String>, Error> {
    let found = read(session, object, slot)?;
    let demands =
        [Attribute::Token(false), Attribute::Private(true), Attribute::Sensitive(true), Attribute::Extractable(false)];
    let missed = demands.into_iter().find(|demand| !found.contains(demand));
    Ok(missed.map(|demand| format!("a session object does not say {demand:?}")))
}

/// The MAC of [`KEY_CHECK`], by which a MAC key is told.
///
/// # Errors
///
/// As the module.
pub fn check_value(session: &Session, key: ObjectHandle, slot: &CallSlot) -> Result<Vec<u8>, Error> {
    slot.during(Call::Sign, || session.sign(&Mechanism::Sha256Hmac, key, KEY_CHECK))
}

fn id_of(attributes: &[Attribute]) -> Option<Vec<u8>> {
    attributes.iter().find_map(|attribute| match attribute {
        Attribute::Id(id) if !id.is_empty() => Some(id.clone()),
        _ => None,
    })
}
