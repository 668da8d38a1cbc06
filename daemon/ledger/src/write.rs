//! What one transaction of the journal writes, and the state that has to move with it.

use crate::batch::Batch;
use crate::checkpoints::Checkpoints;
use crate::journal::{NewRecord, count};
use crate::rows::{self, LiveRow};
use crate::{AtStep, StoreFault, sql};
use psd::clock::ClockReading;
use psd::custody::KeyStep;
use psd::digest::{Facts, StateFacts};
use psd::record::{CertifiedPiece, Event, Indicium, LONGEST_RECORD, Record, key_slot, run_slot};
use psd::tree::{FullTile, Tree, leaf_hash};
use psd::{PsdId, TenantName};
use rusqlite::Connection;
use std::collections::{BTreeSet, HashMap};

/// The writer's state. After a fault it may be ahead of the disk; the journal is dead then.
pub(crate) struct Pages {
    pub(crate) tree: Tree,
    pub(crate) facts: StateFacts,
    /// Latest reading in any record.
    pub(crate) latest: Option<ClockReading>,
    /// PSDs whose row in `snapshot` is out of date.
    pub(crate) unsnapped: BTreeSet<PsdId>,
    pub(crate) tenants: HashMap<TenantName, i64>,
    pub(crate) last_digest_leaf: Option<u64>,
    pub(crate) since_digest: u64,
    pub(crate) checkpoints: Checkpoints,
    /// Rows of `live` that were live at the last state digest and are no longer.
    pub(crate) superseded: Vec<LiveRow>,
    pub(crate) buffer: Vec<u8>,
    pub(crate) batch: Batch,
}

impl Pages {
    pub(crate) fn write_record(
        &mut self,
        connection: &Connection,
        new: &NewRecord,
        tiles: &mut Vec<FullTile>,
    ) -> Result<u64, StoreFault> {
        let Record { at, event } = &new.record;
        self.check_continues(*at, event)?;
        let leaf = self.tree.size();
        new.record.encode_into(&mut self.buffer);
        if self.buffer.len() > LONGEST_RECORD {
            return Err(StoreFault::broken("writing a record", "it is longer than a record may be"));
        }
        self.batch.entry(leaf, &self.buffer);
        self.tree.append(leaf_hash(&self.buffer), tiles);
        if let Some(debit) = event.debit() {
            let tenant = self.tenant_number(connection, debit.tenant)?;
            self.batch.piece(tenant, *debit.key.as_bytes(), leaf);
        }
        if let Event::Certification(CertifiedPiece { mark: Some(mark), .. }) = event {
            self.batch.paid_by(*mark, leaf);
        }
        if let Event::Certification(CertifiedPiece { stamp, run: Some(run), .. }) = event {
            let opened = self.facts.psds.get(&stamp.psd).and_then(|facts| facts.live.get(&run_slot(&run.id)));
            let opened =
                opened.ok_or_else(|| StoreFault::broken("writing a piece of a run", "its run was never opened"))?;
            self.batch.in_run(*opened, leaf);
        }
        if let Event::Indicium(Indicium { stamp, token: Some(_), .. }) = event {
            self.batch.digital_token(stamp.psd, stamp.registers.piece_count(), leaf);
        }
        if let Some(body) = &new.body {
            rows::insert_body(connection, leaf, body)?;
        }
        self.erase_wrapped(connection, event)?;
        if let Event::StateDigest { .. } = event {
            self.write_snapshot(connection, leaf)?;
        } else {
            self.since_digest += 1;
        }
        self.write_live(connection, leaf, event)?;
        self.facts.note(leaf, event);
        self.latest = Some(*at);
        Ok(leaf)
    }

    pub(crate) fn digest_record(&self, at: ClockReading) -> Record {
        let (digest, psds) = (self.facts.digest(), count(self.facts.psds.len()));
        Record { at, event: Event::StateDigest { digest, psds } }
    }

    pub(crate) fn write_registers(
        &self,
        connection: &Connection,
        table: rows::Registers,
        psds: &BTreeSet<PsdId>,
    ) -> Result<(), StoreFault> {
        for (psd, facts) in psds.iter().filter_map(|psd| Some((psd, self.facts.psds.get(psd)?))) {
            rows::write_registers(connection, table, *psd, facts)?;
        }
        Ok(())
    }

