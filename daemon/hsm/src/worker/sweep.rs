//! The keys of the token: found in one sweep and checked against the profile.
//!
//! Owns what is demanded of a key. Refuses keys that are extractable or otherwise not as the profile demands, keys whose
//! CKA_ID another key has, and keys without a public half: they are reported with the reason and sign nothing.

use super::fault::{Classifier, Fault};
use super::keys::{Keys, hex};
use super::public_half;
use super::watch::{Call, CallSlot};
use crate::protocol::{FoundKey, KEY_CHECK, KeyEntry};
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

/// The key objects of one CKA_ID.
#[derive(Default)]
struct Objects {
    privates: Vec<Found>,
    secrets: Vec<Found>,
    /// Each as algorithm and SPKI, where it is a public key that can be.
    publics: Vec<Option<(Algorithm, Vec<u8>)>>,
}

/// Finds all keys of ours, once, and checks them.
///
/// # Errors
///
/// When the token cannot be searched.
pub fn sweep(session: &Session, profile: &Profile, classifier: &Classifier, slot: &CallSlot) -> Result<Keys, Fault> {
    let by_id = gather(session, None, slot).map_err(|error| classifier.judge(&error))?;
    let keys = Keys::default();
    for (key_id, objects) in by_id {
        if let Some((key, object)) = judge(session, profile, (key_id, &objects), slot) {
            enter(&keys, key, object);
        }
    }
    Ok(keys)
}

/// Finds the key of one CKA_ID as [`sweep`] would, with its label and the object that signs.
///
/// # Errors
///
/// When the token cannot be searched.
pub fn one(
    session: &Session,
    profile: &Profile,
    key_id: &[u8],
    slot: &CallSlot,
) -> Result<Option<(FoundKey, ObjectHandle)>, Error> {
    let Some(objects) = gather(session, Some(key_id), slot)?.remove(key_id) else { return Ok(None) };
    let Some((entry, object)) = judge(session, profile, (key_id.to_vec(), &objects), slot) else { return Ok(None) };
    let attributes = slot.during(Call::Find, || session.get_attributes(object, &[AttributeType::Label]))?;
    let label = attributes.iter().find_map(|attribute| match attribute {
        Attribute::Label(label) => Some(String::from_utf8_lossy(label).into_owned()),
        _ => None,
    });
    Ok(Some((FoundKey { entry, label: label.unwrap_or_default() }, object)))
}

/// Whether the token has a private or secret key of this CKA_ID.
///
/// # Errors
///
/// When the token cannot be searched.
pub fn is_there(session: &Session, key_id: &[u8], slot: &CallSlot) -> Result<bool, Error> {
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::SECRET_KEY] {
        if !find(session, class, Some(key_id), slot)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Destroys the public keys of a CKA_ID that has no private or secret key: a worker that was killed in C_GenerateKeyPair left them, and beside
/// those of a new pair they would make it unusable. Gives how many there were.
///
/// # Errors
///
/// When the token cannot be searched, or does not destroy them.
pub fn clear_public_orphans(session: &Session, key_id: &[u8], slot: &CallSlot) -> Result<usize, Error> {
    let orphans = find(session, ObjectClass::PUBLIC_KEY, Some(key_id), slot)?;
    for orphan in &orphans {
        slot.during(Call::Object, || session.destroy_object(*orphan))?;
    }
    Ok(orphans.len())
}

/// The key objects of the token by CKA_ID: all that have one, or those of this one.
fn gather(session: &Session, only: Option<&[u8]>, slot: &CallSlot) -> Result<BTreeMap<Vec<u8>, Objects>, Error> {
    let mut by_id: BTreeMap<Vec<u8>, Objects> = BTreeMap::new();
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::SECRET_KEY] {
        for handle in find(session, class, only, slot)? {
            let attributes = read(session, handle, slot)?;
            let Some(key_id) = id_of(&attributes) else { continue };
            let objects = by_id.entry(key_id).or_default();
            let of_class = if class == ObjectClass::PRIVATE_KEY { &mut objects.privates } else { &mut objects.secrets };
            of_class.push(Found { handle, attributes });
        }
    }
    for handle in find(session, ObjectClass::PUBLIC_KEY, only, slot)? {
        let wanted = [AttributeType::Id, AttributeType::KeyType, AttributeType::EcParams, AttributeType::EcPoint];
        let attributes = slot.during(Call::Find, || session.get_attributes(handle, &wanted))?;
        if let Some(key_id) = id_of(&attributes) {
            by_id.entry(key_id).or_default().publics.push(public_half::spki_of(&attributes));
        }
    }
    Ok(by_id)
}

