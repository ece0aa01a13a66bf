//! Blobs that are hashed before they are served.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use super::{Running, blob, layout, options, pattern, snapshot, text};
use crate::digest::Digest;
use crate::ops::serve::server::limits::Limits;

/// Returns the value of a metric that has no labels.
fn metric(running: &Running, name: &str) -> u64 {
    let text = running.connect().get("/metrics").text();
    text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap().parse().unwrap()
}

#[test]
fn a_blob_is_hashed_once_however_many_ask_at_once_and_nobody_else_waits() {
    const CLIENTS: usize = 150;
    let bytes = pattern(200 * 1024 * 1024);
    let digest = Digest::of(&bytes);
    let place = layout(&[(digest, &bytes)]);
    let size = bytes.len() as u64;
    let snapshot = snapshot(place.path(), true);
    let mut options = options();
    options.connections = 400;
    let running = Arc::new(Running::start_with(options, Limits::default(), move |request| match request.path {
        "/" => blob(&snapshot, digest, size, 0..5),
        _ => text("else"),
    }));
    let barrier = Arc::new(Barrier::new(CLIENTS + 1));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (running, barrier) = (Arc::clone(&running), Arc::clone(&barrier));
            std::thread::spawn(move || {
                let mut client = running.connect();
                barrier.wait();
                client.get("/").body
            })
        })
        .collect();
    barrier.wait();
    std::thread::sleep(Duration::from_millis(20));
    let began = Instant::now();
    assert_eq!(running.connect().get("/else").text(), "else");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    for client in clients {
        assert_eq!(client.join().unwrap(), bytes[..5]);
    }
    assert_eq!(metric(&running, "barge_hashed_blobs_total"), 1);
    assert_eq!(metric(&running, "barge_wrong_blobs_total"), 0);
}

#[test]
fn a_wrong_blob_is_refused_and_hashed_again_only_when_it_was_changed() {
    let right = pattern(1000);
    let mut wrong = right.clone();
    wrong[500] ^= 1;
    let digest = Digest::of(&right);
    let place = layout(&[(digest, &wrong)]);
    let snapshot = snapshot(place.path(), true);
    let running = Running::start(move |_| blob(&snapshot, digest, 1000, 0..1000));
    let mut client = running.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head_of_reply().status, 200, "nobody has hashed it");
    for _ in 0..3 {
        let reply = client.get("/");
        let message = reply.text();
        assert_eq!(reply.status, 500);
        assert!(message.contains("\"code\":\"UNKNOWN\""), "{message}");
        for part in [digest, Digest::of(&wrong)] {
            assert!(message.contains(&part.to_string()), "{message}");
        }
    }
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head_of_reply().status, 500);
    assert_eq!(running.warnings().len(), 1, "{:?}", running.warnings());
    assert_eq!(metric(&running, "barge_hashed_blobs_total"), 1);
    assert_eq!(metric(&running, "barge_wrong_blobs_total"), 1);

    let path = place.path().join(digest.blob_path());
    std::fs::write(path.with_extension("new"), &right).unwrap();
    std::fs::rename(path.with_extension("new"), &path).unwrap();
    assert!(client.get("/").body == right);
    assert_eq!(metric(&running, "barge_hashed_blobs_total"), 2);
}

#[test]
fn a_blob_of_a_place_that_is_trusted_is_not_hashed() {
    let digest = Digest::of(b"something else");
    let place = layout(&[(digest, b"content")]);
    let snapshot = snapshot(place.path(), false);
    let running = Running::start(move |_| blob(&snapshot, digest, 7, 0..7));
    assert_eq!(running.connect().get("/").text(), "content");
    assert_eq!(metric(&running, "barge_hashed_blobs_total"), 0);
}

#[test]
fn when_it_ends_nobody_waits_for_a_hash() {
    let bytes = vec![0; 1000];
    let digest = Digest::of(b"large");
    let place = layout(&[(digest, &bytes)]);
    let file = std::fs::File::options().write(true).open(place.path().join(digest.blob_path())).unwrap();
    let size = 200 * 1024 * 1024 * 1024;
    file.set_len(size).unwrap();
    let snapshot = snapshot(place.path(), true);
    let mut running = Running::start(move |_| blob(&snapshot, digest, size, 0..1));
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));
    assert!(running.stop() < Duration::from_secs(1));
    assert_eq!(client.reply().status, 503);
}
