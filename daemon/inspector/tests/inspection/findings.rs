//! Each finding, by a log that shows it: validly hashed and signed, with the tampering inside.

use crate::world::{DAY, Key, START, World, ca, mills, psd_id};
use psd::authority::Act;
use psd::clock::ClockReading;
use psd::custody::KeyStep;
use psd::inspection::InspectionPeriods;
use psd::key::{Algorithm, Role};
use psd::lifecycle::{Lifecycle, LockReason, Locks};
use psd::policy::PolicyText;
use psd::record::{AuthorityPurpose, Event, Record};
use psd::{Registers, UnixMillis};
use psdd_inspector::{Code, Finding, Fold, FoldError, Mirror, Rules, Severity, UpdateError};
use std::sync::Arc;

fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().map(|finding| finding.code).collect()
}

/// The one finding there is: its code, that it names the PSD or nobody, and its leaves.
fn one(world: &World, rules: &Rules) -> Finding {
    let findings = world.findings(rules);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings[0].clone()
}

pub fn shown(world: &World, code: Code, psd: Option<usize>, leaves: &[u64]) -> Finding {
    let finding = one(world, &Rules::default());
    assert_eq!((finding.code, finding.leaves.as_slice()), (code, leaves), "{finding:?}");
    assert_eq!(finding.psd, psd.map(|number| psd_id(number).to_string()));
    finding
}

fn registers(ascending: u64, descending: u64, pieces: u64) -> Registers {
    Registers::from_parts(mills(ascending), mills(descending), mills(ascending + descending), pieces).unwrap()
}

#[test]
fn an_honest_log_has_no_findings() {
    let mut world = World::born(2);
    for n in 0..600 {
        world.sign(n % 2);
    }
    let mark = world.sign(1);
    world.refund(1, mark);
    world.make_key(0, Role::Indicium, 2);
    world.key_step(0, 2, KeyStep::Activated, world.now);
    world.key_step(0, 1, KeyStep::Revoked, world.now - 1_000);
    let (digest, psds) = (world.facts.digest(), 2);
    world.push(Event::StateDigest { digest, psds });
    world.instruct(1, &Act::Lock(psd_id(1)));
    lock(&mut world, 1, Locks::NONE.with(LockReason::Authority));
    world.withdraw(1);
    assert_eq!(world.findings(&Rules::default()), []);
}

fn lock(world: &mut World, number: usize, locks: Locks) -> u64 {
    let stamp = world.next_stamp(number);
    world.push(Event::LifecycleChanged { stamp, lifecycle: Lifecycle::Active, locks })
}

#[test]
fn an_instruction_at_the_end_of_one_run_has_its_effect_in_the_next() {
    let authority = Locks::NONE.with(LockReason::Authority);
    for (locks, wanted) in [(authority, vec![]), (Locks::NONE, vec![Code::Instruction])] {
        let mut world = World::born(1);
        let dir = tempfile::tempdir().unwrap();
        world.instruct(1, &Act::Lock(psd_id(0)));
        drop(world.inspected(dir.path()));
        lock(&mut world, 0, locks);
        let (mirror, fold) = world.inspected(dir.path());
        let view = fold.view(&mirror, &Rules::default(), UnixMillis(world.now)).unwrap();
        assert_eq!(codes(&view.findings), wanted, "{:#?}", view.findings);
    }
}

#[test]
fn a_state_of_another_log_is_not_gone_by() {
    let (first, second) = (World::born(0), World::born(0));
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(first.inspected(dir.path()));
    let (mut mirror, fold) = second.inspected(other.path());
    drop(fold);
    std::fs::copy(dir.path().join("fold/state"), other.path().join("fold/state")).unwrap();
    assert!(matches!(Fold::open(&mut mirror), Err(FoldError::Witness(_))));
}

