//! What holds for every piece and every run.

use crate::tables::{POSTLAND, postland, us};
use proptest::prelude::*;
use psd::PostageAmount;
use psdd_rates::{Counts, Manifest, Piece, RunTotal, Size, Table, Tariff, Weight, Zip, qualify, shortfall};
use std::sync::LazyLock;

static TABLES: LazyLock<[Table; 2]> = LazyLock::new(|| [us(), postland()]);

/// Every combination of discounts that a piece can have.
fn tariffs(table: &Table) -> Vec<Tariff> {
    let mut all = Vec::new();
    for (id, class) in table.classes() {
        let names = |sorting| class.discounts.iter().filter(move |discount| discount.sorting == sorting);
        let presort = names(psdd_rates::Sorting::Presort).map(|discount| Some(discount.name.as_str()));
        for presort in std::iter::once(None).chain(presort) {
            let bundle = names(psdd_rates::Sorting::Bundle).map(|discount| Some(discount.name.as_str()));
            for bundle in std::iter::once(None).chain(bundle) {
                let chosen: Vec<&str> = [presort, bundle].into_iter().flatten().collect();
                all.push(table.tariff(id, &chosen).unwrap());
            }
        }
    }
    all
}

fn tariff() -> impl Strategy<Value = (&'static Table, Tariff)> {
    let all: Vec<(&Table, Tariff)> =
        TABLES.iter().flat_map(|table| tariffs(table).into_iter().map(move |tariff| (table, tariff))).collect();
    proptest::sample::select(all)
}

fn zip() -> impl Strategy<Value = Zip> {
    prop_oneof!["100[0-9]{2}", "606[0-9]{2}", "900[0-9]{2}", "331[0-9]{2}"].prop_map(|text| text.parse().unwrap())
}

fn size() -> impl Strategy<Value = Size> {
    (5_000u32..20_000, 3_500u32..6_000, 10u32..250).prop_map(|(length, height, thickness)| {
        let text = |thousandths: u32| format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        format!("{} x {} x {} in", text(length), text(height), text(thickness)).parse().unwrap()
    })
}

