//! Signatures a second through the link, beside a plain C_Sign loop over the same key on the same machine, in turns.
//! Processor time is told as well, because it holds on a machine that does other work meanwhile.
//!
//! `RUST_LOG=error cargo test --release -p psdd-hsm --test hsm -- --ignored --exact --nocapture
//! throughput::link_against_raw`

use crate::foreign_keys::{MODULE, log_in};
use crate::rig::{Keeper, Rig, TestKey, TestLink, indicium};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use psdd_hsm::link::{LinkEvent, SignFrame};
use psdd_hsm::protocol::Form;
use psdd_hsm::role::{Algorithm, Role};
use std::time::{Duration, Instant};

const RUN: Duration = Duration::from_secs(3);
const THREADS: usize = 2;

/// User and system time of a process, in seconds, at the kernel's 100 ticks a second.
fn cpu_seconds(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("stat");
    let after_name = stat.rsplit_once(") ").expect("a name in brackets").1;
    let ticks = |field: usize| after_name.split(' ').nth(field).and_then(|n| n.parse::<u32>().ok()).expect("a number");
    f64::from(ticks(11) + ticks(12)) / 100.0
}

/// What a process has in memory and what of it is locked, in KiB.
fn memory_kib(process: &str) -> [u32; 2] {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("status");
    ["VmRSS:", "VmLck:"].map(|field| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    })
}

fn print(name: &str, signed: u64, elapsed: Duration, cpu: f64) {
    let signed = f64::from(u32::try_from(signed).expect("fits"));
    println!("= {name}: {:.0}/s, {:.1} us of CPU each", signed / elapsed.as_secs_f64(), cpu / signed * 1e6);
}

/// C_SignInit and one C_Sign, as C does it.
fn sign_once(functions: &cryptoki_sys::CK_FUNCTION_LIST, session: &Session, key: ObjectHandle, digest: &mut [u8; 32]) {
    let mut mechanism = cryptoki_sys::CK_MECHANISM {
        mechanism: cryptoki_sys::CKM_ECDSA,
        pParameter: std::ptr::null_mut(),
        ulParameterLen: 0,
    };
    let mut signature = [0_u8; 64];
    let mut length = 64;
    let sign_init = functions.C_SignInit.expect("C_SignInit");
    let sign = functions.C_Sign.expect("C_Sign");
    // SAFETY: all pointers are to live buffers of the lengths given.
    let rv = unsafe {
        let rv = sign_init(session.handle(), &mut mechanism, key.handle());
        assert_eq!(rv, cryptoki_sys::CKR_OK);
        sign(session.handle(), digest.as_mut_ptr(), 32, signature.as_mut_ptr(), &mut length)
    };
    assert_eq!((rv, length), (cryptoki_sys::CKR_OK, 64));
}

/// Not a test: the raw loop, two threads; with a session copy of the key, which is the fastest there is.
#[test]
#[ignore = "run by link_against_raw"]
fn raw() {
    if std::env::var_os("SOFTHSM2_CONF").is_none() {
        return;
    }
    let (pkcs11, session) = log_in();
    let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Token(true)];
    let token_key = session.find_objects(&template).expect("found")[0];
    let copy = session.copy_object(token_key, &[Attribute::Token(false)]).expect("copied");
    let slot = pkcs11.get_slots_with_initialized_token().expect("slots")[0];
    // SAFETY: the library is a PKCS#11 module that is initialised in this process already.
    let direct = unsafe { cryptoki_sys::Pkcs11::new(MODULE) }.expect("module");
    let mut list = std::ptr::null_mut();
    // SAFETY: C_GetFunctionList writes a pointer to a static list.
    assert_eq!(unsafe { direct.C_GetFunctionList(&mut list) }, cryptoki_sys::CKR_OK);
    // SAFETY: the list lives as long as the module, which is never unloaded here.
    let functions = unsafe { &*list };
    let rows = [("raw, session copy", true, copy), ("raw through cryptoki, session copy", false, copy)];
    for (name, once, key) in rows {
        let (started, cpu) = (Instant::now(), cpu_seconds("self"));
        let work = |session: Session| {
            let mut digest = [7; 32];
            let mut signed = 0_u64;
            while started.elapsed() < RUN {
                digest[..8].copy_from_slice(&signed.to_le_bytes());
                if once {
                    sign_once(functions, &session, key, &mut digest);
                } else {
                    session.sign(&Mechanism::Ecdsa, key, &digest).expect("signed");
                }
                signed += 1;
            }
            signed
        };
        let signed = std::thread::scope(|scope| {
            let sessions = (0..THREADS).map(|_| pkcs11.open_ro_session(slot).expect("session"));
            let threads: Vec<_> = sessions.map(|session| scope.spawn(|| work(session))).collect();
            threads.into_iter().map(|thread| thread.join().expect("joined")).sum()
        });
        print(name, signed, started.elapsed(), cpu_seconds("self") - cpu);
    }
}