#[test]
fn a_control_total_that_does_not_add_up() {
    let mut world = World::born(1);
    world.sign(0);
    let record = world.piece(0);
    let mut bytes = record.encode();
    // The control total is the third of key 5: its eight-byte form follows ascending and descending.
    let total = 1_000_000_000u32.to_be_bytes();
    let at = bytes.windows(5).position(|window| window == [&[0x1a][..], &total].concat()).unwrap();
    bytes[at + 4] += 1;
    let leaf = world.size();
    world.entries.push(bytes);
    world.sign(0);
    world.sign(0);
    let finding = shown(&world, Code::ControlTotal, Some(0), &[leaf]);
    assert!(finding.says.contains("1000000.001"), "{}", finding.says);
    assert_eq!(finding.severity, Severity::Red);
}

#[test]
fn a_control_total_that_rises_by_itself() {
    let mut world = World::born(1);
    let before = world.sign(0);
    let mut stamp = world.next_stamp(0);
    stamp.registers = registers(730, 2_000_000_000, 1);
    let record = Record {
        at: world.at(),
        event: Event::LifecycleChanged { stamp, lifecycle: Lifecycle::Active, locks: Locks::NONE },
    };
    let leaf = world.push_wrong(&record);
    world.sign(0);
    shown(&world, Code::ControlTotal, Some(0), &[before, leaf]);
}

#[test]
fn registers_that_do_not_follow() {
    let mut world = World::born(1);
    let before = world.sign(0);
    let mut stamp = world.next_stamp(0);
    stamp.registers = registers(0, 1_000_000_000, 0);
    let event = Event::LifecycleChanged { stamp, lifecycle: Lifecycle::Active, locks: Locks::NONE };
    let record = Record { at: world.at(), event };
    let leaf = world.push_wrong(&record);
    shown(&world, Code::Registers, Some(0), &[before, leaf]);
}

#[test]
fn a_record_that_was_left_out() {
    let mut world = World::born(1);
    let before = world.sign(0);
    world.piece(0);
    let leaf = world.sign(0);
    world.sign(0);
    let finding = shown(&world, Code::SequenceGap, Some(0), &[before, leaf]);
    assert_eq!(finding.times, 1, "what comes after it is judged by itself");
}

#[test]
fn a_piece_that_stands_twice() {
    let mut world = World::born(1);
    let first = world.sign(0);
    world.sign(0);
    let again = world.size();
    world.entries.push(world.entries[usize::try_from(first).unwrap()].clone());
    let findings = world.findings(&Rules::default());
    for code in [Code::DuplicateKey, Code::DuplicateMark] {
        let finding = findings.iter().find(|finding| finding.code == code).unwrap();
        assert_eq!(finding.leaves, [first, again]);
        assert_eq!(finding.psd, Some(psd_id(0).to_string()));
    }
    assert!(codes(&findings).contains(&Code::SequenceGap) && codes(&findings).contains(&Code::TimeBackwards));
}

#[test]
fn one_key_for_two_pieces_is_found_in_a_later_run_too() {
    let mut world = World::born(1);
    let first = world.sign(0);
    let dir = tempfile::tempdir().unwrap();
    drop(world.inspected(dir.path()));
    world.keys -= 1;
    let second = world.sign(0);
    let (mirror, fold) = world.inspected(dir.path());
    let findings = fold.view(&mirror, &Rules::default(), UnixMillis(world.now)).unwrap().findings;
    assert_eq!(codes(&findings), [Code::DuplicateKey]);
    let runs = std::fs::read_dir(dir.path().join("fold/marks")).unwrap().count();
    assert_eq!(runs, 1, "what was merged is removed");
    assert_eq!(findings[0].leaves, [first, second]);
}

#[test]
fn time_that_runs_backwards() {
    let mut world = World::born(1);
    let before = world.sign(0);
    world.now -= 1_000;
    let leaf = world.sign(0);
    world.sign(0);
    shown(&world, Code::TimeBackwards, None, &[before, leaf]);
}

