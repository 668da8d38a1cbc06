use super::*;
use crate::UnixMillis;
use crate::certification::{Paid, Proof, Rated, Weighed};
use crate::clock::{ClockReading, ClockSource};
use crate::id::PsdId;
use crate::record::{Event, LONGEST_RECORD, Record, Stamp};
use crate::register::Registers;
use proptest::prelude::*;

fn mills(mills: u64) -> PostageAmount {
    PostageAmount::from_mills(mills).unwrap()
}

fn terms(tariffs: &[&str]) -> RunTerms {
    RunTerms {
        id: "autumn-7".parse().unwrap(),
        digest: [1; 32],
        date: "2026-11-27".parse().unwrap(),
        rates: "postland".parse().unwrap(),
        version: 3,
        rates_digest: [7; 32],
        class: "letter".parse().unwrap(),
        tariffs: tariffs.iter().map(|tariff| tariff.parse().unwrap()).collect(),
    }
}

fn run(destinations: &[(u32, u32, u8)]) -> Result<Run, RunError> {
    let destinations =
        destinations.iter().map(|(zip, pieces, tariff)| Destination { zip: *zip, pieces: *pieces, tariff: *tariff });
    Run::new(terms(&["full", "5-digit"]), destinations.collect())
}

fn piece(zip: &str, tariff: &str, due: u64, paid: u64) -> Certification {
    Certification {
        date: "2026-11-27".parse().unwrap(),
        destination: zip.parse().unwrap(),
        weighed: Weighed { weight_mg: 28_350, scale: "dock-3".parse().unwrap(), taken: UnixMillis(1) },
        rated: Rated {
            rates: "postland".parse().unwrap(),
            version: 3,
            digest: [7; 32],
            class: "letter".parse().unwrap(),
            tariff: tariff.parse().unwrap(),
        },
        due: mills(due),
        paid: if paid == 0 { Paid::Nothing } else { Paid::Imprint(mills(paid)) },
        run: Some("autumn-7".parse().unwrap()),
        proof: Proof::Receipt,
    }
}

fn record(event: Event) -> Vec<u8> {
    let at = ClockReading { time: UnixMillis(1), source: ClockSource::Development, error_ms: 0, epoch: 1 };
    Record { at, event }.encode()
}

fn stamp() -> Stamp {
    Stamp { psd: PsdId::new(*b"PS", *b"01", 1).unwrap(), sequence: 9, registers: Registers::default() }
}

#[test]
fn what_no_run_can_be_is_refused() {
    assert!(run(&[(10_001, 150, 1), (10_002, 1, 0)]).is_ok());
    let refused = |destinations: &[(u32, u32, u8)]| run(destinations).unwrap_err();
    assert_eq!(refused(&[]), RunError::Destinations(0));
    assert_eq!(refused(&[(10_001, 1, 2)]), RunError::Tariffs(2), "a tariff of nothing");
    assert_eq!(refused(&[(10_001, 1, 0), (10_001, 1, 0)]), RunError::Order(10_001));
    assert_eq!(refused(&[(10_002, 1, 0), (10_001, 1, 0)]), RunError::Order(10_001));
    assert_eq!(refused(&[(10_001, 0, 0)]), RunError::Empty(10_001));
    assert_eq!(refused(&[(100_000, 1, 0)]), RunError::Empty(100_000));
    assert_eq!(refused(&[(1, 1_000_000, 0), (2, 1, 0)]), RunError::Pieces(1_000_001));
    let many: Vec<(u32, u32, u8)> = (0..10_001).map(|zip| (zip, 1, 0)).collect();
    assert_eq!(refused(&many), RunError::Destinations(10_001));
}

/// Steps as long as they can all be, counts as long as they can all be: both records have their place in the log.
#[test]
fn the_longest_run_fits_a_record() {
    let name = "a".repeat(64);
    let mut longest = terms(&[name.as_str(); MOST_TARIFFS]);
    (longest.id, longest.rates, longest.class) = (name.parse().unwrap(), name.parse().unwrap(), name.parse().unwrap());
    let mut zip = 0;
    let destinations = (0..10_000u32).map(|place| {
        // 9,000 steps of 1 leave 91,000 for 355 of 256; a step of 24 takes two bytes, and 3,700 of them as much room.
        zip += if place < 3_700 { 24 } else { 1 };
        Destination { zip, pieces: if place < 3_000 { 256 } else { 30 }, tariff: 15 }
    });
    let run = Arc::new(Run::new(longest, destinations.collect()).unwrap());
    let event = Event::RunOpened { stamp: stamp(), tenant: name.parse().unwrap(), run: Arc::clone(&run) };
    let bytes = record(event);
    assert!(bytes.len() < LONGEST_RECORD, "{}", bytes.len());
    let counted = Counted { pieces: u32::MAX, tariff: 15 };
    let (owed, debited) = (PostageAmount::MAX, PostageAmount::ZERO);
    let closed =
        ClosedRun { id: run.id.clone(), opened: u64::MAX, owed, debited, counted: vec![counted; 10_000].into() };
    let bytes = record(Event::RunClosed { stamp: stamp(), tenant: name.parse().unwrap(), closed: Arc::new(closed) });
    assert!(bytes.len() < LONGEST_RECORD, "{}", bytes.len());
}

