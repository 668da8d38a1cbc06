//! Every message of a device audit, with all its optional fields or with none.

use psd::{PostageAmount, PsdId};
use psdd_wire::audit::*;
use psdd_wire::encode;
use psdd_wire::message::{ClockView, InspectionView, RegisterView};
use psdd_wire::status::KeyState;
use serde_bytes::ByteBuf;

fn amount(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).expect("an amount")
}

fn psd() -> PsdId {
    "PS010000001".parse().expect("a PSD")
}

fn key(full: bool) -> AuditKey {
    AuditKey {
        role: "indicium".to_owned(),
        since: 1,
        state: KeyState::Active,
        value: amount(175),
        key_id: vec![1; 12],
        pieces: 3,
        serial: full.then_some(1_000),
        created: 1,
        activated: full.then_some(2),
        algorithm: "ecdsa-p256-sha256".to_owned(),
        not_after: full.then_some(9),
        residence: if full { "wrapped" } else { "resident" }.to_owned(),
        generation: 1,
        certificate: full.then(|| ByteBuf::from(vec![7; 32])),
    }
}

pub fn claims(full: bool) -> AuditClaims {
    AuditClaims {
        psd: psd(),
        logged: Logged {
            keys: if full { vec![key(true), key(false)] } else { Vec::new() },
            locks: if full { vec!["clock".to_owned()] } else { Vec::new() },
            state: "active".to_owned(),
            format: "ibi".to_owned(),
            tenant: "acme".parse().expect("a tenant"),
            licence: "L-1".parse().expect("a licence"),
            pending: full.then(|| PendingLine { amount: amount(1_000), purpose: "download".to_owned(), sequence: 3 }),
            currency: "USD".parse().expect("a currency"),
            sequence: 12,
            downloads: 2,
            registers: RegisterView {
                pieces: 3,
                ascending: amount(175),
                descending: amount(825),
                control_total: amount(1_000),
            },
            environment: "development".to_owned(),
            last_download: full.then(|| DownloadLine { leaf: 7, time: 1, amount: amount(1_000), sequence: 2 }),
        },
        asserted: Asserted {
            hsm: HsmLine::default(),
            clock: full.then(|| ClockView { time: 1, epoch: 1, source: "host".to_owned(), error_ms: 3 }),
            scrub: full.then(|| ScrubLine { time: 1, records: 9, finding: Some("record 3 is missing".to_owned()) }),
            binary: full.then(|| ByteBuf::from(vec![8; 32])),
            version: "0.1.0".to_owned(),
            inspection: full.then_some(InspectionView { due: 3, last: 1, warn: 2 }),
            last_audit: full.then_some(5),
            clock_stopped: (!full).then(|| "the clock source is not synchronised".to_owned()),
        },
        appliance: "dev".to_owned(),
        challenge: vec![5; if full { 64 } else { 16 }],
        checkpoint: full.then(|| "psdd.log/dev\n".to_owned()),
    }
}

pub fn messages(full: bool) -> Vec<(&'static str, Vec<u8>)> {
    let failure =
        AuditFailure { psd: "PS010000001".to_owned(), code: "no-device-key".to_owned(), detail: String::new() };
    let psds = full.then(|| vec!["PS010000001".to_owned()]);
    let request = AuditRequest { psds, after: None, challenge: vec![1; 32] };
    let response = AuditResponse {
        next: full.then(|| "PS010000001".to_owned()),
        reports: if full { vec![ByteBuf::from(vec![0xd2])] } else { Vec::new() },
        failures: if full { vec![failure] } else { Vec::new() },
        checkpoint: full.then(|| "psdd.log/dev\n".to_owned()),
    };
    let mut all = vec![
        ("audit-request", encode(&request)),
        ("audit-response", encode(&response)),
        ("audit-claims", encode(&claims(full))),
    ];
    if !full {
        all.push(("audit-request", encode(&AuditRequest { after: Some("PS010000001".to_owned()), ..request })));
    }
    all
}

#[test]
fn an_audit_report_is_believed_from_its_key_over_its_challenge_only() {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    let keys = [0, 1].map(|_| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"));
    let spkis = keys.each_ref().map(|key| {
        let spki: PublicKeyX509Der<'_> = key.public_key().as_der().expect("SPKI");
        spki.as_ref().to_vec()
    });
    let signed = |claims: &AuditClaims| {
        let message = claims.unsigned(&spkis[0], Some(&[0x30; 8])).expect("P-256");
        let signature = keys[0].sign(&SystemRandom::new(), &message.to_be_signed()).expect("a signature");
        message.with_signature(signature.as_ref())
    };
    let claims = claims(true);
    let report = signed(&claims);
    let read = |bytes: &[u8], spki: &[u8], challenge: &[u8], appliance| {
        AuditClaims::verify(bytes, spki, challenge, appliance).map(|claims| claims.psd)
    };
    assert_eq!(read(&report, &spkis[0], &[5; 64], "dev").expect("a report"), claims.psd);
    assert!(matches!(read(&report, &spkis[1], &[5; 64], "dev"), Err(AuditError::Signature(_))));
    assert!(matches!(read(&report, &spkis[0], &[6; 64], "dev"), Err(AuditError::Challenge)));
    assert!(matches!(read(&report, &spkis[0], &[5; 64], "other"), Err(AuditError::Appliance(_))));
    for at in 0..report.len() {
        let mut altered = report.clone();
        altered[at] ^= 1;
        assert!(read(&altered, &spkis[0], &[5; 64], "dev").is_err(), "byte {at}");
    }
    let mut cheated = claims;
    cheated.logged.registers.descending = amount(826);
    assert!(matches!(read(&signed(&cheated), &spkis[0], &[5; 64], "dev"), Err(AuditError::ControlTotal { .. })));
}
