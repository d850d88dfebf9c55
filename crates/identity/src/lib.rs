//! Credentials that clouds issue for a time, kept fresh in the background.
//!
//! In: a [`Source`], which says where credentials come from. Out: an [`Identity`] that a request
//! reads without waiting, and the [`Keeper`] that asks the source, through the vendor's own SDK.
//! It must never show a secret, hand out what has ended, or ask without bounds.
//!
//! Each vendor's SDK stands behind a feature that is on by default: `aws`, `google`, `azure`.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
mod clock;
mod fixed;
#[cfg(feature = "google")]
mod google;
mod keeper;
mod schedule;
mod source;

use std::sync::Arc;

use relay_core::identity::Identity;

use crate::clock::Clock;
use crate::source::Ask;

pub use keeper::Keeper;
pub use source::{ENTRA_SCOPE, EntraApp, EntraChain, Source};

/// Why a source cannot be used at all, whatever it would be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// This program was built without the vendor's SDK.
    #[error(
        "identity {name}: this program was built without the feature {feature}: build it with the \
         default features"
    )]
    NotBuilt {
        /// The identity.
        name: Box<str>,
        /// The feature it takes.
        feature: &'static str,
    },
    /// A setting is empty or has no meaning.
    #[error("identity {name}: {setting} {fault}")]
    Setting {
        /// The identity.
        name: Box<str>,
        /// Which setting.
        setting: &'static str,
        /// What is wrong with it, and what to do.
        fault: Box<str>,
    },
}

/// Makes an identity and the task that keeps it fresh. Asks nothing yet: the caller runs
/// [`Keeper::run`] in the background, on a runtime with I/O and time.
///
/// # Errors
/// [`Unusable`] if the source could never answer.
pub fn identity(name: &str, source: Source) -> Result<(Arc<dyn Identity>, Keeper), Unusable> {
    source.check(name)?;
    let ask = open(source).map_err(|feature| Unusable::NotBuilt {
        name: name.into(),
        feature,
    })?;
    Ok(keeper::pair(name, ask, Clock::wall()))
}

/// Returns what asks the source, or the feature that it takes.
#[cfg_attr(
    all(feature = "aws", feature = "google", feature = "azure"),
    expect(clippy::unnecessary_wraps, reason = "with fewer features it fails")
)]
fn open(source: Source) -> Result<Box<dyn Ask>, &'static str> {
    Ok(match source {
        Source::AwsStatic {
            access_key_id,
            secret_access_key,
            session_token,
        } => Box::new(fixed::Fixed::aws(
            access_key_id,
            secret_access_key,
            session_token,
        )),
        #[cfg(feature = "aws")]
        Source::AwsChain { profile, region } => Box::new(aws::Chain::new(profile, region)),
        #[cfg(not(feature = "aws"))]
        Source::AwsChain { .. } => return Err("aws"),
        #[cfg(feature = "google")]
        Source::GoogleDefault { quota_project } => Box::new(google::Adc::new(quota_project)),
        #[cfg(not(feature = "google"))]
        Source::GoogleDefault { .. } => return Err("google"),
        #[cfg(feature = "azure")]
        Source::EntraSecret(app) => Box::new(azure::App::new(app)),
        #[cfg(feature = "azure")]
        Source::EntraChain(chain) => Box::new(azure::Chain::new(chain)),
        #[cfg(not(feature = "azure"))]
        Source::EntraSecret(_) | Source::EntraChain(_) => return Err("azure"),
    })
}
