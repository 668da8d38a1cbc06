//! Tables that the authority signed, and those that somebody else did.

use crate::tables::POSTLAND;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use psd::UnixMillis;
use psdd_rates::{CONTENT_TYPE, Published, PublishedError, Table};
use psdd_wire::cose::{INSTRUCTION, Sign1};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};

/// In the middle of what rcgen makes valid.
const NOW: UnixMillis = UnixMillis(1_795_176_000_000);

/// An authority with its root and the key of one purpose.
pub struct Post {
    pub root: Vec<u8>,
    certificate: Vec<u8>,
    key: EcdsaKeyPair,
}

impl Post {
    pub fn new(unit: &str) -> Self {
        Self::with(unit, |_| {})
    }

    fn with(unit: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.distinguished_name.push(DnType::CommonName, "Post Root");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_key = KeyPair::generate().unwrap();
        let root = ca.self_signed(&root_key).unwrap().der().to_vec();
        let issuer = Issuer::new(ca, root_key);
        let mut leaf = CertificateParams::new(Vec::<String>::new()).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, "Post policy");
        leaf.distinguished_name.push(DnType::OrganizationalUnitName, unit);
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut leaf);
        let pair = KeyPair::generate().unwrap();
        let certificate = leaf.signed_by(&pair, &issuer).unwrap().der().to_vec();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pair.serialize_der()).unwrap();
        Self { root, certificate, key }
    }

    pub fn sign(&self, content_type: &str, text: &str) -> Vec<u8> {
        let message = Sign1::unsigned(content_type, Some(&self.certificate), text.as_bytes().to_vec());
        let signature = self.key.sign(&SystemRandom::new(), &message.to_be_signed()).unwrap();
        message.with_signature(signature.as_ref())
    }

    pub fn publish(&self, text: &str) -> Published {
        self.open(&self.sign(CONTENT_TYPE, text)).unwrap()
    }

    fn open(&self, bytes: &[u8]) -> Result<Published, PublishedError> {
        Published::open(bytes, &self.root, NOW)
    }
}

#[test]
fn a_signed_table_is_the_table_that_was_signed() {
    let post = Post::new("policy");
    let bytes = post.sign(CONTENT_TYPE, POSTLAND);
    let published = post.open(&bytes).unwrap();
    assert_eq!(*published.table(), Table::parse(POSTLAND).unwrap());
    assert_eq!(*published.table().digest(), psdd_wire::sha256(POSTLAND.as_bytes()));
    assert_eq!(published.bytes(), bytes);
}

#[test]
fn nobody_else_publishes_a_table() {
    let (post, other, funds) = (Post::new("policy"), Post::new("policy"), Post::new("funds"));
    let signed = post.sign(CONTENT_TYPE, POSTLAND);
    assert!(matches!(other.open(&signed), Err(PublishedError::Signer(_))));
    let by_funds = funds.sign(CONTENT_TYPE, POSTLAND);
    let said = funds.open(&by_funds).unwrap_err().to_string();
    assert!(said.ends_with("is not a certificate for OU=policy, the authority's policy key"), "{said}");
    // Signed by a stranger's key under the certificate of the right one.
    let mut forged = Post::new("policy");
    forged.certificate = post.certificate.clone();
    assert!(matches!(post.open(&forged.sign(CONTENT_TYPE, POSTLAND)), Err(PublishedError::Signature(_))));
}

#[test]
fn what_is_signed_is_a_table_and_nothing_else() {
    let post = Post::new("policy");
    let refused = |bytes: &[u8]| post.open(bytes).unwrap_err();
    assert!(matches!(refused(POSTLAND.as_bytes()), PublishedError::Form(_)));
    assert!(
        matches!(refused(&post.sign(INSTRUCTION, POSTLAND)), PublishedError::Signature(_)),
        "of another content type"
    );
    let message = Sign1::unsigned(CONTENT_TYPE, None, POSTLAND.as_bytes().to_vec());
    assert!(matches!(refused(&message.with_signature(&[1; 64])), PublishedError::NoCertificate));
    let said = refused(&post.sign(CONTENT_TYPE, &POSTLAND.replace("version = 1", "version = 0"))).to_string();
    assert!(said.starts_with("the table is signed, but not in order:\nline 3: version: version 0"), "{said}");
    let mut changed = post.sign(CONTENT_TYPE, POSTLAND);
    let at = changed.windows(4).position(|bytes| bytes == b"0.65").unwrap();
    changed[at] = b'1';
    assert!(matches!(refused(&changed), PublishedError::Signature(_)));
}

#[test]
fn what_was_published_stays_so_after_the_key_has_ended() {
    // POSTLAND is in force from 2026-01-01 on.
    let of = |from: (i32, u8, u8), to: (i32, u8, u8)| {
        Post::with("policy", |leaf| {
            leaf.not_before = date_time_ymd(from.0, from.1, from.2);
            leaf.not_after = date_time_ymd(to.0, to.1, to.2);
        })
    };
    let open = |post: &Post| post.open(&post.sign(CONTENT_TYPE, POSTLAND)).map(drop);
    open(&of((2025, 6, 1), (2026, 2, 1))).expect("the certificate ended long ago, and after the table began");
    open(&of((2026, 11, 1), (2027, 11, 1))).expect("a table that begins before its key");
    let ended = open(&of((2024, 6, 1), (2025, 12, 1)));
    assert!(matches!(ended, Err(PublishedError::Ended { .. })), "{ended:?}");
    let early = open(&of((2027, 1, 1), (2028, 1, 1)));
    assert!(matches!(early, Err(PublishedError::NotYet(_))), "{early:?}");
}
