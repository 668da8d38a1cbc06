//! That a record is in the tree, for somebody who has no mirror.

use super::{Mirror, UpdateError, path};
use psd::tree::{Hash, hashes_of, node_hash, perfect_root};

impl Mirror {
    /// The inclusion path of a leaf under the checkpoint seen last (RFC 9162 §2.1.3.1), from the tiles.
    pub fn inclusion(&self, leaf: u64) -> Result<Vec<Hash>, UpdateError> {
        let size = self.size();
        if leaf >= size {
            return Err(UpdateError::NoLeaf { leaf });
        }
        let mut path = Vec::new();
        let (mut begin, mut count) = (0, size);
        while count > 1 {
            let left = half(count);
            if leaf - begin < left {
                path.push(self.subtree(begin + left, count - left)?);
                count = left;
            } else {
                path.push(self.subtree(begin, left)?);
                (begin, count) = (begin + left, count - left);
            }
        }
        path.reverse();
        Ok(path)
    }

    /// The root over these leaves, which begin where a subtree of the tree does.
    fn subtree(&self, begin: u64, count: u64) -> Result<Hash, UpdateError> {
        if !count.is_power_of_two() {
            let left = half(count);
            return Ok(node_hash(&self.subtree(begin, left)?, &self.subtree(begin + left, count - left)?));
        }
        let height = count.trailing_zeros();
        let (level, above) = (u8::try_from(height / 8).unwrap_or(u8::MAX), height / 8 * 8);
        let (first, row) = (begin >> above, usize::try_from(count >> above).unwrap_or(usize::MAX));
        let number = first / path::FULL;
        let name = path::tile(level, number, path::width(self.size() >> above, number));
        let tile = self.stored(&name)?.and_then(|tile| hashes_of(&tile));
        let at = usize::try_from(first % path::FULL).unwrap_or(usize::MAX);
        let hashes = tile.as_deref().and_then(|hashes| hashes.get(at..at.checked_add(row)?)).map(<[Hash]>::to_vec);
        let missing = UpdateError::Damaged { what: "a tile is missing or has a wrong length" };
        hashes.and_then(perfect_root).ok_or(missing)
    }
}

/// The largest power of two below a count above one.
fn half(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}
