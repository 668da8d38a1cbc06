//! From an empty directory to a serving appliance, by the commands an operator runs.

use super::Layout;
use super::authority::{self, AuthorityError, issue_psd_certificates, start_authority};
use super::funds::{FundsError, load_value, pay_in};
use super::genesis;
use super::pki::{self, PkiError};
use super::process::{self, ProcessError, Running};
use super::rates;
use psd::id::NameError;
use psd::{ApplianceId, PostageAmount, PsdId};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The tenant of a development appliance.
const TENANT: &str = "acme";

/// The binaries of the processes.
#[derive(Clone, Debug)]
pub struct Tools {
    /// psdd.
    pub psdd: PathBuf,
    /// psdd-hsm.
    pub hsm: PathBuf,
    /// psdctl, which is the authority's funds system too.
    pub ctl: PathBuf,
}

impl Tools {
    /// Those beside the running program, or beside its directory's parent (where cargo puts test binaries).
    pub fn beside_this_program() -> Self {
        let here = std::env::current_exe().unwrap_or_default();
        let dirs: Vec<&Path> = here.ancestors().skip(1).take(2).collect();
        let find = |name: &str| {
            dirs.iter().map(|dir| dir.join(name)).find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name))
        };
        Self { psdd: find("psdd"), hsm: find("psdd-hsm"), ctl: find("psdctl") }
    }
}

/// When a new appliance asks the authority for value by itself.
#[derive(Clone, Copy, Debug)]
pub struct TopUp {
    /// Below this descending register.
    pub below: PostageAmount,
    /// How much.
    pub amount: PostageAmount,
    /// How long a request short of funds waits for them, milliseconds.
    pub wait_ms: u64,
}

/// What a new appliance is like.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// PSDs for mail.
    pub psds: u32,
    /// PSDs for vouchers, in euros.
    pub vouchers: u32,
    /// Whether they certify corrected mail as well.
    pub certifying: bool,
    /// Whether those for mail make digital tokens, where they are asked for.
    pub digital_tokens: bool,
    /// Value of each; with automatic top-up, what is paid in for each.
    pub value: PostageAmount,
    /// Largest value a descending register may hold.
    pub largest_descending: PostageAmount,
    /// Automatic top-up; with none, value comes by `psdctl dev load` and `psdctl vendor top-up` only.
    pub top_up: Option<TopUp>,
    /// The binaries.
    pub tools: Tools,
    /// PKCS#11 module in place of the profile's.
    pub module: Option<PathBuf>,
    /// Sessions of the worker.
    pub sessions: Option<u32>,
    /// Lines for `[[token]]` of psdd-hsm's configuration, such as deadlines.
    pub hsm_extra: String,
    /// Lines for the `[[token]]` of psdd's configuration, and tables after it.
    pub psdd_extra: String,
    /// Variables for the worker, besides SOFTHSM2_CONF.
    pub worker_environment: BTreeMap<String, String>,
    /// Variables for psdd.
    pub psdd_environment: BTreeMap<String, String>,
}

impl Default for DevOptions {
    fn default() -> Self {
        let mills = |mills| PostageAmount::from_mills(mills).unwrap_or(PostageAmount::MAX);
        Self {
            psds: 1,
            vouchers: 0,
            certifying: false,
            digital_tokens: false,
            value: mills(10_000_000),
            // The IBI layout has four bytes for the descending register.
            largest_descending: mills(4_000_000_000),
            top_up: None,
            tools: Tools::beside_this_program(),
            module: None,
            sessions: None,
            hsm_extra: String::new(),
            psdd_extra: String::new(),
            worker_environment: BTreeMap::new(),
            psdd_environment: BTreeMap::new(),
        }
    }
}

