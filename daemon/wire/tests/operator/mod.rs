//! Every message of the operator door, with all its optional fields or with none.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use psd::{PostageAmount, PsdId};
use psdd_wire::ceremony::{Approval, Ceremony, OperatorKey, P256PublicKey, SignError, Subject};
use psdd_wire::cose::Sign1;
use psdd_wire::encode;
use psdd_wire::operator::*;
use psdd_wire::problem::Problem;
use serde_bytes::ByteBuf;

const FILE: &str = "appliance = \"dev\"\n\
    genesis = \"0101010101010101010101010101010101010101010101010101010101010101\"\nnumber = 1\n\
    nonce = \"000102030405060708090a0b0c0d0e0f\"\nnot_before = 2026-11-20T12:00:00Z\nnot_after = 2026-11-21T12:00:00Z\n\
    [back-up]\ndirectory = \"/b\"\n";

fn psd() -> PsdId {
    "PS010000001".parse().expect("a PSD")
}

/// A key that signs nothing well.
struct Mute(P256PublicKey);

impl OperatorKey for Mute {
    fn public_key(&self) -> &P256PublicKey {
        &self.0
    }

    fn sign(&self, _: &[u8]) -> Result<[u8; 64], SignError> {
        Ok([1; 64])
    }
}

fn approval_claims() -> Vec<u8> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
    let key = Mute(P256PublicKey::from_spki(spki.as_ref()).expect("P-256"));
    let ceremony = Ceremony::read(FILE.as_bytes()).expect("a ceremony");
    let signed = Approval::sign(Subject::Ceremony(&ceremony), &"ada".parse().expect("a name"), &key);
    Sign1::parse(&signed.expect("signed")).expect("COSE").payload
}

fn appliance(full: bool) -> OperatorAppliance {
    let operator = OperatorView { name: "ada".to_owned(), spki: vec![0x30; 91], revoked: full };
    let note = full.then(|| "locked: one wrong PIN".to_owned());
    let token = TokenView { up: !full, name: "main".to_owned(), note, residence: "wrapped".to_owned() };
    OperatorAppliance {
        psds: 10_000,
        time: 1_795_176_000_000,
        quorum: 2,
        tokens: vec![token],
        genesis: [7; 32],
        appliance: "dev".to_owned(),
        operators: vec![operator],
        environment: "development".to_owned(),
        last_ceremony: 0,
    }
}

fn key(full: bool) -> OperatorKeyView {
    let next = NextRotation { time: full.then_some(1), reason: "by age".to_owned() };
    OperatorKeyView {
        psd: psd(),
        role: "indicium".to_owned(),
        spki: vec![0x30; 91],
        chain: if full { vec![ByteBuf::from(vec![0x30; 300])] } else { Vec::new() },
        ended: full.then_some(1_795_176_000_002),
        state: if full { KeyState::Superseded } else { KeyState::Created },
        token: "main".to_owned(),
        value: PostageAmount::from_mills(735).expect("an amount"),
        key_id: vec![1; 10],
        pieces: 1,
        serial: full.then_some(1_000),
        created: 1_795_176_000_000,
        ordered: full.then_some(1_795_176_000_003),
        activated: full.then_some(1_795_176_000_001),
        algorithm: "ecdsa-p256".to_owned(),
        not_after: full.then_some(1_895_176_000_000),
        residence: "resident".to_owned(),
        waits_for: full.then(|| "the verifiers' acknowledgement".to_owned()),
        generation: 1,
        acknowledged: full.then_some(1_795_176_000_001),
        next_rotation: full.then_some(next),
    }
}

/// Every message, by its rule.
pub fn messages(full: bool) -> Vec<(&'static str, Vec<u8>)> {
    let (file, cose) = (FILE.as_bytes().to_vec(), ByteBuf::from(vec![0xd2, 0x84]));
    let approvals = vec![cose.clone(); 2];
    let next = full.then(|| "PS010000000001 indicium 1".to_owned());
    let problem = PlanProblem { code: "below-quorum".to_owned(), text: "1 of 2".to_owned() };
    let refused = RefusedCertificate { problem: Problem::lasting("unfit-certificate", "other key") };
    let installed = InstalledCertificate { psd: psd(), role: "device".to_owned(), serial: 7 };
    let csr = RequestView { csr: vec![0x30], psd: psd(), role: "device".to_owned(), key_id: vec![4], generation: 2 };
    vec![
        ("operator-appliance", encode(&appliance(full))),
        ("plan-request", encode(&PlanRequest { file: file.clone() })),
        (
            "plan-response",
            encode(&PlanResponse {
                number: 1,
                effects: vec!["copy the ledger".to_owned()],
                problems: if full { vec![problem] } else { Vec::new() },
            }),
        ),
        ("run-request", encode(&RunRequest { file: file.clone(), approvals: approvals.clone() })),
        (
            "run-response",
            encode(&RunResponse { state: CeremonyState::Running, number: 1, steps_done: 0, steps_total: 3 }),
        ),
        ("approval-claims", approval_claims()),
        ("transcript-claims", transcript_claims()),
        (
            "ceremony-response",
            encode(&CeremonyResponse {
                file,
                lines: vec!["step 1".to_owned()],
                state: if full { CeremonyState::Done } else { CeremonyState::Interrupted },
                number: 1,
                approvals,
                steps_done: 3,
                transcript: full.then_some(cose.clone()),
                steps_total: 3,
            }),
        ),
        ("requests-response", encode(&RequestsResponse { next: next.clone(), requests: vec![csr] })),
        ("install-request", encode(&InstallRequest { chains: vec![CertificateChain { chain: vec![cose; 2] }] })),
        (
            "install-response",
            encode(&InstallResponse {
                results: vec![InstallResult::Installed(installed), InstallResult::Refused(refused)],
            }),
        ),
        ("keys-response", encode(&KeysResponse { keys: vec![key(full)], next, time: 1 })),
        ("unseal-status", encode(&UnsealStatus { status: vec![1] })),
        ("unseal-request", encode(&UnsealRequest { share: vec![1] })),
        ("unseal-response", encode(&UnsealResponse { answer: vec![1] })),
    ]
}

fn transcript_claims() -> Vec<u8> {
    use psdd_wire::ceremony::transcript::{TranscriptClaims, TranscriptKey};
    encode(&TranscriptClaims {
        keys: vec![TranscriptKey { key: "indicium PS010000000001 2".to_owned(), digest: [7; 32] }],
        begun: 1_795_000_000_000,
        ended: 1_795_000_000_100,
        lines: vec!["the key is made".to_owned()],
        steps: 2,
        digest: [8; 32],
        number: 3,
        appliance: "dev-1".to_owned(),
        approvers: vec!["anna".to_owned(), "ben".to_owned()],
    })
}
