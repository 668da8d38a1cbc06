//! Mail runs in the core: announced once, taken part in while they are open, closed with what is owed.

use super::desks::certifying;
use super::shell::{Shell, corrected, mills, receipted};
use crate::core::{RequestId, RunStep, ValueReply, ValueStep};
use psd::RunId;
use psd::certification::{Certification, Rated};
use psd::device::{Piece, RunRefusal};
use psd::indicium::Details;
use psd::run::{ClosedRun, Counted, Destination, Run, RunTerms};
use std::sync::Arc;

fn id(run: &str) -> RunId {
    run.parse().unwrap()
}

fn announced(run: &str, digest: u8) -> Arc<Run> {
    let letter = corrected(0, 1, 700, None);
    let Details::Certification(letter, _) = letter.details else { unreachable!() };
    let Rated { rates, version, digest: rates_digest, class, tariff } = letter.rated.clone();
    let terms = RunTerms {
        id: id(run),
        digest: [digest; 32],
        date: letter.date,
        rates,
        version,
        rates_digest,
        class,
        tariffs: [tariff, "town".parse().unwrap()].into(),
    };
    let to = Destination { zip: letter.destination.zip(), pieces: 50, tariff: 1 };
    Arc::new(Run::new(terms, vec![to]).unwrap())
}

/// A piece that owes 700 in full, and 600 as one of a run.
fn of_run(psd: usize, key_ms: u64, run: &str) -> Piece {
    let piece = receipted(psd, key_ms, 600, None);
    let Details::Certification(letter, _) = &piece.details else { unreachable!() };
    let rated = Rated { tariff: "town".parse().unwrap(), ..letter.rated.clone() };
    let letter = Certification { run: Some(id(run)), rated, ..(**letter).clone() };
    let paid = letter.paid.amount().mills();
    let dues = Some([mills(700 + paid), letter.due].into());
    Piece { postage: letter.shortfall(), details: Details::Certification(Arc::new(letter), dues), ..piece }
}

impl Shell {
    fn seal(&mut self, run: &str, by: u64) -> RequestId {
        self.run_step(0, RunStep::Seal { run: id(run), by: RequestId(by) })
    }

    fn run_step(&mut self, psd: usize, step: RunStep) -> RequestId {
        self.value(psd, ValueStep::Run(step))
    }

    fn run_word(&self, request: RequestId) -> &'static str {
        match &self.value_replies[&request] {
            ValueReply::RunOpened(_) => "opened",
            ValueReply::RunKnown => "known",
            ValueReply::RunSealed(_) => "sealed",
            ValueReply::RunUnsealed => "unsealed",
            ValueReply::RunClosed(_) => "closed",
            ValueReply::RunRefused(refusal) => refusal.code(),
            ValueReply::Overloaded => "overloaded",
            other => panic!("{other:?}"),
        }
    }
}

fn closing(run: &str, by: u64, pieces: u32, owed: u64, debited: u64) -> RunStep {
    let counted = vec![Counted { pieces, tariff: 0 }].into();
    let (owed, debited) = (mills(owed), mills(debited));
    let closed = Arc::new(ClosedRun { id: id(run), opened: 1, owed, debited, counted });
    RunStep::Close { closed, by: RequestId(by) }
}

#[test]
fn a_run_is_announced_once_whoever_asks_again() {
    let mut shell = certifying();
    let first = shell.run_step(0, RunStep::Open(announced("r", 1)));
    assert!(!shell.value_replies.contains_key(&first), "told when it is durable");
    // Behind it, and on another PSD of the same tenant, before it is.
    let same = shell.run_step(0, RunStep::Open(announced("r", 1)));
    let other = shell.run_step(0, RunStep::Open(announced("r", 2)));
    shell.settle();
    assert_eq!([first, same, other].map(|request| shell.run_word(request)), ["opened", "known", "run-reused"]);
    let elsewhere = shell.run_step(2, RunStep::Open(announced("r", 1)));
    let others = shell.run_step(1, RunStep::Open(announced("r", 1)));
    shell.settle();
    assert_eq!(
        [elsewhere, others].map(|request| shell.run_word(request)),
        ["run-reused", "opened"],
        "a name is the tenant's own"
    );
    // A restart knows it too.
    let (mut shell, _) = shell.crash();
    let known = shell.run_step(0, RunStep::Open(announced("r", 1)));
    shell.settle();
    assert_eq!(shell.run_word(known), "known");
    shell.assert_idle();
}

