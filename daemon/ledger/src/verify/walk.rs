//! The walk over all records, in order, in chunks.

use super::finding::{Fault, Finding};
use super::runs::OpenRuns;
use super::symbol::{self, Job};
use super::{Answer, AuthorityKey, Judge, Progress, PsdSummary, Settings, Statement, Summary, ValueFacts};
use crate::rows;
use crate::{AtStep, StoreFault, sql};
use aws_lc_rs::signature::ParsedPublicKey;
use psd::appliance::{Appliance, FollowError};
use psd::certification::{self, Certification, MarkId};
use psd::device::{Purpose, Spoiled};
use psd::digest::StateFacts;
use psd::indicium::decode_recorded;
use psd::instructed::Instructed;
use psd::key::Role;
use psd::record::{Applied, AuthorityPurpose, CertifiedPiece, Event, Genesis, Indicium, Record, Stamp};
use psd::tree::{FullTile, Tree, leaf_hash};
use psd::{PieceKey, PostageAmount, Psd, PsdId, TenantName, UnixMillis};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Records of one snapshot: about 10 ms of reading, and a few MiB.
const CHUNK: usize = 4_096;

/// Why the walk ends early.
pub(super) enum Stop {
    /// Something does not hold.
    Found(Box<Finding>),
    /// The store failed.
    Store(StoreFault),
}

impl From<StoreFault> for Stop {
    fn from(fault: StoreFault) -> Self {
        Stop::Store(fault)
    }
}

/// Ends the walk at a record, or at none.
pub(super) fn found(leaf: impl Into<Option<u64>>, fault: impl Into<Fault>) -> Stop {
    Stop::Found(Box::new(Finding { leaf: leaf.into(), fault: fault.into() }))
}

/// What a signed message of a value download must agree with.
fn facts<'a>(
    appliance: &'a Appliance,
    stamp: &Stamp,
    sequence: u64,
    amount: PostageAmount,
    refund: Option<(u64, &'a Indicium)>,
    at: UnixMillis,
) -> ValueFacts<'a> {
    let appliance = &appliance.genesis.appliance;
    ValueFacts { appliance, psd: stamp.psd, sequence, amount, refund, registers: stamp.registers, at }
}

/// The state of the walk. Grows with PSDs and keys, not with records.
pub(super) struct Walk<'j, J> {
    pub(super) judge: &'j J,
    settings: &'j Settings,
    pub(super) tree: Tree,
    pub(super) facts: StateFacts,
    /// Facts at the last state digest.
    pub(super) at_digest: StateFacts,
    pub(super) digest_leaf: Option<u64>,
    appliance: Option<Appliance>,
    /// Keys that sign pieces, by PSD, role and serial of their certificates.
    certificates: BTreeMap<(PsdId, Role, u32), Arc<ParsedPublicKey>>,
    authority: BTreeMap<u8, AuthorityKey>,
    instructed: Instructed,
    tenants: HashMap<TenantName, i64>,
    pub(super) pieces: u64,
    /// Indicia that paid for certifications.
    pub(super) marks: u64,
    pub(super) runs: OpenRuns,
    /// Pieces with digital tokens.
    pub(super) tokens: u64,
    pub(super) latest_time: u64,
    bodies: u64,
}

impl<'j, J: Judge> Walk<'j, J> {
    pub(super) fn new(judge: &'j J, settings: &'j Settings) -> Self {
        Self {
            judge,
            settings,
            tree: Tree::default(),
            facts: StateFacts::default(),
            at_digest: StateFacts::default(),
            digest_leaf: None,
            appliance: None,
            certificates: BTreeMap::new(),
            authority: BTreeMap::new(),
            instructed: Instructed::default(),
            tenants: HashMap::new(),
            pieces: 0,
            marks: 0,
            runs: OpenRuns::default(),
            tokens: 0,
            latest_time: 0,
            bodies: 0,
        }
    }

