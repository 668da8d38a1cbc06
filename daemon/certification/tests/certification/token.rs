//! What a digital token promises: each party judges its own half, by the data on the piece and nothing else.

use crate::holder::{Holder, Silent};
use psd::PostageAmount;
use psd::indicium::Destination;
use psdd_certification::digital_token::{
    AddressCode, DigitalToken, Judged, Lengths, Party, TokenData, TokenDataError, TokenError,
};

const VENDOR: Holder = Holder([0x11; 32]);
const POSTAL: Holder = Holder([0x22; 32]);

/// Device ID, piece count, mills, day, destination, address (a delivery point where it is digits).
type Row<'t> = (&'t str, u64, u64, &'t str, &'t str, &'t str);

const ROW: Row<'static> = ("PS010000000001", 7, 730, "2026-11-20", "20500-0003", "1 Main St, Springfield");

fn data((psd, pieces, mills, date, destination, address): Row<'_>) -> TokenData {
    let code = if address.starts_with(|c: char| c.is_ascii_digit()) && !address.contains(' ') {
        AddressCode::of_delivery_point(address)
    } else {
        AddressCode::of_address(address)
    };
    let (psd, date) = (psd.parse().expect("a PSD"), date.parse().expect("a day"));
    let postage = PostageAmount::from_mills(mills).expect("an amount");
    let destination = destination.parse().expect("a destination");
    TokenData::new((psd, pieces), postage, date, destination, code.expect("a code")).expect("data")
}

fn made(data: &TokenData, lengths: Lengths) -> DigitalToken {
    let Ok(token) = DigitalToken::make(&VENDOR, &POSTAL, data, lengths);
    token
}

fn judged(token: &DigitalToken, key: &Holder, party: Party, data: &TokenData) -> bool {
    let Ok(Judged { half, holds }) = token.verify(key, party, data);
    assert_eq!(half, party);
    holds
}

#[test]
fn each_party_judges_its_half_by_its_key_only() {
    let data = data(ROW);
    for (vendor, postal) in [(5, 5), (4, 8), (8, 4)] {
        let lengths = Lengths::new(vendor, postal).expect("lengths");
        let token = made(&data, lengths);
        let again = DigitalToken::parse(&token.to_string(), lengths).expect("a token");
        assert_eq!(again, token);
        assert!(judged(&again, &VENDOR, Party::Vendor, &data) && judged(&again, &POSTAL, Party::Postal, &data));
        // The other party's key, and the right key for the other half.
        assert!(!judged(&again, &POSTAL, Party::Vendor, &data) && !judged(&again, &VENDOR, Party::Postal, &data));
    }
    assert_eq!(made(&data, Lengths::default()).verify(&Silent, Party::Vendor, &data), Err("token-unavailable"));
}

#[test]
fn a_forged_half_leaves_the_other_as_it_is() {
    let data = data(ROW);
    let forger = Holder([0x33; 32]);
    let Ok(token) = DigitalToken::make(&forger, &POSTAL, &data, Lengths::default());
    assert!(!judged(&token, &VENDOR, Party::Vendor, &data));
    assert!(judged(&token, &POSTAL, Party::Postal, &data));
}

