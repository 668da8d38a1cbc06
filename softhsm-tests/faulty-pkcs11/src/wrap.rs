//! The wrappers: one for each function of PKCS#11 2.40, and the exported `C_GetFunctionList`.
//!
//! Owns what a fault looks like from outside. Refuses nothing by itself: what happens to a call is decided by
//! [`crate::script`], and a call without a rule goes to the real module with its arguments untouched.

use std::cell::Cell;
use std::ffi::c_void;

use cryptoki_sys::*;

use crate::script::{Action, Rule};
use crate::{real, watch};

macro_rules! wrappers {
    (
        plain { $($name:ident($($arg:ident: $ty:ty),*);)* }
        own { $($own:ident => $with:ident;)* }
    ) => {
        /// The functions a script may name.
        pub const NAMES: &[&str] = &[$(stringify!($name),)* $(stringify!($own),)*];

        /// Positions in [`NAMES`].
        #[allow(
            non_camel_case_types,
            clippy::enum_variant_names,
            reason = "the names are those of PKCS#11"
        )]
        #[derive(Clone, Copy)]
        enum Function { $($name,)* $($own,)* }

        #[allow(non_snake_case, reason = "the names are those of PKCS#11")]
        mod plain {
            use super::*;
            $(
                pub unsafe extern "C" fn $name($($arg: $ty),*) -> CK_RV {
                    around(Function::$name, || match real::modules().real.$name {
                        // SAFETY: these are the application's arguments for this very function.
                        Some(call) => unsafe { call($($arg),*) },
                        None => CKR_FUNCTION_NOT_SUPPORTED,
                    })
                }
            )*
        }

        /// The list for the application: a wrapper where the real module has a function, null where it has none.
        pub fn wrapped(real: &CK_FUNCTION_LIST) -> CK_FUNCTION_LIST {
            CK_FUNCTION_LIST {
                version: real.version,
                $($name: real.$name.map(|_| plain::$name as _),)*
                $($own: real.$own.map(|_| $with as _),)*
            }
        }
    };
}

