//! The funds system against an independent model: whatever is said, lost, repeated, delayed or reordered, and wherever the books are
//! closed and opened again, money is conserved, answers are those of docs/authority.md, and no PSD gets more than was paid in.

mod oracle;
mod psd_model;
mod real_psd;
mod world;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use psd_model::mills;
use psdd_wire::cose::{VALUE_REQUEST, VALUE_VOID, WITHDRAWAL_REPORT, WITHDRAWAL_REQUEST};
use psdd_wire::message::{RefundClaims, ValueRequestClaims};
use world::{Step, World};

fn step() -> impl Strategy<Value = Step> {
    let psd = 0..2usize;
    let mills = prop_oneof![1 => Just(0u64), 12 => 1..4_000u64, 1 => Just(1_000_000)];
    prop_oneof![
        3 => (0..2usize, 1..9_000u64, 0..12u8)
            .prop_map(|(licence, mills, reference)| Step::Deposit { licence, mills, reference }),
        5 => (psd.clone(), mills).prop_map(|(psd, mills)| Step::Ask { psd, mills }),
        4 => (psd.clone(), any::<Index>()).prop_map(|(psd, mark)| Step::AskRefund { psd, mark }),
        8 => any::<Index>().prop_map(|message| Step::Deliver { message }),
        14 => Just(Step::DeliverNewest),
        4 => any::<Index>().prop_map(|answer| Step::Apply { answer }),
        10 => Just(Step::ApplyNewest),
        4 => psd.clone().prop_map(|psd| Step::Void { psd }),
        5 => (psd.clone(), 1..2_000u64).prop_map(|(psd, mills)| Step::Spend { psd, mills }),
        1 => psd.clone().prop_map(|psd| Step::Withdraw { psd }),
        2 => prop_oneof![3 => 1..100u64, 1 => Just(1_500)].prop_map(|hours| Step::Wait { hours }),
        1 => (0..2usize).prop_map(|licence| Step::Lock { licence }),
        3 => Just(Step::Reopen),
        1 => psd.clone().prop_map(|psd| Step::RollBack { psd }),
        2 => psd.prop_map(|psd| Step::Crash { psd }),
    ]
}

fn run(steps: &[Step]) -> World {
    run_in(World::new(), steps)
}