#[test]
fn a_clock_that_is_too_uncertain() {
    let mut world = World::born(1);
    world.error_ms = 900;
    let leaf = world.sign(0);
    world.error_ms = 5;
    world.sign(0);
    assert_eq!(world.findings(&Rules::default()), []);
    let finding = one(&world, &Rules { largest_clock_error_ms: 899, ..Rules::default() });
    assert_eq!((finding.code, finding.leaves), (Code::ClockError, vec![leaf]));
    assert_eq!(finding.severity, Severity::Amber);
}

#[test]
fn what_lifecycle_and_locks_do_not_permit() {
    let mut world = World::born(1);
    lock(&mut world, 0, Locks::NONE.with(LockReason::Operator));
    // The piece of a PSD that is not locked, put behind the lock.
    let mut psd = world.appliance.psds[&psd_id(0)].clone();
    psd.relock(Locks::NONE);
    world.appliance.psds.insert(psd_id(0), psd);
    let leaf = world.sign(0);
    let finding = shown(&world, Code::NotPermitted, Some(0), &[leaf]);
    assert!(finding.says.contains("not active"), "{}", finding.says);

    let mut world = World::born(1);
    let created = world.created(0);
    let record = Record { at: world.at(), event: created };
    let leaf = world.size();
    world.entries.push(record.encode());
    shown(&world, Code::NotPermitted, Some(0), &[leaf]);
}

#[test]
fn a_lock_of_the_authority_that_nobody_instructed() {
    let mut world = World::born(1);
    let leaf = lock(&mut world, 0, Locks::NONE.with(LockReason::Authority));
    shown(&world, Code::Instruction, Some(0), &[leaf]);
}

#[test]
fn a_mark_that_the_certified_key_did_not_sign() {
    let mut world = World::born(1);
    world.sign(0);
    let right = std::mem::replace(&mut world.indicium, Key::new());
    let leaf = world.sign(0);
    world.indicium = right;
    world.sign(0);
    shown(&world, Code::BadSignature, Some(0), &[leaf]);
}

#[test]
fn a_symbol_that_says_something_else_than_its_record() {
    let mut world = World::born(1);
    let mut record = world.piece(0);
    let Event::Indicium(piece) = &mut record.event else { unreachable!() };
    piece.indicium[14] ^= 1;
    let leaf = world.push_wrong(&record);
    let finding = shown(&world, Code::MarkDiffers, Some(0), &[leaf]);
    assert!(finding.says.contains("ascending"), "{}", finding.says);
}

#[test]
fn a_mark_of_a_key_that_is_not_in_use() {
    let mut world = World::born(1);
    world.make_key(0, Role::Indicium, 2);
    let old = world.appliance.psds[&psd_id(0)].clone();
    world.key_step(0, 2, KeyStep::Activated, world.now);
    // A piece of the key before, with the number that comes next.
    let new = world.appliance.psds[&psd_id(0)].clone();
    let mut psd = old.clone();
    psd.next_stamp();
    world.appliance.psds.insert(psd_id(0), psd);
    let leaf = world.sign(0);
    drop(new);
    shown(&world, Code::MarkKey, Some(0), &[leaf]);
}

#[test]
fn a_certificate_that_does_not_lead_to_the_root() {
    let mut world = World::born(1);
    let key_id = World::key_id(0, Role::Indicium, 2);
    let (stamp, algorithm, token) = (world.next_stamp(0), Algorithm::EcdsaP256, Arc::from("token"));
    let (role, spki) = (Role::Indicium, world.indicium.spki().into());
    world.push(Event::KeyCreated { stamp, key_id: key_id.clone(), role, algorithm, token, spki, wrapped: None });
    let serial = World::serial(0, Role::Indicium, 2);
    let certificate = world.indicium.certificate(&psd_id(0).to_string(), serial, &ca());
    let stamp = world.next_stamp(0);
    let leaf = world.push(Event::CertificateInstalled { stamp, key_id, serial, chain: vec![certificate.into()] });
    shown(&world, Code::Certificate, Some(0), &[leaf]);
}

