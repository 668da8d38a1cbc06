//! When certificates and lists of the doors end: told days before, so that nobody finds out by being refused.

use super::tls::DoorTls;
use psdd_tls::UnixTime;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

const DAY_S: i64 = 86_400;

/// The doors, and how long before an end it is told.
pub struct Calendar {
    doors: Vec<(&'static str, Arc<DoorTls>)>,
    alarm: Duration,
}

/// Something that ends soon, or has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    /// Which door.
    pub door: &'static str,
    /// What of it.
    pub what: &'static str,
    /// Seconds left; below zero it has ended.
    pub seconds_left: i64,
}

impl Ending {
    /// Whether it has ended.
    pub fn ended(&self) -> bool {
        self.seconds_left < 0
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { door, what, seconds_left } = self;
        if self.ended() {
            return write!(f, "error: {door} door: the {what} has expired: put a new one in place and reload");
        }
        let days = seconds_left / DAY_S;
        write!(f, "warning: {door} door: the {what} expires in {days} days: put a new one in place and reload")
    }
}

impl Calendar {
    /// Of these doors, with so many days of warning.
    pub fn new(doors: Vec<(&'static str, Arc<DoorTls>)>, alarm_days: u32) -> Self {
        Self { doors, alarm: Duration::from_secs(u64::from(alarm_days) * 86_400) }
    }

    fn all(&self, now: UnixTime) -> Vec<Ending> {
        let left = |end: UnixTime| end.as_secs().cast_signed() - now.as_secs().cast_signed();
        let of_door = |(door, tls): &(&'static str, Arc<DoorTls>)| {
            let lifetimes = tls.now().lifetimes();
            let ends = [(CRL, lifetimes.crl), (CERTIFICATE, lifetimes.certificate), (CLIENT_CA, lifetimes.client_ca)];
            ends.map(|(what, end)| Ending { door, what, seconds_left: left(end) })
        };
        self.doors.iter().flat_map(of_door).collect()
    }

    /// What ends within the days of warning, or has ended.
    pub fn endings(&self, now: UnixTime) -> Vec<Ending> {
        let alarm = self.alarm.as_secs().cast_signed();
        self.all(now).into_iter().filter(|ending| ending.seconds_left <= alarm).collect()
    }

    /// Tells the log what ends.
    pub fn log(&self, now: UnixTime) {
        for ending in self.endings(now) {
            if ending.ended() {
                tracing::error!("{ending}");
            } else {
                tracing::warn!("{ending}");
            }
        }
    }

    /// Gauges in the Prometheus text exposition.
    pub fn render(&self, now: UnixTime) -> String {
        let all = self.all(now);
        let mut text = String::new();
        let written: fmt::Result = (|| {
            writeln!(
                text,
                "# HELP psdd_crl_seconds_left Time until a door's CRL expires\n# TYPE psdd_crl_seconds_left gauge"
            )?;
            for Ending { door, seconds_left, .. } in all.iter().filter(|ending| ending.what == CRL) {
                writeln!(text, "psdd_crl_seconds_left{{door=\"{door}\"}} {seconds_left}")?;
            }
            let name = "psdd_certificate_seconds_left";
            writeln!(text, "# HELP {name} Time until a door's certificates expire\n# TYPE {name} gauge")?;
            for Ending { door, what, seconds_left } in all.iter().filter(|ending| ending.what != CRL) {
                writeln!(text, "{name}{{door=\"{door}\",certificate=\"{what}\"}} {seconds_left}")?;
            }
            Ok(())
        })();
        debug_assert!(written.is_ok());
        text
    }
}

const CRL: &str = "CRL";
const CERTIFICATE: &str = "server certificate";
const CLIENT_CA: &str = "client CA";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_days_and_its_past_as_an_error() {
        let ending = |seconds_left| Ending { door: "vendor", what: CRL, seconds_left }.to_string();
        assert!(ending(3 * DAY_S + 5).starts_with("warning: vendor door: the CRL expires in 3 days"));
        assert!(ending(0).starts_with("warning: vendor door: the CRL expires in 0 days"));
        assert!(ending(-1).starts_with("error: vendor door: the CRL has expired"));
    }
}
