//! One request: who may ask, what is answered, and how it is sent.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use http_body::Body as _;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use tokio::time::timeout;

use super::auth::Auth;
use super::body::{Pieces, Sending, Sent};
use super::limits::{LARGEST_HEAD, LONGEST_TAKING, LONGEST_TARGET, MOST_TAKEN};
use super::metrics::Metrics;
use super::pool::Pool;
use super::record::{Pulse, Record};
use super::verified::Verified;
use crate::ops::serve::answer::{Answer, Body, Code, Request, Respond};
use crate::ops::serve::event::{Event, Observer};

/// What docker looks for (distribution's own).
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// What all connections share.
pub(super) struct Server {
    pub(super) respond: Arc<dyn Respond>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) verified: Arc<Verified>,
    pub(super) auth: Option<Arc<Auth>>,
    /// The memory for what is sent.
    pub(super) pool: Arc<Pool>,
}

impl Server {
    /// Answers a request. What it sends besides its head is of no use here, and thrown away.
    pub(super) async fn exchange(
        self: Arc<Self>,
        peer: SocketAddr,
        pulse: Arc<Pulse>,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<Sending>, Infallible> {
        pulse.request_came();
        let (head, incoming) = request.into_parts();
        let mut record = Record::begin(&self.observer, &self.metrics, peer, &head);
        let sends_more = !takes(&head.headers, incoming).await;
        if sends_more {
            pulse.is_sent_more();
        }
        let is_head = head.method == Method::HEAD;
        let answer = self.answer(head, &mut record).await;
        record.gets(answer.status);
        let Answer { status, mut headers, body } = answer;
        let content = match body {
            _ if is_head => Sent::Nothing,
            Body::Empty => Sent::Nothing,
            Body::Bytes(bytes) => Sent::Bytes(bytes),
            Body::Blob(blob, range) => Sent::Blob(Pieces::of(blob, range, &self.pool, &self.observer)),
        };
        let sending = Sending::new(content, record, &pulse);
        if !is_head && status != StatusCode::NOT_MODIFIED {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(sending.left()));
        }
        headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if sends_more {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let mut response = Response::new(sending);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    async fn answer(self: &Arc<Self>, head: Parts, record: &mut Record) -> Answer {
        if let Some(refusal) = too_large(&head) {
            return refusal;
        }
        if let Some(auth) = &self.auth {
            match auth.user(&head.headers).await {
                Ok(user) => record.is_by(Some(user)),
                Err(refusal) => return refusal,
            }
        }
        if head.uri.path() == "/metrics" && matches!(head.method, Method::GET | Method::HEAD) {
            return self.metrics.answer();
        }
        let is_get = head.method == Method::GET;
        let respond = Arc::clone(&self.respond);
        let answered = tokio::task::spawn_blocking(move || {
            let (path, query) = (head.uri.path(), head.uri.query());
            respond.respond(&Request { method: &head.method, path, query, headers: &head.headers })
        });
        let answer = match answered.await {
            Ok(answer) => answer,
            Err(failed) => {
                if failed.is_panic() {
                    self.observer.hear(Event::Warning("a request could not be answered: that is a bug in barge"));
                }
                return Answer::error(Code::Unknown, "this request could not be answered");
            }
        };
        let Body::Blob(blob, _) = &answer.body else { return answer };
        let refusal = match blob.wants_proof() {
            true if is_get => self.verified.check(blob).await,
            true => self.verified.refusal(blob),
            false => None,
        };
        refusal.unwrap_or(answer)
    }
}

/// Takes what a request sends besides its head, if that is little, and returns whether all of it was taken. A client that is
/// answered while it still sends may wait for ever: containerd 1.6 does, when it pushes a manifest.
async fn takes(headers: &HeaderMap, mut body: Incoming) -> bool {
    if body.is_end_stream() {
        return true;
    }
    // who waits to be told to go on has sent nothing, and is never told
    if headers.contains_key(EXPECT) || body.size_hint().lower() > MOST_TAKEN {
        return false;
    }
    let all = async {
        let mut taken = 0;
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            taken += frame.ok()?.data_ref().map_or(0, |data| data.len() as u64);
            if taken > MOST_TAKEN {
                return None;
            }
        }
        Some(())
    };
    matches!(timeout(LONGEST_TAKING, all).await, Ok(Some(())))
}

/// Refuses a head that is larger than any that is meant well.
fn too_large(head: &Parts) -> Option<Answer> {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > LONGEST_TARGET {
        let message = format!("the target of a request may have {LONGEST_TARGET} bytes at most");
        return Some(Answer::error_with(StatusCode::URI_TOO_LONG, Code::Unknown, &message));
    }
    if size(&head.headers) > LARGEST_HEAD {
        let message = format!("the header fields of a request may have {LARGEST_HEAD} bytes at most");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Some(Answer::error_with(status, Code::Unknown, &message));
    }
    None
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}
