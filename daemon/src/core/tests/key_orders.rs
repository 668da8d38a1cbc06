//! Orders of the postal authority about keys: a revocation binds the very next item and drops what is not committed; a change that is ordered stands
//! until a key made since has taken over.

use super::changes::{add_key, certify, in_use, instruction_code, key_id, step};
use super::shell::{START, Setup, Shell, psd_id};
use crate::core::{KeyNews, RequestId, ValueReply};
use psd::authority::Act;
use psd::custody::{KeyStep, Revocation, RevocationReason};
use psd::key::Role;
use psd::record::{AuthorityPurpose, Event as RecordEvent};
use psd::{PsdId, UnixMillis};

const INSPECTION: AuthorityPurpose = AuthorityPurpose::Inspection;
const SINCE: UnixMillis = UnixMillis(START - 5_000);
const REASON: RevocationReason = RevocationReason::KeyCompromise;

fn revoke_of(psd: PsdId, role: Role, serial: u32, since: UnixMillis) -> Act {
    Act::RevokeKey { psd, role, serial, revocation: Revocation { since, reason: REASON } }
}

fn change(psd: usize, role: Role) -> Act {
    Act::ChangeKey { psd: psd_id(psd), role }
}

/// The revocation of the key that the first PSD signs with.
fn revoke(shell: &Shell) -> Act {
    let serial = shell.engine.devices[0].psd.signing_key(Role::Indicium).unwrap().certificate_serial.unwrap();
    revoke_of(psd_id(0), Role::Indicium, serial, SINCE)
}

/// Where an instruction that was taken stands in the log.
#[track_caller]
fn leaf(shell: &Shell, request: RequestId) -> u64 {
    match &shell.value_replies[&request] {
        ValueReply::Instructed(durable) => durable.leaf(),
        other => panic!("{other:?}"),
    }
}

fn record(shell: &Shell, leaf: u64) -> RecordEvent {
    shell.reader.record(leaf).unwrap().unwrap().record().event.clone()
}

#[test]
fn a_revocation_by_the_authority_drops_what_is_not_committed_and_binds_the_rest_of_a_batch() {
    let mut shell = Shell::new(Setup { chunk_items: 2, in_flight_items: 6, ..Setup::default() });
    let request = shell.submit(0, &[(1, 700), (2, 700), (3, 700), (4, 700), (5, 700), (6, 700), (7, 700), (8, 700)]);
    let chunks = shell.signing();
    shell.sign(chunks[0]);
    assert_eq!(shell.writes.len(), 1, "the first chunk is on its way to the disk");
    shell.sign(chunks[2]);
    let (key, act) = (in_use(&shell), revoke(&shell));
    let revoked = shell.instruct(INSPECTION, 1, act);
    shell.settle();
    assert!(shell.key_news.iter().any(|news| matches!(news, KeyNews::Ended { key_id } if *key_id == key)));
    let words = shell.words(request);
    assert_eq!(words[..4], ["signed", "signed", "key-revoked", "key-revoked"]);
    assert!(words[4..6].iter().all(|word| *word == "token-unavailable"), "{words:?}");
    assert_eq!(words[6..], ["no-certified-key", "no-certified-key"]);
    assert_eq!(shell.working(0).piece_count(), 2);
    let taken = leaf(&shell, revoked);
    assert!(matches!(
        record(&shell, taken + 1),
        RecordEvent::KeyStateChanged { key_id, step: KeyStep::Revoked, since: SINCE, reason: Some(REASON), .. } if key_id == key
    ));
    let (mut shell, _) = shell.crash();
    let again = shell.submit(0, &[(3, 700)]);
    shell.settle();
    assert_eq!(shell.words(again), ["no-certified-key"], "a restart changes nothing");
    let life = shell.engine.devices[0].psd.state().key(&key).unwrap().life;
    assert_eq!(life.revoked, Some(Revocation { since: SINCE, reason: REASON }));
    shell.assert_idle();
}

/// What it drops is what instructions before it waited for: they go on.
#[test]
fn a_revocation_behind_other_instructions_leaves_none_of_them_waiting_for_what_it_dropped() {
    for other in [0, 1] {
        let mut shell = Shell::new(Setup::default());
        let signing = [shell.submit(0, &[(1, 700)]), shell.submit(1, &[(2, 700)])];
        let lock = shell.instruct(INSPECTION, 1, Act::Lock(psd_id(other)));
        let act = revoke(&shell);
        let revoked = shell.instruct(INSPECTION, 2, act);
        assert_eq!(shell.words(signing[0]), ["key-revoked"], "dropped at once");
        shell.settle();
        assert_eq!(shell.words(signing[1]), ["signed"], "each PSD by itself");
        assert!(leaf(&shell, lock) < leaf(&shell, revoked));
        assert!(shell.engine.devices[0].psd.signing_key(Role::Indicium).is_none());
        shell.assert_idle();
    }
}

