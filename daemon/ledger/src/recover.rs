//! From a stored ledger to state that is proven: by the newest signed checkpoint, the last state digest and the records
//! after it, or by every record.

use crate::live::{has_row, live_rows};
use crate::open::{OpenError, ProvenHead};
use crate::rows::{self, LiveRow, RegisterRows};
use crate::tile::{Nodes, TileError};
use crate::{AtStep, sql};
use psd::appliance::{Appliance, FollowError};
use psd::digest::StateFacts;
use psd::record::{Event, Record, Repeated};
use psd::tree::{Hash, Tree, leaf_hash, root_of_path};
use rusqlite::Connection;

/// State on its way from records.
pub(crate) struct Replay {
    pub(crate) appliance: Appliance,
    pub(crate) facts: StateFacts,
    pub(crate) tree: Tree,
    pub(crate) last_digest_leaf: Option<u64>,
    repeated: Repeated,
    /// What `snapshot` and `live` must say, unless they were what this replay began from.
    at_digest: Option<StateFacts>,
}

impl Replay {
    /// From leaf 0.
    pub(crate) fn from_genesis(genesis: &Record, bytes: &[u8]) -> Result<Self, OpenError> {
        let appliance = Appliance::born(genesis).map_err(|source| OpenError::Follow { leaf: 0, source })?;
        let (mut facts, mut tree) = (StateFacts::default(), Tree::default());
        facts.note(0, &genesis.event);
        tree.append(leaf_hash(bytes), &mut Vec::new());
        let (repeated, at_digest) = (Repeated::default(), Some(StateFacts::default()));
        Ok(Self { appliance, facts, tree, last_digest_leaf: None, repeated, at_digest })
    }

    /// From the last state digest, if its leaf is covered by the signed checkpoint and the caches agree with it.
    pub(crate) fn from_digest(
        connection: &Connection,
        proven: Option<&ProvenHead>,
        genesis: &Record,
    ) -> Result<Option<Self>, OpenError> {
        let Some(proven) = proven else { return Ok(None) };
        let leaf = rows::digest_leaf(connection)?.filter(|leaf| *leaf < proven.size);
        let Some(leaf) = leaf else { return Ok(None) };
        let nodes = Nodes::new(connection);
        let (record, bytes) = read_record(connection, leaf)?;
        let Event::StateDigest { digest, .. } = &record.event else { return Ok(None) };
        let path = nodes.inclusion_path(leaf, proven.size)?;
        if root_of_path(leaf, leaf_hash(&bytes), proven.size, &path) != Some(proven.root) {
            return Err(OpenError::Altered(proven.size));
        }
        let mut repeated = Repeated::default();
        let cached = cached_state(connection, leaf, genesis, &mut repeated)?;
        let Some((mut appliance, facts)) = cached else { return Ok(None) };
        if facts.digest() != *digest {
            return Ok(None);
        }
        appliance.latest = record.at;
        let tree = nodes.tree(leaf + 1)?;
        Ok(Some(Self { appliance, facts, tree, last_digest_leaf: Some(leaf), repeated, at_digest: None }))
    }

