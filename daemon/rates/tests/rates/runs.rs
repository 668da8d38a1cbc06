//! Runs: what a manifest qualifies for, what a count takes away again, and what the run costs.

use crate::tables::{POSTLAND, changed, postland, us};
use psdd_rates::{CountError, Counts, Manifest, NotInRun, Piece, Qualified, RunTotal, Table, Zip, qualify, shortfall};

fn zip(text: &str) -> Zip {
    text.parse().unwrap()
}

fn counts(rows: &[(&str, u64)]) -> Counts {
    let mut counts = Counts::new();
    rows.iter().try_for_each(|(to, pieces)| counts.add(zip(to), *pieces)).unwrap();
    counts
}

fn manifest(class: &str, claims: &[&str], rows: &[(&str, u64)]) -> Manifest {
    let counts = counts(rows);
    let claims = claims.iter().map(|claim| (*claim).to_owned()).collect();
    Manifest { class: class.to_owned(), claims, total: counts.total(), counts }
}

fn told(table: &Table, qualified: &Qualified) -> Vec<String> {
    let tariffs = qualified.tariffs().iter();
    tariffs.map(|(zip, tariff)| format!("{zip} {}", table.tariff_name(*tariff))).collect()
}

const CLAIMS: [&str; 3] = ["mixed-aadc", "5-digit", "aadc"];

#[test]
fn each_group_has_the_finest_discount_that_it_reaches() {
    let us = us();
    let run = [("10001", 150), ("10002", 149), ("10003", 1), ("60601", 149), ("60602", 50), ("90001", 1)];
    let qualified = qualify(&us, &manifest("letter-metered", &CLAIMS, &run)).unwrap();
    let expected = [
        "10001 letter-metered, 5-digit",
        // 149 and 1 are 150 without the 150 that lie in a tray of their own.
        "10002 letter-metered, aadc",
        "10003 letter-metered, aadc",
        "60601 letter-metered, aadc",
        "60602 letter-metered, aadc",
        "90001 letter-metered, mixed-aadc",
    ];
    assert_eq!(told(&us, &qualified), expected);
    assert_eq!(qualified.total(), 500);
    assert_eq!(qualified.tariff(zip("10004")), Err(NotInRun(zip("10004"))));
    let groups: Vec<String> = qualified
        .groups()
        .iter()
        .filter(|group| group.reached)
        .map(|group| format!("{} {}", group.name(), group.pieces))
        .collect();
    assert_eq!(groups, ["10001 150", "100xx 150", "606xx 199", "all 1"]);
}

#[test]
fn the_second_tariff_holds_where_a_count_is_not_reached() {
    let us = us();
    // One piece fewer: the run does not reach 500, so nothing is discounted.
    let short = [("10001", 150), ("10002", 149), ("10003", 1), ("60601", 149), ("60602", 50)];
    let qualified = qualify(&us, &manifest("letter-metered", &CLAIMS, &short)).unwrap();
    assert!(qualified.tariffs().iter().all(|(_, tariff)| tariff.is_full()));
    // The level above is not claimed, so what does not reach the finest pays in full.
    let run = [("10001", 350), ("10002", 149), ("10003", 1)];
    let qualified = qualify(&us, &manifest("letter-metered", &["5-digit"], &run)).unwrap();
    assert_eq!(
        told(&us, &qualified),
        ["10001 letter-metered, 5-digit", "10002 letter-metered", "10003 letter-metered"]
    );
}

#[test]
fn bundles_are_counted_beside_presort() {
    let us = us();
    let claims = ["5-digit", "3-digit", "mixed-adc", "5-digit-bundle", "3-digit-bundle"];
    let run = [("10001", 15), ("10002", 10), ("10003", 9), ("60601", 14), ("60602", 1), ("90001", 451)];
    let qualified = qualify(&us, &manifest("flat", &claims, &run)).unwrap();
    let expected = [
        "10001 flat, 5-digit + 5-digit-bundle",
        // 10 and 9 make a bundle of the first three digits; 9 alone are no group of 10 of them.
        "10002 flat, 5-digit + 3-digit-bundle",
        "10003 flat, mixed-adc + 3-digit-bundle",
        "60601 flat, 5-digit + 3-digit-bundle",
        "60602 flat, mixed-adc + 3-digit-bundle",
        "90001 flat, 5-digit + 5-digit-bundle",
    ];
    assert_eq!(told(&us, &qualified), expected);
}

