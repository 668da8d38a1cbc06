//! The funds system's listener: mutual TLS, HTTP/2 or 1.1, CBOR after `daemon/wire/psdd.cddl`. Beside it, where configured, the
//! revocation lists for everybody, over plain HTTP.
//!
//! Owns connections, routes and the one thread that has the books. Refuses what is beyond its bounds before the books see it. After a
//! fault of the books nothing is answered any more: [`Open::failed`] tells it, and the process must end.

mod clock;
mod desk;
mod identity;
mod listener;
mod problems;
mod publication;
mod routes;

pub use clock::{ClockError, now};
pub use listener::{Listen, Open, ServeError, open};
pub use psdd_tls::TlsError;
