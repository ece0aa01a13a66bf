//! What is on this machine, as a layer would hold it.

use std::process::Command;

use super::peer::Peer;
use super::{assert_same, deflate};

/// At most so much is packed.
const SIZE: usize = 52 << 20;

/// A tar of programs, libraries and texts.
fn tar() -> Vec<u8> {
    let mut command = Command::new("sh");
    // the reader ends before tar does: that is no failure
    command
        .arg("-c")
        .arg(format!("tar -C /usr -c share/perl lib/x86_64-linux-gnu share/doc bin 2>/dev/null | head -c {SIZE}"));
    command.output().unwrap().stdout
}

#[test]
fn a_tar_of_this_machine_is_as_go_makes_it() {
    let tar = tar();
    assert!(tar.len() > SIZE / 2, "{} bytes of /usr are too few to tell anything", tar.len());
    let mut go = Peer::start();
    // without optimisation the usual level takes a minute for all of it
    let usual = if cfg!(debug_assertions) { &tar[..16 << 20] } else { &tar[..] };
    for (number, tar) in [(1, &tar[..]), (6, usual)] {
        assert_same(&deflate(number, tar), &go.deflate(number, tar), &format!("level {number}"));
    }
    // the others take longer, or are in little use
    let middle = tar.len() / 2;
    let part = &tar[middle..middle + (1 << 20)];
    for number in [-2, 2, 3, 4, 5, 7, 8, 9] {
        assert_same(&deflate(number, part), &go.deflate(number, part), &format!("level {number}"));
    }
}
