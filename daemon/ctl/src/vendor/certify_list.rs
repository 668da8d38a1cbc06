//! A list of corrected mail to be certified.

use super::list::{Cells, Row};
use psd::indicium::Destination;
use psd::{MailingDate, PieceKey, PostageAmount, RateName, ScaleId, UnixMillis};
use psdd_client::{CertifyItem, Payment};

const LONGEST_REFERENCE: usize = 64;

/// One piece.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertifyRow {
    /// Line of the file, counted from one.
    pub line: u64,
    /// Class of mail in the rate table.
    pub class: RateName,
    /// Where it goes.
    pub destination: Destination,
    /// Milligrams.
    pub weight_mg: i64,
    /// The scale.
    pub scale: ScaleId,
    /// When it was read.
    pub weighed: UnixMillis,
    /// What was paid for it.
    pub payment: Payment,
    /// Its sides.
    pub size: Option<[String; 3]>,
    /// What was asked for beside.
    pub surcharges: Vec<String>,
    /// The reading as the scale signed it.
    pub reading: Option<Vec<u8>>,
    /// The sender's reference.
    pub reference: Option<String>,
}

impl CertifyRow {
    /// The item of the row.
    pub fn item(&self, key: PieceKey, date: MailingDate) -> CertifyItem {
        CertifyItem {
            key,
            date,
            destination: self.destination,
            class: self.class.clone(),
            surcharges: self.surcharges.clone(),
            size: self.size.clone(),
            scale: self.scale.clone(),
            weight_mg: self.weight_mg,
            weighed: self.weighed,
            reading: self.reading.clone(),
            payment: self.payment.clone(),
            reference: self.reference.clone(),
        }
    }
}

impl Row for CertifyRow {
    const REQUIRED: &'static [&'static str] = &["class", "destination", "weight_mg", "scale", "weighed"];
    const OPTIONAL: &'static [&'static str] = &["imprint", "indicium", "size", "surcharges", "reading", "reference"];

    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        let class = told(cells, "class", |text| text.parse().map_err(|error| format!("{error}")));
        let destination = told(cells, "destination", |text| text.parse().map_err(|error| format!("{error}")));
        let weight_mg = told(cells, "weight_mg", |text| {
            text.parse().map_err(|_not| format!("{text:?} is no whole number of milligrams"))
        });
        let scale = told(cells, "scale", |text| text.parse().map_err(|error| format!("{error}")));
        let weighed = told(cells, "weighed", |text| {
            let ms = text.parse().map(UnixMillis);
            ms.map_err(|_not| format!("{text:?} is no number of milliseconds since 1970-01-01T00:00:00Z"))
        });
        let imprint = some(cells, "imprint", |text| text.parse::<PostageAmount>().map_err(|error| format!("{error}")));
        let indicium = some(cells, "indicium", bytes);
        let size = some(cells, "size", sides);
        let surcharges =
            some(cells, "surcharges", |text| Ok(text.split('+').map(|one| one.trim().to_owned()).collect()));
        let reading = some(cells, "reading", bytes);
        let reference = some(cells, "reference", |text| match text.len() {
            1..=LONGEST_REFERENCE => Ok(text.to_owned()),
            long => Err(format!("it has {long} bytes, it may have {LONGEST_REFERENCE}")),
        });
        let payment = match (imprint?, indicium?) {
            (None, None) => Payment::Nothing,
            (Some(amount), None) => Payment::Imprint(amount),
            (None, Some(bytes)) => Payment::Indicium(bytes),
            (Some(_), Some(_)) => {
                cells.fault(
                    "imprint",
                    "imprint: the row has an indicium as well; a piece is paid by one of them".to_owned(),
                );
                return None;
            }
        };
        Some(Self {
            line: cells.line(),
            class: class?,
            destination: destination?,
            weight_mg: weight_mg?,
            scale: scale?,
            weighed: weighed?,
            payment,
            size: size?,
            surcharges: surcharges?.unwrap_or_default(),
            reading: reading?,
            reference: reference?,
        })
    }

    fn line(&self) -> u64 {
        self.line
    }

    fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }
}

/// What a cell says; its fault is kept.
fn told<T>(cells: &mut Cells<'_>, column: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
    let value = read(cells.text(column));
    value.map_err(|what| cells.fault(column, format!("{column}: {what}"))).ok()
}

/// The same of a cell that may be empty.
fn some<T>(
    cells: &mut Cells<'_>,
    column: &'static str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Option<Option<T>> {
    told(cells, column, |text| if text.is_empty() { Ok(None) } else { read(text).map(Some) })
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>().ok_or_else(|| "it is not hexadecimal".to_owned())
}

fn sides(text: &str) -> Result<[String; 3], String> {
    let sides: Vec<String> = text.split('x').map(|side| side.trim().to_owned()).collect();
    sides.try_into().map_err(|_other| format!("{text:?} is not three sides such as 12 in x 9 in x 0.5 in"))
}

#[cfg(test)]
mod tests {
    use super::super::list::{Fault, parse};
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        parse::<CertifyRow>(text.as_bytes()).1.iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_good_list_is_read() {
        let text = "class,destination,weight_mg,scale,weighed,imprint,indicium,size,surcharges,reading,reference\n\
                    letter,20500,28000,dock-3,1795000000000,0.50,,,,,r-1\n\
                    parcel,20500-0003,900000,dock-3,1795000000000,,0aFF,12 in x 9 in x 1 in,certified+receipt,,\n\
                    letter,20500,-5,dock-3,1795000000000,,,,,,\n";
        let (rows, faults) = parse::<CertifyRow>(text.as_bytes());
        assert_eq!(faults, []);
        assert_eq!(rows[0].payment, Payment::Imprint("0.50".parse().unwrap()));
        assert_eq!(rows[1].payment, Payment::Indicium(vec![0x0a, 0xff]));
        assert_eq!(rows[1].surcharges, ["certified", "receipt"]);
        assert_eq!(rows[1].size, Some(["12 in", "9 in", "1 in"].map(str::to_owned)));
        assert_eq!(
            (rows[2].weight_mg, &rows[2].payment),
            (-5, &Payment::Nothing),
            "the appliance says what is wrong with it"
        );
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let header = "class,destination,weight_mg,scale,weighed,imprint,indicium\n";
        let rows = "a b,2050,1.5,,x,1.0001,0g\nletter,20500,1,dock-3,1,0.50,00\n";
        let found = faults(&format!("{header}{rows}"));
        let places: Vec<_> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(places, ["2:1", "2:2", "2:3", "2:4", "2:5", "2:6", "2:7", "3:6"]);
    }
}
