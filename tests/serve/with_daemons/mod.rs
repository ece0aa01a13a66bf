//! docker and containerd: `.config/nextest.toml` knows these tests by the name of this module.

mod containerd;
mod docker;
