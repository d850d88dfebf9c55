//! AWS Bedrock: `InvokeModel` both ways, and which models its Messages API has.

pub mod frames;
pub mod invoke;
pub mod mantle;
pub mod stream;
