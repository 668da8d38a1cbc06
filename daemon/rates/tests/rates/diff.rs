//! What changed between two tables.

use crate::tables::{POSTLAND, changed, postland, us};
use psdd_rates::{Diff, Table, diff};

fn told(diff: &Diff) -> Vec<String> {
    let dash = || "-".to_owned();
    let rules = diff.rules.iter().map(|change| {
        format!(
            "{}: {} -> {}",
            change.what,
            change.old.clone().unwrap_or_else(dash),
            change.new.clone().unwrap_or_else(dash)
        )
    });
    let text = |amount: Option<rust_decimal::Decimal>| amount.map_or_else(dash, |amount| amount.to_string());
    let prices = diff.prices.iter().map(|change| {
        let (old, new) = (text(change.old), text(change.new));
        format!(
            "{} {}: {old} -> {new}, {}, {} %",
            change.what,
            change.at,
            text(change.difference()),
            text(change.percent())
        )
    });
    rules.chain(prices).collect()
}

#[test]
fn a_table_is_not_different_from_itself() {
    assert!(diff(&us(), &us()).is_empty());
    assert!(diff(&postland(), &postland()).is_empty());
}

#[test]
fn every_price_that_changed_is_told() {
    let text = changed(POSTLAND, "price = \"0.65\"", "price = \"0.68\"");
    let text = changed(&text, "by_zone = [\"5.00\", \"6.305\"]", "by_zone = [\"5.00\", \"6.10\"]");
    let text = changed(&text, "price = \"2.50\"", "price = \"2.60\"");
    let text = changed(&text, "classes = [\"parcel\"]\npercent = \"7.5\"", "classes = [\"parcel\"]\npercent = \"8\"");
    let text = changed(&text, "pieces = 50\n", "pieces = 60\n");
    let told = told(&diff(&postland(), &Table::parse(&text).unwrap()));
    let expected = [
        "letter, town: presort, 5-digit, 50 in a group, 50 in the run -> presort, 5-digit, 60 in a group, 60 in the run",
        "surcharge fuel: 7.5 % -> 8 %",
        // 0.03 of 0.65 is 4.615 %.
        "letter up to 20 g: 0.65 -> 0.68, 0.03, 4.6 %",
        "letter, town up to 20 g: 0.56875 -> 0.595, 0.02625, 4.6 %",
        "letter, region up to 20 g: 0.60125 -> 0.629, 0.02775, 4.6 %",
        "letter, bulk up to 20 g: 0.635 -> 0.665, 0.03, 4.7 %",
        "letter, bundled up to 20 g: 0.64 -> 0.67, 0.03, 4.7 %",
    ];
    assert_eq!(told[..expected.len()], expected);
    // 18 further steps rest on the price up to 2000 g.
    assert_eq!(told.iter().filter(|line| line.starts_with("parcel up to") && line.contains("zone away")).count(), 19);
    assert!(told.contains(&"parcel up to 2000 g, zone away: 6.305 -> 6.1, -0.205, -3.3 %".to_owned()), "{told:?}");
    assert!(told.contains(&"surcharge registered : 2.5 -> 2.6, 0.1, 4.0 %".to_owned()), "{told:?}");
    assert!(!told.iter().any(|line| line.contains("zone home")), "{told:?}");
}

#[test]
fn what_is_new_and_what_is_gone_is_told() {
    let text = changed(POSTLAND, "name = \"letter\"\n", "name = \"note\"\n");
    let text = text.replace("[\"letter\", \"parcel\"]", "[\"note\", \"parcel\"]");
    let text = text.replace("\"away\"", "\"far\"");
    let told = told(&diff(&postland(), &Table::parse(&text).unwrap()));
    for line in [
        "zones: home, away -> home, far",
        "note up to 20 g: - -> 0.65, -, - %",
        "letter up to 20 g: 0.65 -> -, -, - %",
        "parcel up to 1000 g, zone away: 5.25 -> -, -, - %",
        "parcel up to 1000 g, zone far: - -> 5.25, -, - %",
    ] {
        assert!(told.contains(&line.to_owned()), "{line}: {told:?}");
    }
    assert!(!told.iter().any(|line| line.contains("zone home")), "{told:?}");
}
