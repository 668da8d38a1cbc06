//! Reports of PSDs, true and tampered with, held against the log.

use crate::world::{DAY, Key, World, psd_id};
use psd::PsdId;
use psd::key::Role;
use psdd_inspector::audit::{Audit, AuditView, Held, Standing, Watch, judge};
use psdd_inspector::{Code, Finding, Fold, Mirror, ProgramDigest, Rules};
use psdd_wire::audit::{Asserted, AuditClaims, AuditFailure, AuditResponse, HsmLine, Logged, ScrubLine};
use psdd_wire::message::ClockView;
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use tempfile::TempDir;

const CHALLENGE: [u8; 32] = [7; 32];

/// An appliance whose log is mirrored, and what its PSDs say truly.
pub struct Rig {
    pub world: World,
    pub mirror: Mirror,
    pub fold: Fold,
    _dir: TempDir,
}

impl Rig {
    pub fn new(psds: usize) -> Self {
        let mut world = World::born(psds);
        world.sign_many(0, 3);
        Self::over(world)
    }

    pub fn over(world: World) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mirror, fold) = world.inspected(dir.path());
        Self { world, mirror, fold, _dir: dir }
    }

    /// What a PSD says of its state: as the log has it, which the end-to-end tests compare with the daemon's own words.
    pub fn claims(&self, number: usize) -> AuditClaims {
        let stamp = self.world.appliance.psds[&psd_id(number)].stamp();
        let logged = Logged {
            keys: Vec::new(),
            locks: Vec::new(),
            state: "active".to_owned(),
            format: "ibi".to_owned(),
            tenant: "acme".parse().unwrap(),
            licence: "L-1".parse().unwrap(),
            pending: None,
            currency: "USD".parse().unwrap(),
            sequence: stamp.sequence,
            downloads: 1,
            registers: stamp.registers.into(),
            environment: "development".to_owned(),
            last_download: None,
        };
        let now = self.world.now;
        let clock = ClockView { time: now + 1, epoch: 1, source: "development".to_owned(), error_ms: 5 };
        let asserted = Asserted {
            hsm: HsmLine { validated: "software".to_owned(), ..HsmLine::default() },
            clock: Some(clock),
            scrub: Some(ScrubLine { time: now, finding: None, records: 3 }),
            binary: Some(ByteBuf::from([1; 32])),
            version: "1.0".to_owned(),
            inspection: None,
            last_audit: None,
            clock_stopped: None,
        };
        let psd = psd_id(number);
        let (appliance, challenge) = ("test-1".to_owned(), CHALLENGE.to_vec());
        let mut claims = AuditClaims { psd, logged, asserted, appliance, challenge, checkpoint: None };
        let held = self.held(&self.audit(vec![self.signed(&claims)]));
        claims.logged = held[&psd].logged.clone().unwrap();
        claims.checkpoint = self.mirror.note().map(str::to_owned);
        claims
    }

    pub fn signed(&self, claims: &AuditClaims) -> Vec<u8> {
        let number = usize::try_from(claims.psd.serial() - 1_000_000).unwrap();
        self.signed_by(&self.world.device, number, claims)
    }

    fn signed_by(&self, key: &Key, number: usize, claims: &AuditClaims) -> Vec<u8> {
        let chain = self.world.appliance.psds[&psd_id(number)].state().key_in_use(Role::Device).unwrap().chain.clone();
        let message = claims.unsigned(&key.spki(), Some(&chain[0])).unwrap();
        let signature = key.sign(&message.to_be_signed());
        message.with_signature(&signature)
    }

    pub fn audit(&self, reports: Vec<Vec<u8>>) -> Audit {
        let reports = reports.into_iter().map(ByteBuf::from).collect();
        let told = AuditResponse { reports, ..AuditResponse::default() };
        Audit::new(&CHALLENGE, (self.world.now, self.world.now + 2), None, told)
    }

    pub fn held(&self, audit: &Audit) -> BTreeMap<PsdId, Held> {
        let mut watch = Watch::begin(&self.fold);
        watch.expect(audit, &self.fold);
        watch.into_held()
    }

    pub fn judged(&self, audit: &Audit, rules: &Rules) -> (AuditView, Vec<Finding>) {
        judge(audit, &self.held(audit), self.mirror.pin(), rules)
    }

    fn codes(&self, audit: &Audit) -> Vec<Code> {
        self.judged(audit, &Rules::default()).1.iter().map(|finding| finding.code).collect()
    }
}

