//! Another program, which gets an input and gives an answer, and neither for ever nor without end.

use std::io::{self, Read, Write as _};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// How much a program may say, in bytes, on each of its two streams.
const MOST: usize = 1024 * 1024;
/// How long nobody looks whether the program has ended, when it says nothing.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
const PAUSE: Duration = Duration::from_millis(10);

/// What a program has said, and how it ended.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: ExitStatus,
    pub(super) output: Vec<u8>,
    pub(super) errors: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("it cannot be run: {0}")]
    Run(#[from] io::Error),
    #[error("it did not end within {} s", .0.as_secs())]
    Late(Duration),
    #[error("it said more than {MOST} bytes")]
    Verbose,
}

/// A program that runs. Dropped, it is ended.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // both fail when it has ended by itself, which is as well
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pipe that the program writes to.
struct Heard<R> {
    pipe: Option<R>,
    said: Vec<u8>,
}

impl<R: Read + AsFd> Heard<R> {
    fn new(pipe: Option<R>) -> io::Result<Self> {
        pipe.iter().try_for_each(do_not_wait)?;
        Ok(Self { pipe, said: Vec::new() })
    }

    /// Takes what is there now.
    fn hear(&mut self) -> Result<(), Failure> {
        let mut buffer = [0; 16 * 1024];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) if self.said.len() + count > MOST => return Err(Failure::Verbose),
                Ok(count) => self.said.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Runs a program with one argument and an input. It is over when the program has ended, even if another one that it has
/// started still holds its streams.
pub(super) fn run(program: &Path, argument: &str, input: &[u8], limit: Duration) -> Result<Answer, Failure> {
    let start = Instant::now();
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = loop {
        match command.spawn() {
            Ok(child) => break Running(child),
            // somebody is about to replace the program
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && start.elapsed() < limit => {
                thread::sleep(PAUSE);
            }
            Err(error) => return Err(error.into()),
        }
    };
    let mut stdin = running.0.stdin.take();
    stdin.iter().try_for_each(do_not_wait)?;
    let mut output = Heard::new(running.0.stdout.take())?;
    let mut errors = Heard::new(running.0.stderr.take())?;
    let mut input = input;
    loop {
        // ended before the streams are looked at: so what is in them then is all there is
        let ended = running.0.try_wait()?;
        output.hear()?;
        errors.hear()?;
        if let Some(status) = ended {
            return Ok(Answer { status, output: output.said, errors: errors.said });
        }
        if start.elapsed() >= limit {
            return Err(Failure::Late(limit));
        }
        if let Some(pipe) = &mut stdin {
            match pipe.write(input) {
                Ok(count) => input = &input[count..],
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                // it does not want to hear more; what it says decides
                Err(_) => input = &[],
            }
            if input.is_empty() {
                stdin = None;
            }
        }
        let mut awaited = Vec::with_capacity(3);
        awaited.extend(output.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        awaited.extend(errors.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        awaited.extend(stdin.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
        if awaited.is_empty() {
            thread::sleep(PAUSE);
            continue;
        }
        match poll(&mut awaited, Some(&GLANCE)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
}

fn do_not_wait(pipe: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&pipe)?;
    Ok(fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn script(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        (directory, path)
    }

    fn ran(text: &str, input: &[u8], limit: Duration) -> Result<Answer, Failure> {
        let (_directory, path) = script(text);
        run(&path, "word", input, limit)
    }

    #[test]
    fn a_program_hears_its_input_and_is_heard() {
        let answer = ran("echo \"$1\"; cat; echo bad >&2; exit 3", b"input", SOON).unwrap();
        assert_eq!(answer.status.code(), Some(3));
        assert_eq!(answer.output, b"word\ninput");
        assert_eq!(answer.errors, b"bad\n");
        // more than the pipes hold, both ways at once
        let much = vec![b'x'; 900_000];
        assert_eq!(ran("cat", &much, SOON).unwrap().output, much);
    }

    #[test]
    fn a_program_that_does_not_listen_is_no_failure() {
        let much = vec![b'x'; 900_000];
        assert_eq!(ran("exec 0<&-; echo done", &much, SOON).unwrap().output, b"done\n");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let start = Instant::now();
        let failure = ran("exec sleep 60", b"", Duration::from_millis(200)).unwrap_err();
        assert!(matches!(failure, Failure::Late(_)), "{failure:?}");
        assert!(start.elapsed() < SOON);
        // and one that talks all the time is late as well, or says too much
        let failure = ran("exec yes", b"", SOON).unwrap_err();
        assert!(matches!(failure, Failure::Verbose), "{failure:?}");
    }

    #[test]
    fn what_a_program_leaves_behind_holds_nobody_up() {
        let start = Instant::now();
        let answer = ran("sleep 30 & echo done", b"", Duration::from_secs(60)).unwrap();
        assert_eq!(answer.output, b"done\n");
        assert!(start.elapsed() < SOON);
    }

    #[test]
    fn a_program_that_is_not_there_is_said() {
        let failure = run(Path::new("/nonexistent/program"), "get", b"", SOON).unwrap_err();
        assert!(matches!(failure, Failure::Run(_)), "{failure:?}");
    }
}
