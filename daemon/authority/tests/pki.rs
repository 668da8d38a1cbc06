//! What `init` makes and the CA issues is what appliances accept, and nothing more than was asked for rightly is certified.

use psd::custody::{Revocation, RevocationReason};
use psd::inspection::InspectionPeriods;
use psd::key::Role;
use psd::policy::PolicyText;
use psd::{ApplianceId, LicenceNumber, PsdId, UnixMillis};
use psdd_authority::books::{Books, RegisterError, Revoke};
use psdd_authority::directory::AuthorityDir;
use psdd_authority::instructions::{Act, LockBy, Period, Purpose, instruct};
use psdd_authority::pki::{InitOptions, IssueError, IssuedKey, Order, PkiError, init, issue};
use psdd_wire::certificate::{AuthorityRoot, ChainError, verify_chain, verify_end_entity};
use psdd_wire::cose::{INSTRUCTION, Sign1};
use psdd_wire::message::InstructionClaims;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const NOW: UnixMillis = UnixMillis(1_795_176_000_000);

struct Fixture {
    around: tempfile::TempDir,
    dir: AuthorityDir,
    books: Books,
    appliance: ApplianceId,
    licence: LicenceNumber,
}

fn made() -> Fixture {
    let around = tempfile::tempdir().unwrap();
    let dir = AuthorityDir::at(&around.path().join("authority"));
    let hosts = vec!["localhost".to_owned()];
    let options = InitOptions { name: "Test Post".to_owned(), hosts, listen: None, refund_specimens: false };
    init(&dir, &options, NOW).unwrap();
    assert!(matches!(init(&dir, &options, NOW), Err(PkiError::NotEmpty(_))), "an authority is not made twice");
    let mut books = Books::open(&dir.books()).unwrap();
    let licence: LicenceNumber = "L-1".parse().unwrap();
    books.add_licence(&licence, "holder", NOW).unwrap().unwrap();
    std::fs::create_dir(around.path().join("exchange")).unwrap();
    Fixture { around, dir, books, appliance: "appliance-1".parse().unwrap(), licence }
}

impl Fixture {
    fn exchange(&self) -> PathBuf {
        self.around.path().join("exchange")
    }

    /// Writes a request as a PSD's token signs it.
    fn request(&self, file: &str, (cn, ou): (&str, &str), ca: bool) -> KeyPair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["psd.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, cn);
        params.distinguished_name.push(DnType::OrganizationalUnitName, ou);
        if ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let pem = params.serialize_request(&key).unwrap().pem().unwrap();
        std::fs::write(self.exchange().join(file), pem).unwrap();
        key
    }

    /// Writes a request of a later generation, on the curve named.
    fn next_request(&self, file: &str, (cn, ou, generation): (&str, &str, Option<&str>), curve: &str) -> KeyPair {
        let algorithm = if curve == "P-384" { &rcgen::PKCS_ECDSA_P384_SHA384 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, cn);
        params.distinguished_name.push(DnType::OrganizationalUnitName, ou);
        if let Some(generation) = generation {
            params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), generation);
        }
        let pem = params.serialize_request(&key).unwrap().pem().unwrap();
        std::fs::write(self.exchange().join(file), pem).unwrap();
        key
    }

    fn issue(&mut self, renew: bool) -> Result<Vec<IssuedKey>, IssueError> {
        let (exchange, appliance, licence) = (self.exchange(), self.appliance.clone(), self.licence.clone());
        let order = Order { exchange: &exchange, appliance: &appliance, licence: &licence, renew };
        issue(&self.dir, &mut self.books, &order, NOW)
    }

    fn root(&self) -> Vec<u8> {
        chain(&self.dir.root_certificate()).remove(0)
    }
}

fn chain(path: &Path) -> Vec<Vec<u8>> {
    let read = CertificateDer::pem_file_iter(path).unwrap();
    read.map(|certificate| certificate.unwrap().to_vec()).collect()
}