#[test]
fn every_datum_counts_and_one_key_makes_two_halves() {
    let rows = [
        ROW,
        ("PS010000000002", 7, 730, "2026-11-20", "20500-0003", "1 Main St, Springfield"),
        ("PS010000000001", 8, 730, "2026-11-20", "20500-0003", "1 Main St, Springfield"),
        ("PS010000000001", 7, 731, "2026-11-20", "20500-0003", "1 Main St, Springfield"),
        ("PS010000000001", 7, 730, "2026-11-21", "20500-0003", "1 Main St, Springfield"),
        ("PS010000000001", 7, 730, "2026-11-20", "20501-0003", "1 Main St, Springfield"),
        ("PS010000000001", 7, 730, "2026-11-20", "20500-0003", "2 Main St, Springfield"),
        ("PS010000000001", 7, 730, "2026-11-20", "20500-0003", "20500-0003-12"),
        ("PS010000000001", 7, 730, "2026-11-20", "20500-0003", "20500-0003-13"),
    ]
    .map(data);
    let lengths = Lengths::new(8, 8).expect("lengths");
    let token = made(&rows[0], lengths);
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(judged(&token, &VENDOR, Party::Vendor, row), index == 0, "{row:?}");
        assert_eq!(judged(&token, &POSTAL, Party::Postal, row), index == 0, "{row:?}");
    }
    let messages: std::collections::BTreeSet<Vec<u8>> =
        rows.iter().flat_map(|row| [row.message(Party::Vendor), row.message(Party::Postal)]).collect();
    assert_eq!(messages.len(), 2 * rows.len());
    // Of the destination the ZIP counts: add-on and point are the recipient's.
    assert_eq!(data(("PS010000000001", 7, 730, "2026-11-20", "20500", ROW.5)), rows[0]);
    let Ok(one) = DigitalToken::make(&VENDOR, &VENDOR, &rows[0], lengths);
    assert_ne!(one.half(Party::Vendor), one.half(Party::Postal));
}

#[test]
fn a_delivery_point_lies_in_the_zip_of_the_destination() {
    let point: Destination = "20500-0003-12".parse().expect("a point");
    let code = AddressCode::of_delivery_point("20500-0003-12").expect("a code");
    let to = |destination: &str| {
        let (psd, date) = ("PS010000000001".parse().expect("a PSD"), "2026-11-20".parse().expect("a day"));
        TokenData::new((psd, 1), PostageAmount::ZERO, date, destination.parse().expect("a destination"), code).err()
    };
    assert_eq!(to("20500"), None);
    assert_eq!(to("20501-0003"), Some(TokenDataError::Elsewhere { point, zip: 20_501 }));
}

#[test]
fn what_is_no_token_is_told_apart_from_one_that_does_not_hold() {
    let lengths = Lengths::default();
    let text = made(&data(ROW), lengths).to_string();
    let read = |text: &str| DigitalToken::parse(text, lengths);
    for written in [text.clone(), text.replace(' ', ""), text.replace(' ', "-"), format!(" {text}\n")] {
        assert!(read(&written).is_ok(), "{written}");
    }
    let length = |found| Err(TokenError::Length { found, expected: 11, lengths });
    assert_eq!((read(""), read("12345 67890"), read(&format!("{text}0"))), (length(0), length(10), length(12)));
    assert_eq!(read("12345 6789O 1"), Err(TokenError::Character('O')));
    assert_eq!(read("12345 6789\u{0660} 1"), Err(TokenError::Character('\u{0660}')));
    for at in (0..text.len()).filter(|at| text.as_bytes()[*at] != b' ') {
        let digit = text.as_bytes()[at] - b'0';
        for wrong in (0..10u8).filter(|wrong| *wrong != digit) {
            let misread = format!("{}{wrong}{}", &text[..at], &text[at + 1..]);
            assert_eq!(read(&misread), Err(TokenError::Check), "{text} as {misread}");
        }
    }
}

/// The chance of a guess as docs/certification.md states it, on the first five digits of 200,000 tokens: 2 expected, 14 are never seen.
#[test]
fn a_guess_holds_about_once_in_a_hundred_thousand() {
    let lengths = Lengths::default();
    let guess = DigitalToken::parse("12345 67890 6", lengths).expect("a token");
    let held = (0..200_000).filter(|pieces| {
        let row = data(("PS010000000001", *pieces, 730, "2026-11-20", "20500", "20500-0003-12"));
        judged(&guess, &VENDOR, Party::Vendor, &row)
    });
    assert!(held.count() < 14);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_fail(text in "[0-9 -]{0,16}|\\PC{0,12}") {
        let lengths = Lengths::default();
        if let Ok(token) = DigitalToken::parse(&text, lengths) {
            proptest::prop_assert_eq!(DigitalToken::parse(&token.to_string(), lengths), Ok(token));
        }
    }
}
