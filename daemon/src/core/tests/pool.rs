//! One licence over many PSDs: which of them signs, what is passed over, and what a refusal by all of them waits for.

use super::shell::{CLIENT, Setup, Shell, any_psd, key, mills, piece, word};
use crate::core::engine::Device;
use crate::core::{
    Event, Outcome, RequestId, Selection, SignTarget, Span, Submission, SubmitReply, TokenIndex, ValueStep,
};
use psd::device::Piece;
use psd::indicium::{Details, Postal};
use psd::lifecycle::{LockReason, Locks};
use psd::refusal::OutOfUse;
use psd::{Refusal, State};
use std::collections::BTreeMap;
use std::iter;

const ROUND_ROBIN: usize = 100;

/// Members stand in the order 0, 2, 4, …, 1, 3, 5, …: first those of the first tenant.
fn shell(funds: &[u64]) -> Shell {
    Shell::new(Setup { funds: funds.to_vec(), ..Setup::default() })
}

fn items(first: u64, count: u64, postage: u64) -> Vec<(u64, u64)> {
    (first..first + count).map(|ms| (ms, postage)).collect()
}

fn changed(mut piece: Piece, change: impl FnOnce(&mut Postal)) -> Piece {
    let Details::Postal(postal) = &mut piece.details else { panic!("a piece of mail") };
    change(postal);
    piece
}

fn piece_to(zip: &str, ms: u64, postage: u64) -> Piece {
    changed(piece(ROUND_ROBIN, key(ms), postage), |postal| postal.destination = zip.parse().unwrap())
}

impl Shell {
    fn ask_within(&mut self, selection: Selection, within: Vec<Span>, items: &[(u64, u64)]) -> RequestId {
        let request = self.request_id();
        let pieces = items.iter().map(|(ms, postage)| (piece(ROUND_ROBIN, key(*ms), *postage), None)).collect();
        let licences = self.engine.licences();
        let target = SignTarget::Licence { licence: "L-1".parse().unwrap(), selection, licences, within };
        let (tenant, client, policy) = ("acme".parse().unwrap(), CLIENT.into(), self.policy);
        self.event(Event::Submit(Submission { request, tenant, client, target, pieces, all_or_none: false, policy }));
        request
    }

    fn ask_for(&mut self, selection: Selection, pieces: Vec<Piece>, all_or_none: bool) -> RequestId {
        let (request, event) = self.submission(any_psd(selection, 0), pieces, all_or_none);
        self.event(event);
        request
    }

    fn alter(&mut self, psd: usize, alter: impl FnOnce(State) -> State) {
        let Device { psd: device, committed, .. } = &mut self.engine.devices[psd];
        *committed = alter(device.state().clone());
        device.restore(committed.clone());
        self.engine.refresh(psd);
    }

