//! How long a price takes: `cargo run --release -p psdd-rates --example price_time`.

use psdd_rates::{Counts, Manifest, Piece, Table, Zip, qualify};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let table = Table::parse(include_str!("../../../policy/rates/us-2025.toml"))?;
    let mut counts = Counts::new();
    let zips: Vec<Zip> =
        (10_000..20_000).filter_map(Zip::from_number).filter(|zip| zip.number() / 100 != 192).collect();
    zips.iter().try_for_each(|zip| counts.add(*zip, 200))?;
    let claims = ["5-digit", "aadc", "mixed-aadc"].map(str::to_owned).to_vec();
    let manifest = Manifest { class: "letter-metered".to_owned(), claims, total: counts.total(), counts };
    let begun = Instant::now();
    let qualified = qualify(&table, &manifest)?;
    println!("qualify {} ZIPs: {:?}", zips.len(), begun.elapsed());

    let surcharges = table.surcharges(&["nonmachinable"])?;
    let letter = Piece { surcharges, ..Piece::of("60 g".parse()?) };
    let begun = Instant::now();
    for zip in zips.iter().cycle().zip(0..ROUNDS).map(|(zip, _)| *zip) {
        let piece = Piece { destination: Some(zip), ..letter };
        black_box(table.price(black_box(&piece), &qualified.tariff(zip)?)?);
    }
    println!("letter of a run of {} ZIPs: {:?} each", zips.len(), begun.elapsed() / ROUNDS);

    let parcel = table.tariff(table.class_named("ground")?, &[])?;
    let piece = Piece {
        origin: Some("10001".parse()?),
        destination: Some("90001".parse()?),
        size: Some("24 x 13 x 12 in".parse()?),
        ..Piece::of("6.5 lb".parse()?)
    };
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        black_box(table.price(black_box(&piece), &parcel)?);
    }
    println!("parcel: {:?} each", begun.elapsed() / ROUNDS);
    Ok(())
}