    /// Walks to the end, and there compares every table, in the snapshot that shows the end.
    pub(super) fn all(
        mut self,
        connection: &mut Connection,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Summary, Stop> {
        loop {
            let step = "beginning a snapshot";
            let snapshot = connection.transaction_with_behavior(TransactionBehavior::Deferred).at(step)?;
            let head = rows::head(&snapshot)?.ok_or_else(|| found(None, Fault::NoGenesis))?;
            self.tenants = rows::tenants(&snapshot)?;
            let mut jobs = Vec::new();
            let read = self.chunk(&snapshot, head.size, &mut jobs);
            if self.tree.size() >= head.size && read.is_ok() {
                // A few thousand signatures would keep the snapshot for too long; tables first, signatures then.
                let tables = self.tables(&snapshot, &head);
                snapshot.finish().at("ending a snapshot")?;
                self.signatures(&jobs)?;
                let checkpoints = tables?;
                progress(Progress { records: self.tree.size(), of: head.size });
                return self.summary(checkpoints);
            }
            snapshot.finish().at("ending a snapshot")?;
            // Signatures of the records before the one that broke the walk come first: the first finding counts.
            self.signatures(&jobs)?;
            read?;
            progress(Progress { records: self.tree.size(), of: head.size });
        }
    }

    fn signatures(&self, jobs: &[Job]) -> Result<(), Stop> {
        match symbol::first_bad(jobs, self.settings.threads) {
            Some((leaf, serial)) => Err(found(leaf, Fault::Signature(serial))),
            None => Ok(()),
        }
    }

    fn chunk(&mut self, connection: &Connection, size: u64, jobs: &mut Vec<Job>) -> Result<(), Stop> {
        let step = "reading records";
        let mut statement = connection
            .prepare_cached("SELECT leaf, record FROM entry WHERE leaf >= ?1 ORDER BY leaf LIMIT ?2")
            .at(step)?;
        let begin = self.tree.size();
        let limit = i64::try_from(CHUNK).unwrap_or(i64::MAX);
        let mut rows = statement.query((sql(begin), limit)).at(step)?;
        let mut tiles = Vec::new();
        let mut hashes = BTreeMap::new();
        let mut outcome = Ok(());
        while self.tree.size() < size {
            let row = rows.next().at(step)?;
            let leaf = self.tree.size();
            let Some(row) = row else {
                if leaf - begin < u64::try_from(CHUNK).unwrap_or(u64::MAX) {
                    outcome = Err(found(leaf, Fault::Missing { found: None }));
                }
                break;
            };
            let at: i64 = row.get(0).at(step)?;
            if at != sql(leaf) {
                outcome = Err(found(leaf, Fault::Missing { found: u64::try_from(at).ok() }));
                break;
            }
            let bytes = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).at(step)?;
            outcome = self.record(connection, bytes, jobs, &mut tiles, &mut hashes);
            if outcome.is_err() {
                break;
            }
        }
        self.bodies(connection, begin, &hashes)?;
        outcome?;
        tiles.iter().try_for_each(|tile| check_tile(connection, tile))
    }

    fn record(
        &mut self,
        connection: &Connection,
        bytes: &[u8],
        jobs: &mut Vec<Job>,
        tiles: &mut Vec<FullTile>,
        hashes: &mut BTreeMap<u64, [u8; 32]>,
    ) -> Result<(), Stop> {
        let leaf = self.tree.size();
        let at = |fault: Fault| found(leaf, fault);
        let record = Record::decode(bytes).map_err(|error| at(error.into()))?;
        let before = self.appliance.as_ref().and_then(|appliance| appliance.standing(&record.event));
        self.follow(leaf, &record).map_err(at)?;
        self.instructed.admit(&record.event, before.as_ref()).map_err(|what| at(Fault::Instruction(what)))?;
        match &record.event {
            Event::Indicium(piece) => {
                jobs.push(self.symbol(leaf, piece).map_err(at)?);
                self.key_row(connection, leaf, &piece.tenant, piece.key)?;
                self.pieces += 1;
                if let Some(hash) = piece.recipient {
                    hashes.insert(leaf, hash);
                }
                if piece.token.is_some() {
                    token_row(connection, leaf, &piece.stamp)?;
                    self.tokens += 1;
                }
            }
            Event::Certification(piece) => {
                let (read, job) = self.certification(leaf, piece).map_err(at)?;
                jobs.extend(job);
                if let Some(run) = &piece.run {
                    self.runs.piece(connection, leaf, (piece.stamp.psd, run), &read)?;
                }
                self.key_row(connection, leaf, &piece.tenant, piece.key)?;
                self.pieces += 1;
                if let Some(mark) = piece.mark {
                    mark_row(connection, leaf, mark)?;
                    self.marks += 1;
                }
            }
            event => {
                if let Event::KeyCreated { wrapped: Some(hash), .. } = event {
                    hashes.insert(leaf, *hash);
                }
                if let Event::RunOpened { run, .. } = event
                    && let Some(unfounded) =
                        self.appliance.as_ref().and_then(|appliance| appliance.certifying.unfounded_run(run))
                {
                    return Err(at(unfounded.into()));
                }
                self.runs.note(leaf, event).map_err(at)?;
                self.signed_facts(connection, leaf, event, &record)?;
            }
        }
        self.facts.note(leaf, &record.event);
        self.latest_time = self.latest_time.max(record.at.time.0);
        self.tree.append(leaf_hash(bytes), tiles);
        Ok(())
    }

