//! Weights in milligrams.

use std::fmt;

/// A weight, milligrams. Scales resolve milligrams to grams; mail is rated in grams and ounces, which this leaves to rating.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Milligrams(pub u64);

impl fmt::Display for Milligrams {
    /// `28.35 g`: as many decimals as there are, three at most.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (grams, rest) = (self.0 / 1000, self.0 % 1000);
        let text = if rest == 0 {
            format!("{grams} g")
        } else {
            format!("{} g", format!("{grams}.{rest:03}").trim_end_matches('0'))
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_told_in_grams() {
        for (weight, text) in [(0, "0 g"), (1, "0.001 g"), (28_350, "28.35 g"), (60_000_000, "60000 g")] {
            assert_eq!(Milligrams(weight).to_string(), text);
        }
        assert_eq!(format!("{:>8}", Milligrams(10)), "  0.01 g");
    }
}
