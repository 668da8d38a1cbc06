//! Value downloads: every refusal that can be reached, and that each download counts once.

use crate::bench::amount;
use crate::client::{Caller, Reply, Wire, code_of, item, outcomes};
use crate::contract::{V, deterministic};
use crate::{run, shared};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use psd::PsdId;
use psdctl::dev::ClientIdentity;
use psdd_wire::cose::{Sign1, VALUE_AUTHORISATION, VALUE_REQUEST, VALUE_VOID, WITHDRAWAL_REQUEST};
use psdd_wire::message::{ValueAuthorisationClaims, ValueRequestClaims};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// A key of the authority, in a test's hand: its funds system's, if nothing else is said.
pub struct Funds {
    certificate: Vec<u8>,
    key: EcdsaKeyPair,
}

impl Funds {
    pub fn of(identity: &ClientIdentity) -> Self {
        let certificate = CertificateDer::from_pem_file(&identity.certificate).expect("a certificate").to_vec();
        let key = PrivatePkcs8KeyDer::from_pem_file(&identity.key).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der()).expect("P-256");
        Self { certificate, key }
    }

    pub fn real(caller: &Caller) -> Self {
        Self::of(&ClientIdentity { certificate: caller.layout.funds(), key: caller.layout.funds_key() })
    }

    pub fn sign(&self, content_type: &str, certificate: Option<&[u8]>, payload: Vec<u8>) -> Vec<u8> {
        let message = Sign1::unsigned(content_type, certificate, payload);
        let signature = self.key.sign(&SystemRandom::new(), &message.to_be_signed()).expect("a signature");
        message.with_signature(signature.as_ref())
    }

    /// With its own certificate in the header.
    pub fn signed(&self, content_type: &str, payload: Vec<u8>) -> Vec<u8> {
        self.sign(content_type, Some(&self.certificate), payload)
    }

    pub fn authorise(&self, claims: &ValueAuthorisationClaims) -> Vec<u8> {
        self.signed(VALUE_AUTHORISATION, psdd_wire::encode(claims))
    }
}

pub async fn ask(wire: &Wire, psd: PsdId, amount: &str) -> Reply {
    wire.post(&format!("/v1/psds/{psd}/value-requests"), &V::map([("amount", V::text(amount))]).encode()).await
}

pub async fn apply(wire: &Wire, psd: PsdId, authorisation: &[u8]) -> Reply {
    let body = V::map([("authorisation", V::Bytes(authorisation.to_vec()))]).encode();
    wire.post(&format!("/v1/psds/{psd}/value-authorisations"), &body).await
}

/// What answers a request rightly.
pub fn answer_to(reply: &Reply) -> ValueAuthorisationClaims {
    let request = Sign1::parse(reply.body.get("request").bytes()).expect("a COSE_Sign1");
    let (rule, withdrawal) = match request.content_type.as_str() {
        VALUE_REQUEST => ("value-request-claims", false),
        WITHDRAWAL_REQUEST => ("withdrawal-request-claims", true),
        other => panic!("{other}"),
    };
    crate::client::contract().message(rule, &request.payload).unwrap_or_else(|why| panic!("{why}"));
    let claims: ValueRequestClaims = psdd_wire::read(&request.payload).expect("claims");
    let control_total = if withdrawal {
        claims.registers.ascending
    } else {
        claims.registers.control_total.checked_add(claims.amount).expect("a sum")
    };
    ValueAuthorisationClaims {
        psd: claims.psd,
        amount: claims.amount,
        refund: claims.refund.map(|refund| refund.leaf),
        expires: claims.time + 3_600_000,
        sequence: claims.sequence,
        appliance: claims.appliance,
        control_total,
    }
}

pub fn assert_code(reply: &Reply, status: u16, code: &str, name: &str) {
    assert_ne!(reply.status, 200, "{name}: was accepted");
    assert_eq!((reply.status, code_of(&reply.body)), (status, code), "{name}: {:?}", reply.body);
}

