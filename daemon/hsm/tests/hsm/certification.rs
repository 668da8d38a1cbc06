//! What certifications MAC has the form that a worker MACs, and what comes of it in a real token.

use crate::rig::{Rig, TestKey, TestLink};
use psd::PostageAmount;
use psdd_certification::Mac;
use psdd_certification::digital_token::{AddressCode, DigitalToken, Lengths, Party, TokenData};
use psdd_certification::number::{Numbering, NumberingEpoch, Place};
use psdd_hsm::protocol::Form;
use psdd_hsm::role::{Algorithm, Role};

/// A key in the token.
struct InToken<'t> {
    link: &'t TestLink,
    key: TestKey,
}

impl<'t> InToken<'t> {
    fn new(link: &'t TestLink, role: Role, label: &str) -> Self {
        Self { link, key: link.generate(role, Algorithm::HmacSha256, label) }
    }
}

impl Mac for InToken<'_> {
    type Error = String;

    fn mac(&self, message: &[u8]) -> Result<[u8; 32], String> {
        let mac = self.link.sign(&self.key.frame(Form::TokenMac, 0, &[message.to_vec()]))?;
        mac.try_into().map_err(|mac: Vec<u8>| format!("{} bytes", mac.len()))
    }
}

#[test]
fn tokens_and_numbers_are_made_by_keys_that_never_leave() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let [vendor, numbers] = ["vendor", "numbers"].map(|label| InToken::new(&link, Role::TokenMac, label));
    let [postal, other_post] = ["postal", "other"].map(|label| InToken::new(&link, Role::PostalMac, label));

    let data = TokenData::new(
        ("PS010000000001".parse().expect("a PSD"), 7),
        PostageAmount::from_mills(730).expect("an amount"),
        "2026-11-20".parse().expect("a day"),
        "20500-0003".parse().expect("a destination"),
        AddressCode::of_address("1 Main St, Springfield").expect("an address"),
    )
    .expect("data");
    // Eight digits, so that a half under another key holds once in a hundred million.
    let lengths = Lengths::new(8, 8).expect("lengths");
    let token = DigitalToken::make(&vendor, &postal, &data, lengths).expect("MACs");
    let printed = DigitalToken::parse(&token.to_string(), lengths).expect("a token");
    for (key, party, holds) in [
        (&vendor, Party::Vendor, true),
        (&postal, Party::Postal, true),
        (&numbers, Party::Vendor, false),
        (&other_post, Party::Postal, false),
    ] {
        assert_eq!(printed.verify(key, party, &data).expect("judged").holds, holds, "{party}");
    }
    // One key, one half: neither party's key makes the other's, whoever asks.
    let crossed = Err("form-mismatch".to_owned());
    assert_eq!(vendor.mac(&data.message(Party::Postal)), crossed);
    assert_eq!(postal.mac(&data.message(Party::Vendor)), crossed);
    assert_eq!(postal.mac(&Numbering::key_message(&"post-1".parse().expect("a name"), NumberingEpoch(5))), crossed);

    let appliance = "post-1".parse().expect("a name");
    let derive = |token| Numbering::derive(token, &appliance, NumberingEpoch(5)).expect("a key");
    let place = Place::of_leaf(123_456).expect("a place");
    let number = derive(&numbers).number(place);
    // The token makes the same key again after a restart, and another key of it another.
    assert_eq!(derive(&numbers).open(&number), Ok(place));
    assert_ne!(derive(&vendor).open(&number), Ok(place));

    let message = Numbering::key_message(&appliance, NumberingEpoch(5));
    let other = link.generate(Role::Device, Algorithm::EcdsaP256, "device");
    let as_device = link.sign(&other.frame(Form::TokenMac, 0, std::slice::from_ref(&message)));
    assert_eq!(as_device, Err("role-mismatch".to_owned()));
}
