//! A row for each refusal of a quorum, with its code, and the order they are judged in.

use crate::rig::{MemoryKey, NOON, lock_file, operator};
use psd::{ApplianceId, UnixMillis};
use psdd_wire::ceremony::{Approval, ApprovalError, Ceremony, Operator, OperatorKey, Situation, Subject, quorum};
use psdd_wire::cose::Sign1;

struct Scene {
    keys: [MemoryKey; 4],
    operators: Vec<Operator>,
    appliance: ApplianceId,
    ceremony: Ceremony,
}

impl Scene {
    fn new() -> Self {
        let keys = [(); 4].map(|()| MemoryKey::new());
        let named = ["ada", "ben", "cem", "old"].into_iter().zip(&keys);
        let operators = named.map(|(name, key)| operator(name, key, name == "old")).collect();
        let ceremony = Ceremony::read(lock_file().as_bytes()).unwrap();
        Self { keys, operators, appliance: "post-1".parse().unwrap(), ceremony }
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            appliance: &self.appliance,
            genesis: [1; 32],
            last_number: 6,
            operators: &self.operators,
            quorum: 2,
            now: UnixMillis(NOON),
        }
    }

    fn approve(&self, name: &str, key: usize) -> Vec<u8> {
        let name = name.parse().unwrap();
        Approval::sign(Subject::Ceremony(&self.ceremony), &name, &self.keys[key]).unwrap()
    }

    fn judge(&self, approvals: &[Vec<u8>], situation: &Situation<'_>) -> &'static str {
        match quorum(&self.ceremony, approvals, situation) {
            Ok(quorum) => {
                assert_eq!(quorum.digest(), self.ceremony.digest());
                "quorum"
            }
            Err(refusal) => refusal.code(),
        }
    }
}

#[test]
fn a_row_for_each_refusal() {
    let scene = Scene::new();
    let here = scene.situation();
    let (ada, ben) = (scene.approve("ada", 0), scene.approve("ben", 1));
    let both = [ada.clone(), ben.clone()];
    let other = Ceremony::read(lock_file().replace("0000001", "0000002").as_bytes()).unwrap();
    let for_other = Approval::sign(Subject::Ceremony(&other), &"ben".parse().unwrap(), &scene.keys[1]).unwrap();
    let elsewhere: ApplianceId = "post-2".parse().unwrap();
    let mut bent = ben.clone();
    *bent.last_mut().unwrap() ^= 1;

    let by_file = [
        ("quorum", here),
        ("other-appliance", Situation { appliance: &elsewhere, ..here }),
        ("other-genesis", Situation { genesis: [2; 32], ..here }),
        ("wrong-ceremony-number", Situation { last_number: 7, ..here }),
        ("wrong-ceremony-number", Situation { last_number: 5, ..here }),
        ("window-not-begun", Situation { now: UnixMillis(NOON - 1), ..here }),
        ("window-expired", Situation { now: UnixMillis(NOON + 86_400_001), ..here }),
        ("quorum", Situation { now: UnixMillis(NOON + 86_400_000), ..here }),
    ];
    for (code, situation) in by_file {
        assert_eq!(scene.judge(&both, &situation), code);
    }
    let by_approval = [
        ("malformed-approval", vec![ada.clone(), ben[..ben.len() - 1].to_vec()]),
        ("malformed-approval", vec![ada.clone(), vec![]]),
        ("approval-of-other-file", vec![ada.clone(), for_other]),
        ("unknown-operator", vec![ada.clone(), scene.approve("eve", 1)]),
        ("revoked-operator", vec![ada.clone(), scene.approve("old", 3)]),
        ("bad-approval-signature", vec![ada.clone(), bent]),
        ("bad-approval-signature", vec![ada.clone(), scene.approve("ben", 0)]),
        ("same-operator-twice", vec![ada.clone(), scene.approve("ada", 0)]),
        ("below-quorum", vec![ada.clone()]),
        ("below-quorum", vec![]),
        ("quorum", vec![ada.clone(), ben.clone(), scene.approve("cem", 2)]),
    ];
    for (code, approvals) in by_approval {
        assert_eq!(scene.judge(&approvals, &here), code);
    }
    assert_eq!(scene.judge(&[], &Situation { quorum: 0, ..here }), "below-quorum", "nobody is no quorum");
}

#[test]
fn the_file_is_judged_before_the_approvals_and_their_number_last() {
    let scene = Scene::new();
    let here = scene.situation();
    let elsewhere: ApplianceId = "post-2".parse().unwrap();
    let all_wrong = Situation { appliance: &elsewhere, genesis: [2; 32], last_number: 9, now: UnixMillis(0), ..here };
    let mut situation = all_wrong;
    let mut codes = Vec::new();
    for mend in 0..5 {
        codes.push(scene.judge(&[vec![1]], &situation));
        match mend {
            0 => situation.appliance = here.appliance,
            1 => situation.genesis = here.genesis,
            2 => situation.last_number = here.last_number,
            _ => situation.now = here.now,
        }
    }
    let order = ["other-appliance", "other-genesis", "wrong-ceremony-number", "window-not-begun", "malformed-approval"];
    assert_eq!(codes, order);
}

#[test]
fn an_approval_carries_what_was_rendered() {
    let scene = Scene::new();
    let bytes = scene.approve("ada", 0);
    let approval = Approval::verify(&bytes, &scene.operators).unwrap();
    assert_eq!(approval.file, scene.ceremony.bytes());
    assert_eq!((approval.operator.as_str(), approval.digest), ("ada", scene.ceremony.digest()));
    // Another file under the digest of this one.
    let message = Sign1::parse(&bytes).unwrap();
    let text = scene.ceremony.bytes();
    let at = message.payload.windows(text.len()).position(|window| window == text).unwrap();
    let mut payload = message.payload.clone();
    payload[at] ^= 1;
    let forged = Sign1::unsigned(&message.content_type, None, payload);
    let signature = scene.keys[0].sign(&forged.to_be_signed()).unwrap();
    let error = Approval::verify(&forged.with_signature(&signature), &scene.operators).unwrap_err();
    assert!(matches!(error, ApprovalError::Contradiction(_)), "{error}");
}
