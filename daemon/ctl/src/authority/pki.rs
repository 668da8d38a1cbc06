//! `psdctl authority init`, `issue` and `client`.

use super::{At, AuthorityError, now};
use crate::cli::Global;
use crate::error::Exit;
use crate::output::{count, print, print_json, table};
use clap::{Args, Subcommand};
use psd::{ApplianceId, LicenceNumber};
use psdd_authority::pki::{self, InitOptions, Order};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Arguments of `psdctl authority init`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdctl authority init /srv/authority --name 'Postal Authority' --host funds.example --listen 0.0.0.0:8446

Carry DIR/root away afterwards: nothing here needs the root's key again.")]
pub struct Init {
    #[command(flatten)]
    at: At,
    /// Its name, in the subject of every certificate
    #[arg(long, default_value = "Reference Postal Authority")]
    name: String,
    /// A host name or address of the funds system; may be given several times
    #[arg(long = "host", value_name = "HOST", default_values = ["localhost", "127.0.0.1"])]
    hosts: Vec<String>,
    /// Where the funds system listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Arguments of `psdctl authority issue`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  psdd birth-psds --config psdd.toml --plan plan.toml --requests exchange
  psdctl authority issue /srv/authority --exchange exchange --appliance post-1 --licence L-1000
  psdd birth-certificates --config psdd.toml --certificates exchange

The command can be repeated: a key that is certified keeps its certificate.")]
pub struct Issue {
    #[command(flatten)]
    at: At,
    /// Directory with PSD-ROLE.csr and PSD-ROLE-GENERATION.csr; certificates are written beside them
    #[arg(long, value_name = "DIR")]
    exchange: PathBuf,
    /// The appliance that has the PSDs
    #[arg(long)]
    appliance: ApplianceId,
    /// The licence they are registered under
    #[arg(long)]
    licence: LicenceNumber,
    /// Certify a further key of a PSD that has one of the role
    #[arg(long)]
    renew: bool,
}

/// Clients of the funds system.
#[derive(Subcommand, Debug)]
pub enum ClientCommand {
    /// Issue a TLS client certificate, with a new key, for an appliance
    #[command(after_help = "Example:
  psdctl authority client issue /srv/authority --appliance post-1 --certificate post-1.pem --key post-1.key")]
    Issue {
        #[command(flatten)]
        at: At,
        /// The appliance that the client speaks for
        #[arg(long)]
        appliance: ApplianceId,
        /// Where the certificate goes, PEM
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// Where its key goes, PEM
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Revoke a client certificate; a running funds system takes the list on SIGHUP
    Revoke {
        #[command(flatten)]
        at: At,
        /// Serial number of the certificate
        #[arg(long)]
        serial: u32,
    },
    /// Write the revocation list anew: it is good for a year, and beyond it no client is let in
    Crl {
        #[command(flatten)]
        at: At,
    },
    /// List the clients
    List {
        #[command(flatten)]
        at: At,
    },
}

#[derive(Serialize)]
struct IssuedView {
    psd: String,
    role: String,
    generation: u8,
    serial: u32,
    new: bool,
    file: String,
}

#[derive(Serialize)]
struct ClientView {
    serial: u32,
    appliance: String,
    issued: String,
    revoked: Option<String>,
}

pub(super) fn init(global: &Global, command: &Init) -> Result<Exit, AuthorityError> {
    let dir = command.at.authority();
    let Init { name, hosts, listen, .. } = command;
    let options = InitOptions { name: name.clone(), hosts: hosts.clone(), listen: *listen, refund_specimens: false };
    pki::init(&dir, &options, now()?)?;
    let files = [
        ("carry away", dir.root(), "the root's key: nothing here needs it again"),
        ("give to appliances", dir.root_certificate(), "at their birth: --authority-root"),
        ("give to appliances", dir.funds(), "at their birth: --funds"),
        ("give to clients", dir.tls_ca(), "what they verify the funds system by"),
        ("look at", dir.config(), "terms and bounds"),
    ];
    if global.json {
        let shown = |path: &Path| path.display().to_string();
        print_json(&serde_json::json!({
            "directory": shown(dir.dir()),
            "authority_root": shown(&dir.root_certificate()),
            "funds": shown(&dir.funds()),
            "tls_ca": shown(&dir.tls_ca()),
            "configuration": shown(&dir.config()),
        }))?;
    } else {
        let rows = files.map(|(what, path, why)| vec![what.to_owned(), path.display().to_string(), why.to_owned()]);
        print(&format!("authority {name:?} in {}\n{}", dir.dir().display(), table(&[], &[], rows)))?;
    }
    Ok(Exit::Done)
}

pub(super) fn issue(global: &Global, command: &Issue) -> Result<Exit, AuthorityError> {
    let (dir, mut books) = command.at.books()?;
    let Issue { exchange, appliance, licence, renew, .. } = command;
    let order = Order { exchange, appliance, licence, renew: *renew };
    let issued = pki::issue(&dir, &mut books, &order, now()?)?;
    let views = issued.iter().map(|key| IssuedView {
        psd: key.psd.to_string(),
        role: key.role.to_string(),
        generation: key.generation,
        serial: key.serial,
        new: !key.known,
        file: key.file.display().to_string(),
    });
    let views: Vec<IssuedView> = views.collect();
    if global.json {
        print_json(&views)?;
    } else {
        let new = views.iter().filter(|view| view.new).count();
        let rows = views.iter().map(|view| {
            let state = if view.new { "new" } else { "as before" };
            vec![view.psd.clone(), view.role.clone(), view.serial.to_string(), state.to_owned(), view.file.clone()]
        });
        let text = table(&["PSD", "key", "serial", "certificate", "file"], &[2], rows);
        print(&format!("{text}{} certificates, {} new\n", count(views.len()), count(new)))?;
    }
    Ok(Exit::Done)
}

pub(super) fn client(global: &Global, command: &ClientCommand) -> Result<Exit, AuthorityError> {
    let (told, text) = match command {
        ClientCommand::Issue { at, appliance, certificate, key } => {
            let (dir, mut books) = at.books()?;
            let serial = pki::issue_client(&dir, &mut books, appliance, (certificate, key), now()?)?;
            let text = format!("client certificate {serial} for {appliance} in {}\n", certificate.display());
            (serde_json::json!({ "serial": serial, "appliance": appliance.as_str() }), text)
        }
        ClientCommand::Revoke { at, serial } => {
            let (dir, mut books) = at.books()?;
            pki::revoke_client(&dir, &mut books, *serial, now()?)?;
            let text = format!("client certificate {serial} is revoked; send SIGHUP to the funds system\n");
            (serde_json::json!({ "serial": serial, "revoked": true }), text)
        }
        ClientCommand::Crl { at } => {
            let (dir, mut books) = at.books()?;
            pki::write_crl(&dir, &mut books, now()?)?;
            let path = dir.client_crl().display().to_string();
            let text = format!("revocation list in {path}; send SIGHUP to the funds system\n");
            (serde_json::json!({ "list": path }), text)
        }
        ClientCommand::List { at } => return list(global, at),
    };
    if global.json {
        print_json(&told)?;
    } else {
        print(&text)?;
    }
    Ok(Exit::Done)
}

fn list(global: &Global, at: &At) -> Result<Exit, AuthorityError> {
    let (_, mut books) = at.books()?;
    let views = books.clients()?.into_iter().map(|client| ClientView {
        serial: client.serial,
        appliance: client.appliance,
        issued: client.issued.to_string(),
        revoked: client.revoked.map(|time| time.to_string()),
    });
    let views: Vec<ClientView> = views.collect();
    if global.json {
        print_json(&views)?;
    } else {
        let rows = views.into_iter().map(|view| {
            vec![view.serial.to_string(), view.appliance, view.issued, view.revoked.unwrap_or_else(|| "no".to_owned())]
        });
        print(&table(&["serial", "appliance", "issued", "revoked"], &[0], rows))?;
    }
    Ok(Exit::Done)
}
