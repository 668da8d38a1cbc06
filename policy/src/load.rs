//! Reads the policies of a directory; the only IO of this crate.
//!
//! Refuses to guess: a missing file, or one more policy file than are read, would make someone's rules silently void.

use crate::set::{PolicySet, SCHEMA};
use crate::source::{Findings, Party};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// No policy file is larger, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// The schema's file name.
const SCHEMA_FILE: &str = "psdd.cedarschema";

/// Why the policies of a directory are not in force.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The directory or a file in it cannot be read; both `vendor.cedar` and `authority.cedar` must be there.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// Why it could not.
        source: io::Error,
    },
    /// The file is larger than any policy file should be.
    #[error("{path} is larger than {limit} bytes", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size in bytes.
        limit: u64,
    },
    /// The file looks like policies but is none of those that are read, so whoever put it there is mistaken.
    #[error("{path} is not read: policies are in vendor.cedar and authority.cedar only", path = path.display())]
    Unexpected {
        /// The file.
        path: PathBuf,
    },
    /// The schema beside the policies is another version's.
    #[error("{path} differs from the schema of this psdd; replace it with the one shipped", path = path.display())]
    OtherSchema {
        /// The file.
        path: PathBuf,
    },
    /// The policies are wrong.
    #[error(transparent)]
    Refused(#[from] Findings),
}

impl PolicySet {
    /// Reads and checks `vendor.cedar` and `authority.cedar` of this directory.
    ///
    /// Both must be there; an empty one holds no policy, so an empty `vendor.cedar` denies everything. A
    /// `psdd.cedarschema` may be there for editors and must be this version's. Other files with the extension `cedar`
    /// or `cedarschema` are refused, files with other extensions are ignored.
    pub fn load(dir: &Path) -> Result<Self, LoadError> {
        let unreadable = |source| LoadError::Read { path: dir.to_owned(), source };
        for entry in dir.read_dir().map_err(unreadable)? {
            admit(&entry.map_err(unreadable)?.path())?;
        }
        let [vendor, authority] = [Party::Vendor, Party::Authority].map(|party| {
            let path = dir.join(party.file_name());
            read(&path).map(|text| (path.display().to_string(), text))
        });
        let ((vendor_file, vendor), (authority_file, authority)) = (vendor?, authority?);
        Ok(Self::of((&vendor_file, &vendor), (&authority_file, &authority))?)
    }
}

fn admit(path: &Path) -> Result<(), LoadError> {
    let policy_like = path.extension().is_some_and(|extension| extension == "cedar" || extension == "cedarschema");
    let name = path.file_name().and_then(|name| name.to_str());
    match name {
        Some("vendor.cedar" | "authority.cedar") => Ok(()),
        Some(SCHEMA_FILE) if read(path)? == SCHEMA => Ok(()),
        Some(SCHEMA_FILE) => Err(LoadError::OtherSchema { path: path.to_owned() }),
        _ if policy_like => Err(LoadError::Unexpected { path: path.to_owned() }),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<String, LoadError> {
    let unreadable = |source| LoadError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= LARGEST_FILE) {
        Ok(text)
    } else {
        Err(LoadError::TooLarge { path: path.to_owned(), limit: LARGEST_FILE })
    }
}
