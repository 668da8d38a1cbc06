//! Changes by ceremonies and the custodian: they bind the very next item, and a key that was revoked signs nothing more.

use super::shell::{CLIENT, Setup, Shell, any_psd, mills, psd_id};
use crate::core::{Change, ChangeCommand, Event, KeyNews, NewPsd, RequestId, Selection, StepDone, ValueReply};
use psd::authority::Act;
use psd::custody::{KeyStep, Revocation, RevocationReason};
use psd::device::Change as PsdChange;
use psd::governance::Subject;
use psd::key::{Algorithm, Role};
use psd::lifecycle::Lifecycle;
use psd::limits::Limits;
use psd::record::{AuthorityPurpose, Event as RecordEvent, Stamp};
use psd::{Currency, PsdId, Registers, UnixMillis};
use std::sync::Arc;

impl Shell {
    pub(super) fn change(&mut self, change: Change) -> RequestId {
        let request = self.request_id();
        self.event(Event::Change(ChangeCommand { request, change }));
        request
    }

    pub(super) fn change_psd(&mut self, psd: usize, changes: Vec<PsdChange>) -> RequestId {
        let psd = self.engine.devices[psd].psd.identity().psd;
        let changes = changes.into_iter().map(|change| (change, None)).collect();
        self.change(Change::Psd { psd, changes, step: None })
    }