#[test]
fn value_that_the_authority_did_not_sign() {
    let mut world = World::born(1);
    world.request(0, 5_000, None);
    let applied = world.applied(0, 5_000, None, &Key::new());
    let leaf = world.push(applied);
    shown(&world, Code::ValueUnproven, Some(0), &[leaf]);
}

#[test]
fn a_state_digest_of_another_state() {
    let mut world = World::born(1);
    let leaf = world.push(Event::StateDigest { digest: [7; 32], psds: 1 });
    shown(&world, Code::StateDigest, None, &[leaf]);
}

#[test]
fn bytes_that_are_no_record() {
    let mut world = World::born(1);
    let leaf = world.size();
    world.entries.push(b"what is this".to_vec());
    world.sign(0);
    shown(&world, Code::Malformed, None, &[leaf]);
}

#[test]
fn an_inspection_that_falls_due_by_the_periods_in_the_log() {
    let mut world = World::born(1);
    let Event::PsdCreated { licence, .. } = world.created(0) else { panic!("a PSD") };
    let periods = Some(InspectionPeriods::new(24, 72).unwrap());
    world.instruct(1, &Act::InspectionPeriods { licence: licence.clone(), periods });
    world.push(Event::InspectionPeriodsSet { licence, periods });
    let dir = tempfile::tempdir().unwrap();
    let (mirror, fold) = world.inspected(dir.path());
    for (hours, told) in [(23, None), (26, Some("signs nothing after")), (74, Some("should have been inspected by"))] {
        let now = UnixMillis(START + hours * 3_600_000);
        let findings = fold.view(&mirror, &Rules::default(), now).unwrap().findings;
        assert_eq!(
            codes(&findings),
            told.map(|_| Code::InspectionDue).into_iter().collect::<Vec<_>>(),
            "{hours} hours"
        );
        for (finding, told) in findings.iter().zip(told) {
            assert!(finding.says.contains(told) && finding.severity == Severity::Amber, "{finding:?}");
            let shows = world.decoded(finding.leaves[0]).event;
            assert!(matches!(shows, Event::PsdCreated { .. } | Event::ValueApplied { .. }), "what it was inspected by");
        }
    }
}

#[test]
fn a_change_of_a_key_that_the_authority_ordered_is_shown_until_it_is_done_and_one_that_nobody_ordered_is_found() {
    let ordered = |world: &World| {
        let dir = tempfile::tempdir().unwrap();
        let (mirror, fold) = world.inspected(dir.path());
        let view = fold.view(&mirror, &Rules::default(), UnixMillis(world.now)).unwrap();
        assert_eq!(view.findings, []);
        let keys = view.psds[0].keys.iter().filter(|key| key.role == Role::Indicium.to_string());
        keys.filter_map(|key| key.ordered_ms).collect::<Vec<_>>()
    };
    let role = Role::Indicium;
    let mut world = World::born(1);
    assert!(ordered(&world).is_empty());
    world.instruct(1, &Act::ChangeKey { psd: psd_id(0), role });
    let leaf = world.push(Event::KeyChangeOrdered { stamp: world.next_stamp(0), role });
    assert_eq!(ordered(&world), [world.decoded(leaf).at.time.0], "of the key in use");
    world.make_key(0, role, 2);
    world.key_step(0, 2, KeyStep::Activated, world.now);
    assert!(ordered(&world).is_empty());
    let leaf = world.push(Event::KeyChangeOrdered { stamp: world.next_stamp(0), role });
    let finding = shown(&world, Code::Instruction, Some(0), &[leaf]);
    assert!(finding.says.contains("without an instruction"), "{}", finding.says);
}

