//! The symbol itself: modules, dark or light.

use super::RenderError;
use datamatrix::{DataMatrix, SymbolList};

/// Side of a module, millimetres.
pub const MODULE_MM: f64 = 0.5;
/// Modules left light on every side. The standard wants one; two forgive a torn edge.
pub const QUIET_MODULES: usize = 2;

/// An IBI mark fills 40 or 44 modules, depending on how well its bytes compress; marks of one layout shall have one size.
const SMALLEST_SIDE: usize = 44;

/// A square Data Matrix symbol.
#[derive(Clone, Debug)]
pub struct Symbol {
    side: usize,
    dark: Vec<bool>,
}

impl Symbol {
    /// The smallest square symbol of 44 modules or more that holds the bytes.
    pub fn of(bytes: &[u8]) -> Result<Self, RenderError> {
        let sizes = SymbolList::default().enforce_square().enforce_width_in(SMALLEST_SIDE..);
        let encoded = DataMatrix::encode(bytes, sizes);
        let matrix = encoded.ok().ok_or(RenderError::TooLarge { bytes: bytes.len() })?;
        let bitmap = matrix.bitmap();
        Ok(Self { side: bitmap.width(), dark: bitmap.bits().to_vec() })
    }

    /// Modules on a side, without the quiet zone.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Modules on a side, with the quiet zone.
    pub fn outer_side(&self) -> usize {
        self.side + 2 * QUIET_MODULES
    }

    /// Whether the module is dark; counted with the quiet zone, from the upper left. Outside of everything is light.
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = |n: usize| n.checked_sub(QUIET_MODULES).filter(|n| *n < self.side);
        match (inside(x), inside(y)) {
            (Some(x), Some(y)) => self.dark[y * self.side + x],
            _ => false,
        }
    }

    /// Horizontal runs of dark modules: first column, row, length; counted with the quiet zone.
    pub fn runs(&self) -> Vec<(usize, usize, usize)> {
        let mut runs = Vec::new();
        for y in 0..self.outer_side() {
            let mut x = 0;
            while x < self.outer_side() {
                let length = (x..self.outer_side()).take_while(|x| self.is_dark(*x, y)).count();
                if length > 0 {
                    runs.push((x, y, length));
                }
                x += length + 1;
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mark;
    use super::*;

    #[test]
    fn the_symbol_reads_back_as_the_same_bytes() {
        let (bytes, _) = mark(730, false);
        let symbol = Symbol::of(&bytes).unwrap();
        assert_eq!((bytes.len(), symbol.side()), (113, 44));
        assert_eq!(DataMatrix::decode(&symbol.dark, symbol.side).unwrap(), bytes);
        // From the runs too, which is what the SVG is made of.
        let mut pixels = vec![false; 44 * 44];
        for (x, y, length) in symbol.runs() {
            for x in x..x + length {
                pixels[(y - QUIET_MODULES) * 44 + x - QUIET_MODULES] = true;
            }
        }
        assert_eq!(DataMatrix::decode(&pixels, 44).unwrap(), bytes);
    }

    #[test]
    fn the_quiet_zone_is_light() {
        let symbol = Symbol::of(&mark(730, false).0).unwrap();
        for n in 0..symbol.outer_side() {
            for edge in [0, 1, 46, 47] {
                assert!(!symbol.is_dark(n, edge) && !symbol.is_dark(edge, n));
            }
        }
        assert!((0..44).all(|n| symbol.is_dark(QUIET_MODULES, QUIET_MODULES + n)), "the solid left border");
    }
}
