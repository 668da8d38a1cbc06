//! `psdctl indicium decode`.

use super::certificates::CertificateFiles;
use crate::cli::Global;
use crate::error::{CtlError, Exit};
use crate::input::{decode, one_mark};
use crate::output::{hex, priced, print, print_json, table};
use crate::render::{day, destination, printable, zip};
use clap::Args;
use psd::Currency;
use psd::indicium::{Decoded, Meaning, format_named};
use psdd_client::verify::offline::Verdict;
use serde::Serialize;

/// Arguments of `psdctl indicium decode`.
#[derive(Args, Debug)]
pub struct Decode {
    /// The mark: hex, base64, a file of either or of bytes, or - for stdin
    input: String,
    #[command(flatten)]
    files: CertificateFiles,
}

/// One field as it stands in the symbol.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
struct Field {
    offset: usize,
    length: usize,
    name: &'static str,
    raw: String,
    meaning: String,
}

#[derive(Serialize)]
struct Report<'a> {
    format: &'a str,
    device: &'a str,
    specimen: bool,
    fields: &'a [Field],
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'a str>,
}

pub(super) fn run(global: &Global, command: &Decode) -> Result<Exit, CtlError> {
    let mark = one_mark(&command.input)?;
    let decoded = decode(&mark)?;
    let verdict = command.files.bundle_if_named(global)?.map(|bundle| bundle.judge(&decoded));
    let fields = fields(&mark.bytes, &decoded);
    if global.json {
        let (format, device, specimen) = (decoded.format, decoded.device.as_str(), decoded.specimen);
        let verdict = verdict.as_ref().map(Verdict::code);
        print_json(&Report { format, device, specimen, fields: &fields, verdict })?;
    } else {
        print(&drawn(&decoded, &fields, verdict.as_ref()))?;
    }
    Ok(match verdict {
        None | Some(Verdict::Valid) => Exit::Done,
        Some(_) => Exit::Negative,
    })
}

fn drawn(mark: &Decoded, fields: &[Field], verdict: Option<&Verdict>) -> String {
    let rows = fields.iter().map(|field| {
        let raw = if field.raw.len() > 24 { format!("{}…", &field.raw[..24]) } else { field.raw.clone() };
        let (offset, length) = (field.offset.to_string(), field.length.to_string());
        vec![offset, length, field.name.to_owned(), raw, field.meaning.clone()]
    });
    let table = table(&["offset", "bytes", "field", "raw", "meaning"], &[0, 1], rows);
    let specimen = if mark.specimen { "   SPECIMEN, worth nothing" } else { "" };
    let verdict = match verdict {
        Some(verdict) => verdict.to_string(),
        None => "not checked; name certificates with --certificates and --authority-root".to_owned(),
    };
    format!("device     {}{specimen}\nformat     {}\n{table}signature  {verdict}\n", mark.device, mark.format)
}

/// The fields of a symbol, as its layout names them.
fn fields(bytes: &[u8], mark: &Decoded) -> Vec<Field> {
    let parts = format_named(mark.format).and_then(|format| format.parts(bytes).ok());
    let drawn = parts.into_iter().flatten().map(|part| {
        let raw = bytes.get(part.offset..part.offset + part.length).map(hex).unwrap_or_default();
        Field {
            offset: part.offset,
            length: part.length,
            name: part.name,
            raw,
            meaning: meaning(part.meaning, mark.currency),
        }
    });
    drawn.collect()
}

fn meaning(meaning: Meaning, currency: Currency) -> String {
    match meaning {
        Meaning::Text(text) => text,
        Meaning::Ascii(bytes) => printable(&bytes),
        Meaning::Amount(amount, words) => format!("{} {words}", priced(amount, currency)).trim_end().to_owned(),
        Meaning::Day(number) => day(number),
        Meaning::Zip(number) => zip(number),
        Meaning::Destination(number) => destination(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests::{mark, voucher};

    #[test]
    fn every_byte_of_the_symbol_is_in_one_field() {
        let (bytes, decoded) = mark(545, true);
        let fields = fields(&bytes, &decoded);
        let joined: String = fields.iter().map(|field| field.raw.as_str()).collect();
        assert_eq!(joined, hex(&bytes));
        let at = |name| fields.iter().find(|field| field.name == name).unwrap();
        assert_eq!((at("postage").offset, at("postage").meaning.as_str()), (19, "$0.545"));
        assert_eq!((at("descending register").offset, at("descending register").meaning.as_str()), (41, "$5.00 left"));
        assert_eq!(at("destination").meaning, "20500-0003");
        assert!(drawn(&decoded, &fields, None).contains("SPECIMEN"));
    }

    #[test]
    fn a_voucher_is_taken_apart_into_its_claims() {
        let (bytes, decoded) = voucher(false, true);
        let fields = fields(&bytes, &decoded);
        let joined: String = fields.iter().map(|field| field.raw.as_str()).collect();
        assert_eq!(joined, hex(&bytes));
        let at = |name| fields.iter().find(|field| field.name == name).unwrap().meaning.as_str();
        assert_eq!((at("kind"), at("value"), at("last day")), ("ticket", "25.00 EUR", "NOV 20 2027"));
        assert_eq!((at("control total"), at("piece count")), ("100.00 EUR ever loaded", "9"));
    }
}