    fn refusal(&self, request: RequestId) -> Refusal {
        match &self.outcomes(request)[0] {
            Outcome::Refused(refusal) => refusal.clone(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn round_robin_gives_each_member_a_chunk_in_turn() {
    let mut shell = shell(&[1_000_000; 4]);
    let long = shell.submit(ROUND_ROBIN, &items(1, 18, 100));
    shell.settle();
    let expected: Vec<usize> = [0, 2, 1, 3, 0].into_iter().flat_map(|psd| [psd; 4]).take(18).collect();
    assert_eq!(shell.signers(long), expected);
    // The next request goes on where the last one stopped, and so does one of another tenant.
    let small = shell.submit(ROUND_ROBIN, &items(30, 1, 100));
    shell.settle();
    let other = shell.submit(any_psd(Selection::RoundRobin, 1), &items(31, 2, 100));
    shell.settle();
    assert_eq!((shell.signers(small), shell.signers(other)), (vec![2], vec![1, 1]));
    shell.assert_idle();
}

#[test]
fn a_member_that_cannot_pay_is_passed_over_and_a_turn_may_use_several() {
    let mut shell = shell(&[250, 90, 1_000, 130]);
    let request = shell.submit(ROUND_ROBIN, &items(1, 4, 100));
    assert_eq!(shell.signing().len(), 2, "both chunks are signed at the same time");
    shell.settle();
    assert_eq!(shell.signers(request), [0, 0, 2, 2]);
    let request = shell.submit(ROUND_ROBIN, &items(11, 3, 120));
    shell.settle();
    assert_eq!(shell.signers(request), [3, 2, 2], "PSD 1 never had enough, PSD 0 has no more");
    shell.assert_idle();
}

#[test]
fn the_richest_member_is_taken_and_kept_for_the_turn() {
    let mut shell = shell(&[500, 700, 600, 10]);
    let most = any_psd(Selection::MostFunds, 0);
    let request = shell.submit(most, &items(1, 6, 100));
    shell.settle();
    assert_eq!(shell.signers(request), [1, 1, 1, 1, 2, 2]);
    // 500, 300, 400 and 10 are left.
    let request = shell.submit(most, &[(20, 450), (21, 350), (22, 60)]);
    shell.settle();
    assert_eq!(shell.signers(request), [0, 2, 1], "each was the richest when the one before could not pay");
    shell.assert_idle();
}

#[test]
fn by_zip_only_members_meant_for_the_destination_sign() {
    let zips =
        BTreeMap::from([(0, (10_000, 19_999)), (2, (10_000, 19_999)), (4, (20_000, 29_999)), (1, (15_000, 24_999))]);
    let funds = vec![1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000];
    let mut shell = Shell::new(Setup { funds, zips, ..Setup::default() });
    let pieces = |first: u64| {
        let zips = ["10000", "29999-0001", "10001", "25000"];
        zips.into_iter().zip(first..).map(|(zip, ms)| piece_to(zip, ms, 100)).collect::<Vec<_>>()
    };
    let mut signers = Vec::new();
    for first in [1, 11, 21] {
        let request = shell.ask_for(Selection::Zip, pieces(first), false);
        shell.settle();
        signers.push(shell.signers(request));
    }
    // PSD 3 is for all destinations. Each of the two sets has its own turn, and what is taken is kept while the turn lasts.
    assert_eq!(signers, [[0, 4, 0, 4], [2, 3, 2, 3], [3, 4, 3, 4]]);
    let nowhere = shell.ask_for(Selection::Zip, vec![piece_to("05000", 40, 100)], false);
    shell.settle();
    assert_eq!(shell.signers(nowhere), [3]);
    shell.alter(3, |state| State { locks: Locks::NONE.with(LockReason::Operator), ..state });
    let nowhere = shell.ask_for(Selection::Zip, vec![piece_to("05000", 41, 100)], false);
    let out = OutOfUse { barred: 1, unsuited: 4, ..OutOfUse::default() };
    assert_eq!(shell.refusal(nowhere), Refusal::NoPsdAvailable(out));
    let by_turn = shell.ask_for(Selection::RoundRobin, vec![piece_to("05000", 42, 100)], false);
    shell.settle();
    assert_eq!(shell.words(by_turn), ["signed"], "the range guides the selection by ZIP and nothing else");
}

#[test]
fn members_out_of_use_are_passed_over_and_counted() {
    let mut shell = shell(&[1_000; 6]);
    shell.alter(0, |state| State { locks: Locks::NONE.with(LockReason::Authority), ..state });
    shell.alter(2, |state| State { keys: [].into(), ..state });
    // Those with odd numbers are in the other token.
    shell.event(Event::TokenDown(TokenIndex(1)));
    let request = shell.submit(ROUND_ROBIN, &items(1, 6, 100));
    shell.settle();
    assert_eq!(shell.signers(request), [4; 6]);
    let dear = shell.submit(ROUND_ROBIN, &items(10, 1, 500));
    assert_eq!(shell.refusal(dear), Refusal::NoneHasFunds { postage: mills(500), most: mills(400) });
    shell.alter(4, |state| State { locks: Locks::NONE.with(LockReason::Clock), ..state });
    let none = shell.submit(ROUND_ROBIN, &items(11, 1, 100));
    let out = OutOfUse { barred: 2, uncertified: 1, without_token: 3, unsuited: 0 };
    assert_eq!(shell.refusal(none), Refusal::NoPsdAvailable(out));
    shell.event(Event::TokenUp(TokenIndex(1)));
    let request = shell.submit(ROUND_ROBIN, &items(10, 3, 500));
    shell.settle();
    assert_eq!(shell.signers(request), [1, 1, 3], "refusals bind nothing");
    shell.assert_idle();
}

#[test]
fn limits_of_a_member_count_too() {
    let largest = BTreeMap::from([(0, 200), (1, 300)]);
    let mut shell = Shell::new(Setup { funds: vec![1_000; 3], largest, ..Setup::default() });
    let request = shell.submit(ROUND_ROBIN, &[(1, 250), (2, 400), (3, 150)]);
    shell.settle();
    assert_eq!(shell.signers(request), [2, 2, 2]);
    let request = shell.submit(any_psd(Selection::MostFunds, 0), &[(4, 250), (5, 150)]);
    shell.settle();
    assert_eq!(shell.signers(request), [1, 1]);
    let request = shell.submit(ROUND_ROBIN, &[(6, 100_001)]);
    assert_eq!(shell.refusal(request), Refusal::NoPsdAvailable(OutOfUse { unsuited: 3, ..OutOfUse::default() }));
}

#[test]
fn a_member_that_the_client_may_not_use_is_no_candidate() {
    let mut shell = shell(&[1_000_000, 1_000_000, 200, 1_000_000]);
    for selection in [Selection::RoundRobin, Selection::MostFunds, Selection::Zip] {
        // Members stand in the order 0, 2, 1, 3.
        let first = u64::try_from(any_psd(selection, 0)).unwrap() * 10;
        let request = shell.ask_within(selection, vec![1..2, 3..4], &items(first, 2, 60));
        shell.settle();
        let signers = shell.signers(request);
        assert!(signers.iter().all(|psd| [2, 3].contains(psd)), "{selection:?}: {signers:?}");
    }
    let short = shell.ask_within(Selection::RoundRobin, iter::once(1..2).collect(), &[(9_000, 600)]);
    shell.settle();
    assert!(matches!(shell.refusal(short), Refusal::NoneHasFunds { .. }));
    let none = shell.ask_within(Selection::RoundRobin, Vec::new(), &[(9_001, 600)]);
    assert_eq!(shell.refusal(none), Refusal::NoPsdAvailable(OutOfUse::default()));
    let request = shell.request_id();
    let (licences, within) = (shell.engine.licences(), Vec::new());
    let target = SignTarget::Licence { licence: "L-2".parse().unwrap(), selection: Selection::Zip, licences, within };
    let (tenant, pieces, policy) = ("acme".parse().unwrap(), vec![(piece(ROUND_ROBIN, key(1), 1), None)], shell.policy);
    let client = CLIENT.into();
    shell.event(Event::Submit(Submission { request, tenant, client, target, pieces, all_or_none: false, policy }));
    assert!(matches!(shell.replies.get(&request), Some(SubmitReply::UnknownLicence)));
}

#[test]
fn a_refusal_for_want_of_funds_waits_for_every_debit_in_flight() {
    let mut shell = shell(&[1_000, 1_000, 1_000]);
    let debits = [0, 1, 2].map(|psd| shell.submit(psd, &[(1 + u64::try_from(psd).unwrap(), 900)]));
    let short = shell.submit(ROUND_ROBIN, &[(10, 150)]);
    let later = shell.submit(0, &[(4, 50)]);
    assert_eq!(shell.signing().len(), 4);
    for chunk in shell.signing().into_iter().take(3) {
        assert!(!shell.is_answered(short), "a debit is not durable");
        shell.sign(chunk);
        shell.write(1);
        shell.committed();
    }
    assert_eq!(shell.refusal(short), Refusal::NoneHasFunds { postage: mills(150), most: mills(100) });
    assert!(debits.iter().all(|request| shell.words(*request) == ["signed"]) && !shell.is_answered(later));
    shell.settle();
    shell.assert_idle();
}

#[test]
fn it_does_not_wait_for_debits_that_came_later() {
    let mut shell = shell(&[1_000, 1_000]);
    shell.submit(0, &[(1, 900)]);
    let short = shell.submit(ROUND_ROBIN, &[(10, 1_100)]);
    let later = shell.submit(1, &[(2, 50)]);
    let first = shell.signing()[0];
    shell.sign(first);
    shell.commit_all();
    assert_eq!(shell.words(short), ["insufficient-funds"]);
    assert!(!shell.is_answered(later));
}

#[test]
fn a_dropped_debit_gives_its_funds_back_to_those_who_were_refused() {
    let mut shell = shell(&[1_000, 1_000]);
    let debits = [0, 1].map(|psd| shell.submit(psd, &[(1 + u64::try_from(psd).unwrap(), 900)]));
    let short = shell.submit(ROUND_ROBIN, &[(10, 150), (11, 50), (12, 950)]);
    let whole = shell.submit_as(ROUND_ROBIN, &[(20, 400), (21, 500)], true);
    let chunks = shell.signing();
    shell.sign(chunks[0]);
    shell.commit_all();
    assert!(!shell.is_answered(short) && !shell.is_answered(whole));
    shell.fail(chunks[1], true);
    shell.settle();
    assert_eq!((shell.words(debits[0]), shell.words(debits[1])), (vec!["signed"], vec!["token-unavailable"]));
    assert_eq!(shell.words(short), ["signed", "signed", "insufficient-funds"]);
    // 1000 came back, 150 of it went to the first request: what is left is not enough for 900.
    assert_eq!(shell.words(whole), ["insufficient-funds", "all-or-none"]);
    shell.assert_idle();
}

#[test]
fn a_dropped_chunk_of_the_pool_restores_its_member_for_the_next() {
    let mut shell = shell(&[400, 400]);
    let request = shell.submit(ROUND_ROBIN, &items(1, 4, 200));
    let chunks = shell.signing();
    assert_eq!(chunks.len(), 2);
    shell.fail(chunks[0], true);
    shell.assert_pools_know();
    shell.settle();
    assert_eq!(shell.words(request), ["token-unavailable", "token-unavailable", "signed", "signed"]);
    let again = shell.submit(ROUND_ROBIN, &items(1, 4, 200));
    shell.settle();
    assert_eq!(shell.signers(again), [0, 0, 1, 1], "the stored ones stay where they are");
    shell.assert_idle();
}

#[test]
fn a_key_has_one_outcome_whatever_psd_would_be_chosen() {
    let mut shell = shell(&[1_000, 1_000]);
    let first = shell.submit(ROUND_ROBIN, &[(1, 100)]);
    let joined = shell.submit(ROUND_ROBIN, &[(1, 100), (1, 100), (1, 101)]);
    shell.settle();
    let later = shell.submit(ROUND_ROBIN, &[(1, 100)]);
    shell.settle();
    let debit = |request: RequestId, index: usize| match &shell.outcomes(request)[index] {
        Outcome::Signed(durable) => durable.leaf(),
        other => panic!("{other:?}"),
    };
    assert_eq!([debit(first, 0), debit(joined, 0), debit(joined, 1)], [debit(later, 0); 3]);
    assert_eq!(word(&shell.outcomes(joined)[2]), "key-reused");
    let named = shell.submit(1, &[(2, 100)]);
    shell.settle();
    assert_eq!(shell.words(named), ["signed"]);
    let by_licence = shell.submit_as_tenant_of(1, &[(2, 100)]);
    assert_eq!(shell.words(by_licence), ["key-reused"], "a licence is other content than a PSD");
    shell.assert_idle();
}

impl Shell {
    fn submit_as_tenant_of(&mut self, psd: usize, items: &[(u64, u64)]) -> RequestId {
        let request = self.submit(any_psd(Selection::RoundRobin, psd), items);
        self.settle();
        request
    }
}

#[test]
fn all_or_none_is_taken_by_one_member_or_refused_whole() {
    let mut shell = shell(&[500, 900, 700]);
    let whole = shell.submit_as(ROUND_ROBIN, &items(1, 6, 100), true);
    assert_eq!(shell.signing().len(), 1);
    shell.settle();
    assert_eq!(shell.signers(whole), [2; 6], "PSD 0 comes first and cannot pay for all");
    let too_much = shell.submit_as(ROUND_ROBIN, &items(11, 10, 100), true);
    shell.settle();
    assert_eq!(shell.refusal(too_much), Refusal::NoneHasFunds { postage: mills(1_000), most: mills(900) });
    assert_eq!(shell.words(too_much)[1..], ["all-or-none"; 9]);
    let pieces = items(5, 3, 100).iter().map(|(ms, postage)| piece(ROUND_ROBIN, key(*ms), *postage)).collect();
    let again = shell.ask_for(Selection::MostFunds, pieces, true);
    shell.settle();
    assert_eq!(shell.signers(again), [2, 2, 1], "what is stored needs no funds");
    shell.assert_idle();
}

#[test]
fn all_or_none_by_zip_wants_one_member_for_every_destination() {
    let zips = BTreeMap::from([(0, (10_000, 19_999)), (2, (20_000, 29_999)), (1, (10_000, 29_999))]);
    let mut shell = Shell::new(Setup { funds: vec![1_000, 100, 1_000], zips, ..Setup::default() });
    let pieces = |first: u64| vec![piece_to("10000", first, 40), piece_to("29999", first + 1, 40)];
    let both = shell.ask_for(Selection::Zip, pieces(1), true);
    shell.settle();
    assert_eq!(shell.signers(both), [1, 1]);
    let both = shell.ask_for(Selection::Zip, pieces(11), true);
    assert_eq!(shell.refusal(both), Refusal::NoneHasFunds { postage: mills(80), most: mills(20) });
}

#[test]
fn a_member_under_a_value_command_is_passed_over_and_refusals_wait_for_its_end() {
    let mut shell = shell(&[1_000, 100]);
    shell.ask_value(0, 5_000);
    let elsewhere = shell.submit(ROUND_ROBIN, &[(1, 50)]);
    let dear = shell.submit(ROUND_ROBIN, &[(2, 900)]);
    let whole = shell.submit_as(ROUND_ROBIN, &[(3, 10), (4, 85)], true);
    shell.event(Event::TokenDown(TokenIndex(1)));
    let alone = shell.submit(ROUND_ROBIN, &[(5, 20)]);
    shell.event(Event::TokenUp(TokenIndex(1)));
    assert!([elsewhere, dear, whole, alone].iter().all(|request| !shell.is_answered(*request)));
    shell.settle();
    assert_eq!((shell.signers(elsewhere), shell.signers(dear)), (vec![1], vec![0]));
    assert_eq!(
        (shell.signers(whole), shell.signers(alone)),
        (vec![0, 0], vec![1]),
        "those asked first are judged first"
    );
    shell.assert_idle();

    // One that is refused itself ends as well.
    shell.value(1, ValueStep::Void { sequence: 9, nonce: [0; 16] });
    assert_eq!(shell.engine.pools[0].held(), (0, 0, 0));
    shell.assert_pools_know();
}

#[test]
fn value_that_is_loaded_meanwhile_is_found() {
    let mut shell = shell(&[100, 100]);
    shell.ask_value(0, 5_000);
    shell.settle();
    shell.apply_value(0, 2, 5_000, 5_100);
    let dear = shell.submit(ROUND_ROBIN, &[(2, 900)]);
    assert!(!shell.is_answered(dear));
    shell.settle();
    assert_eq!(shell.signers(dear), [0]);
    shell.assert_idle();
}

#[test]
fn a_turn_by_licence_is_no_longer_than_one_for_a_psd() {
    let mut shell = Shell::new(Setup { funds: vec![150; 8], in_flight_items: 8, ..Setup::default() });
    let greedy: Vec<_> = items(1, 40, 100);
    let (other, event) = shell.submission(1, vec![piece(1, key(1), 100)], false);
    let greedy = greedy.iter().map(|(ms, postage)| piece(ROUND_ROBIN, key(*ms), *postage)).collect();
    let (_, first) = shell.submission(ROUND_ROBIN, greedy, false);
    shell.events(vec![first, event]);
    assert_eq!(shell.engine.load().0, 8, "the window is full");
    let of_other = shell.engine.chunks.values().filter(|chunk| chunk.device == 1).count();
    assert_eq!(of_other, 1, "after four items of the first tenant the other has its turn");
    shell.settle();
    assert!(shell.is_answered(other));
    shell.assert_idle();
}

#[test]
fn clock_and_date_are_judged_by_the_psd_that_was_chosen() {
    let mut shell = shell(&[1_000]);
    let late = changed(piece(ROUND_ROBIN, key(1), 100), |postal| postal.date = "2027-11-20".parse().unwrap());
    let request = shell.ask_for(Selection::RoundRobin, vec![late], false);
    assert_eq!(shell.words(request), ["date-out-of-window"]);
    shell.now_ms += 2_000_000;
    let request = shell.submit(ROUND_ROBIN, &[(2, 100)]);
    assert_eq!(shell.words(request), ["clock-stopped"]);
    assert_eq!(shell.committed_registers(0).descending(), mills(1_000));
}

/// A piece of another request is in flight on one PSD, the rest would be debited on another: what becomes of the one must be
/// known before the other is touched.
#[test]
fn all_or_none_waits_for_a_piece_that_another_psd_is_signing() {
    for fails in [true, false] {
        let mut shell = shell(&[1_000_000; 4]);
        let first = shell.submit(ROUND_ROBIN, &[(5, 100), (6, 100)]);
        shell.look_up_all();
        let whole = shell.submit_as(ROUND_ROBIN, &[(5, 100), (7, 100)], true);
        shell.look_up_all();
        assert_eq!(shell.signing().len(), 1, "nothing is prepared beside a piece that can still be dropped");
        if fails {
            shell.fail(shell.signing()[0], false);
        } else {
            shell.sign(shell.signing()[0]);
            shell.commit_all();
        }
        shell.settle();
        let told = if fails { "token-refused" } else { "signed" };
        assert_eq!(shell.words(first), [told; 2]);
        assert_eq!(shell.words(whole), ["signed"; 2]);
        let debited: u64 = (0..4).map(|psd| shell.working(psd).piece_count()).sum();
        assert_eq!(debited, if fails { 2 } else { 3 });
        shell.assert_idle();
    }
}
