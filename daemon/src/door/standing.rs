//! Whether the client of an open connection would still get in.
//!
//! A handshake looks at a certificate once; a connection can outlive its revocation, its CA and its own end. So each connection looks
//! again when the door's TLS is replaced, and when its certificate ends.

use psdd_tls::{CertificateDer, ServerTls, UnixTime, not_after};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The clock of the host may be set meanwhile, which no timer notices.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Why a client may stay no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// Its certificate has ended.
    #[error("the client certificate has expired")]
    Expired,
    /// By what the door has now, it would not get in.
    #[error("the client certificate is no longer good: {0}")]
    Refused(rustls::Error),
    /// Nothing says when it ends.
    #[error("the client certificate cannot be read: {0}")]
    Unreadable(#[from] psdd_tls::Unreadable),
}

/// Returns when the client may stay no longer, and never otherwise.
///
/// `tls` must have been taken before the handshake, so that a reload during it is seen. The end of a CRL closes nothing by itself: it keeps new
/// connections out, and a reload with an ended list ends the open ones.
pub(super) async fn lost(mut tls: watch::Receiver<Arc<ServerTls>>, chain: &[CertificateDer<'_>]) -> Lost {
    let end = match not_after(chain) {
        Ok(end) => end,
        Err(unreadable) => return Lost::Unreadable(unreadable),
    };
    loop {
        // Good up to and including notAfter (RFC 5280 §4.1.2.5).
        let Some(left) = (end.as_secs() + 1).checked_sub(UnixTime::now().as_secs()).filter(|left| *left > 0) else {
            return Lost::Expired;
        };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(left).min(LOOK_AGAIN)) => {}
            changed = tls.changed() => {
                if changed.is_err() {
                    // The door is gone; whoever closed it ends the connection.
                    pending::<()>().await;
                }
                let now = Arc::clone(&tls.borrow_and_update());
                if let Err(error) = now.admits(chain, UnixTime::now()) {
                    return Lost::Refused(error);
                }
            }
        }
    }
}
