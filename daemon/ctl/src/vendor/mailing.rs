//! A mailing list.

use super::list::{Cells, Row};
use psd::PostageAmount;
use psd::indicium::{Destination, RateCategory};

const LONGEST_ADDRESS: usize = 512;
const LONGEST_REFERENCE: usize = 64;
/// Heaviest piece, grams: 70 lb, the limit of US mail.
const HEAVIEST_G: u64 = 31_751;

/// One piece.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailingRow {
    /// Line of the file, counted from one.
    pub line: u64,
    /// Name, street and place, separated by a comma and a blank.
    pub address: String,
    /// ZIP, ZIP+4 or delivery point.
    pub destination: Destination,
    /// Weight in grams.
    pub weight_g: u64,
    /// Rate category.
    pub class: RateCategory,
    /// Postage.
    pub postage: PostageAmount,
    /// The sender's reference.
    pub reference: Option<String>,
}

impl MailingRow {
    /// The address as lines.
    pub fn address_lines(&self) -> Vec<String> {
        self.address.splitn(3, ", ").map(str::to_owned).collect()
    }
}

impl Row for MailingRow {
    const REQUIRED: &'static [&'static str] = &["address", "zip4", "weight_g", "class", "postage"];
    const OPTIONAL: &'static [&'static str] = &["reference"];

    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        let address = cells.text("address").to_owned();
        if !(1..=LONGEST_ADDRESS).contains(&address.len()) {
            let what = format!("address has {} bytes, it must have 1 to {LONGEST_ADDRESS}", address.len());
            cells.fault("address", what);
        }
        let destination = cells.text("zip4").parse::<Destination>();
        let weight = cells.text("weight_g").parse::<u64>().ok().filter(|weight| (1..=HEAVIEST_G).contains(weight));
        let class = cells.text("class").parse::<RateCategory>();
        let postage = cells.text("postage").parse::<PostageAmount>();
        if let Err(error) = &destination {
            let what = format!("zip4 {error}; write it like 20500-0003 (mind zeros that a spreadsheet drops)");
            cells.fault("zip4", what);
        }
        if weight.is_none() {
            let found = cells.text("weight_g");
            cells.fault("weight_g", format!("weight_g {found:?} is no whole number of grams from 1 to {HEAVIEST_G}"));
        }
        if let Err(error) = &class {
            cells.fault("class", format!("class {error}"));
        }
        match &postage {
            Ok(PostageAmount::ZERO) => {
                cells.fault("postage", "postage is zero; leave the row out or give it postage".to_owned());
            }
            Ok(_) => {}
            Err(error) => cells.fault("postage", format!("postage {error}; write dollars like 0.73 or 0.545")),
        }
        let reference = Some(cells.text("reference")).filter(|text| !text.is_empty()).map(str::to_owned);
        if let Some(text) = reference.as_ref().filter(|text| text.len() > LONGEST_REFERENCE) {
            cells.fault("reference", format!("reference has {} bytes, it may have {LONGEST_REFERENCE}", text.len()));
        }
        let (line, destination, class, postage) = (cells.line(), destination.ok()?, class.ok()?, postage.ok()?);
        Some(Self { line, address, destination, weight_g: weight?, class, postage, reference })
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

    const HEADER: &str = "address,zip4,weight_g,class,postage\n";

    fn faults(text: &str) -> Vec<String> {
        parse::<MailingRow>(text.as_bytes()).1.iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_good_file_is_read_in_any_order_of_columns() {
        let text = "\u{feff}postage,class,reference,weight_g,zip4,address\n0.545,MKT,A-1,20,00501-0001,\"Ada Moor, 1 Elm St, Holtsville NY\"\n";
        let (rows, faults) = parse::<MailingRow>(text.as_bytes());
        assert_eq!(faults, []);
        assert_eq!(rows[0].postage.mills(), 545);
        assert_eq!(rows[0].destination.to_string(), "00501-0001");
        assert_eq!(rows[0].address_lines(), ["Ada Moor", "1 Elm St", "Holtsville NY"]);
        assert_eq!((rows[0].line, rows[0].reference.as_deref()), (2, Some("A-1")));
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let rows = "a,20500-0003,20,FCL,0.73\n,20500-0003,20,FCL,0.73\nb,501,x,fcl,0.7305\nc,20500,20,FCL,0\nd, x,20500,20,FCL,0.73\n";
        let found = faults(&format!("{HEADER}{rows}"));
        let places: Vec<_> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(places, ["3:1", "4:2", "4:3", "4:4", "4:5", "5:5", "6:6"]);
        assert!(found[4].contains("finer than a mill"), "{}", found[4]);
        assert!(found[6].contains("in quotes"), "{}", found[6]);
    }

    #[test]
    fn a_wrong_header_is_told() {
        assert!(faults("address,zip4,weight_g,class\n")[0].starts_with("1:5: column \"postage\" is missing"));
        assert!(
            faults("address,zip4,weight_g,class,postage,colour\n")[0]
                .starts_with("1:6: column \"colour\" is not known")
        );
        assert!(faults("address,address\n")[0].starts_with("1:2: "));
    }
}