#[test]
fn value_comes_in_once_and_only_by_the_authority() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    let other_psd = shared.psds.take(&shared.appliance);
    let caller = shared.caller();
    let funds = Funds::real(&caller);
    // A key with a certificate of its own, of the vendor's CA, and of nobody's.
    let impostor = Funds::of(&shared.appliance.issue("impostor", "acme", 310));
    run(async {
        let wire = caller.connect().await;
        let before = wire.registers(psd).await;
        let sequence = wire.get(&format!("/v1/psds/{psd}")).await.body.get("psd").get("value").get("ended").u64();

        // Asking.
        for (text, status, code) in [
            ("0", 409, "value-no-amount"),
            ("0.000", 409, "value-no-amount"),
            ("-1", 400, "amount-negative"),
            ("1.0001", 400, "amount-too-fine"),
            ("1e9", 400, "amount-not-decimal"),
            ("9223372036854775.808", 400, "amount-too-large"),
            ("0.009", 409, "value-below-smallest-refill"),
            ("9223372036854775.807", 409, "value-above-largest-refill"),
            ("4000000.00", 409, "value-above-largest-descending"),
        ] {
            assert_code(&ask(&wire, psd, text).await, status, code, text);
        }
        let nothing_pending = wire.get(&format!("/v1/psds/{psd}")).await;
        assert!(nothing_pending.body.get("psd").get("value").find("pending").is_none());
        assert_eq!(wire.registers(psd).await, before);

        // Answering what was never asked.
        let unasked = ValueAuthorisationClaims {
            psd,
            amount: amount("5.00"),
            refund: None,
            expires: u64::MAX,
            sequence: sequence + 1,
            appliance: wire.get("/v1/appliance").await.body.get("appliance").str().to_owned(),
            control_total: amount("1005.00"),
        };
        assert_code(&apply(&wire, psd, &funds.authorise(&unasked)).await, 409, "value-wrong-sequence", "never asked");

        // A request under way.
        let asked = ask(&wire, psd, "5.00").await;
        assert_eq!(asked.status, 200, "{:?}", asked.body);
        assert_eq!(asked.body.get("sequence").u64(), sequence + 1);
        assert_eq!(ask(&wire, psd, "5").await.body, asked.body, "the same amount is the same request");
        assert_code(&ask(&wire, psd, "5.01").await, 409, "value-request-pending", "another amount");
        let view = wire.get(&format!("/v1/psds/{psd}")).await;
        assert_eq!(view.body.get("psd").get("value").get("pending"), &asked.body);

        let right = answer_to(&asked);
        let good = funds.authorise(&right);
        let change = |change: &dyn Fn(&mut ValueAuthorisationClaims)| {
            let mut claims = right.clone();
            change(&mut claims);
            funds.authorise(&claims)
        };
        let mut broken = good.clone();
        *broken.last_mut().expect("bytes") ^= 1;
        let mut untagged = good.clone();
        untagged.remove(0);
        let payload = psdd_wire::encode(&right);
        let surplus = deterministic(&payload).expect("deterministic").with("surplus", V::Int(1)).encode();
        let appliance = |name: &str| change(&|claims| claims.appliance = name.to_owned());
        let rows: Vec<(&str, Vec<u8>, u16, &str)> = vec![
            ("nothing", Vec::new(), 400, "value-malformed"),
            ("noise", vec![0x55; 200], 400, "value-malformed"),
            ("without its tag", untagged, 400, "value-malformed"),
            ("with a trailing byte", [&good[..], &[0]].concat(), 400, "value-malformed"),
            ("cut short", good[..good.len() - 1].to_vec(), 400, "value-malformed"),
            ("the request itself", asked.body.get("request").bytes().to_vec(), 400, "value-wrong-signer"),
            (
                "without a certificate",
                funds.sign(VALUE_AUTHORISATION, None, payload.clone()),
                400,
                "value-wrong-signer",
            ),
            ("by another key", impostor.authorise(&right), 400, "value-wrong-signer"),
            (
                "by another key with the right certificate",
                impostor.sign(VALUE_AUTHORISATION, Some(&funds.certificate), payload.clone()),
                400,
                "value-bad-signature",
            ),
            ("with another signature", broken, 400, "value-bad-signature"),
            (
                "of another content type",
                funds.sign(VALUE_REQUEST, Some(&funds.certificate), payload.clone()),
                400,
                "value-malformed",
            ),
            (
                "with a claim too many",
                funds.sign(VALUE_AUTHORISATION, Some(&funds.certificate), surplus),
                400,
                "value-malformed",
            ),
            (
                "with no claims",
                funds.sign(VALUE_AUTHORISATION, Some(&funds.certificate), vec![0xa0]),
                400,
                "value-malformed",
            ),
            ("for no appliance", appliance("-"), 400, "value-malformed"),
            ("for another appliance", appliance("dev-elsewhere"), 409, "value-wrong-appliance"),
            ("for another PSD", change(&|claims| claims.psd = other_psd), 409, "value-wrong-psd"),
            ("for the next download", change(&|claims| claims.sequence += 1), 409, "value-wrong-sequence"),
            ("for the last download", change(&|claims| claims.sequence -= 1), 409, "value-wrong-sequence"),
            ("for download 0", change(&|claims| claims.sequence = 0), 409, "value-wrong-sequence"),
            ("over more", change(&|claims| claims.amount = amount("5.01")), 409, "value-wrong-amount"),
            ("over less", change(&|claims| claims.amount = amount("4.99")), 409, "value-wrong-amount"),
            ("for a refund", change(&|claims| claims.refund = Some(3)), 409, "value-wrong-piece"),
            (
                "to another control total",
                change(&|claims| claims.control_total = amount("1")),
                409,
                "value-wrong-control-total",
            ),
            ("too late", change(&|claims| claims.expires = 1), 409, "value-expired"),
        ];
        for (name, authorisation, status, code) in rows {
            assert_code(&apply(&wire, psd, &authorisation).await, status, code, name);
            assert_eq!(wire.registers(psd).await.descending, before.descending, "{name}");
            let view = wire.get(&format!("/v1/psds/{psd}")).await;
            assert_eq!(view.body.get("psd").get("value").get("pending"), &asked.body, "{name}: still under way");
        }
        // The right answer at the wrong PSD's door.
        assert_code(&apply(&wire, other_psd, &good).await, 409, "value-wrong-psd", "at another PSD");

        // Signing goes on meanwhile; registers move, the control total does not.
        assert_eq!(outcomes(&wire.sign(psd, &[item("0.50")]).await), ["signed"]);
        let applied = apply(&wire, psd, &good).await;
        assert_eq!(applied.status, 200, "{:?}", applied.body);
        let after = wire.registers(psd).await;
        assert_eq!((after.descending, after.ascending), (before.descending + 5_000 - 500, before.ascending + 500));

        // Replay: the same answer and nothing more, however often, at once, and after more pieces.
        assert_eq!(outcomes(&wire.sign(psd, &[item("0.50")]).await), ["signed"]);
        let again: Vec<_> = (0..8)
            .map(|_| {
                let (wire, good) = (wire.clone(), good.clone());
                tokio::spawn(async move { apply(&wire, psd, &good).await })
            })
            .collect();
        for reply in again {
            let reply = reply.await.expect("an answer");
            // The newest checkpoint is not part of the answer.
            assert_eq!(reply.body.clone().without("checkpoint"), applied.body.clone().without("checkpoint"));
        }
        let after = wire.registers(psd).await;
        assert_eq!(after.descending, before.descending + 5_000 - 1_000);
        // Another authorisation of the same number, validly signed.
        assert_code(
            &apply(&wire, psd, &change(&|claims| claims.expires += 1)).await,
            409,
            "value-wrong-sequence",
            "number used",
        );
        assert_eq!(wire.registers(psd).await, after);

        // The next download has the next number; one answered at once by ten is applied once.
        let next = ask(&wire, psd, "7.00").await;
        assert_eq!(next.body.get("sequence").u64(), sequence + 2);
        let good = funds.authorise(&answer_to(&next));
        let at_once: Vec<_> = (0..10)
            .map(|_| {
                let (wire, good) = (wire.clone(), good.clone());
                tokio::spawn(async move { apply(&wire, psd, &good).await })
            })
            .collect();
        for reply in at_once {
            assert_eq!(reply.await.expect("an answer").status, 200);
        }
        assert_eq!(wire.registers(psd).await.descending, after.descending + 7_000);
    });
}

