//! A mark as PNG: 6 pixels a module, 305 dpi, the legend in a bitmap font.

use super::{Legend, RenderError, Symbol};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster};
use psd::indicium::Decoded;

/// Pixels of a module.
pub const MODULE_PX: usize = 6;
/// 6 pixels to 0.5 mm.
const PIXELS_PER_METRE: u32 = 12_000;
const TEXT_PX: usize = 33 * 12;
const GAP_PX: usize = 18;
const RED: [u8; 3] = [0xc8, 0x10, 0x2e];
const BLACK: [u8; 3] = [0; 3];
const WHITE: [u8; 3] = [0xff; 3];

/// Draws a mark.
pub fn draw(bytes: &[u8], mark: &Decoded) -> Result<Vec<u8>, RenderError> {
    let symbol = Symbol::of(bytes)?;
    let canvas = compose(&symbol, &Legend::of(mark));
    let mut out = Vec::new();
    let (width, height) = (pixels(canvas.width), pixels(canvas.height));
    let mut encoder = ::png::Encoder::new(&mut out, width, height);
    encoder.set_color(::png::ColorType::Rgb);
    encoder.set_depth(::png::BitDepth::Eight);
    let unit = ::png::Unit::Meter;
    encoder.set_pixel_dims(Some(::png::PixelDimensions { xppu: PIXELS_PER_METRE, yppu: PIXELS_PER_METRE, unit }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&canvas.rgb)?;
    writer.finish()?;
    Ok(out)
}

fn compose(symbol: &Symbol, legend: &Legend) -> Canvas {
    let side = symbol.outer_side() * MODULE_PX;
    let mut canvas = Canvas::new(side + GAP_PX + TEXT_PX, side);
    for (x, y, length) in symbol.runs() {
        canvas.fill(x * MODULE_PX, y * MODULE_PX, length * MODULE_PX, MODULE_PX, BLACK);
    }
    let left = side + GAP_PX;
    let mut top = 6;
    if legend.specimen {
        canvas.stamp("SPECIMEN");
        canvas.fill(left, 4, TEXT_PX - 10, 48, RED);
        canvas.text(left + 16, 11, "SPECIMEN - NO VALUE", &Face { bold: true, scale: 1, ink: WHITE, large: true });
        top = 56;
    }
    let small = Face { bold: false, scale: 1, ink: BLACK, large: false };
    let date = Face { bold: true, scale: 1, ink: BLACK, large: true };
    // Ten characters, as the largest postage of IBI has, just fit.
    let scale = if legend.postage.chars().count() > 10 { 1 } else { 2 };
    let postage = Face { bold: true, scale, ink: BLACK, large: true };
    canvas.text(left, top, legend.heading, &small);
    canvas.text(left - 2, top + 26, &legend.postage, &postage);
    canvas.text(left, top + 94, &legend.date, &date);
    canvas.text(left, top + 132, &legend.device, &small);
    for (number, line) in legend.small.iter().enumerate() {
        canvas.text(left, top + 160 + 28 * number, line, &small);
    }
    canvas
}

fn pixels(count: usize) -> u32 {
    // A symbol of 144 modules is 888 pixels wide.
    u32::try_from(count).unwrap_or(u32::MAX)
}

struct Face {
    bold: bool,
    scale: usize,
    ink: [u8; 3],
    large: bool,
}

struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, rgb: vec![0xff; width * height * 3] }
    }

    fn fill(&mut self, left: usize, top: usize, width: usize, height: usize, ink: [u8; 3]) {
        for y in top..top + height {
            for x in left..left + width {
                self.blend(x, y, ink, 255);
            }
        }
    }

    /// Mixes ink into a pixel; `cover` 255 is all ink. Outside of the canvas nothing is drawn.
    fn blend(&mut self, x: usize, y: usize, ink: [u8; 3], cover: u8) {
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y * self.width + x) * 3;
        for (channel, ink) in self.rgb[at..at + 3].iter_mut().zip(ink) {
            let mixed = u32::from(*channel) * u32::from(255 - cover) + u32::from(ink) * u32::from(cover);
            *channel = u8::try_from(mixed / 255).unwrap_or(u8::MAX);
        }
    }

    fn text(&mut self, left: usize, top: usize, text: &str, face: &Face) {
        let weight = if face.bold { FontWeight::Bold } else { FontWeight::Regular };
        let height = if face.large { RasterHeight::Size32 } else { RasterHeight::Size24 };
        let mut pen = left;
        for c in text.chars() {
            let Some(glyph) = get_raster(c, weight, height).or_else(|| get_raster('?', weight, height)) else {
                continue;
            };
            for y in 0..glyph.height() * face.scale {
                for x in 0..glyph.width() * face.scale {
                    self.blend(pen + x, top + y, face.ink, cover(&glyph, x, y, face.scale));
                }
            }
            pen += glyph.width() * face.scale;
        }
    }

    /// A word rising across the whole canvas, in ink so thin that a reader still tells the modules apart.
    fn stamp(&mut self, word: &str) {
        const SCALE: usize = 4;
        const THIN: u8 = 70;
        let glyphs: Vec<_> =
            word.chars().filter_map(|c| get_raster(c, FontWeight::Bold, RasterHeight::Size32)).collect();
        let width: usize = glyphs.iter().map(|glyph| glyph.width() * SCALE).sum();
        let mut pen = self.width.saturating_sub(width) / 2;
        for glyph in glyphs {
            for x in 0..glyph.width() * SCALE {
                // One pixel up for three to the right.
                let rise = (pen + x) / 3;
                let Some(base) = (self.height / 2 + self.width / 6).checked_sub(rise + 16 * SCALE) else { continue };
                for y in 0..glyph.height() * SCALE {
                    self.blend(pen + x, base + y, RED, if cover(&glyph, x, y, SCALE) > 127 { THIN } else { 0 });
                }
            }
            pen += glyph.width() * SCALE;
        }
    }
}

