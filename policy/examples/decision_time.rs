//! Prints what one decision costs: `cargo run --release -p psdd-policy --example decision_time`.

use psd::PostageAmount;
use psdd_policy::{Action, Pairing, PolicySet, Resource, SigningTotals, Subject};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tenant = "acme".parse()?;
    let (subject, resource) =
        (Subject::new(&tenant, "backend-1"), Resource::new("062S0007358267".parse()?, &"L-4711".parse()?, &tenant));
    let pairing = Pairing::new(&subject, &resource);
    let amount = |mills| PostageAmount::from_mills(mills).ok_or("beyond 63 bits");
    let (total, small, large) = (amount(186_880)?, amount(730)?, amount(10_000_001)?);
    let sign = |largest| Action::SignIndicium(SigningTotals { count: 256, total, largest });

    println!("pairing           {:>6} ns", time(|| drop(black_box(Pairing::new(&subject, &resource)))));
    for rules in [0, 10, 100] {
        let extra: String = (0..rules)
            .map(|n| {
                format!(
                    "@id(\"x{n}\") forbid (principal, action, resource) when {{ principal in Tenant::\"t{n}\" }};\n"
                )
            })
            .collect();
        let set = PolicySet::from_texts(
            include_str!("../vendor.cedar"),
            &format!("{}{extra}", include_str!("../authority.cedar")),
        )?;
        println!("defaults and {rules} policies more");
        for (what, action) in [
            ("  sign, permitted", sign(small)),
            ("  sign, forbidden", sign(large)),
            ("  read, permitted", Action::ReadRegisters),
        ] {
            println!("{what} {:>6} ns", time(|| drop(black_box(set.decide(black_box(&pairing), black_box(action))))));
        }
    }
    Ok(())
}

/// The quickest of many short runs, so that other work on the machine counts least.
fn time(work: impl Fn()) -> u128 {
    let run = || {
        let start = Instant::now();
        (0..ROUNDS).for_each(|_| work());
        start.elapsed().as_nanos() / u128::from(ROUNDS)
    };
    (0..200).map(|_| run()).min().unwrap_or(u128::MAX)
}