    pub(crate) fn write_checkpoint(&mut self, connection: &Connection) -> Result<(), StoreFault> {
        let Some(change) = self.checkpoints.take() else { return Ok(()) };
        let step = "writing a checkpoint";
        if let Some(old) = change.delete {
            connection.execute("DELETE FROM checkpoint WHERE size = ?1", [sql(old)]).at(step)?;
        }
        let (size, note) = change.insert;
        connection.execute("INSERT INTO checkpoint VALUES (?1, ?2)", (sql(size), note.into_bytes())).at(step)?;
        Ok(())
    }

    /// What replay would refuse later is refused now, before it is on disk for good.
    fn check_continues(&self, at: ClockReading, event: &Event) -> Result<(), StoreFault> {
        let broken = |what| Err(StoreFault::broken("checking a record", what));
        if self.latest.is_some_and(|latest| (at.epoch, at.time) < (latest.epoch, latest.time)) {
            return broken("its time is behind that of the record before it");
        }
        if matches!(event, Event::Genesis(_)) != (self.tree.size() == 0) {
            return broken("genesis is leaf 0 and nothing else is");
        }
        if let Some(stamp) = event.stamp() {
            let last = self.facts.psds.get(&stamp.psd).map_or(0, |facts| facts.sequence);
            if stamp.sequence != last + 1 {
                return broken("its sequence is not the PSD's next");
            }
        }
        Ok(())
    }

    fn write_live(&mut self, connection: &Connection, leaf: u64, event: &Event) -> Result<(), StoreFault> {
        let Some(slot) = event.slot() else { return Ok(()) };
        let facts: Option<&Facts> = match event.stamp() {
            Some(stamp) => self.facts.psds.get(&stamp.psd),
            None => Some(&self.facts.appliance),
        };
        let name = event.stamp().map_or_else(String::new, |stamp| stamp.psd.to_string());
        rows::insert_live(connection, &LiveRow { name: name.clone(), slot: slot.clone(), leaf })?;
        if let Some(old) = facts.and_then(|facts| facts.live.get(&slot)).copied() {
            let old = LiveRow { name, slot, leaf: old };
            // A start needs what was live at the last state digest, so that stays until the next one.
            if self.last_digest_leaf.is_some_and(|digest| old.leaf < digest) {
                self.superseded.push(old);
            } else {
                rows::delete_live(connection, &old)?;
            }
        }
        Ok(())
    }

    /// What the token wrapped goes with the key: nothing that is left here brings a destroyed key back.
    fn erase_wrapped(&self, connection: &Connection, event: &Event) -> Result<(), StoreFault> {
        let Event::KeyStateChanged { stamp, step: KeyStep::Destroyed, key_id, .. } = event else { return Ok(()) };
        let slot = key_slot(key_id);
        let made = self.facts.psds.get(&stamp.psd).and_then(|facts| facts.live.get(&slot)).copied();
        made.map_or(Ok(()), |leaf| rows::delete_body(connection, leaf))
    }

    fn write_snapshot(&mut self, connection: &Connection, digest_leaf: u64) -> Result<(), StoreFault> {
        let unsnapped = std::mem::take(&mut self.unsnapped);
        self.write_registers(connection, rows::Registers::AtDigest, &unsnapped)?;
        for row in self.superseded.drain(..) {
            rows::delete_live(connection, &row)?;
        }
        rows::write_digest_leaf(connection, digest_leaf)?;
        self.checkpoints.note_digest(digest_leaf);
        self.last_digest_leaf = Some(digest_leaf);
        self.since_digest = 0;
        Ok(())
    }

    fn tenant_number(&mut self, connection: &Connection, tenant: &TenantName) -> Result<i64, StoreFault> {
        if let Some(number) = self.tenants.get(tenant) {
            return Ok(*number);
        }
        connection.execute("INSERT INTO tenant (name) VALUES (?1)", [tenant.as_str()]).at("writing a tenant")?;
        let number = connection.last_insert_rowid();
        self.tenants.insert(tenant.clone(), number);
        Ok(number)
    }
}
