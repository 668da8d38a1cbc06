//! `POST /v1/certificates` over mutual TLS: the next key of a PSD is certified for who has its device key, and for nobody else.

use crate::rig::{Answer, PSD, Post, is_let_in, signed};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use psd::key::Role;
use psdd_authority::books::Books;
use psdd_wire::certificate::AuthorityRoot;
use psdd_wire::cose::{ENROLMENT, VALUE_REQUEST};
use psdd_wire::enrolment::{EnrolmentClaims, EnrolmentRequest, EnrolmentResponse};
use psdd_wire::profile::{Lifetime, WantedKey};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const ROUTE: &str = "/v1/certificates";

fn csr(key: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, PSD);
    params.distinguished_name.push(DnType::OrganizationalUnitName, "indicium");
    params.serialize_request(key).unwrap().der().to_vec()
}

/// A request for an indicium key, whose statement is over `stated` and of this content type, by this device key.
fn asked(post: &Post, csr: Vec<u8>, stated: &[u8], content_type: &str, by: &EcdsaKeyPair) -> Vec<u8> {
    generation_asked(post, 1, csr, stated, content_type, by)
}

fn generation_asked(
    post: &Post,
    generation: u8,
    csr: Vec<u8>,
    stated: &[u8],
    content_type: &str,
    by: &EcdsaKeyPair,
) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, stated);
    let claims = EnrolmentClaims {
        psd: PSD.parse().unwrap(),
        role: "indicium".to_owned(),
        time: post.now.0,
        nonce: [7; 16],
        appliance: "appliance-1".to_owned(),
        csr_digest: digest.as_ref().try_into().unwrap(),
        generation,
    };
    let statement = signed(content_type, psdd_wire::encode(&claims), by);
    psdd_wire::encode(&EnrolmentRequest { csr, statement })
}

fn certified(post: &Post) -> usize {
    Books::open(&post.dir.books()).unwrap().certified_keys(None).unwrap().len()
}

async fn enrol(post: &Post, client: &str, body: Vec<u8>) -> Answer {
    post.ask(client, "POST", ROUTE, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_request_is_certified_once_and_a_replay_gets_the_same_certificate() {
    let post = Post::open().await;
    let key = KeyPair::generate().unwrap();
    let request = csr(&key);
    let body = asked(&post, request.clone(), &request, ENROLMENT, &post.device);
    let first = enrol(&post, "appliance-1", body.clone()).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.headers["content-type"], "application/cbor");
    let answer: EnrolmentResponse = psdd_wire::read(&first.body).unwrap();
    let chain: Vec<Vec<u8>> = answer.chain.into_iter().map(serde_bytes::ByteBuf::into_vec).collect();
    let root = CertificateDer::from_pem_file(post.dir.root_certificate()).unwrap();
    let spki = key.subject_public_key_info();
    let wanted = WantedKey { psd: PSD.parse().unwrap(), role: Role::Indicium, generation: 1, spki: &spki };
    let lifetime = Lifetime { now: psdd_authority::serve::now().unwrap(), most_years: 5 };
    AuthorityRoot::from_der(&root).unwrap().profile(&chain, &wanted, &lifetime).unwrap();
    assert_eq!(certified(&post), 2, "the device key, and this one");

    let again = enrol(&post, "appliance-1", body).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    // A new statement on the same request is no new certificate either: ECDSA signs with randomness, so these bytes are others.
    let renewed = asked(&post, request.clone(), &request, ENROLMENT, &post.device);
    assert_eq!(enrol(&post, "appliance-1", renewed).await.body, first.body);
    assert_eq!(certified(&post), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_right_or_no_proof_gets_no_certificate() {
    let post = Post::open().await;
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let stranger = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (good, second) = (csr(&key), csr(&other));
    // The proof of possession is the request's own signature, in its last bytes.
    let mut unproven = good.clone();
    *unproven.last_mut().unwrap() ^= 1;
    let device = &post.device;
    let statement = |content_type: &str, by: &EcdsaKeyPair| asked(&post, good.clone(), &good, content_type, by);
    let rows = [
        ("another appliance's client", "appliance-2", statement(ENROLMENT, device), 403, "not-permitted"),
        ("a statement of another key", "appliance-1", statement(ENROLMENT, &stranger), 400, "statement-bad-signature"),
        ("a statement of another kind", "appliance-1", statement(VALUE_REQUEST, device), 400, "statement-malformed"),
        (
            "a statement over another request",
            "appliance-1",
            asked(&post, good.clone(), &second, ENROLMENT, device),
            409,
            "csr-other",
        ),
        (
            "no proof of possession",
            "appliance-1",
            asked(&post, unproven.clone(), &unproven, ENROLMENT, device),
            400,
            "csr-malformed",
        ),
        (
            "generation 0",
            "appliance-1",
            generation_asked(&post, 0, good.clone(), &good, ENROLMENT, device),
            400,
            "csr-malformed",
        ),
        ("no CBOR", "appliance-1", vec![0xff], 400, "malformed"),
    ];
    for (name, client, body, status, code) in rows {
        let answer = enrol(&post, client, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{name}");
    }
    let read = post.ask("appliance-1", "GET", ROUTE, Vec::new()).await;
    assert_eq!(
        (read.status, read.code().as_str(), &read.headers["allow"]),
        (405, "method-not-allowed", &"POST".parse().unwrap())
    );

    // A client of another authority does not even come in.
    post.foreign_client("unknown", "appliance-1");
    assert!(!is_let_in(post.connect("unknown", true).await).await);
    assert_eq!(certified(&post), 1, "the device key alone");
}
