//! One row per refusal code, and their order: each row repairs what the one before it was refused for.

use crate::device::*;
use psd::authority::{AboveCeiling, Period};
use psd::certification::MarkId;
use psd::clock::ClockStop;
use psd::device::{Authorisation, PieceContext, Purpose, ValueRefusal};
use psd::digital_token::AddressCode;
use psd::indicium::Details;
use psd::key::Role;
use psd::lifecycle::{Lifecycle, LockReason, Locks};
use psd::refusal::OutOfUse;
use psd::{Psd, Refusal, Registers, UnixMillis};

/// The contract: every code, in the order in which it is told. A new variant does not compile without its place.
fn place(refusal: &Refusal) -> (usize, &'static str) {
    match refusal {
        Refusal::ClientRevoked(_) => (0, "client-revoked"),
        Refusal::KeyTooOld { .. } => (1, "key-too-old"),
        Refusal::KeyFromFuture { .. } => (2, "key-from-future"),
        Refusal::KeyReused => (3, "key-reused"),
        Refusal::MarkCertified(_) => (4, "indicium-certified"),
        Refusal::MarkRefunded(_) => (5, "indicium-refunded"),
        Refusal::NoneHasFunds { .. } => (6, "insufficient-funds"),
        Refusal::NoPsdAvailable(_) => (7, "no-psd-available"),
        Refusal::NotActive(_) => (8, "psd-not-active"),
        Refusal::Locked(_) => (9, "psd-locked"),
        Refusal::Withdrawing => (10, "psd-withdrawing"),
        Refusal::ClockStopped(_) => (11, "clock-stopped"),
        Refusal::NoCertifiedKey(_) => (12, "no-certified-key"),
        Refusal::NoTokenKey(_) => (13, "no-token-key"),
        Refusal::WrongKind { .. } => (14, "item-wrong-kind"),
        Refusal::NotCertifiable(not) => (15, not.code),
        Refusal::Run(refusal) => (16, refusal.code()),
        Refusal::DateOutOfWindow { .. } => (17, "date-out-of-window"),
        Refusal::PostageTooSmall { .. } => (18, "postage-too-small"),
        Refusal::PostageTooLarge { .. } => (19, "postage-too-large"),
        Refusal::Unencodable { .. } => (20, "field-unencodable"),
        Refusal::InsufficientFunds { .. } => (21, "insufficient-funds"),
        Refusal::AllOrNone { .. } => (22, "all-or-none"),
    }
}

/// What the rows of the table change: the PSD, the piece's postage and details, the clock.
struct Case {
    psd: Psd,
    postage: u64,
    details: Details,
    clock: Result<psd::clock::ClockReading, ClockStop>,
}

fn change(psd: &mut Psd, change: impl FnOnce(&mut psd::State)) {
    let mut state = psd.state().clone();
    change(&mut state);
    psd.restore(state);
}

#[test]
fn refusals_come_in_their_order_and_debit_nothing() {
    type Repair = fn(&mut Case);
    let wrong_at_all = || {
        let mut psd = active(5);
        change(&mut psd, |state| {
            state.lifecycle = Lifecycle::Authorised;
            state.locks = Locks::NONE.with(LockReason::Operator).with(LockReason::Funds);
            state.keys = [].into();
            pending(state, 5, Purpose::Withdrawal);
        });
        Case { psd, postage: 1 << 31, details: ticket("2026-11-18", "2026-11-18"), clock: Err(ClockStop::Silent) }
    };
    let repairs: [(&str, &str, Repair); 12] = [
        ("psd-not-active", "authorised", |case| change(&mut case.psd, |state| state.lifecycle = Lifecycle::Active)),
        ("psd-locked", "operator, funds", |case| change(&mut case.psd, |state| state.locks = Locks::NONE)),
        ("psd-withdrawing", "withdrawn", |case| change(&mut case.psd, |state| state.pending = None)),
        ("clock-stopped", "silent", |case| case.clock = Ok(reading())),
        ("no-certified-key", "certified", |case| {
            change(&mut case.psd, |state| state.keys = active(0).state().keys.clone())
        }),
        ("no-token-key", "no token-mac key in use", |case| case.psd = with_mac_key(&case.psd, 3, Role::TokenMac)),
        ("no-token-key", "no postal-mac key in use", |case| case.psd = with_mac_key(&case.psd, 4, Role::PostalMac)),
        ("item-wrong-kind", "made of a postal item; this is a voucher item", |case| {
            case.details = mailed_on("2026-11-18");
        }),
        ("date-out-of-window", "2026-11-19 to 2026-11-22", |case| case.details = mailed_on("2026-11-19")),
        ("postage-too-large", "1073741.824", |case| case.postage = 1 << 24),
        ("field-unencodable", "postage", |case| case.postage = 1_000),
        ("insufficient-funds", "above the descending register, 0.005", |case| {
            change(&mut case.psd, |state| state.registers = Registers::default().loaded(mills(1_000)).unwrap());
        }),
    ];
    let mut case = wrong_at_all();
    let mut last = 0;
    for (code, says, repair) in repairs {
        let before = case.psd.state().clone();
        let refusal = judged(&mut case).unwrap_err();
        assert_eq!(refusal.code(), code);
        assert_eq!(place(&refusal).1, code);
        assert!(place(&refusal).0 >= last, "{code} is told too early");
        assert!(refusal.to_string().contains(says), "{refusal}");
        assert_eq!(*case.psd.state(), before, "{code} changed the PSD");
        last = place(&refusal).0;
        repair(&mut case);
    }
    judged(&mut case).unwrap();
    assert_eq!(case.psd.state().registers.descending(), mills(0), "the last mill is spendable");
    assert_eq!(judged(&mut case).unwrap_err().code(), "insufficient-funds");
}

