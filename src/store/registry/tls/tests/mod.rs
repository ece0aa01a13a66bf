//! TLS against servers in this process, with certificates that OpenSSL made.

pub(in crate::store::registry) mod authority;
mod connections;
mod damage;
mod foreign;
pub(in crate::store::registry) mod peer;
