//! Certifications: their messages, what a certification claims, and what the contract refuses.

use crate::contract::{Contract, V, deterministic};
use crate::{amount, psd, registers};
use psd::certification::{
    self, Certification, Certifier, MarkId, Paid, PayingMark, Proof, Rated, Weighed, to_be_signed,
};
use psd::key::Algorithm;
use psd::{Registers, UnixMillis};
use psdd_wire::encode;
use psdd_wire::message::{
    CertificationResponse, CertifiedPiece, CertifyItem, CertifyRequest, CertifyResponse, CertifyResult, ClosedRunView,
    LostView, OpenRunView, ProvenBy, RefusedPiece, RunDestination, RunRequest, RunResponse, RunView, RunsResponse,
    ZipCount,
};
use psdd_wire::problem::Problem;
use std::borrow::Cow;

/// An item with every field that may stand beside the indicium, or with none that may be left out.
fn item(full: bool) -> CertifyItem<'static> {
    CertifyItem {
        key: Cow::Borrowed(&[1; 16]),
        date: "2026-11-20".into(),
        size: full.then(|| ["12.5 in".to_owned(), "318 mm".to_owned(), "0.5 in".to_owned()]),
        class: "letter-metered".into(),
        scale: "dock-1".into(),
        weight: if full { 28_350 } else { -1 },
        imprint: None,
        reading: full.then_some(Cow::Borrowed(&[0xd2, 0x84])),
        weighed: 1_795_176_000_000,
        indicium: full.then_some(Cow::Borrowed(&[7; 113])),
        reference: full.then(|| "r-1".into()),
        surcharges: if full { vec!["nonmachinable".to_owned()] } else { Vec::new() },
        destination: if full { "20260-0004-99" } else { "20260" }.into(),
    }
}

fn piece(full: bool) -> CertifiedPiece {
    CertifiedPiece {
        due: amount(1_030),
        key: [7; 16],
        psd: psd(),
        leaf: 65_536,
        paid: amount(500),
        time: 1_795_176_000_000,
        rates: "us-domestic".to_owned(),
        tariff: "metered".to_owned(),
        debited: amount(530),
        line: full.then(|| "L-1 letter-metered 2026-11-20 1.03 8TVV-N2Y8-P0VY".to_owned()),
        number: full.then(|| "8TVV-N2Y8-P0VY".to_owned()),
        receipt: full.then(|| vec![0xd2; 900]),
        version: 2,
        sequence: 255,
        registers: registers(),
        certification: vec![0xd2; 300],
    }
}

/// The claims as the device writes them, for each way of having paid.
fn claims(full: bool) -> Vec<Vec<u8>> {
    let digest = [9; 32];
    let mark = PayingMark { id: MarkId { psd: psd(), ascending: amount(1_234_000) }, digest, postage: amount(500) };
    let paid = [Paid::Nothing, Paid::Imprint(amount(500)), Paid::Mark(mark)];
    let of = |paid| {
        let certification = Certification {
            date: "2026-11-20".parse().expect("a day"),
            destination: item(full).destination.parse().expect("a destination"),
            weighed: Weighed {
                weight_mg: 28_350,
                scale: "dock-1".parse().expect("a scale"),
                taken: UnixMillis(1_795_176_000_000),
            },
            rated: Rated {
                rates: "us-domestic".parse().expect("a name"),
                version: 2,
                digest,
                class: "letter-metered".parse().expect("a name"),
                tariff: "metered".parse().expect("a name"),
            },
            due: amount(1_030),
            paid,
            run: full.then(|| "autumn-7".parse().unwrap()),
            proof: if full { Proof::Signature } else { Proof::Receipt },
        };
        let told = registers();
        let registers = Registers::from_parts(told.ascending, told.descending, told.control_total, told.pieces);
        let certifier = Certifier {
            psd: psd(),
            certificate_serial: full.then_some(7),
            registers: registers.expect("registers"),
            currency: "USD".parse().expect("a currency"),
            specimen: full,
        };
        if !full {
            return certification::claims(&certifier, &certification);
        }
        let signed = to_be_signed(&certifier, &certification, Algorithm::EcdsaP256).expect("a key that certifies");
        let structure = deterministic(&signed).expect("a deterministic Sig_structure");
        structure.list()[3].bytes().to_vec()
    };
    paid.map(of).to_vec()
}