fn judged(case: &mut Case) -> Result<(), Refusal> {
    let mut piece = piece(case.postage);
    piece.details = case.details.clone();
    piece.token = Some(AddressCode::of_address("1 Main St").unwrap());
    let tenant = tenant();
    let context = PieceContext { clock: case.clock, ..context(&tenant) };
    case.psd.prepare(&piece, &context).map(drop)
}

/// Too small and too large exclude each other, so the smaller one has its own row; it comes before the want of funds.
#[test]
fn too_little_postage_is_told_before_missing_funds() {
    let mut psd = active(5);
    let (tenant, piece) = (tenant(), piece(99));
    let refusal = psd.prepare(&piece, &context(&tenant)).err().unwrap();
    assert_eq!(refusal.code(), "postage-too-small");
    assert_eq!(place(&refusal).0, 18);
    psd.prepare(&crate::device::piece(100), &context(&tenant)).err().unwrap();
}

/// Codes that the daemon tells, because they need more than one PSD knows.
#[test]
fn codes_of_the_daemon_have_their_place() {
    let reason = psd::custody::RevocationReason::KeyCompromise;
    let told = [
        Refusal::ClientRevoked(psd::custody::Revocation { since: UnixMillis(1), reason }),
        Refusal::KeyTooOld { key_ms: 1, horizon_ms: 2 },
        Refusal::KeyFromFuture { key_ms: 2, limit_ms: 1 },
        Refusal::KeyReused,
        Refusal::MarkCertified(MarkId { psd: "PS010000000001".parse().unwrap(), ascending: mills(5) }),
        Refusal::NoneHasFunds { postage: mills(2), most: mills(1) },
        Refusal::NoPsdAvailable(OutOfUse { barred: 1, ..OutOfUse::default() }),
        Refusal::AllOrNone { index: 3 },
    ];
    for refusal in told {
        assert_eq!(refusal.code(), place(&refusal).1);
    }
}

#[test]
fn the_window_of_dates_is_inclusive_at_both_ends() {
    for (date, admitted) in
        [("2026-11-18", false), ("2026-11-19", true), ("2026-11-20", true), ("2026-11-22", true), ("2026-11-23", false)]
    {
        let mut psd = active(1_000);
        let mut piece = piece(100);
        piece.details = mailed_on(date);
        assert_eq!(psd.prepare(&piece, &context(&tenant())).is_ok(), admitted, "{date}");
    }
}