/// Why there is no appliance.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The PKI.
    #[error("PKI: {0}")]
    Pki(#[from] PkiError),
    /// Rate tables and scales.
    #[error(transparent)]
    Rates(#[from] rates::RatesError),
    /// The postal authority.
    #[error("authority: {0}")]
    Authority(#[from] AuthorityError),
    /// The appliance's name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A daemon.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Value.
    #[error("loading value: {0}")]
    Funds(#[from] FundsError),
    /// A file.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The genesis ceremony.
    #[error(transparent)]
    Genesis(#[from] genesis::CeremonyFailure),
    /// A step of an operator failed.
    #[error("`{command}` failed ({status}):\n{output}")]
    Step {
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
        /// What it said.
        output: String,
    },
    /// A socket's path is too long for the system.
    #[error("{} is too long for the sockets in it: 108 bytes is the system's limit; choose a shorter directory", .0.display())]
    LongPath(PathBuf),
    /// The directory holds something else.
    #[error("{} holds an appliance that was not completed; remove it and run the command again", .0.display())]
    Incomplete(PathBuf),
}

fn file(path: &Path) -> impl Fn(std::io::Error) -> DevError {
    move |source| DevError::File { path: path.to_owned(), source }
}

fn write(path: &Path, text: &str) -> Result<(), DevError> {
    std::fs::write(path, text).map_err(file(path))
}

/// Makes an appliance, or starts the one that is there. What runs already is left running.
pub fn up(layout: &Layout, options: &DevOptions) -> Result<Running, DevError> {
    let new = !layout.complete().exists();
    if new {
        birth(layout, options)?;
    }
    let hsm = if process::runs(&layout.hsm_pid()) { None } else { Some(start_hsm(layout, options)?) };
    let authority = start_authority(layout, options)?;
    // PSDs that ask by themselves do so as soon as they are served.
    if new && options.top_up.is_some() {
        let pay = |psd: PsdId| pay_in(layout, options.value, &format!("development {psd}"));
        planned(options).try_for_each(pay)?;
    }
    let mut running = start_psdd(layout, options)?;
    (running.hsm, running.authority) = (hsm, authority);
    if new {
        if options.top_up.is_none() {
            planned(options).try_for_each(|psd| load_value(layout, psd, options.value).map(|_registers| ()))?;
        }
        write(&layout.complete(), "")?;
    }
    Ok(running)
}

/// Device IDs of a development appliance.
fn planned(options: &DevOptions) -> impl Iterator<Item = PsdId> {
    let group = |manufacturer, count| (1..=count).filter_map(move |serial| PsdId::new(manufacturer, *b"01", serial));
    group(*b"PS", options.psds).chain(group(*b"VO", options.vouchers))
}

/// Everything up to active PSDs without value; nothing runs afterwards.
pub fn birth(layout: &Layout, options: &DevOptions) -> Result<(), DevError> {
    if layout.token_socket().as_os_str().len() > 100 {
        return Err(DevError::LongPath(layout.dir().to_owned()));
    }
    if layout.psdd_config().exists() {
        return Err(DevError::Incomplete(layout.dir().to_owned()));
    }
    for dir in
        [layout.pki(), layout.exchange(), layout.softhsm_tokens(), layout.hsm_state(), layout.state(), layout.run()]
    {
        std::fs::create_dir_all(&dir).map_err(file(&dir))?;
    }
    pki::make(layout, TENANT)?;
    let appliance: ApplianceId = format!("dev-{:08x}", std::process::id()).parse()?;
    authority::make(layout, &appliance)?;
    if options.certifying {
        rates::make(layout)?;
    }
    write_configurations(layout, options, None)?;
    let serial = init_token(layout, options)?;
    write_configurations(layout, options, Some(&serial))?;
    let mut hsm = start_hsm(layout, options)?;
    let born = provision(layout, options, &appliance);
    let stopped = process::stop(&layout.hsm_pid());
    if let Err(error) = hsm.wait() {
        return Err(DevError::File { path: layout.hsm_log(), source: error });
    }
    stopped?;
    born
}

fn provision(layout: &Layout, options: &DevOptions, appliance: &ApplianceId) -> Result<(), DevError> {
    let (psdd, config) = (&options.tools.psdd, layout.psdd_config());
    let held = genesis::hold(layout, appliance)?;
    let mut arguments: Vec<&OsStr> = vec![
        "birth-genesis".as_ref(),
        "--config".as_ref(),
        config.as_ref(),
        "--genesis".as_ref(),
        held.file.as_ref(),
        "--countersignature".as_ref(),
        held.countersignature.as_ref(),
    ];
    for approval in &held.approvals {
        arguments.extend::<[&OsStr; 2]>(["--approval".as_ref(), approval.as_ref()]);
    }
    step(psdd, &arguments)?;
    write(&layout.plan(), &plan(options))?;
    let (plan, exchange) = (layout.plan(), layout.exchange());
    step(
        psdd,
        &[
            "birth-psds".as_ref(),
            "--config".as_ref(),
            config.as_ref(),
            "--plan".as_ref(),
            plan.as_ref(),
            "--requests".as_ref(),
            exchange.as_ref(),
        ],
    )?;
    issue_psd_certificates(layout)?;
    step(
        psdd,
        &[
            "birth-certificates".as_ref(),
            "--config".as_ref(),
            config.as_ref(),
            "--certificates".as_ref(),
            exchange.as_ref(),
        ],
    )?;
    Ok(())
}

fn plan(options: &DevOptions) -> String {
    let group = |(first, count): (&str, u32), format: &str, currency: &str| {
        format!(
            "[[psds]]\nfirst = \"{first}\"\ncount = {count}\ntenant = \"{TENANT}\"\nlicence = \"L-1000\"\nlicensing_zip = \"94301\"\n\
             format = \"{format}\"\nsoftware_id = \"psdd01\"\ntoken = \"main\"\ncurrency = \"{currency}\"\n\n[psds.limits]\n\
             smallest_postage = \"0.01\"\nlargest_postage = \"100.00\"\nlargest_descending = \"{}\"\n\n",
            options.largest_descending
        )
    };
    let groups = [("PS010000001", options.psds, "ibi", "USD"), ("VO010000001", options.vouchers, "voucher", "EUR")];
    let wanted = groups.into_iter().filter(|(_, count, ..)| *count > 0);
    let groups: String =
        wanted.map(|(first, count, format, currency)| group((first, count), format, currency)).collect();
    let asked = [("certifying", options.certifying), ("digital_tokens", options.digital_tokens)];
    let asked: String = asked.iter().filter(|(_, asked)| *asked).map(|(key, _)| format!("{key} = true\n")).collect();
    format!("# PSDs of a development appliance.\n{asked}\n{groups}")
}

fn init_token(layout: &Layout, options: &DevOptions) -> Result<String, DevError> {
    let output = step(
        &options.tools.hsm,
        &[
            "init-token".as_ref(),
            "--config".as_ref(),
            layout.hsm_config().as_ref(),
            "--token".as_ref(),
            "main".as_ref(),
            "--so-pin-file".as_ref(),
            layout.so_pin().as_ref(),
        ],
    )?;
    let serial = output.split_whitespace().skip_while(|word| !word.starts_with("serial")).find_map(|word| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        (word.len() >= 8 && word.bytes().all(|b| b.is_ascii_hexdigit())).then(|| word.to_owned())
    });
    serial.ok_or_else(|| DevError::Step {
        command: "psdd-hsm init-token".to_owned(),
        status: "no serial number".to_owned(),
        output,
    })
}

fn write_configurations(layout: &Layout, options: &DevOptions, serial: Option<&str>) -> Result<(), DevError> {
    write(
        &layout.softhsm_config(),
        &format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
            layout.softhsm_tokens().display()
        ),
    )?;
    if !layout.pin().exists() {
        write(&layout.pin(), "development-pin")?;
        write(&layout.so_pin(), "development-so-pin")?;
    }
    let mut hsm = format!(
        "state_dir = {:?}\n\n[[token]]\nname = \"main\"\nprofile = \"softhsm2\"\nlabel = \"psdd-dev\"\npin_file = {:?}\nsocket = {:?}\n",
        layout.hsm_state(),
        layout.pin(),
        layout.token_socket()
    );
    if let Some(serial) = serial {
        hsm.push_str(&format!("serial = \"{serial}\"\n"));
    }
    if let Some(module) = &options.module {
        hsm.push_str(&format!("module = {module:?}\n"));
    }
    if let Some(sessions) = options.sessions {
        hsm.push_str(&format!("sessions = {sessions}\n"));
    }
    hsm.push_str(&options.hsm_extra);
    hsm.push_str(&format!("\n[token.environment]\nSOFTHSM2_CONF = {:?}\n", layout.softhsm_config()));
    for (name, value) in &options.worker_environment {
        hsm.push_str(&format!("{name} = {value:?}\n"));
    }
    write(&layout.hsm_config(), &hsm)?;
    let certification = match options.certifying {
        true => "[certification]\nrates_dir = \"rates\"\nscales = \"scales.toml\"\nnumbers = \"PS010000000001\"\n\n",
        false => "",
    };
    let psdd = format!(
        "# A development appliance.\nstate_dir = \"state\"\n\n[vendor]\nlisten = \"127.0.0.1:0\"\ncertificate = \"pki/server.pem\"\n\
         key = \"pki/server.key\"\nclient_ca = \"pki/vendor-ca.pem\"\nclient_crl = \"pki/vendor-ca.crl\"\n\n\
         [operator]\nlisten = \"127.0.0.1:0\"\ncertificate = \"pki/server.pem\"\nkey = \"pki/server.key\"\n\
         client_ca = \"pki/operator-ca.pem\"\nclient_crl = \"pki/operator-ca.crl\"\n\n\
         [authority]\nlisten = \"127.0.0.1:0\"\ncertificate = \"pki/server.pem\"\nkey = \"pki/server.key\"\n\
         client_ca = \"pki/inspector-ca.pem\"\nclient_crl = \"pki/inspector-ca.crl\"\n\n[local]\n\
         socket = \"run/local.sock\"\n\n[clock]\nsource = \"development\"\n\n{certification}[[token]]\nname = \"main\"\nsocket = \"run/token.sock\"\n{}",
        options.psdd_extra
    );
    write(&layout.psdd_config(), &psdd)
}

/// Starts psdd-hsm and waits until its token's socket is there.
pub fn start_hsm(layout: &Layout, options: &DevOptions) -> Result<Child, DevError> {
    let socket = layout.token_socket();
    if socket.exists() {
        std::fs::remove_file(&socket).map_err(file(&socket))?;
    }
    let mut command = Command::new(&options.tools.hsm);
    command.arg("--config").arg(layout.hsm_config());
    let mut child = process::start(&mut command, &layout.hsm_log(), &layout.hsm_pid())?;
    process::wait("psdd-hsm", Some(&mut child), &layout.hsm_log(), || {
        socket.exists().then_some(()).ok_or_else(|| "its socket is not there yet".to_owned())
    })?;
    Ok(child)
}

/// Tells psdd where the authority's funds system is, whose address can be another at every start.
fn point_at_funds(layout: &Layout, options: &DevOptions) -> Result<(), DevError> {
    let path = layout.psdd_config();
    let text = std::fs::read_to_string(&path).map_err(file(&path))?;
    let endpoint = format!("endpoint = \"{}\"", funds_address(layout));
    let new = match (text.split_once("\n[funds]\n"), &options.top_up) {
        // Everything else in it may have been edited.
        (Some((before, funds)), _) => {
            let line = |line: &str| if line.starts_with("endpoint") { endpoint.clone() } else { line.to_owned() };
            let funds: Vec<String> = funds.lines().map(line).collect();
            format!("{before}\n[funds]\n{}\n", funds.join("\n"))
        }
        (None, Some(TopUp { below, amount, wait_ms })) => format!(
            "{text}\n[funds]\n{endpoint}\nserver_name = \"localhost\"\nserver_ca = \"authority/tls/server-ca.pem\"\n\
             certificate = \"pki/appliance.pem\"\nkey = \"pki/appliance.key\"\n\n\
             [[top_up]]\nbelow = \"{below}\"\namount = \"{amount}\"\nwait_ms = {wait_ms}\n"
        ),
        (None, None) => return Ok(()),
    };
    if new == text { Ok(()) } else { write(&path, &new) }
}

fn funds_address(layout: &Layout) -> String {
    std::fs::read_to_string(layout.funds_address()).unwrap_or_default().trim().to_owned()
}

/// Starts psdd, unless it runs, waits until it is ready, and writes psdctl's configuration for its address.
pub fn start_psdd(layout: &Layout, options: &DevOptions) -> Result<Running, DevError> {
    let socket = layout.local_socket();
    let (doors, psdd) = if process::runs(&layout.psdd_pid()) {
        // It may have lost its token until a moment ago.
        (process::wait("psdd", None, &layout.psdd_log(), || process::ready(&socket))?, None)
    } else {
        point_at_funds(layout, options)?;
        let mut command = Command::new(&options.tools.psdd);
        command.arg("--config").arg(layout.psdd_config()).envs(&options.psdd_environment);
        let mut child = process::start(&mut command, &layout.psdd_log(), &layout.psdd_pid())?;
        let doors = process::wait("psdd", Some(&mut child), &layout.psdd_log(), || process::ready(&socket))?;
        (doors, Some(child))
    };
    let funds = funds_address(layout);
    let process::Doors { vendor, operator, authority: authority_door } = doors;
    let table = |door: &str, address: &Option<String>, name: &str| match address {
        Some(address) => format!(
            "\n[{door}]\nendpoint = \"{address}\"\nserver_name = \"localhost\"\nserver_ca = \"pki/server-ca.pem\"\n\
             client_cert = \"pki/{name}.pem\"\nclient_key = \"pki/{name}.key\"\n"
        ),
        None => String::new(),
    };
    let other_doors = table("operator", &operator, "operator")
        + &table("authority", &authority_door, "inspector")
        + if authority_door.is_some() { "development = true\n" } else { "" };
    write(
        &layout.psdctl_config(),
        &format!(
            "endpoint = \"{vendor}\"\nserver_name = \"localhost\"\nserver_ca = \"pki/server-ca.pem\"\nclient_cert = \"pki/client.pem\"\n\
             client_key = \"pki/client.key\"\nauthority_root = \"pki/authority-root.pem\"\npsd = \"PS010000000001\"\n\
             certificates = \"certificates.pem\"\n{other_doors}\n[funds]\nendpoint = \"{funds}\"\nserver_name = \"localhost\"\n\
             server_ca = \"authority/tls/server-ca.pem\"\nclient_cert = \"pki/appliance.pem\"\n\
             client_key = \"pki/appliance.key\"\n"
        ),
    )?;
    Ok(Running { vendor, operator, authority_door, funds, psdd, hsm: None, authority: None })
}

fn step(program: &Path, arguments: &[&OsStr]) -> Result<String, DevError> {
    let output = Command::new(program).args(arguments).output().map_err(file(program))?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let shown: Vec<String> = arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let command = format!("{} {}", program.display(), shown.join(" "));
    Err(DevError::Step { command, status: output.status.to_string(), output: text })
}
