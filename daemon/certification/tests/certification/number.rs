//! What a number promises: no two alike, nothing to be seen in it, and no slip of the pen unnoticed.

use crate::holder::{Holder, Silent};
use proptest::prelude::*;
use psd::ApplianceId;
use psdd_certification::number::{
    CertificationNumber, LENGTH, NumberError, Numbering, NumberingEpoch, OtherEpoch, Place, Suspect,
};
use std::collections::BTreeSet;

const ALPHABET: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

fn appliance() -> ApplianceId {
    "post-1".parse().expect("a name")
}

fn numbering(epoch: u32) -> Numbering {
    let Ok(numbering) = Numbering::derive(&Holder([7; 32]), &appliance(), NumberingEpoch(epoch));
    numbering
}

fn place(leaf: u64) -> Place {
    Place::of_leaf(leaf).expect("a place")
}

fn number(numbering: &Numbering, leaf: u64) -> CertificationNumber {
    numbering.number(place(leaf))
}

#[test]
fn a_number_is_read_as_people_write_it() {
    let number = number(&numbering(1), 123_456);
    let text = number.to_string();
    assert_eq!((text.len(), text.as_bytes()[4], text.as_bytes()[9]), (14, b'-', b'-'));
    let alike: String = text.chars().map(|c| if c == '0' { 'O' } else { c }).collect();
    let mistaken: String = text.chars().map(|c| if c == '1' { 'l' } else { c }).collect();
    for written in [
        text.clone(),
        text.replace('-', ""),
        text.replace('-', " "),
        text.to_lowercase(),
        format!(" {} ", text.replace('-', " - ")),
        alike,
        mistaken,
    ] {
        assert_eq!(written.parse(), Ok(number), "{written}");
    }
    assert_eq!(number.epoch_modulo(), 1);
}

#[test]
fn what_is_no_number_is_told_by_length_or_group() {
    let read = |text: &str| text.parse::<CertificationNumber>().expect_err("no number");
    for (text, length) in [("", 0), ("7KQ4-M2XD", 8), ("7KQ4-M2XD-P0N2-0", 13), ("7KQ4-M2XD-P0N2-U", 13), ("UUU", 3)] {
        assert_eq!(read(text), NumberError::Length(length), "{text}");
    }
    for (text, character, group) in [("7UQ4-M2XD-P0N2", 'U', 0), ("7KQ4-M2X*-P0N2", '*', 1), ("7KQ4-M2XD-P0Nü", 'ü', 2)]
    {
        assert_eq!(read(text), NumberError::Character { character, group }, "{text}");
    }
    let told = read("7KQ4-M2XU-P0N2").to_string();
    assert!(told.contains("'U'") && told.contains("second group"), "{told}");
}

#[test]
fn every_slip_in_one_or_two_characters_is_found_and_its_group_told_where_it_can_be() {
    for leaf in [0, 123_456, Place::MAX.leaf()] {
        let right = number(&numbering(44), leaf).to_string();
        let places: Vec<usize> = (0..right.len()).filter(|at| right.as_bytes()[*at] != b'-').collect();
        let with = |text: &str, at: usize, c: char| format!("{}{c}{}", &text[..at], &text[at + 1..]);
        for (index, &first) in places.iter().enumerate() {
            for wrong in ALPHABET.chars().filter(|c| !right[first..].starts_with(*c)) {
                let one = with(&right, first, wrong);
                let error = one.parse::<CertificationNumber>().expect_err("a wrong character");
                assert_eq!(error, NumberError::Check { text: one.clone(), suspect: Suspect::One(index) });
                assert!(error.to_string().contains(["first", "second", "third"][index / 4]), "{error}");
                for &second in &places[index + 1..] {
                    for other in ALPHABET.chars().filter(|c| !right[second..].starts_with(*c)) {
                        let two = with(&one, second, other);
                        assert!(two.parse::<CertificationNumber>().is_err(), "{right} as {two}");
                    }
                }
            }
            for &second in &places[index + 1..] {
                let (a, b) = (right.as_bytes()[first], right.as_bytes()[second]);
                let swapped = with(&with(&right, first, char::from(b)), second, char::from(a));
                let read = swapped.parse::<CertificationNumber>();
                let expected = NumberError::Check { text: swapped.clone(), suspect: Suspect::Several };
                assert_eq!(read.err(), (a != b).then_some(expected), "{right} as {swapped}");
            }
        }
    }
}

