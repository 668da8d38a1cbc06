//! Enrolment, revocation and lists: what a PSD's next key gets, what a revoked one loses, and that OpenSSL reads what is published.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use psd::custody::RevocationReason;
use psd::key::Role;
use psd::{ApplianceId, PsdId, UnixMillis};
use psdd_authority::books::{Books, CrlIssuer, RegisterError, Revoke, RevokeError};
use psdd_authority::directory::AuthorityDir;
use psdd_authority::pki::{
    EnrolError, EnrolRefusal, Enrolment, InitOptions, Order, countersign, init, issue, write_list,
};
use psdd_wire::certificate::AuthorityRoot;
use psdd_wire::cose::{ENROLMENT, Sign1};
use psdd_wire::countersignature::Countersignature;
use psdd_wire::enrolment::{EnrolmentClaims, EnrolmentRequest};
use psdd_wire::profile::{Lifetime, WantedKey};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::process::Command;

const NOW: UnixMillis = UnixMillis(1_795_176_000_000);
const PSD: &str = "PS010000000001";

struct Post {
    around: tempfile::TempDir,
    dir: AuthorityDir,
    books: Books,
    device: KeyPair,
}

fn psd() -> PsdId {
    PSD.parse().unwrap()
}

fn request(key: &KeyPair, role: &str, generation: u8) -> rcgen::CertificateSigningRequest {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, PSD);
    params.distinguished_name.push(DnType::OrganizationalUnitName, role);
    if generation > 1 {
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), generation.to_string());
    }
    params.serialize_request(key).unwrap()
}

impl Post {
    fn open() -> Self {
        let around = tempfile::tempdir().unwrap();
        let dir = AuthorityDir::at(&around.path().join("authority"));
        let hosts = vec!["localhost".to_owned()];
        init(&dir, &InitOptions { name: "Post".to_owned(), hosts, listen: None, refund_specimens: false }, NOW)
            .unwrap();
        let mut books = Books::open(&dir.books()).unwrap();
        let (licence, appliance) = ("L-1".parse().unwrap(), "post-1".parse::<ApplianceId>().unwrap());
        books.add_licence(&licence, "holder", NOW).unwrap().unwrap();
        let exchange = around.path().join("exchange");
        std::fs::create_dir(&exchange).unwrap();
        let device = KeyPair::generate().unwrap();
        std::fs::write(exchange.join(format!("{PSD}-device.csr")), request(&device, "device", 1).pem().unwrap())
            .unwrap();
        let order = Order { exchange: &exchange, appliance: &appliance, licence: &licence, renew: false };
        issue(&dir, &mut books, &order, NOW).unwrap();
        Self { around, dir, books, device }
    }

    fn asked(&self, by: &KeyPair, key: &KeyPair, (role, generation): (&str, u8), appliance: &str) -> EnrolmentRequest {
        let csr = request(key, role, generation).der().to_vec();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &csr);
        let claims = EnrolmentClaims {
            psd: psd(),
            role: role.to_owned(),
            time: NOW.0,
            nonce: [7; 16],
            appliance: appliance.to_owned(),
            csr_digest: digest.as_ref().try_into().unwrap(),
            generation,
        };
        let message = Sign1::unsigned(ENROLMENT, None, psdd_wire::encode(&claims));
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &by.serialize_der()).unwrap();
        let signature = pair.sign(&SystemRandom::new(), &message.to_be_signed()).unwrap();
        EnrolmentRequest { csr, statement: message.with_signature(signature.as_ref()) }
    }

    fn enrol(&mut self, asked: &EnrolmentRequest) -> Result<Vec<Vec<u8>>, EnrolRefusal> {
        match Enrolment::open(&self.dir).unwrap().enrol(&mut self.books, Some("post-1"), asked, NOW) {
            Ok(answer) => Ok(answer.chain.into_iter().map(|certificate| certificate.into_vec()).collect()),
            Err(EnrolError::Refused(refusal)) => Err(refusal),
            Err(error) => panic!("{error}"),
        }
    }

    fn root(&self) -> AuthorityRoot {
        AuthorityRoot::from_der(&CertificateDer::from_pem_file(self.dir.root_certificate()).unwrap()).unwrap()
    }

    fn revoke(&mut self, role: Role, reason: RevocationReason, lost: Option<UnixMillis>) -> Result<bool, RevokeError> {
        let order = Revoke { psd: psd(), role, generation: None, reason, invalid_since: lost };
        self.books.revoke_key(&order, NOW).unwrap().map(|revoked| revoked.repeated)
    }
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

#[test]
fn a_next_key_is_certified_by_the_current_device_key_and_a_replay_gives_the_same() {
    let mut post = Post::open();
    let (first, second) = (KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(), key());
    let asked = post.asked(&post.device, &first, ("certification", 1), "post-1");
    let chain = post.enrol(&asked).unwrap();
    let spki = first.subject_public_key_info();
    let wanted = WantedKey { psd: psd(), role: Role::Certification, generation: 1, spki: &spki };
    post.root().profile(&chain, &wanted, &Lifetime { now: NOW, most_years: 5 }).unwrap();
    assert_eq!(post.enrol(&asked).unwrap(), chain);

    let weaker = post.asked(&post.device, &second, ("certification", 2), "post-1");
    assert_eq!(post.enrol(&weaker).unwrap_err().code(), "key-weaker");
    let next = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let chain = post.enrol(&post.asked(&post.device, &next, ("certification", 2), "post-1")).unwrap();
    let spki = next.subject_public_key_info();
    let wanted = WantedKey { psd: psd(), role: Role::Certification, generation: 2, spki: &spki };
    post.root().profile(&chain, &wanted, &Lifetime { now: NOW, most_years: 5 }).unwrap();

    // A device key brings in its successor, which then speaks for the PSD.
    let device = key();
    post.enrol(&post.asked(&post.device, &device, ("device", 2), "post-1")).unwrap();
    post.enrol(&post.asked(&device, &second, ("indicium", 1), "post-1")).unwrap();
}

