"""Owns the test authority: root, issuing CA, keys of its purposes, and certificates by them, made with `cryptography`."""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2046, 1, 1, tzinfo=dt.UTC)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def strong_key() -> ec.EllipticCurvePrivateKey:
    """A P-384 key."""
    return ec.generate_private_key(ec.SECP384R1())


def spki(key) -> bytes:
    """SPKI DER of a private key's public half."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def raw_signature(key, message: bytes) -> bytes:
    """r||s for ECDSA, with SHA-384 on P-384 and else SHA-256; the plain signature for Ed25519."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size, scheme = (48, hashes.SHA384()) if isinstance(key.curve, ec.SECP384R1) else (32, hashes.SHA256())
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(scheme)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return key.sign(message)


def certificate(
    subject: str, public, issuer: str, issuer_key, serial: int, *, ca: bool = False, end: dt.datetime = END
) -> x509.Certificate:
    """A certificate for `public`, signed by `issuer_key` under the name `issuer`."""
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(START)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def der(cert: x509.Certificate) -> bytes:
    """DER."""
    return cert.public_bytes(Encoding.DER)


class Authority:
    """Root, one issuing CA below it, and the keys of the three purposes directly below the root."""

    def __init__(self, *, strong: bool = False) -> None:
        self.root_key, self.issuer_key = strong_key() if strong else new_key(), new_key()
        self.root = certificate("root", self.root_key.public_key(), "root", self.root_key, 1, ca=True)
        self.issuer = certificate("issuer", self.issuer_key.public_key(), "root", self.root_key, 2, ca=True)
        keys = {purpose: new_key() for purpose in (1, 2, 3)}
        self.purposes = {
            purpose: (key, certificate(f"purpose {purpose}", key.public_key(), "root", self.root_key, 2 + purpose))
            for purpose, key in keys.items()
        }

    def certify(self, name: str, key, serial: int, **options) -> list[bytes]:
        """A chain for a key: its certificate and the issuing CA's."""
        leaf = certificate(name, key.public_key(), "issuer", self.issuer_key, serial, **options)
        return [der(leaf), der(self.issuer)]

    def tls(self, name: str, serial: int) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """A key and a certificate for TLS, for a server of that DNS name or a client of that common name."""
        key = new_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self.root.subject)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(START)
            .not_valid_after(END)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        return key, builder.sign(self.root_key, hashes.SHA256())
