//! Names in a tlog (C2SP tlog-tiles): the same on the wire and on the disk.

use psdd_wire::tlog::{TileOf, TilePath, records_of};
use std::num::NonZeroU8;

/// Hashes in a full tile, entries in a full bundle.
pub const FULL: u64 = 256;

/// The path of a hash tile: `tile/0/x001/067`, and `.p/17` where it has 17 hashes only.
pub fn tile(level: u8, number: u64, width: u64) -> String {
    name(TileOf::Hashes(level), number, width)
}

/// The path of an entry bundle.
pub fn entries(number: u64, width: u64) -> String {
    name(TileOf::Entries, number, width)
}

/// The entries of a bundle; `None` where the bytes are not exactly so many entries.
pub fn records(bundle: &[u8], width: u64) -> Option<Vec<&[u8]>> {
    records_of(bundle, u16::try_from(width).ok()?)
}

fn name(of: TileOf, number: u64, width: u64) -> String {
    let partial = u8::try_from(width).ok().and_then(NonZeroU8::new);
    let path = TilePath { of, number, partial }.to_string();
    path.strip_prefix("/log/").unwrap_or(&path).to_owned()
}

/// How many of the 256 places of a tile are taken in a tree of this size: 256 where it is full.
pub fn width(size: u64, number: u64) -> u64 {
    size.saturating_sub(number * FULL).min(FULL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(tile(8, 1_234_067, 256), "tile/8/x001/x234/067");
        assert_eq!(tile(0, 5, 17), "tile/0/005.p/17");
        assert_eq!(entries(1_000, 256), "tile/entries/x001/000");
        assert_eq!(entries(0, 1), "tile/entries/000.p/1");
        assert_eq!((width(300, 0), width(300, 1), width(300, 2)), (256, 44, 0));
    }
}
