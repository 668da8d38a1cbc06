//! What keeps a ceremony from going on: what passes is waited for, and what does not stops it until a person has mended it.

use crate::bench::{Wanted, psd, raise};
use crate::holding::{ACTIVE, QUORUM, door, ended, file, hold, log_spki, rotate};
use crate::run;
use crate::script::Script;
use psdctl::dev;
use psdd_wire::ceremony::transcript::TranscriptClaims;
use psdd_wire::operator::{CeremonyResponse, CeremonyState};
use softhsm_tests::Appliance;
use std::time::{Duration, Instant};

pub(crate) fn told(appliance: &Appliance, number: u64, so: impl Fn(&CeremonyResponse) -> bool) -> CeremonyResponse {
    run(async {
        let operators = door(appliance);
        let begun = Instant::now();
        loop {
            let told = operators.ceremony(number).await.expect("the ceremony");
            if so(&told) {
                return told;
            }
            assert!(begun.elapsed() < crate::holding::PATIENCE, "{told:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
}

pub(crate) fn last_line(told: &CeremonyResponse) -> &str {
    told.lines.last().map_or("", String::as_str)
}

#[test]
fn a_ceremony_waits_for_its_token_and_goes_on_by_itself() {
    let mut appliance = raise(Wanted::default());
    let act = rotate(psd(1), 1);
    let text = run(async { file(&door(&appliance), &act).await });
    let approvals = dev::approve(&appliance.layout, text.as_bytes(), &QUORUM).expect("approvals");
    appliance.kill_hsm();
    let begun = run(async { door(&appliance).run(text.as_bytes(), &approvals).await }).expect("it begins");
    assert_eq!(begun.state, CeremonyState::Running);
    // Making a key waits for a worker by itself; so it is a signature that fails at once.
    appliance.start_hsm().expect("psdd-hsm");
    let stopped = told(&appliance, 1, |told| told.state == CeremonyState::Interrupted);
    assert_eq!((stopped.steps_done, stopped.lines.len()), (1, 2), "{stopped:?}");
    assert!(last_line(&stopped).starts_with("stopped: awaiting-certificate: "), "{stopped:?}");
    let give_up = run(async { file(&door(&appliance), "[abandon]\nnumber = 1\n").await });
    assert_eq!(run(async { hold(&appliance, &door(&appliance), &give_up).await }), CeremonyState::Done);

    // The lock needs no token, its transcript does.
    let lock = format!("[lock]\npsd = \"{}\"\n{ACTIVE}", psd(1));
    let lock = run(async { file(&door(&appliance), &lock).await });
    let approvals = dev::approve(&appliance.layout, lock.as_bytes(), &QUORUM).expect("approvals");
    appliance.kill_hsm();
    run(async { door(&appliance).run(lock.as_bytes(), &approvals).await }).expect("it begins");
    let waits = told(&appliance, 3, |told| last_line(told).starts_with("waits and tries again: token-unavailable: "));
    assert_eq!((waits.state, waits.steps_done), (CeremonyState::Running, 1), "{waits:?}");
    appliance.start_hsm().expect("psdd-hsm");
    let done = run(async { ended(&door(&appliance), 3).await });
    assert_eq!(done, CeremonyState::Done, "nobody ran it again");
    appliance.stop();
    appliance.check(None).assert_clean("after ceremonies that waited");
}

#[test]
fn a_transcript_that_does_not_verify_is_not_recorded() {
    let script = Script::new();
    let mut appliance = raise(Wanted { options: script.options(), ..Wanted::default() });
    let lock = format!("[lock]\npsd = \"{}\"\n{ACTIVE}", psd(1));
    let lock = run(async { file(&door(&appliance), &lock).await });
    script.write("C_Sign garble\n");
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(run(async { hold(&appliance, &door(&appliance), &lock).await }), CeremonyState::Interrupted);
    let stopped = told(&appliance, 1, |_| true);
    assert!(last_line(&stopped).starts_with("stopped: token-signs-wrongly: "), "{stopped:?}");
    assert_eq!((stopped.steps_done, stopped.transcript), (1, None));
    script.write("");
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(run(async { hold(&appliance, &door(&appliance), &lock).await }), CeremonyState::Done);
    let done = told(&appliance, 1, |_| true);
    let claims = TranscriptClaims::verify(&done.transcript.expect("a transcript"), &log_spki(&appliance));
    assert_eq!(claims.expect("it verifies").lines, done.lines);
    appliance.stop();
    appliance.check(None).assert_clean("after a transcript that did not verify");
}