#[test]
fn a_debit_is_a_stamp_a_message_and_a_record() {
    let mut psd = active(1_000);
    let sequence = psd.state().sequence;
    let prepared = psd.prepare(&piece(250), &context(&tenant())).unwrap();
    assert_eq!((prepared.message().len(), prepared.key()), (psd::indicium::ibi::SIGNED_LEN, key(0)));
    let record = prepared.signed(&[0x5a; 64]);
    let stamp = *record.event.stamp().unwrap();
    assert_eq!((stamp.sequence, stamp.registers), (sequence + 1, psd.state().registers));
    let numbers = (stamp.registers.ascending(), stamp.registers.descending(), stamp.registers.piece_count());
    assert_eq!(numbers, (mills(250), mills(750), 1));
    let psd::record::Event::Indicium(indicium) = &record.event else { panic!() };
    let decoded = psd::indicium::format_named("ibi").unwrap().decode(&indicium.indicium).unwrap();
    assert_eq!((decoded.ascending, decoded.descending, decoded.postage), (mills(250), mills(750), mills(250)));
    assert_eq!((decoded.certificate_serial, &decoded.signed[35..41], decoded.specimen), (77, &b"psdd01"[..], false));
    let tenant = tenant();
    let specimen = PieceContext { environment: psd::record::Environment::Development, ..context(&tenant) };
    let message = psd.prepare(&piece(250), &specimen).unwrap().signed(&[0; 64]);
    let psd::record::Event::Indicium(indicium) = &message.event else { panic!() };
    assert!(psd::indicium::format_named("ibi").unwrap().decode(&indicium.indicium).unwrap().specimen);
}

fn value_place(refusal: &ValueRefusal) -> (usize, &'static str) {
    match refusal {
        ValueRefusal::NotActive(_) => (1, "psd-not-active"),
        ValueRefusal::RefundedBefore { .. } => (2, "refunded-before"),
        ValueRefusal::Withdrawing { .. } => (3, "psd-withdrawing"),
        ValueRefusal::RequestPending { .. } => (4, "value-request-pending"),
        ValueRefusal::NoAmount => (5, "value-no-amount"),
        ValueRefusal::BelowSmallestRefill { .. } => (6, "value-below-smallest-refill"),
        ValueRefusal::AboveLargestRefill { .. } => (7, "value-above-largest-refill"),
        ValueRefusal::WrongAppliance(_) => (8, "value-wrong-appliance"),
        ValueRefusal::WrongPsd(_) => (9, "value-wrong-psd"),
        ValueRefusal::WrongSequence { .. } => (10, "value-wrong-sequence"),
        ValueRefusal::WrongPiece { .. } => (11, "value-wrong-piece"),
        ValueRefusal::WrongAmount { .. } => (12, "value-wrong-amount"),
        ValueRefusal::Overflow => (13, "value-overflow"),
        ValueRefusal::AboveLargestDescending { .. } => (14, "value-above-largest-descending"),
        ValueRefusal::WrongControlTotal { .. } => (15, "value-wrong-control-total"),
        ValueRefusal::Expired(_) => (16, "value-expired"),
        ValueRefusal::AboveCeiling(_) => (17, "value-above-ceiling"),
        ValueRefusal::RunOpen(_) => (18, "run-open"),
        ValueRefusal::PaidBefore { .. } => (19, "refund-of-paying-indicium"),
    }
}

fn pending(state: &mut psd::State, amount: u64, purpose: Purpose) {
    let (sequence, amount) = (state.value_sequence + 1, mills(amount));
    state.pending = Some(psd::device::PendingValue { sequence, purpose, amount, request: [1][..].into() });
}

#[test]
fn value_requests_are_refused_in_order() {
    let most = psd::PostageAmount::MAX.mills();
    let mut psd = active(1 << 39);
    change(&mut psd, |state| {
        state.lifecycle = Lifecycle::Withdrawn;
        pending(state, 7, Purpose::Withdrawal);
    });
    let mut last = None;
    let mut refused = |psd: &Psd, amount: u64, code: &str| {
        let refusal = psd.value_terms(mills(amount)).unwrap_err();
        assert_eq!((refusal.code(), value_place(&refusal).1), (code, code));
        assert!(last < Some(value_place(&refusal).0), "{code} is told too early");
        last = Some(value_place(&refusal).0);
    };
    refused(&psd, 0, "psd-not-active");
    change(&mut psd, |state| state.lifecycle = Lifecycle::Authorised);
    refused(&psd, 0, "psd-withdrawing");
    change(&mut psd, |state| pending(state, 7, Purpose::Download));
    refused(&psd, 0, "value-request-pending");
    change(&mut psd, |state| state.pending = None);
    refused(&psd, 0, "value-no-amount");
    refused(&psd, most, "value-overflow");
    refused(&psd, (1 << 39) + 1, "value-above-largest-descending");
    let terms = psd.value_terms(mills(1 << 39)).unwrap();
    assert_eq!((terms.sequence, terms.amount), (1, mills(1 << 39)));
    for (state, takes) in [(Lifecycle::Initialised, false), (Lifecycle::Active, true), (Lifecycle::Scrapped, false)] {
        change(&mut psd, |s| s.lifecycle = state);
        assert_eq!(psd.value_terms(mills(1)).is_ok(), takes, "{state}");
    }
}