#[test]
fn numbers_in_a_row_share_nothing_but_the_epoch() {
    let (numbering, most) = (numbering(33), 20_000);
    let numbers: BTreeSet<String> = (0..most).map(|leaf| number(&numbering, leaf).to_string()).collect();
    assert_eq!(numbers.len(), usize::try_from(most).expect("small"));
    assert!(numbers.iter().all(|number| number.starts_with('1')));
    // Of the permuted characters each takes each value about as often as another: 625 times, with a deviation of 25.
    for at in [1, 2, 3, 5, 6, 7, 8, 10, 11] {
        for letter in ALPHABET.bytes() {
            let seen = numbers.iter().filter(|number| number.as_bytes()[at] == letter).count();
            assert!((450..=800).contains(&seen), "{} stands {seen} times at {at}", char::from(letter));
        }
    }
}

#[test]
fn numbers_rest_on_key_appliance_and_epoch() {
    let scopes = [("post-1", 1, 7), ("post-1", 33, 7), ("post-2", 1, 7), ("post-1", 1, 8)];
    let numbers: BTreeSet<CertificationNumber> = scopes
        .iter()
        .map(|(appliance, epoch, secret)| {
            let appliance = appliance.parse().expect("a name");
            let Ok(numbering) = Numbering::derive(&Holder([*secret; 32]), &appliance, NumberingEpoch(*epoch));
            number(&numbering, 9)
        })
        .collect();
    assert_eq!(numbers.len(), scopes.len());
    // The same key in two scopes gives other numbers still: appliance and epoch are the tweak.
    let key = || zeroize::Zeroizing::new([9; 32]);
    let under = |appliance: &str, epoch| {
        number(&Numbering::new(key(), &appliance.parse().expect("a name"), NumberingEpoch(epoch)), 9)
    };
    assert_eq!(under("post-1", 1), under("post-1", 1));
    assert_ne!(under("post-1", 1), under("post-1", 33));
    assert_ne!(under("post-1", 1), under("post-2", 1));
}

#[test]
fn a_number_of_another_epoch_is_not_opened_and_a_silent_token_gives_no_numbers() {
    let theirs = number(&numbering(2), 0);
    let refused = OtherEpoch { number: theirs, epoch: NumberingEpoch(1) };
    assert_eq!(numbering(1).open(&theirs), Err(refused));
    // 34 is 2 modulo 32: the number is opened, as something else.
    assert_ne!(numbering(34).open(&theirs), Ok(place(0)));
    assert_eq!(numbering(2).open(&theirs), Ok(place(0)));
    let silent = Numbering::derive(&Silent, &appliance(), NumberingEpoch(1));
    assert_eq!(silent.err(), Some("token-unavailable"));
}

proptest! {
    #[test]
    fn every_place_has_a_number_that_leads_back(epoch: u32, leaf in 0u64..1 << 45) {
        let numbering = numbering(epoch);
        let number = number(&numbering, leaf);
        prop_assert_eq!(numbering.open(&number), Ok(place(leaf)));
        prop_assert_eq!(number.to_string().parse(), Ok(number));
        prop_assert_eq!(u32::from(number.epoch_modulo()), epoch % 32);
    }

    /// A permutation: what any number stands for has that very number.
    #[test]
    fn every_number_stands_for_one_place(characters in proptest::collection::vec(0usize..32, 10)) {
        let letters: Vec<char> = ALPHABET.chars().collect();
        let ten: String = characters.iter().map(|value| letters[*value]).collect();
        let endings = letters.iter().flat_map(|a| letters.iter().map(move |b| (a, b)));
        let valid: Vec<CertificationNumber> =
            endings.filter_map(|(a, b)| format!("{ten}{a}{b}").parse().ok()).collect();
        prop_assert_eq!(valid.len(), 1, "ten characters have one pair of check characters");
        let numbering = numbering(u32::from(valid[0].epoch_modulo()));
        prop_assert_eq!(numbering.number(numbering.open(&valid[0]).expect("its epoch")), valid[0]);
    }

    #[test]
    fn no_text_makes_the_reader_fail(text in "\\PC{0,16}") {
        if let Ok(number) = text.parse::<CertificationNumber>() {
            prop_assert_eq!(number.to_string().replace('-', "").len(), LENGTH);
        }
    }
}
