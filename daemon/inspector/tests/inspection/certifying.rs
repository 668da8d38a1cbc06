//! Scales and rate tables in the log: what certifications may rest on where they stand, what is due, and how an inspector sees it.

use crate::findings::shown;
use crate::world::{DAY, World};
use psd::UnixMillis;
use psd::certification::Certification;
use psd::certifying::RegisteredScale;
use psd::record::{Event, Record};
use psdd_inspector::{Code, FleetView, Rules, page};

type Change = fn(&mut Certification);

/// PSD 0 certifies by table 1 on scale dock-1.
fn certifying() -> (World, [u64; 2]) {
    let mut world = World::born(1);
    let leaves = world.certifying(0);
    (world, leaves)
}

fn view(world: &World, dir: &std::path::Path) -> FleetView {
    let (mirror, fold) = world.inspected(dir);
    fold.view(&mirror, &Rules::default(), UnixMillis(world.now)).unwrap()
}

#[test]
fn each_certification_is_judged_by_what_stands_before_it() {
    let rows: [(Code, Change, &str); 9] = [
        (Code::ScaleUnregistered, |it| it.weighed.scale = "dock-2".parse().unwrap(), "dock-2"),
        (Code::ScaleNotCalibrated, |it| it.weighed.taken.0 -= 30 * DAY, "2026-11-01"),
        (Code::WeightNotOfScale, |it| it.weighed.weight_mg = 1_500, "smallest load"),
        (Code::WeightNotOfScale, |it| it.weighed.weight_mg = 60_500, "capacity"),
        (Code::WeightNotOfScale, |it| it.weighed.weight_mg = 20_001, "multiples of 500 mg"),
        (Code::RatesNotTaken, |it| it.rated.version = 2, "not taken"),
        (Code::RatesNotTaken, |it| it.rated.digest = [7; 32], "another digest"),
        (Code::RatesNotTaken, |it| it.rated.rates = "elsewhere".parse().unwrap(), "elsewhere version 1"),
        (Code::RatesNotInForce, |it| it.date = "2026-12-10".parse().unwrap(), "but version 3"),
    ];
    for (code, change, words) in rows {
        let (mut world, _) = certifying();
        world.push(Event::RatesTaken(World::table(3, "2026-12-01")));
        world.certify(0, None);
        let record = world.certified_as(0, None, |_| {}, change);
        let leaf = world.push_wrong(&record);
        world.certify(0, None);
        let finding = shown(&world, code, Some(0), &[leaf]);
        assert!(finding.says.contains(words), "{code:?}: {}", finding.says);
    }
}

/// What was right once is wrong behind a record that changes it, and what is right now was wrong before.
#[test]
fn scales_and_tables_count_from_their_record_on_and_in_a_later_run_too() {
    let (mut world, _) = certifying();
    world.certify(0, None);
    let dir = tempfile::tempdir().unwrap();
    drop(world.inspected(dir.path()));
    world.push(Event::ScaleRemoved { scale: "dock-1".parse().unwrap() });
    let removed = world.certify(0, None);
    let found = view(&world, dir.path()).findings;
    assert_eq!((found.len(), found[0].code, found[0].leaves.as_slice()), (1, Code::ScaleUnregistered, &[removed][..]));
    // It comes back with a finer step, and what it read before is no reading of it any more.
    world.push(Event::ScaleRegistered(RegisteredScale {
        resolution_mg: 30_000,
        ..World::scale("dock-1", "2026-11-01", "2027-10-31")
    }));
    let coarse = world.certify(0, None);
    world.push(Event::RatesTaken(World::table(2, "2026-11-02")));
    world.push(Event::ScaleRegistered(World::scale("dock-1", "2026-11-01", "2027-10-31")));
    let late = world.certify(0, None);
    let found: Vec<_> = view(&world, dir.path()).findings.into_iter().map(|found| (found.code, found.leaves)).collect();
    let wanted = [
        (Code::ScaleUnregistered, vec![removed]),
        (Code::WeightNotOfScale, vec![coarse]),
        (Code::RatesNotInForce, vec![late]),
    ];
    assert_eq!(found, wanted);
    // The same at one go.
    assert_eq!(
        world.findings(&Rules::default()).into_iter().map(|found| (found.code, found.leaves)).collect::<Vec<_>>(),
        wanted
    );
}

