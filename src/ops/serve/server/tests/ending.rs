//! How many connections there are, and how serving ends.

use std::fs::File;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::{Limits, Running, blob, layout, options, snapshot, text};
use crate::digest::Digest;
use crate::error::Class;
use crate::ops::serve::event::Offered;
use crate::ops::serve::server::listen;

const SIZE: u64 = 256 * 1024 * 1024;

/// A registry with a blob at `/`, and a client that has the head of it.
fn with_a_download(grace: Duration) -> (tempfile::TempDir, Running, super::Client) {
    let digest = Digest::of(b"x");
    let place = layout(&[(digest, b"")]);
    File::options().write(true).open(place.path().join(digest.blob_path())).unwrap().set_len(SIZE).unwrap();
    let snapshot = snapshot(place.path(), false);
    let mut options = options();
    options.grace = grace;
    let running = Running::start_with(options, Limits::default(), move |request| match request.path {
        "/" => blob(&snapshot, digest, SIZE, 0..SIZE),
        _ => text("x"),
    });
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head_of_reply();
    (place, running, client)
}

#[test]
fn a_thousand_idle_connections_leave_the_next_one_served_at_once() {
    let mut options = options();
    options.connections = 1500;
    let running = Running::start_with(options, Limits::default(), |_| text("x"));
    let idle: Vec<_> = (0..1000).map(|_| running.connect()).collect();
    let began = Instant::now();
    assert_eq!(running.connect().get("/").text(), "x");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    drop(idle);
}

#[test]
fn beyond_the_most_connections_the_next_waits_until_one_ends() {
    let mut options = options();
    options.connections = 2;
    let running = Running::start_with(options, Limits::default(), |_| text("x"));
    let mut first = running.connect();
    let mut second = running.connect();
    first.get("/");
    second.get("/");
    let mut third = running.connect();
    third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    third.reader.get_ref().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(third.reader.get_mut().read(&mut [0]).is_err(), "it was answered");
    third.reader.get_ref().set_read_timeout(Some(super::PATIENCE)).unwrap();
    drop(first);
    assert_eq!(third.reply().text(), "x");
    assert_eq!(second.get("/").text(), "x");
}

#[test]
fn when_it_ends_idle_connections_are_closed_at_once() {
    let mut running = Running::start(|_| text("x"));
    let mut used = running.connect();
    used.get("/");
    let mut fresh = running.connect();
    let mut half = running.connect();
    half.send("GET / HT");
    // all of them are accepted by then
    running.connect().get("/");
    assert!(running.stop() < Duration::from_secs(1));
    for client in [&mut used, &mut fresh, &mut half] {
        assert!(client.rest().0.is_empty());
    }
}

#[test]
fn when_it_ends_an_answer_under_way_goes_on_and_nobody_else_comes_in() {
    let (_place, mut running, mut client) = with_a_download(Duration::from_secs(10));
    let address = running.address;
    let heard = std::sync::Arc::clone(&running.heard);
    let stopping = std::thread::spawn(move || running.stop());
    super::eventually(|| TcpStream::connect(address).is_err().then_some(()));
    let mut taken = 0;
    let mut space = vec![0; 1024 * 1024];
    while taken < SIZE {
        let count = client.reader.read(&mut space).unwrap();
        assert!(count > 0, "it was cut after {taken}");
        taken += count as u64;
    }
    assert_eq!(client.rest(), (Vec::new(), true));
    assert!(stopping.join().unwrap() < Duration::from_secs(8));
    assert!(!heard.answered.lock().unwrap()[0].cut);
}

#[test]
fn when_the_time_for_that_is_over_answers_are_cut() {
    let (_place, mut running, mut client) = with_a_download(Duration::from_millis(500));
    let took = running.stop();
    assert!((Duration::from_millis(450)..Duration::from_secs(3)).contains(&took), "{took:?}");
    let (rest, _) = client.rest();
    assert!((rest.len() as u64) < SIZE);
    let answered = running.heard.answered.lock().unwrap();
    assert!(answered.len() == 1 && answered[0].cut, "{answered:?}");
}

#[test]
fn an_address_that_is_taken_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = options();
    options.listen = taken.local_addr().unwrap();
    let running = Running::start(|_| text("x"));
    let error = listen::run(
        &options,
        std::sync::Arc::new(super::Says(|_: &super::Request<'_>| text("x"))),
        std::sync::Arc::clone(&running.heard) as _,
        Offered::default(),
        &running.cancel,
    )
    .unwrap_err();
    assert_eq!(error.class(), Class::Machine);
    assert_eq!(error.to_string(), format!("cannot listen on {}", options.listen));
    assert!(error.causes()[0].contains("in use"), "{:?}", error.causes());
    assert_eq!(error.hint().unwrap(), "another process listens there: choose another port with --listen");
}
