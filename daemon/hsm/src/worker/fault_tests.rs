//! A row per error that decides what happens to a worker, to a session or to a PIN.

use super::*;
use cryptoki::context::Function;

fn judge(rv: RvError) -> Fault {
    Classifier::default().judge(&Error::Pkcs11(rv, Function::Sign))
}

#[test]
fn every_error_that_is_not_the_request_s_own_has_its_class() {
    use ErrorClass::{Login, Module, Session, Token};
    let rows = [
        (RvError::OperationActive, Session, true),
        (RvError::OperationNotInitialized, Session, true),
        (RvError::SessionClosed, Session, true),
        (RvError::SessionCount, Session, true),
        (RvError::SessionHandleInvalid, Session, true),
        (RvError::BufferTooSmall, Session, true),
        (RvError::PinIncorrect, Login, false),
        (RvError::PinInvalid, Login, false),
        (RvError::PinLenRange, Login, false),
        (RvError::PinExpired, Login, false),
        (RvError::PinLocked, Login, false),
        (RvError::UserPinNotInitialized, Login, false),
        (RvError::UserTypeInvalid, Login, false),
        (RvError::NewPinMode, Login, false),
        (RvError::NextOtp, Login, false),
        (RvError::UserAlreadyLoggedIn, Login, true),
        (RvError::UserNotLoggedIn, Login, true),
        (RvError::UserAnotherAlreadyLoggedIn, Login, true),
        (RvError::UserTooManyTypes, Login, true),
        (RvError::HostMemory, Module, true),
        (RvError::GeneralError, Module, true),
        (RvError::NeedToCreateThreads, Module, false),
        (RvError::CantLock, Module, false),
        (RvError::KeyHandleInvalid, Module, true),
        (RvError::UnwrappingKeyHandleInvalid, Module, true),
        (RvError::WrappingKeyHandleInvalid, Module, true),
        (RvError::KeyChanged, Module, true),
        (RvError::ObjectHandleInvalid, Module, true),
        (RvError::SessionParallelNotSupported, Module, false),
        (RvError::SessionReadWriteSoExists, Module, true),
        (RvError::CryptokiNotInitialized, Module, true),
        (RvError::CryptokiAlreadyInitialized, Module, true),
        (RvError::MutexBad, Module, true),
        (RvError::MutexNotLocked, Module, true),
        (RvError::LibraryLoadFailed, Module, true),
        (RvError::VendorDefined(0x8000_0001), Module, true),
        (RvError::UnknownErrorCode(0x7000_0001), Module, true),
        (RvError::SlotIdInvalid, Token, true),
        (RvError::DeviceError, Token, true),
        (RvError::DeviceRemoved, Token, true),
        (RvError::TokenNotPresent, Token, true),
        (RvError::TokenNotRecognized, Token, true),
        (RvError::FipsSelfTestFailed, Token, true),
    ];
    for (rv, class, retryable) in rows {
        let fault = judge(rv);
        assert_eq!((fault.class, fault.retryable), (class, retryable), "{}", fault.code);
    }
}

#[test]
fn errors_of_the_request_alone_end_nothing() {
    use RvError as R;
    let may_succeed_later =
        [R::Cancel, R::FunctionFailed, R::DeviceMemory, R::FunctionCanceled, R::ExceededMaxIterations];
    let never = [
        R::ArgumentsBad,
        R::NoEvent,
        R::AttributeReadOnly,
        R::AttributeSensitive,
        R::AttributeTypeInvalid,
        R::AttributeValueInvalid,
        R::ActionProhibited,
        R::DataInvalid,
        R::DataLenRange,
        R::EncryptedDataInvalid,
        R::EncryptedDataLenRange,
        R::FunctionNotParallel,
        R::FunctionNotSupported,
        R::CurveNotSupported,
        R::KeySizeRange,
        R::KeyTypeInconsistent,
        R::KeyNotNeeded,
        R::KeyNeeded,
        R::KeyIndigestible,
        R::KeyFunctionNotPermitted,
        R::KeyNotWrappable,
        R::KeyUnextractable,
        R::MechanismInvalid,
        R::MechanismParamInvalid,
        R::SessionReadOnly,
        R::SessionExists,
        R::SessionReadOnlyExists,
        R::SignatureInvalid,
        R::SignatureLenRange,
        R::TemplateIncomplete,
        R::TemplateInconsistent,
        R::TokenWriteProtected,
        R::UnwrappingKeySizeRange,
        R::UnwrappingKeyTypeInconsistent,
        R::WrappedKeyInvalid,
        R::WrappedKeyLenRange,
        R::WrappingKeySizeRange,
        R::WrappingKeyTypeInconsistent,
        R::RandomSeedNotSupported,
        R::RandomNoRng,
        R::DomainParamsInvalid,
        R::SavedStateInvalid,
        R::InformationSensitive,
        R::StateUnsaveable,
        R::PinTooWeak,
        R::PublicKeyInvalid,
        R::FunctionRejected,
    ];
    let rows = may_succeed_later.map(|rv| (rv, true)).into_iter().chain(never.map(|rv| (rv, false)));
    for (rv, retryable) in rows {
        let fault = judge(rv);
        assert_eq!((fault.class, fault.retryable), (ErrorClass::Request, retryable), "{}", fault.code);
    }
}

#[test]
fn faults_carry_the_standard_s_names() {
    let fault = judge(RvError::DeviceError);
    assert_eq!((fault.code.as_str(), fault.step.as_str()), ("CKR_DEVICE_ERROR", "C_Sign"));
    assert_eq!(judge(RvError::VendorDefined(0x8000_0001)).code, "CKR_VENDOR_0x80000001");
}

#[test]
fn a_profile_overrides_the_table() {
    let overrides = BTreeMap::from([
        ("CKR_VENDOR_0x80000001".to_owned(), ErrorClass::Request),
        ("CKR_FUNCTION_FAILED".to_owned(), ErrorClass::Session),
    ]);
    let classifier = Classifier::new(overrides);
    let judge = |rv| classifier.judge(&Error::Pkcs11(rv, Function::Sign)).class;
    assert_eq!(judge(RvError::VendorDefined(0x8000_0001)), ErrorClass::Request);
    assert_eq!(judge(RvError::FunctionFailed), ErrorClass::Session);
    assert_eq!(judge(RvError::GeneralError), ErrorClass::Module);
}

#[test]
fn only_errors_that_never_saw_the_pin_leave_no_latch() {
    use RvError as R;
    let never_saw_it = [R::DeviceRemoved, R::TokenNotPresent, R::SessionHandleInvalid, R::CryptokiNotInitialized];
    let may_have = [R::PinIncorrect, R::PinLocked, R::PinExpired, R::GeneralError, R::FunctionFailed, R::DeviceError];
    for rv in never_saw_it {
        assert!(!login_may_have_cost_a_try(&Error::Pkcs11(rv, Function::Login)), "{rv:?}");
    }
    for rv in may_have.into_iter().chain([R::VendorDefined(0x8000_0001)]) {
        assert!(login_may_have_cost_a_try(&Error::Pkcs11(rv, Function::Login)), "{rv:?}");
    }
}
