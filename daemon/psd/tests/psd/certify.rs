//! Certifications: the shortfall is debited, the registers are in the signed bytes, and the record replays.

use crate::device::*;
use psd::certification::{
    self, Certification, MarkId, NotCertifiable, Paid, PayingMark, Proof, Rated, RecordedError, Weighed,
};
use psd::device::{Piece, PieceContext};
use psd::indicium::Details;
use psd::key::{Algorithm, Role};
use psd::record::{CertifiedPiece, Environment, Event, InRun, Record};
use psd::{Psd, Refusal, UnixMillis};
use std::sync::Arc;

/// An active PSD with an indicium key and a certification key of this algorithm.
pub fn certifying(value: u64, algorithm: Algorithm) -> Psd {
    let mut psd = active(value);
    let mut event = key_created(&psd, 2, Role::Certification);
    if let Event::KeyCreated { algorithm: of_key, .. } = &mut event {
        *of_key = algorithm;
    }
    psd.replay(&event, UnixMillis(1)).unwrap();
    let event = certified(&psd, 2, 78);
    psd.replay(&event, UnixMillis(1)).unwrap();
    psd
}

fn paid_by(postage: u64) -> Paid {
    let id = MarkId { psd: id(), ascending: mills(9_000) };
    Paid::Mark(PayingMark { id, digest: [9; 32], postage: mills(postage) })
}

pub fn to_certify(due: u64, paid: Paid) -> Piece {
    let certification = Certification {
        date: "2026-11-20".parse().unwrap(),
        destination: "20500".parse().unwrap(),
        weighed: Weighed { weight_mg: 28_000, scale: "dock-3".parse().unwrap(), taken: UnixMillis(NOW) },
        rated: Rated {
            rates: "postland".parse().unwrap(),
            version: 1,
            digest: [1; 32],
            class: "letter".parse().unwrap(),
            tariff: "full".parse().unwrap(),
        },
        due: mills(due),
        paid,
        run: None,
        proof: Proof::Signature,
    };
    Piece {
        postage: certification.shortfall(),
        details: Details::Certification(Arc::new(certification), None),
        ..piece(0)
    }
}

pub fn certify(psd: &mut Psd, piece: &Piece) -> Result<Record, Refusal> {
    let tenant = tenant();
    let length = psd.signing_key(Role::Certification).map_or(64, |key| key.algorithm.signature_len());
    psd.prepare(piece, &context(&tenant)).map(|prepared| prepared.signed(&vec![7; length]))
}

#[test]
fn the_shortfall_is_debited_and_stands_in_what_is_signed() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaP384] {
        let mut psd = certifying(1_000, algorithm);
        let before = psd.clone();
        let record = certify(&mut psd, &to_certify(730, paid_by(500))).unwrap();
        let Event::Certification(piece) = &record.event else { panic!() };
        assert_eq!((piece.debited, piece.mark.unwrap().ascending), (mills(230), mills(9_000)));
        let read = certification::decode_recorded(piece, psd.identity(), Environment::Production).unwrap();
        assert_eq!(certification::of_own_record(piece), Ok(read.certification));
        let signature = read.signature.unwrap();
        assert_eq!((signature.algorithm, signature.certificate_serial), (algorithm, 78));
        assert_eq!(read.certifier.registers, psd.state().registers);
        let registers = psd.state().registers;
        assert_eq!(
            (registers.ascending(), registers.descending(), registers.piece_count()),
            (mills(230), mills(770), 1)
        );
        let mut replayed = before;
        replayed.replay(&record.event, UnixMillis(NOW)).unwrap();
        assert_eq!(replayed.state(), psd.state());
        assert_eq!(Record::decode(&record.encode()).unwrap(), record);
    }
}

#[test]
fn what_is_paid_in_full_is_certified_without_a_debit_however_small_the_smallest_postage() {
    let mut psd = certifying(0, Algorithm::EcdsaP256);
    let record = certify(&mut psd, &to_certify(730, Paid::Imprint(mills(730)))).unwrap();
    let Event::Certification(piece) = &record.event else { panic!() };
    assert_eq!((piece.debited, piece.mark), (mills(0), None));
    assert_eq!(psd.state().registers.piece_count(), 1, "it is a piece all the same");
}

#[test]
fn a_shortfall_without_funds_or_above_the_limit_is_refused_and_changes_nothing() {
    let mut psd = certifying(229, Algorithm::EcdsaP256);
    let before = psd.state().clone();
    for (piece, code) in [
        (to_certify(730, paid_by(500)), "insufficient-funds"),
        (to_certify((1 << 30) + 1, Paid::Nothing), "postage-too-large"),
    ] {
        assert_eq!(certify(&mut psd, &piece).unwrap_err().code(), code);
        assert_eq!(*psd.state(), before);
    }
}

#[test]
fn without_a_certification_key_nothing_is_certified_and_the_role_is_named() {
    let refusal = certify(&mut active(1_000), &to_certify(730, Paid::Nothing)).unwrap_err();
    assert_eq!((refusal.code(), refusal.to_string().contains("certification key")), ("no-certified-key", true));
}

