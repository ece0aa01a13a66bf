//! Private keys and passwords: one that is half written, that others may read or that stays behind under another name is worse
//! than none.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::calls::{chosen, disturbed, sequence, strace};
use super::cases::Case;
use super::failing::errors;
use super::lab::{Ended, Lab, age, full};
use super::place::tree;
use super::properties::{Experiment, Report};
use super::registry::FakeRegistry;
use super::shapes::Shape;

/// Returns the public key that belongs to a private one, or that is in the file, as openssl writes it.
fn public_key(path: &Path, how: &[&str]) -> Result<Option<String>, String> {
    if !path.exists() {
        return Ok(None);
    }
    let output = Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(path).args(how).output().unwrap();
    match output.status.success() {
        true => Ok(Some(String::from_utf8(output.stdout).unwrap())),
        false => Err(format!("{} is no key: {}", path.display(), String::from_utf8_lossy(&output.stderr))),
    }
}

/// Returns the public keys of `new.key` and `new.pub`: both are whole keys, and the private one is its owner's alone.
fn pair(lab: &Lab) -> Result<[Option<String>; 2], String> {
    let private = lab.path("new.key");
    if private.exists() && fs::metadata(&private).unwrap().permissions().mode() & 0o777 != 0o600 {
        return Err("others may read the private key".to_owned());
    }
    Ok([public_key(&private, &[])?, public_key(&lab.path("new.pub"), &["-pubin"])?])
}

/// What holds after `key generate` was disturbed; `old` is the key that was there.
fn of_keys(lab: &Lab, line: &str, old: Option<&String>, ended: &Ended) -> Result<(), String> {
    let [private, public] = pair(lab)?;
    if let (Some(private), Some(public)) = (&private, &public)
        && private != public
    {
        return Err("two keys that do not belong together".to_owned());
    }
    if old.is_some() && private.is_none() {
        return Err("the old private key is gone, and no new one is there".to_owned());
    }
    let is_done = private.is_some() && public.is_some() && private.as_ref() != old;
    match ended.code {
        Some(0) if !is_done => return Err("exit 0, and they are not there".to_owned()),
        Some(0) | None => {}
        Some(10) if ended.said.contains("error: ") => {}
        // what fails is the message itself
        Some(10) if ended.said.is_empty() => {}
        _ => return Err("neither done nor told".to_owned()),
    }
    for name in tree(&lab.path("")).into_keys().filter(|name| name.starts_with('.')) {
        age(&lab.path(&name));
    }
    let again = lab.run(line);
    match again.code {
        Some(0) => {}
        // a private key is replaced only when that was asked for
        Some(9) if old.is_none() && private.is_some() => {
            if public.is_none() && !again.said.contains("hint: `barge key public new.key > new.pub`") {
                return Err(format!("it is not said how to go on: {again:?}"));
            }
            // a run that refuses clears nothing
            fs::remove_file(lab.path("new.key")).unwrap();
            let _ = fs::remove_file(lab.path("new.pub"));
            lab.ok(line);
        }
        _ => return Err(format!("the second run: {again:?}")),
    }
    let [private, public] = pair(lab)?;
    if private.is_none() || private != public {
        return Err("the second run did not do it".to_owned());
    }
    let left: BTreeSet<_> = tree(&lab.path("")).into_keys().collect();
    let expected = BTreeSet::from(["new.key", "new.pub"].map(str::to_owned));
    if left == expected { Ok(()) } else { Err(format!("what is left: {left:?}")) }
}

#[test]
fn keys_are_whole_and_belong_together() {
    let there = Command::new("openssl").arg("version").output().is_ok();
    if !strace() || !super::environment::available("openssl", there) {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    let plain = "key generate --no-password -o new";
    for (line, has_old) in [(plain, false), ("key generate --no-password --force -o new", true)] {
        let reset = || {
            lab.reset(&[]);
            if has_old {
                lab.ok(plain);
            }
            pair(&lab).unwrap()[0].clone()
        };
        reset();
        let calls = sequence(&lab, line);
        let calls: Vec<_> = calls.iter().collect();
        for (at, call) in chosen(&calls, "new.pub\"", 7, 3).into_iter().enumerate() {
            let errors = errors(call).iter().map(|error| format!("error={error}")).collect::<Vec<_>>();
            let kill = ["signal=KILL".to_owned()];
            let errors = if full() { &errors[..] } else { &errors[at % errors.len()..][..1] };
            for how in errors.iter().chain(kill.iter().filter(|_| call.changes())) {
                let old = reset();
                let (ended, _) = disturbed(&lab, line, call, how);
                let result = of_keys(&lab, line, old.as_ref(), &ended);
                report.note(&format!("{line}: {how} at {}", call.text), &ended, result);
            }
        }
    }
    report.end(&lab);
}

#[test]
fn a_login_that_is_disturbed_leaves_the_others() {
    if !strace() {
        return;
    }
    let lab = Lab::new();
    let registry = FakeRegistry::start();
    let mut report = Report::default();
    for start in [&["auth.json"][..], &[]] {
        let line =
            format!("login --retry 0 --plain-http --authfile auth.json --creds user:password {}", registry.host());
        // a case stands in a table, and this one has a port in it
        let line = Box::leak(line.into_boxed_str());
        let case = Case { shape: Shape::Passwords, start, target: "auth.json", line };
        let experiment = Experiment::prepare(&lab, &case);
        let calls = sequence(&lab, &experiment.line());
        let calls: Vec<_> = calls.iter().collect();
        for (at, call) in chosen(&calls, &case.shows_at(), 13, 5).into_iter().enumerate() {
            let errors = errors(call).iter().map(|error| format!("error={error}")).collect::<Vec<_>>();
            let kill = ["signal=KILL".to_owned()];
            let errors = if full() { &errors[..] } else { &errors[at % errors.len()..][..1] };
            for how in errors.iter().chain(kill.iter().filter(|_| call.changes())) {
                experiment.reset();
                // how much comes at once is another thing each time: there may be fewer calls
                let (ended, _) = disturbed(&lab, &experiment.line(), call, how);
                let result = match ended.code {
                    None | Some(0) => experiment.properties(&ended),
                    Some(6 | 10) if ended.said.contains("error: ") || call.name == "write" => {
                        experiment.properties(&ended)
                    }
                    _ => Err("neither done nor told".to_owned()),
                };
                report.note(&format!("{}: {how} at {}", case.line, call.text), &ended, result);
            }
        }
    }
    report.end(&lab);
}
