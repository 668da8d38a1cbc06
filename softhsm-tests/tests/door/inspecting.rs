//! The log of a real appliance in the eyes of an inspector: what the daemon writes is never a finding.

use psd::UnixMillis;
use psd::record::Genesis;
use psd::tree::{Tree, leaf_hash};
use psdd_inspector::{Directory, FleetView, Fold, Mirror, Rules, Trust};
use psdd_ledger::open::ProvenHead;
use psdd_ledger::{Ledger, Reader, Rules as LedgerRules};
use psdd_wire::checkpoint::{Checkpoint, LogKey, origin};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use softhsm_tests::Appliance;
use std::path::Path;

/// Inspects the log of an appliance that is stopped: there is nothing to be found.
pub fn nothing_is_found(appliance: &Appliance) -> FleetView {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    write_log(&appliance.layout.state(), &log);
    let mut source = Directory(log);
    let root = CertificateDer::from_pem_file(appliance.layout.authority_root()).expect("the authority's root");
    let trust = Trust::Authority { root: root.to_vec(), development: true };
    let mut mirror = Mirror::create(&dir.path().join("mirror"), &trust, &mut source).expect("a mirror");
    mirror.update(&mut source).expect("an honest log");
    let mut fold = Fold::open(&mut mirror).expect("a fold");
    fold.advance(&mut mirror).expect("records");
    // The error bound of a development clock is what the machine says.
    let rules = Rules { largest_clock_error_ms: u32::MAX, ..Rules::default() };
    let now = UnixMillis(fold.view(&mirror, &rules, UnixMillis(0)).expect("a view").last_record_ms);
    let view = fold.view(&mirror, &rules, now).expect("a view");
    assert_eq!(view.findings, [], "an inspector finds something in what the daemon wrote");
    view
}

/// The log as it would be served, with the newest checkpoint. Leaves behind it are not in it.
fn write_log(state: &Path, log: &Path) {
    let verified = |genesis: &Genesis, note: &str| {
        let key = LogKey::of_spki(&genesis.log_spki);
        let checkpoint = Checkpoint::verified(note, &origin(&genesis.appliance), &key).ok()?;
        Some(ProvenHead { size: checkpoint.size, root: checkpoint.root })
    };
    let recovered = Ledger::open(state).and_then(|ledger| ledger.recover(LedgerRules::default(), &verified));
    let (_journal, appliance, note, _lock) = recovered.expect("a ledger").into_parts();
    let note = note.expect("a checkpoint");
    let size = verified(&appliance.genesis, &note).expect("a checkpoint that verifies").size;
    let reader = Reader::open(state).expect("a reader");
    let entries: Vec<Vec<u8>> =
        (0..size).map(|leaf| reader.record(leaf).expect("a record").expect("a leaf").record().encode()).collect();
    let put = |name: String, bytes: &[u8]| {
        let path = log.join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(path, bytes).expect("a file");
    };
    let (mut tree, mut full) = (Tree::default(), Vec::new());
    entries.iter().for_each(|entry| tree.append(leaf_hash(entry), &mut full));
    full.iter().for_each(|tile| put(format!("tile/{}/{:03}", tile.level, tile.number), &tile.hashes));
    for (level, number, hashes) in tree.partial_tiles() {
        put(format!("tile/{level}/{number:03}.p/{}", hashes.len() / 32), hashes);
    }
    for (number, entries) in entries.chunks(256).enumerate() {
        let partial = if entries.len() < 256 { format!(".p/{}", entries.len()) } else { String::new() };
        let length = |entry: &Vec<u8>| u16::try_from(entry.len()).expect("an entry").to_be_bytes();
        let bundle: Vec<u8> = entries.iter().flat_map(|entry| [&length(entry)[..], entry].concat()).collect();
        put(format!("tile/entries/{number:03}{partial}"), &bundle);
    }
    put("checkpoint".to_owned(), note.as_bytes());
}
