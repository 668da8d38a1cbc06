//! A PSD whose indicia are vouchers: debited and recorded as marks are.

use crate::device::*;
use psd::device::{Piece, PieceContext};
use psd::indicium::{DecodedDetails, Details, decode, format_named};
use psd::record::{Environment, Event, Record};
use psd::{Psd, Refusal};

fn voucher(value: u64, from: &str, until: &str) -> Piece {
    Piece { details: ticket(from, until), ..piece(value) }
}

fn signed(psd: &mut Psd, piece: &Piece, environment: Environment) -> Result<Record, Refusal> {
    let tenant = tenant();
    let context = PieceContext { environment, ..context(&tenant) };
    psd.prepare(piece, &context).map(|prepared| prepared.signed(&[0x5a; 64]))
}

#[test]
fn a_voucher_is_a_debit_with_all_registers_in_its_claims() {
    let mut psd = activated(newborn_for_vouchers(), 10_000);
    let piece = voucher(2_500, "2026-11-20", "2027-11-20");
    for (number, environment) in [(1, Environment::Production), (2, Environment::Development)] {
        let Event::Indicium(record) = signed(&mut psd, &piece, environment).unwrap().event else { panic!() };
        assert_eq!((record.postage, record.stamp.registers), (mills(2_500), psd.state().registers));
        let mark = decode(&record.indicium).unwrap();
        assert_eq!((mark.format, mark.psd, mark.certificate_serial), ("voucher", Some(id()), 77));
        assert_eq!((mark.ascending, mark.descending), (mills(2_500 * number), mills(10_000 - 2_500 * number)));
        assert_eq!((mark.postage, mark.currency.as_str(), mark.date), (mills(2_500), "EUR", 20_261_120));
        assert_eq!(mark.specimen, number == 2, "only what a development appliance signs is a specimen");
        let DecodedDetails::Voucher(found) = mark.details else { panic!() };
        assert_eq!((found.control_total, found.pieces), (mills(10_000), number));
        assert_eq!(Details::Voucher(found.details.into()), piece.details);
        let floor = format_named("voucher").unwrap().committed_ascending(&mark.signed);
        assert_eq!(floor, Some(mills(2_500 * number)));
    }
    assert_eq!(psd.state().registers.piece_count(), 2);
}

#[test]
fn limits_and_funds_bind_vouchers_too() {
    let code = |value, from, until| {
        let mut psd = activated(newborn_for_vouchers(), 1_000);
        signed(&mut psd, &voucher(value, from, until), Environment::Production).err().map(|refusal| refusal.code())
    };
    assert_eq!(code(1_000, "2026-11-22", "2036-11-22"), None, "the last day may be far beyond the window");
    assert_eq!(code(1_001, "2026-11-20", "2026-11-20"), Some("insufficient-funds"));
    assert_eq!(code(99, "2026-11-20", "2026-11-20"), Some("postage-too-small"));
    assert_eq!(code(1 << 31, "2026-11-20", "2026-11-20"), Some("postage-too-large"));
    assert_eq!(code(500, "2026-11-18", "2026-12-20"), Some("date-out-of-window"));
    assert_eq!(code(500, "2026-11-23", "2026-12-20"), Some("date-out-of-window"));
}

#[test]
fn an_item_of_the_other_kind_is_refused_both_ways() {
    let mut vouchers = activated(newborn_for_vouchers(), 1_000);
    let before = vouchers.state().clone();
    let refusal = signed(&mut vouchers, &piece(500), Environment::Production).unwrap_err();
    assert_eq!(refusal.code(), "item-wrong-kind");
    assert!(refusal.to_string().contains("voucher layout, made of a voucher item; this is a postal item"), "{refusal}");
    assert_eq!(*vouchers.state(), before);
    let refusal = signed(&mut active(1_000), &voucher(500, "2026-11-20", "2026-11-20"), Environment::Production);
    assert_eq!(refusal.unwrap_err().code(), "item-wrong-kind");
}
