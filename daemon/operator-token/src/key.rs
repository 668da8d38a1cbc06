//! The one private key that a URI names, and what it signs.

use crate::error::TokenError;
use crate::percent::{encode, encode_all};
use crate::pin::AskPin;
use crate::token::{call, session};
use crate::uri::{ObjectType, TokenUri};
use aws_lc_rs::digest::{SHA256, digest};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use psdd_wire::ceremony::{OperatorKey, P256PublicKey, PublicKeyError, SignError};

/// CKA_EC_PARAMS of P-256: the object identifier of secp256r1 (RFC 5480 §2.1.1.1).
pub(crate) const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// An operator's private key in a token that is logged in.
pub struct TokenKey {
    session: Session,
    handle: ObjectHandle,
    public: P256PublicKey,
}

impl TokenKey {
    /// The key that a URI names: ECDSA on P-256, with its public half beside it in the token.
    ///
    /// # Errors
    ///
    /// When not exactly one token and one private key match, when the login fails, which is tried once, or when the key cannot sign
    /// approvals.
    pub fn open(uri: &TokenUri, ask: AskPin<'_>) -> Result<Self, TokenError> {
        if uri.object_type.is_some_and(|of| of != ObjectType::Private) {
            return Err(TokenError::Type);
        }
        let session = session(uri, false, ask)?;
        let found = find(&session, ObjectClass::PRIVATE_KEY, &selectors(uri))?;
        let handle = match found[..] {
            [one] => one,
            [] => return Err(TokenError::NoKey(names(&session, &find(&session, ObjectClass::PRIVATE_KEY, &[])?)?)),
            _ => return Err(TokenError::ManyKeys(names(&session, &found)?)),
        };
        check(&session, handle)?;
        let id = id_of(&session, handle)?;
        let mut halves = find(&session, ObjectClass::PUBLIC_KEY, &[Attribute::Id(id)])?
            .into_iter()
            .map(|public| public_half(&session, public))
            .collect::<Result<Vec<_>, _>>()?;
        halves.dedup();
        match <[_; 1]>::try_from(halves) {
            Ok([public]) => Ok(Self::of(session, handle, public)),
            Err(halves) => Err(TokenError::Publics(halves.len())),
        }
    }

    pub(crate) fn of(session: Session, handle: ObjectHandle, public: P256PublicKey) -> Self {
        Self { session, handle, public }
    }

    pub(crate) fn into_session(self) -> Session {
        self.session
    }
}

impl OperatorKey for TokenKey {
    fn public_key(&self) -> &P256PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let hash = digest(&SHA256, message);
        let signed = self.session.sign(&Mechanism::Ecdsa, self.handle, hash.as_ref());
        let signature = signed.map_err(|error| SignError(error.into()))?;
        let signature: [u8; 64] =
            signature.try_into().map_err(|_other: Vec<u8>| SignError("its signature has not 64 bytes".into()))?;
        // The module cannot vouch for itself: the private and the public object may be of two keys.
        if self.public.verifies(message, &signature) {
            Ok(signature)
        } else {
            Err(SignError("its signature does not verify under the public key of the same CKA_ID".into()))
        }
    }
}

/// What of a URI selects an object.
pub(crate) fn selectors(uri: &TokenUri) -> Vec<Attribute> {
    let label = uri.object.as_ref().map(|label| Attribute::Label(label.as_bytes().to_vec()));
    let id = uri.id.as_ref().map(|id| Attribute::Id(id.clone()));
    label.into_iter().chain(id).collect()
}

pub(crate) fn find(session: &Session, class: ObjectClass, by: &[Attribute]) -> Result<Vec<ObjectHandle>, TokenError> {
    let mut template = vec![Attribute::Class(class), Attribute::Token(true)];
    template.extend_from_slice(by);
    session.find_objects(&template).map_err(call("C_FindObjects"))
}

/// Objects as people and URIs name them.
pub(crate) fn names(session: &Session, handles: &[ObjectHandle]) -> Result<Vec<String>, TokenError> {
    let name = |handle: &ObjectHandle| {
        let wanted = [AttributeType::Label, AttributeType::Id];
        let told = session.get_attributes(*handle, &wanted).map_err(call("C_GetAttributeValue"))?;
        let parts = told.iter().filter_map(|attribute| match attribute {
            Attribute::Label(label) => Some(format!("object={}", encode(label))),
            Attribute::Id(id) => Some(format!("id={}", encode_all(id))),
            _ => None,
        });
        Ok(parts.collect::<Vec<_>>().join(";"))
    };
    handles.iter().map(name).collect()
}

/// Whether a private key can sign approvals.
fn check(session: &Session, handle: ObjectHandle) -> Result<(), TokenError> {
    let wanted =
        [AttributeType::KeyType, AttributeType::EcParams, AttributeType::Sign, AttributeType::AlwaysAuthenticate];
    let told = session.get_attributes(handle, &wanted).map_err(call("C_GetAttributeValue"))?;
    let has = |attribute: &Attribute| told.contains(attribute);
    if !has(&Attribute::KeyType(KeyType::EC)) {
        return Err(TokenError::Unfit("it is no key on an elliptic curve"));
    }
    if !has(&Attribute::EcParams(P256.to_vec())) {
        return Err(TokenError::Unfit("it is not on P-256"));
    }
    if !has(&Attribute::Sign(true)) {
        return Err(TokenError::Unfit("it may not sign (CKA_SIGN)"));
    }
    if has(&Attribute::AlwaysAuthenticate(true)) {
        return Err(TokenError::Unfit("it wants the PIN again for every signature (CKA_ALWAYS_AUTHENTICATE)"));
    }
    Ok(())
}

fn id_of(session: &Session, handle: ObjectHandle) -> Result<Vec<u8>, TokenError> {
    let told = session.get_attributes(handle, &[AttributeType::Id]).map_err(call("C_GetAttributeValue"))?;
    let id = told.into_iter().find_map(|attribute| match attribute {
        Attribute::Id(id) if !id.is_empty() => Some(id),
        _ => None,
    });
    id.ok_or(TokenError::Unfit("it has no CKA_ID, which its public half is found by"))
}

/// CKA_EC_POINT: an OCTET STRING around the point; some tokens give the point bare.
pub(crate) fn public_half(session: &Session, handle: ObjectHandle) -> Result<P256PublicKey, TokenError> {
    let told = session.get_attributes(handle, &[AttributeType::EcPoint]).map_err(call("C_GetAttributeValue"))?;
    let point = told.iter().find_map(|attribute| match attribute {
        Attribute::EcPoint(point) => Some(point.strip_prefix(&[0x04, 65]).unwrap_or(point)),
        _ => None,
    });
    Ok(P256PublicKey::from_point(point.ok_or(PublicKeyError::Kind)?)?)
}
