//! The module in front of a real SoftHSM, each scenario in a process of its own.
//!
//! A scenario runs in a child (this test binary again, with `SCENARIO` set), since it may die of its faults and since the
//! module reads its environment once.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;

const REAL: &str = "/usr/lib/softhsm/libsofthsm2.so";
const SCENARIO: &str = "FAULTY_TEST_SCENARIO";
const DIGEST: [u8; 32] = [7; 32];

// DER of the object identifier of P-256.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

fn module() -> PathBuf {
    faulty_pkcs11::built_module().expect("cargo builds the module before its tests")
}

fn run(scenario: &str, script: &str) -> (ExitStatus, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(dir.path().join("tokens")).expect("the token directory");
    let conf = dir.path().join("softhsm2.conf");
    let tokens = dir.path().join("tokens");
    std::fs::write(
        &conf,
        format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display()),
    )
    .expect("the configuration");
    let script_path = dir.path().join("script");
    std::fs::write(&script_path, script).expect("the script");
    let child = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "child", "--nocapture"])
        .env(SCENARIO, scenario)
        .env("SOFTHSM2_CONF", conf)
        .env("FAULTY_PKCS11_REAL", REAL)
        .env("FAULTY_PKCS11_SCRIPT", script_path)
        .output()
        .expect("the test binary runs");
    let stderr = String::from_utf8_lossy(&child.stderr).into_owned();
    (child.status, stderr)
}

fn passes(scenario: &str) {
    let (status, stderr) = run(scenario, "");
    assert!(status.success(), "{scenario}: {status}\n{stderr}");
}

#[test]
fn latency_delays_and_parallel_sessions_do_not_wait_for_each_other() {
    passes("latency");
}

#[test]
fn return_does_not_call_and_after_return_does() {
    passes("return");
}

#[test]
fn garbled_signature_does_not_verify() {
    passes("garble");
}

#[test]
fn overlong_length_exceeds_the_buffer() {
    passes("overlong");
}

#[test]
fn hang_lasts_until_its_rule_is_gone() {
    passes("hang");
}

#[test]
fn a_changed_script_is_seen_and_an_empty_one_ends_the_faults() {
    passes("change");
}

#[test]
fn crash_segv_and_exit_end_the_process_each_in_its_way() {
    let (status, stderr) = run("die", "C_Sign crash");
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{stderr}");
    let (status, stderr) = run("die", "C_Sign segv");
    assert_eq!(status.signal(), Some(libc::SIGSEGV), "{stderr}");
    let (status, stderr) = run("die", "C_Sign exit");
    assert_eq!(status.code(), Some(1), "{stderr}");
}

#[test]
fn a_malformed_script_aborts_with_its_line() {
    let (status, stderr) = run("die", "# fine\nC_Sign vanish\n");
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{stderr}");
    assert!(stderr.contains("script: line 2: no action vanish"), "{stderr}");
}

/// Not a test of its own: what the children run.
#[test]
fn child() {
    let Ok(scenario) = std::env::var(SCENARIO) else {
        return;
    };
    let token = Token::create();
    match scenario.as_str() {
        "latency" => token.latency(),
        "return" => token.return_codes(),
        "garble" => token.garble(),
        "overlong" => token.overlong(),
        "hang" => token.hang(),
        "change" => token.change(),
        "die" => {
            let outcome = token.signer().sign();
            panic!("survived: {outcome:?}");
        }
        other => panic!("no scenario {other}"),
    }
}

fn script(text: &str) {
    let path = PathBuf::from(std::env::var_os("FAULTY_PKCS11_SCRIPT").expect("the parent set it"));
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).expect("the new script");
    std::fs::rename(&fresh, &path).expect("the script is replaced");
}

/// Puts a script in force and waits out the time the module may take to see it.
fn script_in_force(text: &str) {
    script(text);
    std::thread::sleep(Duration::from_millis(20));
}

struct Token {
    module: Pkcs11,
    slot: Slot,
    // A token stays logged in only while a session of the application is open.
    _login: Session,
}

struct Signer {
    session: Session,
    private: ObjectHandle,
    public: ObjectHandle,
}