#[test]
fn a_true_report_is_proven_line_by_line() {
    let rig = Rig::new(2);
    let audit = rig.audit(vec![rig.signed(&rig.claims(0)), rig.signed(&rig.claims(1))]);
    let (view, findings) = rig.judged(&audit, &Rules::default());
    assert_eq!(findings, []);
    assert_eq!(view.reports.len(), 2);
    for report in &view.reports {
        let proven = report.lines.iter().filter(|line| line.standing == Standing::Proven);
        assert_eq!(proven.clone().count(), 14, "twelve lines and two keys");
        assert!(proven.clone().filter(|line| line.name != "pending").all(|line| line.leaf.is_some()));
        assert!(report.lines.iter().all(|line| line.standing != Standing::Contradicted && line.log.is_none()));
        assert_eq!(report.lines.iter().filter(|line| line.standing == Standing::Asserted).count(), 6);
    }
    let registers = view.reports[0].lines.iter().find(|line| line.name == "registers").unwrap();
    assert_eq!(registers.said, "ascending 2.19 + descending 999997.81 = 1000000.00, 3 pieces");
}

#[test]
fn every_line_that_the_log_refutes_is_told_with_both() {
    let rig = Rig::new(1);
    let mills = |mills| psd::PostageAmount::from_mills(mills).unwrap();
    type Tamper = fn(&mut Logged);
    let rows: [(&str, Tamper); 13] = [
        ("registers", |logged| logged.registers.pieces -= 1),
        ("state", |logged| logged.state = "suspended".to_owned()),
        ("locks", |logged| logged.locks = vec!["operator".to_owned()]),
        ("licence", |logged| logged.licence = "L-2".parse().unwrap()),
        ("tenant", |logged| logged.tenant = "other".parse().unwrap()),
        ("format", |logged| logged.format = "x".to_owned()),
        ("currency", |logged| logged.currency = "EUR".parse().unwrap()),
        ("environment", |logged| logged.environment = "production".to_owned()),
        ("downloads", |logged| logged.downloads = 2),
        ("last download", |logged| logged.last_download.as_mut().unwrap().leaf += 1),
        ("key indicium 0", |logged| logged.keys[0].pieces += 1),
        ("key indicium 0", |logged| logged.keys[0].not_after = None),
        ("key device 0", |logged| drop(logged.keys.pop())),
    ];
    for (name, tamper) in rows {
        let mut claims = rig.claims(0);
        tamper(&mut claims.logged);
        let (view, findings) = rig.judged(&rig.audit(vec![rig.signed(&claims)]), &Rules::default());
        assert_eq!(
            findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
            [Code::AuditContradicted],
            "{name}"
        );
        let refuted = view.reports[0].lines.iter().find(|line| line.standing == Standing::Contradicted).unwrap();
        assert_eq!(refuted.name, name);
        let says = &findings[0].says;
        assert!(says.contains(&refuted.said) && says.contains(refuted.log.as_deref().unwrap()), "{says}");
    }
    // Value moved between registers adds up, and is refuted as well.
    let mut claims = rig.claims(0);
    claims.logged.registers.ascending = mills(0);
    claims.logged.registers.descending = claims.logged.registers.control_total;
    assert_eq!(rig.codes(&rig.audit(vec![rig.signed(&claims)])), [Code::AuditContradicted]);
}

