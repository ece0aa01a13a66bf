//! Registries: the only part of barge that opens a connection (distribution-spec v1.1.1).

#[cfg_attr(not(test), allow(dead_code, unused_imports, reason = "the client comes next"))]
pub mod proxy;
#[cfg_attr(not(test), allow(dead_code, unused_imports, reason = "the client comes next"))]
pub mod tls;
pub mod credentials;
