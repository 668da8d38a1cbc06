//! Mail runs of a PSD: opened, taken part in, closed with what is owed, and every record replays.

use crate::certify::{certify, certifying, to_certify};
use crate::device::*;
use psd::certification::{Certification, Paid};
use psd::device::{Piece, RunRefusal, ValueRefusal};
use psd::indicium::Details;
use psd::key::Algorithm;
use psd::lifecycle::{LockReason, Locks};
use psd::record::Event;
use psd::run::{ClosedRun, Destination, MOST_OPEN, Run, RunTerms, Tally};
use psd::{Psd, Refusal, UnixMillis};
use std::sync::Arc;

fn announced(id: &str, date: &str) -> Arc<Run> {
    let terms = RunTerms {
        id: id.parse().unwrap(),
        digest: [4; 32],
        date: date.parse().unwrap(),
        rates: "postland".parse().unwrap(),
        version: 1,
        rates_digest: [1; 32],
        class: "letter".parse().unwrap(),
        tariffs: ["full", "town"].iter().map(|name| name.parse().unwrap()).collect(),
    };
    Arc::new(Run::new(terms, vec![Destination { zip: 20_500, pieces: 50, tariff: 1 }]).unwrap())
}

/// A piece of the run that owes 730 in full and 640 as one of many.
fn of_run(id: &str, number: u64, paid: Paid) -> Piece {
    let Details::Certification(letter, _) = to_certify(730, Paid::Nothing).details else { panic!() };
    let letter = Certification { due: mills(640), paid, run: Some(id.parse().unwrap()), ..(*letter).clone() };
    let letter = Certification {
        rated: psd::certification::Rated { tariff: "town".parse().unwrap(), ..letter.rated.clone() },
        ..letter
    };
    let (postage, dues) = (letter.shortfall(), [mills(730), mills(640)]);
    Piece {
        key: key(number),
        postage,
        details: Details::Certification(Arc::new(letter), Some(dues.into())),
        ..piece(0)
    }
}

fn opened(psd: &mut Psd, run: &Arc<Run>) -> Event {
    psd.open_run(Arc::clone(run), UnixMillis(NOW)).unwrap();
    Event::RunOpened { stamp: psd.next_stamp(), tenant: tenant(), run: Arc::clone(run) }
}

fn closed(psd: &mut Psd, closed: &ClosedRun) -> Result<Event, RunRefusal> {
    psd.close_run(closed)?;
    Ok(Event::RunClosed { stamp: psd.next_stamp(), tenant: tenant(), closed: Arc::new(closed.clone()) })
}

fn code<T>(refused: Result<T, RunRefusal>) -> &'static str {
    refused.err().map_or("none", |refusal| refusal.code())
}

#[test]
fn what_the_count_takes_away_is_debited_when_the_run_is_closed() {
    let mut psd = certifying(2_000, Algorithm::EcdsaP256);
    let mut copy = psd.clone();
    let run = announced("autumn-7", "2026-11-20");
    let mut events = vec![opened(&mut psd, &run)];
    let mut tally = Tally::of(&run);
    for (number, paid) in [Paid::Nothing, Paid::Imprint(mills(700)), Paid::Imprint(mills(600))].into_iter().enumerate()
    {
        let piece = of_run("autumn-7", u64::try_from(number).unwrap(), paid);
        let record = certify(&mut psd, &piece).unwrap();
        let Details::Certification(letter, Some(dues)) = &piece.details else { panic!() };
        tally.count(letter, dues).unwrap();
        events.push(record.event);
    }
    // 640, 0 and 40 were debited; in full they owe 730, 30 and 130.
    assert_eq!(psd.state().registers.ascending(), mills(680));
    let counted = tally.close(7, &[0]).unwrap();
    assert_eq!((counted.owed, counted.debited, counted.settled()), (mills(890), mills(680), mills(210)));
    events.push(closed(&mut psd, &counted).unwrap());
    let registers = psd.state().registers;
    assert_eq!((registers.ascending(), registers.descending(), registers.piece_count()), (mills(890), mills(1_110), 3));
    for event in &events {
        copy.replay(event, UnixMillis(NOW)).unwrap();
    }
    assert_eq!(copy.state(), psd.state());
    // Nothing of it can come twice.
    assert_eq!(code(psd.clone().close_run(&counted)), "run-not-open");
    assert_eq!(code(psd.clone().open_run(Arc::clone(&run), UnixMillis(NOW))), "run-reused");
    for event in [&events[0], &events[4]] {
        let mut again = event.clone();
        if let Event::RunOpened { stamp, .. } | Event::RunClosed { stamp, .. } = &mut again {
            *stamp = next(&copy);
        }
        assert!(copy.replay(&again, UnixMillis(NOW)).is_err());
    }
    let late = certify(&mut psd, &of_run("autumn-7", 9, Paid::Nothing)).unwrap_err();
    assert_eq!(late.code(), "run-not-open");
}

