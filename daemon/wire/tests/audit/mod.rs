//! Every message of a device audit, with all its optional fields or with none; and whose reports are believed.

mod claims;

use claims::{amount, claims};
use psdd_wire::audit::*;
use psdd_wire::encode;
use serde_bytes::ByteBuf;

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