#[test]
fn manifests_that_nothing_can_be_judged_by() {
    let us = us();
    let said = |manifest: &Manifest| qualify(&us, manifest).unwrap_err().to_string();
    let mut run = manifest("letter-metered", &["5-digit"], &[("10001", 150), ("10002", 350)]);
    run.total = 501;
    assert_eq!(said(&run), "the counts do not add up: 500 pieces for the ZIPs together, 501 in total");
    assert_eq!(said(&manifest("letter-metered", &[], &[])), "the manifest has no piece");
    assert!(said(&manifest("ballot", &[], &[("10001", 1)])).starts_with("table us-domestic 1 has no class \"ballot\""));
    assert!(
        said(&manifest("letter", &["5-digit"], &[("10001", 1)]))
            .starts_with("class letter has no discount \"5-digit\"; it has none")
    );
    assert_eq!(
        said(&manifest("letter-metered", &["aadc", "aadc"], &[("10001", 1)])),
        "the discount aadc is claimed twice"
    );
    assert_eq!(
        said(&manifest("letter-metered", &[], &[("10001", 1), ("21301", 1)])),
        "the ZIP 21301 is in no area of table us-domestic 1"
    );
    let mut counts = counts(&[("10001", 1)]);
    assert_eq!(counts.add(zip("10001"), u64::MAX), Err(CountError));
    assert!("1000".parse::<Zip>().is_err() && "10001-0001".parse::<Zip>().is_err());
}

#[test]
fn a_count_takes_away_what_was_claimed_too_much() {
    let us = us();
    let claimed = [("10001", 150), ("10002", 149), ("10003", 1), ("60601", 300)];
    let qualified = qualify(&us, &manifest("letter-metered", &CLAIMS, &claimed)).unwrap();
    let found = counts(&[("10001", 140), ("10002", 149), ("10003", 1), ("60601", 310), ("90001", 2)]);
    let short = shortfall(&us, &qualified, &found).unwrap();
    let lost: Vec<String> = short
        .lost
        .iter()
        .map(|lost| {
            format!("{} {}: {} of {}, {} more", lost.discount, lost.group, lost.counted, lost.claimed, lost.lacking)
        })
        .collect();
    assert_eq!(lost, ["5-digit 10001: 140 of 150, 10 more"]);
    assert_eq!(short.unannounced, [(zip("90001"), 2)]);
    // Its pieces are counted one level up, where there are more than enough.
    assert_eq!(us.tariff_name(short.counted.tariff(zip("10001")).unwrap()), "letter-metered, aadc");
    assert_eq!(us.tariff_name(short.counted.tariff(zip("60601")).unwrap()), "letter-metered, 5-digit");

    let short =
        shortfall(&us, &qualified, &counts(&[("10001", 150), ("10002", 149), ("10003", 1), ("60601", 199)])).unwrap();
    let lost: Vec<_> = short.lost.iter().map(|lost| (lost.group.as_str(), lost.lacking, lost.run_lacking)).collect();
    assert_eq!(lost, [("10001", 0, 1), ("60601", 0, 1), ("100xx", 0, 1)]);
    assert!(short.counted.tariffs().iter().all(|(_, tariff)| tariff.is_full()));

    let same = shortfall(&us, &qualified, &counts(&claimed)).unwrap();
    assert_eq!((same.lost, same.unannounced, same.counted), (Vec::new(), Vec::new(), qualified));
}

#[test]
fn the_difference_is_what_the_pieces_cost_more() {
    let us = us();
    let claimed =
        qualify(&us, &manifest("letter-metered", &["5-digit", "mixed-aadc"], &[("10001", 150), ("90001", 350)]))
            .unwrap();
    let found = counts(&[("10001", 140), ("90001", 360)]);
    let counted = shortfall(&us, &claimed, &found).unwrap().counted;
    let total = |qualified: &Qualified| {
        let mut total = RunTotal::of(&us);
        for (to, pieces) in found.iter() {
            let tariff = qualified.tariff(to).unwrap();
            total.add(tariff, us.price(&Piece::of("20 g".parse().unwrap()), &tariff).unwrap(), pieces).unwrap();
        }
        total.total().to_string()
    };
    // 500 x 0.545, then 140 x 0.593 + 360 x 0.545.
    assert_eq!((total(&claimed).as_str(), total(&counted).as_str()), ("272.50", "279.22"));
}

#[test]
fn a_run_is_rounded_by_line_where_the_table_says_so() {
    let text = changed(POSTLAND, "unit = \"half-cent\"", "unit = \"cent\"");
    let text =
        changed(&changed(&text, "per = \"piece\"", "per = \"line\""), "mode = \"half-even\"", "mode = \"half-up\"");
    let table = Table::parse(&text).unwrap();
    let tariff = table.tariff(table.class_named("letter").unwrap(), &["town"]).unwrap();
    let price = |weight: &str| table.price(&Piece::of(weight.parse().unwrap()), &tariff).unwrap();
    // 0.56875 and 0.791875 to the mill, since registers count mills.
    assert_eq!((price("20 g").mills(), price("50 g").mills()), (569, 792));
    let mut total = RunTotal::of(&table);
    for _ in 0..3 {
        total.add(tariff, price("20 g"), 1).unwrap();
    }
    total.add(tariff, price("50 g"), 2).unwrap();
    let lines: Vec<(u64, String)> = total.lines().map(|line| (line.pieces, line.amount.to_string())).collect();
    // 1.707 and 1.584, each to the cent.
    assert_eq!(lines, [(3, "1.71".to_owned()), (2, "1.58".to_owned())]);
    assert_eq!(total.total().to_string(), "3.29");
    assert_eq!(postland().rounding().to_string(), "to the half cent, half-even, per piece");
}
