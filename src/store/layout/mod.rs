//! The OCI image layout: a directory.
