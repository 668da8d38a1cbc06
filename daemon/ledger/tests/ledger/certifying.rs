//! Rate tables and scales in the log: which records are live, which follow, and what certifications may rest on.

use crate::world::*;
use psd::certification::{Certification, Paid, Proof, Rated, Weighed};
use psd::certifying::{ReadingsSigned, RegisteredScale, TakenTable};
use psd::device::{DateWindow, Piece, PieceContext};
use psd::indicium::Details;
use psd::record::{Environment, Event, Record};
use psdd_ledger::verify::{Fault, Finding, Outcome};
use psdd_ledger::{LogReader, NewRecord, Rules};
use std::path::Path;
use std::sync::Arc;

type Change = fn(&mut Certification);

fn table(version: u64) -> Event {
    let (name, from) = ("postland".parse().unwrap(), "2026-01-01".parse().unwrap());
    let digest = [u8::try_from(version).unwrap(); 32];
    Event::RatesTaken(TakenTable { name, version, digest, from, until: None })
}

fn scale(id: &str, site: &str) -> Event {
    Event::ScaleRegistered(RegisteredScale {
        scale: id.parse().unwrap(),
        certificate: "C-1".into(),
        issuer: "Laboratory".into(),
        from: "2026-11-01".parse().unwrap(),
        until: "2027-10-31".parse().unwrap(),
        capacity_mg: 60_000,
        minimum_mg: 2_000,
        resolution_mg: 500,
        maker: "Maker".into(),
        model: "Model".into(),
        site: site.into(),
        signed: ReadingsSigned::Never,
    })
}

fn removed(id: &str) -> Event {
    Event::ScaleRemoved { scale: id.parse().unwrap() }
}

/// A piece that a receipt is to prove, by table 1 on scale dock-1.
fn certified(world: &mut World, change: Change) -> NewRecord {
    let at = world.at();
    let mut certification = Certification {
        date: "2026-11-20".parse().unwrap(),
        destination: "20500".parse().unwrap(),
        weighed: Weighed { weight_mg: 20_000, scale: "dock-1".parse().unwrap(), taken: at.time },
        rated: Rated {
            rates: "postland".parse().unwrap(),
            version: 1,
            digest: [1; 32],
            class: "letter".parse().unwrap(),
            tariff: "full".parse().unwrap(),
        },
        due: mills(730),
        paid: Paid::Nothing,
        run: None,
        proof: Proof::Receipt,
    };
    change(&mut certification);
    let (key, postage) = (world.next_key(), certification.shortfall());
    let details = Details::Certification(Arc::new(certification), None);
    let piece =
        Piece { key, digest: [9; 32], postage, details, recipient: None, reference: None, weight_g: None, token: None };
    let context = PieceContext {
        tenant: &tenant(0),
        clock: Ok(at),
        window: DateWindow { back_days: 1, ahead_days: 30 },
        environment: Environment::Development,
    };
    let psd = world.appliance.psds.get_mut(&psd_id(0)).unwrap();
    let record = psd.prepare(&piece, &context).unwrap().recorded();
    world.appliance.latest = record.at;
    record.into()
}

fn certify(world: &mut World) {
    let record = certified(world, |_| {});
    world.commit(vec![record]);
}

fn broken(dir: &Path) -> Finding {
    match verify(dir) {
        Outcome::Broken(finding) => *finding,
        Outcome::Holds(_) => panic!("nothing found"),
    }
}

#[test]
fn tables_and_scales_hold_and_survive_restarts_with_the_newest_of_each_live() {
    let dir = tempfile::tempdir().unwrap();
    // A state digest every few records, so that a start goes from the live records as well.
    let rules = Rules { state_digest_records: 8, ..Rules::default() };
    let mut world = World::born(dir.path(), 1, rules);
    world.commit_events(vec![table(1), scale("dock-1", "Dock 1"), scale("dock-2", "Dock 2")]);
    certify(&mut world);
    world.commit_events(vec![removed("dock-2"), scale("dock-1", "Dock 7"), table(2)]);
    world.commit_pieces(20);
    world.checkpoint();
    world.commit_events(vec![scale("dock-2", "Dock 8"), removed("dock-1")]);
    assert!(matches!(verify(dir.path()), Outcome::Holds(_)));
    let (mut world, _) = world.reopened(dir.path(), rules);
    let sites: Vec<_> = world.appliance.certifying.scales().map(|scale| scale.site.to_string()).collect();
    assert_eq!((sites, world.appliance.certifying.tables().len()), (vec!["Dock 8".to_owned()], 2));
    // Superseded rows stay until the next digest, and are not what is told.
    let log = LogReader::open(dir.path()).unwrap();
    let live = |prefix| -> Vec<Event> {
        let records = log.live_of_appliance(prefix).unwrap().into_iter();
        records.map(|(_, bytes)| Record::decode(&bytes).unwrap().event).collect()
    };
    assert_eq!(live("scale:"), [removed("dock-1"), scale("dock-2", "Dock 8")]);
    assert_eq!(live("rates:"), [table(1), table(2)]);
    assert!(live("scale").len() == 2 && live("scale:dock-3").is_empty() && live("sc_le:").is_empty());
    world.commit_events(vec![removed("dock-2")]);
    assert!(matches!(verify(dir.path()), Outcome::Holds(_)));
}

#[test]
fn records_that_do_not_follow_are_found_and_stop_a_start() {
    let rows = [
        ("the same table", table(1), "postland version 1 stands in the log already"),
        ("the same entry", scale("dock-1", "Dock 1"), "dock-1 is registered as it stands in the log already"),
        ("nobody's removal", removed("dock-2"), "dock-2 is not registered"),
    ];
    for (name, event, words) in rows {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::born(dir.path(), 1, Rules::default());
        world.commit_events(vec![table(1), scale("dock-1", "Dock 1")]);
        let record = Record { at: world.at(), event };
        world.commit(vec![record.into()]);
        let finding = broken(dir.path());
        assert!(finding.to_string().contains(words), "{name}: {finding}");
        assert_eq!(finding.leaf, Some(world.journal.size() - 1), "{name}");
        drop(world);
        let refused = recover(dir.path(), Rules::default()).err().expect(name).to_string();
        assert!(refused.contains(words), "{name}: {refused}");
    }
}

#[test]
fn a_certification_that_rests_on_nothing_is_found() {
    let rows: [(Change, &str); 4] = [
        (|it| it.weighed.scale = "dock-2".parse().unwrap(), "dock-2"),
        (|it| it.weighed.weight_mg = 20_001, "cannot have read 20001 mg"),
        (|it| it.rated.digest = [2; 32], "another digest"),
        (|it| it.rated.version = 2, "not taken"),
    ];
    for (change, words) in rows {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::born(dir.path(), 1, Rules::default());
        world.commit_events(vec![table(1), scale("dock-1", "Dock 1")]);
        certify(&mut world);
        assert!(matches!(verify(dir.path()), Outcome::Holds(_)));
        let record = certified(&mut world, change);
        world.commit(vec![record]);
        let finding = broken(dir.path());
        assert!(matches!(finding.fault, Fault::Unfounded(_)) && finding.to_string().contains(words), "{finding}");
        assert_eq!(finding.leaf, Some(world.journal.size() - 1));
    }
    // Before its records it rests on nothing either.
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::born(dir.path(), 1, Rules::default());
    certify(&mut world);
    world.commit_events(vec![table(1), scale("dock-1", "Dock 1")]);
    assert!(matches!(broken(dir.path()).fault, Fault::Unfounded(_)));
}
