//! What the kernel says of its own clock (adjtimex(2), read only).
//!
//! The only unsafe call of `psdd`: no well-kept crate reads this state without also being able to set the clock.

/// The error bound in milliseconds, and whether the kernel believes that it is synchronised.
#[expect(unsafe_code, reason = "adjtimex(2) with modes 0 only reads")]
pub(super) fn kernel_clock() -> (u32, bool) {
    // SAFETY: timex is a plain C structure, for which all zero bytes are a valid value.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a valid timex that lives through the call; modes 0 asks and changes nothing.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    let error_ms = u32::try_from(state.maxerror / 1000).unwrap_or(u32::MAX);
    let synchronised = answer >= 0 && answer != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0;
    (error_ms, synchronised)
}
