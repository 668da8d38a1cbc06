//! Whose fault a PKCS#11 error is, and what is done about it: one table.
//!
//! Owns the table. Every CKR the standard has is a row, so that a new one does not compile until it is judged. A
//! profile may give a family's own classes; the names are those of the standard.

use crate::protocol::{FaultClass, HsmFault};
use cryptoki::error::{Error, RvError};
use hsm_profiles::ErrorClass;
use std::collections::BTreeMap;

/// What is known of a failed PKCS#11 call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Whose fault.
    pub class: ErrorClass,
    /// The CKR name.
    pub code: String,
    /// The PKCS#11 function.
    pub step: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

impl Fault {
    /// What psdd is told.
    pub fn to_wire(&self) -> HsmFault {
        let class = match self.class {
            ErrorClass::Session => FaultClass::Session,
            ErrorClass::Login => FaultClass::Login,
            ErrorClass::Module => FaultClass::Module,
            ErrorClass::Request => FaultClass::Request,
            ErrorClass::Token => FaultClass::Token,
        };
        HsmFault { class, code: self.code.clone(), step: self.step.clone(), retryable: self.retryable }
    }
}

/// Judges errors of one token.
#[derive(Clone, Default)]
pub struct Classifier {
    overrides: BTreeMap<String, ErrorClass>,
}

impl Classifier {
    /// The default table, and what the profile says instead.
    pub fn new(overrides: BTreeMap<String, ErrorClass>) -> Self {
        Self { overrides }
    }

    /// Judges an error.
    pub fn judge(&self, error: &Error) -> Fault {
        let (code, step, class, retryable) = match error {
            Error::Pkcs11(rv, function) => {
                let (name, class, retryable) = row(*rv);
                (name.into_owned(), format!("C_{function:?}"), class, retryable)
            }
            Error::LibraryLoading(_) | Error::MissingSymbol(_) | Error::NullFunctionPointer => {
                (format!("module: {error}"), "load".to_owned(), ErrorClass::Module, false)
            }
            // The module gave a value that is not of its type: nothing it says can be trusted.
            Error::TryFromInt(_)
            | Error::TryFromSlice(_)
            | Error::ParseInt(_)
            | Error::Utf8(_)
            | Error::NulError(_)
            | Error::InvalidValue => (format!("bad-output: {error}"), "read".to_owned(), ErrorClass::Module, true),
            Error::NotSupported | Error::PinNotSet => {
                (format!("unsupported: {error}"), "call".to_owned(), ErrorClass::Request, false)
            }
        };
        match self.overrides.get(&code) {
            None => Fault { class, code, step, retryable },
            Some(class) => Fault { class: *class, code, step, retryable: retryable || *class != ErrorClass::Request },
        }
    }
}

/// Whether a login that failed like this may have cost a try of the PIN. Only errors that say plainly that the PIN was
/// never looked at do not latch.
pub fn login_may_have_cost_a_try(error: &Error) -> bool {
    use RvError as R;
    match error {
        Error::Pkcs11(rv, _) => !matches!(
            rv,
            R::HostMemory
                | R::SlotIdInvalid
                | R::CryptokiNotInitialized
                | R::DeviceMemory
                | R::DeviceRemoved
                | R::SessionClosed
                | R::SessionHandleInvalid
                | R::TokenNotPresent
                | R::TokenNotRecognized
                | R::UserAlreadyLoggedIn
                | R::UserAnotherAlreadyLoggedIn
        ),
        Error::LibraryLoading(_)
        | Error::NotSupported
        | Error::TryFromInt(_)
        | Error::TryFromSlice(_)
        | Error::ParseInt(_)
        | Error::Utf8(_)
        | Error::NulError(_)
        | Error::NullFunctionPointer
        | Error::MissingSymbol(_)
        | Error::InvalidValue
        | Error::PinNotSet => false,
    }
}

