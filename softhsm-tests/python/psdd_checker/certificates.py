"""Owns X.509: parsing, and chains up to the authority root."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

LONGEST_CHAIN = 4


def parse(der: bytes) -> x509.Certificate:
    """A certificate of exactly these bytes; ValueError otherwise."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.subject, certificate.issuer, certificate.extensions  # noqa: B018 (parsed lazily)
    except Exception as error:
        raise ValueError(f"not a certificate: {error}") from error
    if certificate.public_bytes(Encoding.DER) != der:
        raise ValueError("certificate has surplus bytes")
    return certificate


def public_spki(certificate: x509.Certificate) -> bytes:
    """The SPKI DER of a certificate's key; ValueError for a key that cannot be read."""
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception as error:
        raise ValueError(f"certificate's key: {error}") from error


def _issued(certificate: x509.Certificate, issuer: x509.Certificate, what: str) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature as error:
        raise ValueError(f"{what} is not signed by {issuer.subject.rfc4514_string()!r}") from error
    except Exception as error:  # unsupported algorithms come in several kinds
        raise ValueError(f"{what}: {error}") from error


def _may_issue(certificate: x509.Certificate, below: int, what: str) -> None:
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound as error:
        raise ValueError(f"{what} has no basic constraints, and issues") from error
    if not basic.ca:
        raise ValueError(f"{what} is no CA, and issues")
    if basic.path_length is not None and below > basic.path_length:
        raise ValueError(f"{what} has path length {basic.path_length}, and {below} issuers below it")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign:
        raise ValueError(f"{what} must not sign certificates")


def check_root(root: x509.Certificate) -> None:
    """A root is a CA and signed by itself; ValueError otherwise."""
    _may_issue(root, 0, "the authority root")
    _issued(root, root, "the authority root")


def check_chain(chain: list[x509.Certificate], root: x509.Certificate, at_ms: int | None) -> None:
    """`chain` is leaf, issuer, ... without the root; every one issued by the next, the last by the root, valid at `at_ms`."""
    if not chain:
        raise ValueError("empty chain")
    if len(chain) > LONGEST_CHAIN:
        raise ValueError(f"{len(chain)} certificates without the root")
    for place, certificate in enumerate(chain):
        what = f"certificate {place}"
        issuer = chain[place + 1] if place + 1 < len(chain) else root
        if certificate == root:
            raise ValueError(f"{what} is the root itself")
        if place:
            _may_issue(certificate, place - 1, what)
        _issued(certificate, issuer, what)
        if at_ms is not None:
            check_valid_at(certificate, at_ms, what)
    _may_issue(root, len(chain) - 1, "the authority root")


def check_valid_at(certificate: x509.Certificate, at_ms: int, what: str) -> None:
    """The validity of a certificate covers the second of `at_ms`; ValueError otherwise."""
    begin = int(certificate.not_valid_before_utc.timestamp())
    end = int(certificate.not_valid_after_utc.timestamp())
    if not begin <= at_ms // 1000 <= end:
        when = datetime.fromtimestamp(min(at_ms // 1000, 253402300799), UTC).isoformat()
        raise ValueError(f"{what} is not valid at {when}")
