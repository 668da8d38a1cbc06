//! Where everything of an authority lies.

use std::path::{Path, PathBuf};

/// The directory of an authority.
#[derive(Clone, Debug)]
pub struct AuthorityDir {
    dir: PathBuf,
}

macro_rules! paths {
    ($($(#[$doc:meta])* $name:ident = $path:literal;)*) => {
        $($(#[$doc])* pub fn $name(&self) -> PathBuf { self.dir.join($path) })*
    };
}

impl AuthorityDir {
    /// The authority in this directory, which need not exist yet.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    paths! {
        /// What is carried away and locked up: the root's key, and nothing that a running authority needs.
        root = "root";
        /// The root's key, PEM.
        root_key = "root/authority-root.key";
        /// The root's certificate again, so that the medium is complete, PEM.
        root_copy = "root/authority-root.pem";
        /// The root's certificate, PEM: what appliances are born with.
        root_certificate = "authority-root.pem";
        /// CA of PSD keys, PEM.
        psd_ca = "ca/psd-ca.pem";
        /// Its key, PEM.
        psd_ca_key = "ca/psd-ca.key";
        /// Its revocation list, PEM.
        psd_crl = "ca/psd-ca.crl";
        /// The root's revocation list of its subordinates, PEM.
        root_crl = "authority-root.crl";
        /// Certificate of the funds key, PEM.
        funds = "keys/funds.pem";
        /// The funds key, PEM.
        funds_key = "keys/funds.key";
        /// Certificate of the inspection key, PEM.
        inspection = "keys/inspection.pem";
        /// The inspection key, PEM.
        inspection_key = "keys/inspection.key";
        /// Certificate of the policy key, PEM.
        policy = "keys/policy.pem";
        /// The policy key, PEM.
        policy_key = "keys/policy.key";
        /// CA of the funds system's TLS certificate, PEM: what clients verify it by.
        tls_ca = "tls/server-ca.pem";
        /// Its key, PEM.
        tls_ca_key = "tls/server-ca.key";
        /// The funds system's TLS certificate, PEM.
        tls_certificate = "tls/server.pem";
        /// Its key, PEM.
        tls_key = "tls/server.key";
        /// CA of clients of the funds system, PEM.
        client_ca = "tls/client-ca.pem";
        /// Its key, PEM.
        client_ca_key = "tls/client-ca.key";
        /// Its revocation list, PEM.
        client_crl = "tls/client-ca.crl";
        /// The books.
        books = "books.db";
        /// The configuration. Written last: the authority is complete.
        config = "authority.toml";
    }
}
