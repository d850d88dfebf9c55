//! Why a call is refused, as a gRPC status that says what to do.
//!
//! Each carries `google.rpc.ErrorInfo`: a stable reason, the domain `cc-relay`, and under `fix` what
//! a person can do about it.

use std::collections::HashMap;

use relay_config::OverrideError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Whose reasons these are.
const DOMAIN: &str = "cc-relay";

/// Refuses a call.
pub(crate) fn refuse(code: Code, reason: &str, message: impl Into<String>, fix: &str) -> Status {
    let metadata = HashMap::from([("fix".to_owned(), fix.to_owned())]);
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

/// Refuses an argument.
pub(crate) fn argument(field: &str, message: impl Into<String>, fix: &str) -> Status {
    let message = message.into();
    let mut details = ErrorDetails::new();
    details.set_error_info(
        "INVALID_ARGUMENT",
        DOMAIN,
        HashMap::from([("fix".to_owned(), fix.to_owned())]),
    );
    details.add_bad_request_violation(field, &message);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// Says that something of a name is not there.
pub(crate) fn missing(what: &str, name: &str, fix: &str) -> Status {
    refuse(
        Code::NotFound,
        "NOT_FOUND",
        format!("there is no {what} `{name}`"),
        fix,
    )
}

/// Says why a change cannot be laid over the configuration.
pub(crate) fn change(error: &OverrideError) -> Status {
    let (code, reason) = if error.is_missing() {
        (Code::NotFound, "NOT_FOUND")
    } else {
        (Code::FailedPrecondition, "CHANGE_REFUSED")
    };
    refuse(code, reason, error.to_string(), &error.fix())
}
