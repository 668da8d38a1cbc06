//! `[signing]`: windows, bounds and fairness.

use psd::device::DateWindow;
use serde::Deserialize;

/// Signing.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct SigningConfig {
    /// Days of mailing accepted before today, UTC.
    pub back_days: u16,
    /// And after.
    pub ahead_days: u16,
    /// Idempotency keys older than this are refused.
    pub key_retention_days: u32,
    /// And those further ahead than this.
    pub key_skew_s: u32,
    /// Most items of one chunk.
    pub chunk_items: usize,
    /// Most items prepared and not yet durable.
    pub in_flight_items: usize,
    /// Most items waiting, per tenant.
    pub queued_items_per_tenant: usize,
    /// Most items waiting, of all.
    pub queued_items: usize,
}

impl Default for SigningConfig {
    fn default() -> Self {
        Self {
            back_days: 1,
            ahead_days: 30,
            key_retention_days: 30,
            key_skew_s: 120,
            chunk_items: 256,
            in_flight_items: 2_048,
            queued_items_per_tenant: 8_192,
            queued_items: 32_768,
        }
    }
}

impl SigningConfig {
    /// Days of mailing accepted.
    pub fn window(&self) -> DateWindow {
        DateWindow { back_days: self.back_days, ahead_days: self.ahead_days }
    }
}
