//! A mark in a terminal: half blocks, light on dark as terminals are.

use super::{Legend, Symbol};

/// Draws the symbol with the legend beside it.
///
/// Light modules are drawn and dark ones left out, which is right on a dark terminal; `invert` is for a light one.
pub fn draw(symbol: &Symbol, legend: &Legend, invert: bool) -> String {
    let mut beside = vec![
        String::new(),
        legend.heading.to_owned(),
        legend.postage.clone(),
        legend.date.clone(),
        String::new(),
        format!("device  {}", legend.device),
    ];
    beside.extend(legend.small.iter().cloned());
    if legend.specimen {
        beside.insert(0, "*** SPECIMEN - NO POSTAL VALUE ***".to_owned());
    }
    let mut beside = beside.into_iter();
    let mut out = String::new();
    for y in (0..symbol.outer_side()).step_by(2) {
        for x in 0..symbol.outer_side() {
            let drawn = |y| symbol.is_dark(x, y) == invert;
            out.push(match (drawn(y), drawn(y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        if let Some(line) = beside.next().filter(|line| !line.is_empty()) {
            out.push_str("   ");
            out.push_str(&line);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::mark;
    use super::*;
    use datamatrix::DataMatrix;

    #[test]
    fn the_half_blocks_read_back_as_the_same_bytes() {
        let (bytes, decoded) = mark(730, true);
        let drawn = draw(&Symbol::of(&bytes).unwrap(), &Legend::of(&decoded), true);
        let mut pixels = Vec::new();
        for line in drawn.lines() {
            let row: Vec<char> = line.chars().take(48).collect();
            for upper in [true, false] {
                let half = if upper { '▀' } else { '▄' };
                pixels.extend(row[2..46].iter().map(|c| *c == '█' || *c == half));
            }
        }
        assert_eq!(DataMatrix::decode(&pixels[2 * 44..46 * 44], 44).unwrap(), bytes);
        assert!(drawn.contains("SPECIMEN"));
    }
}
