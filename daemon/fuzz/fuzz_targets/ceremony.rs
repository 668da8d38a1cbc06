//! Ceremony files, genesis files and approvals: what is read tells its effect, and nothing is approved by nobody.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psdd_wire::ceremony::{Approval, Ceremony, GenesisFile};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(ceremony) = Ceremony::read(bytes) {
        assert!(ceremony.effects().len() >= 3);
        assert_eq!(Ceremony::read(ceremony.bytes()).as_ref(), Ok(&ceremony));
    }
    if let Ok(genesis) = GenesisFile::read(bytes) {
        assert!(genesis.effects().len() >= 6);
    }
    assert!(Approval::verify(bytes, &[]).is_err());
});