impl Token {
    fn create() -> Self {
        assert!(Path::new(REAL).is_file(), "softhsm2 is not installed");
        let module = Pkcs11::new(module()).expect("the module loads");
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).expect("C_Initialize");
        let free = module.get_all_slots().expect("slots")[0];
        let (so, user) = (AuthPin::new("12345678".into()), AuthPin::new("1234".into()));
        module.init_token(free, &so, "faulty").expect("C_InitToken");
        let slot = module.get_slots_with_initialized_token().expect("slots")[0];
        let session = module.open_rw_session(slot).expect("a session");
        session.login(UserType::So, Some(&so)).expect("SO login");
        session.init_pin(&user).expect("C_InitPIN");
        session.logout().expect("logout");
        session.login(UserType::User, Some(&user)).expect("user login");
        Self { module, slot, _login: session }
    }

    fn signer(&self) -> Signer {
        let session = self.module.open_rw_session(self.slot).expect("a session");
        let (public, private) = session
            .generate_key_pair(
                &Mechanism::EccKeyPairGen,
                &[Attribute::EcParams(P256.to_vec()), Attribute::Verify(true)],
                &[Attribute::Sign(true)],
            )
            .expect("C_GenerateKeyPair");
        Signer { session, private, public }
    }

    fn latency(&self) {
        const THREADS: u32 = 32;
        const EACH: u32 = 20;
        const LATENCY: Duration = Duration::from_millis(5);
        let signers: Vec<Signer> = (0..THREADS).map(|_| self.signer()).collect();
        script_in_force("C_Sign latency 5000");
        let start = Instant::now();
        signers[0].sign().expect("signs");
        let one = start.elapsed();
        assert!(one >= LATENCY, "{one:?}");
        let start = Instant::now();
        std::thread::scope(|scope| {
            for signer in signers {
                scope.spawn(move || {
                    for _ in 0..EACH {
                        signer.sign().expect("signs");
                    }
                });
            }
        });
        let all = start.elapsed();
        eprintln!("{THREADS} sessions, {EACH} signatures each at {LATENCY:?}: {all:?}");
        assert!(all >= LATENCY * EACH, "{all:?}");
        assert!(all < LATENCY * EACH * THREADS / 4, "the sessions waited for each other: {all:?}");
    }

    fn return_codes(&self) {
        let signer = self.signer();
        script_in_force("C_Sign return CKR_DEVICE_REMOVED after=1 times=1");
        signer.sign().expect("after=1 lets the first pass");
        assert_eq!(code(signer.sign()), RvError::DeviceRemoved);
        // The real module never saw that C_Sign, so its operation is still open.
        assert_eq!(code(signer.sign()), RvError::OperationActive);

        let signer = self.signer();
        script_in_force("C_Sign after-return 0x30 times=1");
        assert_eq!(code(signer.sign()), RvError::DeviceError);
        // The real module did sign, so the operation is over and the next one can begin.
        signer.sign().expect("times=1 is used up");
    }

    fn garble(&self) {
        let signer = self.signer();
        signer.verify(&signer.sign().expect("signs")).expect("verifies");
        script_in_force("C_Sign garble");
        let garbled = signer.sign().expect("signs");
        assert_eq!(code(signer.verify(&garbled)), RvError::SignatureInvalid);
    }

    fn overlong(&self) {
        // cryptoki cannot show the length it was told, so this one goes through the function list itself.
        use cryptoki_sys::{CK_MECHANISM, CKM_ECDSA, CKR_OK};
        let signer = self.signer();
        script_in_force("C_Sign overlong");
        // SAFETY: the module is loaded, and stays so as long as the process.
        let raw = unsafe { cryptoki_sys::Pkcs11::new(module()) }.expect("loads again");
        let mut list = std::ptr::null_mut();
        // SAFETY: list is a valid out-pointer.
        assert_eq!(unsafe { raw.C_GetFunctionList(&raw mut list) }, CKR_OK);
        // SAFETY: the call before returned CKR_OK, so the list is valid.
        let list = unsafe { *list };
        let mut mechanism = CK_MECHANISM { mechanism: CKM_ECDSA, ..Default::default() };
        let (mut data, mut room, mut len) = (DIGEST, [0_u8; 64], 64);
        let init = list.C_SignInit.expect("SoftHSM has it");
        let sign = list.C_Sign.expect("SoftHSM has it");
        // SAFETY: the handles are of this session, and every pointer is to a live local.
        let (init, sign) = unsafe {
            (
                init(signer.session.handle(), &raw mut mechanism, signer.private.handle()),
                sign(signer.session.handle(), data.as_mut_ptr(), 32, room.as_mut_ptr(), &raw mut len),
            )
        };
        assert_eq!((init, sign, len), (CKR_OK, CKR_OK, 65));
    }

    fn hang(&self) {
        let signer = self.signer();
        script_in_force("C_Sign hang times=1\nC_Login return CKR_PIN_LOCKED");
        let (done, signed) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || done.send(signer.sign().is_ok()));
        assert!(signed.recv_timeout(Duration::from_millis(200)).is_err(), "it hangs");
        script_in_force("# another line changes\nC_Sign hang times=1");
        assert!(signed.recv_timeout(Duration::from_millis(200)).is_err(), "it still hangs");
        script("C_Login return CKR_PIN_LOCKED");
        assert_eq!(signed.recv_timeout(Duration::from_secs(20)), Ok(true), "released, it signs");
    }

    fn change(&self) {
        let signer = self.signer();
        signer.sign().expect("no rule yet");
        script_in_force("C_SignInit return CKR_KEY_HANDLE_INVALID");
        assert_eq!(code(signer.sign()), RvError::KeyHandleInvalid);
        script_in_force("* return CKR_FUNCTION_FAILED");
        assert_eq!(code(signer.sign()), RvError::FunctionFailed);
        let path = std::env::var_os("FAULTY_PKCS11_SCRIPT").expect("the parent set it");
        // In place, so that a file emptied by truncation is seen as well.
        std::fs::write(path, "").expect("the script is emptied");
        std::thread::sleep(Duration::from_millis(50));
        signer.sign().expect("no rule any more");
    }
}

impl Signer {
    fn sign(&self) -> Result<Vec<u8>, Error> {
        self.session.sign(&Mechanism::Ecdsa, self.private, &DIGEST)
    }

    fn verify(&self, signature: &[u8]) -> Result<(), Error> {
        self.session.verify(&Mechanism::Ecdsa, self.public, &DIGEST, signature)
    }
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> RvError {
    match outcome.expect_err("the call was to fail") {
        Error::Pkcs11(code, _) => code,
        other => panic!("not a PKCS#11 code: {other}"),
    }
}
