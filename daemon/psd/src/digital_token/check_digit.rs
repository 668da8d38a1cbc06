//! The check digit: Damm's (H. Michael Damm, *Total anti-symmetrische Quasigruppen*, Marburg 2004).
//!
//! One digit that finds every single wrong digit and every two neighbours swapped. Luhn's lets 09 and 90 pass for each other; Verhoeff's
//! finds as much with two tables more. It keeps a verifier from calling a misread token forged, and proves nothing.

/// A totally anti-symmetric quasigroup of order 10 with zeros on its diagonal.
const TABLE: [[u8; 10]; 10] = [
    [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
    [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
    [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
    [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
    [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
    [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
    [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
    [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
    [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
    [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
];

/// The check digit of digits, each 0 to 9; zero for digits that end in their own.
pub(super) fn check_digit(digits: &[u8]) -> u8 {
    digits.iter().fold(0, |row, digit| TABLE[usize::from(row)][usize::from(digit % 10)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_digit_and_every_swap_of_neighbours_is_found() {
        assert_eq!(check_digit(&[5, 7, 2]), 4);
        for first in 0..10u8 {
            for second in 0..10u8 {
                for third in 0..10u8 {
                    let mut right = vec![first, second, third];
                    right.push(check_digit(&right));
                    assert_eq!(check_digit(&right), 0);
                    for at in 0..4 {
                        for wrong in (0..10).filter(|digit| *digit != right[at]) {
                            let mut digits = right.clone();
                            digits[at] = wrong;
                            assert_ne!(check_digit(&digits), 0, "{right:?} as {digits:?}");
                        }
                        let mut swapped = right.clone();
                        swapped.swap(at, (at + 1).min(3));
                        assert_eq!(check_digit(&swapped) == 0, swapped == right, "{right:?} as {swapped:?}");
                    }
                }
            }
        }
    }
}
