//! A page of marks as a person would see them: envelopes with address, mark and origin, below a summary of the mailing.
//!
//! One self-contained HTML file: no network, no scripts. It prints in true size on A4 and Letter.

use super::svg::{self, escape};
use super::{RenderError, destination};
use psd::indicium::{Decoded, DecodedDetails};
use std::fmt::Write;

const STYLE: &str = include_str!("sheet.css");

/// What the page says.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Heading, the name of the mailing.
    pub title: String,
    /// Line below it.
    pub subtitle: String,
    /// Summary: label and value, in reading order. Values longer than twelve characters are set smaller.
    pub facts: Vec<(String, String)>,
    /// Lines of the sender's address; may be empty.
    pub sender: Vec<String>,
    /// The envelopes to draw.
    pub envelopes: Vec<Envelope>,
    /// Pieces of the whole mailing.
    pub pieces: usize,
}

/// One envelope.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Lines of the address, without the destination ZIP.
    pub address: Vec<String>,
    /// The symbol's bytes.
    pub bytes: Vec<u8>,
    /// The same, decoded.
    pub mark: Decoded,
    /// The sender's reference, or the row of the mailing list.
    pub reference: String,
    /// Weight in grams.
    pub weight_g: u64,
    /// Sequence in the PSD's records.
    pub sequence: u64,
}

/// The page.
pub fn page(sheet: &Sheet) -> Result<String, RenderError> {
    let specimen = sheet.envelopes.iter().any(|envelope| envelope.mark.specimen);
    let mut out = String::with_capacity(sheet.envelopes.len() * (20 << 10));
    let mut put = |text: String| out.push_str(&text);
    put(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n",
        escape(&sheet.title)
    ));
    put(format!("<header>\n<div>\n<h1>{}</h1>\n<p>{}</p>\n</div>\n", escape(&sheet.title), escape(&sheet.subtitle)));
    if specimen {
        put("<div class=\"flag\">SPECIMEN<small>NO POSTAL VALUE</small></div>\n".to_owned());
    }
    put("</header>\n<dl>\n".to_owned());
    for (label, value) in &sheet.facts {
        let class = if value.chars().count() > 12 { " class=\"small\"" } else { "" };
        put(format!("<div><dt>{}</dt><dd{class}>{}</dd></div>\n", escape(label), escape(value)));
    }
    put("</dl>\n<main>\n".to_owned());
    let sender: Vec<_> = sheet.sender.iter().map(|line| format!("<span>{}</span>", escape(line))).collect();
    let sender = sender.concat();
    for envelope in &sheet.envelopes {
        put(article(envelope, &sender)?);
    }
    put("</main>\n".to_owned());
    put(format!("<footer>{}</footer>\n</body>\n</html>\n", escape(&footer(sheet))));
    Ok(out)
}

fn article(envelope: &Envelope, sender: &str) -> Result<String, RenderError> {
    let mut lines = String::new();
    let zip = match &envelope.mark.details {
        DecodedDetails::Postal(postal) => destination(postal.destination),
        DecodedDetails::Voucher(_) => String::new(),
    };
    let last = envelope.address.len().saturating_sub(1);
    for (index, line) in envelope.address.iter().enumerate() {
        let line = escape(line);
        let written = match index == last {
            true => write!(lines, "<span>{line} {}</span>", escape(&zip)),
            false => write!(lines, "<span>{line}</span>"),
        };
        debug_assert!(written.is_ok());
    }
    Ok(format!(
        "<article>\n<div class=\"from\">{sender}</div>\n{}\
         <address class=\"to\">{lines}</address>\n\
         <div class=\"foot\"><span>{}</span><span>{} g</span><span>no. {}</span></div>\n</article>\n",
        svg::draw(&envelope.bytes, &envelope.mark)?,
        escape(&envelope.reference),
        envelope.weight_g,
        envelope.sequence,
    ))
}

fn footer(sheet: &Sheet) -> String {
    let shown = sheet.envelopes.len();
    let which =
        if shown < sheet.pieces { format!("The first {shown} of {} pieces. ", sheet.pieces) } else { String::new() };
    format!(
        "{which}Marks are in true size when printed at 100 %: Data Matrix ECC 200, modules of 0.5 mm. Each was verified against the \
         postal authority's root before it was drawn."
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::mark;
    use super::*;

    #[test]
    fn a_page_stands_alone_and_escapes_what_people_wrote() {
        let (bytes, decoded) = mark(545, true);
        let envelope = Envelope {
            address: vec!["<b>Ada & Co</b>".to_owned(), "Bellwick OH".to_owned()],
            bytes,
            mark: decoded,
            reference: "A-1".to_owned(),
            weight_g: 20,
            sequence: 7,
        };
        let sheet = Sheet {
            title: "spring".to_owned(),
            subtitle: String::new(),
            sender: vec!["Larkspur Press".to_owned()],
            facts: vec![("pieces".to_owned(), "600".to_owned())],
            envelopes: vec![envelope],
            pieces: 600,
        };
        let page = page(&sheet).unwrap();
        assert!(
            page.contains("&lt;b&gt;Ada &amp; Co&lt;/b&gt;") && page.contains("<span>Bellwick OH 20500-0003</span>")
        );
        assert!(page.contains("SPECIMEN") && page.contains("The first 1 of 600 pieces."));
        // The namespace of SVG is a name, not an address that anything fetches.
        let without_namespace = page.replace("http://www.w3.org/2000/svg", "");
        for reaching_out in ["http", "<script", "src=", "href=", "url(", "@import"] {
            assert!(!without_namespace.contains(reaching_out), "{reaching_out}");
        }
    }
}
