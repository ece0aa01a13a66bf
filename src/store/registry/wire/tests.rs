//! Waits that end when they should, and bytes that survive them.

use std::net::TcpListener;
use std::sync::mpsc;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
use ureq::unversioned::transport::time::Duration as Allowed;

use super::*;

/// A connection to a peer that does what a function says.
fn wire(cancel: &Cancel, peer: impl FnOnce(TcpStream) + Send + 'static) -> Wire {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || peer(listener.accept().unwrap().0));
    Wire::new(TcpStream::connect(address).unwrap(), LazyBuffers::new(1 << 16, 1 << 16), cancel.clone()).unwrap()
}

fn of(per_read: Duration, per_write: Duration) -> NextTimeout {
    NextTimeout { per_read: Some(per_read.into()), per_write: Some(per_write.into()), ..NextTimeout::default() }
}

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// Asks to stop after a while, and returns when that was.
fn cancel_soon(cancel: &Cancel) -> mpsc::Receiver<Instant> {
    let (cancel, (tell, told)) = (cancel.clone(), mpsc::channel());
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        cancel.cancel();
        tell.send(Instant::now())
    });
    told
}

fn was_heard(result: Result<bool, Error>, at: &mpsc::Receiver<Instant>) {
    let error = result.unwrap_err();
    assert!(error.to_string().contains("interrupted"), "{error}");
    let late = at.recv_timeout(SECOND).unwrap().elapsed();
    assert!(late < SECOND, "{late:?} after the request");
}

#[test]
fn a_request_to_stop_is_heard_while_nothing_comes() {
    let cancel = Cancel::default();
    let mut wire = wire(&cancel, |stream| {
        thread::sleep(SECOND * 3);
        drop(stream);
    });
    let at = cancel_soon(&cancel);
    was_heard(wire.await_input(of(MINUTE, MINUTE)), &at);
}

#[test]
fn a_request_to_stop_is_heard_while_nothing_is_taken() {
    let cancel = Cancel::default();
    let mut wire = wire(&cancel, |stream| {
        thread::sleep(SECOND * 3);
        drop(stream);
    });
    let at = cancel_soon(&cancel);
    let result = loop {
        // what the system takes in our place comes to its end
        if let Err(error) = wire.transmit_output(1 << 16, of(MINUTE, MINUTE)) {
            break Err(error);
        }
    };
    was_heard(result, &at);
}

#[test]
fn a_request_to_stop_is_heard_while_no_connection_comes_about() {
    let Some((address, _full)) = silent_address() else { return };
    let cancel = Cancel::default();
    let connector = WireConnector::new(Addresses::new(&cancel));
    let at = cancel_soon(&cancel);
    was_heard(connector.open(&[address], Some(MINUTE)).map(|_| true), &at);
}

#[test]
fn a_connection_that_does_not_come_about_is_given_up_in_time() {
    let Some((silent, _full)) = silent_address() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (there, connector) = (listener.local_addr().unwrap(), WireConnector::new(Addresses::new(&Cancel::default())));
    let began = Instant::now();
    let error = connector.open(&[silent, silent], Some(SECOND)).unwrap_err();
    assert!(matches!(error, Error::Timeout(Timeout::Connect)), "{error}");
    let took = began.elapsed();
    assert!(took > SECOND / 2 && took < SECOND * 2, "{took:?}");
    // and leaves something for the address behind it
    assert_eq!(connector.open(&[silent, there], Some(SECOND)).unwrap().peer_addr().unwrap(), there);
}

/// An address on this machine that answers nobody, for as long as what comes with it is kept: its queue is full.
fn silent_address() -> Option<(SocketAddr, Vec<Box<dyn Send>>)> {
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
    listen(&listener, 0).unwrap();
    let address = SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
    let mut kept: Vec<Box<dyn Send>> = vec![Box::new(listener)];
    for _ in 0..8 {
        match TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            Ok(stream) => kept.push(Box::new(stream)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Some((address, kept)),
            Err(error) => panic!("{error}"),
        }
    }
    io::stderr().write_all(b"skipped: this system takes every connection\n").unwrap();
    None
}

#[test]
fn a_peer_may_be_silent_for_so_long_and_no_longer() {
    let cancel = Cancel::default();
    let mut wire = wire(&cancel, |mut stream| {
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(600));
            stream.write_all(&[b'x'; LEAST]).unwrap();
        }
        thread::sleep(SECOND * 3);
    });
    let began = Instant::now();
    for count in 1..=3 {
        while wire.buffers.input().len() < count * LEAST {
            assert!(wire.await_input(of(SECOND, MINUTE)).unwrap());
        }
        assert_eq!(wire.buffers.input(), vec![b'x'; count * LEAST]);
    }
    let silent_since = Instant::now();
    let error = wire.await_input(of(SECOND, MINUTE)).unwrap_err();
    assert!(matches!(error, Error::Timeout(Timeout::PerRead)), "{error}");
    let (all, silent) = (began.elapsed(), silent_since.elapsed());
    assert!(all > SECOND * 2 && silent >= SECOND && silent < SECOND * 2, "{all:?}, silent for {silent:?}");
    // what has a bound as a whole keeps it
    let whole = NextTimeout { after: Allowed::from_millis(300), reason: Timeout::Await100, ..of(MINUTE, MINUTE) };
    assert!(matches!(wire.await_input(whole), Err(Error::Timeout(Timeout::Await100))));
    let none = NextTimeout { after: Allowed::from_millis(0), reason: Timeout::Global, ..of(MINUTE, MINUTE) };
    assert!(matches!(wire.await_input(none), Err(Error::Timeout(Timeout::Global))));
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    let mut wire = wire(&Cancel::default(), |stream| {
        thread::sleep(SECOND * 4);
        drop(stream);
    });
    let began = Instant::now();
    let error = loop {
        if let Err(error) = wire.transmit_output(1 << 16, of(MINUTE, SECOND)) {
            break error;
        }
    };
    assert!(matches!(error, Error::Timeout(Timeout::PerWrite)), "{error}");
    assert!(began.elapsed() >= SECOND && began.elapsed() < SECOND * 3, "{:?}", began.elapsed());
}