#[test]
fn what_the_device_key_did_not_sign_for_this_challenge_is_no_report() {
    let rig = Rig::new(2);
    let claims = rig.claims(0);
    let other = rig.signed(&rig.claims(1));
    let mut altered = rig.signed(&claims);
    *altered.last_mut().unwrap() ^= 1;
    let old = AuditClaims { challenge: vec![8; 32], ..claims.clone() };
    let elsewhere = AuditClaims { appliance: "test-2".to_owned(), ..claims.clone() };
    let mut note = claims.clone();
    note.checkpoint = note.checkpoint.map(|note| note.replace('\u{2014}', "-"));
    let stranger = AuditClaims { psd: psd_id(9), ..claims.clone() };
    let mut sum = claims.clone();
    sum.logged.registers.pieces = 0;
    sum.logged.registers.control_total = psd::PostageAmount::from_mills(1).unwrap();
    let rows = [
        ("another key", rig.signed_by(&Key::new(), 0, &claims)),
        ("the key of another PSD's certificate", rig.signed_by(&rig.world.device, 1, &claims)),
        ("altered", altered),
        ("an old answer", rig.signed(&old)),
        ("another appliance", rig.signed(&elsewhere)),
        ("a checkpoint that the log did not sign", rig.signed(&note)),
        ("registers that do not add up", rig.signed(&sum)),
        ("no report", vec![1, 2, 3]),
        ("a PSD that the log does not know", rig.signed_by(&rig.world.device, 0, &stranger)),
    ];
    for (name, report) in rows {
        let audit = rig.audit(vec![report, other.clone()]);
        assert_eq!(rig.codes(&audit), [Code::AuditInvalid, Code::NoReport], "{name}");
    }
    let twice = rig.audit(vec![rig.signed(&claims), rig.signed(&claims), other]);
    assert_eq!(rig.codes(&twice), [Code::AuditInvalid]);
    // Long after, the certificate of the device key is over.
    let mut late = rig.audit(vec![rig.signed(&claims)]);
    late.answered_ms += 365 * DAY;
    assert!(rig.codes(&late).contains(&Code::AuditInvalid));
}

#[test]
fn a_psd_that_must_answer_and_does_not_is_a_finding() {
    let rig = Rig::new(2);
    let mut audit = rig.audit(vec![rig.signed(&rig.claims(0))]);
    let (_, findings) = rig.judged(&audit, &Rules::default());
    assert_eq!((findings.len(), findings[0].code), (1, Code::NoReport));
    assert_eq!(findings[0].psd.as_deref(), Some(&*psd_id(1).to_string()));
    let (psd, code) = (psd_id(1).to_string(), "token-unavailable".to_owned());
    audit.failures.push(AuditFailure { psd, code, detail: "no answer".to_owned() });
    let (_, findings) = rig.judged(&audit, &Rules::default());
    assert!(findings[0].says.contains("token-unavailable: no answer"), "{}", findings[0].says);
    // Who was not asked need not answer.
    audit.psds = Some(vec![psd_id(0).to_string()]);
    assert_eq!(rig.codes(&audit), []);
}

#[test]
fn a_report_is_about_no_state_from_before_the_challenge_and_waits_for_the_log_otherwise() {
    let mut rig = Rig::new(1);
    let old = rig.claims(0);
    rig.world.sign(0);
    let new = {
        let dir = tempfile::tempdir().unwrap();
        let (mirror, fold) = rig.world.inspected(dir.path());
        let ahead = Rig { world: World::born(1), mirror, fold, _dir: dir };
        let mut claims = old.clone();
        claims.logged.sequence += 1;
        let held = ahead.held(&rig.audit(vec![rig.signed(&claims)]));
        claims.logged = held[&psd_id(0)].logged.clone().unwrap();
        claims
    };
    // The log does not cover it: neither proven nor refuted.
    let audit = rig.audit(vec![rig.signed(&new)]);
    let (view, findings) = rig.judged(&audit, &Rules::default());
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::AuditUncovered]);
    assert!(view.count(Standing::Uncovered) == 14 && view.count(Standing::Proven) == 0);
    // While the fold goes by the record, and a record further, the state is taken.
    let mut watch = Watch::begin(&rig.fold);
    watch.expect(&audit, &rig.fold);
    assert!(!watch.is_complete());
    rig.world.sign(0);
    rig.mirror.update(&mut rig.world.log()).unwrap();
    let mut told = 0;
    rig.fold.advance_watching(&mut rig.mirror, &mut watch, &mut |_| told += 1).unwrap();
    assert!(watch.is_complete());
    let (view, findings) = judge(&audit, &watch.into_held(), rig.mirror.pin(), &Rules::default());
    assert_eq!((findings, view.count(Standing::Proven)), (vec![], 14));
    // By now the log had more before it asked.
    assert_eq!(rig.codes(&rig.audit(vec![rig.signed(&old)])), [Code::AuditContradicted]);
}