    fn follow(&mut self, leaf: u64, record: &Record) -> Result<(), Fault> {
        let Some(appliance) = &mut self.appliance else {
            let appliance = Appliance::born(record)?;
            let root = &self.settings.authority_root;
            if root.as_ref().is_some_and(|root| **root != *appliance.genesis.authority_root) {
                return Err(Fault::AuthorityRoot);
            }
            self.appliance = Some(appliance);
            return Ok(());
        };
        if let Event::StateDigest { digest, psds } = &record.event {
            if self.facts.digest() != *digest || u64::try_from(self.facts.psds.len()) != Ok(*psds) {
                return Err(FollowError::StateDigest.into());
            }
            self.at_digest = self.facts.clone();
            self.digest_leaf = Some(leaf);
        }
        Ok(appliance.follow(record)?)
    }

    /// The spoiled mark of a refund, as it stands in the log.
    fn spoiled(&self, connection: &Connection, leaf: u64, event: &Event) -> Result<Option<(u64, Indicium)>, Stop> {
        let (stamp, amount, piece) = match event {
            Event::ValueRequested { stamp, amount, purpose: Purpose::Refund(spoiled), .. }
            | Event::ValueApplied { stamp, amount, applied: Applied::Refund(spoiled), .. } => (stamp, amount, *spoiled),
            _ => return Ok(None),
        };
        let Spoiled { leaf: piece, ascending } = piece;
        let wrong = |what: &'static str| found(leaf, Fault::Refund { leaf: piece, what });
        if piece >= leaf {
            return Err(wrong("comes later"));
        }
        let bytes = rows::entry(connection, piece)?.ok_or_else(|| wrong("is missing"))?;
        match Record::decode(&bytes).map_err(|error| found(piece, error))?.event {
            Event::Indicium(spoiled) if spoiled.stamp.psd != stamp.psd => Err(wrong("is of another PSD")),
            Event::Indicium(spoiled) if spoiled.postage != *amount => Err(wrong("has another postage")),
            Event::Indicium(spoiled) if spoiled.stamp.registers.ascending() != ascending => {
                Err(wrong("has another ascending register"))
            }
            Event::Indicium(_)
                if rows::paid_by(connection, MarkId { psd: stamp.psd, ascending })?.is_some_and(|by| by < leaf) =>
            {
                Err(wrong("paid for a certification"))
            }
            Event::Indicium(spoiled) => Ok(Some((piece, spoiled))),
            _ => Err(wrong("is no indicium")),
        }
    }

    fn funds_key(&self) -> Result<&AuthorityKey, Fault> {
        self.authority.get(&AuthorityPurpose::Funds.number()).ok_or(Fault::NoKey("funds key of the authority"))
    }

    fn signed_facts(&mut self, connection: &Connection, leaf: u64, event: &Event, record: &Record) -> Result<(), Stop> {
        let spoiled = self.spoiled(connection, leaf, event)?;
        let refund = spoiled.as_ref().map(|(leaf, piece)| (*leaf, piece));
        self.messages(event, record, refund).map_err(|fault| found(leaf, fault))
    }