/// Weights near the ends of steps are as likely as all others.
fn milligrams() -> impl Strategy<Value = u64> {
    let near = (1u64..40, 0u64..3, prop_oneof![Just(28_349u64), Just(453_592), Just(50_000), Just(1_000_000)]);
    prop_oneof![1u64..32_000_000, 1u64..400_000, near.prop_map(|(times, beside, unit)| times * unit + beside)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_heavier_piece_never_costs_less(
        (table, tariff) in tariff(), one in milligrams(), other in milligrams(), origin in zip(), destination in zip(), size in size(),
    ) {
        let fits = size.length() <= "11.5 in".parse().unwrap();
        let piece = |milligrams| Piece {
            origin: Some(origin), destination: Some(destination), size: Some(size).filter(|_| fits || table.class(tariff.class()).is_some_and(|class| class.shape.is_none())),
            ..Piece::of(Weight::from_milligrams(milligrams).unwrap())
        };
        let price = |milligrams| table.price(&piece(milligrams), &tariff);
        if let (Ok(light), Ok(heavy)) = (price(one.min(other)), price(one.max(other))) {
            prop_assert!(light <= heavy, "{light} {heavy}");
        }
        // Where the heavier has a price, the lighter has one.
        prop_assert!(price(one.max(other)).is_err() || price(one.min(other)).is_ok());
    }

    #[test]
    fn a_discount_never_costs_more((table, tariff) in tariff(), milligrams in milligrams()) {
        let piece = Piece { origin: "10001".parse().ok(), destination: "60601".parse().ok(), size: "9 x 6 x 0.01 in".parse().ok(), ..Piece::of(Weight::from_milligrams(milligrams).unwrap()) };
        if let Ok(full) = table.price(&piece, &Tariff::full(tariff.class())) {
            let discounted = table.price(&piece, &tariff).unwrap();
            prop_assert!(discounted <= full, "{discounted} {full}");
        }
    }

    #[test]
    fn the_total_of_a_run_is_the_sum_of_its_parts(
        pieces in proptest::collection::vec((zip(), 1u64..99_000), 1..120), claimed in 0usize..8, lost in 0usize..120,
    ) {
        let table = &TABLES[0];
        let claims: Vec<String> = ["5-digit", "aadc", "mixed-aadc"].iter().enumerate()
            .filter(|(bit, _)| claimed & (1 << bit) != 0).map(|(_, name)| (*name).to_owned()).collect();
        let mut counts = Counts::new();
        // Each stands for five pieces to its ZIP's neighbourhood, so that counts are reached and missed.
        pieces.iter().for_each(|(to, _)| counts.add(*to, 5).unwrap());
        let manifest = Manifest { class: "letter-metered".to_owned(), claims, total: counts.total(), counts: counts.clone() };
        let qualified = qualify(table, &manifest).unwrap();
        let (mut total, mut sum, mut full) = (RunTotal::of(table), 0u64, 0u64);
        for (to, milligrams) in &pieces {
            let piece = Piece::of(Weight::from_milligrams(*milligrams).unwrap());
            let tariff = qualified.tariff(*to).unwrap();
            let price = table.price(&piece, &tariff).unwrap();
            total.add(tariff, price, 5).unwrap();
            sum += 5 * price.mills();
            full += 5 * table.price(&piece, &Tariff::full(tariff.class())).unwrap().mills();
        }
        prop_assert_eq!(total.total(), PostageAmount::from_mills(sum).unwrap());
        let lines: u64 = total.lines().map(|line| line.amount.mills()).sum();
        prop_assert_eq!(lines, sum);
        prop_assert_eq!(total.lines().map(|line| line.pieces).sum::<u64>(), counts.total());
        prop_assert!(sum <= full, "qualification made the run dearer");

        // A count that lacks a few pieces takes discounts away, and each that it takes is told.
        let mut found = Counts::new();
        pieces.iter().skip(lost).for_each(|(to, _)| found.add(*to, 5).unwrap());
        let short = shortfall(table, &qualified, &found).unwrap();
        prop_assert!(short.unannounced.is_empty());
        let worse = found.iter().any(|(to, _)| {
            let (before, after) = (qualified.tariff(to).unwrap(), short.counted.tariff(to).unwrap());
            let price = |tariff| table.price(&Piece::of(Weight::from_milligrams(1).unwrap()), &tariff).unwrap();
            price(after) > price(before)
        });
        prop_assert!(!worse || !short.lost.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_written_is_a_table_or_refused(
        at in 0usize..POSTLAND.len(), length in 0usize..12, text in "[-0-9a-z .=\"{}\\[\\],\n]{0,6}",
    ) {
        let mut changed = POSTLAND.as_bytes().to_vec();
        let end = (at + length).min(changed.len());
        changed.splice(at..end, text.into_bytes());
        let changed = String::from_utf8(changed).unwrap();
        match Table::parse(&changed) {
            Ok(table) => for (id, class) in table.classes() {
                for limit in class.ladder.limits() {
                    let weight = Weight::from_milligrams((limit.picograms() / 1_000_000_000).max(1)).unwrap();
                    let piece = Piece { size: "10 x 10 x 1 in".parse().ok(), origin: "10001".parse().ok(), destination: "60601".parse().ok(), ..Piece::of(weight) };
                    drop(table.quote(&piece, &Tariff::full(id)));
                }
            },
            Err(error) => {
                let lines = changed.matches('\n').count() + 1;
                prop_assert!(!error.faults().is_empty() && error.faults().iter().all(|fault| (1..=lines).contains(&fault.line)));
            }
        }
    }
}

#[test]
fn every_price_of_every_tariff_can_be_had() {
    for table in TABLES.iter() {
        for tariff in tariffs(table) {
            let class = table.class(tariff.class()).unwrap();
            for limit in class.ladder.limits() {
                let weight = Weight::from_milligrams(limit.picograms() / 1_000_000_000).unwrap();
                let size = Some("9 x 6 x 0.01 in").filter(|_| class.dimensional.is_some());
                let piece = Piece {
                    origin: "10001".parse().ok(),
                    destination: "60601".parse().ok(),
                    size: size.map(|size| size.parse().unwrap()),
                    ..Piece::of(weight)
                };
                table.price(&piece, &tariff).unwrap_or_else(|error| panic!("{}: {error}", table.tariff_name(tariff)));
            }
        }
    }
}
