//! Tests that start daemons: `.config/nextest.toml` knows them by the name of this module.

mod check;
mod containerd;
mod debian;
mod docker;
mod fixtures;
mod loaders;
mod parts;