    /// Certificates and COSE messages: everything signed but indicia.
    fn messages(&mut self, event: &Event, record: &Record, refund: Option<(u64, &Indicium)>) -> Result<(), Fault> {
        let Some(appliance) = &self.appliance else { return Ok(()) };
        let (root, at) = (&*appliance.genesis.authority_root, record.at.time);
        match event {
            Event::CertificateInstalled { stamp, key_id, serial, chain } => {
                let chain: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
                let certified = self.judge.chain(&chain, root, at).map_err(Fault::Certificate)?;
                let psd = appliance.psds.get(&stamp.psd);
                let key = psd.and_then(|psd| psd.state().keys.iter().find(|k| k.key.key_id == *key_id));
                let key = &key.ok_or(Fault::CertificateDiffers { what: "key" })?.key;
                if *key.spki != *certified.spki {
                    return Err(Fault::CertificateDiffers { what: "public key" });
                }
                if certified.serial != Some(*serial) {
                    return Err(Fault::CertificateDiffers { what: "serial number" });
                }
                if matches!(key.role, Role::Indicium | Role::Certification) {
                    let parsed = symbol::parsed_key(key.algorithm, &key.spki);
                    let parsed = parsed.ok_or(Fault::CertificateDiffers { what: "kind of key" })?;
                    self.certificates.insert((stamp.psd, key.role, *serial), parsed);
                }
            }
            Event::AuthorityKeyInstalled { purpose, certificate } => {
                let certified = self.judge.chain(&[certificate], root, at).map_err(Fault::Certificate)?;
                let key = AuthorityKey { certificate: Arc::clone(certificate), spki: certified.spki };
                self.authority.insert(purpose.number(), key);
            }
            Event::ValueRequested { stamp, value_sequence, amount, purpose, request, .. } => {
                let facts = facts(appliance, stamp, *value_sequence, *amount, refund, at);
                let statement = match purpose {
                    Purpose::Download | Purpose::Refund(_) => Statement::Request,
                    Purpose::Withdrawal => Statement::WithdrawalRequest,
                };
                self.by_device_key(appliance, stamp, statement, request, &facts)?;
            }
            Event::ValueVoided { stamp, value_sequence, amount, statement, .. } => {
                let facts = facts(appliance, stamp, *value_sequence, *amount, refund, at);
                self.by_device_key(appliance, stamp, Statement::Void, statement, &facts)?;
            }
            Event::ValueApplied { stamp, value_sequence, amount, authorisation, .. } => {
                let facts = facts(appliance, stamp, *value_sequence, *amount, refund, at);
                let judged = self.judge.funds_answer(Answer::Authorisation, authorisation, self.funds_key()?, &facts);
                judged.map_err(Fault::Message)?;
            }
            Event::Withdrawn { stamp, value_sequence, amount, acknowledgement, report, .. } => {
                let facts = facts(appliance, stamp, *value_sequence, *amount, refund, at);
                let judged =
                    self.judge.funds_answer(Answer::Acknowledgement, acknowledgement, self.funds_key()?, &facts);
                judged.map_err(Fault::Message)?;
                self.by_device_key(appliance, stamp, Statement::WithdrawalReport, report, &facts)?;
            }
            Event::InstructionTaken { purpose, number, instruction } => {
                let key = self.authority.get(&purpose.number()).ok_or(Fault::NoKey("key of the authority"))?;
                let judged = self.judge.instruction(instruction, key, &appliance.genesis.appliance, at);
                let (told, act) = judged.map_err(Fault::Message)?;
                if told != *number {
                    return Err(Fault::Instruction("the number in the instruction is not that of the record"));
                }
                self.instructed.note(*purpose, act);
            }
            Event::Genesis(_)
            | Event::PsdCreated { .. }
            | Event::KeyCreated { .. }
            | Event::KeyStateChanged { .. }
            | Event::LifecycleChanged { .. }
            | Event::RunOpened { .. }
            | Event::RunClosed { .. }
            | Event::CeilingSet { .. }
            | Event::InspectionPeriodsSet { .. }
            | Event::AuditAccepted { .. }
            | Event::KeyChangeOrdered { .. }
            | Event::AuthorityPolicySet { .. }
            | Event::CeremonyBegun { .. }
            | Event::CeremonyStep { .. }
            | Event::CeremonyEnded { .. }
            | Event::OperatorsChanged { .. }
            | Event::Revoked { .. }
            | Event::StateDigest { .. }
            | Event::Started { .. }
            | Event::RefusalsNoted { .. }
            | Event::RatesTaken(_)
            | Event::ScaleRegistered(_)
            | Event::ScaleRemoved { .. }
            | Event::Indicium(_)
            | Event::Certification(_) => {}
        }
        Ok(())
    }