#[test]
fn what_cannot_be_certified_is_told_in_its_own_words() {
    let not = Arc::new(NotCertifiable { code: "class-unknown", says: "no class \"brick\"".to_owned() });
    let details = Details::NotCertifiable("2026-11-20".parse().unwrap(), Proof::Signature, not);
    let mut psd = certifying(1_000, Algorithm::EcdsaP256);
    let refusal = certify(&mut psd, &Piece { details, ..to_certify(730, Paid::Nothing) }).unwrap_err();
    assert_eq!((refusal.code(), refusal.to_string().as_str()), ("class-unknown", "no class \"brick\""));
}

#[test]
fn a_record_that_says_otherwise_than_its_certification_is_found_out() {
    let mut psd = certifying(10_000, Algorithm::EcdsaP256);
    let record = certify(&mut psd, &to_certify(730, paid_by(500))).unwrap();
    let Event::Certification(honest) = record.event else { panic!() };
    let judged = |piece: &CertifiedPiece, environment| {
        certification::decode_recorded(piece, psd.identity(), environment).map(drop).map_err(|error| match error {
            RecordedError::Form(_) => "form",
            RecordedError::Field { field } => field,
        })
    };
    assert_eq!(judged(&honest, Environment::Production), Ok(()));
    assert_eq!(judged(&honest, Environment::Development), Err("specimen"));
    let mut stamp = honest.stamp;
    stamp.registers = stamp.registers.loaded(mills(1)).unwrap();
    let rows = [
        ("registers", CertifiedPiece { stamp, ..honest.clone() }),
        ("debit", CertifiedPiece { debited: mills(229), ..honest.clone() }),
        ("paying indicium", CertifiedPiece { mark: None, ..honest.clone() }),
        ("run", CertifiedPiece { run: Some(InRun { id: "r-1".parse().unwrap(), dues: [].into() }), ..honest.clone() }),
        ("form", CertifiedPiece { certification: vec![0xd2, 0x84], ..honest.clone() }),
    ];
    for (field, piece) in rows {
        assert_eq!(judged(&piece, Environment::Production), Err(field));
    }
}

#[test]
fn a_certification_that_does_not_follow_is_no_part_of_a_log() {
    let psd = certifying(1_000, Algorithm::EcdsaP256);
    let record = certify(&mut psd.clone(), &to_certify(730, Paid::Nothing)).unwrap();
    psd.clone().replay(&record.event, UnixMillis(NOW)).unwrap();
    let mut keyless = active(1_000);
    let mut state = keyless.state().clone();
    state.sequence = psd.state().sequence;
    keyless.restore(state);
    assert!(keyless.replay(&record.event, UnixMillis(NOW)).is_err(), "no certification key was in use");
    let Event::Certification(mut piece) = record.event else { panic!() };
    piece.debited = mills(729);
    assert!(psd.clone().replay(&Event::Certification(piece), UnixMillis(NOW)).is_err(), "registers and debit differ");
}

/// Without a certification key as well, and judged in all else as what is signed.
#[test]
fn what_a_receipt_is_to_prove_is_complete_without_a_key() {
    let tenant = tenant();
    let mut psd = active(1_000);
    let before = psd.clone();
    let Details::Certification(asked, _) = to_certify(730, paid_by(500)).details else { panic!() };
    let asked = Certification { proof: Proof::Receipt, ..(*asked).clone() };
    let details = Details::Certification(Arc::new(asked.clone()), None);
    let piece = Piece { details, ..to_certify(730, paid_by(500)) };
    assert!(piece.details.signed_by().is_none());
    let record = psd.prepare(&piece, &context(&tenant)).unwrap().recorded();
    let Event::Certification(certified) = &record.event else { panic!() };
    let read = certification::decode_recorded(certified, psd.identity(), Environment::Production).unwrap();
    assert_eq!((&read.certification, &read.signature), (&asked, &None));
    assert_eq!(certification::of_own_record(certified), Ok(asked));
    assert_eq!(
        (certified.debited, psd.state().registers),
        (mills(230), before.state().registers.debited(mills(230)).unwrap())
    );
    let mut replayed = before.clone();
    replayed.replay(&record.event, UnixMillis(NOW)).unwrap();
    assert_eq!(replayed.state(), psd.state());
    let short = Piece { postage: mills(1_001), ..piece };
    assert_eq!(before.clone().prepare(&short, &context(&tenant)).err().unwrap().code(), "insufficient-funds");
}

/// The context says whether marks are specimens, and so are certifications.
#[test]
fn certifications_of_a_development_appliance_are_specimens() {
    let mut psd = certifying(1_000, Algorithm::EcdsaP256);
    let tenant = tenant();
    let context = PieceContext { environment: Environment::Development, ..context(&tenant) };
    let record = psd.prepare(&to_certify(730, Paid::Nothing), &context).unwrap().signed(&[7; 64]);
    let Event::Certification(piece) = record.event else { panic!() };
    assert!(certification::decode(&piece.certification).unwrap().certifier.specimen);
}
