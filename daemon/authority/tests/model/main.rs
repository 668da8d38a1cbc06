//! The funds system against an independent model: whatever is said, lost, repeated, delayed or reordered, and wherever the books are
//! closed and opened again, money is conserved, answers are those of docs/authority.md, and no PSD gets more than was paid in.

mod oracle;
mod psd_model;
mod world;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
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
        1 => psd.prop_map(|psd| Step::RollBack { psd }),
    ]
}

fn run(steps: &[Step]) -> World {
    let mut world = World::new();
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