#[test]
fn what_is_not_certified_says_why() {
    let mut post = Post::open();
    let indicium = key();
    post.enrol(&post.asked(&post.device, &indicium, ("indicium", 1), "post-1")).unwrap();
    let (device, stranger, new) = (&post.device, key(), key());
    let good = post.asked(device, &new, ("indicium", 2), "post-1");
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let other = EnrolmentRequest { csr: request(&key(), "indicium", 2).der().to_vec(), ..good.clone() };
    let rows = [
        ("statement-bad-signature", post.asked(&stranger, &new, ("indicium", 2), "post-1")),
        ("statement-malformed", EnrolmentRequest { statement: vec![0xd2], ..good.clone() }),
        ("wrong-appliance", post.asked(device, &new, ("indicium", 2), "post-2")),
        ("csr-other", other),
        ("csr-malformed", post.asked(device, &p384, ("indicium", 2), "post-1")),
        ("key-generation", post.asked(device, &new, ("indicium", 1), "post-1")),
        ("key-taken", post.asked(device, &indicium, ("indicium", 2), "post-1")),
        ("key-taken", post.asked(device, &indicium, ("certification", 1), "post-1")),
    ];
    for (code, asked) in rows {
        let refusal = post.enrol(&asked).unwrap_err();
        assert_eq!(refusal.code(), code, "{refusal}");
    }
    let elsewhere = Enrolment::open(&post.dir).unwrap().enrol(&mut post.books, Some("post-2"), &good, NOW);
    let Err(EnrolError::Refused(refusal)) = elsewhere else { panic!("{elsewhere:?}") };
    assert_eq!(refusal.code(), "not-permitted");

    assert_eq!(post.revoke(Role::Indicium, RevocationReason::KeyCompromise, None), Ok(false));
    let refusal = post.enrol(&post.asked(&post.device, &indicium, ("indicium", 1), "post-1")).unwrap_err();
    assert!(matches!(refusal, EnrolRefusal::Register(RegisterError::Revoked { .. })), "{refusal}");
    assert_eq!(post.revoke(Role::Device, RevocationReason::Superseded, None), Ok(false));
    assert_eq!(post.enrol(&good).unwrap_err().code(), "device-key-revoked");
}

#[test]
fn a_revocation_is_made_once_and_openssl_verifies_the_lists() {
    let mut post = Post::open();
    let lost = UnixMillis(NOW.0 - 86_400_000);
    let ahead = post.revoke(Role::Device, RevocationReason::KeyCompromise, Some(UnixMillis(NOW.0 + 1)));
    assert!(matches!(ahead, Err(RevokeError::InvalidityAhead(_))));
    assert!(matches!(
        post.revoke(Role::Indicium, RevocationReason::Superseded, None),
        Err(RevokeError::Unknown { .. })
    ));
    assert_eq!(post.revoke(Role::Device, RevocationReason::KeyCompromise, Some(lost)), Ok(false));
    assert_eq!(post.revoke(Role::Device, RevocationReason::Superseded, None), Ok(true), "nothing is changed");
    let keys = post.books.certified_keys(None).unwrap();
    assert_eq!(keys[0].revocation.map(|told| told.reason), Some(RevocationReason::KeyCompromise));

    let list = write_list(&post.dir, &mut post.books, CrlIssuer::PsdCa, 30, NOW).unwrap();
    assert_eq!((list.number, list.revoked), (2, 1), "init wrote the first");
    let root = write_list(&post.dir, &mut post.books, CrlIssuer::Root, 365, NOW).unwrap();
    assert_eq!((root.number, root.revoked), (2, 0));
    let told = |crl: &std::path::Path, ca: &std::path::Path| {
        let mut command = Command::new("openssl");
        command.args(["crl", "-noout", "-text", "-in"]).arg(crl).arg("-CAfile").arg(ca);
        let output = command.output().expect("openssl is installed");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() && said.contains("verify OK"), "{said}");
        said
    };
    let said = told(&post.dir.psd_crl(), &post.dir.psd_ca());
    for wanted in
        ["Serial Number: 03E8", "Key Compromise", "Invalidity Date", "Nov 20 12:00:00 2026", "Dec 20 12:00:00 2026"]
    {
        assert!(said.contains(wanted), "no {wanted}: {said}");
    }
    assert!(told(&post.dir.root_crl(), &post.dir.root_certificate()).contains("No Revoked Certificates"));
}

#[test]
fn a_genesis_file_is_countersigned_for_this_authority_only() {
    let post = Post::open();
    let root = std::fs::read_to_string(post.dir.root_certificate()).unwrap();
    let file = post.around.path().join("genesis.toml");
    let text =
        format!("appliance = \"post-1\"\nenvironment = \"production\"\nquorum = 2\nauthority_root = '''\n{root}'''\n");
    std::fs::write(&file, &text).unwrap();
    let signed = countersign(&post.dir, &file, true, NOW).unwrap();
    let subject = (signed.appliance.as_str(), signed.environment);
    let read = Countersignature::verify(&signed.bytes, &post.root(), text.as_bytes(), subject).unwrap();
    assert!(read.permit_software_token);
    let foreign = std::fs::read_to_string(post.dir.psd_ca()).unwrap();
    std::fs::write(&file, text.replace(&root, &foreign)).unwrap();
    assert!(countersign(&post.dir, &file, true, NOW).is_err());
}
