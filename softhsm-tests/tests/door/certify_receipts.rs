//! Certifications that receipts prove, of the real daemon: by the SDK, by hand, as files, and from a ledger that was altered.

use crate::certify::{DUE, MAILER, WEIGHER, letter, mark, paid_by, psd, psdctl, to_certify, told};
use crate::client::{Caller, code_of, mills, outcome, outcomes};
use crate::contract::V;
use crate::inspection::alter;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use psd::certification;
use psd::record::{Event, Record};
use psdd_client::{CertifiedPiece, CertifyItem, CertifyTerms, ClientError, Outcome, Payment, ProvenBy};
use psdd_wire::receipt::Receipt;
use softhsm_tests::Appliance;

pub async fn receipts_prove_what_they_are_for(appliance: &Appliance, caller: &Caller) {
    by_the_sdk(appliance).await;
    a_receipt_proves_its_record_without_a_connection(appliance, caller).await;
}

/// Of more pieces than a tile of the log has; the records stay what they are, whatever root proves them.
async fn by_the_sdk(appliance: &Appliance) {
    let client = appliance.client(appliance.client_config()).await;
    let rates = "us-domestic".parse().expect("a name");
    let many: Vec<CertifyItem> = (0..300).map(|_| to_certify(Payment::Nothing)).collect();
    let by_receipt = ProvenBy::Receipt;
    let proven = client
        .certify(psd(WEIGHER), CertifyTerms::of(&rates, by_receipt), &many, false)
        .await
        .expect("receipts that hold");
    let again = client
        .certify(psd(WEIGHER), CertifyTerms::of(&rates, by_receipt), &many, false)
        .await
        .expect("receipts that hold");
    let record = |outcome: &Outcome<_>| match outcome {
        Outcome::Signed(CertifiedPiece { certification, receipt: Some(_), .. }) => certification.clone(),
        other => panic!("{other:?}"),
    };
    assert!(proven.iter().map(record).eq(again.iter().map(record)));

    // A tile that was altered on the disk proves nothing, and nothing is signed away with it.
    let leaf = match &proven[0] {
        Outcome::Signed(piece) => piece.leaf,
        Outcome::Refused(problem) => panic!("{problem}"),
    };
    let (ledger, tile) = (appliance.layout.state().join("ledger.db"), leaf / 256);
    let turned = |by: u32| {
        let hashes = format!("CAST(substr(hashes, {}) || substr(hashes, 1, {by}) AS BLOB)", by + 1);
        format!("UPDATE tile SET hashes = {hashes} WHERE level = 0 AND number = {tile}")
    };
    alter(&ledger, &turned(32));
    let damaged = client.certify(psd(WEIGHER), CertifyTerms::of(&rates, by_receipt), &many, false).await;
    assert!(
        matches!(&damaged, Err(ClientError::Refused(problem)) if problem.facts.code == "log-damaged"),
        "{damaged:?}"
    );
    alter(&ledger, &turned(8_192 - 32));
    let mended = client
        .certify(psd(WEIGHER), CertifyTerms::of(&rates, by_receipt), &many, false)
        .await
        .expect("receipts that hold");
    assert!(proven.iter().map(record).eq(mended.iter().map(record)));
    let reused = client
        .certify(psd(WEIGHER), CertifyTerms::of(&rates, ProvenBy::Signature), &many[..1], false)
        .await
        .expect("an answer");
    assert!(matches!(&reused[0], Outcome::Refused(problem) if problem.facts.code == "key-reused"), "{reused:?}");
}

/// A receipt is for whoever has it: the record and the public half of the log key are all that it takes, and nothing else fits it.
async fn a_receipt_proves_its_record_without_a_connection(appliance: &Appliance, caller: &Caller) {
    let wire = caller.connect().await;
    let path = format!("/v1/psds/{WEIGHER}/certifications");
    let short = mark(&wire, MAILER, "0.50").await;
    let before = wire.registers(psd(WEIGHER)).await;
    let ask = |items: Vec<V>| {
        let request =
            V::map([("items", V::Array(items)), ("proof", V::text("receipt")), ("rates", V::text("us-domestic"))]);
        request.encode()
    };
    let items = vec![paid_by(&short), letter(), letter().with("weight", V::Int(-1)), letter()];
    let reply = wire.post(&path, &ask(items.clone())).await;
    let results = reply.body.get("results").list();
    assert_eq!(outcomes(results), ["signed", "signed", "weight-negative", "signed"]);
    assert_eq!(wire.registers(psd(WEIGHER)).await, before.after(&[240, 740, 740]));
    let log_key = wire.get("/v1/appliance").await.body.get("log_spki").bytes().to_vec();
    let mut records = Vec::new();
    for result in results.iter().filter(|result| outcome(result) == "signed") {
        let (record, receipt) = (result.get("certification").bytes(), result.get("receipt").bytes());
        let receipt = Receipt::parse(receipt).expect("a receipt");
        receipt.verify(record, &log_key).expect("a receipt of this record");
        assert_eq!(receipt.proof.leaf, result.get("leaf").u64());
        let Event::Certification(piece) = Record::decode(record).expect("a record").event else { panic!("{result:?}") };
        let claims = certification::decode(&piece.certification).expect("claims");
        assert_eq!((claims.signature, claims.certification.due.mills()), (None, mills(DUE)));
        records.push((record.to_vec(), receipt, result.get("key").bytes().to_vec()));
    }
    let (first, second) = (&records[0], &records[1]);
    assert!(first.1.verify(&second.0, &log_key).is_err(), "another record");

    // The same by its key, also after a restart.
    let by_key = format!("/v1/certifications/{}", uuid::Uuid::from_slice(&first.2).expect("a UUID"));
    let stored = wire.get(&by_key).await;
    assert_eq!(stored.body.get("piece").get("certification").bytes(), first.0);
    let receipt = Receipt::parse(stored.body.get("piece").get("receipt").bytes()).expect("a receipt");
    receipt.verify(&first.0, &log_key).expect("a receipt of this record");
    let other = wire.post(&path, &ask(vec![letter().with("proof", V::text("receipt"))])).await;
    assert_eq!((other.status, code_of(&other.body)), (400, "malformed"));
    let unknown =
        V::map([("items", V::Array(vec![letter()])), ("proof", V::text("oath")), ("rates", V::text("us-domestic"))]);
    assert_eq!(code_of(&wire.post(&path, &unknown.encode()).await.body), "malformed");

    // As files, to a program that has nothing else.
    let file = |name: &str, bytes: &[u8]| {
        let path = appliance.around().join(name);
        std::fs::write(&path, bytes).expect("written");
        path.display().to_string()
    };
    let (record, receipt) = (file("piece.record", &first.0), file("piece.receipt", &first.1.encode()));
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&log_key));
    let key = file("log.pem", pem.as_bytes());
    let judged = psdctl(appliance, &["inspect", "verify-receipt", &receipt, "--record", &record, "--log-key", &key]);
    assert!(judged.status.success() && told(&judged).contains("the record is leaf"), "{}", told(&judged));
    let record = file("other.record", &second.0);
    let judged = psdctl(appliance, &["inspect", "verify-receipt", &receipt, "--record", &record, "--log-key", &key]);
    assert!(!judged.status.success(), "{}", told(&judged));
}