fn links(chain: &[Vec<u8>]) -> Vec<&[u8]> {
    chain.iter().map(Vec::as_slice).collect()
}

#[test]
fn keys_are_for_their_owner_and_certificates_lead_to_the_root() {
    let fixture = made();
    let (dir, root) = (&fixture.dir, fixture.root());
    AuthorityRoot::from_der(&root).unwrap();
    for certificate in [dir.funds(), dir.inspection(), dir.policy()] {
        verify_end_entity(&links(&chain(&certificate)), &root, NOW).unwrap();
    }
    for foreign in [dir.tls_certificate(), dir.tls_ca(), dir.client_ca()] {
        let refused = verify_end_entity(&links(&chain(&foreign)), &root, NOW).unwrap_err();
        assert!(matches!(refused, ChainError::Issuer { .. }), "{}: {refused}", foreign.display());
    }
    let mut keys = 0;
    for part in ["root", "ca", "keys", "tls"] {
        for file in std::fs::read_dir(dir.dir().join(part)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "key") {
                assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
                keys += 1;
            }
        }
    }
    assert_eq!(keys, 8, "one key for each purpose");
    assert_eq!(
        std::fs::read_dir(dir.root()).unwrap().count(),
        2,
        "the root's key and certificate alone are carried away"
    );
}

#[test]
fn a_psd_gets_certificates_once_and_the_same_after_an_interruption() {
    let mut fixture = made();
    let key = fixture.request("PS010000000001-indicium.csr", ("PS010000000001", "indicium"), true);
    fixture.request("PS010000000001-device.csr", ("PS010000000001", "device"), false);
    let issued = fixture.issue(false).unwrap();
    let psd: PsdId = "PS010000001".parse().unwrap();
    assert_eq!(
        issued.iter().map(|key| (key.psd, key.role, key.known)).collect::<Vec<_>>(),
        [(psd, Role::Device, false), (psd, Role::Indicium, false)]
    );
    let file = fixture.exchange().join("PS010000000001-indicium.pem");
    let of_indicium = chain(&file);
    let certified = verify_chain(&links(&of_indicium), &fixture.root(), NOW).unwrap();
    assert_eq!(certified.serial(), issued[1].serial);
    assert_eq!(certified.psd(), Some(psd));
    assert!(certified.spki().ends_with(key.public_key_raw()), "it is the key that asked");
    assert!(!of_indicium[0].windows(11).any(|part| part == b"psd.example"), "names it asked for are not granted");

    // The file was lost before it arrived.
    std::fs::remove_file(&file).unwrap();
    let again = fixture.issue(false).unwrap();
    assert!(again.iter().all(|key| key.known), "{again:?}");
    assert_eq!(chain(&file), of_indicium, "the same certificate");

    // Another key of the same PSD and role is a decision.
    fixture.request("PS010000000001-indicium.csr", ("PS010000000001", "indicium"), false);
    let refused = fixture.issue(false).unwrap_err();
    assert!(matches!(refused, IssueError::Register(RegisterError::HasKey { .. })), "{refused}");
    let refused = fixture.issue(true).unwrap_err();
    assert!(matches!(refused, IssueError::Register(RegisterError::Generation { last: 1, asked: 1, .. })), "{refused}");
    std::fs::remove_file(fixture.exchange().join("PS010000000001-indicium.csr")).unwrap();
    fixture.next_request("PS010000000001-indicium-2.csr", ("PS010000000001", "indicium", Some("2")), "P-256");
    let renewed = fixture.issue(true).unwrap();
    assert_eq!((renewed[1].generation, renewed[1].known), (2, false));
    let second = chain(&fixture.exchange().join("PS010000000001-indicium-2.pem"));
    let subject = verify_chain(&links(&second), &fixture.root(), NOW).unwrap().subject().to_owned();
    assert!(subject.contains("2.5.4.5=") || subject.to_lowercase().contains("serialnumber=2"), "{subject}");
    assert!(renewed[1].serial > issued.iter().map(|key| key.serial).max().unwrap(), "serial numbers rise");

    // A PSD has one licence and one appliance.
    fixture.books.add_licence(&"L-2".parse().unwrap(), "another", NOW).unwrap().unwrap();
    fixture.licence = "L-2".parse().unwrap();
    let refused = fixture.issue(false).unwrap_err();
    assert!(matches!(refused, IssueError::Register(RegisterError::Elsewhere { .. })), "{refused}");
    fixture.licence = "L-3".parse().unwrap();
    let refused = fixture.issue(false).unwrap_err();
    assert!(matches!(refused, IssueError::Register(RegisterError::UnknownLicence(_))), "{refused}");
}

