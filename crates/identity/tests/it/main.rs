//! Every source against a fake of its cloud, through the vendor's own SDK. Nothing here depends on
//! speed: what counts is how often an issuer was asked, and what came of it.

#![expect(clippy::similar_names, reason = "a test may be terse")]

#[cfg(test)]
mod aws;
#[cfg(test)]
mod azure;
#[cfg(test)]
mod child;
#[cfg(test)]
mod google;
#[cfg(test)]
mod trace;
