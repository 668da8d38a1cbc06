//! Entry bundles: each entry with its length before it, 16 bits, big-endian.

/// The entries of a bundle; `None` where the bytes are not exactly so many entries.
pub fn split(bundle: &[u8], width: u64) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::with_capacity(usize::try_from(width).ok()?);
    let mut rest = bundle;
    for _ in 0..width {
        let (length, behind) = rest.split_at_checked(2)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let (entry, behind) = behind.split_at_checked(length)?;
        entries.push(entry);
        rest = behind;
    }
    rest.is_empty().then_some(entries)
}

#[cfg(test)]
/// Puts an entry behind those of a bundle; `None` where it is too long for one.
fn push(bundle: &mut Vec<u8>, entry: &[u8]) -> Option<()> {
    bundle.extend_from_slice(&u16::try_from(entry.len()).ok()?.to_be_bytes());
    bundle.extend_from_slice(entry);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_read_whole_or_not_at_all() {
        let mut bundle = Vec::new();
        for entry in [&b"one"[..], b"", b"three"] {
            push(&mut bundle, entry).unwrap();
        }
        assert_eq!(split(&bundle, 3).unwrap(), [&b"one"[..], b"", b"three"]);
        assert_eq!(split(&bundle, 2), None, "too few are wanted");
        assert_eq!(split(&bundle, 4), None, "too many are wanted");
        assert_eq!(split(&bundle[..bundle.len() - 1], 3), None, "cut off");
        assert_eq!(push(&mut bundle, &[0; 65_536]), None);
    }
}