#[test]
fn a_request_that_is_not_what_its_name_says_is_refused() {
    type Spoil = fn(&Fixture);
    let cases: [(&str, Spoil); 8] = [
        ("another PSD in the subject", |fixture| {
            fixture.request("PS010000000001-device.csr", ("PS010000000002", "device"), false);
        }),
        ("another role in the subject", |fixture| {
            fixture.request("PS010000000001-device.csr", ("PS010000000001", "indicium"), false);
        }),
        ("another generation in the subject", |fixture| {
            let subject = ("PS010000000001", "device", Some("3"));
            drop(fixture.next_request("PS010000000001-device-2.csr", subject, "P-256"));
        }),
        ("generation zero", |fixture| {
            let subject = ("PS010000000001", "device", Some("0"));
            drop(fixture.next_request("PS010000000001-device-0.csr", subject, "P-256"));
        }),
        ("an indicium key on P-384", |fixture| {
            let subject = ("PS010000000001", "indicium", None);
            drop(fixture.next_request("PS010000000001-indicium.csr", subject, "P-384"));
        }),
        ("a role that is not certified", |fixture| {
            fixture.request("PS010000000001-log.csr", ("PS010000000001", "log"), false);
        }),
        ("no PSD", |fixture| {
            fixture.request("server.csr", ("server", "device"), false);
        }),
        ("a signature of another key", |fixture| {
            fixture.request("PS010000000001-device.csr", ("PS010000000001", "device"), false);
            let path = fixture.exchange().join("PS010000000001-device.csr");
            let text = std::fs::read_to_string(&path).unwrap();
            let end = text.rfind("\n-----END").unwrap();
            let (at, old) = text[..end - 8].char_indices().next_back().unwrap();
            let new = if old == 'A' { "B" } else { "A" };
            std::fs::write(&path, format!("{}{new}{}", &text[..at], &text[at + 1..])).unwrap();
        }),
    ];
    for (name, spoil) in cases {
        let mut fixture = made();
        spoil(&fixture);
        assert!(fixture.issue(false).is_err(), "{name} was certified");
        let report = fixture.books.report().unwrap();
        assert!(report.psds.is_empty(), "{name}: nothing was registered");
    }
}

