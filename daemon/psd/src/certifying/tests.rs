use super::*;
use crate::certification::{Certification, Paid, Proof, Rated, Weighed};
use crate::clock::{ClockReading, ClockSource};
use crate::digest::StateFacts;
use crate::money::PostageAmount;
use crate::record::{Record, RecordError};
use crate::time::{MailingDate, UnixMillis};

type Change<T> = fn(&mut T);

/// 2026-11-27T00:00:00Z.
const NOW: UnixMillis = UnixMillis(1_795_737_600_000);

fn date(text: &str) -> MailingDate {
    text.parse().unwrap()
}

fn table(version: u64, from: &str, until: Option<&str>) -> TakenTable {
    let digest = [u8::try_from(version).unwrap(); 32];
    TakenTable { name: "postland".parse().unwrap(), version, digest, from: date(from), until: until.map(date) }
}

fn scale(id: &str) -> RegisteredScale {
    RegisteredScale {
        scale: id.parse().unwrap(),
        certificate: "D-K-15000-2026-07".into(),
        issuer: "Example Calibration Laboratory".into(),
        from: date("2026-11-01"),
        until: date("2027-10-31"),
        capacity_mg: 60_000,
        minimum_mg: 2_000,
        resolution_mg: 500,
        maker: "Example Waagen".into(),
        model: "EW 60".into(),
        site: "Dock 1".into(),
        signed: ReadingsSigned::Optional([1, 2, 3].as_slice().into()),
    }
}

/// The state after these events, each of which must follow.
fn after(events: &[Event]) -> Certifying {
    let mut certifying = Certifying::default();
    for event in events {
        certifying.check(event).unwrap();
        certifying.fold(event);
    }
    certifying
}

fn basis(tables: &[TakenTable], scales: &[RegisteredScale]) -> Basis {
    Basis { tables: tables.to_vec(), scales: scales.to_vec() }
}

#[test]
fn what_the_log_says_already_is_not_written_again() {
    let (tables, scales) = ([table(1, "2026-01-01", None), table(2, "2026-12-01", None)], [scale("b"), scale("a")]);
    let events = Certifying::default().changes_to(&basis(&tables, &scales)).unwrap();
    let slots: Vec<_> = events.iter().filter_map(Event::slot).collect();
    assert_eq!(slots, ["rates:postland:1", "rates:postland:2", "scale:a", "scale:b"]);
    let known = after(&events);
    assert_eq!(known.changes_to(&basis(&tables, &scales)), Ok(Vec::new()));
    // A lower version that is archived elsewhere by now is no matter.
    assert_eq!(known.changes_to(&basis(&tables[1..], &scales)), Ok(Vec::new()));

    let moved = RegisteredScale { site: "Dock 2".into(), ..scale("b") };
    let events = known.changes_to(&basis(&tables, std::slice::from_ref(&moved))).unwrap();
    let removed = Event::ScaleRemoved { scale: "a".parse().unwrap() };
    assert_eq!(events, [removed, Event::ScaleRegistered(moved)]);
    assert!(
        known.changes_to(&Basis::default()).unwrap().iter().all(|event| matches!(event, Event::ScaleRemoved { .. }))
    );
}

#[test]
fn a_table_that_was_taken_is_neither_replaced_nor_left_out_between_others() {
    let [one, two, three] = [table(1, "2026-01-01", None), table(2, "2026-06-01", None), table(3, "2026-12-01", None)];
    let known = after(&[one.clone(), two.clone(), three.clone()].map(Event::RatesTaken));
    for wrong in [TakenTable { digest: [9; 32], ..two.clone() }, TakenTable { from: date("2026-06-02"), ..two.clone() }]
    {
        let error = CertifyingError::SameVersion { name: "postland".parse().unwrap(), version: 2 };
        assert_eq!(known.changes_to(&basis(&[wrong.clone(), three.clone()], &[])), Err(error.clone()));
        assert_eq!(known.check(&Event::RatesTaken(wrong)), Err(error));
    }
    for (left, missing) in [(vec![one.clone(), three.clone()], 2), (vec![one, two], 3)] {
        let error = CertifyingError::Missing { name: "postland".parse().unwrap(), version: missing };
        assert_eq!(known.changes_to(&basis(&left, &[])), Err(error));
    }
}

#[test]
fn a_record_says_something_new() {
    let known = after(&[Event::RatesTaken(table(1, "2026-01-01", None)), Event::ScaleRegistered(scale("a"))]);
    assert!(known.check(&Event::RatesTaken(table(1, "2026-01-01", None))).is_err(), "the same table again");
    let again = known.check(&Event::ScaleRegistered(scale("a")));
    assert_eq!(again, Err(CertifyingError::NothingNew("a".parse().unwrap())));
    let unknown = known.check(&Event::ScaleRemoved { scale: "b".parse().unwrap() });
    assert_eq!(unknown, Err(CertifyingError::NotRegistered("b".parse().unwrap())));
    let removed = after(&[Event::ScaleRegistered(scale("a")), Event::ScaleRemoved { scale: "a".parse().unwrap() }]);
    assert_eq!(removed.scales().len(), 0);
    assert!(removed.check(&Event::ScaleRegistered(scale("a"))).is_ok(), "one may come back");
}

#[test]
fn the_newest_record_of_a_scale_is_the_live_one() {
    let mut facts = StateFacts::default();
    let removed = Event::ScaleRemoved { scale: "a".parse().unwrap() };
    for (leaf, event) in
        [(3, Event::ScaleRegistered(scale("a"))), (5, Event::RatesTaken(table(7, "2026-01-01", None))), (9, removed)]
    {
        facts.note(leaf, &event);
    }
    let live: Vec<_> = facts.appliance.live.iter().map(|(slot, leaf)| (slot.as_str(), *leaf)).collect();
    assert_eq!(live, [("rates:postland:7", 5), ("scale:a", 9)]);
}

