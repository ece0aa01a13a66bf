//! barge.
pub mod digest;
pub mod text;