#[test]
fn instructions_are_numbered_for_each_key_and_appliance() {
    let fixture = made();
    let other: ApplianceId = "appliance-2".parse().unwrap();
    let psd: PsdId = "PS010000001".parse().unwrap();
    let lock = |by| Act::Lock(psd, by);
    let ceiling = Act::Ceiling(fixture.licence.clone(), Some("500.00".parse().unwrap()), Period::Month);
    let expires = UnixMillis(NOW.0 + 3_600_000);
    let orders = [
        (&fixture.appliance, lock(LockBy::Inspection), 1),
        (&fixture.appliance, Act::Unlock(psd, LockBy::Inspection), 2),
        (&fixture.appliance, lock(LockBy::Funds), 1),
        (&other, lock(LockBy::Inspection), 1),
        (&fixture.appliance, ceiling, 1),
        (&fixture.appliance, lock(LockBy::Inspection), 3),
        (&fixture.appliance, Act::InspectionPeriods(fixture.licence.clone(), InspectionPeriods::new(48, 72).ok()), 4),
        (&fixture.appliance, Act::AcceptAudit(psd, [7; 32]), 5),
        (&fixture.appliance, Act::ChangeKey(psd, Role::TokenMac), 6),
        (&fixture.appliance, Act::Policy(1, PolicyText::new("// none").unwrap()), 2),
    ];
    for (appliance, act, wanted) in orders {
        let mut books = Books::open(&fixture.dir.books()).unwrap();
        let signed = instruct(&fixture.dir, &mut books, appliance, &act, expires, NOW).unwrap();
        assert_eq!(signed.sequence, wanted, "{act:?} for {appliance}");
        let message = Sign1::parse(&signed.bytes).unwrap();
        let certificate = message.certificate.clone().unwrap();
        let file = match signed.purpose {
            Purpose::Funds => fixture.dir.funds(),
            Purpose::Inspection => fixture.dir.inspection(),
            Purpose::Policy => fixture.dir.policy(),
        };
        assert_eq!(vec![certificate.clone()], chain(&file), "{act:?} is signed by the key of its purpose");
        let key = verify_end_entity(&[&certificate], &fixture.root(), NOW).unwrap();
        message.verify(INSTRUCTION, &key.spki).unwrap();
        let claims: InstructionClaims = psdd_wire::read(&message.payload).unwrap();
        assert_eq!((claims.sequence, claims.expires), (wanted, expires.0));
        assert_eq!(claims.appliance, appliance.to_string());
        match act {
            Act::Lock(..) | Act::Unlock(..) | Act::Acknowledge(..) | Act::RevokeKey(..) => {
                assert_eq!(claims.psd, Some(psd.to_string()));
            }
            Act::ChangeKey(..) => {
                assert_eq!((claims.psd, claims.role.as_deref()), (Some(psd.to_string()), Some("token-mac")));
            }
            Act::AcceptAudit(..) => {
                assert_eq!((claims.psd, claims.digest), (Some(psd.to_string()), Some(vec![7; 32].into())));
            }
            Act::Policy(..) => assert_eq!((claims.text.as_deref(), claims.version), (Some("// none"), Some(1))),
            Act::InspectionPeriods(..) => assert_eq!((claims.warn, claims.block), (Some(48), Some(72))),
            Act::Ceiling(..) => {
                assert_eq!((claims.amount.as_deref(), claims.period.as_deref()), (Some("500.00"), Some("month")));
            }
        }
    }
}

#[test]
fn versions_of_policies_are_counted_for_each_appliance() {
    let mut fixture = made();
    let other: ApplianceId = "appliance-2".parse().unwrap();
    let expires = UnixMillis(NOW.0 + 3_600_000);
    let Fixture { dir, books, appliance, licence, .. } = &mut fixture;
    let mut sign = |appliance: &ApplianceId, version| {
        instruct(dir, books, appliance, &Act::Policy(version, PolicyText::default()), expires, NOW).unwrap();
        books.newest_policy(appliance).unwrap()
    };
    assert_eq!((1..=10).map(|version| sign(appliance, version)).last(), Some(10), "a number, not a word");
    assert_eq!(sign(&other, 1), 1);
    assert_eq!(sign(appliance, 10), 10);
    assert_eq!(sign(appliance, 9), 9, "what is signed last counts");
    instruct(dir, books, appliance, &Act::Ceiling(licence.clone(), None, Period::Day), expires, NOW).unwrap();
    assert_eq!(books.newest_policy(appliance).unwrap(), 9, "a ceiling is no policy");
    assert_eq!(books.newest_policy(&"appliance-3".parse().unwrap()).unwrap(), 0);
}

