//! TLS against servers in this process, with certificates that OpenSSL made.

pub(crate) mod authority;
mod connections;
mod damage;
mod foreign;
mod named;
pub(in crate::store::registry) mod peer;
