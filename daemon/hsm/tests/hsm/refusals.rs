//! What a worker never signs.

use crate::rig::{Rig, checkpoint, eventually, indicium, sig_structure};
use psdd_hsm::frame::{self, FrameBuffer};
use psdd_hsm::link::{LinkEvent, SendError};
use psdd_hsm::protocol::{FaultClass, Form, MAX_MESSAGES, Messages, Reply, Request, VERSION};
use psdd_hsm::role::{Algorithm, Role};
use std::io::Write;
use std::os::unix::net::UnixStream;

fn refused(code: &str) -> Result<Vec<u8>, String> {
    Err(code.to_owned())
}

#[test]
fn an_ascending_register_at_or_below_the_floor_is_never_signed() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let key = link.generate(Role::Indicium, Algorithm::EcdsaP256, "psd");
    let frame = |floor, registers: &[u64]| {
        let messages: Vec<Vec<u8>> = registers.iter().map(|register| indicium(*register)).collect();
        key.frame(Form::Indicium, floor, &messages)
    };
    assert!(link.sign(&frame(100, &[101, 102])).is_ok());
    assert_eq!(link.sign(&frame(100, &[100])), refused("ar-below-floor"));
    assert_eq!(link.sign(&frame(100, &[101, 102, 99])), refused("ar-below-floor"), "one bad piece refuses the frame");
    assert!(link.sign(&frame(200, &[201])).is_ok());
    assert_eq!(link.sign(&frame(0, &[150])), refused("ar-below-floor"), "the worker keeps the highest floor");

    drop(link);
    let link = rig.link();
    link.up();
    assert_eq!(link.sign(&frame(0, &[150])), refused("ar-below-floor"), "and over connections");
}

#[test]
fn a_message_of_another_role_s_form_is_never_signed() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let indicia = link.generate(Role::Indicium, Algorithm::EcdsaP256, "i");
    let device = link.generate(Role::Device, Algorithm::EcdsaP256, "d");
    let log = link.generate(Role::Log, Algorithm::Ed25519, "l");
    let rows = [
        (&indicia, Form::CoseSign1, sig_structure(b"x"), "role-mismatch"),
        (&indicia, Form::Indicium, sig_structure(b"x"), "form-mismatch"),
        (&device, Form::Indicium, indicium(5), "role-mismatch"),
        (&device, Form::CoseSign1, indicium(5), "form-mismatch"),
        (&log, Form::Indicium, indicium(5), "role-mismatch"),
        (&log, Form::Checkpoint, indicium(5), "form-mismatch"),
        (&device, Form::Checkpoint, checkpoint(), "role-mismatch"),
    ];
    for (key, form, message, code) in rows {
        assert_eq!(link.sign(&key.frame(form, 0, &[message])), refused(code), "{} {}", key.role, form.name());
    }
    let mut other_role = device.frame(Form::Indicium, 0, &[indicium(5)]);
    other_role.role = Role::Indicium;
    assert_eq!(link.sign(&other_role), refused("role-mismatch"), "the role is the key's, not the frame's");
    let mut unknown = device.frame(Form::CoseSign1, 0, &[sig_structure(b"x")]);
    unknown.key_id = [4, 0].into();
    assert_eq!(link.sign(&unknown), refused("unknown-key"));
    assert_eq!(link.sign(&device.frame(Form::CoseSign1, 0, &[])), refused("bad-frame"));
    let many = vec![sig_structure(b""); MAX_MESSAGES + 1];
    assert_eq!(link.sign(&device.frame(Form::CoseSign1, 0, &many)), refused("bad-frame"));
    let long = device.frame(Form::CoseSign1, 0, &[vec![0; frame::MAX_FRAME]]);
    assert_eq!(link.link.sign(&long), Err(SendError::TooLong));
}

/// A connection that speaks the protocol by hand.
struct ByHand {
    stream: UnixStream,
    buffer: FrameBuffer,
}

impl ByHand {
    fn connect(rig: &Rig) -> Self {
        eventually("the socket is bound", || rig.path("one.sock").exists());
        let stream = UnixStream::connect(rig.path("one.sock")).expect("connected");
        stream.set_read_timeout(Some(crate::rig::PATIENCE)).expect("set");
        Self { stream, buffer: FrameBuffer::default() }
    }

    fn send(&mut self, request: &Request) {
        self.stream.write_all(&frame::encode(request).expect("short")).expect("written");
    }

    /// The next reply; none when the worker closed the connection.
    fn receive(&mut self) -> Option<Reply> {
        loop {
            if let Some(bytes) = self.buffer.next_frame().expect("a frame") {
                return Some(frame::decode(bytes).expect("a reply"));
            }
            if self.buffer.fill(&mut self.stream).expect("read") == 0 {
                return None;
            }
        }
    }
}

#[test]
fn frames_of_another_incarnation_are_stale() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let mut by_hand = ByHand::connect(&rig);
    by_hand.send(&Request::Hello { version: VERSION });
    let Some(Reply::Welcome(welcome)) = by_hand.receive() else { panic!("no welcome") };
    let incarnation = welcome.incarnation ^ 1;
    by_hand.send(&Request::Sign {
        request: 7,
        incarnation,
        key_id: vec![1],
        role: Role::Indicium,
        form: Form::Indicium,
        floor: 0,
        messages: Messages::default(),
    });
    by_hand.send(&Request::ReadObject { request: 8, incarnation, label: "anchor".to_owned() });
    for expected in [7, 8] {
        let Some(Reply::Failed { request, fault, .. }) = by_hand.receive() else { panic!("not failed") };
        assert_eq!((request, fault.class, fault.retryable), (expected, FaultClass::Stale, true));
    }
}

#[test]
fn another_version_or_no_hello_gets_no_service_and_disturbs_nobody() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let link = rig.link();
    link.up();

    let mut newer = ByHand::connect(&rig);
    newer.send(&Request::Hello { version: VERSION + 1 });
    assert!(matches!(newer.receive(), Some(Reply::Unavailable { .. })));
    assert_eq!(newer.receive(), None);
    let mut rude = ByHand::connect(&rig);
    rude.send(&Request::Clock { request: 1, incarnation: 1 });
    assert!(matches!(rude.receive(), Some(Reply::Unavailable { .. })));
    let mut garbage = ByHand::connect(&rig);
    garbage.stream.write_all(&[0xff; 64]).expect("written");
    assert_eq!(garbage.receive(), None);

    assert_eq!(link.link.blocking().read_object("anchor", crate::rig::PATIENCE), Ok(None));
    assert!(link.events.is_empty(), "the link noticed nothing");
}

#[test]
fn a_newer_connection_takes_the_place_of_the_older() {
    let rig = Rig::new();
    let _keeper = rig.keeper();
    let older = rig.link();
    older.up();
    let newer = rig.link();
    newer.up();
    assert!(matches!(older.next(), LinkEvent::Down { .. }));
}

#[test]
fn a_token_of_another_serial_is_not_served() {
    let rig = Rig::new();
    rig.configure(Some("0123456789abcdef"), "");
    let _keeper = rig.keeper();
    let link = rig.link();
    let reason = loop {
        match link.next() {
            LinkEvent::Down { reason } if reason.contains("0123456789abcdef") => break reason,
            LinkEvent::Down { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(reason.starts_with("0 tokens have serial"), "{reason}");
    assert!(!rig.path("state/one.login-latch").exists(), "no login was tried");
}
