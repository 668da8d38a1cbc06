//! SIGKILL after and during every step of every ceremony: the next start goes on with it, and its end is as if nobody had been killed.

use crate::bench::{Wanted, psd, raise};
use crate::client::{Caller, item, outcomes};
use crate::holding::{ACTIVE, PATIENCE, QUORUM, certify, door, file, log_spki, rotate};
use crate::run;
use crate::script::Script;
use psd::PsdId;
use psd::governance::CeremonyEnd;
use psd::record::Event;
use psdctl::dev::{self, OPERATORS};
use psdd_ledger::{Durable, Reader};
use psdd_wire::ceremony::transcript::{MOST_LINES, TranscriptClaims};
use psdd_wire::operator::{CeremonyResponse, CeremonyState, InstallResult};
use softhsm_tests::Appliance;
use std::time::{Duration, Instant};

/// Slow enough that a kill falls into the making and the destruction of a key.
const SLOW: &str = "C_GenerateKeyPair latency 6000\nC_DestroyObject latency 3000\n";
/// And the transcript is not signed: a ceremony stays between its last step and its end.
const HELD: &str = "C_GenerateKeyPair latency 6000\nC_DestroyObject latency 3000\nC_Sign hang\n";

/// An appliance whose psdd is killed during ceremonies.
struct Killed {
    appliance: Appliance,
    script: Script,
    kills: u32,
}

/// A ceremony that began.
struct Held {
    number: u64,
    steps: u64,
    file: String,
    approvals: Vec<Vec<u8>>,
}

impl Killed {
    fn raise(psds: u32) -> Self {
        let script = Script::new();
        let appliance = raise(Wanted { psds, options: script.options(), ..Wanted::default() });
        Self { appliance, script, kills: 0 }
    }

    /// What the token does from now on.
    fn token(&self, text: &str) {
        self.script.write(text);
        // The module looks at it every 10 ms.
        std::thread::sleep(Duration::from_millis(30));
    }

    fn kill_and_start(&mut self) {
        self.appliance.kill9();
        self.kills += 1;
        self.appliance.start().expect("psdd");
    }

    fn told(&self, number: u64) -> CeremonyResponse {
        run(async { door(&self.appliance).ceremony(number).await.expect("the ceremony") })
    }