fn certified(change: impl FnOnce(&mut Certification)) -> Certification {
    let mut certification = Certification {
        date: date("2026-11-27"),
        destination: "20500".parse().unwrap(),
        weighed: Weighed { weight_mg: 28_500, scale: "a".parse().unwrap(), taken: NOW },
        rated: Rated {
            rates: "postland".parse().unwrap(),
            version: 2,
            digest: [2; 32],
            class: "letter".parse().unwrap(),
            tariff: "full".parse().unwrap(),
        },
        due: PostageAmount::ZERO,
        paid: Paid::Nothing,
        run: None,
        proof: Proof::Receipt,
    };
    change(&mut certification);
    certification
}

#[test]
fn a_certification_rests_on_what_was_in_force() {
    let tables =
        [table(1, "2026-01-01", None), table(2, "2026-11-01", Some("2026-11-28")), table(3, "2026-12-01", None)];
    let mut events: Vec<Event> = tables.map(Event::RatesTaken).into();
    events.push(Event::ScaleRegistered(scale("a")));
    let known = after(&events);
    let told = |change: fn(&mut Certification)| -> Vec<String> {
        known.unfounded(&certified(change)).map(|what| what.to_string()).collect()
    };
    assert!(told(|_| {}).is_empty());
    assert!(told(|it| it.weighed.taken = date("2026-11-01").begins()).is_empty(), "the first instant");
    assert!(told(|it| it.weighed.taken = UnixMillis(date("2027-11-01").begins().0 - 1)).is_empty(), "the last one");
    assert!(told(|it| it.weighed.weight_mg = 2_000).is_empty() && told(|it| it.weighed.weight_mg = 60_000).is_empty());
    assert!(told(|it| it.date = date("2026-11-28")).is_empty(), "the last day");
    let rows: [(Change<Certification>, &str); 11] = [
        (|it| it.weighed.scale = "b".parse().unwrap(), "not registered"),
        (|it| it.weighed.taken = UnixMillis(date("2026-11-01").begins().0 - 1), "its calibration is from 2026-11-01"),
        (|it| it.weighed.taken = date("2027-11-01").begins(), "its calibration is from 2026-11-01"),
        (|it| it.weighed.weight_mg = 1_500, "below its smallest load, 2000 mg"),
        (|it| it.weighed.weight_mg = 60_500, "beyond its capacity, 60000 mg"),
        (|it| it.weighed.weight_mg = 28_501, "between its readings, which are multiples of 500 mg"),
        (|it| it.rated.version = 4, "postland version 4, by which it was rated, was not taken"),
        (|it| it.rated.digest = [3; 32], "has another digest"),
        (|it| it.date = date("2026-10-31"), "was not in force on 2026-10-31, but version 1"),
        (|it| it.date = date("2026-11-29"), "was not in force on 2026-11-29, but none"),
        (|it| it.date = date("2026-12-01"), "was not in force on 2026-12-01, but version 3"),
    ];
    for (change, words) in rows {
        let told = told(change);
        assert!(told.len() == 1 && told[0].contains(words), "{words}: {told:?}");
    }
    let both = told(|it| (it.weighed.weight_mg, it.rated.version) = (1, 9));
    assert_eq!(both.len(), 2, "one thing of the scale, one of the table: {both:?}");
}

#[test]
fn entries_that_make_no_sense_are_no_records() {
    let at = ClockReading { time: NOW, source: ClockSource::Development, error_ms: 0, epoch: 1 };
    let read = |scale| Record::decode(&Record { at, event: Event::ScaleRegistered(scale) }.encode());
    assert!(read(scale("a")).is_ok());
    let rows: [(Change<RegisteredScale>, u8); 9] = [
        (|it| it.until = date("2026-10-31"), 11),
        (|it| it.resolution_mg = 0, 12),
        (|it| it.capacity_mg = 60_001, 12),
        (|it| (it.capacity_mg, it.minimum_mg) = (0, 0), 12),
        (|it| (it.capacity_mg, it.resolution_mg) = (1 << 63, 1), 12),
        (|it| it.minimum_mg = 60_500, 12),
        (|it| it.site = "".into(), 9),
        (|it| it.maker = "a".repeat(81).into(), 9),
        (|it| it.issuer = "two\nlines".into(), 9),
    ];
    for (change, key) in rows {
        let mut wrong = scale("a");
        change(&mut wrong);
        assert_eq!(read(wrong.clone()), Err(RecordError::BadValue(key)), "{wrong:?}");
    }
    let ended = TakenTable { until: Some(date("2025-12-31")), ..table(1, "2026-01-01", None) };
    let read = Record::decode(&Record { at, event: Event::RatesTaken(ended) }.encode());
    assert_eq!(read, Err(RecordError::BadValue(12)));
}

#[test]
fn a_calibration_stands_by_days() {
    let standing = |day: &str| scale("a").standing(date(day).begins(), 30);
    assert_eq!(standing("2026-10-31"), Standing::NotYetValid { days: 1 });
    assert_eq!(standing("2026-11-01"), Standing::Valid);
    assert_eq!(standing("2027-10-02"), Standing::Due { days: 30 });
    assert_eq!(standing("2027-10-31"), Standing::Due { days: 1 });
    assert_eq!(standing("2027-11-01"), Standing::Overdue { days: 1 });
    assert!(standing("2027-10-31").is_current() && !standing("2027-11-01").is_current());
}