    /// Judges a message under the device keys of its PSD: while keys change, the older generation may still have signed.
    fn by_device_key(
        &self,
        appliance: &Appliance,
        stamp: &Stamp,
        statement: Statement,
        message: &[u8],
        facts: &ValueFacts<'_>,
    ) -> Result<(), Fault> {
        let keys = appliance.psds.get(&stamp.psd).map(|psd| psd.state().keys.iter().rev());
        let keys = keys
            .into_iter()
            .flatten()
            .filter(|certified| certified.key.role == Role::Device && certified.life.activated.is_some());
        let mut verdict = Err(Fault::NoKey("device key"));
        for certified in keys {
            let judged = self.judge.device_statement(statement, message, &certified.key.spki, facts);
            verdict = judged.map_err(Fault::Message);
            if verdict.is_ok() {
                break;
            }
        }
        verdict
    }

    fn symbol(&self, leaf: u64, piece: &psd::record::Indicium) -> Result<Job, Fault> {
        let appliance = self.appliance.as_ref().ok_or(Fault::NoGenesis)?;
        let psd = appliance.psds.get(&piece.stamp.psd).ok_or(Fault::NoGenesis)?;
        let decoded = decode_recorded(piece, psd.identity(), appliance.genesis.environment)?;
        let serial = decoded.certificate_serial;
        let key = self.signer(psd, Role::Indicium, serial)?;
        Ok(Job { leaf, serial, key, signed: decoded.signed, signature: decoded.signature })
    }

    /// What it says, and the signature to verify; none where the log itself is the proof.
    fn certification(&self, leaf: u64, piece: &CertifiedPiece) -> Result<(Certification, Option<Job>), Fault> {
        let appliance = self.appliance.as_ref().ok_or(Fault::NoGenesis)?;
        let psd = appliance.psds.get(&piece.stamp.psd).ok_or(Fault::NoGenesis)?;
        let read = certification::decode_recorded(piece, psd.identity(), appliance.genesis.environment)?;
        if let Some(unfounded) = appliance.certifying.unfounded(&read.certification).next() {
            return Err(unfounded.into());
        }
        let Some(signature) = read.signature else { return Ok((read.certification, None)) };
        let serial = signature.certificate_serial;
        let key = self.signer(psd, Role::Certification, serial)?;
        let job = Job { leaf, serial, key, signed: signature.signed, signature: signature.bytes };
        Ok((read.certification, Some(job)))
    }

    /// The key that must have signed a piece: the one in use.
    fn signer(&self, psd: &Psd, role: Role, serial: u32) -> Result<Arc<ParsedPublicKey>, Fault> {
        let place = (psd.identity().psd, role, serial);
        let key = self.certificates.get(&place).ok_or(Fault::UnknownCertificate(serial))?;
        let in_use = psd.key_in_use(role).and_then(|certified| certified.key.certificate_serial);
        if in_use == Some(serial) { Ok(Arc::clone(key)) } else { Err(Fault::NotInUse(serial)) }
    }

    fn key_row(&self, connection: &Connection, leaf: u64, tenant: &TenantName, key: PieceKey) -> Result<(), Stop> {
        let step = "reading the index of keys";
        let tenant = self.tenants.get(tenant);
        let mut statement =
            connection.prepare_cached("SELECT leaf FROM piece WHERE tenant = ?1 AND key = ?2").at(step)?;
        let row: Option<i64> = statement.query_row((tenant, key.as_bytes()), |row| row.get(0)).optional().at(step)?;
        if row == Some(sql(leaf)) {
            return Ok(());
        }
        let row = row.and_then(|leaf| u64::try_from(leaf).ok());
        Err(found(leaf, Fault::Piece { found: row, expected: leaf }))
    }

