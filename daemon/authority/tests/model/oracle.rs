//! What the funds system must answer, written from the rules and not from the code: sets of numbers instead of states of rows.

use crate::psd_model::Message;
use psd::{MailingDate, UnixMillis};
use psdd_wire::cose::{VALUE_REQUEST, VALUE_VOID, WITHDRAWAL_REPORT, WITHDRAWAL_REQUEST};
use std::collections::{BTreeMap, BTreeSet};

/// Milliseconds of an authorisation's life in these runs.
pub const LIFE: u64 = 72 * 3_600_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    Account,
    Refunds,
    Back,
}

#[derive(Clone, Debug)]
pub struct Granted {
    pub amount: u64,
    pub source: Source,
    pub request: Vec<u8>,
    pub expires: u64,
    pub mark: Option<(u64, Vec<u8>)>,
}

/// What the authority knows of a PSD.
#[derive(Clone, Default, Debug)]
pub struct Known {
    pub granted: BTreeMap<u64, Granted>,
    pub void: BTreeSet<u64>,
    pub proven: BTreeSet<u64>,
    pub closed: bool,
}

#[derive(Default, Debug)]
pub struct Oracle {
    pub psds: Vec<Known>,
    pub deposits: [u64; 2],
    pub locked: [bool; 2],
}

/// A licence for each PSD.
pub fn licence_of(psd: usize) -> usize {
    psd
}

impl Known {
    pub fn booked(&self) -> u64 {
        let live = |(number, granted): (&u64, &Granted)| (!self.void.contains(number)).then(|| granted.clone());
        let live: Vec<Granted> = self.granted.iter().filter_map(live).collect();
        let sum =
            |back: bool| live.iter().filter(|g| (g.source == Source::Back) == back).map(|g| g.amount).sum::<u64>();
        sum(false) - sum(true)
    }

    fn highest(&self) -> u64 {
        self.granted.keys().chain(&self.void).max().copied().unwrap_or(0)
    }

    fn leaving(&self) -> bool {
        self.granted.values().any(|granted| granted.source == Source::Back)
    }

    /// The number that is authorised and not ended.
    fn open(&self) -> Option<u64> {
        let ended = |number: &u64| self.void.contains(number) || self.proven.contains(number);
        self.granted.keys().copied().filter(|number| !ended(number)).max()
    }
}

impl Oracle {
    pub fn balance(&self, licence: usize) -> u64 {
        let known = &self.psds[licence];
        let live = known.granted.iter().filter(|(number, _)| !known.void.contains(number)).map(|(_, granted)| granted);
        let mut balance = self.deposits[licence];
        for granted in live {
            match granted.source {
                Source::Account => balance -= granted.amount,
                Source::Refunds => {}
                Source::Back => balance += granted.amount,
            }
        }
        balance
    }

    pub fn refunded(&self) -> u64 {
        let live = |known: &Known| -> u64 {
            let refunds = known
                .granted
                .iter()
                .filter(|(number, granted)| granted.source == Source::Refunds && !known.void.contains(number));
            refunds.map(|(_, granted)| granted.amount).sum()
        };
        self.psds.iter().map(live).sum()
    }

