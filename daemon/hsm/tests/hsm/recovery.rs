//! Workers and keepers that die.

use crate::rig::{PATIENCE, Rig, eventually, is_running, sig_structure};
use psdd_hsm::link::{LinkEvent, SendError};
use psdd_hsm::protocol::{FaultClass, Form};
use psdd_hsm::role::{Algorithm, Role};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn a_worker_killed_under_load_fails_what_was_outstanding_once_and_another_serves() {
    let rig = Rig::new();
    let keeper = rig.keeper();
    let link = rig.link();
    let first = link.up();
    let key = link.generate(Role::Device, Algorithm::EcdsaP256, "k");
    let message = sig_structure(b"load");
    let frame = key.frame(Form::CoseSign1, 0, &vec![message.clone(); 4000]);
    let sent: BTreeSet<_> = (0..20).map(|_| link.link.sign(&frame).expect("taken")).collect();
    keeper.kill_worker();

    let mut answered = BTreeSet::new();
    let mut lost = 0;
    let second = loop {
        match link.next() {
            LinkEvent::Failed { request, fault } => {
                assert_eq!((fault.class, fault.retryable), (FaultClass::WorkerLost, true));
                assert!(answered.insert(request), "answered twice");
                lost += 1;
            }
            LinkEvent::Signed { request, .. } => assert!(answered.insert(request), "answered twice"),
            LinkEvent::Down { .. } => assert_eq!(answered, sent, "everything was answered before Down"),
            LinkEvent::Up(welcome) => break welcome,
            other @ LinkEvent::Latched { .. } => panic!("{other:?}"),
        }
    };
    assert!(lost > 0, "the worker was killed under load");
    assert_ne!(first.incarnation, second.incarnation);
    let signature = link.sign(&key.frame(Form::CoseSign1, 0, std::slice::from_ref(&message))).expect("signed");
    assert!(key.verifies(&message, &signature));
    assert!(link.events.is_empty(), "nothing was answered twice");
}

#[test]
fn a_worker_dies_with_its_keeper() {
    let rig = Rig::new();
    let mut keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let worker = keeper.worker().expect("a worker");
    keeper.kill();
    eventually("the worker is gone", || !is_running(worker));
    assert!(matches!(link.next(), LinkEvent::Down { .. }));
    let _keeper = rig.keeper();
    link.up();
}

#[test]
fn a_worker_that_stands_still_is_killed_and_replaced() {
    let rig = Rig::new();
    let keeper = rig.keeper();
    let link = rig.link();
    let first = link.up();
    let worker = keeper.worker().expect("a worker");
    crate::rig::stop(worker);
    let second = link.up();
    assert_ne!(first.incarnation, second.incarnation);
    assert!(!is_running(worker));
}

#[test]
fn a_request_past_its_deadline_fails_once_and_its_late_answer_is_discarded() {
    let rig = Rig::new();
    let keeper = rig.keeper();
    let link = rig.link_with(|config| config.request_deadline = Duration::from_secs(1));
    link.up();
    let key = link.generate(Role::Device, Algorithm::EcdsaP256, "k");
    let frame = key.frame(Form::CoseSign1, 0, &[sig_structure(b"late")]);
    let worker = keeper.worker().expect("a worker");
    crate::rig::stop(worker);
    let sent = link.link.sign(&frame).expect("taken");
    assert_eq!(link.answer(sent), Err("deadline".to_owned()));
    crate::rig::signal(worker, rustix::process::Signal::CONT);
    assert_eq!(link.sign(&frame).map(|signature| signature.len()), Ok(64), "the next event is the next request's");
}

#[test]
fn a_second_keeper_is_refused() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    rig.link().up();
    let mut second = rig.keeper();
    eventually("the second keeper has ended", || second.has_failed());
}

#[test]
fn more_requests_than_the_bound_are_refused_at_once() {
    let rig = Rig::new();
    let keeper = rig.keeper();
    let link = rig.link_with(|config| config.max_outstanding = 2);
    link.up();
    let key = link.generate(Role::Device, Algorithm::EcdsaP256, "k");
    let frame = key.frame(Form::CoseSign1, 0, &[sig_structure(b"x")]);
    let worker = keeper.worker().expect("a worker");
    crate::rig::stop(worker);
    assert!(link.link.sign(&frame).is_ok());
    assert!(link.link.sign(&frame).is_ok());
    assert_eq!(link.link.sign(&frame), Err(SendError::Full));
    crate::rig::signal(worker, rustix::process::Signal::CONT);
    for _ in 0..2 {
        assert!(matches!(link.next(), LinkEvent::Signed { .. }));
    }
    drop(keeper);
    assert!(matches!(link.next(), LinkEvent::Down { .. }));
    assert_eq!(link.link.sign(&frame), Err(SendError::Down));
}

#[test]
fn an_object_written_by_another_machine_is_seen() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let calls = link.link.blocking();
    calls.write_object("fence", b"mine", PATIENCE).expect("written");
    assert_eq!(calls.read_object("fence", PATIENCE), Ok(Some(b"mine".to_vec())));

    let clone = rig.clone_of_host();
    let _clone_keeper = clone.keeper();
    let clone_link = clone.link();
    clone_link.up();
    let clone_calls = clone_link.link.blocking();
    assert_eq!(clone_calls.read_object("fence", PATIENCE), Ok(Some(b"mine".to_vec())));
    clone_calls.write_object("fence", b"theirs", PATIENCE).expect("written");
    assert_eq!(calls.read_object("fence", PATIENCE), Ok(Some(b"theirs".to_vec())));
}
