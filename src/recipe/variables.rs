//! Variables: which names have which values at one line of a recipe.
//!
//! docker's rules: ENV comes before ARG whatever their order ("Dockerfile reference", "Using ARG variables"), ARG above the
//! first FROM is for FROM and for an ARG of the same name without a value, and the predefined ones have to be named by an
//! ARG before a stage sees them. `ARCH` is sealer's and always there, unless the file makes one of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::platform::Platform;

/// Arguments that docker takes although nothing declares them. They would matter to RUN alone.
pub(super) const PROXIES: [&str; 5] = ["ALL_PROXY", "FTP_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];

/// The values of variables at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    environment: BTreeMap<String, Arc<str>>,
    arguments: BTreeMap<String, Arc<str>>,
    /// sealer's `ARCH`.
    architecture: Option<Arc<str>>,
}

impl Variables {
    /// Returns the value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.environment.get(name).or_else(|| self.arguments.get(name));
        let architecture = || self.architecture.as_ref().filter(|_| name == "ARCH");
        found.or_else(architecture).map(|value| &**value)
    }

    /// Sets a variable of the image: ENV.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), Arc::from(value));
    }

    /// Sets a variable of the recipe: ARG.
    pub fn set_argument(&mut self, name: &str, value: &str) {
        self.arguments.insert(name.to_owned(), Arc::from(value));
    }

    /// Makes sealer's `ARCH` known.
    pub fn set_architecture(&mut self, architecture: &str) {
        self.architecture = Some(Arc::from(architecture));
    }

    pub(super) fn architecture(&self) -> Option<&str> {
        self.architecture.as_deref()
    }

    /// Returns the names of all variables, for a message.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.environment.keys().chain(self.arguments.keys()).map(String::as_str)
    }

    /// Returns how much memory a copy takes, about.
    pub(super) fn size(&self) -> usize {
        self.environment.keys().chain(self.arguments.keys()).map(|name| name.len() + 64).sum()
    }
}

/// Returns the arguments that docker predefines, in the global scope.
pub(super) fn predefined(target: &Platform, build: &Platform, stage: &str) -> Vec<(String, String)> {
    let mut arguments = Vec::new();
    for (prefix, platform) in [("TARGET", target), ("BUILD", build)] {
        let Platform { os, architecture, variant, os_version, .. } = platform.normalized();
        // docker and containerd write linux/arm/v7 but say nothing of versions here
        let mut text = format!("{os}/{architecture}");
        if let Some(variant) = &variant {
            text = format!("{text}/{variant}");
        }
        for (name, value) in [
            ("PLATFORM", text),
            ("OS", os),
            ("OSVERSION", os_version.unwrap_or_default()),
            ("ARCH", architecture),
            ("VARIANT", variant.unwrap_or_default()),
        ] {
            arguments.push((format!("{prefix}{name}"), value));
        }
    }
    arguments.push(("TARGETSTAGE".to_owned(), stage.to_owned()));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_comes_before_arg_and_arch_last() {
        let mut variables = Variables::default();
        variables.set_architecture("amd64");
        assert_eq!((variables.get("ARCH"), variables.get("x")), (Some("amd64"), None));
        variables.set_environment("x", "env");
        variables.set_argument("x", "arg");
        variables.set_argument("ARCH", "own");
        assert_eq!((variables.get("x"), variables.get("ARCH")), (Some("env"), Some("own")));
    }

    #[test]
    fn platforms_are_predefined_in_the_words_of_docker() {
        let arguments = predefined(&"linux/arm/v7".parse().unwrap(), &"linux/x86_64".parse().unwrap(), "default");
        let line = arguments.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
        assert_eq!(
            line,
            "TARGETPLATFORM=linux/arm/v7 TARGETOS=linux TARGETOSVERSION= TARGETARCH=arm TARGETVARIANT=v7 \
             BUILDPLATFORM=linux/amd64 BUILDOS=linux BUILDOSVERSION= BUILDARCH=amd64 BUILDVARIANT= TARGETSTAGE=default"
        );
    }
}
