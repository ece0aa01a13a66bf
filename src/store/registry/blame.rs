//! What a failure is called, what it means to a script, and what to do about it.

use std::sync::PoisonError;

use super::answer::Complaint;
use super::auth::AuthError;
use super::client::Registry;
use super::credentials::{Credential, Found, Keeper};
use super::http::ExchangeError;
use super::retry::{Attempt, Passing};
use crate::error::Class;
use crate::store::{Location, Reason, StoreError};

impl Registry {
    /// Returns the failure that an answer means which is no success.
    pub(super) fn complain(&self, action: &str, place: &Location, complaint: &Complaint) -> StoreError {
        let class = complaint.class();
        let hint = match class {
            Class::Refused if complaint.status.as_u16() == 401 => Some(self.log_in_hint()),
            Class::Refused => Some(format!(
                "this user may not do that there: log in as another one with `barge login {}`, or ask its owner",
                self.name
            )),
            _ if complaint.has_code("NAME_UNKNOWN") => {
                Some("check the name; some registries want a repository to be made first".to_owned())
            }
            Class::Unsupported => Some("this registry does not offer that".to_owned()),
            _ => None,
        };
        self.remote(action, place, class, complaint.reason(), hint)
    }

    pub(super) fn remote(
        &self,
        action: &str,
        place: &Location,
        class: Class,
        reason: impl Into<Reason>,
        hint: Option<String>,
    ) -> StoreError {
        StoreError::Remote { action: action.to_owned(), place: place.clone(), class, reason: reason.into(), hint }
    }

    /// Says what to do about a 401 of the registry.
    pub(super) fn log_in_hint(&self) -> String {
        let known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.values().flatten().next();
        // whoever got a token was recognised: the registry finds that it does not allow enough
        match found.map(|found| &found.credential).filter(|_| self.auth.gives_tokens()) {
            Some(Credential::Password { username, .. }) => format!(
                "{} may not do that there: log in as another user with `barge login {}`, or ask its owner",
                crate::text::escaped(username),
                self.name
            ),
            Some(Credential::IdentityToken(_)) => {
                format!("this user may not do that there: log in with `barge login {}`, or ask its owner", self.name)
            }
            Some(Credential::RegistryToken(_)) | None => self.unaccepted_hint(found),
        }
    }

    /// Says where the credentials came from that are not right.
    pub(super) fn unaccepted_hint(&self, found: Option<&Found>) -> String {
        match found {
            Some(Found { keeper: Keeper::Given, .. }) => "check the user name and the password".to_owned(),
            Some(found) => format!(
                "what {} has for it is not accepted: log in again with `barge login {}`",
                found.keeper, self.name
            ),
            None => format!("log in with `barge login {}`", self.name),
        }
    }

    pub(super) fn lost(&self, action: &str, place: &Location) -> StoreError {
        self.remote(action, place, Class::Failed, "the address is too long or malformed", None)
    }

    pub(super) fn attempt_of_complaint(&self, action: &str, place: &Location, complaint: Complaint) -> Attempt {
        if complaint.is_passing() {
            return Attempt::Passing(complaint.into());
        }
        Attempt::Final(self.complain(action, place, &complaint))
    }

    pub(super) fn attempt_of_auth(&self, action: &str, place: &Location, error: AuthError) -> Attempt {
        match error {
            AuthError::Exchange(error) => self.attempt_of(action, place, error),
            AuthError::Answer(complaint) if complaint.is_passing() => Attempt::Passing((*complaint).into()),
            AuthError::Answer(complaint) => {
                self.unaccepted(action, place, format!("its token server says no: {}", complaint.reason()))
            }
            AuthError::Unusable(reason) => {
                let hint = Some(format!("this is for those to mend who run {}", self.name));
                Attempt::Final(self.remote(action, place, Class::Refused, reason, hint))
            }
            AuthError::Refused => {
                self.unaccepted(action, place, "it has refused this user and password, which are not shown again")
            }
        }
    }

    /// Returns the failure that what the user has is not right.
    fn unaccepted(&self, action: &str, place: &Location, reason: impl Into<Reason>) -> Attempt {
        let known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        let hint = Some(self.unaccepted_hint(known.values().flatten().next()));
        Attempt::Final(self.remote(action, place, Class::Refused, reason, hint))
    }

    pub(super) fn attempt_of(&self, action: &str, place: &Location, error: ExchangeError) -> Attempt {
        match error {
            ExchangeError::Body => Attempt::Body,
            ExchangeError::Machine(error) => Attempt::Final(error),
            ExchangeError::Network { reason, hint, .. } => {
                Attempt::Passing(Passing { hint, ..Passing::because(reason) })
            }
            ExchangeError::Lasting { reason, hint } => {
                Attempt::Final(self.remote(action, place, Class::Unreachable, reason, hint))
            }
        }
    }
}