#[test]
fn a_run_takes_pieces_until_it_is_sealed_and_what_is_owed_is_debited_once() {
    let mut shell = certifying();
    let before = shell.submit_pieces(0, vec![of_run(0, 1, "r")], false);
    shell.settle();
    assert_eq!(shell.words(before), ["run-not-open"]);
    shell.run_step(0, RunStep::Open(announced("r", 1)));
    shell.settle();
    let taken = shell.submit_pieces(0, vec![of_run(0, 2, "r"), of_run(0, 3, "r")], false);
    // The seal waits for what is in flight, and what comes after it comes too late.
    let sealed = shell.seal("r", 1);
    let late = shell.submit_pieces(0, vec![of_run(0, 4, "r")], false);
    assert!(!shell.value_replies.contains_key(&sealed));
    shell.settle();
    assert_eq!((shell.words(taken), shell.words(late)), (vec!["signed"; 2], vec!["run-closing"]));
    assert_eq!(shell.run_word(sealed), "sealed");
    // A repetition of what was certified is answered all the same.
    let repeated = shell.submit_pieces(0, vec![of_run(0, 2, "r")], false);
    shell.settle();
    assert_eq!(shell.words(repeated), ["signed"]);
    let used = shell.working(0).ascending().mills();
    let (pieces, closed) = (shell.working(0).piece_count(), shell.run_step(0, closing("r", 1, 2, 1_400, 1_200)));
    let twice = shell.run_step(0, closing("r", 1, 2, 1_400, 1_200));
    shell.settle();
    assert_eq!([closed, twice].map(|request| shell.run_word(request)), ["closed", "run-not-open"]);
    assert_eq!((shell.working(0).ascending().mills(), shell.working(0).piece_count()), (used + 200, pieces));
    let over = shell.submit_pieces(0, vec![of_run(0, 5, "r")], false);
    let reopened = shell.run_step(0, RunStep::Open(announced("r", 1)));
    shell.settle();
    assert_eq!((shell.words(over), shell.run_word(reopened)), (vec!["run-not-open"], "run-reused"));
    let (shell, _) = shell.crash();
    assert_eq!(shell.committed_registers(0).ascending().mills(), used + 200);
    shell.assert_idle();
}

#[test]
fn a_run_that_cannot_be_closed_takes_pieces_again() {
    let mut shell = certifying();
    shell.run_step(0, RunStep::Open(announced("r", 1)));
    shell.seal("r", 1);
    shell.settle();
    let poor = shell.run_step(0, closing("r", 1, 2, 1 << 40, 0));
    shell.settle();
    assert_eq!(shell.run_word(poor), "insufficient-funds");
    let unsealed = shell.run_step(0, closing("r", 1, 2, 0, 0));
    let piece = shell.submit_pieces(0, vec![of_run(0, 1, "r")], false);
    shell.settle();
    assert_eq!(shell.run_word(unsealed), "run-closing", "who closes it seals it first");
    assert_eq!(shell.words(piece), ["signed"]);
    shell.seal("r", 1);
    // A stopped clock keeps no run sealed.
    shell.now_ms += 2_000_000;
    let unsealed = shell.run_step(0, RunStep::Unseal { run: id("r"), by: RequestId(1) });
    assert_eq!(shell.run_word(unsealed), "unsealed");
    shell.sample_clock();
    let piece = shell.submit_pieces(0, vec![of_run(0, 2, "r")], false);
    shell.settle();
    assert_eq!(shell.words(piece), ["signed"]);
    let unknown = shell.seal("x", 1);
    shell.settle();
    assert_eq!(shell.run_word(unknown), RunRefusal::NotOpen(id("x")).code());
    shell.assert_idle();
}

/// A client that went away while its run was counted keeps nobody from closing it, and what it counted closes nothing any more.
#[test]
fn whoever_seals_a_run_last_closes_it() {
    let mut shell = certifying();
    shell.run_step(0, RunStep::Open(announced("r", 1)));
    let gone = shell.seal("r", 1);
    let next = shell.seal("r", 2);
    let late = shell.run_step(0, RunStep::Unseal { run: id("r"), by: RequestId(1) });
    let stale = shell.run_step(0, closing("r", 1, 0, 0, 0));
    let piece = shell.submit_pieces(0, vec![of_run(0, 1, "r")], false);
    shell.settle();
    let words = [gone, next, late, stale].map(|request| shell.run_word(request));
    assert_eq!(words, ["sealed", "sealed", "unsealed", "run-closing"]);
    assert_eq!(shell.words(piece), ["run-closing"], "it is sealed still");
    // However many commands wait, the one that ends a seal is taken.
    let before = shell.run_step(0, RunStep::Open(announced("blocker", 1)));
    let waiting: Vec<RequestId> = (0..20).map(|_| shell.seal("x", 3)).collect();
    let unsealed = shell.run_step(0, RunStep::Unseal { run: id("r"), by: RequestId(2) });
    shell.settle();
    assert_eq!((shell.run_word(before), shell.run_word(unsealed)), ("opened", "unsealed"));
    assert!(waiting.iter().any(|request| shell.run_word(*request) == "overloaded"));
    let piece = shell.submit_pieces(0, vec![of_run(0, 2, "r")], false);
    let sealed = shell.seal("r", 4);
    let closed = shell.run_step(0, closing("r", 4, 1, 600, 600));
    shell.settle();
    assert_eq!(shell.words(piece), ["signed"]);
    assert_eq!([sealed, closed].map(|request| shell.run_word(request)), ["sealed", "closed"]);
    shell.assert_idle();
}

/// Whoever asks again has it rated by the tables in force, whose records are in the log by then.
#[test]
fn a_run_rated_by_a_table_that_the_log_does_not_have_is_not_announced() {
    let mut shell = certifying();
    let run = announced("r", 1);
    let terms = |change: fn(&mut RunTerms)| {
        let mut terms = RunTerms::clone(&run);
        change(&mut terms);
        RunStep::Open(Arc::new(Run::new(terms, run.destinations().to_vec()).unwrap()))
    };
    let steps = [terms(|it| it.version = 2), terms(|it| it.rates_digest = [9; 32])];
    let told = steps.map(|step| shell.run_step(0, step));
    shell.settle();
    assert_eq!(told.map(|request| shell.run_word(request)), ["overloaded"; 2]);
    let good = shell.run_step(0, RunStep::Open(Arc::clone(&run)));
    shell.settle();
    assert_eq!(shell.run_word(good), "opened");
    shell.assert_idle();
}
