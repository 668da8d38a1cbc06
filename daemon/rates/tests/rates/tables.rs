//! The tables that ship, and what tests change in them.

use psdd_rates::{Piece, Table, Tariff};

pub const US: &str = include_str!("../../../../policy/rates/us-2025.toml");
pub const POSTLAND: &str = include_str!("../../../../policy/rates/postland.toml");

pub fn us() -> Table {
    Table::parse(US).unwrap_or_else(|error| panic!("{error}"))
}

pub fn postland() -> Table {
    Table::parse(POSTLAND).unwrap_or_else(|error| panic!("{error}"))
}

/// The text with one place replaced, which must be there once.
pub fn changed(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} once");
    text.replace(from, to)
}

/// The full tariff of a class.
pub fn full(table: &Table, class: &str) -> Tariff {
    table.tariff(table.class_named(class).unwrap(), &[]).unwrap()
}

/// A piece that every class has a price for.
pub fn piece(weight: &str) -> Piece {
    Piece {
        origin: "10001".parse().ok(),
        destination: "60601".parse().ok(),
        size: "8 x 5 x 0.1 in".parse().ok(),
        ..Piece::of(weight.parse().unwrap())
    }
}

#[test]
fn the_table_in_the_document_is_a_table() {
    let page = include_str!("../../../../docs/rates.md");
    let text = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let table = Table::parse(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(table.label(), "postland 1");
}

#[test]
fn every_table_file_is_in_order() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policy/rates");
    let mut read = 0;
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        Table::parse(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        read += 1;
    }
    assert!(read >= 2);
}