wrappers! {
    plain {
        C_Initialize(a: *mut c_void);
        C_Finalize(a: *mut c_void);
        C_GetInfo(a: *mut CK_INFO);
        C_GetSlotList(a: CK_BBOOL, b: *mut CK_SLOT_ID, c: *mut CK_ULONG);
        C_GetSlotInfo(a: CK_SLOT_ID, b: *mut CK_SLOT_INFO);
        C_GetTokenInfo(a: CK_SLOT_ID, b: *mut CK_TOKEN_INFO);
        C_GetMechanismList(a: CK_SLOT_ID, b: *mut CK_MECHANISM_TYPE, c: *mut CK_ULONG);
        C_GetMechanismInfo(a: CK_SLOT_ID, b: CK_MECHANISM_TYPE, c: *mut CK_MECHANISM_INFO);
        C_InitToken(a: CK_SLOT_ID, b: *mut CK_UTF8CHAR, c: CK_ULONG, d: *mut CK_UTF8CHAR);
        C_InitPIN(a: CK_SESSION_HANDLE, b: *mut CK_UTF8CHAR, c: CK_ULONG);
        C_SetPIN(a: CK_SESSION_HANDLE, b: *mut CK_UTF8CHAR, c: CK_ULONG, d: *mut CK_UTF8CHAR, e: CK_ULONG);
        C_OpenSession(a: CK_SLOT_ID, b: CK_FLAGS, c: *mut c_void, d: CK_NOTIFY, e: *mut CK_SESSION_HANDLE);
        C_CloseSession(a: CK_SESSION_HANDLE);
        C_CloseAllSessions(a: CK_SLOT_ID);
        C_GetSessionInfo(a: CK_SESSION_HANDLE, b: *mut CK_SESSION_INFO);
        C_GetOperationState(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG);
        C_SetOperationState(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: CK_OBJECT_HANDLE, e: CK_OBJECT_HANDLE);
        C_Login(a: CK_SESSION_HANDLE, b: CK_USER_TYPE, c: *mut CK_UTF8CHAR, d: CK_ULONG);
        C_Logout(a: CK_SESSION_HANDLE);
        C_CreateObject(a: CK_SESSION_HANDLE, b: *mut CK_ATTRIBUTE, c: CK_ULONG, d: *mut CK_OBJECT_HANDLE);
        C_CopyObject(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE, c: *mut CK_ATTRIBUTE, d: CK_ULONG, e: *mut CK_OBJECT_HANDLE);
        C_DestroyObject(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE);
        C_GetObjectSize(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE, c: *mut CK_ULONG);
        C_GetAttributeValue(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE, c: *mut CK_ATTRIBUTE, d: CK_ULONG);
        C_SetAttributeValue(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE, c: *mut CK_ATTRIBUTE, d: CK_ULONG);
        C_FindObjectsInit(a: CK_SESSION_HANDLE, b: *mut CK_ATTRIBUTE, c: CK_ULONG);
        C_FindObjects(a: CK_SESSION_HANDLE, b: *mut CK_OBJECT_HANDLE, c: CK_ULONG, d: *mut CK_ULONG);
        C_FindObjectsFinal(a: CK_SESSION_HANDLE);
        C_EncryptInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE);
        C_Encrypt(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_EncryptUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_EncryptFinal(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG);
        C_DecryptInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE);
        C_Decrypt(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_DecryptUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_DecryptFinal(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG);
        C_DigestInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM);
        C_Digest(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_DigestUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG);
        C_DigestKey(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE);
        C_DigestFinal(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG);
        C_SignInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE);
        C_SignUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG);
        C_SignFinal(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG);
        C_SignRecoverInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE);
        C_SignRecover(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_VerifyInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE);
        C_Verify(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG);
        C_VerifyUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG);
        C_VerifyFinal(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG);
        C_VerifyRecoverInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE);
        C_VerifyRecover(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_DigestEncryptUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_DecryptDigestUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_SignEncryptUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_DecryptVerifyUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_GenerateKey(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: *mut CK_ATTRIBUTE, d: CK_ULONG, e: *mut CK_OBJECT_HANDLE);
        C_GenerateKeyPair(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: *mut CK_ATTRIBUTE, d: CK_ULONG, e: *mut CK_ATTRIBUTE, f: CK_ULONG, g: *mut CK_OBJECT_HANDLE, h: *mut CK_OBJECT_HANDLE);
        C_WrapKey(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE, d: CK_OBJECT_HANDLE, e: *mut CK_BYTE, f: *mut CK_ULONG);
        C_UnwrapKey(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE, d: *mut CK_BYTE, e: CK_ULONG, f: *mut CK_ATTRIBUTE, g: CK_ULONG, h: *mut CK_OBJECT_HANDLE);
        C_DeriveKey(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE, d: *mut CK_ATTRIBUTE, e: CK_ULONG, f: *mut CK_OBJECT_HANDLE);
        C_SeedRandom(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG);
        C_GenerateRandom(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG);
        C_GetFunctionStatus(a: CK_SESSION_HANDLE);
        C_CancelFunction(a: CK_SESSION_HANDLE);
        C_WaitForSlotEvent(a: CK_FLAGS, b: *mut CK_SLOT_ID, c: *mut c_void);
    }
    own {
        C_GetFunctionList => C_GetFunctionList;
        C_Sign => sign;
    }
}

/// The module's entry point (PKCS#11 2.40, 5.4): gives the wrapped list.
///
/// # Safety
///
/// `list` is null or points to writable memory for a pointer.
#[allow(non_snake_case, reason = "the name is that of PKCS#11")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    around(Function::C_GetFunctionList, || {
        if list.is_null() {
            return CKR_ARGUMENTS_BAD;
        }
        // The pointer type is the standard's; an application has no business writing through it.
        let wrapped = (&raw const real::modules().wrapped).cast_mut();
        // SAFETY: list is not null, and the caller vouches for the rest.
        unsafe { list.write(wrapped) };
        CKR_OK
    })
}

