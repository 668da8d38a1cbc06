//! How long a certification number takes: `cargo run --release -p psdd-certification --example number_time`.

use psdd_certification::number::{Numbering, NumberingEpoch, Place};
use std::hint::black_box;
use std::time::Instant;
use zeroize::Zeroizing;

const ROUNDS: u32 = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbering = Numbering::new(Zeroizing::new([7; 32]), &"post-1".parse()?, NumberingEpoch(1));
    let places = || (0..u64::from(ROUNDS)).filter_map(|leaf| Place::of_leaf(leaf * 33_000_001));

    let begun = Instant::now();
    for place in places() {
        black_box(numbering.number(black_box(place)));
    }
    println!("number of a place: {:?} each", begun.elapsed() / ROUNDS);

    let numbers: Vec<_> = places().map(|place| numbering.number(place)).collect();
    let begun = Instant::now();
    for number in &numbers {
        black_box(numbering.open(black_box(number))?);
    }
    println!("place of a number: {:?} each", begun.elapsed() / ROUNDS);

    let begun = Instant::now();
    for number in &numbers {
        black_box(black_box(number).to_string());
    }
    println!("text of a number: {:?} each", begun.elapsed() / ROUNDS);
    Ok(())
}
