//! Making an authority: the root's ceremony, then everything that the root certifies, in one directory.

use super::client::write_crl;
use super::crl::write_list;
use super::files::{make_directory, read, write_durably};
use super::profile::{YEAR, as_ca, as_signer, certified, params, root};
use super::{PkiError, made};
use crate::books::{Books, CrlIssuer};
use crate::config;
use crate::directory::AuthorityDir;
use psd::UnixMillis;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SerialNumber};
use std::net::SocketAddr;

/// How long the first list of the CA of PSD keys is good, days.
const PSD_LIST_DAYS: u16 = 30;
/// The same of the root's, whose key is carried away.
const ROOT_LIST_DAYS: u16 = 365;

/// What a new authority is like.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// Its name, in the subject of every certificate.
    pub name: String,
    /// Host names and addresses of its funds system.
    pub hosts: Vec<String>,
    /// Where the funds system listens; else as the configuration's default has it.
    pub listen: Option<SocketAddr>,
    /// Whether specimens are refunded.
    pub refund_specimens: bool,
}

/// Makes an authority in a new directory. Later the root's key signs only countersignatures and its own list: carry `root/` away.
pub fn init(dir: &AuthorityDir, options: &InitOptions, now: UnixMillis) -> Result<(), PkiError> {
    let taken = std::fs::read_dir(dir.dir()).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        return Err(PkiError::NotEmpty(dir.dir().to_owned()));
    }
    for part in ["root", "ca", "keys", "tls"] {
        make_directory(&dir.dir().join(part))?;
    }
    let name = options.name.as_str();
    let ca = |title: &str, serial, life, below| {
        let mut ca = params((&format!("{name} {title}"), None, name), serial, (now, life))?;
        as_ca(&mut ca, below);
        Ok::<_, PkiError>(ca)
    };
    let authority = root((&dir.root_certificate(), &dir.root_key()), &ca("Root", 1, YEAR * 20, 1)?, "root")?;
    write_durably(&dir.root_copy(), read(&dir.root_certificate())?.as_bytes())?;
    certified((&dir.psd_ca(), &dir.psd_ca_key()), &ca("PSD CA", 2, YEAR * 10, 0)?, &authority, "PSD CA")?;
    let purposes = [
        ("funds", 3, dir.funds(), dir.funds_key()),
        ("inspection", 4, dir.inspection(), dir.inspection_key()),
        ("policy", 5, dir.policy(), dir.policy_key()),
    ];
    for (purpose, serial, certificate, key) in purposes {
        let mut signer = params((&format!("{name} {purpose}"), Some(purpose), name), serial, (now, YEAR * 10))?;
        as_signer(&mut signer);
        certified((&certificate, &key), &signer, &authority, purpose)?;
    }
    let tls_ca = root((&dir.tls_ca(), &dir.tls_ca_key()), &ca("TLS CA", 1, YEAR * 10, 0)?, "TLS CA")?;
    certified((&dir.tls_certificate(), &dir.tls_key()), &server(options, now)?, &tls_ca, "TLS certificate")?;
    root((&dir.client_ca(), &dir.client_ca_key()), &ca("client CA", 1, YEAR * 10, 0)?, "client CA")?;
    let mut books = Books::create(&dir.books())?;
    write_crl(dir, &mut books, now)?;
    write_list(dir, &mut books, CrlIssuer::PsdCa, PSD_LIST_DAYS, now)?;
    write_list(dir, &mut books, CrlIssuer::Root, ROOT_LIST_DAYS, now)?;
    let mut text = config::DEFAULT.to_owned();
    if let Some(listen) = options.listen {
        text = text.replacen("\"127.0.0.1:8446\"", &format!("\"{listen}\""), 1);
    }
    if options.refund_specimens {
        text = text.replacen("refund_specimens = false", "refund_specimens = true", 1);
    }
    Ok(write_durably(&dir.config(), text.as_bytes())?)
}

fn server(options: &InitOptions, now: UnixMillis) -> Result<CertificateParams, PkiError> {
    let mut server = CertificateParams::new(options.hosts.clone()).map_err(made("TLS certificate"))?;
    let life = params(("funds system", None, &options.name), 2, (now, YEAR * 2))?;
    server.distinguished_name.push(DnType::CommonName, "funds system");
    server.distinguished_name.push(DnType::OrganizationName, options.name.as_str());
    (server.not_before, server.not_after) = (life.not_before, life.not_after);
    server.serial_number = Some(SerialNumber::from(2u64));
    as_signer(&mut server);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    Ok(server)
}
