//! Prices computed by hand from the rows of the shipped tables, each with its computation.

use crate::tables::{postland, us};
use psdd_rates::{LineKind, Mode, Per, Piece, Quote, QuoteError, Rounding, Table, Unit};

/// One row of `prices.csv`, as a piece and the names of its discounts.
fn priced(table: &Table, cell: impl Fn(&str) -> String) -> Result<Quote, QuoteError> {
    let class = table.class_named(&cell("class")).unwrap();
    let (discounts, with) = (cell("discounts"), cell("with"));
    let tariff = table.tariff(class, &discounts.split_whitespace().collect::<Vec<_>>()).unwrap();
    let optional = |name: &str| Some(cell(name)).filter(|text| !text.is_empty());
    let piece = Piece {
        weight: cell("weight").parse().unwrap(),
        origin: optional("origin").map(|zip| zip.parse().unwrap()),
        destination: optional("destination").map(|zip| zip.parse().unwrap()),
        size: optional("size").map(|size| size.parse().unwrap()),
        surcharges: table.surcharges(&with.split_whitespace().collect::<Vec<_>>()).unwrap(),
    };
    let quote = table.quote(&piece, &tariff)?;
    assert_eq!(table.price(&piece, &tariff), Ok(quote.total), "price and quote share their arithmetic");
    Ok(quote)
}

#[test]
fn prices_are_those_computed_by_hand() {
    let (us, postland) = (us(), postland());
    let mut reader = csv::Reader::from_reader(include_bytes!("prices.csv").as_slice());
    let columns = reader.headers().unwrap().clone();
    let (mut rows, mut fractions) = (0, 0);
    for record in reader.records() {
        let record = record.unwrap();
        let cell = |name: &str| record[columns.iter().position(|column| column == name).unwrap()].to_owned();
        let table = if cell("table") == "postland" { &postland } else { &us };
        let quote = priced(table, cell).unwrap_or_else(|error| panic!("{record:?}: {error}"));
        assert_eq!(quote.total, cell("price").parse().unwrap(), "{record:?}: {quote:?}");
        let lines: rust_decimal::Decimal = quote.lines.iter().map(|line| line.amount).sum();
        assert_eq!(lines, rust_decimal::Decimal::new(i64::try_from(quote.total.mills()).unwrap(), 3), "{record:?}");
        rows += 1;
        fractions += usize::from(!quote.total.mills().is_multiple_of(10));
    }
    assert!(rows >= 100 && fractions >= 30, "{rows} rows, {fractions} of them with a fraction of a cent");
}

#[test]
fn a_quote_tells_its_lines() {
    let table = postland();
    let class = table.class_named("letter").unwrap();
    let tariff = table.tariff(class, &["town", "bundled"]).unwrap();
    let surcharges = table.surcharges(&["registered"]).unwrap();
    let piece = Piece { surcharges, ..Piece::of("120 g".parse().unwrap()) };
    let quote = table.quote(&piece, &tariff).unwrap();
    let lines: Vec<String> =
        quote.lines.iter().map(|line| format!("{} | {} | {}", line.kind, line.name, line.amount)).collect();
    // 1.655 of which 12.5 % are 0.206875; 1.655 - 0.206875 - 0.01 + 2.50 = 3.938125; 787.625 half cents; 788.
    let expected = [
        "base | Letter | 0.65",
        "step | up to 150 g | 1.005",
        "discount | town | -0.206875",
        "discount | bundled | -0.01",
        "surcharge | Registered | 2.5",
        "rounding | to the half cent, half-even, per piece | 0.001875",
    ];
    assert_eq!(lines, expected);
    assert_eq!((quote.total.to_string().as_str(), quote.zone), ("3.94", None));
    assert_eq!((quote.table.as_str(), quote.tariff.as_str()), ("postland 1", "letter, town + bundled"));

    let table = us();
    let class = table.class_named("ground").unwrap();
    let piece = Piece {
        origin: "10001".parse().ok(),
        destination: "90001".parse().ok(),
        size: "10 x 6 x 4 in".parse().ok(),
        ..Piece::of("6.5 lb".parse().unwrap())
    };
    let quote = table.quote(&piece, &table.tariff(class, &[]).unwrap()).unwrap();
    let lines: Vec<_> =
        quote.lines.iter().map(|line| (line.kind, line.name.as_str(), line.amount.to_string())).collect();
    // Seven pounds: 11.35 + 2 x 0.60 = 12.55 in zone 1-2, 24.75 + 2 x 2.05 = 28.85 in zone 8.
    let expected = [
        (LineKind::Base, "Ground parcel", "7.2".to_owned()),
        (LineKind::Step, "up to 7 lb", "5.35".to_owned()),
        (LineKind::Zone, "zone 8", "16.3".to_owned()),
    ];
    assert_eq!(lines, expected);
    assert_eq!(quote.zone.as_deref(), Some("8"));
}

#[test]
fn every_rounding_rule_prices_the_same_piece_its_own_way() {
    // 0.905 x 0.875 = 0.791875.
    let rows = [
        (Unit::Mill, Mode::Up, "0.792"),
        (Unit::Mill, Mode::Down, "0.791"),
        (Unit::HalfCent, Mode::Up, "0.795"),
        (Unit::HalfCent, Mode::HalfUp, "0.79"),
        (Unit::HalfCent, Mode::Down, "0.79"),
    ];
    for (unit, mode, price) in rows {
        let words = |text: &str, from: &str, to: &str| text.replace(from, &format!("= \"{to}\""));
        let unit_word = if unit == Unit::Mill { "mill" } else { "half-cent" };
        let mode_word = [(Mode::Up, "up"), (Mode::HalfUp, "half-up"), (Mode::Down, "down")];
        let mode_word = mode_word.iter().find(|(known, _)| *known == mode).unwrap().1;
        let text = words(crate::tables::POSTLAND, "= \"half-cent\"", unit_word);
        let table = Table::parse(&words(&text, "= \"half-even\"", mode_word)).unwrap();
        assert_eq!(table.rounding(), Rounding { unit, mode, per: Per::Piece });
        let tariff = table.tariff(table.class_named("letter").unwrap(), &["town"]).unwrap();
        let piece = Piece::of("50 g".parse().unwrap());
        assert_eq!(table.price(&piece, &tariff).unwrap().to_string(), price, "{unit} {mode_word}");
    }
}
