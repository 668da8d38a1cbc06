//! A mark as SVG in its physical size: modules of 0.5 mm, a quiet zone, the legend to the right.

use super::{Legend, MODULE_MM, RenderError, Symbol};
use psd::indicium::Decoded;
use std::fmt::Write;

const TEXT_MM: f64 = 33.0;
/// Distance of the text from the symbol's quiet zone.
const GAP_MM: f64 = 1.5;
const RED: &str = "#c8102e";
const MONOSPACE: &str = " font-family=\"'DejaVu Sans Mono', 'Liberation Mono', Menlo, monospace\"";
const FONT: &str = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";

/// Draws a mark. The document stands alone: no references, no scripts.
pub fn draw(bytes: &[u8], mark: &Decoded) -> Result<String, RenderError> {
    let symbol = Symbol::of(bytes)?;
    Ok(document(&symbol, &Legend::of(mark)))
}

fn document(symbol: &Symbol, legend: &Legend) -> String {
    let side = mm(symbol.outer_side());
    let (width, height) = (side + GAP_MM + TEXT_MM, side);
    let mut out = String::with_capacity(16 << 10);
    // Writing into a String cannot fail; `write!` into one returns Ok always.
    let mut put = |text: String| out.push_str(&text);
    put(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}mm\" height=\"{height}mm\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">\n",
        label = escape(&label(legend)),
    ));
    put(format!("<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"));
    put(format!("<path fill=\"#000\" shape-rendering=\"crispEdges\" d=\"{}\"/>\n", path(symbol)));
    let left = side + GAP_MM;
    if legend.specimen {
        put(across(width, height));
    }
    put(format!("<g font-family=\"{FONT}\" fill=\"#000\">\n"));
    if legend.specimen {
        put(bar(left));
    }
    // The bar takes its room from the spaces between the lines.
    let baselines =
        if legend.specimen { [6.9, 12.6, 15.6, 18.3, 20.7, 23.1] } else { [3.6, 10.0, 13.4, 16.7, 19.5, 22.3] };
    // Symbols of vouchers are higher than those of mail, and have a line more.
    let baselines = baselines.into_iter().chain([25.9]);
    let postage_size = match legend.postage.len() {
        0..=7 => 6.6,
        8..=10 => 5.2,
        _ => 2.5,
    };
    let lines = [
        (2.1, " letter-spacing=\".35\"", legend.heading),
        (postage_size, " font-weight=\"700\"", &legend.postage),
        (2.5, " font-weight=\"700\" letter-spacing=\".1\"", &legend.date),
        (2.0, MONOSPACE, &legend.device),
    ];
    let lines = lines.into_iter().chain(legend.small.iter().map(|line| (2.0, "", line.as_str())));
    for (y, (size, extra, text)) in baselines.zip(lines) {
        put(format!("<text x=\"{left}\" y=\"{y}\" font-size=\"{size}\"{extra}>{}</text>\n", escape(text)));
    }
    put("</g>\n".to_owned());
    put("</svg>\n".to_owned());
    out
}

/// The bar above the legend.
fn bar(left: f64) -> String {
    let width = TEXT_MM - 0.8;
    format!(
        "<rect x=\"{left}\" y=\"0.4\" width=\"{width}\" height=\"3.9\" fill=\"{RED}\"/>\n\
         <text x=\"{:.2}\" y=\"3.1\" font-size=\"2.15\" font-weight=\"700\" letter-spacing=\".22\" fill=\"#fff\" \
         text-anchor=\"middle\">SPECIMEN · NO VALUE</text>\n",
        left + width / 2.0,
    )
}

/// The word across the whole mark. It is light, so that a reader still tells the modules apart, and below the lines.
fn across(width: f64, height: f64) -> String {
    format!(
        "<text x=\"{x:.2}\" y=\"{y:.2}\" transform=\"rotate(-15 {x:.2} {y:.2})\" font-family=\"{FONT}\" font-size=\"9\" \
         font-weight=\"700\" letter-spacing=\".7\" text-anchor=\"middle\" dominant-baseline=\"central\" fill=\"{RED}\" \
         fill-opacity=\".16\" stroke=\"{RED}\" stroke-opacity=\".55\" stroke-width=\".18\">SPECIMEN</text>\n",
        x = width / 2.0,
        y = height / 2.0,
    )
}

/// One subpath for each run of dark modules.
fn path(symbol: &Symbol) -> String {
    let mut path = String::new();
    for (x, y, length) in symbol.runs() {
        let (x, y, length) = (mm(x), mm(y), mm(length));
        let written = write!(path, "M{x} {y}h{length}v{MODULE_MM}h-{length}z");
        debug_assert!(written.is_ok());
    }
    path
}

fn mm(modules: usize) -> f64 {
    // Symbols have 144 modules a side at most.
    f64::from(u16::try_from(modules).unwrap_or(u16::MAX)) * MODULE_MM
}

fn label(legend: &Legend) -> String {
    let specimen = if legend.specimen { "specimen, no postal value, " } else { "" };
    format!("{specimen}{} {}, {}, device {}", legend.heading, legend.postage, legend.date, legend.device)
}

/// Text for XML and HTML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{mark, voucher};
    use super::*;
    use datamatrix::DataMatrix;

    #[test]
    fn the_path_reads_back_as_the_same_bytes() {
        reads_back(mark(730, true), "width=\"58.5mm\" height=\"24mm\"");
        reads_back(voucher(false, true), "height=\"34mm\"");
        reads_back(voucher(true, true), "<svg ");
    }

    fn reads_back((bytes, decoded): (Vec<u8>, Decoded), size: &str) {
        let svg = draw(&bytes, &decoded).unwrap();
        let side = Symbol::of(&bytes).unwrap().side();
        let outer = side + 4;
        assert!(svg.starts_with("<svg ") && svg.contains(size), "{}", &svg[..200]);
        let path = svg.split(" d=\"").nth(1).unwrap().split('"').next().unwrap();
        let mut pixels = vec![false; outer * outer];
        for run in path.split('M').skip(1) {
            let numbers: Vec<f64> = run.split(['h', 'v', 'z', ' ']).filter_map(|part| part.parse().ok()).collect();
            let modules = |mm: f64| format!("{}", (mm / MODULE_MM).round()).parse::<usize>().unwrap();
            let (x, y, length) = (modules(numbers[0]), modules(numbers[1]), modules(numbers[2]));
            pixels[y * outer + x..y * outer + x + length].fill(true);
        }
        let inner: Vec<bool> =
            (2..side + 2).flat_map(|y| pixels[y * outer + 2..y * outer + side + 2].to_vec()).collect();
        assert_eq!(DataMatrix::decode(&inner, side).unwrap(), bytes);
    }

    #[test]
    fn only_a_specimen_says_specimen() {
        let svg = |specimen| {
            let (bytes, decoded) = mark(545, specimen);
            draw(&bytes, &decoded).unwrap()
        };
        assert_eq!(svg(true).matches("SPECIMEN").count(), 2);
        assert!(!svg(false).to_uppercase().contains("SPECIMEN"));
        assert!(svg(false).contains(">$0.545</text>"));
    }
}