#[test]
fn a_piece_that_is_not_as_announced_is_not_counted() {
    let run = Arc::new(run(&[(10_001, 150, 1), (10_002, 1, 0)]).unwrap());
    let mut tally = Tally::of(&run);
    let dues = [mills(650), mills(600)];
    let good = piece("10001-0001", "5-digit", 600, 0);
    let other = |change: fn(&mut Certification)| {
        let mut piece = good.clone();
        change(&mut piece);
        piece
    };
    let wrong = [
        other(|piece| piece.destination = "10003".parse().unwrap()),
        other(|piece| piece.run = None),
        other(|piece| piece.run = Some("other".parse().unwrap())),
        other(|piece| piece.date = "2026-11-28".parse().unwrap()),
        other(|piece| piece.rated.class = "flat".parse().unwrap()),
        other(|piece| piece.rated.digest = [8; 32]),
        other(|piece| piece.rated.tariff = "full".parse().unwrap()),
        other(|piece| piece.due = mills(650)),
    ];
    for piece in &wrong {
        assert!(tally.count(piece, &dues).is_err(), "{piece:?}");
    }
    assert!(tally.count(&good, &dues[..1]).is_err());
    assert_eq!(tally.total(), 0);
    tally.count(&good, &dues).unwrap();
    assert_eq!((tally.total(), tally.counts().collect::<Vec<_>>()), (1, vec![(10_001, 1), (10_002, 0)]));
    assert_eq!(tally.close(4, &[0]), None, "a tariff for each ZIP");
    assert_eq!(tally.close(4, &[0, 2]), None, "and one of the run");
}

proptest! {
    /// What the pieces paid and what the closing debits is together what the run owes at the tariffs found, or more by what is told as
    /// overpaid.
    #[test]
    fn the_total_of_a_run_is_the_sum_of_its_parts(
        pieces in prop::collection::vec((any::<bool>(), 1u64..2_000, 0u64..500, 0u64..2_500), 0..200),
        counted in (0u8..2, 0u8..2),
    ) {
        let run = Arc::new(run(&[(10_001, 150, 1), (10_002, 1, 0)]).unwrap());
        let mut tally = Tally::of(&run);
        let (mut owed, mut debited) = (0, 0);
        for (first, full, off, paid) in &pieces {
            let dues = [mills(*full), mills(full.saturating_sub(*off))];
            let (zip, tariff, by_count, place) =
                if *first { ("10001", "5-digit", counted.0, 1) } else { ("10002", "full", counted.1, 0) };
            let piece = piece(zip, tariff, dues[place].mills(), *paid);
            tally.count(&piece, &dues).unwrap();
            owed += dues[usize::from(by_count)].mills().saturating_sub(*paid);
            debited += piece.shortfall().mills();
        }
        let closed = tally.close(4, &[counted.0, counted.1]).unwrap();
        prop_assert_eq!((closed.owed.mills(), closed.debited.mills()), (owed, debited));
        prop_assert_eq!(debited + closed.settled().mills(), owed + closed.overpaid().mills());
        prop_assert!(closed.settled() == PostageAmount::ZERO || closed.overpaid() == PostageAmount::ZERO);
        prop_assert_eq!(usize::try_from(closed.pieces()).unwrap(), pieces.len());
        let event = Event::RunClosed { stamp: stamp(), tenant: "acme".parse().unwrap(), closed: Arc::new(closed) };
        let bytes = record(event.clone());
        prop_assert_eq!(Record::decode(&bytes).unwrap().event, event);
    }

    #[test]
    fn a_run_has_one_encoding(
        destinations in prop::collection::btree_map(0u32..100_000, (1u32..5_000, 0u8..2), 1..100),
    ) {
        let destinations: Vec<(u32, u32, u8)> =
            destinations.into_iter().map(|(zip, (pieces, tariff))| (zip, pieces, tariff)).collect();
        let run = Arc::new(run(&destinations).unwrap());
        for (zip, pieces, tariff) in destinations {
            prop_assert_eq!(run.place(zip).map(|place| run.destinations()[place].pieces), Some(pieces));
            prop_assert_eq!(run.tariff(zip), Some(&run.tariffs[usize::from(tariff)]));
        }
        let event = Event::RunOpened { stamp: stamp(), tenant: "acme".parse().unwrap(), run };
        let bytes = record(event.clone());
        prop_assert_eq!(Record::decode(&bytes).unwrap().event, event);
    }
}