#[test]
fn records_of_scales_and_tables_that_do_not_follow_are_found() {
    let again = Event::RatesTaken(World::table(1, "2026-01-01"));
    let unknown = Event::ScaleRemoved { scale: "dock-9".parse().unwrap() };
    for event in [again, unknown] {
        let (mut world, _) = certifying();
        let record = Record { at: world.at(), event };
        let leaf = world.push_wrong(&record);
        shown(&world, Code::NotPermitted, None, &[leaf]);
    }
}

#[test]
fn a_calibration_that_ends_or_has_ended_is_told() {
    let (mut world, [_, dock_1]) = certifying();
    // 2027-10-01 is 31 days before the end of 2027-10-31.
    let at = |day: &str| day.parse::<psd::MailingDate>().unwrap().begins().0;
    let rules = Rules::default();
    let found = |world: &World, rules: &Rules| -> Vec<_> {
        world.findings(rules).into_iter().filter(|found| found.code == Code::CalibrationDue).collect()
    };
    world.now = at("2027-10-01");
    assert!(found(&world, &rules).is_empty());
    assert_eq!(found(&world, &Rules { calibration_notice_days: 31, ..rules }).len(), 1);
    world.now = at("2027-10-02");
    let due = found(&world, &rules);
    assert_eq!((due[0].leaves.as_slice(), due[0].severity), (&[dock_1][..], psdd_inspector::Severity::Amber));
    assert!(due[0].says.contains("ends after 2027-10-31, in 30 days"), "{}", due[0].says);
    world.now = at("2027-11-01");
    let over = found(&world, &rules);
    assert!(over[0].says.contains("ended after 2027-10-31, and the scale is registered still"), "{}", over[0].says);
    world.push(Event::ScaleRemoved { scale: "dock-1".parse().unwrap() });
    assert!(found(&world, &rules).is_empty(), "one that is not registered any more asks for nothing");
}

#[test]
fn the_view_counts_what_was_certified_in_every_run() {
    let (mut world, [table, scale]) = certifying();
    let dir = tempfile::tempdir().unwrap();
    world.certify(0, None);
    drop(world.inspected(dir.path()));
    let read = world.now;
    world.certify(0, None);
    let future = world.push(Event::RatesTaken(World::table(2, "2026-12-01")));
    let seen = view(&world, dir.path());
    let [dock_1] = seen.scales.as_slice() else { panic!("{:?}", seen.scales) };
    assert_eq!(
        (dock_1.scale.as_str(), dock_1.leaf, dock_1.standing.as_str(), dock_1.days),
        ("dock-1", scale, "valid", None)
    );
    assert_eq!((dock_1.certifications, dock_1.weight_mg, dock_1.last_reading_ms), (2, 40_000, Some(read)));
    let rates: Vec<_> =
        seen.rates.iter().map(|rates| (rates.version, rates.leaf, rates.state.as_str(), rates.pieces)).collect();
    assert_eq!(rates, [(1, table, "in force", 2), (2, future, "to come", 0)]);
    let html = page(&seen);
    assert!(html.contains("<h2>Scales</h2>") && html.contains("<h2>Rate tables</h2>"));
    assert!(html.contains("&lt;Dock&gt; 1") && !html.contains("<Dock>"), "what the log says is text");
    assert!(html.contains("2026-11-01 to 2027-10-31") && html.contains("0101010101010101<"));
    // Where nothing is certified there is nothing of it.
    let html = page(&view(&World::born(1), tempfile::tempdir().unwrap().path()));
    assert!(!html.contains("<h2>Scales</h2>") && !html.contains("<h2>Rate tables</h2>"));
}