#[test]
fn no_byte_is_lost_or_sent_twice_where_the_peer_stops_and_goes_on() {
    const PIECES: usize = 256;
    let (tell, told) = mpsc::channel();
    let mut wire = wire(&Cancel::default(), move |mut stream| {
        let (mut all, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
        let mut next_pause = 0;
        loop {
            // longer than a step, and in the middle of pieces
            if all.len() >= next_pause {
                thread::sleep(STEP * 2);
                next_pause += 5_000_003;
            }
            match stream.read(&mut buffer[..77_777]).unwrap() {
                0 => break,
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
        tell.send(all).unwrap();
    });
    let mut expected = Vec::new();
    for piece in 0..PIECES {
        for (at, byte) in wire.buffers.output().iter_mut().enumerate() {
            *byte = (at * 31 + piece * 7) as u8;
        }
        expected.extend_from_slice(&wire.buffers.output()[..1 << 16]);
        wire.transmit_output(1 << 16, of(MINUTE, MINUTE)).unwrap();
    }
    drop(wire);
    let got = told.recv_timeout(MINUTE).unwrap();
    assert!(got == expected, "{} bytes of {} arrived, or others", got.len(), expected.len());
}

#[test]
fn a_connection_is_open_while_the_peer_is_there_and_silent() {
    let (go, wait) = mpsc::channel();
    let mut open = wire(&Cancel::default(), move |mut stream| {
        wait.recv_timeout(MINUTE).unwrap();
        stream.write_all(b"unasked").unwrap();
        wait.recv_timeout(MINUTE).unwrap_err();
    });
    assert!(open.is_open());
    assert!(open.is_open());
    go.send(()).unwrap();
    while open.is_open() {
        thread::sleep(Duration::from_millis(5));
    }
    // the look took nothing away
    assert!(open.await_input(of(SECOND, SECOND)).unwrap());
    assert_eq!(open.buffers.input(), b"unasked");

    let mut closed = wire(&Cancel::default(), drop);
    let began = Instant::now();
    while closed.is_open() {
        assert!(began.elapsed() < SECOND);
    }
}

#[test]
fn addresses_are_asked_for_once_and_again_when_nobody_is_there() {
    let addresses = Addresses::new(&Cancel::default());
    let long = NextTimeout { after: Allowed::from_secs(10), ..NextTimeout::default() };
    for (host, port, expected) in [("127.0.0.1", 80, "127.0.0.1:80"), ("[::1]", 443, "[::1]:443")] {
        assert_eq!(addresses.find(host, port, long).unwrap(), [expected.parse().unwrap()]);
    }
    assert!(addresses.known.lock().unwrap().is_empty(), "they need no look-up");
    let found = addresses.find("localhost", 5000, long).unwrap();
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 5000), "{found:?}");
    let odd: SocketAddr = "192.0.2.1:9".parse().unwrap();
    let known = Known { since: Instant::now(), addresses: vec![odd] };
    addresses.known.lock().unwrap().insert("localhost:5000".to_owned(), known);
    assert_eq!(addresses.clone().find("localhost", 5000, long).unwrap(), [odd]);
    addresses.forget();
    assert_eq!(addresses.find("localhost", 5000, long).unwrap(), found);

    let error = addresses.find("a..b", 80, long).unwrap_err();
    assert!(error.to_string().contains("failed to lookup address"), "{error}");
    let cancel = Cancel::default();
    cancel.cancel();
    let error = Addresses::new(&cancel).find("localhost", 80, long).unwrap_err();
    assert!(error.to_string().contains("interrupted"), "{error}");
}

#[test]
fn who_gives_a_byte_now_and_then_is_as_good_as_silent() {
    let mut wire = wire(&Cancel::default(), |mut stream| {
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let time = SECOND * 2;
    let mut came = 0;
    let error = loop {
        match wire.await_input(of(time, time)) {
            Ok(_) => {
                let count = wire.buffers.input().len();
                wire.buffers.input_consume(count);
                came += count;
            }
            Err(error) => break error,
        }
        assert!(came < 1000, "it is waited on and on");
    };
    assert!(came > 0 && matches!(error, Error::Timeout(_)), "{came} bytes, {error}");
}

#[test]
fn an_answer_that_was_thought_about_may_come_late() {
    let (asked, heard) = mpsc::channel();
    let mut wire = wire(&Cancel::default(), move |mut stream| {
        // three requests, each of which takes most of the time that there is
        for () in heard {
            thread::sleep(Duration::from_millis(700));
            stream.write_all(b"x").unwrap();
        }
    });
    for _ in 0..3 {
        asked.send(()).unwrap();
        wire.transmit_output(0, of(SECOND, SECOND)).unwrap();
        assert!(wire.await_input(of(SECOND * 2, SECOND)).unwrap());
    }
}
