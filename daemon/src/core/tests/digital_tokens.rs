//! Digital tokens in the core: a piece is committed with signature and both halves or not at all.

use super::changes::step;
use super::shell::{Setup, Shell, key, mills, piece, psd_id, tokened, voucher};
use crate::core::{ChunkId, Event, Outcome, RequestId, TokenIndex};
use psd::custody::KeyStep;
use psd::digital_token::{AddressCode, DigitalToken, Lengths, Party, TokenData};
use psd::key::Role;
use psd::mac::MAC_LENGTH;
use psd::record::{Event as RecordEvent, Indicium};
use psdd_hsm::link::Signatures;
use psdd_hsm::protocol::Form;

fn setup() -> Setup {
    Setup { digital_tokens: true, ..Setup::default() }
}

/// The token of each outcome.
fn tokens(shell: &Shell, request: RequestId) -> Vec<Option<String>> {
    let token = |outcome: &Outcome| match outcome {
        Outcome::Signed(durable) => match &durable.record().event {
            RecordEvent::Indicium(Indicium { token, .. }) => token.map(|token| token.to_string()),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    shell.outcomes(request).iter().map(token).collect()
}

/// What the tokens here make of the piece of PSD 0 with this number and postage.
fn expected(pieces: u64, postage: u64) -> String {
    let (date, destination) = ("2026-11-20".parse().unwrap(), "20500-0003".parse().unwrap());
    let address = AddressCode::of_address("1 Main St").unwrap();
    let data = TokenData::new((psd_id(0), pieces), mills(postage), date, destination, address).unwrap();
    let mac = |party| {
        let message = data.message(party);
        let bytes: Vec<u8> = (0..MAC_LENGTH).map(|n| message[message.len() - 1 - n % message.len()] ^ 0x5a).collect();
        <[u8; MAC_LENGTH]>::try_from(bytes).unwrap()
    };
    DigitalToken::of_macs(&mac(Party::Vendor), &mac(Party::Postal), Lengths::default()).to_string()
}

#[test]
fn three_frames_bring_a_chunk_together_and_the_pieces_without_tokens_are_in_one() {
    let mut shell = Shell::new(setup());
    let pieces = vec![piece(0, key(1), 700), tokened(0, 2, 710), piece(0, key(3), 720), tokened(0, 4, 730)];
    let request = shell.submit_pieces(0, pieces, false);
    shell.look_up_all();
    let chunk = shell.signing()[0];
    let asked: Vec<_> = shell
        .halves
        .iter()
        .map(|((of, party), (token, frame))| {
            assert_eq!(*of, chunk);
            assert_eq!((frame.form, frame.key_id[0], frame.floor), (Form::TokenMac, frame.role.number(), 0));
            (*party, frame.role, *token, frame.messages.len())
        })
        .collect();
    assert_eq!(
        asked,
        [(Party::Vendor, Role::TokenMac, TokenIndex(0), 2), (Party::Postal, Role::PostalMac, TokenIndex(1), 2)]
    );
    assert_eq!(shell.frames[&chunk].1.messages.len(), 4);
    shell.settle();
    assert_eq!(shell.words(request), ["signed"; 4]);
    assert_eq!(tokens(&shell, request), [None, Some(expected(2, 710)), None, Some(expected(4, 730))]);
    shell.assert_idle();
    // What is stored is told again, also after a restart.
    let (mut shell, _) = shell.crash();
    let again = shell.submit_pieces(0, vec![tokened(0, 2, 710)], false);
    shell.settle();
    assert_eq!(tokens(&shell, again), [Some(expected(2, 710))]);
    assert!(shell.halves.is_empty() && shell.frames.is_empty(), "nothing is made again");
}

#[test]
fn a_chunk_waits_for_all_three_in_any_order() {
    type Part = Option<Party>;
    let [sign, vendor, postal]: [Part; 3] = [None, Some(Party::Vendor), Some(Party::Postal)];
    for order in [[sign, vendor, postal], [postal, vendor, sign], [vendor, sign, postal]] {
        let mut shell = Shell::new(setup());
        let request = shell.submit_pieces(0, vec![tokened(0, 1, 710)], false);
        shell.look_up_all();
        let chunk = shell.signing()[0];
        for part in order {
            shell.commit_all();
            assert!(!shell.is_answered(request) && shell.handed_over.is_empty(), "{order:?} before {part:?}");
            match part {
                None => shell.sign(chunk),
                Some(party) => shell.mac(chunk, party),
            }
        }
        shell.settle();
        assert_eq!(tokens(&shell, request), [Some(expected(1, 710))], "{order:?}");
        shell.assert_idle();
    }
}

#[test]
fn pieces_without_tokens_have_no_frames_but_their_own() {
    let mut shell = Shell::new(setup());
    let request = shell.submit(0, &[(1, 700), (2, 700)]);
    shell.look_up_all();
    assert_eq!((shell.frames.len(), shell.halves.len()), (1, 0));
    shell.settle();
    assert_eq!(tokens(&shell, request), [None, None]);
}

#[test]
fn what_fails_one_half_drops_the_chunk_and_what_is_behind_it() {
    for (failed, retryable, word) in [
        (Party::Vendor, true, "token-unavailable"),
        (Party::Postal, true, "token-unavailable"),
        (Party::Postal, false, "token-refused"),
    ] {
        let mut shell = Shell::new(setup());
        let first = shell.submit_pieces(0, vec![tokened(0, 1, 710), piece(0, key(2), 720)], false);
        shell.look_up_all();
        let behind = shell.submit(0, &[(3, 730)]);
        shell.look_up_all();
        let chunks = shell.signing();
        shell.sign(chunks[1]);
        shell.sign(chunks[0]);
        shell.fail_halves(chunks[0], failed, retryable);
        assert_eq!(shell.words(first), [word; 2]);
        assert_eq!(shell.words(behind), ["token-unavailable"]);
        assert_eq!(shell.working(0).piece_count(), 0, "nothing is debited");
        // The other half comes after all: it belongs to nothing any more.
        shell.settle();
        assert!(shell.handed_over.is_empty());
        // The same keys are as new, and take the same numbers.
        let again = shell.submit_pieces(0, vec![tokened(0, 1, 710), piece(0, key(2), 720)], false);
        shell.settle();
        assert_eq!(tokens(&shell, again), [Some(expected(1, 710)), None]);
        shell.assert_idle();
    }
}

#[test]
fn another_number_of_halves_or_another_length_fails_the_chunk() {
    let wrong: [fn(ChunkId) -> Event; 3] = [
        |chunk| Event::Maced(chunk, Party::Vendor, Signatures::with_length(Vec::new(), 32).unwrap()),
        |chunk| Event::Maced(chunk, Party::Vendor, Signatures::with_length(vec![0; 64], 32).unwrap()),
        |chunk| Event::Maced(chunk, Party::Vendor, Signatures::with_length(vec![0; 64], 64).unwrap()),
    ];
    for event in wrong {
        let mut shell = Shell::new(setup());
        let request = shell.submit_pieces(0, vec![tokened(0, 1, 710)], false);
        shell.look_up_all();
        let chunk = shell.signing()[0];
        shell.event(event(chunk));
        assert_eq!(shell.words(request), ["token-unavailable"]);
        shell.settle();
        shell.assert_idle();
    }
}

#[test]
fn a_psd_without_both_keys_refuses_and_debits_nothing() {
    let mut shell = Shell::new(Setup::default());
    let request = shell.submit_pieces(0, vec![tokened(0, 1, 710), piece(0, key(2), 720)], false);
    shell.settle();
    assert_eq!(shell.words(request), ["no-token-key", "signed"]);
    assert_eq!(shell.working(0).ascending().mills(), 720);
    let whole = shell.submit_pieces(0, vec![piece(0, key(3), 720), tokened(0, 4, 710)], true);
    shell.settle();
    assert_eq!(shell.words(whole), ["all-or-none", "no-token-key"]);
    assert_eq!(shell.working(0).ascending().mills(), 720);
    shell.assert_idle();
}

#[test]
fn the_token_of_either_half_must_answer_where_one_is_asked_for() {
    let mut shell = Shell::new(setup());
    // The postal keys of PSD 0 are in the other token.
    shell.event(Event::TokenDown(TokenIndex(1)));
    let request = shell.submit_pieces(0, vec![tokened(0, 1, 710), piece(0, key(2), 720)], false);
    shell.settle();
    assert_eq!(shell.words(request), ["token-unavailable", "signed"]);
    shell.event(Event::TokenUp(TokenIndex(1)));
    let again = shell.submit_pieces(0, vec![tokened(0, 1, 710)], false);
    shell.settle();
    assert_eq!(tokens(&shell, again), [Some(expected(2, 710))]);
    shell.assert_idle();
}

#[test]
fn with_and_without_a_token_is_different_content() {
    let mut shell = Shell::new(setup());
    let with = shell.submit_pieces(0, vec![tokened(0, 1, 710)], false);
    let without = shell.submit_pieces(0, vec![piece(0, key(1), 710)], false);
    shell.settle();
    assert_eq!((shell.words(with), shell.words(without)), (vec!["signed"], vec!["key-reused"]));
    shell.assert_idle();
}

#[test]
fn a_voucher_has_no_token() {
    let mut shell = Shell::new(Setup { format: "voucher", ..setup() });
    let request = shell.submit_pieces(0, vec![voucher(0, key(1), 710)], false);
    shell.settle();
    assert_eq!(tokens(&shell, request), [None]);
}

/// Behind the revocation nothing may stand in the log that the key made.
#[test]
fn the_revocation_of_a_key_of_a_half_drops_what_is_not_on_its_way_to_the_disk() {
    for party in Party::BOTH {
        let mut shell = Shell::new(setup());
        let pieces = shell.submit_pieces(0, vec![tokened(0, 1, 710)], false);
        shell.look_up_all();
        let revoked = shell.change_psd(0, vec![step([party.role().number(), 0][..].into(), KeyStep::Revoked)]);
        shell.settle();
        assert_eq!((shell.words(pieces), shell.records_of(revoked)), (vec!["key-revoked"], 1), "{party}");
        let after = shell.submit_pieces(0, vec![tokened(0, 1, 710), piece(0, key(2), 720)], false);
        shell.settle();
        assert_eq!(shell.words(after), ["no-token-key", "signed"], "{party}");
        // A start takes the log in again.
        let (shell, appliance) = shell.crash();
        assert_eq!(appliance.psds[&psd_id(0)].state().registers.piece_count(), 1);
        drop(shell);
    }
}