#[test]
fn authorisations_are_refused_in_order_and_applied_once() {
    let (ours, other) = ("dev-1".parse().unwrap(), "dev-2".parse().unwrap());
    let most = psd::PostageAmount::MAX;
    let mut psd = active(100);
    change(&mut psd, |state| {
        state.lifecycle = Lifecycle::Initialised;
        pending(state, 50, Purpose::Refund(spoiled(9)));
    });
    let mut authorisation = Authorisation {
        appliance: other,
        psd: "PS010001000002".parse().unwrap(),
        amount: most,
        refund: Some(8),
        control_total: mills(1),
        sequence: 2,
        expires: UnixMillis(NOW - 1),
    };
    let mut last = None;
    let mut refused = |psd: &mut Psd, authorisation: &Authorisation, code: &str| {
        let before = psd.state().clone();
        let refusal = psd.apply_value(authorisation, &ours, UnixMillis(NOW), Ok(())).unwrap_err();
        assert_eq!((refusal.code(), value_place(&refusal).1), (code, code));
        assert!(last < Some(value_place(&refusal).0), "{code} is told too early");
        assert_eq!(*psd.state(), before, "{code} changed the PSD");
        last = Some(value_place(&refusal).0);
    };
    refused(&mut psd, &authorisation, "psd-not-active");
    change(&mut psd, |state| state.lifecycle = Lifecycle::Active);
    refused(&mut psd, &authorisation, "value-wrong-appliance");
    authorisation.appliance = "dev-1".parse().unwrap();
    refused(&mut psd, &authorisation, "value-wrong-psd");
    authorisation.psd = id();
    refused(&mut psd, &authorisation, "value-wrong-sequence");
    authorisation.sequence = 1;
    refused(&mut psd, &authorisation, "value-wrong-piece");
    authorisation.refund = Some(9);
    refused(&mut psd, &authorisation, "value-wrong-amount");
    change(&mut psd, |state| pending(state, most.mills(), Purpose::Refund(spoiled(9))));
    refused(&mut psd, &authorisation, "value-overflow");
    change(&mut psd, |state| pending(state, 1 << 40, Purpose::Refund(spoiled(9))));
    authorisation.amount = mills(1 << 40);
    refused(&mut psd, &authorisation, "value-above-largest-descending");
    change(&mut psd, |state| pending(state, 50, Purpose::Refund(spoiled(9))));
    authorisation.amount = mills(50);
    refused(&mut psd, &authorisation, "value-wrong-control-total");
    authorisation.control_total = mills(150);
    refused(&mut psd, &authorisation, "value-expired");
    authorisation.expires = UnixMillis(NOW);
    psd.apply_value(&authorisation, &ours, UnixMillis(NOW), Ok(())).unwrap();
    assert_eq!(psd.state().registers, Registers::default().loaded(mills(150)).unwrap());
    let again = psd.apply_value(&authorisation, &ours, UnixMillis(NOW), Ok(())).unwrap_err();
    assert_eq!(again, ValueRefusal::WrongSequence { given: 1, expected: None });
    assert_eq!(psd.refund_terms(spoiled(9), mills(50)).unwrap_err(), ValueRefusal::RefundedBefore { leaf: 9 });
    assert!(psd.refund_terms(spoiled(8), mills(50)).is_ok());
}

#[test]
fn refills_have_a_smallest_and_a_largest() {
    let mut event = created();
    let psd::record::Event::PsdCreated { limits, .. } = &mut event else { panic!() };
    (limits.smallest_refill, limits.largest_refill) = (mills(10), mills(20));
    let mut psd = Psd::from_created(&event, UnixMillis(1)).unwrap();
    change(&mut psd, |state| state.lifecycle = Lifecycle::Active);
    let code = |amount| psd.value_terms(mills(amount)).map(drop).map_err(|refusal| refusal.code());
    assert_eq!(code(9), Err("value-below-smallest-refill"));
    assert_eq!((code(10), code(20)), (Ok(()), Ok(())));
    assert_eq!(code(21), Err("value-above-largest-refill"));
    assert!(psd.refund_terms(spoiled(1), mills(5)).is_ok(), "a refund is no refill");
}