#[test]
fn a_download_must_fit_when_it_is_applied() {
    let shared = shared();
    let psd: PsdId = "PU010000001".parse().expect("a PSD");
    let rival = shared.appliance.issue("rival", "rival", 311);
    let caller = shared.caller().with(&rival);
    let funds = Funds::real(&caller);
    run(async {
        let wire = caller.connect().await;
        assert_code(&ask(&wire, psd, "1000.001").await, 409, "value-above-largest-refill", "above the largest");
        let asked = ask(&wire, psd, "1000.00").await;
        assert_eq!(apply(&wire, psd, &funds.authorise(&answer_to(&asked))).await.status, 200);
        assert_code(&ask(&wire, psd, "0.10").await, 409, "value-above-largest-descending", "full");
        // Value commands and pieces of one PSD at once: all of them take effect, in some order.
        assert_eq!(outcomes(&wire.sign(psd, &[item("100.00")]).await), ["signed"]);
        let asked = ask(&wire, psd, "50.00").await;
        let good = funds.authorise(&answer_to(&asked));
        let signing: Vec<_> = (0..10)
            .map(|_| {
                let wire = wire.clone();
                tokio::spawn(async move { wire.sign(psd, &crate::client::items(20, "0.10")).await })
            })
            .collect();
        assert_eq!(apply(&wire, psd, &good).await.status, 200);
        for answer in signing {
            assert_eq!(outcomes(&answer.await.expect("an answer")), vec!["signed"; 20]);
        }
        let after = wire.registers(psd).await;
        assert_eq!((after.descending, after.ascending, after.pieces), (930_000, 120_000, 201));
    });
}