    /// Takes in the records that follow, up to `size`. On the way the tree must have the proven root at the proven size.
    pub(crate) fn replayed_to(
        mut self,
        connection: &Connection,
        size: u64,
        proven: Option<&ProvenHead>,
    ) -> Result<Self, OpenError> {
        self.check_proven(proven)?;
        let step = "replaying records";
        let mut statement =
            connection.prepare("SELECT leaf, record FROM entry WHERE leaf >= ?1 ORDER BY leaf").at(step)?;
        let mut rows = statement.query([sql(self.tree.size())]).at(step)?;
        while let Some(row) = rows.next().at(step)? {
            let leaf = self.tree.size();
            let found: i64 = row.get(0).at(step)?;
            if found != sql(leaf) {
                return Err(TileError::MissingEntry(leaf).into());
            }
            let bytes = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).at(step)?;
            let mut record = Record::decode(bytes).map_err(|source| OpenError::Record { leaf, source })?;
            self.repeated.share(&mut record);
            self.take(leaf, &record, bytes).map_err(|source| OpenError::Follow { leaf, source })?;
            self.check_proven(proven)?;
        }
        match self.tree.size() {
            reached if reached < size => Err(TileError::MissingEntry(reached).into()),
            reached if reached > size => Err(OpenError::Head(size)),
            _ => Ok(self),
        }
    }

    fn take(&mut self, leaf: u64, record: &Record, bytes: &[u8]) -> Result<(), FollowError> {
        if let Event::StateDigest { digest, psds } = &record.event {
            if self.facts.digest() != *digest || u64::try_from(self.facts.psds.len()) != Ok(*psds) {
                return Err(FollowError::StateDigest);
            }
            self.last_digest_leaf = Some(leaf);
            self.at_digest = self.at_digest.take().map(|_| self.facts.clone());
        }
        self.appliance.follow(record)?;
        self.facts.note(leaf, &record.event);
        self.tree.append(leaf_hash(bytes), &mut Vec::new());
        Ok(())
    }

    fn check_proven(&self, proven: Option<&ProvenHead>) -> Result<(), OpenError> {
        match proven.filter(|proven| proven.size == self.tree.size()) {
            Some(proven) if proven.root != self.tree.root() => Err(OpenError::Altered(proven.size)),
            _ => Ok(()),
        }
    }

    /// Compares every cache with the outcome.
    pub(crate) fn compare(&self, connection: &Connection, root: Hash) -> Result<(), OpenError> {
        if self.tree.root() != root {
            return Err(OpenError::Head(self.tree.size()));
        }
        if rows::digest_leaf(connection)? != self.last_digest_leaf {
            return Err(OpenError::DigestLeaf);
        }
        let registers = rows::registers(connection, rows::Registers::Now)?;
        if let Some(psd) = differing(&self.facts, &registers) {
            return Err(OpenError::Register(psd));
        }
        if let Some(at_digest) = &self.at_digest {
            let snapshot = rows::registers(connection, rows::Registers::AtDigest)?;
            if let Some(psd) = differing(at_digest, &snapshot) {
                return Err(OpenError::Snapshot(psd));
            }
        }
        // A start from the digest has proven the older rows; those of now must follow in any case.
        let old = |row: &LiveRow| self.last_digest_leaf.is_some_and(|leaf| row.leaf < leaf);
        let allowed = |row: &LiveRow| self.at_digest.as_ref().map_or_else(|| old(row), |facts| has_row(facts, row));
        // Both come in the same order, so neither need be held.
        let mut expected = live_rows(&self.facts).peekable();
        let (mut missing, mut surplus) = (None, None);
        rows::each_live(connection, |found| {
            while let Some(absent) = expected.next_if(|expected| *expected < found) {
                missing.get_or_insert(absent);
            }
            if expected.next_if_eq(&found).is_none() && !allowed(&found) {
                surplus.get_or_insert(found);
            }
        })?;
        match missing.or_else(|| expected.next()).or(surplus) {
            Some(LiveRow { name, slot, leaf }) => Err(OpenError::Live { psd: name, slot, leaf }),
            None => Ok(()),
        }
    }
}

/// The first PSD whose row is not what the facts say.
pub(crate) fn differing(facts: &StateFacts, rows: &RegisterRows) -> Option<psd::PsdId> {
    let wrong = facts.psds.iter().find(|(psd, facts)| rows.get(psd) != Some(&(facts.sequence, facts.registers)));
    let surplus = || rows.keys().find(|psd| !facts.psds.contains_key(psd));
    wrong.map(|(psd, _)| psd).or_else(surplus).copied()
}

/// The state that `live` and `snapshot` describe; `None` where they cannot be those of any state.
fn cached_state(
    connection: &Connection,
    digest_leaf: u64,
    genesis: &Record,
    repeated: &mut Repeated,
) -> Result<Option<(Appliance, StateFacts)>, OpenError> {
    let mut appliance = Appliance::born(genesis).map_err(|source| OpenError::Follow { leaf: 0, source })?;
    let mut facts = StateFacts::default();
    let nodes = Nodes::new(connection);
    let leaves = rows::live_before(connection, digest_leaf)?;
    // A row under another name would fold its record in twice.
    if leaves.windows(2).any(|pair| pair[0] == pair[1]) {
        return Ok(None);
    }
    for leaf in leaves {
        // The digest names the leaf of a live record, and the tree its bytes.
        let (mut record, bytes) = read_record(connection, leaf)?;
        if nodes.node(0, leaf)? != leaf_hash(&bytes) {
            return Err(OpenError::Tile(TileError::NotInTree(leaf)));
        }
        if record.event.slot().is_none() {
            return Ok(None);
        }
        repeated.share(&mut record);
        facts.note(leaf, &record.event);
        if leaf > 0 && appliance.fold(&record).is_err() {
            return Ok(None);
        }
    }
    for (psd, (sequence, registers)) in rows::registers(connection, rows::Registers::AtDigest)? {
        let (Some(device), Some(fact)) = (appliance.psds.get_mut(&psd), facts.psds.get_mut(&psd)) else {
            return Ok(None);
        };
        let mut state = device.state().clone();
        (state.sequence, state.registers) = (sequence, registers);
        device.restore(state);
        (fact.sequence, fact.registers) = (sequence, registers);
    }
    Ok(Some((appliance, facts)))
}

pub(crate) fn read_record(connection: &Connection, leaf: u64) -> Result<(Record, Vec<u8>), OpenError> {
    let bytes = rows::entry(connection, leaf)?.ok_or(TileError::MissingEntry(leaf))?;
    let record = Record::decode(&bytes).map_err(|source| OpenError::Record { leaf, source })?;
    Ok((record, bytes))
}