/// What psdd is told of the key that these objects are, and the object that signs; none where they are no key of ours.
fn judge(
    session: &Session,
    profile: &Profile,
    (key_id, objects): (Vec<u8>, &Objects),
    slot: &CallSlot,
) -> Option<(KeyEntry, ObjectHandle)> {
    let first = objects.privates.first().or(objects.secrets.first())?;
    let role = role_of(&key_id)?;
    let (algorithm, spki, unusable) = if objects.privates.is_empty() {
        judge_secret(session, profile, role, objects, slot)
    } else {
        judge_pair(profile, role, objects)
    };
    Some((KeyEntry { key_id, role, algorithm, spki, unusable }, first.handle))
}

fn judge_pair(profile: &Profile, role: Role, objects: &Objects) -> (Algorithm, Vec<u8>, Option<String>) {
    let Objects { privates, secrets, publics } = objects;
    let half = publics.first().cloned().flatten();
    let unusable = if privates.len() > 1 {
        Some(format!("{} private keys have this CKA_ID", privates.len()))
    } else if !secrets.is_empty() {
        Some("a secret key has this CKA_ID too".to_owned())
    } else if publics.len() != 1 {
        Some(format!("{} public keys have this CKA_ID", publics.len()))
    } else {
        match (&half, privates.first()) {
            (Some((algorithm, _)), Some(private)) => {
                departure(role, *algorithm, Residence::Resident, &private.attributes, profile)
            }
            (None, _) | (_, None) => Some("it is not a key on P-256, P-384 or Ed25519".to_owned()),
        }
    };
    let (algorithm, spki) = half.unwrap_or((Algorithm::EcdsaP256, Vec::new()));
    (algorithm, spki, unusable)
}

fn judge_secret(
    session: &Session,
    profile: &Profile,
    role: Role,
    objects: &Objects,
    slot: &CallSlot,
) -> (Algorithm, Vec<u8>, Option<String>) {
    let algorithm = Algorithm::HmacSha256;
    let [only] = objects.secrets.as_slice() else {
        return (algorithm, Vec::new(), Some(format!("{} secret keys have this CKA_ID", objects.secrets.len())));
    };
    if let Some(problem) = departure(role, algorithm, Residence::Resident, &only.attributes, profile) {
        return (algorithm, Vec::new(), Some(problem));
    }
    match check_value(session, only.handle, slot) {
        Ok(value) => (algorithm, value, None),
        Err(error) => (algorithm, Vec::new(), Some(format!("it makes no MAC: {error}"))),
    }
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

fn find(
    session: &Session,
    class: ObjectClass,
    only: Option<&[u8]>,
    slot: &CallSlot,
) -> Result<Vec<ObjectHandle>, Error> {
    let mut template = vec![Attribute::Class(class), Attribute::Token(true)];
    template.extend(only.map(|key_id| Attribute::Id(key_id.to_vec())));
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
        Role::TokenMac | Role::PostalMac => &profile.keys.token_mac,
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
    if role.is_mac() != (algorithm == Algorithm::HmacSha256) {
        let kind = if role.is_mac() { "not a key pair" } else { "not a secret" };
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
