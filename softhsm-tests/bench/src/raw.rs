//! The fastest plain C_Sign loop: what every ratio is taken against (DESIGN.md §9).

use crate::cpu;
use anyhow::Context;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

/// Object identifier of P-256, DER.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// One arrangement, measured.
#[derive(Serialize, Deserialize, Clone, Copy, Debug)]
pub struct Raw {
    /// Signatures a second, all threads.
    pub per_second: f64,
    /// CPU microseconds a signature.
    pub cpu_us: f64,
    /// Mean time of one call, microseconds.
    pub mean_us: f64,
}

/// Measures in a child process with a token of its own.
pub fn measure(module: &str, threads: usize, copy: bool, span: Duration) -> anyhow::Result<Raw> {
    measure_with(module, threads, copy, span, &BTreeMap::new())
}

/// The same with variables for the module.
pub fn measure_with(
    module: &str,
    threads: usize,
    copy: bool,
    span: Duration,
    environment: &BTreeMap<String, String>,
) -> anyhow::Result<Raw> {
    let dir = tempfile::tempdir()?;
    let tokens = dir.path().join("tokens");
    std::fs::create_dir(&tokens)?;
    let config = dir.path().join("softhsm2.conf");
    std::fs::write(
        &config,
        format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display()),
    )?;
    let output = Command::new(std::env::current_exe()?)
        .args(["raw", module, &threads.to_string(), &copy.to_string(), &span.as_millis().to_string()])
        .env("SOFTHSM2_CONF", &config)
        .envs(environment)
        .output()?;
    anyhow::ensure!(output.status.success(), "raw loop: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The child: `raw MODULE THREADS COPY MILLISECONDS`.
pub fn child(arguments: &[String]) -> anyhow::Result<()> {
    let [module, threads, copy, millis] = arguments else { anyhow::bail!("raw MODULE THREADS COPY MILLISECONDS") };
    let (threads, copy, span) =
        (threads.parse::<usize>()?, copy.parse::<bool>()?, Duration::from_millis(millis.parse()?));
    let pkcs11 = Pkcs11::new(module)?;
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    let slot = *pkcs11.get_slots_with_token()?.first().context("no slot")?;
    pkcs11.init_token(slot, &AuthPin::new("bench-so".into()), "bench")?;
    let slot = *pkcs11.get_slots_with_initialized_token()?.first().context("no token")?;
    let pin = AuthPin::new("bench-user".into());
    let admin = pkcs11.open_rw_session(slot)?;
    admin.login(UserType::So, Some(&AuthPin::new("bench-so".into())))?;
    admin.init_pin(&pin)?;
    admin.logout()?;
    admin.login(UserType::User, Some(&pin))?;
    let public = [Attribute::Token(true), Attribute::EcParams(P256.to_vec()), Attribute::Verify(true)];
    let private =
        [Attribute::Token(true), Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Sign(true)];
    let (_, key) = admin.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)?;
    let key = if copy { admin.copy_object(key, &[Attribute::Token(false)])? } else { key };

    let cpu_before = cpu::seconds(std::process::id())?;
    let begun = Instant::now();
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let session = pkcs11.open_ro_session(slot);
            std::thread::spawn(move || -> anyhow::Result<u64> {
                let session = session?;
                let (mut digest, mut count) = ([7u8; 32], 0u64);
                while begun.elapsed() < span {
                    for _ in 0..16 {
                        digest[0] = digest[0].wrapping_add(1);
                        session.sign(&Mechanism::Ecdsa, key, &digest)?;
                        count += 1;
                    }
                }
                Ok(count)
            })
        })
        .collect();
    let mut total = 0;
    for worker in workers {
        total += worker.join().map_err(|_panic| anyhow::anyhow!("a raw thread panicked"))??;
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let total = u32::try_from(total).map(f64::from)?;
    let threads = u32::try_from(threads).map(f64::from)?;
    let raw = Raw {
        per_second: total / elapsed,
        cpu_us: (cpu::seconds(std::process::id())? - cpu_before) / total * 1e6,
        mean_us: elapsed * threads / total * 1e6,
    };
    println!("{}", serde_json::to_string(&raw)?);
    Ok(())
}
