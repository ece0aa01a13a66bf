//! Which blobs were hashed, and whether they were right: each is hashed once, however many ask for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

use super::metrics::Metrics;
use super::remembered::Remembered;
use crate::blob::Cancel;
use crate::ops::serve::answer::{Answer, Code, logged, told};
use crate::ops::serve::blob::{Blob, Bytes};
use crate::ops::serve::event::{Event, Observer};
use crate::store::StoreError;

/// How many results are remembered.
const ROOM: usize = 128 * 1024;

/// What hashing a blob has shown.
#[derive(Clone, Debug)]
enum Verdict {
    Right,
    /// It is another content than its digest says: the message.
    Wrong(Arc<str>),
    /// It could not be read this time: the message.
    Unreadable(Arc<str>),
    /// It is to end.
    Ending,
}

/// Which blobs were hashed.
pub(super) struct Verified {
    known: Mutex<Remembered<Bytes, Verdict>>,
    running: Mutex<HashMap<Bytes, watch::Receiver<Option<Verdict>>>>,
    lanes: Semaphore,
    cancel: Cancel,
    observer: Arc<dyn Observer>,
    metrics: Arc<Metrics>,
}

impl Verified {
    /// Makes an empty memory. At most `lanes` blobs are hashed at once; `cancel` ends that.
    pub(super) fn new(lanes: usize, cancel: &Cancel, observer: &Arc<dyn Observer>, metrics: &Arc<Metrics>) -> Self {
        Self {
            known: Mutex::new(Remembered::with_room(ROOM)),
            running: Mutex::default(),
            lanes: Semaphore::new(lanes),
            cancel: cancel.child(),
            observer: Arc::clone(observer),
            metrics: Arc::clone(metrics),
        }
    }

    /// Returns what is answered instead of a blob that is known to be wrong.
    pub(super) fn refusal(&self, blob: &Blob) -> Option<Answer> {
        match self.known(&blob.bytes()) {
            Some(verdict) => verdict.refusal(),
            None => None,
        }
    }

    /// Waits until it is known whether a blob is right; returns what is answered instead when it is not.
    pub(super) async fn check(self: &Arc<Self>, blob: &Arc<Blob>) -> Option<Answer> {
        let bytes = blob.bytes();
        if let Some(verdict) = self.known(&bytes) {
            return verdict.refusal();
        }
        let mut receiver = match self.running.lock().unwrap_or_else(PoisonError::into_inner).entry(bytes.clone()) {
            Entry::Occupied(running) => running.get().clone(),
            Entry::Vacant(place) => {
                let (sender, receiver) = watch::channel(None);
                place.insert(receiver.clone());
                tokio::spawn(Arc::clone(self).hash(Arc::clone(blob), bytes, sender));
                receiver
            }
        };
        let verdict = match receiver.wait_for(Option::is_some).await {
            Ok(verdict) => verdict.clone(),
            Err(_) => None,
        };
        verdict.unwrap_or(Verdict::Ending).refusal()
    }

    fn known(&self, bytes: &Bytes) -> Option<Verdict> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(bytes)
    }

    /// Returns whether everybody who asked has left before it began; then it is no longer running.
    fn is_given_up(&self, bytes: &Bytes, sender: &watch::Sender<Option<Verdict>>) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // one receiver is that of `running`, from which others are made under its lock
        let given_up = sender.receiver_count() <= 1;
        if given_up {
            running.remove(bytes);
        }
        given_up
    }

    /// Hashes a blob. Once begun, this goes on when those who asked have left: they will ask again.
    async fn hash(self: Arc<Self>, blob: Arc<Blob>, bytes: Bytes, sender: watch::Sender<Option<Verdict>>) {
        let mut ended = Ended { verified: &self, bytes: Some(&bytes) };
        // who found it neither known nor running may come after the one before has ended
        if let Some(verdict) = self.known(&bytes) {
            drop(ended);
            sender.send_replace(Some(verdict));
            return;
        }
        let Ok(_lane) = self.lanes.acquire().await else { return };
        if self.is_given_up(&bytes, &sender) {
            // it may already be running again for somebody else
            ended.bytes = None;
            return;
        }
        let cancel = self.cancel.clone();
        let proof = tokio::task::spawn_blocking(move || blob.prove(&cancel)).await;
        let verdict = match proof {
            Ok(Ok(())) => Verdict::Right,
            Ok(Err(StoreError::Cancelled)) | Err(_) => Verdict::Ending,
            Ok(Err(error)) => {
                self.observer.hear(Event::Warning(&logged(&error)));
                let message: Arc<str> = told(&error).into();
                match error {
                    StoreError::Wrong { .. } => Verdict::Wrong(message),
                    _ => Verdict::Unreadable(message),
                }
            }
        };
        if !matches!(verdict, Verdict::Ending) {
            self.metrics.hashed(matches!(verdict, Verdict::Wrong(_)));
        }
        if let Verdict::Right | Verdict::Wrong(_) = verdict {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(bytes.clone(), verdict.clone());
        }
        // from here on, who asks finds it known, or lets it be hashed again
        drop(ended);
        sender.send_replace(Some(verdict));
    }
}

/// A blob whose hashing ends, in whatever way.
struct Ended<'a> {
    verified: &'a Verified,
    bytes: Option<&'a Bytes>,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if let Some(bytes) = self.bytes {
            self.verified.running.lock().unwrap_or_else(PoisonError::into_inner).remove(bytes);
        }
    }
}

impl Verdict {
    fn refusal(self) -> Option<Answer> {
        match self {
            Self::Right => None,
            Self::Wrong(message) | Self::Unreadable(message) => Some(Answer::error(Code::Unknown, &message)),
            Self::Ending => Some(Answer::error(Code::Unavailable, "this registry is ending")),
        }
    }
}
