//! Lists of images: read from files, directories and standard input, and looked up.

mod find;
mod read;

pub use find::{Found, find};
pub use read::{Lists, read};
