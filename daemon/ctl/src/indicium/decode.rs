//! `psdctl indicium decode`.

use super::certificates::CertificateFiles;
use crate::cli::Global;
use crate::error::{CtlError, Exit};
use crate::input::{decode, one_mark};
use crate::output::{hex, money, print, print_json, table};
use crate::render::{day, destination, printable, zip};
use clap::Args;
use psd::indicium::Decoded;
use psd::indicium::ibi::{self, ECDSA_P256};
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
    let fields = fields(&decoded);
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
    let specimen = if mark.specimen { "   SPECIMEN, no postal value" } else { "" };
    let verdict = match verdict {
        Some(verdict) => verdict.to_string(),
        None => "not checked; name certificates with --certificates and --authority-root".to_owned(),
    };
    format!("device     {}{specimen}\nformat     {}\n{table}signature  {verdict}\n", mark.device, mark.format)
}

/// The fields of the IBI layout (DOMAIN.md), the only one there is so far.
fn fields(mark: &Decoded) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut offset = 0;
    let mut field = |name, length: usize, meaning: String| {
        let raw = hex(&mark.signed[offset..offset + length]);
        fields.push(Field { offset, length, name, raw, meaning });
        offset += length;
    };
    let algorithm = if mark.algorithm == ECDSA_P256 { "ECDSA P-256, SHA-256" } else { "not known" };
    let device = |from, to| printable(&mark.signed[from..to]);
    field("version", 1, mark.version.to_string());
    field("algorithm", 1, algorithm.to_owned());
    field("certificate serial", 4, format!("{} (0x{0:08x})", mark.certificate_serial));
    field("manufacturer", 2, device(6, 8));
    field("model", 2, device(8, 10));
    field("device serial", 4, mark.device.chars().skip(4).collect());
    field("ascending register", 5, format!("{} ever used", money(mark.ascending)));
    field("postage", 3, money(mark.postage));
    field("date of mailing", 4, day(mark.date));
    field("licensing ZIP", 4, zip(mark.licensing_zip));
    field("destination", 5, destination(mark.destination));
    field("software ID", 6, printable(&mark.software_id));
    field("descending register", 4, format!("{} left", money(mark.descending)));
    field("rate category", 4, printable(&mark.rate));
    debug_assert_eq!(offset, ibi::SIGNED_LEN);
    let rest = [
        ("signature", &mark.signature, "r‖s, over the first 49 bytes"),
        ("special purpose", &mark.special, "not signed"),
    ];
    for (name, bytes, meaning) in rest.into_iter().filter(|(_, bytes, _)| !bytes.is_empty()) {
        fields.push(Field { offset, length: bytes.len(), name, raw: hex(bytes), meaning: meaning.to_owned() });
        offset += bytes.len();
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests::mark;

    #[test]
    fn every_byte_of_the_symbol_is_in_one_field() {
        let (bytes, decoded) = mark(545, true);
        let fields = fields(&decoded);
        let joined: String = fields.iter().map(|field| field.raw.as_str()).collect();
        assert_eq!(joined, hex(&bytes));
        let at = |name| fields.iter().find(|field| field.name == name).unwrap();
        assert_eq!((at("postage").offset, at("postage").meaning.as_str()), (19, "$0.545"));
        assert_eq!((at("descending register").offset, at("descending register").meaning.as_str()), (41, "$5.00 left"));
        assert_eq!(at("destination").meaning, "20500-0003");
        assert!(drawn(&decoded, &fields, None).contains("SPECIMEN"));
    }
}
