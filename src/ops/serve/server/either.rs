//! The first of two things that happens.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// One of two things.
pub(super) enum Either<A, B> {
    /// The one.
    One(A),
    /// The other.
    Other(B),
}

/// Waits for one of two things, the one before the other when both have happened.
pub(super) async fn either<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> Either<A, B> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| {
        if let Poll::Ready(value) = one.as_mut().poll(context) {
            return Poll::Ready(Either::One(value));
        }
        other.as_mut().poll(context).map(Either::Other)
    })
    .await
}
