//! What is found of mail runs: a piece under other terms than announced, a closing that is not the sum of its pieces, a run that nobody closed.

use crate::findings::shown;
use crate::world::{World, mills};
use psd::UnixMillis;
use psd::record::Event;
use psdd_inspector::{Code, Rules};

const DAY_MS: u64 = 86_400_000;

fn world() -> World {
    let mut world = World::born(1);
    world.certifying(0);
    world
}

#[test]
fn an_honest_run_is_no_finding_though_it_is_inspected_while_it_is_open() {
    let mut world = world();
    let dir = tempfile::tempdir().unwrap();
    let opened = world.open_run(0, "r");
    world.certify_in(0, "r");
    world.sign(0);
    drop(world.inspected(dir.path()));
    world.certify_in(0, "r");
    drop(world.inspected(dir.path()));
    let closed = world.closed_run(0, opened, 2);
    world.append(&closed);
    let (mirror, fold) = world.inspected(dir.path());
    let view = fold.view(&mirror, &Rules::default(), UnixMillis(world.now)).unwrap();
    assert_eq!((view.findings, view.pieces), (vec![], 3), "the closing is no piece");
}

#[test]
fn a_closing_that_is_not_the_sum_of_its_pieces() {
    let mut world = world();
    let opened = world.open_run(0, "r");
    world.certify_in(0, "r");
    let closed = world.closed_run(0, opened, 2);
    let leaf = world.append(&closed);
    let finding = shown(&world, Code::RunContradicted, Some(0), &[opened, leaf]);
    assert!(finding.says.contains("2 pieces"), "{}", finding.says);
}

#[test]
fn a_piece_that_owes_otherwise_than_its_run_has_it() {
    let mut world = world();
    world.open_run(0, "r");
    let mut record = world.certified_in(0, "r");
    let Event::Certification(piece) = &mut record.event else { unreachable!() };
    piece.run.as_mut().unwrap().dues = [mills(630), mills(600)].into();
    world.appliance.latest = record.at;
    let leaf = world.append(&record);
    let finding = shown(&world, Code::RunContradicted, Some(0), &[leaf]);
    assert!(finding.says.contains("what is due"), "{}", finding.says);
}

#[test]
fn a_run_that_nobody_closes_is_told_days_later() {
    let mut world = world();
    let opened = world.open_run(0, "r");
    let dir = tempfile::tempdir().unwrap();
    let (mirror, fold) = world.inspected(dir.path());
    let found = |days: u64| {
        let view = fold.view(&mirror, &Rules::default(), UnixMillis(world.now + days * DAY_MS)).unwrap();
        let of_runs = view.findings.into_iter().filter(|finding| finding.code == Code::RunUnclosed);
        of_runs.map(|finding| finding.leaves).collect::<Vec<_>>()
    };
    assert_eq!((found(3), found(4)), (vec![], vec![vec![opened]]));
}
