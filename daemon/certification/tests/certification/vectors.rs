//! The vectors that the independent checker made (`softhsm-tests/python/psdd_checker`) come out here too; and FF1 is the standard's.

use crate::holder::Holder;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use fpe::ff1::{FF1, FlexibleNumeralString};
use psd::PostageAmount;
use psdd_certification::digital_token::{AddressCode, DigitalToken, Lengths, Party, TokenData};
use psdd_certification::number::{Numbering, NumberingEpoch, Place};
use psdd_certification::{CertificationNumber, Mac};
use serde_json::Value;

const VECTORS: &str = include_str!("../vectors.json");

fn rows(name: &str, least: usize) -> Vec<Value> {
    let all: Value = serde_json::from_str(VECTORS).expect("JSON");
    let rows = all[name].as_array().expect("rows").clone();
    assert!(rows.len() >= least, "{name} has {} rows", rows.len());
    rows
}

fn bytes(value: &Value) -> Vec<u8> {
    psdd_wire::pasted::from_text(value.as_str().expect("hex")).expect("hex")
}

fn secret(value: &Value) -> [u8; 32] {
    bytes(value).try_into().expect("32 bytes")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn small<T: TryFrom<u64>>(value: &Value) -> T {
    T::try_from(number(value)).ok().expect("a small number")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[test]
fn the_key_of_an_epoch_is_the_mac_of_its_message() {
    for row in rows("epoch_keys", 5) {
        let (appliance, epoch) =
            (text(&row["appliance"]).parse().expect("a name"), NumberingEpoch(small(&row["epoch"])));
        let message = Numbering::key_message(&appliance, epoch);
        assert_eq!(message, bytes(&row["message"]), "{row}");
        let Ok(key) = Holder(secret(&row["secret"])).mac(&message);
        assert_eq!(key.to_vec(), bytes(&row["key"]), "{row}");
    }
}

#[test]
fn numbers_are_those_of_the_independent_checker() {
    for row in rows("numbers", 25) {
        let (appliance, epoch) =
            (text(&row["appliance"]).parse().expect("a name"), NumberingEpoch(small(&row["epoch"])));
        let numbering = Numbering::new(zeroize::Zeroizing::new(secret(&row["key"])), &appliance, epoch);
        let place = Place::of_leaf(number(&row["leaf"])).expect("a place");
        assert_eq!(numbering.number(place).to_string(), text(&row["number"]), "{row}");
        let read: CertificationNumber = text(&row["number"]).parse().expect("a number");
        assert_eq!(numbering.open(&read), Ok(place), "{row}");
    }
}

#[test]
fn tokens_and_address_codes_are_those_of_the_independent_checker() {
    for row in rows("addresses", 3) {
        let AddressCode::Address(code) = AddressCode::of_address(text(&row["address"])).expect("an address") else {
            panic!("{row}")
        };
        assert_eq!(code.to_vec(), bytes(&row["code"]), "{row}");
    }
    for row in rows("tokens", 5) {
        let destination = text(&row["destination"]);
        let code = match row["address"].as_str() {
            Some(address) => AddressCode::of_address(address),
            None => AddressCode::of_delivery_point(destination),
        };
        let piece = (text(&row["psd"]).parse().expect("a PSD"), number(&row["pieces"]));
        let postage = PostageAmount::from_mills(number(&row["mills"])).expect("an amount");
        let date = psd::MailingDate::from_yyyymmdd(small(&row["yyyymmdd"])).expect("a day");
        let data =
            TokenData::new(piece, postage, date, destination.parse().expect("a destination"), code.expect("a code"));
        let data = data.expect("data");
        assert_eq!(data.message(Party::Vendor), bytes(&row["vendor_message"]), "{row}");
        assert_eq!(data.message(Party::Postal), bytes(&row["postal_message"]), "{row}");
        let lengths = Lengths::new(small(&row["lengths"][0]), small(&row["lengths"][1])).expect("lengths");
        let (vendor, postal) = (Holder(secret(&row["vendor_secret"])), Holder(secret(&row["postal_secret"])));
        let Ok(token) = DigitalToken::make(&vendor, &postal, &data, lengths);
        assert_eq!(token.to_string(), text(&row["token"]), "{row}");
    }
}

/// NIST, *FF1samples*: the nine samples of SP 800-38G, with the first bytes of one key for AES-128, AES-192 and AES-256.
#[test]
fn ff1_is_that_of_the_standard() {
    fn permuted<C: BlockCipherEncrypt + KeyInit + Clone>(key: &[u8], radix: u32, tweak: &[u8], plain: &str) -> String {
        let numerals = |c: char| u16::try_from(c.to_digit(36).expect("a digit")).expect("small");
        let plain = FlexibleNumeralString::from(plain.chars().map(numerals).collect::<Vec<u16>>());
        let cipher = FF1::<C>::new(key, radix).expect("a radix");
        let permuted: Vec<u16> = cipher.encrypt(tweak, &plain).expect("numerals").into();
        permuted.iter().map(|numeral| char::from_digit(u32::from(*numeral), 36).expect("a digit")).collect()
    }
    let key = bytes(&Value::from("2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94"));
    let (tens, long) = ("0123456789", "0123456789abcdefghi");
    let rows: [(u32, &[u8], &str, [&str; 3]); 3] = [
        (10, b"", tens, ["2433477484", "2830668132", "6657667009"]),
        (10, b"9876543210", tens, ["6124200773", "2496655549", "1001623463"]),
        (36, b"7777pqrs777", long, ["a9tv40mll9kdu509eum", "xbj3kv35jrawxv32ysr", "xs8a0azh2avyalyzuwd"]),
    ];
    for (radix, tweak, plain, [aes128, aes192, aes256]) in rows {
        assert_eq!(permuted::<aes::Aes128>(&key[..16], radix, tweak, plain), aes128);
        assert_eq!(permuted::<aes::Aes192>(&key[..24], radix, tweak, plain), aes192);
        assert_eq!(permuted::<aes::Aes256>(&key, radix, tweak, plain), aes256);
    }
}
