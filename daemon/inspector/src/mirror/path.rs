//! Names in a tlog (C2SP tlog-tiles): the same on the wire and on the disk.

/// Hashes in a full tile, entries in a full bundle.
pub const FULL: u64 = 256;

/// The path of a hash tile: `tile/0/x001/067`, and `.p/17` where it has 17 hashes only.
pub fn tile(level: u8, number: u64, width: u64) -> String {
    format!("tile/{level}/{}{}", digits(number), partial(width))
}

/// The path of an entry bundle.
pub fn entries(number: u64, width: u64) -> String {
    format!("tile/entries/{}{}", digits(number), partial(width))
}

/// How many of the 256 places of a tile are taken in a tree of this size: 256 where it is full.
pub fn width(size: u64, number: u64) -> u64 {
    size.saturating_sub(number * FULL).min(FULL)
}

fn partial(width: u64) -> String {
    if width < FULL { format!(".p/{width}") } else { String::new() }
}

/// Three digits at a time, with an `x` before all groups but the last.
fn digits(number: u64) -> String {
    let last = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    let mut text = last;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    text
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
