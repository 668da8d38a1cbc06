//! Device audits: PSDs answer a challenge, every line of a report is what it says it is, and an audit changes nothing.

use crate::bench::{Wanted, psd, raise};
use crate::client::{Caller, items, outcomes};
use crate::inspection::{alter, configured, inspector};
use crate::reload::until;
use crate::run;
use psd::PsdId;
use psd::key::Role;
use psdd_client::{AuthorityClient, ClientError};
use psdd_wire::audit::{AuditClaims, AuditError, AuditRequest, AuditResponse};
use psdd_wire::cose::Sign1;
use psdd_wire::status::KeyState;

/// The public half of a PSD's device key and its certificate.
async fn device_key(door: &AuthorityClient, psd: PsdId) -> (Vec<u8>, Vec<u8>) {
    let keys = door.certificates(psd).await.expect("certificates").keys;
    let device = keys.into_iter().find(|key| key.role == Role::Device.to_string()).expect("a device key");
    (device.spki, device.chain[0].to_vec())
}

const CHALLENGE: [u8; 32] = [0x5c; 32];

#[test]
fn every_psd_answers_a_challenge_and_nothing_is_changed_by_it() {
    let mut appliance = raise(Wanted { psds: 3, ..Wanted::default() });
    let vendor = Caller::new(&appliance.layout);
    let (config, at_bytes) = (configured(&appliance).client(), inspector(&appliance));
    until("a scrub", || !appliance.local("/metrics").contains("psdd_scrub_end_seconds 0\n"));
    let program = std::fs::read(&appliance.options.tools.psdd).expect("the program that runs");
    let program = psdd_wire::sha256(&program);
    let name = run(async {
        let door = AuthorityClient::start(&config).expect("a client");
        let vendor = vendor.connect().await;
        assert_eq!(outcomes(&vendor.sign(psd(2), &items(5, "0.50")).await), vec!["signed"; 5]);
        let name = door.appliance().await.expect("the appliance").appliance;
        let before = door.psds().await.expect("PSDs");

        let all = door.audit(None, &CHALLENGE).await.expect("an audit of all");
        assert_eq!((all.reports.len(), all.failures.len(), all.next), (3, 0, None));
        for (number, report) in (1..).zip(&all.reports) {
            let (spki, certificate) = device_key(&door, psd(number)).await;
            let claims = AuditClaims::verify(report, &spki, &CHALLENGE, &name).expect("a report");
            assert_eq!(claims.psd, psd(number), "in the order of device IDs");
            let sent = Sign1::parse(report).expect("COSE_Sign1");
            assert_eq!(sent.certificate.as_deref(), Some(&*certificate), "it needs no other file to be judged");
            let view = before.iter().find(|view| view.psd == psd(number)).expect("a PSD");
            assert_eq!(claims.logged.registers, view.registers);
            assert_eq!((claims.logged.sequence, &claims.logged.state), (view.sequence, &view.state));
            assert_eq!(claims.checkpoint, all.checkpoint);
            let pieces = if number == 2 { 5 } else { 0 };
            let active = claims.logged.keys.iter().find(|key| key.role == Role::Indicium.to_string());
            let active = active.expect("an indicium key");
            assert_eq!((active.state, active.pieces, active.generation), (KeyState::Active, pieces, 1));
            assert!(active.not_after.is_some() && active.certificate.is_some());
            let download = claims.logged.last_download.as_ref().expect("it was funded");
            assert_eq!((download.amount.to_string().as_str(), download.sequence), ("1000.00", 1));
            let told = &claims.asserted;
            assert_eq!((told.hsm.validated.as_str(), told.hsm.family.as_str()), ("software", "SoftHSM2"));
            assert!(told.clock.is_some() && told.clock_stopped.is_none() && told.last_audit.is_none());
            assert!(told.scrub.as_ref().is_some_and(|scrub| scrub.finding.is_none()));
            assert_eq!(told.binary.as_deref().map(|digest| &**digest), Some(&program[..]));
            let other = AuditClaims::verify(report, &spki, &[1; 32], &name);
            assert!(matches!(other, Err(AuditError::Challenge)), "{other:?}");
        }
        let after = door.psds().await.expect("PSDs");
        assert!(before.iter().zip(&after).all(|(before, after)| before.sequence == after.sequence), "no record");

        // One, some, and one that there is not.
        let some = door.audit(Some(&[psd(3), psd(1), psd(3), psd(77)]), &CHALLENGE[..16]).await.expect("an audit");
        assert_eq!(some.reports.len(), 2, "each once");
        assert_eq!(some.failures.iter().map(|failure| failure.code.as_str()).collect::<Vec<_>>(), ["psd-unknown"]);
        let (spki, _) = device_key(&door, psd(1)).await;
        let again = AuditClaims::verify(&some.reports[0], &spki, &CHALLENGE[..16], &name).expect("a report");
        assert!(again.asserted.last_audit.is_some(), "it tells of the one before");
        // The next page, and a list that ends before it.
        let wire = at_bytes.connect().await;
        for (psds, reports) in [(None, 2), (Some(vec![psd(1).to_string(), psd(3).to_string(), "x".to_owned()]), 1)] {
            let (after, challenge) = (Some(psd(1).to_string()), CHALLENGE.to_vec());
            let body = psdd_wire::encode(&AuditRequest { psds, after, challenge });
            let told: AuditResponse = psdd_wire::read(&wire.post("/v1/audits", &body).await.body.encode()).expect("it");
            assert_eq!((told.reports.len(), told.failures.len(), told.next), (reports, 0, None));
        }
        for challenge in [&CHALLENGE[..15], &[7; 65], &[]] {
            let refused = door.audit(None, challenge).await.expect_err("no challenge");
            let ClientError::Refused(problem) = refused else { panic!("{refused}") };
            assert_eq!(problem.facts.code, "malformed");
        }
        name
    });

    // Without its token a PSD says nothing, and the door says why.
    appliance.kill_hsm();
    run(async {
        let door = AuthorityClient::start(&config).expect("a client");
        let told = door.audit(Some(&[psd(1)]), &CHALLENGE).await.expect("an answer");
        assert_eq!((told.reports.len(), told.failures[0].code.as_str()), (0, "token-unavailable"), "{name}");
    });
}

