//! Making keys: key pairs and secrets, to stay in the token or to leave it encrypted.
//!
//! Owns the templates, and the rule that a key that is not right is destroyed before anybody hears of it.

use super::admin::AdminFault;
use super::keys::hex;
use super::pool::refused;
use super::sign::Signing;
use super::watch::{Call, CallSlot};
use super::{public_half, sweep, wrapping};
use crate::role::{Algorithm, Residence, Role};
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::Session;
use hsm_profiles::Profile;

/// The bytes of a MAC key.
const SECRET_LEN: u64 = 32;

/// What key is to be made.
pub struct Order<'o> {
    /// What it will sign.
    pub role: Role,
    /// How it signs.
    pub algorithm: Algorithm,
    /// CKA_ID.
    pub key_id: &'o [u8],
    /// CKA_LABEL.
    pub label: &'o str,
    /// Where its private half is to be kept.
    pub residence: Residence,
}

/// A key that was made.
pub struct Made {
    /// SubjectPublicKeyInfo, or the check value.
    pub spki: Vec<u8>,
    /// The private or secret object, where it stays in the token.
    pub object: Option<ObjectHandle>,
    /// The encrypted private half, where it does not.
    pub wrapped: Option<Vec<u8>>,
}

/// Makes a key.
///
/// # Errors
///
/// When the profile has no such key, or the module fails; nothing is left in the token then.
pub fn make(
    session: &Session,
    signing: &Signing,
    profile: &Profile,
    order: &Order<'_>,
    slot: &CallSlot,
) -> Result<Made, AdminFault> {
    let template = sweep::template(profile, order.role);
    if !sweep::allows(template, order.algorithm) {
        let step = format!("the profile of {} has no {} key of {}", profile.family, order.role, order.algorithm);
        return Err(AdminFault::Refused(refused("algorithm-not-offered", step)));
    }
    let wrapper = match order.residence {
        Residence::Resident => None,
        Residence::Wrapped => Some(signing.wrapper.ready_for(order.algorithm).map_err(AdminFault::Refused)?),
    };
    let judge = |error: Error| AdminFault::Call(signing.token.classifier.judge(&error));
    let (public, private) = generate(session, order, profile, slot).map_err(judge)?;
    let outcome = finish(session, signing, profile, order, (public, private), slot).and_then(|spki| match wrapper {
        None => Ok(Made { spki, object: Some(private), wrapped: None }),
        Some((key, rules)) => {
            let blob = wrapping::wrap(session, key, rules, private, slot).map_err(judge)?;
            Ok(Made { spki, object: None, wrapped: Some(blob) })
        }
    });
    let keeps = matches!(&outcome, Ok(made) if made.object.is_some());
    if !keeps {
        for handle in [Some(private), public].into_iter().flatten() {
            let destroyed = slot.during(Call::Object, || session.destroy_object(handle));
            if let Err(error) = destroyed {
                tracing::error!(key_id = %hex(order.key_id), %error, "a key that must not stay could not be destroyed");
                return Err(judge(error));
            }
        }
    }
    outcome
}

fn generate(
    session: &Session,
    order: &Order<'_>,
    profile: &Profile,
    slot: &CallSlot,
) -> Result<(Option<ObjectHandle>, ObjectHandle), Error> {
    let template = sweep::template(profile, order.role);
    let wrapped = order.residence == Residence::Wrapped;
    let (id, text) = (Attribute::Id(order.key_id.to_vec()), Attribute::Label(order.label.as_bytes().to_vec()));
    let mut private = vec![
        Attribute::Token(template.token && !wrapped),
        Attribute::Private(template.private),
        Attribute::Sensitive(template.sensitive),
        Attribute::Extractable(template.extractable || wrapped),
        Attribute::Modifiable(template.modifiable),
        Attribute::Sign(true),
        id.clone(),
        text.clone(),
    ];
    if wrapped && profile.wrapping.as_ref().is_some_and(|wrapping| wrapping.trusted) {
        private.push(Attribute::WrapWithTrusted(true));
    }
    let mechanism = match order.algorithm {
        Algorithm::EcdsaP256 | Algorithm::EcdsaP384 => Mechanism::EccKeyPairGen,
        Algorithm::Ed25519 => Mechanism::EccEdwardsKeyPairGen,
        Algorithm::HmacSha256 => Mechanism::GenericSecretKeyGen,
    };
    match public_half::ec_params(order.algorithm) {
        Some(params) => {
            let public = [
                Attribute::Token(!wrapped),
                Attribute::Private(false),
                Attribute::Verify(true),
                Attribute::EcParams(params),
                id,
                text,
            ];
            let made = slot.during(Call::Generate, || session.generate_key_pair(&mechanism, &public, &private))?;
            Ok((Some(made.0), made.1))
        }
        None => {
            private.push(Attribute::ValueLen(SECRET_LEN.into()));
            let made = slot.during(Call::Generate, || session.generate_key(&mechanism, &private))?;
            Ok((None, made))
        }
    }
}

/// Reads back what was made, and gives its public half.
fn finish(
    session: &Session,
    signing: &Signing,
    profile: &Profile,
    order: &Order<'_>,
    (public, private): (Option<ObjectHandle>, ObjectHandle),
    slot: &CallSlot,
) -> Result<Vec<u8>, AdminFault> {
    let judge = |error: Error| AdminFault::Call(signing.token.classifier.judge(&error));
    let refuse = |problem: String| AdminFault::Refused(refused("template-not-honoured", problem));
    let kind = (order.role, order.algorithm, order.residence);
    if let Some(problem) = sweep::departure_of(session, private, kind, profile, slot).map_err(judge)? {
        return Err(refuse(problem));
    }
    let Some(public) = public else {
        return sweep::check_value(session, private, slot).map_err(judge);
    };
    let wanted = [AttributeType::KeyType, AttributeType::EcParams, AttributeType::EcPoint];
    let attributes = slot.during(Call::Find, || session.get_attributes(public, &wanted)).map_err(judge)?;
    match public_half::spki_of(&attributes) {
        Some((algorithm, spki)) if algorithm == order.algorithm => Ok(spki),
        Some(_) | None => Err(refuse("the public key is not on its curve".to_owned())),
    }
}