#[test]
fn the_authoritys_policy_is_shown_and_its_versions_rise_by_one() {
    let text = PolicyText::new("@id(\"f\") forbid (principal, action, resource);").unwrap();
    let set = |world: &mut World, number, version| {
        world.instruct_as(AuthorityPurpose::Policy, number, &Act::Policy { version, text: text.clone() });
        Event::AuthorityPolicySet { version, text: text.clone() }
    };
    let mut world = World::born(1);
    for number in [1, 2] {
        let event = set(&mut world, number, number);
        world.push(event);
    }
    let dir = tempfile::tempdir().unwrap();
    // From its records, and again from what the fold has saved.
    for _ in 0..2 {
        let (mirror, fold) = world.inspected(dir.path());
        let view = fold.view(&mirror, &Rules::default(), UnixMillis(world.now)).unwrap();
        assert_eq!(view.findings, []);
        let policy = view.policy.unwrap();
        assert_eq!((policy.version, policy.text.as_str()), (2, text.as_str()));
        assert_eq!((policy.leaf, policy.digest.len()), (world.size() - 1, 64));
    }
    let event = set(&mut world, 3, 4);
    let at = world.at();
    let leaf = world.push_wrong(&Record { at, event });
    let finding = shown(&world, Code::NotPermitted, None, &[leaf]);
    assert!(finding.says.contains("version 4 of the authority's policy does not follow version 2"), "{finding:?}");
}

#[test]
fn a_policy_that_the_authority_did_not_instruct() {
    let mut world = World::born(1);
    let text = |text| PolicyText::new(text).unwrap();
    world.instruct_as(AuthorityPurpose::Policy, 1, &Act::Policy { version: 1, text: text("forbid") });
    let leaf = world.push(Event::AuthorityPolicySet { version: 1, text: text("") });
    let finding = shown(&world, Code::Instruction, None, &[leaf]);
    assert!(finding.says.contains("not the one instructed"), "{finding:?}");
}

/// Every bit of what a fold keeps: damage is told as such, and nothing of it becomes a verdict on the log.
#[test]
fn a_fold_that_was_damaged_on_the_disk_is_told_and_accuses_nobody() {
    let mut world = World::born(1);
    world.sign_many(0, 20);
    let dir = tempfile::tempdir().unwrap();
    drop(world.inspected(dir.path()));
    let open = || Mirror::open(dir.path()).map_err(|error| error.to_string()).map(|mut mirror| Fold::open(&mut mirror));
    let parts = ["fold/state", "fold/marks", "fold/keys"].map(|part| dir.path().join(part));
    let in_directory =
        |path: &std::path::PathBuf| std::fs::read_dir(path).ok().map(|all| all.map(|it| it.unwrap().path()));
    let files: Vec<_> =
        parts.iter().flat_map(|part| in_directory(part).map_or(vec![part.clone()], Iterator::collect)).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let kept = std::fs::read(&file).unwrap();
        for at in 0..kept.len() {
            let mut bytes = kept.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&file, bytes).unwrap();
            assert!(matches!(open().unwrap(), Err(FoldError::Saved(_))), "byte {at} of {}", file.display());
        }
        for cut in [0, kept.len() / 2, kept.len() - 1] {
            std::fs::write(&file, &kept[..cut]).unwrap();
            assert!(matches!(open().unwrap(), Err(FoldError::Saved(_))), "{cut} bytes of {}", file.display());
        }
        std::fs::write(&file, &kept).unwrap();
        assert!(open().unwrap().is_ok());
    }
    // What it knows of the log is more than the mirror has: not to be thrown away.
    std::fs::remove_file(dir.path().join("checkpoint")).unwrap();
    let error = open().unwrap().err().unwrap();
    assert!(matches!(error, FoldError::Witness(_)) && error.to_string().contains("Keep the directory"), "{error}");
}

