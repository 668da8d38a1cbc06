//! What docs/certification.md shows is what the code takes.

use psdd_certification::digital_token::{DigitalToken, Lengths};
use psdd_certification::scale::{Registry, Signing};
use psdd_certification::{CertificationNumber, PrintedLine};

const PAGE: &str = include_str!("../../../../docs/certification.md");

#[test]
fn the_examples_of_the_page_are_valid() {
    let number = "7KQ4-M2XD-P0N2";
    let line = format!("L-1000 FCL 2026-11-20 0.29 {number}");
    let token = "12345 67890 6";
    for example in [number, &line, token] {
        assert!(PAGE.contains(&format!("`{example}`")), "{example}");
    }
    assert_eq!(number.parse::<CertificationNumber>().expect("a number").to_string(), number);
    assert_eq!(line.parse::<PrintedLine>().expect("a line").to_string(), line);
    assert_eq!(DigitalToken::parse(token, Lengths::default()).expect("a token").to_string(), token);
    let (_, toml) = PAGE.split_once("```toml\n[[scale]]").expect("a registry");
    let (toml, _) = toml.split_once("```").expect("its end");
    let registry = Registry::parse(format!("[[scale]]{toml}").as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let scale = registry.scales().next().expect("a scale");
    assert!(matches!(scale.signing(), Signing::Required(_)));
}

/// One in so many guesses at a half holds, by the largest number of the 2³¹ that end in the same digits.
#[test]
fn the_chances_of_the_page_are_right() {
    let chance = |digits| (1u64 << 31) / (1u64 << 31).div_ceil(10u64.pow(digits));
    let grouped = |number: u64| in_groups(&number.to_string());
    let row: Vec<String> = (4..=8).map(|digits| grouped(chance(digits))).collect();
    assert!(PAGE.contains(&format!("| one in | {} |", row.join(" | "))), "{row:?}");
}

fn in_groups(digits: &str) -> String {
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}
