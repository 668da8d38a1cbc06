//! Certification numbers of the real daemon: what a person reads leads to the piece, at either door, and says whether the mark belongs to it.

use crate::certify::{DUE, MAILER, WEIGHER, certify, letter, mark, paid_by, psdctl, told};
use crate::client::{Caller, code_of};
use crate::contract::V;
use psdd_certification::{CertificationNumber, PrintedLine};
use softhsm_tests::Appliance;

/// A letter, and what was told of it.
pub async fn number_of(caller: &Caller) -> (V, V) {
    let (wire, item) = (caller.connect().await, letter());
    let told = certify(&wire, std::slice::from_ref(&item)).await.remove(0);
    (item, told)
}

pub async fn its_number_stays(caller: &Caller, (item, told): &(V, V)) {
    let wire = caller.connect().await;
    assert_eq!(certify(&wire, std::slice::from_ref(item)).await[0], *told, "a restart numbers nothing anew");
    let path = format!("/v1/certifications/numbers/{}", told.get("number").str());
    assert_eq!(wire.get(&path).await.body.get("piece"), told);
}

/// By hand and by scan: what a person reads leads to the piece, for its tenant, and says whether the mark beside it belongs to it.
pub async fn a_number_leads_to_its_piece_and_to_no_other(appliance: &Appliance, caller: &Caller) {
    let wire = caller.connect().await;
    let marks = [mark(&wire, MAILER, "0.50").await, mark(&wire, MAILER, "0.50").await];
    let items = [paid_by(&marks[0]), paid_by(&marks[1]), letter()];
    let results = certify(&wire, &items).await;
    let numbers: Vec<&str> = results.iter().map(|result| result.get("number").str()).collect();
    assert!(numbers.iter().all(|number| number.parse::<CertificationNumber>().is_ok()), "{numbers:?}");
    assert!(numbers[0] != numbers[1] && numbers[1] != numbers[2]);
    let line: PrintedLine = results[0].get("line").str().parse().expect("a line");
    let says = (line.class().as_str(), line.due().to_string(), line.number().to_string());
    assert_eq!(says, ("letter-metered", DUE.to_owned(), numbers[0].to_owned()));

    let by_number = |text: String| {
        let wire = &wire;
        async move { wire.get(&format!("/v1/certifications/numbers/{text}")).await }
    };
    for text in [numbers[0].to_owned(), numbers[0].to_lowercase(), numbers[0].replace('-', "")] {
        assert_eq!(by_number(text).await.body.get("piece"), &results[0]);
    }
    let client = appliance.client(appliance.client_config()).await;
    let (piece, claims) =
        client.certification_by_number(&numbers[0].to_lowercase().replace('-', " ")).await.expect("it");
    assert_eq!((piece.number.as_deref(), claims.paid.amount().mills()), (Some(numbers[0]), 500));
    let swapped = format!("{}{}", &numbers[0][..13], if numbers[0].ends_with('0') { '1' } else { '0' });
    let misread = by_number(swapped).await;
    assert_eq!((misread.status, code_of(&misread.body)), (400, "number-misread"));
    // Read rightly, and of a place that has no record yet, or one of something else.
    let strangers = ["7KQ4-M2XD-P0N2", "15XG-C0XD-8TYS", "1B17-HGYA-CCKA"].map(str::to_owned);
    for stranger in strangers.into_iter().filter(|text| text.parse::<CertificationNumber>().is_ok()) {
        let unknown = by_number(stranger).await;
        assert_eq!((unknown.status, code_of(&unknown.body)), (404, "number-unknown"));
    }
    let stranger = caller.with(&appliance.issue("number-stranger", "stranger", 321)).connect().await;
    let of_another = stranger.get(&format!("/v1/certifications/numbers/{}", numbers[0])).await;
    assert_eq!((of_another.status, code_of(&of_another.body)), (404, "number-unknown"));

    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let verify = |arguments: &[&str]| psdctl(appliance, &[&["certify", "verify"], arguments].concat());
    let belongs = verify(&[numbers[0], "--indicium", &hex(&marks[0])]);
    assert!(belongs.status.success() && told(&belongs).contains("belongs"), "{}", told(&belongs));
    let printed = verify(&[results[2].get("line").str()]);
    assert!(printed.status.success() && told(&printed).contains("no indicium paid"), "{}", told(&printed));
    let inspected = verify(&["--authority", numbers[0], "--indicium", &hex(&marks[0])]);
    assert!(inspected.status.success() && told(&inspected).contains(WEIGHER), "{}", told(&inspected));
    let unknown = verify(&["--authority", numbers[2], "--indicium", &hex(&marks[0])]);
    assert!(unknown.status.code() == Some(1) && told(&unknown).contains("other-indicium"), "{}", told(&unknown));
    let other = verify(&[numbers[0], "--indicium", &hex(&marks[1])]);
    assert!(other.status.code() == Some(1) && told(&other).contains("other-indicium"), "{}", told(&other));
    let scans = appliance.around().join("scans.csv");
    let rows = [
        format!("{},{}", numbers[0], hex(&marks[0])),
        format!("{},{}", numbers[1], hex(&marks[0])),
        format!("{},", numbers[1]),
        format!("{},", numbers[2]),
        "7KQ4-M2XD-P0N3,".to_owned(),
        format!("{},{}", numbers[0], hex(&marks[0])),
    ];
    std::fs::write(&scans, format!("number,indicium\n{}\n", rows.join("\n"))).expect("written");
    let judged = verify(&["--scans", &scans.display().to_string()]);
    assert_eq!(judged.status.code(), Some(1), "{}", told(&judged));
    for says in ["2 of 6 pieces", "other-indicium", "indicium-missing", "misread", "repeated"] {
        assert!(told(&judged).contains(says), "{says}: {}", told(&judged));
    }
}
