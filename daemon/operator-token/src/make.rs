//! Making an operator's key in a token: it is born there and never leaves.

use crate::error::TokenError;
use crate::key::{P256, TokenKey, find, names, public_half};
use crate::pin::AskPin;
use crate::token::{call, session};
use crate::uri::{ObjectType, TokenUri};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use psdd_wire::ceremony::OperatorKey;

/// Bytes of a CKA_ID that the URI does not name.
const ID_LEN: u32 = 16;
/// What a new key signs to prove itself. It is no approval, and no message of any other form.
const TEST: &[u8] = b"psdctl operator keygen: a test of a key, of no form";

impl TokenKey {
    /// Makes a key on P-256 with the URI's object as its label and the URI's id, or a random one: sensitive, not extractable,
    /// to sign with. It has proven itself by a signature.
    ///
    /// # Errors
    ///
    /// When the token has an object of that label or id, or does not make the key as it is asked to; nothing is left in it then.
    pub fn make(uri: &TokenUri, ask: AskPin<'_>) -> Result<Self, TokenError> {
        if uri.object_type.is_some_and(|of| of != ObjectType::Private) {
            return Err(TokenError::Type);
        }
        let label = uri.object.clone().filter(|label| !label.is_empty()).ok_or(TokenError::Unlabelled)?.into_bytes();
        let session = session(uri, true, ask)?;
        let id = match &uri.id {
            Some(id) => id.clone(),
            None => session.generate_random_vec(ID_LEN).map_err(call("C_GenerateRandom"))?,
        };
        refuse_existing(&session, &[Attribute::Label(label.clone()), Attribute::Id(id.clone())])?;
        let (public, private) = generate(&session, label, id)?;
        match prove(session, public, private) {
            Ok(key) => Ok(key),
            Err((session, error)) => {
                for handle in [private, public] {
                    session.destroy_object(handle).map_err(call("C_DestroyObject of a key that must not stay"))?;
                }
                Err(error)
            }
        }
    }
}

fn refuse_existing(session: &Session, by: &[Attribute]) -> Result<(), TokenError> {
    let mut existing = Vec::new();
    for attribute in by {
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            existing.extend(find(session, class, std::slice::from_ref(attribute))?);
        }
    }
    if existing.is_empty() {
        return Ok(());
    }
    let mut names = names(session, &existing)?;
    names.sort();
    names.dedup();
    Err(TokenError::Exists(names))
}

fn generate(session: &Session, label: Vec<u8>, id: Vec<u8>) -> Result<(ObjectHandle, ObjectHandle), TokenError> {
    let (label, id) = (Attribute::Label(label), Attribute::Id(id));
    let public = [
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Verify(true),
        Attribute::EcParams(P256.to_vec()),
        label.clone(),
        id.clone(),
    ];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Derive(false),
        label,
        id,
    ];
    let made = session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private);
    made.map_err(call("C_GenerateKeyPair"))
}

/// Reads back what was made and has it sign; gives the session back where it is not right.
fn prove(session: Session, public: ObjectHandle, private: ObjectHandle) -> Result<TokenKey, (Session, TokenError)> {
    let half = match departure(&session, private).and_then(|()| public_half(&session, public)) {
        Ok(half) => half,
        Err(error) => return Err((session, error)),
    };
    let key = TokenKey::of(session, private, half);
    match key.sign(TEST) {
        Ok(_) => Ok(key),
        Err(error) => Err((key.into_session(), error.into())),
    }
}

fn departure(session: &Session, private: ObjectHandle) -> Result<(), TokenError> {
    let wanted = [
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::AlwaysSensitive,
        AttributeType::NeverExtractable,
        AttributeType::AlwaysAuthenticate,
    ];
    let told = session.get_attributes(private, &wanted).map_err(call("C_GetAttributeValue"))?;
    let rules = [
        (Attribute::Sensitive(true), "it is not sensitive"),
        (Attribute::Extractable(false), "it can be extracted"),
        (Attribute::AlwaysSensitive(true), "it was not always sensitive"),
        (Attribute::NeverExtractable(true), "it could be extracted once"),
    ];
    let broken = rules.iter().find(|(rule, _)| !told.contains(rule)).map(|(_, problem)| *problem);
    let again = told.contains(&Attribute::AlwaysAuthenticate(true)).then_some("it wants the PIN for every signature");
    broken.or(again).map_or(Ok(()), |problem| Err(TokenError::Template(problem)))
}