    /// The number of records that a change made.
    #[track_caller]
    pub(super) fn records_of(&self, request: RequestId) -> usize {
        match &self.value_replies[&request] {
            ValueReply::Changed(durable) => durable.len(),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn key_id(generation: u8) -> Arc<[u8]> {
    [Role::Indicium.number(), 0, generation][..].into()
}

pub(super) fn add_key(generation: u8) -> PsdChange {
    PsdChange::AddKey {
        key_id: key_id(generation),
        role: Role::Indicium,
        algorithm: Algorithm::EcdsaP256,
        token: "token-0".into(),
        spki: b"another key"[..].into(),
        wrapped: None,
    }
}

pub(super) fn certify(generation: u8) -> PsdChange {
    let chain = vec![b"another certificate"[..].into()];
    PsdChange::InstallCertificate { key_id: key_id(generation), serial: 70 + u32::from(generation), chain }
}

#[test]
fn a_record_that_would_be_too_long_is_refused_and_nothing_of_its_change_is_made() {
    let mut shell = Shell::new(Setup::default());
    let endless = vec![vec![7; psd::record::LONGEST_RECORD].into()];
    let endless = PsdChange::InstallCertificate { key_id: key_id(2), serial: 72, chain: endless };
    let before = shell.engine.devices[0].psd.state().clone();
    let refused = shell.change_psd(0, vec![add_key(2), endless]);
    shell.settle();
    let ValueReply::ChangeRefused(why) = &shell.value_replies[&refused] else { panic!("it cannot be written") };
    assert!(why.contains("at most"), "{why}");
    assert_eq!(*shell.engine.devices[0].psd.state(), before);
    let event = RecordEvent::CeremonyBegun {
        number: 1,
        digest: [1; 32],
        file: vec![7; psd::record::LONGEST_RECORD].into(),
        approvals: Vec::new(),
    };
    let refused = shell.change(Change::Appliance { events: vec![event] });
    shell.settle();
    assert!(matches!(&shell.value_replies[&refused], ValueReply::ChangeRefused(why) if why.contains("at most")));
    let made = shell.change_psd(0, vec![add_key(2)]);
    shell.settle();
    assert_eq!(shell.records_of(made), 1, "the daemon lives on");
}

pub(super) fn step(key_id: Arc<[u8]>, step: KeyStep) -> PsdChange {
    let reason = (step == KeyStep::Revoked).then_some(RevocationReason::KeyCompromise);
    PsdChange::Key { key_id, step, since: None, reason }
}

pub(super) fn in_use(shell: &Shell) -> Arc<[u8]> {
    Arc::clone(&shell.engine.devices[0].psd.signing_key(Role::Indicium).unwrap().key_id)
}

#[test]
fn a_rotation_refuses_no_piece_and_each_is_signed_with_the_key_of_its_moment() {
    let mut shell = Shell::new(Setup { chunk_items: 2, ..Setup::default() });
    let before = shell.submit(0, &[(1, 700), (2, 700)]);
    let old = in_use(&shell);
    let changed = shell.change_psd(0, vec![add_key(2), certify(2), step(key_id(2), KeyStep::Activated)]);
    let after = shell.submit(0, &[(3, 700), (4, 700)]);
    let frames: Vec<_> = shell.frames.values().map(|(_, frame)| Arc::clone(&frame.key_id)).collect();
    assert_eq!(frames, [old], "what comes after the change waits for it");
    shell.settle();
    assert_eq!((shell.words(before), shell.words(after)), (vec!["signed"; 2], vec!["signed"; 2]));
    assert_eq!(shell.records_of(changed), 3);
    assert_eq!(in_use(&shell), key_id(2));
    let made =
        |news: &KeyNews| matches!(news, KeyNews::Made { key_id: made, resident: true, .. } if *made == key_id(2));
    assert!(shell.key_news.iter().any(made));
    shell.assert_idle();
}

#[test]
fn a_revocation_drops_what_is_not_committed_and_binds_the_rest_of_a_batch() {
    let mut shell = Shell::new(Setup { chunk_items: 2, in_flight_items: 6, ..Setup::default() });
    let request = shell.submit(0, &[(1, 700), (2, 700), (3, 700), (4, 700), (5, 700), (6, 700), (7, 700), (8, 700)]);
    let chunks = shell.signing();
    assert_eq!(chunks.len(), 3);
    shell.sign(chunks[0]);
    assert_eq!(shell.writes.len(), 1, "the first chunk is on its way to the disk");
    shell.sign(chunks[2]);
    let key = in_use(&shell);
    let revoked = shell.change_psd(0, vec![step(Arc::clone(&key), KeyStep::Revoked)]);
    shell.settle();
    assert!(shell.key_news.iter().any(|news| matches!(news, KeyNews::Ended { key_id } if *key_id == key)));
    let words = shell.words(request);
    assert_eq!(words[..2], ["signed", "signed"]);
    assert_eq!(words[2..4], ["key-revoked", "key-revoked"]);
    assert!(words[4..6].iter().all(|word| *word == "token-unavailable"), "{words:?}");
    assert_eq!(words[6..], ["no-certified-key", "no-certified-key"]);
    assert_eq!(shell.records_of(revoked), 1);
    assert_eq!(shell.working(0).piece_count(), 2);
    let again = shell.submit(0, &[(3, 700)]);
    shell.settle();
    assert_eq!(shell.words(again), ["no-certified-key"]);
    shell.assert_idle();
}

#[test]
fn what_does_not_follow_changes_nothing() {
    let mut shell = Shell::new(Setup::default());
    let before = shell.engine.devices[0].psd.state().clone();
    let refused = shell.change_psd(0, vec![add_key(2), step(key_id(2), KeyStep::Activated)]);
    let ValueReply::ChangeRefused(why) = &shell.value_replies[&refused] else { panic!("it has no certificate") };
    assert!(why.contains("certificate"), "{why}");
    assert_eq!(*shell.engine.devices[0].psd.state(), before);
    let step_done = StepDone { number: 1, step: 1, text: "a step".into() };
    let psd = shell.engine.devices[0].psd.identity().psd;
    let changes = vec![(add_key(2), None)];
    let refused = shell.change(Change::Psd { psd, changes, step: Some(step_done) });
    assert!(matches!(shell.value_replies[&refused], ValueReply::ChangeRefused(_)), "no ceremony is under way");
    assert_eq!(*shell.engine.devices[0].psd.state(), before);
    shell.settle();
    let signed = shell.submit(0, &[(1, 700)]);
    shell.settle();
    assert_eq!(shell.words(signed), ["signed"]);
    shell.assert_idle();
}

#[test]
fn a_client_that_is_revoked_is_refused_from_the_next_item_on() {
    let mut shell = Shell::new(Setup { chunk_items: 2, in_flight_items: 2, ..Setup::default() });
    let request = shell.submit(0, &[(1, 700), (2, 700), (3, 700)]);
    let tenant = shell.engine.devices[0].psd.identity().tenant.clone();
    let subject = Subject::Client { tenant, client: CLIENT.into() };
    let revocation = Revocation { since: UnixMillis(5), reason: RevocationReason::PrivilegeWithdrawn };
    let revoked = shell.change(Change::Appliance { events: vec![RecordEvent::Revoked { subject, revocation }] });
    shell.settle();
    assert_eq!(shell.words(request), ["signed", "signed", "client-revoked"]);
    assert_eq!(shell.records_of(revoked), 1);
    shell.assert_idle();
}

fn new_psd(serial: u32) -> NewPsd {
    let psd = PsdId::new(*b"PS", *b"09", serial).unwrap();
    let created = RecordEvent::PsdCreated {
        stamp: Stamp { psd, sequence: 1, registers: Registers::default() },
        tenant: "acme".parse().unwrap(),
        licence: "L-1".parse().unwrap(),
        licensing_zip: 94_301,
        format: "ibi".into(),
        software_id: *b"psdd01",
        limits: Limits {
            smallest_postage: mills(1),
            largest_postage: mills(100_000),
            largest_descending: mills(4_000_000),
            smallest_refill: mills(1),
            largest_refill: mills(4_000_000),
        },
        currency: Currency::USD,
        zips: None,
    };
    NewPsd { created, keys: vec![(add_key(9), None)] }
}

#[test]
fn psds_are_made_while_others_sign_and_requests_by_licence_find_their_places_again() {
    let mut shell = Shell::new(Setup { chunk_items: 2, in_flight_items: 2, ..Setup::default() });
    let target = any_psd(Selection::RoundRobin, 0);
    let old = shell.submit(target, &[(1, 700), (2, 700), (3, 700), (4, 700)]);
    let made = shell.change(Change::Create { psds: vec![new_psd(1), new_psd(2)], step: None });
    shell.settle();
    assert_eq!(shell.words(old)[..2], ["signed", "signed"]);
    assert!(shell.words(old)[2..].iter().all(|word| ["signed", "stale"].contains(word)), "{:?}", shell.words(old));
    assert_eq!(shell.records_of(made), 4);
    let fleet = shell.fleets.last().unwrap();
    assert_eq!(fleet.psds(), shell.engine.devices.len());
    let twice = shell.change(Change::Create { psds: vec![new_psd(3), new_psd(1)], step: None });
    assert!(matches!(shell.value_replies[&twice], ValueReply::ChangeRefused(_)), "one of them is there already");
    let number = shell.engine.devices.len() - 1;
    let changes = vec![certify(9), PsdChange::Become(Lifecycle::Authorised), PsdChange::Become(Lifecycle::Active)];
    shell.change_psd(number, changes);
    shell.settle();
    assert!(shell.engine.devices[number].psd.signing_key(Role::Indicium).is_some());
    let again = shell.submit(target, &[(5, 700)]);
    shell.settle();
    assert_eq!(shell.words(again), ["signed"]);
    shell.assert_idle();
}

const INSPECTION: AuthorityPurpose = AuthorityPurpose::Inspection;

fn acknowledge(generation: u8) -> Act {
    Act::Acknowledge { psd: psd_id(0), role: Role::Indicium, serial: 70 + u32::from(generation) }
}

/// The code of a refused instruction.
#[track_caller]
pub(super) fn instruction_code(shell: &Shell, request: RequestId) -> &'static str {
    match &shell.value_replies[&request] {
        ValueReply::InstructionRefused(refusal) => refusal.code(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_acknowledged_by_instruction_while_it_waits_and_what_is_refused_uses_no_number_up() {
    let mut shell = Shell::new(Setup::default());
    let early = shell.instruct(INSPECTION, 1, acknowledge(2));
    assert_eq!(instruction_code(&shell, early), "certificate-unknown");
    shell.change_psd(0, vec![add_key(2), certify(2), add_key(3)]);
    shell.settle();
    let other = |psd, role, serial| Act::Acknowledge { psd, role, serial };
    let in_use = shell.engine.devices[0].psd.signing_key(Role::Indicium).unwrap().certificate_serial.unwrap();
    let rows = [
        ("of another serial", INSPECTION, other(psd_id(0), Role::Indicium, 79), "certificate-unknown"),
        ("of another role", INSPECTION, other(psd_id(0), Role::Device, 72), "certificate-unknown"),
        ("of another PSD", INSPECTION, other(psd_id(1), Role::Indicium, 72), "certificate-unknown"),
        ("of no PSD", INSPECTION, other(psd_id(9), Role::Indicium, 72), "psd-unknown"),
        ("of the key in use", INSPECTION, other(psd_id(0), Role::Indicium, in_use), "key-not-waiting"),
        ("by the funds key", AuthorityPurpose::Funds, acknowledge(2), "instruction-wrong-signer"),
        ("by the policy key", AuthorityPurpose::Policy, acknowledge(2), "instruction-wrong-signer"),
    ];
    let before = shell.engine.devices[0].psd.state().clone();
    for (name, purpose, act, code) in rows {
        let refused = shell.instruct(purpose, 1, act);
        assert_eq!(instruction_code(&shell, refused), code, "{name}");
    }
    assert_eq!(*shell.engine.devices[0].psd.state(), before, "what is refused changes nothing");
    let ordered = shell.change_psd(0, vec![step(key_id(2), KeyStep::Acknowledged)]);
    assert!(matches!(&shell.value_replies[&ordered], ValueReply::ChangeRefused(why) if why.contains("authority")));

    let signing = shell.submit(0, &[(1, 700)]);
    let taken = shell.instruct(INSPECTION, 1, acknowledge(2));
    assert!(!shell.value_replies.contains_key(&taken), "it waits for what is in flight");
    shell.settle();
    assert_eq!(shell.words(signing), ["signed"]);
    let ValueReply::Instructed(durable) = &shell.value_replies[&taken] else { panic!("it is taken") };
    let leaf = durable.leaf();
    let life = shell.engine.devices[0].psd.state().key(&key_id(2)).unwrap().life;
    assert!(life.acknowledged.is_some() && life.activated.is_none());
    let again = shell.instruct(INSPECTION, 1, acknowledge(2));
    assert!(matches!(shell.value_replies[&again], ValueReply::EndedBefore), "the same once more");
    let twice = shell.instruct(INSPECTION, 2, acknowledge(2));
    assert_eq!(instruction_code(&shell, twice), "key-not-waiting");
    let effect = shell.reader.record(leaf + 1).unwrap().unwrap().record().event.clone();
    assert!(
        matches!(&effect, RecordEvent::KeyStateChanged { key_id: id, step: KeyStep::Acknowledged, .. } if *id == key_id(2)),
        "its effect is the very next record"
    );
    let (mut shell, _) = shell.crash();
    let life = shell.engine.devices[0].psd.state().key(&key_id(2)).unwrap().life;
    assert!(life.acknowledged.is_some(), "a restart changes nothing");
    shell.change_psd(0, vec![step(key_id(2), KeyStep::Activated)]);
    shell.settle();
    shell.assert_idle();
}

/// A revocation goes before all that waits: what was taken in before it is judged again.
#[test]
fn a_key_that_is_revoked_while_its_acknowledgement_waits_is_not_acknowledged() {
    let mut shell = Shell::new(Setup::default());
    shell.change_psd(0, vec![add_key(2), certify(2), add_key(3), certify(3)]);
    shell.settle();
    shell.submit(0, &[(1, 700)]);
    let late = shell.instruct(INSPECTION, 5, acknowledge(2));
    shell.change_psd(0, vec![step(key_id(2), KeyStep::Revoked)]);
    shell.settle();
    assert_eq!(instruction_code(&shell, late), "key-not-waiting");
    let same_number = shell.instruct(INSPECTION, 5, acknowledge(3));
    shell.settle();
    assert!(matches!(shell.value_replies[&same_number], ValueReply::Instructed(_)), "no number was used up");
    shell.assert_idle();
}

/// Several for one PSD, which has a piece in flight, are taken in the order of their numbers; those that say the same again are refused.
#[test]
fn instructions_that_wait_for_one_psd_are_taken_in_their_order() {
    let mut shell = Shell::new(Setup::default());
    shell.change_psd(0, vec![add_key(2), certify(2)]);
    shell.settle();
    let signing = shell.submit(0, &[(1, 700)]);
    let lock = shell.instruct(INSPECTION, 1, Act::Lock(psd_id(0)));
    let word = shell.instruct(INSPECTION, 2, acknowledge(2));
    let again: Vec<_> = (3..40).map(|number| shell.instruct(INSPECTION, number, acknowledge(2))).collect();
    let unlock = shell.instruct(INSPECTION, 40, Act::Unlock(psd_id(0)));
    let behind = shell.submit(0, &[(2, 700)]);
    shell.settle();
    let leaves = [lock, word, unlock].map(|request| match &shell.value_replies[&request] {
        ValueReply::Instructed(durable) => durable.leaf(),
        other => panic!("{other:?}"),
    });
    assert!(leaves.is_sorted(), "{leaves:?}");
    again.iter().for_each(|again| assert_eq!(instruction_code(&shell, *again), "key-not-waiting"));
    assert_eq!((shell.words(signing), shell.words(behind)), (vec!["signed"], vec!["signed"]));
    shell.assert_idle();
}

/// Nothing is recorded that had expired by the time of its record.
#[test]
fn an_instruction_that_expires_while_it_waits_is_refused() {
    let mut shell = Shell::new(Setup::default());
    shell.submit(0, &[(1, 700)]);
    let lock = shell.instruct(INSPECTION, 1, Act::Lock(psd_id(0)));
    shell.tick(86_400_001);
    let other = shell.change_psd(1, vec![PsdChange::Lock]);
    shell.commit_all();
    assert_eq!(shell.records_of(other), 1, "the log is at a later day now");
    shell.settle();
    assert_eq!(instruction_code(&shell, lock), "instruction-expired");
    assert!(shell.engine.devices[0].psd.state().locks.is_empty());
    shell.assert_idle();
}
