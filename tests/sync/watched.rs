//! `sync --watch` goes on until it is asked to stop.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Stdio};

use crate::bench::Bench;

/// A run that is watched itself.
struct Watch {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Watch {
    fn start(bench: &Bench, options: &str) -> Self {
        // the process itself, so that a signal reaches it
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_barge"));
        bench.work.isolate(&mut command);
        command.args(["sync", "--watch", "--progress", "none"]).args(options.split_whitespace());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child, said }
    }

    /// Reads until a line begins like this, and returns all that was said.
    fn until(&mut self, start: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "it ended: {all}");
            all.push_str(&line);
            if line.starts_with(start) {
                return all;
            }
        }
    }

    fn stop(mut self) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut out = String::new();
        std::io::Read::read_to_string(&mut self.child.stdout.take().unwrap(), &mut out).unwrap();
        (self.child.wait().unwrap().code(), out)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // it has ended, unless the test has failed
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_file_that_changes_is_carried_out_again_until_a_signal_comes() {
    let Some(bench) = Bench::filled(&["v1", "v2"]) else { return };
    let with = |tag: &str| format!("sync: [{{from: [{{registry: 'REGISTRY/org/app:{tag}'}}], to: [{{layout: out}}]}}]");
    bench.write("barge.yaml", &with("v1"));
    let mut watch = Watch::start(&bench, "--interval 1d --json");
    watch.until("waiting 1d00h, or until barge.yaml changes");
    bench.write("barge.yaml", &with("[v2"));
    let said = watch.until("waiting");
    assert!(said.contains("barge.yaml has changed\nerror: cannot use barge.yaml:1:"), "{said}");
    bench.write("barge.yaml", &with("v2"));
    watch.until("waiting");
    let (code, out) = watch.stop();
    assert_eq!(code, Some(0));
    let rounds: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<(bool, String)> = rounds
        .iter()
        .map(|round| {
            (round["ok"].as_bool().unwrap(), round["results"][0]["name"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    let name = |tag: &str| format!("{}/org/app:{tag}", bench.registry.host());
    assert_eq!(told, [(true, name("v1")), (false, String::new()), (true, name("v2"))]);
    for tag in ["v1", "v2"] {
        bench.ok(&format!("verify -q out:REGISTRY/org/app:{tag}"));
    }
}

#[test]
fn what_moves_is_brought_in_the_next_round_and_what_is_there_is_not_read_again() {
    let Some(bench) = Bench::filled(&["v1"]) else { return };
    bench.write("barge.yaml", "sync: [{from: [{registry: 'REGISTRY/org/app:v1'}], to: [{layout: out}]}]");
    let mut watch = Watch::start(&bench, "--interval 1s");
    watch.until("oci:out: wrote");
    watch.until("nothing to do: oci:out was brought up to date before");
    bench.ok("push -q fixtures/skopeo-arm64.tar REGISTRY/org/app:v1");
    watch.until("oci:out: wrote");
    bench.ok("rm -q out:REGISTRY/org/app:v1");
    watch.until("oci:out: wrote names alone");
}