#[test]
fn a_run_pays_nothing_back_and_is_closed_only_with_the_funds() {
    let mut psd = certifying(700, Algorithm::EcdsaP256);
    let run = announced("r", "2026-11-20");
    opened(&mut psd, &run);
    let piece = of_run("r", 0, Paid::Nothing);
    let record = certify(&mut psd, &piece).unwrap();
    let Details::Certification(letter, Some(dues)) = &piece.details else { panic!() };
    let mut tally = Tally::of(&run);
    tally.count(letter, dues).unwrap();
    let short = tally.close(7, &[0]).unwrap();
    let before = psd.state().clone();
    assert_eq!(code(closed(&mut psd, &short)), "insufficient-funds");
    assert_eq!(*psd.state(), before);
    // A record that debits what is not there does not follow.
    let event = Event::RunClosed { stamp: next(&psd), tenant: tenant(), closed: Arc::new(short.clone()) };
    assert!(psd.clone().replay(&event, UnixMillis(NOW)).is_err());
    let over = ClosedRun { owed: mills(600), ..tally.close(7, &[1]).unwrap() };
    assert_eq!((over.settled(), over.overpaid()), (mills(0), mills(40)));
    closed(&mut psd, &over).unwrap();
    assert_eq!(psd.state().registers, before.registers);
    drop(record);
}

#[test]
fn a_piece_that_its_run_does_not_announce_is_refused_and_debits_nothing() {
    let mut psd = certifying(2_000, Algorithm::EcdsaP256);
    assert_eq!(certify(&mut psd, &of_run("r", 0, Paid::Nothing)).unwrap_err().code(), "run-not-open");
    opened(&mut psd, &announced("r", "2026-11-20"));
    let before = psd.state().clone();
    let good = of_run("r", 0, Paid::Nothing);
    let Details::Certification(letter, dues) = &good.details else { panic!() };
    let other = Certification { destination: "20501".parse().unwrap(), ..(**letter).clone() };
    for (letter, dues) in [(other, dues.clone()), ((**letter).clone(), None)] {
        let piece = Piece { details: Details::Certification(Arc::new(letter), dues), ..good.clone() };
        let refused = certify(&mut psd, &piece).unwrap_err();
        assert!(matches!(refused, Refusal::Run(RunRefusal::NotOfRun { .. })), "{refused}");
    }
    assert_eq!(*psd.state(), before);
    let record = certify(&mut psd, &good).unwrap();
    // Without its run the same record does not follow.
    let mut fresh = certifying(2_000, Algorithm::EcdsaP256);
    let Event::Certification(mut piece) = record.event else { panic!() };
    piece.stamp.sequence -= 1;
    assert!(fresh.replay(&Event::Certification(piece), UnixMillis(NOW)).is_err());
}

#[test]
fn runs_are_refused_in_order() {
    let mut psd = certifying(2_000, Algorithm::EcdsaP256);
    let open = |psd: &mut Psd, id: &str, date: &str| code(psd.open_run(announced(id, date), UnixMillis(NOW)));
    for number in 0..MOST_OPEN {
        assert_eq!(open(&mut psd, &format!("r-{number}"), "2026-11-20"), "none");
    }
    assert_eq!(open(&mut psd, "r-x", "2026-11-20"), "runs-too-many");
    assert_eq!(open(&mut psd, "r-1", "2026-11-20"), "run-reused");
    let mut late = certifying(2_000, Algorithm::EcdsaP256);
    for date in ["2026-11-16", "2026-12-21"] {
        assert_eq!(open(&mut late, "x", date), "date-out-of-window", "{date}");
    }
    // Opened in time, and four days later not closed.
    let four_days = UnixMillis(NOW - 4 * 86_400_000);
    late.open_run(announced("late", "2026-11-16"), four_days).unwrap();
    assert_eq!(open(&mut late, "r", "2026-11-20"), "run-unclosed");
    let mut locked = certifying(2_000, Algorithm::EcdsaP256);
    locked.relock(Locks::NONE.with(LockReason::Operator));
    assert_eq!(open(&mut locked, "r", "2026-11-20"), "psd-locked");
    assert_eq!(open(&mut newborn(), "r", "2026-11-20"), "psd-not-active");
    assert!(matches!(late.withdrawal_terms(), Err(ValueRefusal::RunOpen(_))));
}