async fn void(wire: &Wire, psd: PsdId, body: &V) -> Reply {
    wire.post(&format!("/v1/psds/{psd}/value-voids"), &body.encode()).await
}

#[test]
fn a_download_that_is_given_up_loads_nothing_for_ever() {
    let shared = shared();
    let psd = shared.psds.take(&shared.appliance);
    let caller = shared.caller();
    let funds = Funds::real(&caller);
    let stranger = shared.appliance.issue("void-stranger", "stranger", 312);
    run(async {
        let wire = caller.connect().await;
        let before = wire.registers(psd).await;
        let asked = ask(&wire, psd, "5.00").await;
        let sequence = asked.body.get("sequence").u64();
        let number = |n: u64| V::map([("sequence", V::Int(n.into()))]);
        let authorised = funds.authorise(&answer_to(&asked));

        // Nobody else's, nothing else, no other form.
        let other = caller.with(&stranger).connect().await;
        assert_code(&void(&other, psd, &number(sequence)).await, 403, "not-permitted", "another tenant");
        for (name, body, status, code) in [
            ("the next", number(sequence + 1), 409, "value-wrong-sequence"),
            ("the one before", number(sequence - 1), 409, "value-applied"),
            ("none", number(0), 409, "value-wrong-sequence"),
            ("as text", V::map([("sequence", V::text("2"))]), 400, "malformed"),
            ("negative", V::map([("sequence", V::Int(-1))]), 400, "malformed"),
            ("without a number", V::map([]), 400, "malformed"),
            ("with more", number(sequence).with("surplus", V::Int(1)), 400, "malformed"),
        ] {
            assert_code(&void(&wire, psd, &body).await, status, code, name);
            let view = wire.get(&format!("/v1/psds/{psd}")).await;
            assert_eq!(view.body.get("psd").get("value").get("pending"), &asked.body, "{name}: still under way");
        }

        // Eight at once, and signing meanwhile: one statement, whoever asks.
        let at_once: Vec<_> = (0..8)
            .map(|_| {
                let (wire, body) = (wire.clone(), number(sequence));
                tokio::spawn(async move { void(&wire, psd, &body).await })
            })
            .collect();
        assert_eq!(outcomes(&wire.sign(psd, &[item("0.50")]).await), ["signed"]);
        let mut told = Vec::new();
        for reply in at_once {
            let reply = reply.await.expect("an answer");
            assert_eq!(reply.status, 200, "{:?}", reply.body);
            told.push(reply.body.without("checkpoint"));
        }
        assert!(told.iter().all(|body| *body == told[0]), "the same statement each time");
        let statement = Sign1::parse(told[0].get("statement").bytes()).expect("a COSE_Sign1");
        assert_eq!(statement.content_type, VALUE_VOID);
        let rule = "value-void-claims";
        crate::client::contract().message(rule, &statement.payload).unwrap_or_else(|why| panic!("{why}"));
        let claims: ValueRequestClaims = psdd_wire::read(&statement.payload).expect("claims");
        assert_eq!((claims.psd, claims.sequence, claims.amount), (psd, sequence, amount("5.00")));

        // What the authority had signed is worth nothing now, and its number is used up.
        assert_code(&apply(&wire, psd, &authorised).await, 409, "value-void", "given up");
        assert_eq!(wire.registers(psd).await.descending, before.descending - 500);
        let next = ask(&wire, psd, "7.00").await;
        assert_eq!(next.body.get("sequence").u64(), sequence + 1);
        assert_code(&apply(&wire, psd, &authorised).await, 409, "value-void", "given up, with another under way");
        assert_eq!(apply(&wire, psd, &funds.authorise(&answer_to(&next))).await.status, 200);
        assert_code(&void(&wire, psd, &number(sequence + 1)).await, 409, "value-applied", "applied");
        assert_eq!(void(&wire, psd, &number(sequence)).await.body.without("checkpoint"), told[0], "and again");
        assert_eq!(wire.registers(psd).await.descending, before.descending - 500 + 7_000);
    });
}