/// A download that its licence's ceiling does not admit is refused last of all; a refund passes under it.
#[test]
fn a_ceiling_is_told_last() {
    let above = AboveCeiling { period: Period::Month, would_be: mills(2), ceiling: mills(1) };
    let authorisation = |refund| Authorisation {
        appliance: "dev-1".parse().unwrap(),
        psd: id(),
        amount: mills(50),
        refund,
        control_total: mills(150),
        sequence: 1,
        expires: UnixMillis(NOW),
    };
    let ours = "dev-1".parse().unwrap();
    for (purpose, refused) in [(Purpose::Download, true), (Purpose::Refund(spoiled(3)), false)] {
        let mut psd = active(100);
        change(&mut psd, |state| pending(state, 50, purpose));
        let answer = authorisation(purpose.refund());
        let late = psd.apply_value::<()>(&answer, &ours, UnixMillis(NOW + 1), Err(above)).unwrap_err();
        assert_eq!(late.code(), "value-expired");
        let before = psd.state().clone();
        match psd.apply_value::<()>(&answer, &ours, UnixMillis(NOW), Err(above)) {
            Err(refusal) => {
                assert_eq!((refusal.code(), value_place(&refusal).1), ("value-above-ceiling", "value-above-ceiling"));
                assert!(refused);
                assert_eq!(*psd.state(), before);
            }
            Ok(applied) => {
                assert_eq!(applied, (purpose, None));
                assert!(!refused);
            }
        }
    }
}

/// From the request on nothing is signed and nothing comes in; only the acknowledgement ends it, and the registers then read zero.
#[test]
fn a_withdrawal_is_a_one_way_street() {
    let ours = "dev-1".parse().unwrap();
    let mut psd = active(1_000);
    psd.prepare(&piece(250), &context(&tenant())).map(drop).unwrap();
    let terms = psd.withdrawal_terms().unwrap();
    assert_eq!((terms.sequence, terms.amount), (1, mills(750)));
    psd.value_requested(&terms, [1][..].into());
    assert_eq!(psd.prepare(&piece(250), &context(&tenant())).err().unwrap().code(), "psd-withdrawing");
    assert_eq!(psd.void_terms(1).unwrap_err().code(), "psd-withdrawing");
    assert_eq!(psd.value_terms(mills(1)).unwrap_err().code(), "psd-withdrawing");
    let mut answer = Authorisation {
        appliance: "dev-1".parse().unwrap(),
        psd: id(),
        amount: mills(750),
        refund: None,
        control_total: mills(1_750),
        sequence: 1,
        expires: UnixMillis(NOW),
    };
    let applied = psd.apply_value(&answer, &ours, UnixMillis(NOW), Ok(())).unwrap_err();
    assert_eq!(applied.code(), "psd-withdrawing", "an authorisation over the same number loads nothing");
    let refused = |answer: &Authorisation, late| psd.report_terms(answer, &ours, UnixMillis(NOW + late)).unwrap_err();
    assert_eq!(refused(&answer, 0).code(), "value-wrong-control-total");
    answer.control_total = mills(250);
    assert_eq!(refused(&answer, 1).code(), "value-expired");
    answer.amount = mills(749);
    assert_eq!(refused(&answer, 0).code(), "value-wrong-amount");
    answer.amount = mills(750);
    let terms = psd.report_terms(&answer, &ours, UnixMillis(NOW)).unwrap();
    psd.withdrawn(&terms);
    let registers = psd.state().registers;
    let numbers = (registers.ascending(), registers.descending(), registers.control_total(), registers.piece_count());
    assert_eq!(numbers, (mills(250), mills(0), mills(250), 1));
    assert_eq!(psd.state().lifecycle, Lifecycle::Withdrawn);
    assert_eq!(psd.report_terms(&answer, &ours, UnixMillis(NOW)).unwrap_err().code(), "psd-not-active");
}

/// The registers of the layout have 40 and 32 bits.
#[test]
fn a_psd_can_spend_what_it_has_and_its_layout_has_room_for() {
    let rows = [
        (0, 1_000, 1_000),
        ((1 << 40) - 1_000, 5_000, 999),
        ((1 << 40) - 1, 5_000, 0),
        (0, (1 << 32) - 1, (1 << 32) - 1),
        (0, 1 << 32, 0),
    ];
    for (ascending, descending, spendable) in rows {
        let mut psd = active(5);
        let (ascending, descending) = (mills(ascending), mills(descending));
        let control_total = ascending.checked_add(descending).unwrap();
        change(&mut psd, |state| {
            state.registers = Registers::from_parts(ascending, descending, control_total, 1).unwrap();
        });
        assert_eq!(psd.spendable(), mills(spendable), "{ascending} and {descending}");
    }
}
