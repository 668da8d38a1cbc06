//! What the fuzz target `hsm_frames` does, in short: no bytes on the socket make either side panic.

use proptest::prelude::*;
use psdd_hsm::frame::{FrameBuffer, decode, encode};
use psdd_hsm::protocol::{FaultClass, Form, Heartbeat, HsmFault, Messages, Reply, Request, WorkerState};
use psdd_hsm::role::{Algorithm, Residence, Role};

fn read_all(mut stream: &[u8]) {
    let mut buffer = FrameBuffer::default();
    while buffer.fill(&mut stream).is_ok_and(|read| read > 0) {
        while let Ok(Some(frame)) = buffer.next_frame() {
            if let Ok(Request::Sign { messages, .. }) = decode::<Request>(frame) {
                let read: usize = messages.iter().map(<[u8]>::len).sum();
                assert!(!messages.is_sound() || read <= frame.len());
            }
            drop((decode::<Reply>(frame), decode::<Heartbeat>(frame)));
        }
    }
}

/// Frames of both sides, to be changed.
fn seeds() -> Vec<Vec<u8>> {
    let messages: Messages = [&b"one"[..], b"", b"three"].into_iter().collect();
    let (role, form, key_id) = (Role::Indicium, Form::Indicium, vec![1, 2]);
    let sign = Request::Sign { request: 7, incarnation: 9, key_id, role, form, floor: 3, messages };
    let (algorithm, label) = (Algorithm::EcdsaP256, "a label".to_owned());
    let generate = Request::Generate {
        request: 8,
        incarnation: 9,
        role,
        algorithm,
        key_id: vec![1],
        label,
        residence: Residence::Wrapped,
    };
    let (spki, wrapped) = (vec![3; 91], vec![4; 80]);
    let adopt = Request::Adopt { incarnation: 9, key_id: vec![1, 2], role, algorithm, spki, wrapped };
    let destroy = Request::Destroy { request: 9, incarnation: 9, key_id: vec![1, 2] };
    let (code, step) = ("CKR_DEVICE_ERROR".to_owned(), "C_Sign".to_owned());
    let fault = HsmFault { class: FaultClass::Session, code, step, retryable: true };
    let replies = [
        Reply::Signed { request: 7, incarnation: 9, signatures: vec![1; 128], each: 64 },
        Reply::Generated { request: 8, incarnation: 9, spki: vec![3; 91], wrapped: Some(vec![4; 80]) },
        Reply::Object { request: 7, incarnation: 9, bytes: None },
        Reply::Failed { request: 7, incarnation: 9, fault },
    ];
    let heartbeat = Heartbeat { state: WorkerState::Ready, oldest: None, reason: Some("why".to_owned()) };
    let requests = [Request::Hello { version: 1 }, sign, generate, adopt, destroy];
    let requests = requests.iter().map(|request| encode(request).unwrap());
    requests.chain(replies.iter().map(|reply| encode(reply).unwrap())).chain([encode(&heartbeat).unwrap()]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_make_nobody_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn changed_frames_make_nobody_panic(
        seed in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = seed.get(&seeds()).clone();
        for (at, byte) in changes {
            // The length stays as it was, or the change is only ever waited for.
            let at = 4 + at.index(bytes.len() - 4);
            bytes[at] = byte;
        }
        read_all(&bytes);
    }
}
