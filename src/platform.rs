//! Platforms. (placeholder until branch words lands)
/// Platform
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// os
    pub os: String,
    /// architecture
    pub architecture: String,
    /// variant
    pub variant: Option<String>,
    /// os.version
    pub os_version: Option<String>,
    /// os.features
    pub os_features: Vec<String>,
}