/// Ink of a glyph drawn larger: between its pixels in proportion, then with more contrast, so that edges are smooth and not
/// blurred.
fn cover(glyph: &RasterizedChar, x: usize, y: usize, scale: usize) -> u8 {
    if scale == 1 {
        return glyph.pixel(x, y).unwrap_or(0);
    }
    // In halves of a pixel of the large drawing, so that middles are whole numbers.
    let along = |n: usize| {
        let middle = (2 * n + 1).saturating_sub(scale);
        (middle / (2 * scale), middle % (2 * scale))
    };
    let ((column, right), (row, down)) = (along(x), along(y));
    let ink = |column, row| glyph.pixel(column, row).map_or(0, usize::from);
    let whole = 2 * scale;
    let upper = ink(column, row) * (whole - right) + ink(column + 1, row) * right;
    let lower = ink(column, row + 1) * (whole - right) + ink(column + 1, row + 1) * right;
    let mean = (upper * (whole - down) + lower * down) / (whole * whole);
    u8::try_from((mean * 3).saturating_sub(255).min(255)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::QUIET_MODULES;
    use super::super::tests::{mark, voucher};
    use super::*;
    use datamatrix::DataMatrix;

    fn read(png: &[u8]) -> (usize, Vec<u8>) {
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.color_type, ::png::ColorType::Rgb);
        (usize::try_from(info.width).unwrap(), pixels)
    }

    #[test]
    fn the_pixels_read_back_as_the_same_bytes_under_the_stamp_too() {
        for specimen in [false, true] {
            reads_back(mark(545, specimen));
            reads_back(voucher(false, specimen));
            reads_back(voucher(true, specimen));
        }
    }

    fn reads_back((bytes, decoded): (Vec<u8>, Decoded)) {
        let (width, rgb) = read(&draw(&bytes, &decoded).unwrap());
        let side = Symbol::of(&bytes).unwrap().side();
        let middle = |module: usize| (module + QUIET_MODULES) * MODULE_PX + MODULE_PX / 2;
        let dark = |x: usize, y: usize| {
            let at = (middle(y) * width + middle(x)) * 3;
            rgb[at..at + 3].iter().map(|channel| u32::from(*channel)).sum::<u32>() < 3 * 128
        };
        let modules: Vec<bool> =
            (0..side).flat_map(|y| (0..side).map(move |x| (x, y))).map(|(x, y)| dark(x, y)).collect();
        assert_eq!(DataMatrix::decode(&modules, side).unwrap(), bytes);
        let red = rgb.chunks_exact(3).filter(|pixel| *pixel == RED).count();
        assert_eq!(red > 5_000, decoded.specimen, "{red} red pixels");
    }
}
