//! The authority's own policy: it binds from the very next item on, in its turn among instructions, and nothing that is refused changes anything.

use super::shell::{Setup, Shell, key, piece};
use crate::core::{Event, PolicyGeneration, RequestId, Sight, ValueReply};
use psd::UnixMillis;
use psd::authority::{Act, Period};
use psd::policy::{AuthorityPolicy, PolicyText};
use psd::record::{AuthorityPurpose, Event as RecordEvent};
use std::sync::Arc;

const POLICY: AuthorityPurpose = AuthorityPurpose::Policy;
const FORBID: &str = r#"@id("stop") forbid (principal, action == Action::"sign_indicium", resource);"#;

fn text(text: &str) -> PolicyText {
    PolicyText::new(text).unwrap()
}

impl Shell {
    fn instruct_policy(&mut self, number: u64, version: u64, of: &str) -> RequestId {
        self.instruct(POLICY, number, Act::Policy { version, text: text(of) })
    }

    /// `taken`, or the code of the refusal and what it says.
    #[track_caller]
    fn answered(&self, request: RequestId) -> (&'static str, String) {
        match &self.value_replies[&request] {
            ValueReply::Instructed(_) => ("taken", String::new()),
            ValueReply::InstructionRefused(refusal) => (refusal.code(), refusal.to_string()),
            other => panic!("{other:?}"),
        }
    }

    fn seen_policy(&mut self) -> Arc<AuthorityPolicy> {
        let request = self.request_id();
        self.event(Event::View(request, Sight::Appliance));
        Arc::clone(&self.views[&request].policy)
    }

    /// Versions that the shell was told of.
    fn told(&self) -> Vec<u64> {
        self.policies.iter().map(|(version, _)| *version).collect()
    }
}

#[test]
fn a_policy_binds_the_very_next_item_of_a_batch_under_way() {
    let mut shell = Shell::new(Setup { chunk_items: 2, in_flight_items: 2, ..Setup::default() });
    let request = shell.submit(0, &[(1, 700), (2, 700), (3, 700), (4, 700)]);
    assert_eq!(shell.signing().len(), 1, "two are prepared, two wait");
    let taken = shell.instruct_policy(1, 1, FORBID);
    assert_eq!(shell.told(), [1], "before anything is judged again");
    assert_eq!(*shell.seen_policy(), AuthorityPolicy::default(), "committed state only");
    shell.settle();
    assert_eq!(shell.answered(taken).0, "taken");
    assert_eq!(shell.words(request), ["signed", "signed", "stale", "stale"], "the rest is to be authorised again");
    assert_eq!(shell.seen_policy().version, 1);
    let before = shell.submit(0, &[(5, 700)]);
    shell.policy = PolicyGeneration { files: 1, instructed: 1, desk: 0 };
    let under_it = shell.submit(0, &[(6, 700)]);
    shell.settle();
    assert_eq!((shell.words(before), shell.words(under_it)), (vec!["stale"], vec!["signed"]));
    shell.assert_idle();
}

#[test]
fn files_and_instruction_count_for_themselves() {
    let mut shell = Shell::new(Setup::default());
    shell.instruct_policy(1, 1, FORBID);
    shell.event(Event::PolicyFiles(2));
    let generations = [(1, 0), (2, 0), (1, 1), (2, 1)];
    for (at, (files, instructed)) in generations.into_iter().enumerate() {
        shell.policy = PolicyGeneration { files, instructed, desk: 0 };
        let request = shell.submit(0, &[(u64::try_from(at).unwrap() + 1, 700)]);
        shell.settle();
        assert_eq!(shell.words(request), [if at == 3 { "signed" } else { "stale" }], "{files} {instructed}");
    }
    shell.assert_idle();
}