/// Damage on the disk is in every report from the next scrub on.
#[test]
fn a_report_tells_what_the_scrub_found() {
    let mut appliance = raise(Wanted::default());
    let vendor = Caller::new(&appliance.layout);
    run(async {
        let vendor = vendor.connect().await;
        for _ in 0..2 {
            assert_eq!(outcomes(&vendor.sign(psd(1), &items(200, "0.01")).await), vec!["signed"; 200]);
        }
    });
    // A full tile stands for the first of them, and with the state digest of a clean stop a start reads none of them again.
    appliance.stop();
    let harm = "UPDATE entry SET record = CAST(record || x'00' AS BLOB) WHERE leaf = (SELECT min(leaf) FROM piece)";
    alter(&appliance.layout.state().join("ledger.db"), harm);
    appliance.start().expect("psdd starts: it proves the newest records only");
    until("a finding", || appliance.local("/metrics").contains("psdd_scrub_findings 1\n"));
    run(async {
        let door = AuthorityClient::start(&configured(&appliance).client()).expect("a client");
        let name = door.appliance().await.expect("the appliance").appliance;
        let told = door.audit(None, &CHALLENGE).await.expect("an audit");
        let (spki, _) = device_key(&door, psd(1)).await;
        let claims = AuditClaims::verify(&told.reports[0], &spki, &CHALLENGE, &name).expect("a report");
        let finding = claims.asserted.scrub.and_then(|scrub| scrub.finding);
        assert!(finding.is_some(), "the inspector is told");
    });
}