#[test]
fn an_acknowledgement_is_of_a_certificate_that_the_books_know_and_nobody_revoked() {
    let mut fixture = made();
    let (psd, expires): (PsdId, _) = ("PS010000001".parse().unwrap(), UnixMillis(NOW.0 + 3_600_000));
    fixture.request("PS010000000001-indicium.csr", ("PS010000000001", "indicium"), false);
    fixture.request("PS010000000001-device.csr", ("PS010000000001", "device"), false);
    fixture.issue(false).unwrap();
    let keys = fixture.books.certified_keys(Some(psd)).unwrap();
    let serial = |role: &str| keys.iter().find(|key| key.role == role).unwrap().serial;
    let Fixture { dir, books, appliance, .. } = &mut fixture;
    let mut acknowledge = |appliance: &ApplianceId, psd, serial| {
        instruct(dir, books, appliance, &Act::Acknowledge(psd, serial), expires, NOW)
    };
    let (elsewhere, other): (ApplianceId, PsdId) = ("appliance-2".parse().unwrap(), "PS010000002".parse().unwrap());
    for (appliance, psd, serial, why) in [
        (&*appliance, psd, 999, "was not issued here"),
        (appliance, other, serial("device"), "was not issued here"),
        (&elsewhere, psd, serial("device"), "registered for appliance appliance-1"),
    ] {
        let refused = acknowledge(appliance, psd, serial).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let signed = acknowledge(appliance, psd, serial("device")).unwrap();
    assert_eq!((signed.purpose, signed.sequence), (Purpose::Inspection, 1), "what was refused used no number up");
    let claims: InstructionClaims = psdd_wire::read(&Sign1::parse(&signed.bytes).unwrap().payload).unwrap();
    assert_eq!((claims.act.as_str(), claims.role.as_deref()), ("acknowledge", Some("device")));
    assert_eq!((claims.psd, claims.serial), (Some(psd.to_string()), Some(serial("device"))));
    let (role, reason) = (Role::Indicium, RevocationReason::Superseded);
    let order = Revoke { psd, role, generation: None, reason, invalid_since: None };
    books.revoke_key(&order, NOW).unwrap().unwrap();
    let act = Act::Acknowledge(psd, serial("indicium"));
    let refused = instruct(dir, books, appliance, &act, expires, NOW).unwrap_err().to_string();
    assert!(refused.contains("is revoked since"), "{refused}");
}

#[test]
fn a_revocation_is_of_a_certificate_that_the_books_know_and_from_no_later_time_than_now() {
    let mut fixture = made();
    let (psd, expires): (PsdId, _) = ("PS010000001".parse().unwrap(), UnixMillis(NOW.0 + 3_600_000));
    fixture.request("PS010000000001-indicium.csr", ("PS010000000001", "indicium"), false);
    fixture.issue(false).unwrap();
    let serial = fixture.books.certified_keys(Some(psd)).unwrap()[0].serial;
    let Fixture { dir, books, appliance, .. } = &mut fixture;
    let reason = RevocationReason::KeyCompromise;
    let revoke = |books: &mut Books, serial, since| {
        let revocation = Revocation { since: UnixMillis(since), reason };
        instruct(dir, books, appliance, &Act::RevokeKey(psd, serial, revocation), expires, NOW)
    };
    for (serial, since, why) in [(999, NOW.0, "was not issued here"), (serial, NOW.0 + 1, "yet to come")] {
        let refused = revoke(books, serial, since).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    // The authority's own list may have it already: the appliance is told all the same.
    let order = Revoke { psd, role: Role::Indicium, generation: None, reason, invalid_since: None };
    books.revoke_key(&order, NOW).unwrap().unwrap();
    let signed = revoke(books, serial, NOW.0 - 5).unwrap();
    assert_eq!((signed.purpose, signed.sequence), (Purpose::Inspection, 1), "what was refused used no number up");
    let claims: InstructionClaims = psdd_wire::read(&Sign1::parse(&signed.bytes).unwrap().payload).unwrap();
    assert_eq!((claims.act.as_str(), claims.role.as_deref()), ("revoke-key", Some("indicium")));
    assert_eq!((claims.serial, claims.since), (Some(serial), Some(NOW.0 - 5)));
    assert_eq!(claims.reason.as_deref(), Some("keyCompromise"));
}
