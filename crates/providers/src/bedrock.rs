//! AWS Bedrock: `InvokeModel` both ways.

pub mod frames;
pub mod invoke;
pub mod stream;