    /// Polls until the ceremony is so far.
    fn reached(&self, number: u64, so: impl Fn(&CeremonyResponse) -> bool) -> CeremonyResponse {
        run(async {
            let operators = door(&self.appliance);
            let begun = Instant::now();
            loop {
                let told = operators.ceremony(number).await.expect("the ceremony");
                if so(&told) {
                    return told;
                }
                let log = self.appliance.log_tail();
                assert!(begun.elapsed() < PATIENCE, "{told:?}\n{log}");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    }

    /// Begins a ceremony whose end is held back, and kills psdd as soon as it has answered: in the first step.
    fn begin(&mut self, act: &str, who: &[&str]) -> Held {
        self.token(HELD);
        let text = run(async { file(&door(&self.appliance), act).await });
        let approvals = dev::approve(&self.appliance.layout, text.as_bytes(), who).expect("approvals");
        let begun = run(async { door(&self.appliance).run(text.as_bytes(), &approvals).await });
        let begun = begun.unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        let held = Held { number: begun.number, steps: begun.steps_total, file: text, approvals };
        self.kill_and_start();
        held
    }

    /// Kills psdd when so many steps are done: in the step after them, or before the end.
    fn kill_after(&mut self, held: &Held, steps: u64) {
        let told = self.reached(held.number, |told| told.steps_done >= steps);
        assert!(matches!(told.state, CeremonyState::Running | CeremonyState::Interrupted), "{told:?}");
        self.kill_and_start();
    }

    /// Lets it end; it goes on by itself.
    fn finish(&mut self, held: &Held) {
        self.token(SLOW);
        let told = self.reached(held.number, |told| told.state == CeremonyState::Done);
        assert_eq!((told.steps_done, told.lines.len()), (held.steps, usize::try_from(held.steps).expect("few")));
        // Brought again, the file tells its end and does nothing.
        let again = run(async { door(&self.appliance).run(held.file.as_bytes(), &held.approvals).await });
        let again = again.expect("it has ended");
        assert_eq!((again.state, again.steps_done), (CeremonyState::Done, held.steps));
    }

    /// A whole ceremony, killed in its first step, after each of its steps and before its end.
    fn hold(&mut self, act: &str, who: &[&str]) -> u64 {
        let held = self.begin(act, who);
        for steps in 1..=held.steps {
            self.kill_after(&held, steps);
        }
        self.finish(&held);
        held.number
    }

    /// A rotation: between its two steps it waits for a certificate, over every kill.
    fn rotate(&mut self, of: PsdId, generation: u8) {
        let held = self.begin(&rotate(of, generation), &QUORUM);
        for _ in 0..2 {
            let told = self.reached(held.number, |told| told.state == CeremonyState::Interrupted);
            assert_eq!(told.steps_done, 1);
            assert!(told.lines.last().is_some_and(|line| line.contains("awaiting-certificate")), "{:?}", told.lines);
            self.kill_and_start();
        }
        self.token("");
        self.certify();
        self.token(HELD);
        run(async { door(&self.appliance).run(held.file.as_bytes(), &held.approvals).await }).expect("it goes on");
        self.kill_after(&held, 2);
        self.finish(&held);
    }

    fn certify(&self) {
        let installed = run(async { certify(&self.appliance, &door(&self.appliance)).await });
        assert!(installed.iter().all(|result| matches!(result, InstallResult::Installed(_))), "{installed:?}");
    }

    /// What records say of every ceremony: each began, did each of its steps and ended once.
    fn records(&self) -> Vec<Ceremony> {
        let reader = Reader::open(&self.appliance.layout.state()).expect("the ledger");
        let mut ceremonies: Vec<Ceremony> = Vec::new();
        for leaf in 0.. {
            let Some(record) = reader.record(leaf).expect("it reads") else { return ceremonies };
            match &record.record().event {
                Event::CeremonyBegun { number, .. } => {
                    ceremonies.push(Ceremony::default());
                    assert_eq!(*number, u64::try_from(ceremonies.len()).expect("few"), "each begins once");
                }
                Event::CeremonyStep { number, step, text } => {
                    let ceremony = ceremony(&mut ceremonies, *number);
                    ceremony.lines.push(text.to_string());
                    assert_eq!(*step, u64::try_from(ceremony.lines.len()).expect("few"), "each step is done once");
                }
                Event::CeremonyEnded { number, .. } => {
                    let steps = reader.ceremony_steps(*number, usize::MAX).expect("its steps");
                    let ceremony = ceremony(&mut ceremonies, *number);
                    ceremony.keys = steps.iter().map(|step| step.keys.len()).sum();
                    let ended = ceremony.ended.replace(record);
                    assert!(ended.is_none(), "each ends once");
                }
                _ => {}
            }
        }
        unreachable!("a log ends")
    }
}

/// What records say of a ceremony.
#[derive(Default)]
struct Ceremony {
    lines: Vec<String>,
    /// How many were made in it.
    keys: usize,
    ended: Option<Durable>,
}

fn ceremony(ceremonies: &mut [Ceremony], number: u64) -> &mut Ceremony {
    &mut ceremonies[usize::try_from(number).expect("few") - 1]
}

fn create(first: &str, count: u32, residence: &str) -> String {
    format!(
        "[create-psds]\nresidence = \"{residence}\"\n[[create-psds.psds]]\nfirst = \"{first}\"\ncount = {count}\n\
         tenant = \"acme\"\nlicence = \"L-1000\"\nlicensing_zip = \"94301\"\nformat = \"ibi\"\nsoftware_id = \"psdd01\"\n\
         token = \"main\"\n[create-psds.psds.limits]\nsmallest_postage = \"0.01\"\nlargest_postage = \"100\"\n\
         largest_descending = \"1000\"\n"
    )
}

fn of_key(act: &str, of: PsdId, generation: u8, more: &str) -> String {
    format!("[{act}]\npsd = \"{of}\"\nrole = \"indicium\"\ngeneration = {generation}\n{more}{ACTIVE}")
}

fn operators(appliance: &Appliance, names: &[&str]) -> String {
    let genesis = std::fs::read_to_string(appliance.layout.operators().join("genesis.toml")).expect("the genesis file");
    let list = names.iter().map(|name| {
        let of_name = genesis.split("[[operators]]").find(|part| part.contains(&format!("name = \"{name}\"")));
        let public = of_name.and_then(|part| part.split("'''").nth(1)).expect("a public key");
        format!("[[operators.list]]\nname = \"{name}\"\npublic_key = '''{public}'''\n")
    });
    format!("[operators]\nquorum = 2\n{}", list.collect::<String>())
}

#[test]
fn every_kind_of_ceremony_goes_on_after_sigkill_in_every_step() {
    let begun = Instant::now();
    let mut killed = Killed::raise(4);
    let [anna, ben, cleo] = OPERATORS;
    let wrapped: PsdId = "PS010000601".parse().expect("a device ID");
    killed.hold(&create("PS010000501", 33, "resident"), &QUORUM);
    killed.hold(&create("PS010000601", 33, "wrapped"), &QUORUM);
    killed.token("");
    killed.certify();
    killed.rotate(psd(1), 1);
    killed.rotate(wrapped, 1);
    for of in [psd(1), wrapped] {
        killed.hold(&of_key("retire-key", of, 1, ""), &QUORUM);
        killed.hold(&of_key("destroy-key", of, 1, ""), &QUORUM);
    }
    killed.hold(&of_key("revoke-key", psd(2), 1, "reason = \"keyCompromise\"\n"), &QUORUM);
    killed.hold(&format!("[revoke-psd]\npsd = \"{}\"\nreason = \"keyCompromise\"\n{ACTIVE}", psd(3)), &QUORUM);
    killed.hold(&format!("[lock]\npsd = \"{}\"\n{ACTIVE}", psd(4)), &QUORUM);
    let locked = "expected = { state = \"active\", locks = [\"operator\"] }\n";
    killed.hold(&format!("[unlock]\npsd = \"{}\"\n{locked}", psd(4)), &QUORUM);
    killed.hold(&create("PS010000701", 1, "resident"), &QUORUM);
    let new = "expected = { state = \"initialised\", locks = [] }\n";
    killed.hold(&format!("[scrap]\npsd = \"PS010000701\"\n{new}"), &QUORUM);
    let copy = killed.appliance.around().join("copy");
    killed.hold(&format!("[back-up]\ndirectory = {copy:?}\n"), &QUORUM);
    let act = "[revoke-client]\ntenant = \"acme\"\nclient = \"second\"\nreason = \"keyCompromise\"\n";
    killed.hold(act, &QUORUM);
    killed.hold("[revoke-account]\ntenant = \"rival\"\nreason = \"privilegeWithdrawn\"\n", &QUORUM);
    // One that has begun is given up, by one that is killed as well.
    let given_up = killed.begin(&rotate(psd(1), 2), &QUORUM);
    killed.reached(given_up.number, |told| told.state == CeremonyState::Interrupted);
    killed.hold(&format!("[abandon]\nnumber = {}\n", given_up.number), &QUORUM);
    assert_eq!(killed.told(given_up.number).state, CeremonyState::Abandoned);
    // Who approved is no operator any more when the transcript is made.
    let list = operators(&killed.appliance, &[ben, cleo]);
    let by_others = killed.hold(&list, &QUORUM);
    let list = operators(&killed.appliance, &OPERATORS);
    killed.hold(&list, &[ben, cleo]);
    let revoked = killed.hold("[revoke-operator]\nname = \"anna\"\nreason = \"superseded\"\n", &[anna, cleo]);
    killed.token("");

    let wire = Caller::new(&killed.appliance.layout);
    let signed = run(async {
        let wire = wire.connect().await;
        let mut signed = Vec::new();
        for of in [psd(1), psd(2), psd(3), psd(4), wrapped] {
            signed.extend(outcomes(&wire.sign(of, &[item("0.01")]).await).into_iter().map(str::to_owned));
        }
        signed
    });
    assert_eq!(signed, ["signed", "no-certified-key", "no-certified-key", "signed", "insufficient-funds"]);
    let log_spki = log_spki(&killed.appliance);
    for (ceremony, number) in killed.records().iter().zip(1u64..) {
        let Event::CeremonyEnded { end, transcript, .. } = &ceremony.ended.as_ref().expect("it ended").record().event
        else {
            panic!("no end")
        };
        if number == given_up.number {
            assert_eq!((*end, ceremony.lines.len()), (CeremonyEnd::Abandoned, 1));
            continue;
        }
        let transcript = transcript.as_ref().expect("a transcript");
        let claims = TranscriptClaims::verify(transcript, &log_spki).expect("it verifies");
        assert_eq!((claims.number, &claims.lines), (number, &ceremony.lines), "it tells of every step");
        assert_eq!(claims.keys.len(), ceremony.keys.min(MOST_LINES), "and key of {:?}", claims.lines);
        let who = match number {
            number if number == by_others + 1 => [ben, cleo],
            number if number == revoked => [anna, cleo],
            _ => QUORUM,
        };
        assert_eq!(claims.approvers, who, "{:?}", claims.lines);
        assert!(claims.begun > 0 && claims.begun <= claims.ended);
    }
    killed.appliance.kill9();
    killed.appliance.check(None).assert_clean("after every kind of ceremony was killed in every step");
    println!("{} kills in {:?}", killed.kills, begun.elapsed());
}

#[test]
fn a_ceremony_goes_on_after_every_kill_and_its_psds_sign_without_a_restart() {
    const PSDS: u32 = 70;
    let mut appliance = raise(Wanted::default());
    let act = format!(
        "[create-psds]\n[[create-psds.psds]]\nfirst = \"PS010000501\"\ncount = {PSDS}\ntenant = \"acme\"\nlicence = \"L-1000\"\n\
         licensing_zip = \"94301\"\nformat = \"ibi\"\nsoftware_id = \"psdd01\"\ntoken = \"main\"\n[create-psds.psds.limits]\n\
         smallest_postage = \"0.01\"\nlargest_postage = \"100\"\nlargest_descending = \"1000\"\n"
    );
    let text = run(async { file(&door(&appliance), &act).await });
    let approvals = dev::approve(&appliance.layout, text.as_bytes(), &QUORUM).expect("approvals");
    let mut kills = 0;
    let mut steps = Vec::new();
    let done = |told: &psdd_wire::operator::CeremonyResponse| told.state == CeremonyState::Done;
    loop {
        let told = run(async {
            let operators = door(&appliance);
            operators.run(text.as_bytes(), &approvals).await.expect("it begins or goes on");
            let at = steps.len();
            let begun = Instant::now();
            loop {
                let told = operators.ceremony(1).await.expect("the ceremony");
                // Killed somewhere in the step after another one was done.
                if done(&told) || told.steps_done > u64::try_from(at).expect("few") || begun.elapsed() > PATIENCE {
                    return told;
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        });
        if done(&told) {
            break;
        }
        steps.push(told.steps_done);
        appliance.kill9();
        kills += 1;
        assert!(kills < 20, "{steps:?}");
        appliance.start().expect("psdd");
    }
    assert!(kills >= 2, "{steps:?}");
    run(async {
        let operators = door(&appliance);
        let told = operators.appliance().await.expect("the appliance");
        assert_eq!((told.psds, told.last_ceremony), (u64::from(PSDS) + 1, 1));
        // Whoever carried it out to its end, the transcript names who approved and when it began.
        let transcript = operators.ceremony(1).await.expect("the ceremony").transcript.expect("a transcript");
        let claims = TranscriptClaims::verify(&transcript, &log_spki(&appliance)).expect("it verifies");
        assert!(claims.approvers == QUORUM && claims.begun > 0 && claims.begun <= claims.ended, "{claims:?}");
        let new: PsdId = "PS010000501".parse().expect("a device ID");
        let installed = certify(&appliance, &operators).await;
        assert_eq!(installed.len(), usize::try_from(PSDS * 2).expect("few"));
        assert!(installed.iter().all(|result| matches!(result, InstallResult::Installed(_))));
        let wire = Caller::new(&appliance.layout).connect().await;
        assert_eq!(outcomes(&wire.sign(new, &[item("0.01")]).await), ["insufficient-funds"], "it is active, and empty");
    });
    appliance.stop();
    appliance.check(None).assert_clean("after a ceremony that was killed again and again");
}