pub fn messages(full: bool) -> Vec<(&'static str, Vec<u8>)> {
    let checkpoint = full.then(|| "psdd.log/dev\n1\nAA==\n\n— psdd.log/dev AA==\n".to_owned());
    let imprinted = CertifyItem { imprint: Some("0.50".into()), indicium: None, ..item(full) };
    let request = CertifyRequest {
        run: full.then(|| "autumn-7".into()),
        items: vec![item(full), imprinted],
        proof: if full { ProvenBy::Receipt } else { ProvenBy::Signature },
        rates: "us-domestic".into(),
        checkpoint: checkpoint.as_deref().map(|note| note.to_owned().into()),
        all_or_none: full,
    };
    let refused = RefusedPiece { key: vec![1, 2], problem: Problem::lasting("scale-unknown", "x") };
    let results = vec![CertifyResult::Certified(piece(full)), CertifyResult::Refused(refused)];
    let mut all = vec![
        ("certify-request", encode(&request)),
        ("certify-response", encode(&CertifyResponse { results, checkpoint: checkpoint.clone() })),
        ("certification-response", encode(&CertificationResponse { piece: piece(full), checkpoint })),
    ];
    all.extend(runs(full));
    all.extend(claims(full).into_iter().map(|claims| ("certification-claims", claims)));
    all
}

fn runs(full: bool) -> Vec<(&'static str, Vec<u8>)> {
    let piece = piece(full);
    let request = RunRequest {
        run: "autumn-7".into(),
        date: "2026-11-27".into(),
        class: "letter".into(),
        rates: "postland".into(),
        total: 51,
        counts: [("10001", 50), ("10002", 1)].map(|(zip, pieces)| ZipCount { zip: zip.to_owned(), pieces }).into(),
        discounts: if full { vec!["town".to_owned()] } else { Vec::new() },
    };
    let lost = LostView {
        group: "10001".to_owned(),
        claimed: 50,
        counted: 49,
        lacking: 1,
        discount: "town".to_owned(),
        run_lacking: 0,
    };
    let closed = ClosedRunView {
        leaf: 70,
        owed: piece.due,
        time: 1_795_000_000_500,
        pieces: 50,
        record: vec![0xa1, 0, 0x18],
        debited: piece.debited,
        receipt: vec![0xd2, 0x84],
        settled: piece.debited,
        overpaid: piece.paid,
        sequence: 71,
        registers: piece.registers,
    };
    let run = RunView {
        psd: piece.psd,
        run: "autumn-7".to_owned(),
        date: "2026-11-27".to_owned(),
        leaf: 17,
        lost: if full { vec![lost] } else { Vec::new() },
        time: 1_795_000_000_000,
        class: "letter".to_owned(),
        rates: "postland".to_owned(),
        total: 51,
        closed: full.then_some(closed),
        tariffs: vec!["full".to_owned(), "town".to_owned()],
        version: 1,
        destinations: [("10001", 50, 1), ("10002", 1, 0)]
            .map(|(zip, pieces, tariff)| RunDestination {
                zip: zip.to_owned(),
                pieces,
                tariff,
                counted: full.then_some(pieces - 1),
                counted_tariff: full.then_some(0),
            })
            .into(),
    };
    let open = OpenRunView {
        run: "autumn-7".to_owned(),
        date: "2026-11-27".to_owned(),
        class: "letter".to_owned(),
        rates: "postland".to_owned(),
        total: 51,
    };
    let checkpoint = full.then(|| "psdd.log/dev\n1\nAA==\n\n— psdd.log/dev AA==\n".to_owned());
    let runs = if full { vec![open] } else { Vec::new() };
    vec![
        ("mail-run-request", encode(&request)),
        ("mail-run-response", encode(&RunResponse { run, checkpoint: checkpoint.clone() })),
        ("mail-runs-response", encode(&RunsResponse { runs, checkpoint })),
    ]
}

#[test]
fn an_item_to_be_certified_is_of_one_form() {
    let contract = Contract::read();
    let plain = deterministic(&encode(&item(false))).expect("deterministic");
    let judge = |item: V| {
        let request = V::map([("rates", V::text("us-domestic")), ("items", V::Array(vec![item]))]).encode();
        (contract.judge("certify-request", &request), psdd_wire::read::<CertifyRequest<'_>>(&request).map(drop))
    };
    let (contract_says, reader_says) = judge(plain.clone());
    contract_says.expect("the plain item");
    reader_says.expect("the plain item");
    for key in ["key", "date", "class", "scale", "weight", "weighed", "destination"] {
        let (contract_says, reader_says) = judge(plain.clone().without(key));
        assert!(contract_says.is_err() && reader_says.is_err(), "without {key}");
    }
    let sides = |sides: &[&str]| V::Array(sides.iter().map(|side| V::text(side)).collect());
    let wrong = [
        ("key", V::text("0123456789abcdef")),
        ("size", sides(&["1 in", "2 in"])),
        ("size", sides(&["1 in", "2 in", "3 in", "4 in"])),
        ("weight", V::text("20000")),
        ("weighed", V::Int(-1)),
        ("imprint", V::Int(50)),
        ("reading", V::text("d284")),
        ("indicium", V::text("d284")),
        ("postage", V::text("0.73")),
    ];
    for (key, value) in wrong {
        let (contract_says, reader_says) = judge(plain.clone().with(key, value.clone()));
        assert!(contract_says.is_err() && reader_says.is_err(), "{key} = {value:?}");
    }
}
