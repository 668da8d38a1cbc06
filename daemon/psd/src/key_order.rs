//! What the postal authority orders about a key of a PSD: that it is revoked, or that another one takes its place.
//!
//! Pure judgement, for the core before it takes such an instruction and again at its turn. A change that was ordered stands until a key made after
//! the order has taken over; who makes that key and when, [`crate::rotation`] and the operators' ceremonies decide.

use crate::authority::InstructionRefusal;
use crate::custody::Revocation;
use crate::device::{CertifiedKey, State};
use crate::id::PsdId;
use crate::key::Role;
use crate::lifecycle::Lifecycle;
use crate::time::UnixMillis;
use std::sync::Arc;

/// The newest order to change the key of a role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChangeOrder {
    /// The time of its record.
    pub at: UnixMillis,
    /// So many keys of the role there were: those made after it come behind them.
    pub made: usize,
}

impl State {
    fn of_role(&self, role: Role) -> impl Iterator<Item = &CertifiedKey> {
        self.keys.iter().filter(move |certified| certified.key.role == role)
    }

    /// Notes that the key of a role is to change.
    pub(crate) fn order_change(&mut self, role: Role, at: UnixMillis) {
        let made = self.of_role(role).count();
        Arc::make_mut(&mut self.change_orders).insert(role, ChangeOrder { at, made });
    }

    /// When the change of the key of a role was ordered that is not done: no key made after the order was activated yet.
    pub fn change_ordered(&self, role: Role) -> Option<UnixMillis> {
        let order = self.change_orders.get(&role)?;
        let done = self.of_role(role).skip(order.made).any(|later| later.life.activated.is_some());
        (!done).then_some(order.at)
    }

    /// Whether a key was made before the newest order to change the key of its role, done or not: none of these takes over by rule.
    pub fn is_ordered_away(&self, certified: &CertifiedKey) -> bool {
        let role = certified.key.role;
        let made = self.change_orders.get(&role).map_or(0, |order| order.made);
        self.of_role(role).take(made).any(|earlier| earlier.key.key_id == certified.key.key_id)
    }

    /// Whether the authority may order now that the key of a role changes.
    ///
    /// # Errors
    ///
    /// What does not hold; the first, in the order of [`Unchangeable`].
    pub fn admit_change_order(&self, role: Role) -> Result<(), Unchangeable> {
        if self.of_role(role).next().is_none() {
            return Err(Unchangeable::NoKey);
        }
        if matches!(self.lifecycle, Lifecycle::Withdrawn | Lifecycle::Scrapped) {
            return Err(Unchangeable::Ended(self.lifecycle));
        }
        self.change_ordered(role).map_or(Ok(()), |at| Err(Unchangeable::Ordered(at)))
    }
}

/// Why the change of a key cannot be ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unchangeable {
    /// There was never a key of the role.
    #[error("it was never made")]
    NoKey,
    /// The PSD is at the end of its life.
    #[error("the PSD is {0}: no key of it signs any more")]
    Ended(Lifecycle),
    /// An order of before is not carried out.
    #[error("that was ordered at {0} already, and no key made since then has taken over")]
    Ordered(UnixMillis),
}

impl Unchangeable {
    /// What is wrong with a record that orders it.
    pub const fn contradiction(self) -> &'static str {
        match self {
            Unchangeable::NoKey => "the change of a key is ordered that was never made",
            Unchangeable::Ended(_) => "the change of a key is ordered of a PSD that signs nothing any more",
            Unchangeable::Ordered(_) => "the change of a key is ordered while one is ordered already",
        }
    }
}

/// The key of `psd`, which is as `state` says, that the authority revokes by the serial number of its certificate.
///
/// # Errors
///
/// There is none, it is revoked or destroyed, or the revocation is from a time after `now` on. In this order.
pub fn revocable(
    psd: PsdId,
    state: &State,
    (role, serial): (Role, u32),
    Revocation { since, .. }: Revocation,
    now: UnixMillis,
) -> Result<Arc<[u8]>, InstructionRefusal> {
    let Some(certified) = state.certified_key(role, serial) else {
        return Err(InstructionRefusal::UnknownCertificate { psd, role, serial });
    };
    if let Some(Revocation { since, .. }) = certified.life.revoked {
        return Err(InstructionRefusal::KeyRevoked { psd, role, serial, since });
    }
    if let Some(at) = certified.life.destroyed {
        return Err(InstructionRefusal::KeyDestroyed { psd, role, serial, at });
    }
    if since > now {
        return Err(InstructionRefusal::SinceAhead { since, now });
    }
    Ok(Arc::clone(&certified.key.key_id))
}