#[test]
fn a_revocation_that_is_refused_drops_nothing_and_uses_no_number_up() {
    let mut shell = Shell::new(Setup::default());
    shell.change_psd(0, vec![add_key(2), certify(2), add_key(3), certify(3), add_key(4), certify(4)]);
    shell.change_psd(0, vec![step(key_id(3), KeyStep::Revoked), step(key_id(4), KeyStep::Retired)]);
    shell.change_psd(0, vec![step(key_id(4), KeyStep::Destroyed)]);
    shell.settle();
    let serial = shell.engine.devices[0].psd.signing_key(Role::Indicium).unwrap().certificate_serial.unwrap();
    let signing = shell.submit(0, &[(1, 700)]);
    let (ahead, funds) = (UnixMillis(START + shell.now_ms + 1), AuthorityPurpose::Funds);
    let of = |role, serial, since| revoke_of(psd_id(0), role, serial, since);
    let rows = [
        ("of no PSD", INSPECTION, revoke_of(psd_id(9), Role::Indicium, serial, SINCE), "psd-unknown"),
        ("of another serial", INSPECTION, of(Role::Indicium, 79, SINCE), "certificate-unknown"),
        ("of another role", INSPECTION, of(Role::Device, 72, SINCE), "certificate-unknown"),
        ("of one that is revoked", INSPECTION, of(Role::Indicium, 73, SINCE), "key-revoked-before"),
        ("of one that is destroyed", INSPECTION, of(Role::Indicium, 74, SINCE), "key-destroyed"),
        ("from a time to come", INSPECTION, of(Role::Indicium, serial, ahead), "revocation-ahead"),
        ("by the funds key", funds, of(Role::Indicium, serial, SINCE), "instruction-wrong-signer"),
    ];
    for (name, purpose, act, code) in rows {
        let refused = shell.instruct(purpose, 1, act);
        assert_eq!(instruction_code(&shell, refused), code, "{name}");
    }
    shell.settle();
    assert_eq!(shell.words(signing), ["signed"]);
    let waiting = shell.instruct(INSPECTION, 1, of(Role::Indicium, 72, SINCE));
    let more = shell.submit(0, &[(2, 700)]);
    shell.settle();
    leaf(&shell, waiting);
    assert_eq!(shell.words(more), ["signed"], "the revocation of a key that waits takes nothing from the one in use");
    shell.assert_idle();
}

#[test]
fn a_key_that_operators_revoke_while_the_authority_s_revocation_waits_is_revoked_once() {
    let mut shell = Shell::new(Setup { chunk_items: 1, ..Setup::default() });
    shell.submit(0, &[(1, 700)]);
    let chunk = shell.signing()[0];
    shell.sign(chunk);
    let act = revoke(&shell);
    let late = shell.instruct(INSPECTION, 3, act);
    let key = in_use(&shell);
    let first = shell.change_psd(0, vec![step(key, KeyStep::Revoked)]);
    shell.settle();
    assert_eq!(shell.records_of(first), 1);
    assert_eq!(instruction_code(&shell, late), "key-revoked-before");
    shell.assert_idle();
}

#[test]
fn a_change_of_a_key_is_ordered_once_and_done_when_a_key_made_since_takes_over() {
    let mut shell = Shell::new(Setup::default());
    shell.change_psd(0, vec![add_key(2), certify(2)]);
    shell.settle();
    let rows = [
        ("of no PSD", INSPECTION, change(9, Role::Indicium), "psd-unknown"),
        ("of a role without keys", INSPECTION, change(0, Role::Certification), "key-role-unknown"),
        ("by the policy key", AuthorityPurpose::Policy, change(0, Role::Indicium), "instruction-wrong-signer"),
    ];
    for (name, purpose, act, code) in rows {
        let refused = shell.instruct(purpose, 1, act);
        assert_eq!(instruction_code(&shell, refused), code, "{name}");
    }
    let signing = shell.submit(0, &[(1, 700)]);
    let ordered = shell.instruct(INSPECTION, 1, change(0, Role::Indicium));
    let twice = shell.instruct(INSPECTION, 2, change(0, Role::Indicium));
    shell.settle();
    assert_eq!(shell.words(signing), ["signed"], "nothing is dropped for it");
    let taken = leaf(&shell, ordered);
    assert!(matches!(record(&shell, taken + 1), RecordEvent::KeyChangeOrdered { role: Role::Indicium, .. }));
    assert_eq!(instruction_code(&shell, twice), "key-change-ordered");
    let (mut shell, _) = shell.crash();
    let standing = |shell: &Shell| shell.engine.devices[0].committed.change_ordered(Role::Indicium);
    assert!(standing(&shell).is_some(), "a start knows of it");
    shell.change_psd(0, vec![step(key_id(2), KeyStep::Activated)]);
    shell.settle();
    assert!(standing(&shell).is_some(), "that one was made before the order");
    shell.change_psd(0, vec![add_key(3), certify(3), step(key_id(3), KeyStep::Activated)]);
    shell.settle();
    assert_eq!(standing(&shell), None);
    let (mut shell, _) = shell.crash();
    assert_eq!(standing(&shell), None);
    let again = shell.instruct(INSPECTION, 2, change(0, Role::Indicium));
    shell.settle();
    leaf(&shell, again);
    shell.assert_idle();
}
