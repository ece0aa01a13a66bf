//! Where a registry is reached: found out once, by its first answer.

use std::sync::PoisonError;

use ureq::http::Method;

use super::address::Origin;
use super::answer::Answer;
use super::client::Registry;
use super::http::{Body, ExchangeError, Request};
use crate::error::Class;
use crate::store::{Reason, StoreError};

/// What came of the first question to a registry.
pub(super) enum Reached {
    At(Origin),
    /// It was tried as often as it may be: who comes next does not wait for the same failure again.
    Not {
        class: Class,
        reason: Reason,
        hint: Option<String>,
    },
}

impl Registry {
    /// Returns where the registry is reached, found out once: by https; on this machine, or where certificates need not be
    /// checked, also without.
    pub(super) fn origin(&self) -> Result<Origin, StoreError> {
        let mut known = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(Reached::At(origin)) => return Ok(origin.clone()),
            Some(Reached::Not { class, reason, hint }) => {
                return Err(self.remote("reach", &self.place(None), *class, reason.clone(), hint.clone()));
            }
            None => {}
        }
        let found = self.find();
        match &found {
            Ok(origin) => *known = Some(Reached::At(origin.clone())),
            Err(StoreError::Remote { class, reason, hint, .. }) => {
                *known = Some(Reached::Not { class: *class, reason: reason.clone(), hint: hint.clone() });
            }
            Err(_) => {}
        }
        found
    }

    fn find(&self) -> Result<Origin, StoreError> {
        let of = |https| {
            Origin::of_host(&self.host, https).ok_or_else(|| StoreError::Remote {
                action: "reach".to_owned(),
                place: self.place(None),
                class: Class::Usage,
                reason: "that is no host".into(),
                hint: Some("write HOST or HOST:PORT".to_owned()),
            })
        };
        let mut origin = of(!self.options.plain_http)?;
        let mut answer = self.knock(&origin)?;
        if answer.is_none() {
            origin = of(false)?;
            answer = self.knock(&origin)?;
        }
        let answer = answer.ok_or_else(|| self.lost("reach", &self.place(None)))?;
        match answer.code() {
            401 => {
                self.auth.challenged(&answer);
            }
            // the Go and nginx servers say so in words, others only with this status
            400 if !origin.https => {
                let reason = answer.into_complaint().reason();
                let asked = self.options().plain_http;
                let hint = asked.then(|| "if the registry speaks TLS, leave out --plain-http".to_owned());
                return Err(self.remote("reach", &self.place(None), Class::Unreachable, reason, hint));
            }
            _ => {}
        }
        Ok(origin)
    }

    /// Asks whether somebody is there (distribution-spec v1.1.1, spec.md, "Determining Support"). `None` when it may be asked
    /// again without TLS.
    fn knock(&self, origin: &Origin) -> Result<Option<Answer>, StoreError> {
        let (action, place) = ("reach", self.place(None));
        self.persist(action, &place, || {
            let url = origin.url("/v2/").ok_or_else(|| self.lost(action, &place))?;
            let request = Request { method: Method::GET, url, headers: Vec::new(), body: Body::None };
            match self.http.exchange(request) {
                Err(ExchangeError::Network { plain: true, .. }) if origin.https && self.may_be_plain(origin) => {
                    Ok(None)
                }
                // nobody is there, or it speaks no TLS: most often the name or an option is wrong, and a person is told at
                // once
                Err(
                    ExchangeError::Network { reason, hint, unconnected: true, .. }
                    | ExchangeError::Network { reason, hint, plain: true, .. },
                ) => Err(self.remote(action, &place, Class::Unreachable, reason, hint).into()),
                Err(error) => Err(self.attempt_of(action, &place, error)),
                Ok(answer) if answer.is_passing() => {
                    Err(self.attempt_of_complaint(action, &place, answer.into_complaint()))
                }
                Ok(answer) => Ok(Some(answer)),
            }
        })
    }

    fn may_be_plain(&self, origin: &Origin) -> bool {
        origin.is_loopback() || self.options.tls.verify == super::tls::Verify::Skip
    }
}
