//! What is read off a piece and from scales: numbers, printed lines and tokens are read back as they are printed; registries and readings
//! are refused or hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psd::UnixMillis;
use psdd_certification::digital_token::{AddressCode, DigitalToken, Lengths, Party};
use psdd_certification::scale::{Freshness, Reading, Registry};
use psdd_certification::{CertificationNumber, PrintedLine};

const NOW: UnixMillis = UnixMillis(1_795_176_000_000);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(number) = text.parse::<CertificationNumber>() {
            assert_eq!(number.to_string().parse(), Ok(number));
        }
        if let Ok(line) = text.parse::<PrintedLine>() {
            assert!(line.to_string().is_ascii() && line.to_string().len() <= 64);
            assert_eq!(line.to_string().parse(), Ok(line));
        }
        if let Ok(token) = DigitalToken::stored(text) {
            assert_eq!(token.to_string(), text);
        }
        if let Ok(token) = DigitalToken::parse(text, Lengths::default()) {
            assert_eq!(DigitalToken::parse(&token.to_string(), Lengths::default()), Ok(token));
        }
        assert_eq!(AddressCode::of_address(text).is_ok(), text.chars().any(|c| c.is_ascii_alphanumeric() || !c.is_ascii()));
    }
    // Whatever a worker is asked to MAC for a token begins like one.
    assert_eq!(Party::of_message(bytes).is_some(), bytes.starts_with(b"psdd/token-mac/v1\0psdd-digital-token-1"));
    if let Ok(registry) = Registry::parse(bytes) {
        assert_eq!(registry.status(NOW, 30).len(), registry.scales().len());
    }
    if let Ok(reading) = Reading::of_signed(bytes) {
        let none = Registry::parse(b"scale = []").expect("a registry of no scales");
        assert!(none.judge(&reading, NOW, Freshness { max_age_ms: 1, max_ahead_ms: 1 }).is_err());
    }
});