#[test]
fn what_a_device_says_of_itself_is_held_against_the_rules() {
    let rig = Rig::new(1);
    let now = rig.world.now;
    type Tamper = fn(&mut Asserted, u64);
    let rows: [(&str, Tamper, Option<Code>); 9] = [
        ("a clock behind", |said, now| said.clock.as_mut().unwrap().time = now - 1_006, Some(Code::ClockDiffers)),
        ("a clock ahead", |said, now| said.clock.as_mut().unwrap().time = now + 1_008, Some(Code::ClockDiffers)),
        ("just within", |said, now| said.clock.as_mut().unwrap().time = now - 1_005, None),
        ("no clock", |said, _| said.clock = None, Some(Code::ClockDiffers)),
        (
            "a scrub that found something",
            |said, _| said.scrub.as_mut().unwrap().finding = Some("record 3".to_owned()),
            Some(Code::Scrub),
        ),
        ("an old scrub", |said, now| said.scrub.as_mut().unwrap().time = now - 4 * DAY, Some(Code::ScrubOverdue)),
        ("no scrub", |said, _| said.scrub = None, Some(Code::ScrubOverdue)),
        ("another program", |said, _| said.binary = Some(ByteBuf::from([2; 32])), Some(Code::Program)),
        ("no program", |said, _| said.binary = None, Some(Code::Program)),
    ];
    let rules = Rules { program: Some("01".repeat(32).parse().unwrap()), ..Rules::default() };
    for (name, tamper, code) in rows {
        let mut claims = rig.claims(0);
        tamper(&mut claims.asserted, now);
        let (_, findings) = rig.judged(&rig.audit(vec![rig.signed(&claims)]), &rules);
        assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), Vec::from_iter(code), "{name}");
    }
    assert!("0".repeat(63).parse::<ProgramDigest>().is_err() && "x".repeat(64).parse::<ProgramDigest>().is_err());
}

#[test]
fn a_software_token_in_production_is_told_once_for_all() {
    let rig = Rig::new(2);
    let reports = [0, 1].map(|number| {
        let mut claims = rig.claims(number);
        claims.logged.environment = "production".to_owned();
        rig.signed(&claims)
    });
    let audit = rig.audit(reports.to_vec());
    let mut held = rig.held(&audit);
    held.values_mut().for_each(|held| held.logged.as_mut().unwrap().environment = "production".to_owned());
    let (_, findings) = judge(&audit, &held, rig.mirror.pin(), &Rules::default());
    assert_eq!((findings.len(), findings[0].code, findings[0].times), (1, Code::SoftwareToken, 2));
    // What environment it is the log says, not the device.
    let audit = rig.audit([0, 1].map(|number| rig.signed(&rig.claims(number))).to_vec());
    let mut held = rig.held(&audit);
    held.values_mut().for_each(|held| held.logged.as_mut().unwrap().environment = "production".to_owned());
    let (_, findings) = judge(&audit, &held, rig.mirror.pin(), &Rules::default());
    assert!(findings.iter().any(|finding| finding.code == Code::SoftwareToken));
}