    /// The code that a message must get, or none where it must be granted; and the books afterwards.
    pub fn hear(&mut self, message: &Message, now: u64) -> Option<&'static str> {
        let number = message.claims.sequence;
        let said = message.claims.registers.control_total.mills();
        let known = &self.psds[message.psd];
        let repeated = known.granted.get(&number).cloned();
        match message.content_type {
            WITHDRAWAL_REPORT => self.report(message),
            VALUE_VOID if known.void.contains(&number) => None,
            VALUE_VOID if repeated.is_some() => self.void(message, &repeated.expect("is some")),
            _ if known.void.contains(&number) => Some("download-void"),
            _ if repeated.is_some() => self.again(message, &repeated.expect("is some"), now),
            _ if known.leaving() => Some("psd-withdrawn"),
            _ if number != known.highest() + 1 => Some("download-gap"),
            _ => {
                let (booked, open) = (known.booked(), known.open());
                if said != booked {
                    let before = open.map(|open| booked - known.granted[&open].amount);
                    return Some(if before == Some(said) { "download-open" } else { "control-total" });
                }
                self.psds[message.psd].proven.extend(open);
                self.anew(message, now)
            }
        }
    }

    fn report(&mut self, message: &Message) -> Option<&'static str> {
        let known = &mut self.psds[message.psd];
        let withdrawal = known.granted.get(&message.claims.sequence).filter(|granted| granted.source == Source::Back);
        let Some(withdrawal) = withdrawal else { return Some("withdrawal-unknown") };
        let registers = &message.claims.registers;
        let empty = registers.descending.mills() == 0 && registers.control_total.mills() == known.booked();
        if !empty || message.claims.amount.mills() != withdrawal.amount {
            return Some("withdrawal-registers");
        }
        known.proven.insert(message.claims.sequence);
        known.closed = true;
        None
    }

    fn void(&mut self, message: &Message, granted: &Granted) -> Option<&'static str> {
        let (number, known) = (message.claims.sequence, &mut self.psds[message.psd]);
        let (said, booked) = (message.claims.registers.control_total.mills(), known.booked());
        if granted.source == Source::Back {
            return Some("void-of-withdrawal");
        }
        if known.proven.contains(&number) {
            return Some("void-of-applied");
        }
        if message.claims.amount.mills() != granted.amount {
            return Some("download-conflict");
        }
        if said == booked - granted.amount {
            known.void.insert(number);
            return None;
        }
        Some(if said == booked { "void-of-applied" } else { "control-total" })
    }

    fn again(&mut self, message: &Message, granted: &Granted, now: u64) -> Option<&'static str> {
        let number = message.claims.sequence;
        let locked = self.locked[licence_of(message.psd)] && message.content_type == VALUE_REQUEST;
        let known = &mut self.psds[message.psd];
        if granted.request != message.bytes {
            return Some("download-conflict");
        }
        if locked {
            return Some("licence-locked");
        }
        if now <= granted.expires {
            return None;
        }
        if known.proven.contains(&number) {
            return Some(if granted.source == Source::Back { "psd-withdrawn" } else { "download-applied" });
        }
        known.granted.get_mut(&number).expect("known").expires = now + LIFE;
        None
    }

    fn anew(&mut self, message: &Message, now: u64) -> Option<&'static str> {
        let (number, amount) = (message.claims.sequence, message.claims.amount.mills());
        let licence = licence_of(message.psd);
        let source = match (message.content_type, &message.claims.refund) {
            (VALUE_VOID, _) => {
                self.psds[message.psd].void.insert(number);
                return None;
            }
            (WITHDRAWAL_REQUEST, _) => Source::Back,
            (_, Some(_)) => Source::Refunds,
            (_, None) => Source::Account,
        };
        if source != Source::Back && amount == 0 {
            return Some("no-amount");
        }
        if source != Source::Back && self.locked[licence] {
            return Some("licence-locked");
        }
        if source == Source::Account && amount > self.balance(licence) {
            return Some("funds-short");
        }
        let mark = message.claims.refund.as_ref().map(|refund| (refund.leaf, refund.indicium[..49].to_vec()));
        if let Some((leaf, signed)) = &mark {
            let integer = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
            if integer(&signed[14..19]) > message.claims.registers.ascending.mills() {
                return Some("refund-mark");
            }
            let date = u32::try_from(integer(&signed[22..26])).expect("four bytes");
            let day = |date: Option<MailingDate>| date.expect("a day").day_number();
            if day(MailingDate::of(UnixMillis(now))) - day(MailingDate::from_yyyymmdd(date)) > 60 {
                return Some("refund-window");
            }
            let same = |known: &Known| {
                let live = known.granted.iter().filter(|(number, _)| !known.void.contains(number));
                live.filter_map(|(_, granted)| granted.mark.as_ref()).any(|(l, s)| l == leaf || s == signed)
            };
            if self.psds.iter().any(same) {
                return Some("refund-twice");
            }
        }
        let granted = Granted { amount, source, request: message.bytes.clone(), expires: now + LIFE, mark };
        self.psds[message.psd].granted.insert(number, granted);
        None
    }
}
