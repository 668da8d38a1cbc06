//! Digital tokens of pieces: what is MACed, when none can be made, what the record says.

use crate::device::*;
use psd::custody::{KeyStep, RevocationReason};
use psd::device::{Piece, ReplayError};
use psd::digital_token::{AddressCode, DigitalToken, Lengths, Party, TokenData};
use psd::key::Role;
use psd::record::{Event, Indicium, Record, RecordError};
use psd::{Psd, UnixMillis};

fn both_keys(value: u64) -> Psd {
    with_mac_key(&with_mac_key(&active(value), 3, Role::TokenMac), 4, Role::PostalMac)
}

fn tokened(postage: u64) -> Piece {
    Piece { token: Some(AddressCode::of_address("1 Main St").unwrap()), ..piece(postage) }
}

fn token() -> DigitalToken {
    DigitalToken::of_macs(&[7; 32], &[9; 32], Lengths::default())
}

fn signed(psd: &mut Psd, piece: &Piece) -> Record {
    let prepared = psd.prepare(piece, &context(&tenant())).unwrap();
    prepared.with_token(token()).signed(&[5; 64])
}

fn stored(record: &Record) -> Option<String> {
    let Event::Indicium(Indicium { token, .. }) = &record.event else { panic!("{record:?}") };
    token.map(|token| token.to_string())
}

#[test]
fn the_token_is_of_the_piece_s_number_and_what_can_be_read_off_it() {
    let mut psd = both_keys(10_000);
    signed(&mut psd, &piece(100));
    let prepared = psd.prepare(&tokened(200), &context(&tenant())).unwrap();
    let data = prepared.token_data().unwrap();
    let (date, destination) = ("2026-11-20".parse().unwrap(), "20500".parse().unwrap());
    let address = AddressCode::of_address("1 MAIN ST.").unwrap();
    let number = psd.state().registers.piece_count();
    assert_eq!(number, 2, "the count after the piece");
    let expected = TokenData::new((psd.identity().psd, number), mills(200), date, destination, address).unwrap();
    assert_eq!(*data, expected);
    for party in Party::BOTH {
        assert_eq!(Party::of_message(&data.message(party)), Some(Ok(party)));
    }
    assert!(psd.prepare(&piece(100), &context(&tenant())).unwrap().token_data().is_none());
}

#[test]
fn the_record_has_the_token_of_a_piece_that_asked_and_of_no_other() {
    let mut psd = both_keys(10_000);
    let with = signed(&mut psd, &tokened(200));
    let without = signed(&mut psd, &piece(200));
    assert_eq!((stored(&with), stored(&without)), (Some(token().to_string()), None));
    for record in [with, without] {
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }
}

#[test]
fn a_record_with_digits_that_are_no_token_is_none() {
    let record = signed(&mut both_keys(10_000), &tokened(200)).encode();
    let text = token().to_string();
    let at = record.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    assert_eq!(record[at - 2..at], [16, 0x60 | u8::try_from(text.len()).unwrap()], "key 16, a text");
    for place in 0..text.len() {
        let mut wrong = record.clone();
        // A blank becomes a digit, a digit another one: the check digit finds each.
        wrong[at + place] = if wrong[at + place] == b'9' { b'0' } else { (wrong[at + place] + 1).max(b'0') };
        assert_eq!(Record::decode(&wrong), Err(RecordError::BadValue(16)), "place {place}");
    }
    let hyphens: Vec<u8> = record[at..].iter().map(|byte| if *byte == b' ' { b'-' } else { *byte }).collect();
    assert_eq!(Record::decode(&[&record[..at], &hyphens].concat()), Err(RecordError::BadValue(16)));
}

#[test]
fn a_key_of_a_half_that_is_revoked_or_retired_makes_no_token() {
    for (id, role) in [(3, Role::TokenMac), (4, Role::PostalMac)] {
        for step in [KeyStep::Revoked, KeyStep::Retired] {
            let mut psd = both_keys(10_000);
            let reason = (step == KeyStep::Revoked).then_some(RevocationReason::KeyCompromise);
            let event = Event::KeyStateChanged {
                stamp: next(&psd),
                key_id: [id][..].into(),
                step,
                since: UnixMillis(1),
                reason,
            };
            psd.fold(&event, UnixMillis(1));
            let refusal = psd.prepare(&tokened(200), &context(&tenant())).err().unwrap();
            assert_eq!(refusal.code(), "no-token-key");
            assert!(refusal.to_string().contains(&role.to_string()), "{refusal}");
            assert!(psd.prepare(&piece(200), &context(&tenant())).is_ok(), "nothing but tokens needs the key");
        }
    }
}

#[test]
fn a_log_with_a_token_of_a_psd_without_the_keys_is_not_taken_in() {
    let psd = both_keys(10_000);
    let record = signed(&mut psd.clone(), &tokened(200));
    assert_eq!(psd.clone().replay(&record.event, UnixMillis(1)), Ok(()));
    for bare in [active(10_000), with_mac_key(&active(10_000), 4, Role::PostalMac)] {
        let mut bare = bare;
        let mut event = record.event.clone();
        let Event::Indicium(piece) = &mut event else { panic!() };
        piece.stamp.sequence = bare.state().sequence + 1;
        let refused = bare.replay(&event, UnixMillis(1));
        assert!(
            matches!(refused, Err(ReplayError::Contradiction { what, .. }) if what.contains("digital token")),
            "{refused:?}"
        );
        piece_without_token(&mut event);
        assert_eq!(bare.replay(&event, UnixMillis(1)), Ok(()));
    }
}

fn piece_without_token(event: &mut Event) {
    let Event::Indicium(piece) = event else { panic!() };
    piece.token = None;
}

#[test]
fn a_stored_token_is_in_its_groups_and_nothing_else() {
    for lengths in [(5, 5), (4, 8), (8, 4)] {
        let token = DigitalToken::of_macs(&[7; 32], &[9; 32], Lengths::new(lengths.0, lengths.1).unwrap());
        assert_eq!(DigitalToken::stored(&token.to_string()), Ok(token));
    }
    let text = token().to_string();
    for wrong in [
        "",
        " ",
        &text[..text.len() - 1],
        &text.replace(' ', ""),
        &format!("{text} "),
        &text.replace(' ', "  "),
        "1 2 3",
    ] {
        assert!(DigitalToken::stored(wrong).is_err(), "{wrong:?}");
    }
}
