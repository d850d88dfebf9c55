//! Every source against a fake of its cloud, through the vendor's own SDK.

mod aws;
mod azure;
mod child;
mod google;
