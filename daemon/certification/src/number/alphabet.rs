//! Crockford's base 32 (<https://www.crockford.com/base32.html>), without its check symbol: I, L, O and U stand for nothing.

const CHARACTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The character of a value below 32.
pub(super) fn character(value: u8) -> char {
    char::from(CHARACTERS[usize::from(value % 32)])
}

/// The value of a character as people write it; `None` where it stands for none.
pub(super) fn value(character: char) -> Option<u8> {
    let meant = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    (0..32).find(|value| self::character(*value) == meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_one_character_and_what_looks_alike_is_read_as_it() {
        let all: String = (0..32).map(character).collect();
        assert_eq!(all, "0123456789ABCDEFGHJKMNPQRSTVWXYZ");
        for (index, letter) in (0u8..).zip(all.chars()) {
            assert_eq!((value(letter), value(letter.to_ascii_lowercase())), (Some(index), Some(index)), "{letter}");
        }
        for (letter, meant) in [('o', 0), ('O', 0), ('i', 1), ('I', 1), ('l', 1), ('L', 1)] {
            assert_eq!(value(letter), Some(meant), "{letter}");
        }
        for letter in ['u', 'U', '*', '~', '$', '=', '_', '\u{0660}', '\u{ff10}', '\u{212a}'] {
            assert_eq!(value(letter), None, "{letter:?}");
        }
    }
}