fn run_in(mut world: World, steps: &[Step]) -> World {
    for step in steps {
        world.take(step);
        world.check();
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn money_is_conserved_and_nobody_gets_more_than_was_paid_in(steps in prop::collection::vec(step(), 1..90)) {
        run(&steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    /// The daemon's own PSDs against the authority's own books, with everything lost, repeated, reordered and crashing in between.
    #[test]
    fn money_is_conserved_between_the_books_and_the_registers(steps in prop::collection::vec(step(), 1..40)) {
        run_in(World::honest(), &steps);
    }
}

/// Random runs are worth something only where they get somewhere: each of these answers is given in some of them.
#[test]
fn the_runs_reach_every_answer() {
    let mut runner = TestRunner::deterministic();
    let steps = prop::collection::vec(step(), 60..120);
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..250 {
        reached.extend(run(&steps.new_tree(&mut runner).expect("steps").current()).codes);
    }
    let wanted = [
        "control-total",
        "download-applied",
        "download-conflict",
        "download-gap",
        "download-open",
        "download-void",
        "funds-short",
        "granted",
        "licence-locked",
        "no-amount",
        "psd-withdrawn",
        "refund-granted",
        "refund-twice",
        "refund-window",
        "withdrawal-granted",
    ];
    let missing: Vec<_> = wanted.iter().filter(|code| !reached.contains(*code)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}; reached: {reached:?}");
}

/// The run that the property must be able to find: a download is authorised, its answer lost, given up, credited, asked for anew.
#[test]
fn a_lost_answer_comes_back_by_the_void_statement_alone() {
    let mut world = World::new();
    world.take(&Step::Deposit { licence: 0, mills: 1_000, reference: 0 });
    for step in [Step::Ask { psd: 0, mills: 1_000 }, Step::DeliverNewest, Step::Void { psd: 0 }] {
        world.take(&step);
    }
    assert_eq!(world.balance(0), 0, "authorised");
    world.take(&Step::Reopen);
    world.take(&Step::DeliverNewest);
    assert_eq!(world.balance(0), 1_000, "credited on the statement");
    for step in [Step::DeliverNewest, Step::Reopen, Step::DeliverNewest] {
        world.take(&step);
        assert_eq!(world.balance(0), 1_000, "credited once");
    }
    world.take(&Step::Ask { psd: 0, mills: 1_000 });
    world.take(&Step::DeliverNewest);
    assert_eq!(world.balance(0), 0, "authorised anew");
    world.check();
}

/// The rollback that would pay: back to before a download was applied, which is then given up to get its value credited.
#[test]
fn a_psd_that_was_rolled_back_gets_no_credit_for_what_it_applied() {
    let mut world = World::new();
    world.take(&Step::Deposit { licence: 0, mills: 1_000, reference: 0 });
    let ask = |mills| [Step::Ask { psd: 0, mills }, Step::DeliverNewest];
    for step in ask(600).into_iter().chain([Step::ApplyNewest]).chain(ask(300)) {
        world.take(&step);
    }
    assert_eq!(world.balance(0), 100);
    for step in [Step::RollBack { psd: 0 }, Step::Void { psd: 0 }, Step::Reopen, Step::DeliverNewest] {
        world.take(&step);
        world.check();
    }
    assert!(world.codes.contains("void-of-applied"), "{:?}", world.codes);
    assert_eq!(world.balance(0), 100, "nothing came back");
    assert_eq!(world.open_findings(), 1, "and the statement is kept as evidence");
}

/// Numbers that were given up without a word to the authority: a later request waits for their statements, in order.
#[test]
fn a_gap_is_closed_by_the_void_statements_in_order() {
    let mut world = World::new();
    world.take(&Step::Deposit { licence: 0, mills: 1_000, reference: 0 });
    let ask = Step::Ask { psd: 0, mills: 600 };
    for _ in 0..2 {
        world.take(&ask);
        world.take(&Step::Void { psd: 0 });
    }
    world.take(&ask);
    // Said so far: request 1, void 1, request 2, void 2, request 3.
    for (message, answer, findings) in [
        (4, "download-gap", 1),
        (3, "download-gap", 2),
        (1, "granted", 1),
        (0, "download-void", 1),
        (3, "granted", 0),
        (2, "download-void", 0),
        (4, "granted", 0),
    ] {
        assert_eq!(world.deliver_at(message), answer, "message {message}");
        assert_eq!(world.open_findings(), findings, "after message {message}");
        world.check();
    }
    assert_eq!(world.balance(0), 400);
}

/// A PSD with 600 mills of which 200 are used by one mark, and another with a mark of its own.
fn loaded() -> World {
    let mut world = World::new();
    for licence in 0..2 {
        world.take(&Step::Deposit { licence, mills: 1_000, reference: u8::try_from(licence).expect("small") });
        let psd = licence;
        for step in
            [Step::Ask { psd, mills: 600 }, Step::DeliverNewest, Step::ApplyNewest, Step::Spend { psd, mills: 200 }]
        {
            world.take(&step);
        }
    }
    world
}

#[test]
fn what_no_honest_psd_says_is_refused_and_kept() {
    type Spoil = Box<dyn FnOnce(&mut ValueRequestClaims)>;
    let mut world = loaded();
    let (own, foreign) = (world.mark(0), world.mark(1));
    let refund = |leaf, indicium: Vec<u8>| -> Spoil {
        Box::new(move |claims| {
            claims.amount = mills(200);
            claims.refund = Some(RefundClaims { key: [7; 16], leaf, indicium });
        })
    };
    let changed = |at: usize, by: u8| {
        let mut bytes = own.bytes.clone();
        bytes[at] ^= by;
        bytes
    };
    let more_postage: Spoil = Box::new({
        let indicium = own.bytes.clone();
        move |claims| {
            claims.amount = mills(201);
            claims.refund = Some(RefundClaims { key: [7; 16], leaf: 1, indicium });
        }
    });
    let cases: Vec<(&str, &'static str, Spoil, &str)> = vec![
        ("of another appliance", VALUE_REQUEST, Box::new(|c| c.appliance = "model-2".to_owned()), "wrong-appliance"),
        ("registers", VALUE_VOID, Box::new(|c| c.registers.descending = mills(1)), "registers-inconsistent"),
        ("beyond all registers", VALUE_REQUEST, Box::new(|c| c.amount = psd::PostageAmount::MAX), "overflow"),
        ("no mark", VALUE_REQUEST, refund(1, vec![1; 20]), "refund-mark"),
        ("another PSD's mark", VALUE_REQUEST, refund(foreign.leaf, foreign.bytes), "refund-mark"),
        ("more than its postage", VALUE_REQUEST, more_postage, "refund-mark"),
        ("a later mark", VALUE_REQUEST, refund(1, changed(16, 1)), "refund-mark"),
        ("another certificate", VALUE_REQUEST, refund(1, changed(2, 1)), "refund-mark"),
        ("a changed mark", VALUE_REQUEST, refund(1, changed(45, 1)), "refund-mark"),
        ("a changed signature", VALUE_REQUEST, refund(1, changed(60, 1)), "refund-mark"),
        ("part of what it holds", WITHDRAWAL_REQUEST, Box::new(|c| c.amount = mills(399)), "withdrawal-amount"),
        ("never asked", WITHDRAWAL_REPORT, Box::new(|_| {}), "withdrawal-unknown"),
    ];
    let mut findings = 0;
    for (name, content_type, spoil, code) in cases {
        assert_eq!(world.lie(content_type, spoil), Some(code), "{name}");
        findings += u64::from(code != "overflow");
        assert_eq!(world.open_findings(), findings, "{name}: kept as evidence");
        world.check();
    }
}

#[test]
fn a_void_statement_must_be_of_the_download_as_it_was_authorised() {
    let mut world = loaded();
    for step in [Step::Ask { psd: 0, mills: 100 }, Step::DeliverNewest] {
        world.take(&step);
    }
    assert_eq!(world.balance(0), 300);
    assert_eq!(world.lie(VALUE_VOID, |claims| claims.amount = mills(99)), Some("download-conflict"));
    let poorer = |claims: &mut ValueRequestClaims| {
        (claims.registers.ascending, claims.registers.descending) = (mills(200), mills(100));
        claims.registers.control_total = mills(300);
    };
    assert_eq!(world.lie(VALUE_VOID, poorer), Some("control-total"));
    let applied = |claims: &mut ValueRequestClaims| {
        claims.registers.descending = mills(500);
        claims.registers.control_total = mills(700);
    };
    assert_eq!(world.lie(VALUE_VOID, applied), Some("void-of-applied"));
    assert_eq!(world.balance(0), 300, "nothing came back");
    assert_eq!(world.open_findings(), 3);
}

#[test]
fn a_withdrawal_gives_back_once_what_is_left_and_closes_the_psd() {
    let mut world = loaded();
    world.take(&Step::Withdraw { psd: 0 });
    world.take(&Step::DeliverNewest);
    assert_eq!(world.balance(0), 800, "400 on the account, 400 left in the PSD");
    assert_eq!(world.lie(WITHDRAWAL_REPORT, |claims| claims.amount = mills(400)), Some("withdrawal-registers"));
    world.take(&Step::Reopen);
    for step in [Step::DeliverNewest, Step::Wait { hours: 80 }, Step::DeliverNewest, Step::ApplyNewest] {
        world.take(&step);
        world.check();
    }
    assert_eq!(world.balance(0), 800, "once, also with a fresh acknowledgement");
    for _ in 0..2 {
        world.take(&Step::DeliverNewest);
        world.check();
    }
    assert_eq!(world.lie(VALUE_REQUEST, |_| {}), Some("psd-withdrawn"));
}