    /// Personal fields kept for the records of this chunk.
    fn bodies(&mut self, connection: &Connection, begin: u64, hashes: &BTreeMap<u64, [u8; 32]>) -> Result<(), Stop> {
        let step = "reading personal fields";
        let mut statement = connection
            .prepare_cached("SELECT leaf, salt, body FROM body WHERE leaf >= ?1 AND leaf < ?2 ORDER BY leaf")
            .at(step)?;
        let mut rows = statement.query((sql(begin), sql(self.tree.size()))).at(step)?;
        while let Some(row) = rows.next().at(step)? {
            let leaf = u64::try_from(row.get::<_, i64>(0).at(step)?).unwrap_or(u64::MAX);
            let salt: Option<[u8; 16]> = row.get_ref(1).at(step)?.as_blob().ok().and_then(|salt| salt.try_into().ok());
            let body: Box<[u8]> = row.get::<_, Vec<u8>>(2).at(step)?.into();
            let commitment = salt.map(|salt| crate::Body { salt, body }.commitment());
            if commitment.is_none() || commitment.as_ref() != hashes.get(&leaf) {
                return Err(found(leaf, Fault::Body));
            }
            self.bodies += 1;
        }
        Ok(())
    }

    pub(super) fn genesis(&self) -> Option<&Genesis> {
        self.appliance.as_ref().map(|appliance| &appliance.genesis)
    }

    fn summary(self, (checkpoints, signed_size): (u64, u64)) -> Result<Summary, Stop> {
        let appliance = self.appliance.ok_or_else(|| found(None, Fault::NoGenesis))?;
        let psds = appliance.psds.iter().map(|(psd, device)| PsdSummary {
            psd: *psd,
            tenant: device.identity().tenant.clone(),
            registers: device.state().registers,
            currency: device.identity().currency,
            sequence: device.state().sequence,
        });
        Ok(Summary {
            psds: psds.collect(),
            genesis: appliance.genesis,
            records: self.tree.size(),
            pieces: self.pieces,
            checkpoints,
            signed_size,
            bodies: self.bodies,
            root: self.tree.root(),
            elapsed: Duration::ZERO,
        })
    }
}

/// An indicium pays once: its row names this record and no other.
fn mark_row(connection: &Connection, leaf: u64, mark: MarkId) -> Result<(), Stop> {
    let row = rows::paid_by(connection, mark)?;
    if row == Some(leaf) { Ok(()) } else { Err(found(leaf, Fault::Mark { mark, found: row })) }
}

/// A piece with a digital token is found by its number among the PSD's pieces.
fn token_row(connection: &Connection, leaf: u64, stamp: &Stamp) -> Result<(), Stop> {
    let (psd, pieces) = (stamp.psd, stamp.registers.piece_count());
    let row = rows::digital_token(connection, psd, pieces)?;
    if row == Some(leaf) { Ok(()) } else { Err(found(leaf, Fault::Token { psd, pieces, found: row })) }
}

fn check_tile(connection: &Connection, tile: &FullTile) -> Result<(), Stop> {
    let step = "reading a tile";
    let mut statement =
        connection.prepare_cached("SELECT hashes FROM tile WHERE level = ?1 AND number = ?2").at(step)?;
    let stored: Option<Vec<u8>> =
        statement.query_row((i64::from(tile.level), sql(tile.number)), |row| row.get(0)).optional().at(step)?;
    if stored.as_ref() == Some(&tile.hashes) {
        return Ok(());
    }
    // The first hash that differs names the record, or the first of the records below it.
    let same = |stored: &Vec<u8>| stored.chunks(32).zip(tile.hashes.chunks(32)).take_while(|(a, b)| a == b).count();
    let index = u64::try_from(stored.as_ref().map_or(0, same)).unwrap_or(0);
    let first = (tile.number * 256 + index) << (8 * u32::from(tile.level));
    let (level, number) = (tile.level, tile.number);
    Err(found(first, Fault::Tile { level, number, missing: stored.is_none() }))
}
