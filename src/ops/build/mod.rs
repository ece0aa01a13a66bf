//! Images from a recipe: what each of its steps puts into layers.

// the command that builds comes on top of this
#![allow(dead_code)]

mod context;
mod copy;
pub(crate) mod origin;
mod owner;
mod parents;
mod sources;
#[cfg(test)]
mod tests;
mod work_dir;
