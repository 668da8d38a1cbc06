"""Owns public keys: loading SPKI DER exactly, and signatures in their fixed form."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

ECDSA_P256 = 1
ED25519 = 2
ECDSA_P384 = 3
HMAC_SHA256 = 4
STRENGTH_BITS = {ECDSA_P256: 128, ED25519: 128, ECDSA_P384: 192, HMAC_SHA256: 256}  # NIST SP 800-57 part 1, tables 2 and 3
_ECDSA = {ECDSA_P256: (32, ec.ECDSA(hashes.SHA256())), ECDSA_P384: (48, ec.ECDSA(hashes.SHA384()))}


def spki_of(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo in DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def load(spki: bytes) -> PublicKey:
    """The key of an SPKI in DER, of one of the algorithms of the page; ValueError otherwise."""
    try:
        key = load_der_public_key(spki)
    except Exception as error:
        raise ValueError(f"not an SPKI: {error}") from error
    algorithm_of(key)
    if spki_of(key) != spki:  # type: ignore[arg-type]
        raise ValueError("SPKI is not DER of this key")
    return key  # type: ignore[return-value]


def algorithm_of(key: object) -> int:
    """1 for ECDSA P-256, 2 for Ed25519, 3 for ECDSA P-384; ValueError otherwise."""
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return ECDSA_P256
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1):
        return ECDSA_P384
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ED25519
    raise ValueError("key is neither ECDSA P-256 or P-384 nor Ed25519")


def verifies(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether the signature (r||s for ECDSA, with SHA-256 on P-256 and SHA-384 on P-384) over `message` holds."""
    half, scheme = _ECDSA.get(algorithm_of(key), (32, None))
    if len(signature) != 2 * half:
        return False
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
            key.verify(encode_dss_signature(r, s), message, scheme)
    except InvalidSignature:
        return False
    return True
