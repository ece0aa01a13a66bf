//! What has to hold after every fault.
//!
//! 1. What was in the target before is whole and still named.
//! 2. No file under `blobs/` has content that does not match its name.
//! 3. Exit 0 means that what was asked for is there, and whole.
//! 4. Otherwise it is absent, or there and whole; `index.json` and `oci-layout` parse.
//! 5. The same command again, without the fault, succeeds.
//! 6. After that no temporary file is left; those of dead processes are cleaned, those of living ones never.

use std::fs::{self, File};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use super::cases::Case;
use super::lab::{Ended, Lab, age};
use super::place::{self, Held, Tree, difference, tree};
use super::shapes::Shape;

/// A command, and what it makes of its place when nothing disturbs it.
pub(crate) struct Experiment<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) case: &'a Case,
    before: Held,
    after: Held,
    start: Tree,
    end: Tree,
    /// The exit code of the same command when it was done already, and what lies there then.
    again: i32,
    twice: Tree,
}

/// What did not hold, of all that was tried.
#[derive(Default)]
pub(crate) struct Report {
    tried: usize,
    failed: Vec<String>,
}

impl Report {
    /// Notes how an experiment came out; `fault` says what was done to which command.
    pub(crate) fn note(&mut self, fault: &str, ended: &Ended, result: Result<(), String>) {
        self.tried += 1;
        if let Err(wrong) = result {
            self.failed.push(format!("{fault}\n  {wrong}\n  {ended:?}"));
        }
    }

    /// Notes what has to be so of several experiments together.
    pub(crate) fn check(&mut self, so: bool, wrong: &str) {
        if !so {
            self.failed.push(wrong.to_owned());
        }
    }

    /// Ends with everything that did not hold.
    #[track_caller]
    pub(crate) fn end(self, lab: &Lab) {
        lab.inputs_are_whole();
        println!("{} experiments", self.tried);
        assert!(self.tried > 0, "nothing was tried");
        let few: Vec<_> = self.failed.iter().take(40).map(String::as_str).collect();
        assert!(few.is_empty(), "{} of {} failed:\n{}", self.failed.len(), self.tried, few.join("\n"));
    }
}

impl<'a> Experiment<'a> {
    /// Runs the command undisturbed, twice.
    pub(crate) fn prepare(lab: &'a Lab, case: &'a Case) -> Self {
        lab.reset(case.start);
        let start = tree(&lab.path(""));
        let before = case.shape.look(&lab.path(case.target)).unwrap();
        let line = Self::line_of(case);
        lab.ok(&line);
        let end = tree(&lab.path(""));
        let after = case.shape.look(&lab.path(case.target)).unwrap();
        assert!(after.is_some() && start != end, "{line} changes nothing");
        let again = lab.run(&line).code.unwrap();
        assert!([0, 3, 8, 9, 10].contains(&again), "{line}: {again}");
        let twice = tree(&lab.path(""));
        lab.reset(case.start);
        Self { lab, case, before, after, start, end, again, twice }
    }

    fn line_of(case: &Case) -> String {
        let (command, rest) = case.line.split_once(' ').unwrap();
        match command {
            "-L" => format!("--jobs 1 {}", case.line),
            _ => format!("{command} --jobs 1 {rest}"),
        }
    }

    pub(crate) fn line(&self) -> String {
        Self::line_of(self.case)
    }

    /// Puts everything back to the beginning.
    pub(crate) fn reset(&self) {
        self.lab.reset(self.case.start);
    }

    /// Returns how many bytes whole pages of the files take, at the beginning and at the end.
    pub(crate) fn room(&self) -> [u64; 2] {
        let pages = |tree: &Tree| {
            let sizes = tree.values().filter_map(|what| what.strip_prefix("file ")?.split(' ').nth(1)?.parse().ok());
            sizes.map(|size: u64| size.div_ceil(4096) * 4096).sum()
        };
        [pages(&self.start), pages(&self.end)]
    }

