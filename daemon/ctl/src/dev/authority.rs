//! The postal authority of a development appliance: made in its directory, certifying its PSDs, its funds system a process beside
//! the daemons.

use super::process::{self, ProcessError};
use super::{DevOptions, Layout};
use psd::{ApplianceId, LicenceNumber};
use psdd_authority::books::{Books, Fault, LicenceError};
use psdd_authority::directory::AuthorityDir;
use psdd_authority::pki::{self, InitOptions, IssueError, Order, PkiError};
use psdd_authority::serve::{ClockError, now};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// The licence of every PSD of a development appliance.
const LICENCE: &str = "L-1000";

/// The authority could not do it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Keys and certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// Certificates of PSD keys.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The books.
    #[error(transparent)]
    Books(#[from] Fault),
    /// The licence.
    #[error(transparent)]
    Licence(#[from] LicenceError),
    /// The clock.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// A name.
    #[error(transparent)]
    Name(#[from] psd::id::NameError),
    /// A file.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The funds system.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The directory is of a time before it had an authority.
    #[error("{} holds an appliance without a postal authority; remove it and run the command again", .0.display())]
    Missing(PathBuf),
}

fn file(path: &Path) -> impl Fn(std::io::Error) -> AuthorityError {
    move |source| AuthorityError::File { path: path.to_owned(), source }
}

/// The authority's directory.
pub(super) fn directory(layout: &Layout) -> AuthorityDir {
    AuthorityDir::at(&layout.authority())
}

/// The licence that development value is paid in for.
pub(super) fn licence() -> Result<LicenceNumber, AuthorityError> {
    Ok(LICENCE.parse()?)
}

/// Makes the authority, with a licence, and a client certificate for the appliance.
pub(super) fn make(layout: &Layout, appliance: &ApplianceId) -> Result<(), AuthorityError> {
    let (dir, now) = (directory(layout), now()?);
    let options = InitOptions {
        name: "Development Postal Authority".to_owned(),
        hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        // All that a development appliance signs is a specimen.
        refund_specimens: true,
    };
    pki::init(&dir, &options, now)?;
    std::fs::copy(dir.root_certificate(), layout.authority_root()).map_err(file(&layout.authority_root()))?;
    let mut books = Books::open(&dir.books())?;
    books.add_licence(&licence()?, "development", now)??;
    let files = (layout.appliance_certificate(), layout.appliance_key());
    pki::issue_client(&dir, &mut books, appliance, (&files.0, &files.1), now)?;
    std::fs::write(layout.appliance(), appliance.as_str()).map_err(file(&layout.appliance()))
}

/// The appliance, by its name.
pub(super) fn appliance(layout: &Layout) -> Result<ApplianceId, AuthorityError> {
    let path = layout.appliance();
    Ok(std::fs::read_to_string(&path).map_err(file(&path))?.parse()?)
}

/// Has the authority's CA certify every request in the exchange directory, and writes the bundle of all certificates. Gives how many
/// are new. Whatever the plan says, the authority knows the PSDs under its one licence.
pub fn issue_psd_certificates(layout: &Layout) -> Result<usize, AuthorityError> {
    let dir = directory(layout);
    let read = |path: &Path| std::fs::read_to_string(path).map_err(file(path));
    let (exchange, appliance) = (layout.exchange(), appliance(layout)?);
    let licence = licence()?;
    let order = Order { exchange: &exchange, appliance: &appliance, licence: &licence, renew: false };
    let issued = pki::issue(&dir, &mut Books::open(&dir.books())?, &order, now()?)?;
    let ca = read(&dir.psd_ca())?;
    let mut bundle = String::new();
    for key in &issued {
        let chain = read(&key.file)?;
        bundle.push_str(chain.strip_suffix(&ca).unwrap_or(&chain));
    }
    bundle.push_str(&ca);
    std::fs::write(layout.certificates(), &bundle).map_err(file(&layout.certificates()))?;
    Ok(issued.iter().filter(|key| !key.known).count())
}

/// Starts the funds system, unless it runs, and waits until it listens. Its address is in [`Layout::funds_address`].
pub fn start_authority(layout: &Layout, options: &DevOptions) -> Result<Option<Child>, AuthorityError> {
    if process::runs(&layout.authority_pid()) {
        return Ok(None);
    }
    if !directory(layout).config().exists() {
        return Err(AuthorityError::Missing(layout.dir().to_owned()));
    }
    let address = layout.funds_address();
    // The address it had, where it is free: configurations name it.
    let before = std::fs::read_to_string(&address).ok().and_then(|text| text.trim().parse::<SocketAddr>().ok());
    let listen = before.filter(|address| TcpListener::bind(address).is_ok());
    let listen = listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    if before.is_some() {
        std::fs::remove_file(&address).map_err(file(&address))?;
    }
    let mut command = Command::new(&options.tools.ctl);
    command.args(["authority", "serve"]).arg(layout.authority()).arg("--listen").arg(listen.to_string());
    command.arg("--address-file").arg(&address);
    let mut child = process::start(&mut command, &layout.authority_log(), &layout.authority_pid())?;
    process::wait("psdctl authority serve", Some(&mut child), &layout.authority_log(), || {
        address.exists().then_some(()).ok_or_else(|| "it does not listen yet".to_owned())
    })?;
    Ok(Some(child))
}
