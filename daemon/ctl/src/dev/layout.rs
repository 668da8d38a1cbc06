//! Where everything of a development appliance lies.

use std::path::{Path, PathBuf};

/// The directory of an appliance.
#[derive(Clone, Debug)]
pub struct Layout {
    dir: PathBuf,
}

macro_rules! paths {
    ($($(#[$doc:meta])* $name:ident = $path:literal;)*) => {
        $($(#[$doc])* pub fn $name(&self) -> PathBuf { self.dir.join($path) })*
    };
}

impl Layout {
    /// The appliance in this directory, which need not exist yet.
    pub fn at(dir: &Path) -> Self {
        // Sockets and children need a path that does not depend on where they run.
        Self { dir: std::path::absolute(dir).unwrap_or_else(|_unreadable| dir.to_owned()) }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    paths! {
        /// Keys and certificates.
        pki = "pki";
        /// Keys of the ceremony operators, and what they approved.
        operators = "operators";
        /// The postal authority's root, PEM.
        authority_root = "pki/authority-root.pem";
        /// The postal authority, see `psdctl authority`.
        authority = "authority";
        /// The authority's funds certificate, PEM.
        funds = "authority/keys/funds.pem";
        /// Its key, PEM.
        funds_key = "authority/keys/funds.key";
        /// The authority's inspection certificate, PEM.
        inspection = "authority/keys/inspection.pem";
        /// Its key, PEM.
        inspection_key = "authority/keys/inspection.key";
        /// The authority's policy certificate, PEM.
        policy = "authority/keys/policy.pem";
        /// Its key, PEM.
        policy_key = "authority/keys/policy.key";
        /// CA of the funds system's TLS certificate, PEM.
        funds_ca = "authority/tls/server-ca.pem";
        /// The appliance's client certificate at the funds system, PEM.
        appliance_certificate = "pki/appliance.pem";
        /// Its key, PEM.
        appliance_key = "pki/appliance.key";
        /// The appliance's name.
        appliance = "pki/appliance.name";
        /// The vendors' client CA, PEM.
        vendor_ca = "pki/vendor-ca.pem";
        /// Its CRL, PEM.
        vendor_crl = "pki/vendor-ca.crl";
        /// The operators' client CA, PEM.
        operator_ca = "pki/operator-ca.pem";
        /// Its CRL, PEM.
        operator_crl = "pki/operator-ca.crl";
        /// The first client certificate of the operator door, PEM.
        operator = "pki/operator.pem";
        /// Its key, PEM.
        operator_key = "pki/operator.key";
        /// The inspectors' client CA, PEM.
        inspector_ca = "pki/inspector-ca.pem";
        /// Its CRL, PEM.
        inspector_crl = "pki/inspector-ca.crl";
        /// The first client certificate of the authority door, PEM.
        inspector = "pki/inspector.pem";
        /// Its key, PEM.
        inspector_key = "pki/inspector.key";
        /// CA of the server's certificate, PEM.
        server_ca = "pki/server-ca.pem";
        /// The server's certificate, PEM.
        server = "pki/server.pem";
        /// Its key, PEM.
        server_key = "pki/server.key";
        /// The first client's certificate, PEM.
        client = "pki/client.pem";
        /// Its key, PEM.
        client_key = "pki/client.key";
        /// Certification requests and certificates of PSD keys.
        exchange = "exchange";
        /// Certificates of all PSD keys and their CA, PEM.
        certificates = "certificates.pem";
        /// Plan of the PSDs.
        plan = "psds.toml";
        /// SoftHSM's configuration.
        softhsm_config = "hsm/softhsm2.conf";
        /// SoftHSM's objects.
        softhsm_tokens = "hsm/tokens";
        /// User PIN.
        pin = "hsm/pin";
        /// Security officer's PIN.
        so_pin = "hsm/so-pin";
        /// Login marks.
        hsm_state = "hsm/state";
        /// Configuration of psdd-hsm.
        hsm_config = "hsm/psdd-hsm.toml";
        /// Configuration of psdd.
        psdd_config = "psdd.toml";
        /// The ledger's directory.
        state = "state";
        /// Sockets, process ids and logs.
        run = "run";
        /// The worker's socket.
        token_socket = "run/token.sock";
        /// The local door.
        local_socket = "run/local.sock";
        /// Address of the funds system, once it listens; kept over restarts where it is free.
        funds_address = "run/funds.address";
        /// Process id of the funds system.
        authority_pid = "run/authority.pid";
        /// Log of the funds system.
        authority_log = "run/authority.log";
        /// Process id of psdd.
        psdd_pid = "run/psdd.pid";
        /// Process id of psdd-hsm.
        hsm_pid = "run/psdd-hsm.pid";
        /// Log of psdd.
        psdd_log = "run/psdd.log";
        /// Log of psdd-hsm.
        hsm_log = "run/psdd-hsm.log";
        /// Rate tables that the authority published.
        rates = "rates";
        /// The registry of scales.
        scales = "scales.toml";
        /// Configuration of psdctl.
        psdctl_config = "psdctl.toml";
        /// Written last: the appliance is complete.
        complete = "complete";
    }
}