#[test]
fn keys_and_certificates_by_the_inspectors_own_clock() {
    let world = World::born(1);
    let dir = tempfile::tempdir().unwrap();
    let (mirror, fold) = world.inspected(dir.path());
    // The certificates end with the year 2026, 41 days after the start.
    let rows = [
        (40, Rules { certificate_notice_days: 0, longest_key_age_days: 40, ..Rules::default() }, None),
        (
            41,
            Rules { longest_key_age_days: 40, certificate_notice_days: 0, ..Rules::default() },
            Some(Code::KeyOverdue),
        ),
        (12, Rules { certificate_notice_days: 30, ..Rules::default() }, Some(Code::CertificateExpiring)),
        (11, Rules { certificate_notice_days: 30, ..Rules::default() }, None),
        (42, Rules::default(), Some(Code::CertificateExpired)),
    ];
    for (days, rules, wanted) in rows {
        let view = fold.view(&mirror, &rules, UnixMillis(START + days * DAY + 3_600_000)).unwrap();
        let wanted: Vec<Code> = wanted.into_iter().flat_map(|code| [code, code]).collect();
        assert_eq!(codes(&view.findings), wanted, "{days} days: {:#?}", view.findings);
        for finding in &view.findings {
            let leaf = finding.leaves[0];
            assert!(matches!(world.decoded(leaf).event, Event::CertificateInstalled { .. }), "the leaf that shows it");
        }
    }
}

#[test]
fn a_day_that_is_far_from_those_before() {
    let mut world = World::born(2);
    for _ in 0..8 {
        world.sign_many(0, 20);
        world.sign_many(1, 20);
        world.now += DAY;
    }
    let first = world.size();
    world.sign_many(1, 125);
    let finding = one(&world, &Rules::default());
    assert_eq!((finding.code, finding.leaves), (Code::Velocity, vec![first, first + 124]));
    assert_eq!(finding.psd, Some(psd_id(1).to_string()));
    assert!(finding.says.contains("125 pieces") && finding.says.contains("up to 120"), "{}", finding.says);
}

#[test]
fn refunds_above_the_rate() {
    let mut world = World::born(1);
    let marks: Vec<u64> = (0..100).map(|_| world.sign(0)).collect();
    let mut refunds: Vec<u64> = marks[..2].iter().map(|mark| world.refund(0, *mark)).collect();
    assert_eq!(world.findings(&Rules::default()), []);
    refunds.push(world.refund(0, marks[2]));
    let finding = one(&world, &Rules::default());
    assert_eq!((finding.code, finding.leaves, finding.times), (Code::RefundRate, refunds, 3));
}

#[test]
fn a_fold_that_goes_on_sees_what_one_from_the_beginning_sees() {
    let mut world = World::born(2);
    let dir = tempfile::tempdir().unwrap();
    for round in 0..6u64 {
        world.sign_many(0, 25);
        world.sign_many(1, 25);
        if round == 2 {
            let mark = world.sign(0);
            world.refund(0, mark);
            world.piece(1);
        }
        if round == 3 {
            world.make_key(1, Role::Indicium, 2);
            world.key_step(1, 2, KeyStep::Activated, world.now);
            let (digest, psds) = (world.facts.digest(), 2);
            world.push(Event::StateDigest { digest, psds });
        }
        world.now += DAY;
        let (mirror, fold) = world.inspected(dir.path());
        let continued = fold.view(&mirror, &Rules::default(), UnixMillis(world.now));
        let fresh = tempfile::tempdir().unwrap();
        let (mirror, fold) = world.inspected(fresh.path());
        assert_eq!(continued, fold.view(&mirror, &Rules::default(), UnixMillis(world.now)), "round {round}");
    }
}

#[test]
fn findings_of_a_log_that_is_wrong_everywhere_are_counted() {
    let mut world = World::born(1);
    world.indicium = Key::new();
    world.sign_many(0, 5_000);
    let finding = one(&world, &Rules::default());
    assert_eq!((finding.code, finding.times, finding.leaves.len()), (Code::BadSignature, 5_000, 16));
}

