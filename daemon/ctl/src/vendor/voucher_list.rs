//! A list of vouchers.

use super::list::{Cells, Row};
use psd::indicium::{Holder, Validity, Voucher, VoucherKind};
use psd::{MailingDate, PostageAmount};
use std::sync::Arc;

const LONGEST_REFERENCE: usize = 64;

/// One voucher.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VoucherRow {
    /// Line of the file, counted from one.
    pub line: u64,
    /// What it is worth.
    pub value: PostageAmount,
    /// Kind, holder and validity.
    pub voucher: Arc<Voucher>,
    /// The sender's reference.
    pub reference: Option<String>,
}

impl Row for VoucherRow {
    const REQUIRED: &'static [&'static str] = &["kind", "value", "valid_from", "valid_until"];
    const OPTIONAL: &'static [&'static str] = &["holder", "reference"];

    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        let kind = cells.text("kind").parse::<VoucherKind>();
        let value = cells.text("value").parse::<PostageAmount>();
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let holder = some(cells.text("holder")).map(|text| text.parse::<Holder>()).transpose();
        let [from, until] = ["valid_from", "valid_until"].map(|column| cells.text(column).parse::<MailingDate>());
        let reference = some(cells.text("reference"));
        if let Err(error) = &kind {
            cells.fault("kind", format!("kind {error}"));
        }
        match &value {
            Ok(PostageAmount::ZERO) => {
                cells.fault("value", "value is zero; leave the row out or give it value".to_owned());
            }
            Ok(_) => {}
            Err(error) => cells.fault("value", format!("value {error}")),
        }
        if let Err(error) = &holder {
            cells.fault("holder", format!("holder: {error}"));
        }
        for (column, day) in [("valid_from", &from), ("valid_until", &until)] {
            if let Err(error) = day {
                cells.fault(column, format!("{column} {error}"));
            }
        }
        let validity = from.ok().zip(until.ok()).map(|(from, until)| Validity::new(from, until));
        if let Some(Err(error)) = &validity {
            cells.fault("valid_until", format!("valid_until: {error}"));
        }
        if let Some(text) = reference.as_ref().filter(|text| text.len() > LONGEST_REFERENCE) {
            cells.fault("reference", format!("reference has {} bytes, it may have {LONGEST_REFERENCE}", text.len()));
        }
        let (line, value) = (cells.line(), value.ok()?);
        let voucher = Voucher { kind: kind.ok()?, holder: holder.ok()?, validity: validity?.ok()? };
        Some(Self { line, value, voucher: Arc::new(voucher), reference })
    }

    fn line(&self) -> u64 {
        self.line
    }

    fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::{Fault, parse};
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        parse::<VoucherRow>(text.as_bytes()).1.iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_good_list_is_read_in_any_order_of_columns() {
        let text = "valid_until,value,kind,holder,valid_from\n2027-11-20,25.00,ticket,seat 12 B,2026-11-20\n2027-11-20,1,gift,,2026-11-20\n";
        let (rows, faults) = parse::<VoucherRow>(text.as_bytes());
        assert_eq!(faults, []);
        assert_eq!((rows[0].line, rows[0].value.mills(), rows[0].reference()), (2, 25_000, None));
        let Voucher { kind, holder, validity } = &*rows[0].voucher;
        assert_eq!((kind.as_str(), holder.as_ref().map(Holder::as_str)), ("ticket", Some("seat 12 B")));
        assert_eq!(
            (validity.from().to_string(), validity.until().to_string()),
            ("2026-11-20".into(), "2027-11-20".into())
        );
        assert_eq!(rows[1].voucher.holder, None);
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let header = "kind,value,holder,valid_from,valid_until,reference\n";
        let long = "r".repeat(65);
        let rows = format!(
            "ticket,25,,2026-11-20,2027-11-20,\nTicket,0,\u{7f}x,2026-11-31,x,{long}\nticket,2.0001,,2026-11-20,2026-11-19,\n"
        );
        let found = faults(&format!("{header}{rows}"));
        let places: Vec<_> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(places, ["3:1", "3:2", "3:3", "3:4", "3:5", "3:6", "4:2", "4:5"]);
        let backwards = faults("kind,value,valid_from,valid_until\nticket,1,2026-11-20,2026-11-19\n");
        assert!(backwards[0].starts_with("2:4: valid_until: the last day, 2026-11-19, is before"), "{backwards:?}");
        assert!(faults("kind,value,valid_from\n")[0].starts_with("1:4: column \"valid_until\" is missing"));
    }
}
