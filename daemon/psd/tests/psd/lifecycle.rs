//! The table of docs/protocol.md, "States and locks": every command in every state, under every set of locks.

use crate::device::*;
use psd::device::{Authorisation, Purpose};
use psd::lifecycle::{Lifecycle, Locks};
use psd::{Psd, State, UnixMillis};

const STATES: [Lifecycle; 5] =
    [Lifecycle::Initialised, Lifecycle::Authorised, Lifecycle::Active, Lifecycle::Withdrawn, Lifecycle::Scrapped];

/// A funded PSD in this state under these locks, with or without a download under way.
fn device(lifecycle: Lifecycle, locks: Locks, pending: Option<Purpose>) -> Psd {
    let mut psd = active(1_000);
    let terms = pending.map(|purpose| match purpose {
        Purpose::Download => psd.value_terms(mills(500)).unwrap(),
        Purpose::Refund(spoiled) => psd.refund_terms(spoiled, mills(500)).unwrap(),
        Purpose::Withdrawal => psd.withdrawal_terms().unwrap(),
    });
    if let Some(terms) = terms {
        psd.value_requested(&terms, [1][..].into());
    }
    psd.restore(State { lifecycle, locks, ..psd.state().clone() });
    psd
}

/// What becomes of a command: `yes`, or the code of its refusal.
fn outcome(command: &str, lifecycle: Lifecycle, locks: Locks) -> &'static str {
    let pending = match command {
        "apply value" | "void value" => Some(Purpose::Download),
        "acknowledge withdrawal" => Some(Purpose::Withdrawal),
        _ => None,
    };
    let mut psd = device(lifecycle, locks, pending);
    let before = psd.state().clone();
    let answer = |amount, control_total| Authorisation {
        appliance: "dev-1".parse().unwrap(),
        psd: id(),
        amount: mills(amount),
        refund: None,
        control_total: mills(control_total),
        sequence: before.value_sequence + 1,
        expires: UnixMillis(NOW),
    };
    let done = match command {
        "sign" => psd.prepare(&piece(100), &context(&tenant())).map(drop).map_err(|refusal| refusal.code()),
        "ask for value" => psd.value_terms(mills(500)).map(drop).map_err(|refusal| refusal.code()),
        "apply value" => psd
            .apply_value(&answer(500, 1_500), &"dev-1".parse().unwrap(), UnixMillis(NOW), Ok(()))
            .map(drop)
            .map_err(|refusal| refusal.code()),
        "ask for a refund" => psd.refund_terms(spoiled(9), mills(500)).map(drop).map_err(|refusal| refusal.code()),
        "ask for withdrawal" => psd.withdrawal_terms().map(drop).map_err(|refusal| refusal.code()),
        "acknowledge withdrawal" => psd
            .report_terms(&answer(1_000, 0), &"dev-1".parse().unwrap(), UnixMillis(NOW))
            .map(drop)
            .map_err(|refusal| refusal.code()),
        "void value" => psd.void_terms(before.value_sequence + 1).map(drop).map_err(|refusal| refusal.code()),
        other => panic!("docs/protocol.md speaks of a command {other:?}"),
    };
    match done {
        Ok(()) => "yes",
        Err(code) => {
            assert_eq!(*psd.state(), before, "{command}, {lifecycle}: a refused command changed something");
            code
        }
    }
}

#[test]
fn every_cell_of_the_documented_table_holds() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let table = document.split("### States and locks").nth(1).expect("docs/protocol.md has the section");
    let rows = table.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<&str>> =
        rows.map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect()).collect();
    assert_eq!(rows[0][2..8], ["initialised", "authorised", "active", "active, locked", "withdrawn", "scrapped"]);
    let mut commands: Vec<&str> = Vec::new();
    for row in &rows[2..] {
        let (command, cells) = (row[1], &row[2..8]);
        commands.push(command);
        for lifecycle in STATES {
            for locks in (0..64).filter_map(Locks::from_bits) {
                let column = match lifecycle {
                    Lifecycle::Initialised => 0,
                    Lifecycle::Authorised => 1,
                    Lifecycle::Active if locks.is_empty() => 2,
                    Lifecycle::Active => 3,
                    Lifecycle::Withdrawn => 4,
                    Lifecycle::Scrapped => 5,
                };
                let context = format!("{command}, {lifecycle}, locks {:06b}", locks.bits());
                assert_eq!(outcome(command, lifecycle, locks), cells[column], "{context}");
            }
        }
    }
    let all = [
        "sign",
        "ask for value",
        "ask for a refund",
        "apply value",
        "void value",
        "ask for withdrawal",
        "acknowledge withdrawal",
    ];
    assert_eq!(commands, all);
}

/// No step of a life touches the registers, and none goes back.
#[test]
fn no_step_erases_registers() {
    for from in STATES {
        for to in STATES {
            let mut psd = device(from, Locks::NONE, None);
            let before = psd.state().registers;
            let event = lifecycle(&psd, to, Locks::NONE);
            let taken = psd.replay(&event, UnixMillis(1)).is_ok();
            assert_eq!(taken, from == to || from.may_become(to), "{from} → {to}");
            assert_eq!(psd.state().registers, before, "{from} → {to}");
        }
    }
}
