//! Frames, made on all cores: what comes out does not depend on how many there are.

use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use zstd::zstd_safe::{CCtx, CParameter, compress_bound, get_error_name};

/// The level of zstd: what is carried on a stick or over a slow link may take its time, once.
pub(super) const LEVEL: i32 = 19;
/// The level that says what a frame would have without what it is made against.
const QUICK: i32 = 3;

/// Does something with each of some things on several threads, and returns what came of them in their order.
pub(super) fn each<T: Sync, R: Send>(threads: usize, things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = threads.min(things.len());
    if threads <= 1 {
        return things.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(things.len()));
    let run = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(at) else { return };
            let result = work(thing);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // whoever cannot be started leaves its work to the others
            drop(thread::Builder::new().name("compact".to_owned()).spawn_scoped(scope, run));
        }
        run();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Does two things, with more than one thread side by side.
pub(super) fn both<A: Send, B>(threads: usize, one: impl Fn() -> A + Sync, other: impl FnOnce() -> B) -> (A, B) {
    if threads <= 1 {
        return (one(), other());
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("compact".to_owned()).spawn_scoped(scope, &one);
        let other = other();
        let one = match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => one(),
        };
        (one, other)
    })
}

/// Makes a frame.
pub(super) fn pressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    frame(bytes, &[], LEVEL)
}

/// Makes a frame against other bytes, when they help.
pub(super) fn patch(bytes: &[u8], against: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let patch = frame(bytes, against, LEVEL)?;
    // what goes into a pool shares a frame with others: it gets smaller yet than alone
    let helps = patch.len() < 64 || patch.len() < frame(bytes, &[], QUICK)?.len() / 4 * 3;
    Ok(helps.then_some(patch))
}

fn frame(bytes: &[u8], against: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let failed = |code| io::Error::other(format!("zstd: {}", get_error_name(code)));
    let mut context = CCtx::try_create().ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
    context.set_parameter(CParameter::CompressionLevel(level)).map_err(failed)?;
    if !against.is_empty() {
        // far enough to see all of it
        let log = (bytes.len() + against.len()).next_power_of_two().trailing_zeros().clamp(10, 25);
        context.set_parameter(CParameter::WindowLog(log)).map_err(failed)?;
        context.ref_prefix(against).map_err(failed)?;
    }
    let mut packed = Vec::with_capacity(compress_bound(bytes.len()));
    context.compress2(&mut packed, bytes).map_err(failed)?;
    packed.shrink_to_fit();
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_things() {
        let things: Vec<u32> = (0..1000).collect();
        for threads in [1, 2, 7] {
            assert_eq!(
                each(threads, &things, |thing| thing * 2),
                things.iter().map(|thing| thing * 2).collect::<Vec<_>>()
            );
        }
        assert!(each(4, &[] as &[u8], |_| ()).is_empty());
    }

    #[test]
    fn what_resembles_is_a_patch_and_what_does_not_is_none() {
        let noise = |seed: u64, length: usize| -> Vec<u8> {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            };
            (0..length).map(|_| next()).collect()
        };
        let old = noise(1, 300_000);
        let mut new = old.clone();
        new[100_000] ^= 1;
        let made = patch(&new, &old).unwrap().unwrap();
        assert!(made.len() < 200, "{}", made.len());
        assert_eq!(patch(&noise(2, 300_000), &old).unwrap(), None);
    }
}