#[test]
fn tampering_after_signing_is_the_witnesss_to_find() {
    let mut world = World::born(1);
    let leaf = world.sign(0);
    let mut log = world.log();
    let mut entries = world.entries.clone();
    let at = usize::try_from(leaf).unwrap();
    *entries[at].last_mut().unwrap() ^= 1;
    log.files.insert(format!("tile/entries/000.p/{}", entries.len()), crate::log::bundled(&entries));
    let dir = tempfile::tempdir().unwrap();
    let mut mirror = Mirror::create(dir.path(), &world.trust(), &mut log).unwrap();
    assert!(matches!(mirror.update(&mut log), Err(UpdateError::Edited { leaf: named, .. }) if named == leaf));
    let mut fold = Fold::open(&mut mirror).unwrap();
    assert_eq!(fold.advance(&mut mirror).unwrap(), 0);
    assert_eq!(fold.view(&mirror, &Rules::default(), UnixMillis(0)), None);
}

#[test]
fn the_view_is_that_of_the_records() {
    let mut world = World::born(1);
    world.sign_many(0, 7);
    let dir = tempfile::tempdir().unwrap();
    let (mirror, fold) = world.inspected(dir.path());
    let view = fold.view(&mirror, &Rules::default(), UnixMillis(world.now)).unwrap();
    let psd = &view.psds[0];
    assert_eq!((psd.ascending.as_str(), psd.descending.as_str()), ("5.11", "999994.89"));
    assert_eq!((psd.control_total.as_str(), psd.pieces, psd.downloads), ("1000000.00", 7, 1));
    assert_eq!((psd.lifecycle.as_str(), psd.keys.len(), psd.keys[0].state.as_str()), ("active", 2, "in use"));
    assert_eq!(psd.days.iter().map(|day| (day.day.as_str(), day.pieces)).collect::<Vec<_>>(), [("2026-11-20", 7)]);
    assert_eq!(view.hours[0].pieces, 7);
    assert_eq!(view.records, world.size());
    let json = serde_json::to_value(&view).unwrap();
    assert_eq!(json["psds"][0]["last_download"]["amount"], "1000000.00");
    let ClockReading { error_ms, .. } = world.at();
    assert_eq!(view.clock.error_ms, error_ms);
}

#[test]
fn whatever_the_records_say_the_fold_ends_and_goes_on_alike() {
    let mut world = World::born(2);
    let mark = world.sign(0);
    world.refund(0, mark);
    world.sign_many(1, 3);
    world.instruct(1, &Act::Lock(psd_id(1)));
    lock(&mut world, 1, Locks::NONE.with(LockReason::Authority));
    world.withdraw(1);
    let honest = world.entries.clone();
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for round in 0..60 {
        // Leaf 0 is what the mirror is pinned to.
        let (at, other) = (1 + below(honest.len() - 1), 1 + below(honest.len() - 1));
        world.entries = honest.clone();
        match round % 5 {
            0 => world.entries.swap(at, other),
            1 => drop(world.entries.remove(at)),
            2 => world.entries.insert(at, honest[other].clone()),
            3 => world.entries[at].truncate(below(honest[at].len())),
            _ => {
                let byte = below(honest[at].len());
                world.entries[at][byte] ^= 1 << below(8);
            }
        }
        let whole = world.findings(&Rules::default());
        // In two runs, cut anywhere.
        let dir = tempfile::tempdir().unwrap();
        let entries = world.entries.clone();
        world.entries.truncate(1 + below(entries.len() - 1));
        drop(world.inspected(dir.path()));
        world.entries = entries;
        let (mirror, fold) = world.inspected(dir.path());
        let view = fold.view(&mirror, &Rules::default(), UnixMillis(world.now)).unwrap();
        assert_eq!(view.findings, whole, "round {round}: {at}, {other}");
    }
}