#[test]
#[ignore = "a measurement of a minute"]
fn link_against_raw() {
    let rig = Rig::new();
    rig.configure(Some(&rig.serial), "sessions = 2\nsession_copy = true");
    let mut keeper = rig.keeper();
    let link = rig.link();
    link.up();
    let key = link.generate(Role::Indicium, Algorithm::EcdsaP256, "psd");
    for _ in 0..3 {
        in_flight(&keeper, &link, &key, 256, 4);
        let raw = rig.helper("throughput::raw");
        for line in String::from_utf8_lossy(&raw.stdout).lines() {
            if let Some((_, figures)) = line.split_once("= ") {
                println!("= {figures}");
            }
        }
    }
    in_flight(&keeper, &link, &key, 1, 64);
    alone(&link, &key);
    assert!(keeper.stop().success());
}

/// Keeps so many frames of so many messages outstanding.
fn in_flight(keeper: &Keeper, link: &TestLink, key: &TestKey, messages: u64, outstanding: usize) {
    let name = format!("link, frames of {messages}, {outstanding} outstanding");
    in_turn(keeper, link, std::slice::from_ref(key), (messages, outstanding), &name);
}

/// The same with frames of these keys in turn.
fn in_turn(keeper: &Keeper, link: &TestLink, keys: &[TestKey], (messages, outstanding): (u64, usize), name: &str) {
    let worker = keeper.worker().expect("a worker").to_string();
    let cpu_of_both = || cpu_seconds("self") + cpu_seconds(&worker);
    let indicia: Vec<Vec<u8>> = (1..=messages).map(indicium).collect();
    let frames: Vec<SignFrame> = keys.iter().map(|key| key.frame(Form::Indicium, 0, &indicia)).collect();
    let mut frames = frames.iter().cycle();
    let mut send = || link.link.sign(frames.next().expect("a key")).expect("taken");
    let (started, cpu) = (Instant::now(), cpu_of_both());
    let mut signed = 0;
    for _ in 0..outstanding {
        send();
    }
    while started.elapsed() < RUN {
        assert!(matches!(link.next(), LinkEvent::Signed { .. }));
        signed += messages;
        send();
    }
    print(name, signed, started.elapsed(), cpu_of_both() - cpu);
    for _ in 0..outstanding {
        assert!(matches!(link.next(), LinkEvent::Signed { .. }));
    }
}

/// `RUST_LOG=error cargo test -p psdd-hsm --test hsm -- --ignored --exact --nocapture throughput::wrapped_keys`
#[test]
#[ignore = "a measurement of a minute"]
fn wrapped_keys() {
    const KEYS: u64 = 2000;
    for cached_keys in [40_000, 500] {
        let rig = Rig::new();
        rig.configure(Some(&rig.serial), "sessions = 2\nsession_copy = true");
        if cached_keys != 40_000 {
            rig.change_profile(|profile| profile.replace("= 40000", &format!("= {cached_keys}")));
        }
        let mut keeper = rig.keeper();
        let link = rig.link();
        link.up();
        println!("= room for {cached_keys} unwrapped keys:");
        let timed = |name: &str, count: u64, work: &mut dyn FnMut(u64)| {
            let worker = keeper.worker().expect("a worker").to_string();
            let (started, cpu) = (Instant::now(), cpu_seconds(&worker));
            (0..count).for_each(work);
            print(name, count, started.elapsed(), cpu_seconds(&worker) - cpu);
        };
        let mut keys = Vec::new();
        timed("generated wrapped, one at a time", KEYS, &mut |n| {
            keys.push(link.generate_wrapped(Role::Indicium, Algorithm::EcdsaP256, &n.to_string()));
        });
        timed("generated resident, one at a time", 200, &mut |n| {
            drop(link.generate(Role::Device, Algorithm::EcdsaP256, &n.to_string()));
        });
        let worker = keeper.worker().expect("a worker").to_string();
        let memory = memory_kib(&worker);
        let mut first = keys.iter();
        timed("first signature of a wrapped key, one at a time", KEYS, &mut |_| {
            let frame = first.next().expect("a key").frame(Form::Indicium, 0, &[indicium(7)]);
            assert!(link.sign(&frame).is_ok());
        });
        println!("= KiB of the worker in memory and locked: {memory:?}, and with them {:?}", memory_kib(&worker));
        for (messages, outstanding) in [(256, 4), (1, 64)] {
            for count in [1, keys.len()] {
                let name = format!("{count} wrapped keys in turn, frames of {messages}, {outstanding} outstanding");
                in_turn(&keeper, &link, &keys[..count], (messages, outstanding), &name);
            }
        }
        assert!(keeper.stop().success());
    }
}

/// One message at a time.
fn alone(link: &TestLink, key: &TestKey) {
    let frame = key.frame(Form::Indicium, 0, &[indicium(7)]);
    let mut micros: Vec<u128> = (0..5000)
        .map(|_| {
            let started = Instant::now();
            link.sign(&frame).expect("signed");
            started.elapsed().as_micros()
        })
        .collect();
    micros.sort_unstable();
    println!("= link, one message alone: p50 {} us, p99 {} us", micros[2500], micros[4950]);
}
