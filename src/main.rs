//! The barge program.
fn main() {}