unsafe extern "C" fn sign(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_len: CK_ULONG,
    signature: *mut CK_BYTE,
    signature_len: *mut CK_ULONG,
) -> CK_RV {
    let call = || match real::modules().real.C_Sign {
        // SAFETY: these are the application's arguments for C_Sign.
        Some(call) => unsafe { call(session, data, data_len, signature, signature_len) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
    };
    if signature.is_null() || signature_len.is_null() {
        return call();
    }
    // SAFETY: not null, and by the standard the application's buffer length.
    let room = unsafe { *signature_len };
    match course(Function::C_Sign) {
        Course::Call => call(),
        Course::Give(code) => code,
        Course::CallThenGive(code) => {
            call();
            code
        }
        Course::CallThenGarble => {
            let rv = call();
            // SAFETY: the real module wrote the length on success.
            if rv == CKR_OK && unsafe { *signature_len } > 0 {
                // SAFETY: on success the buffer holds at least this one byte of signature.
                unsafe { *signature ^= 0x01 };
            }
            rv
        }
        Course::CallThenOverlong => {
            let rv = call();
            if rv == CKR_OK {
                // SAFETY: the real module wrote there as well.
                unsafe { *signature_len = room + 1 };
            }
            rv
        }
    }
}

/// How a call goes on once latency, hangs and deaths are behind it.
enum Course {
    Call,
    Give(CK_RV),
    CallThenGive(CK_RV),
    CallThenGarble,
    CallThenOverlong,
}

fn around(function: Function, call: impl FnOnce() -> CK_RV) -> CK_RV {
    match course(function) {
        Course::Give(code) => code,
        Course::CallThenGive(code) => {
            call();
            code
        }
        // The parser lets garble and overlong stand for C_Sign alone, which does not come this way.
        Course::Call | Course::CallThenGarble | Course::CallThenOverlong => call(),
    }
}

fn course(function: Function) -> Course {
    let Some(verdict) = watch::current().verdict(function as usize) else {
        return Course::Call;
    };
    if verdict.latency_us > 0 {
        sleep_us(verdict.latency_us);
    }
    let Some(rule) = verdict.fault else {
        return Course::Call;
    };
    match rule.action() {
        Action::Latency(_) => Course::Call,
        Action::Hang => {
            hang(rule);
            Course::Call
        }
        Action::Crash => std::process::abort(),
        Action::Segv => null_write(),
        #[expect(
            clippy::disallowed_methods,
            reason = "a module that ends its host's process is what is being played here"
        )]
        Action::Exit => std::process::exit(1),
        Action::Return(code) => Course::Give(code),
        Action::AfterReturn(code) => Course::CallThenGive(code),
        Action::Garble => Course::CallThenGarble,
        Action::Overlong => Course::CallThenOverlong,
    }
}

fn hang(rule: &Rule) {
    while watch::current().contains(rule) {
        sleep_us(2_000);
    }
}

/// Sleeps without the default 50 µs of timer slack, which would blur a latency of 1 ms by 6 %.
fn sleep_us(micros: u64) {
    thread_local! {
        static TIGHT: Cell<bool> = const { Cell::new(false) };
    }
    TIGHT.with(|tight| {
        if !tight.replace(true) {
            // SAFETY: PR_SET_TIMERSLACK takes a number of nanoseconds and touches only this thread.
            unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
        }
    });
    let mut left = libc::timespec {
        tv_sec: (micros / 1_000_000) as libc::time_t,
        tv_nsec: (micros % 1_000_000) as libc::c_long * 1_000,
    };
    // SAFETY: left is a valid timespec, read and, when a signal interrupts the sleep, updated to what is left.
    while unsafe { libc::nanosleep(&raw const left, &raw mut left) } != 0 {}
}

/// Dies as a module with a stray pointer does. In assembly, because a null write in Rust is undefined and may be compiled away.
fn null_write() -> ! {
    // SAFETY: not sound by intent: page zero is never mapped, so the store raises SIGSEGV.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("mov byte ptr [{0}], 0", in(reg) 0_usize)
    };
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("strb wzr, [{0}]", in(reg) 0_usize)
    };
    std::process::abort()
}
