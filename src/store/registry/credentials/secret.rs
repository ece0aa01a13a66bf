//! What proves who somebody is, and cannot be printed by accident.

use std::fmt;

/// A password or a token. Nothing but [`Secret::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text that nobody else is to see.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself: for the request that needs it, never for a message.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

/// What a registry, or its token server, is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A user and what only that user knows.
    Password {
        /// The user; may be empty where only the password counts.
        username: String,
        /// The password, or an access token in place of one.
        password: Secret,
    },
    /// An OAuth2 refresh token: what a token server takes instead of a password.
    IdentityToken(Secret),
    /// A bearer token that the registry takes as it is.
    RegistryToken(Secret),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_tells_a_secret() {
        let secret = || Secret::new("hunter2");
        let credentials = [
            Credential::Password { username: "user".to_owned(), password: secret() },
            Credential::IdentityToken(secret()),
            Credential::RegistryToken(secret()),
        ];
        let printed = format!("{credentials:?} {:#?} {:?}", credentials, secret());
        assert!(printed.contains("user") && printed.contains("..."), "{printed}");
        assert!(!printed.contains("hunter"), "{printed}");
    }
}