#[test]
fn what_is_refused_changes_nothing_and_uses_no_number_up() {
    let mut shell = Shell::new(Setup::default());
    let rows: [(u64, &str, &str, &str); 7] = [
        (1, "not Cedar", "policy-invalid", "instruction:1:5: unexpected token"),
        (1, "forbid (principal, action, resource);", "policy-invalid", "instruction:1:1: the policy has no @id"),
        (1, r#"@id("p") permit (principal, action, resource);"#, "policy-invalid", "p permits; the authority may only"),
        (
            1,
            r#"@id("t") forbid (principal == ?principal, action, resource);"#,
            "policy-invalid",
            "templates are not read",
        ),
        (1, r#"@id("u") forbid (principal is Tenant, action, resource);"#, "policy-invalid", "instruction:1:1: u: "),
        (0, FORBID, "policy-version", "version 0 of the authority's policy does not follow version 0"),
        (2, FORBID, "policy-version", "version 2 of the authority's policy does not follow version 0, the newest here"),
    ];
    for (version, of, code, words) in rows {
        let request = shell.instruct_policy(1, version, of);
        let (found, said) = shell.answered(request);
        assert!(found == code && said.contains(words), "{of}: {found}: {said}");
    }
    let by_another = shell.instruct(AuthorityPurpose::Inspection, 1, Act::Policy { version: 1, text: text(FORBID) });
    assert_eq!(shell.answered(by_another).0, "instruction-wrong-signer");
    assert!(shell.writes.is_empty() && shell.told().is_empty());
    let request = shell.submit(0, &[(1, 700)]);
    shell.settle();
    assert_eq!(shell.words(request), ["signed"], "what was authorised before stands");
    let taken = shell.instruct_policy(1, 1, FORBID);
    shell.settle();
    assert_eq!(shell.answered(taken).0, "taken");
    let again = shell.instruct_policy(2, 1, FORBID);
    assert_eq!(shell.answered(again).0, "policy-version", "the same version twice");
    shell.assert_idle();
}

#[test]
fn policies_take_their_turn_among_instructions() {
    let mut shell = Shell::new(Setup::default());
    let ceiling = Act::Ceiling { licence: "L-1".parse().unwrap(), period: Period::Day, amount: None };
    let first = shell.instruct(POLICY, 1, ceiling);
    let (second, third) = (shell.instruct_policy(2, 1, FORBID), shell.instruct_policy(3, 2, ""));
    let skips = shell.instruct_policy(4, 4, FORBID);
    assert!(shell.told().is_empty(), "the ceiling is first");
    shell.settle();
    let words = [first, second, third, skips].map(|request| shell.answered(request).0);
    assert_eq!(words, ["taken", "taken", "taken", "policy-version"], "each is held against the one before it");
    assert_eq!(shell.told(), [1, 2]);
    assert_eq!(*shell.seen_policy(), AuthorityPolicy { version: 2, text: text("") }, "lifted");
    shell.assert_idle();
}

#[test]
fn instruction_and_policy_stand_side_by_side_and_survive_a_crash() {
    let mut shell = Shell::new(Setup::default());
    shell.instruct_policy(1, 1, FORBID);
    let written = shell.write(usize::MAX);
    let kinds: Vec<u64> = written.iter().map(|durable| durable.record().event.kind()).collect();
    assert_eq!(kinds, [17, 28]);
    assert_eq!(written[0].record().at, written[1].record().at);
    let RecordEvent::AuthorityPolicySet { version: 1, text: of } = &written[1].record().event else { panic!() };
    assert_eq!(of.as_str(), FORBID);
    // The core was not told before it ended.
    let (mut shell, appliance) = shell.crash();
    assert_eq!(*appliance.authority.policy(), AuthorityPolicy { version: 1, text: text(FORBID) });
    assert_eq!(
        shell.policy,
        PolicyGeneration { files: 1, instructed: 1, desk: 0 },
        "in force before anything is asked"
    );
    assert_eq!(shell.seen_policy().version, 1);
    shell.instruct_policy(2, 2, "");
    shell.writes.clear();
    let (mut shell, _) = shell.crash();
    assert_eq!(shell.seen_policy().version, 1, "what was never written never was");
    let lifted = shell.instruct_policy(2, 2, "");
    shell.settle();
    assert_eq!((shell.answered(lifted).0, shell.seen_policy().version), ("taken", 2));
    shell.assert_idle();
}

#[test]
fn a_policy_that_waited_too_long_is_not_taken() {
    let mut shell = Shell::new(Setup::default());
    let ceiling = Act::Ceiling { licence: "L-1".parse().unwrap(), period: Period::Day, amount: None };
    shell.instruct(POLICY, 1, ceiling);
    let late = shell.instruct_policy(2, 1, FORBID);
    // What is written meanwhile carries a later time.
    shell.tick(86_400_001);
    let now = UnixMillis(super::shell::START + shell.now_ms);
    let mut one = piece(0, key(shell.now_ms + 1), 700);
    if let psd::indicium::Details::Postal(postal) = &mut one.details {
        postal.date = psd::MailingDate::of(now).unwrap();
    }
    let request = shell.submit_pieces(0, vec![one], false);
    shell.look_up_all();
    shell.sign(shell.signing()[0]);
    shell.settle();
    assert_eq!(shell.words(request), ["signed"]);
    assert_eq!(shell.answered(late).0, "instruction-expired");
    assert!(shell.told().is_empty());
    shell.assert_idle();
}