    /// Checks that what was asked for is there, named and whole.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn shows(&self) -> Result<(), String> {
        if self.case.shape.look(&self.target())? == self.after { Ok(()) } else { Err("it is not there".to_owned()) }
    }

    /// Checks that everything is as it is after a run that nothing disturbed.
    ///
    /// # Errors
    /// With what is not.
    pub(crate) fn is_done(&self) -> Result<(), String> {
        let now = self.case.shape.look(&self.target())?;
        let mut differs = difference(&self.end, &tree(&self.lab.path("")));
        // that a lock or a journal is gone need not have reached the disk
        differs.retain(|name| !name.starts_with('+'));
        if now == self.after && differs.is_empty() { Ok(()) } else { Err(format!("not all is there: {differs:?}")) }
    }

    /// Checks all six properties after a run that ended so.
    ///
    /// # Errors
    /// With the first that does not hold.
    pub(crate) fn properties(&self, ended: &Ended) -> Result<(), String> {
        // 1, 2, 4
        let now = self.case.shape.look(&self.target())?;
        // the sums of a set go before its first part does, when that is asked for
        let gives_way = self.case.shape == Shape::Parts && self.case.line.contains("--force") && now.is_none();
        if now != self.before && now != self.after && !gives_way {
            return Err(format!("neither the old state nor the new one: {now:?}"));
        }
        // 3
        if ended.code == Some(0) && now != self.after {
            return Err("exit 0, and it is not there".to_owned());
        }
        if ended.code == Some(0) {
            // to the last byte; what could not be cleared may be there besides
            let mut lacking = difference(&self.end, &tree(&self.lab.path("")));
            lacking.retain(|name| !name.starts_with('+'));
            if !lacking.is_empty() {
                return Err(format!("exit 0, and not as if there had been no fault: {lacking:?}"));
            }
        }
        if ended.code == Some(101) || ended.said.contains("panicked") {
            return Err("a panic".to_owned());
        }
        // 5
        let living = self.grow_old_and_stay_alive();
        let done = now == self.after && self.before != self.after;
        let again = self.lab.run(&self.line());
        let expected = if done { [0, self.again] } else { [0, 0] };
        if !again.code.is_some_and(|code| expected.contains(&code)) {
            return Err(format!("the second run: {again:?}"));
        }
        if self.case.shape.look(&self.target())? != self.after {
            return Err("the second run did not do it".to_owned());
        }
        // 6
        for (path, file) in living {
            if !path.exists() {
                return Err(format!("a living process's {} was removed", path.display()));
            }
            drop(file);
            fs::remove_file(path).unwrap();
        }
        let found = tree(&self.lab.path(""));
        let mut left = difference(&self.end, &found);
        if done {
            // no temporary file but a lock, which says nothing by being there: who has nothing to write does not take it
            left.retain(|name| !name.ends_with("/index.json.lock"));
        }
        // when a directory was changed last cannot be set back: those of unpack are not old enough to be cleared
        left.retain(|name| !name.starts_with("+ .root.barge-"));
        // a command that refuses, because it was done before, clears nothing
        if again.code == Some(0) && found != self.twice && !left.is_empty() {
            return Err(format!("not as if there had been no fault: {left:?}"));
        }
        Ok(())
    }

    fn target(&self) -> PathBuf {
        self.lab.path(self.case.target)
    }

    /// Makes what was left behind as old as what the next run clears, and puts the like of it there that a living process
    /// holds.
    fn grow_old_and_stay_alive(&self) -> Vec<(PathBuf, File)> {
        for name in place::tree(&self.lab.path("")).into_keys() {
            let path = self.lab.path(&name);
            if !self.start.contains_key(&name) && !self.end.contains_key(&name) && !path.is_symlink() {
                age(&path);
            }
        }
        let mut living = Vec::new();
        let target = self.case.target;
        let (above, name) = target.rsplit_once('/').unwrap_or(("", target));
        let beside = format!("{above}/.{name}.barge-00000000000000ab");
        let names = match self.case.shape {
            Shape::Place if !target.ends_with(".tar") => {
                let inside = ["blobs/sha256/.tmp-7-00000000000000ab", ".index.json.tmp-7-00000000000000ab"];
                inside.iter().map(|name| format!("{target}/{name}")).collect()
            }
            Shape::Place | Shape::Whole | Shape::Parts => vec![beside],
            // who has locked the file itself is the only living one
            Shape::Passwords => Vec::new(),
        };
        for name in names {
            let path = self.lab.path(name.trim_start_matches('/'));
            if path.parent().is_some_and(std::path::Path::is_dir) {
                let file = File::create(&path).unwrap();
                flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
                age(&path);
                living.push((path, file));
            }
        }
        living
    }
}