/// Whether the authority may order now that the key of a role of `psd`, which is as `state` says, changes.
///
/// # Errors
///
/// As [`State::admit_change_order`].
pub fn changeable(psd: PsdId, state: &State, role: Role) -> Result<(), InstructionRefusal> {
    state.admit_change_order(role).map_err(|why| InstructionRefusal::Unchangeable { psd, role, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custody::{Activation, KeyLife, RevocationReason};
    use crate::key::{Algorithm, Key};
    use crate::lifecycle::Locks;
    use crate::register::Registers;

    const NOW: UnixMillis = UnixMillis(100);

    fn certified(role: Role, number: u8) -> CertifiedKey {
        let key = Key {
            key_id: Arc::from([role.number(), number]),
            role,
            algorithm: Algorithm::EcdsaP256,
            token: "main".into(),
            spki: Arc::from([number]),
            certificate_serial: Some(u32::from(number)),
        };
        let life = KeyLife { certified: Some(UnixMillis(2)), ..KeyLife::begun(UnixMillis(1)) };
        CertifiedKey { key, chain: Arc::from([]), wrapped: None, life }
    }

    fn activated(mut certified: CertifiedKey, sequence: u64) -> CertifiedKey {
        certified.life.activated = Some(Activation { at: NOW, sequence, registers: Registers::default() });
        certified
    }

    fn state(keys: Vec<CertifiedKey>) -> State {
        State {
            sequence: 9,
            registers: Registers::default(),
            lifecycle: Lifecycle::Active,
            locks: Locks::NONE,
            keys: keys.into(),
            value_sequence: 0,
            pending: None,
            refunded: Arc::default(),
            inspected: UnixMillis(0),
            change_orders: Arc::default(),
            runs: Arc::default(),
        }
    }

    #[test]
    fn an_order_stands_until_a_key_made_after_it_takes_over_and_no_key_of_before_fulfils_it() {
        let (first, waiting) = (activated(certified(Role::Indicium, 1), 1), certified(Role::Indicium, 2));
        let device = activated(certified(Role::Device, 1), 2);
        let mut state = state(vec![first.clone(), device.clone(), waiting.clone()]);
        assert_eq!(state.change_ordered(Role::Indicium), None);
        assert!(!state.is_ordered_away(&first));
        state.order_change(Role::Indicium, NOW);
        assert_eq!((state.change_ordered(Role::Indicium), state.change_ordered(Role::Device)), (Some(NOW), None));
        let again = state.admit_change_order(Role::Indicium);
        assert_eq!(again, Err(Unchangeable::Ordered(NOW)));
        assert_eq!(state.admit_change_order(Role::Device), Ok(()), "each role by itself");
        // The one that waited takes over: it was made before the order.
        let waited = activated(waiting, 3);
        state.keys = vec![first.clone(), device.clone(), waited.clone()].into();
        assert_eq!(state.change_ordered(Role::Indicium), Some(NOW));
        let later = certified(Role::Indicium, 3);
        state.keys = vec![first.clone(), device.clone(), waited.clone(), later.clone()].into();
        assert_eq!(state.change_ordered(Role::Indicium), Some(NOW), "made, and not in use yet");
        let later = activated(later, 4);
        state.keys = vec![first.clone(), device.clone(), waited.clone(), later.clone()].into();
        assert_eq!(state.change_ordered(Role::Indicium), None);
        assert!(state.is_ordered_away(&first) && state.is_ordered_away(&waited));
        assert!(!state.is_ordered_away(&later) && !state.is_ordered_away(&device));
        assert_eq!(state.admit_change_order(Role::Indicium), Ok(()), "one more can be ordered");
    }

    #[test]
    fn nothing_is_ordered_of_a_role_without_keys_or_of_a_psd_at_its_end() {
        let mut state = state(vec![activated(certified(Role::Indicium, 1), 1)]);
        let psd = "PS010000000001".parse().unwrap();
        let code = |state: &State, role| changeable(psd, state, role).map_err(|refusal| refusal.code());
        assert_eq!(code(&state, Role::Indicium), Ok(()));
        assert_eq!(code(&state, Role::TokenMac), Err("key-role-unknown"));
        for ended in [Lifecycle::Withdrawn, Lifecycle::Scrapped] {
            state.lifecycle = ended;
            assert_eq!(code(&state, Role::Indicium), Err("psd-not-active"));
        }
        state.lifecycle = Lifecycle::Active;
        state.order_change(Role::Indicium, NOW);
        assert_eq!(code(&state, Role::Indicium), Err("key-change-ordered"));
    }

    #[test]
    fn a_key_is_revoked_once_while_it_is_there_and_from_now_or_before_on() {
        let reason = RevocationReason::KeyCompromise;
        let psd = "PS010000000001".parse().unwrap();
        let mut revoked = certified(Role::Indicium, 2);
        revoked.life.revoked = Some(Revocation { since: UnixMillis(7), reason });
        let mut destroyed = certified(Role::Indicium, 3);
        (destroyed.life.retired, destroyed.life.destroyed) = (Some(UnixMillis(8)), Some(UnixMillis(9)));
        let state = state(vec![activated(certified(Role::Indicium, 1), 1), revoked, destroyed]);
        let of = |role, serial, since| {
            let revocation = Revocation { since: UnixMillis(since), reason };
            revocable(psd, &state, (role, serial), revocation, NOW).map_err(|refusal| refusal.code())
        };
        assert_eq!(of(Role::Indicium, 1, 100).as_deref(), Ok(&[Role::Indicium.number(), 1][..]));
        assert!(of(Role::Indicium, 1, 0).is_ok(), "from any time before");
        assert_eq!(of(Role::Indicium, 1, 101), Err("revocation-ahead"));
        assert_eq!(of(Role::Indicium, 2, 101), Err("key-revoked-before"));
        assert_eq!(of(Role::Indicium, 3, 101), Err("key-destroyed"));
        assert_eq!(of(Role::Indicium, 4, 0), Err("certificate-unknown"));
        assert_eq!(of(Role::Device, 1, 0), Err("certificate-unknown"));
    }
}
