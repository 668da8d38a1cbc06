//! When a surcharge is due that nobody asked for.

use crate::length::{Length, Size};
use std::fmt;

/// What a piece must measure. All that is stated must hold; something is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Condition {
    /// Its longest side is longer than this.
    pub length_over: Option<Length>,
    /// Its longest side is not longer than this.
    pub length_up_to: Option<Length>,
    /// Its longest side and the way around it together are more than this.
    pub length_and_girth_over: Option<Length>,
    /// It takes up more cubic inches than this.
    pub cubic_inches_over: Option<u32>,
}

impl Condition {
    /// Whether it holds.
    pub fn holds(&self, size: &Size) -> bool {
        self.length_over.is_none_or(|limit| size.length() > limit)
            && self.length_up_to.is_none_or(|limit| size.length() <= limit)
            && self.length_and_girth_over.is_none_or(|limit| size.length_and_girth() > limit)
            && self.cubic_inches_over.is_none_or(|limit| size.exceeds_cubic_inches(limit))
    }
}

impl fmt::Display for Condition {
    /// `length over 22 in, length up to 30 in`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = [
            ("length over", self.length_over),
            ("length up to", self.length_up_to),
            ("length and girth over", self.length_and_girth_over),
        ];
        let mut told: Vec<String> =
            lengths.iter().filter_map(|(word, limit)| limit.map(|limit| format!("{word} {limit}"))).collect();
        told.extend(self.cubic_inches_over.map(|limit| format!("over {limit} cubic inches")));
        f.pad(&told.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_stated_must_hold() {
        let size = |text: &str| text.parse::<Size>().unwrap();
        let length = |text: &str| Some(text.parse::<Length>().unwrap());
        let long = Condition { length_over: length("22 in"), length_up_to: length("30 in"), ..Condition::default() };
        assert!(!long.holds(&size("22 x 3 x 3 in")));
        assert!(long.holds(&size("22.001 x 3 x 3 in")));
        assert!(long.holds(&size("30 x 3 x 3 in")));
        assert!(!long.holds(&size("30.001 x 3 x 3 in")));
        assert_eq!(long.to_string(), "length over 22 in, length up to 30 in");
        let bulky = Condition { cubic_inches_over: Some(3456), ..Condition::default() };
        assert!(!bulky.holds(&size("12 x 12 x 24 in")));
        assert!(bulky.holds(&size("12 x 12 x 24.001 in")));
        let around = Condition { length_and_girth_over: length("108 in"), ..Condition::default() };
        assert!(!around.holds(&size("48 x 20 x 10 in")));
        assert!(around.holds(&size("48.001 x 20 x 10 in")));
    }
}
