//! Registries: the only part of barge that opens a connection (distribution-spec v1.1.1).