/// The name of an error, its class, and whether the same request may succeed later.
fn row(rv: RvError) -> (std::borrow::Cow<'static, str>, ErrorClass, bool) {
    use ErrorClass::{Login, Module, Request, Session, Token};
    use RvError as R;
    let (name, class, retryable) = match rv {
        R::Cancel => ("CKR_CANCEL", Request, true),
        R::HostMemory => ("CKR_HOST_MEMORY", Module, true),
        R::SlotIdInvalid => ("CKR_SLOT_ID_INVALID", Token, true),
        R::GeneralError => ("CKR_GENERAL_ERROR", Module, true),
        // Some HSMs say this when they are busy, and try again inside; a new process would not help.
        R::FunctionFailed => ("CKR_FUNCTION_FAILED", Request, true),
        R::ArgumentsBad => ("CKR_ARGUMENTS_BAD", Request, false),
        R::NoEvent => ("CKR_NO_EVENT", Request, false),
        R::NeedToCreateThreads => ("CKR_NEED_TO_CREATE_THREADS", Module, false),
        R::CantLock => ("CKR_CANT_LOCK", Module, false),
        R::AttributeReadOnly => ("CKR_ATTRIBUTE_READ_ONLY", Request, false),
        R::AttributeSensitive => ("CKR_ATTRIBUTE_SENSITIVE", Request, false),
        R::AttributeTypeInvalid => ("CKR_ATTRIBUTE_TYPE_INVALID", Request, false),
        R::AttributeValueInvalid => ("CKR_ATTRIBUTE_VALUE_INVALID", Request, false),
        R::ActionProhibited => ("CKR_ACTION_PROHIBITED", Request, false),
        R::DataInvalid => ("CKR_DATA_INVALID", Request, false),
        R::DataLenRange => ("CKR_DATA_LEN_RANGE", Request, false),
        R::DeviceError => ("CKR_DEVICE_ERROR", Token, true),
        R::DeviceMemory => ("CKR_DEVICE_MEMORY", Request, true),
        R::DeviceRemoved => ("CKR_DEVICE_REMOVED", Token, true),
        R::EncryptedDataInvalid => ("CKR_ENCRYPTED_DATA_INVALID", Request, false),
        R::EncryptedDataLenRange => ("CKR_ENCRYPTED_DATA_LEN_RANGE", Request, false),
        R::FunctionCanceled => ("CKR_FUNCTION_CANCELED", Request, true),
        R::FunctionNotParallel => ("CKR_FUNCTION_NOT_PARALLEL", Request, false),
        R::FunctionNotSupported => ("CKR_FUNCTION_NOT_SUPPORTED", Request, false),
        R::CurveNotSupported => ("CKR_CURVE_NOT_SUPPORTED", Request, false),
        // A handle from our sweep that is not one any more: only a new sweep, in a new process, is to be trusted.
        R::KeyHandleInvalid => ("CKR_KEY_HANDLE_INVALID", Module, true),
        R::KeySizeRange => ("CKR_KEY_SIZE_RANGE", Request, false),
        R::KeyTypeInconsistent => ("CKR_KEY_TYPE_INCONSISTENT", Request, false),
        R::KeyNotNeeded => ("CKR_KEY_NOT_NEEDED", Request, false),
        R::KeyChanged => ("CKR_KEY_CHANGED", Module, true),
        R::KeyNeeded => ("CKR_KEY_NEEDED", Request, false),
        R::KeyIndigestible => ("CKR_KEY_INDIGESTIBLE", Request, false),
        R::KeyFunctionNotPermitted => ("CKR_KEY_FUNCTION_NOT_PERMITTED", Request, false),
        R::KeyNotWrappable => ("CKR_KEY_NOT_WRAPPABLE", Request, false),
        R::KeyUnextractable => ("CKR_KEY_UNEXTRACTABLE", Request, false),
        R::MechanismInvalid => ("CKR_MECHANISM_INVALID", Request, false),
        R::MechanismParamInvalid => ("CKR_MECHANISM_PARAM_INVALID", Request, false),
        R::ObjectHandleInvalid => ("CKR_OBJECT_HANDLE_INVALID", Module, true),
        // What a thread left behind in its session ends with the session.
        R::OperationActive => ("CKR_OPERATION_ACTIVE", Session, true),
        R::OperationNotInitialized => ("CKR_OPERATION_NOT_INITIALIZED", Session, true),
        R::PinIncorrect => ("CKR_PIN_INCORRECT", Login, false),
        R::PinInvalid => ("CKR_PIN_INVALID", Login, false),
        R::PinLenRange => ("CKR_PIN_LEN_RANGE", Login, false),
        R::PinExpired => ("CKR_PIN_EXPIRED", Login, false),
        R::PinLocked => ("CKR_PIN_LOCKED", Login, false),
        R::SessionClosed => ("CKR_SESSION_CLOSED", Session, true),
        R::SessionCount => ("CKR_SESSION_COUNT", Session, true),
        R::SessionHandleInvalid => ("CKR_SESSION_HANDLE_INVALID", Session, true),
        R::SessionParallelNotSupported => ("CKR_SESSION_PARALLEL_NOT_SUPPORTED", Module, false),
        R::SessionReadOnly => ("CKR_SESSION_READ_ONLY", Request, false),
        R::SessionExists => ("CKR_SESSION_EXISTS", Request, false),
        R::SessionReadOnlyExists => ("CKR_SESSION_READ_ONLY_EXISTS", Request, false),
        R::SessionReadWriteSoExists => ("CKR_SESSION_READ_WRITE_SO_EXISTS", Module, true),
        R::SignatureInvalid => ("CKR_SIGNATURE_INVALID", Request, false),
        R::SignatureLenRange => ("CKR_SIGNATURE_LEN_RANGE", Request, false),
        R::TemplateIncomplete => ("CKR_TEMPLATE_INCOMPLETE", Request, false),
        R::TemplateInconsistent => ("CKR_TEMPLATE_INCONSISTENT", Request, false),
        R::TokenNotPresent => ("CKR_TOKEN_NOT_PRESENT", Token, true),
        R::TokenNotRecognized => ("CKR_TOKEN_NOT_RECOGNIZED", Token, true),
        R::TokenWriteProtected => ("CKR_TOKEN_WRITE_PROTECTED", Request, false),
        // As a key's handle: it says nothing of the blob that was to be unwrapped.
        R::UnwrappingKeyHandleInvalid => ("CKR_UNWRAPPING_KEY_HANDLE_INVALID", Module, true),
        R::UnwrappingKeySizeRange => ("CKR_UNWRAPPING_KEY_SIZE_RANGE", Request, false),
        R::UnwrappingKeyTypeInconsistent => ("CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT", Request, false),
        R::UserAlreadyLoggedIn => ("CKR_USER_ALREADY_LOGGED_IN", Login, true),
        R::UserNotLoggedIn => ("CKR_USER_NOT_LOGGED_IN", Login, true),
        R::UserPinNotInitialized => ("CKR_USER_PIN_NOT_INITIALIZED", Login, false),
        R::UserTypeInvalid => ("CKR_USER_TYPE_INVALID", Login, false),
        R::UserAnotherAlreadyLoggedIn => ("CKR_USER_ANOTHER_ALREADY_LOGGED_IN", Login, true),
        R::UserTooManyTypes => ("CKR_USER_TOO_MANY_TYPES", Login, true),
        R::WrappedKeyInvalid => ("CKR_WRAPPED_KEY_INVALID", Request, false),
        R::WrappedKeyLenRange => ("CKR_WRAPPED_KEY_LEN_RANGE", Request, false),
        R::WrappingKeyHandleInvalid => ("CKR_WRAPPING_KEY_HANDLE_INVALID", Module, true),
        R::WrappingKeySizeRange => ("CKR_WRAPPING_KEY_SIZE_RANGE", Request, false),
        R::WrappingKeyTypeInconsistent => ("CKR_WRAPPING_KEY_TYPE_INCONSISTENT", Request, false),
        R::RandomSeedNotSupported => ("CKR_RANDOM_SEED_NOT_SUPPORTED", Request, false),
        R::RandomNoRng => ("CKR_RANDOM_NO_RNG", Request, false),
        R::DomainParamsInvalid => ("CKR_DOMAIN_PARAMS_INVALID", Request, false),
        R::BufferTooSmall => ("CKR_BUFFER_TOO_SMALL", Session, true),
        R::SavedStateInvalid => ("CKR_SAVED_STATE_INVALID", Request, false),
        R::InformationSensitive => ("CKR_INFORMATION_SENSITIVE", Request, false),
        R::StateUnsaveable => ("CKR_STATE_UNSAVEABLE", Request, false),
        R::CryptokiNotInitialized => ("CKR_CRYPTOKI_NOT_INITIALIZED", Module, true),
        R::CryptokiAlreadyInitialized => ("CKR_CRYPTOKI_ALREADY_INITIALIZED", Module, true),
        R::MutexBad => ("CKR_MUTEX_BAD", Module, true),
        R::MutexNotLocked => ("CKR_MUTEX_NOT_LOCKED", Module, true),
        R::NewPinMode => ("CKR_NEW_PIN_MODE", Login, false),
        R::NextOtp => ("CKR_NEXT_OTP", Login, false),
        R::ExceededMaxIterations => ("CKR_EXCEEDED_MAX_ITERATIONS", Request, true),
        R::FipsSelfTestFailed => ("CKR_FIPS_SELF_TEST_FAILED", Token, true),
        R::LibraryLoadFailed => ("CKR_LIBRARY_LOAD_FAILED", Module, true),
        R::PinTooWeak => ("CKR_PIN_TOO_WEAK", Request, false),
        R::PublicKeyInvalid => ("CKR_PUBLIC_KEY_INVALID", Request, false),
        R::FunctionRejected => ("CKR_FUNCTION_REJECTED", Request, false),
        // Nothing is known of it, so nothing of the module is trusted; a profile that knows better says so.
        R::VendorDefined(code) => return (format!("CKR_VENDOR_{code:#010x}").into(), Module, true),
        R::UnknownErrorCode(code) => return (format!("CKR_UNKNOWN_{code:#010x}").into(), Module, true),
    };
    (name.into(), class, retryable)
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
