//! `barge load` of an archive in parts that are not all at hand: asks for the next medium, or waits for it.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use barge::bundle::Mode;
use barge::error::Class;
use barge::ops::Error;
use barge::ops::load::{Arrived, TakeIn, check_base};
use barge::ops::open::Context;
use barge::ops::parts::path_of_parts;
use barge::ops::target::Target;
use barge::store::archive::PartSet;
use barge::store::{Location, StoreError};
use barge::text::{escaped, shell_word};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Session;
use super::load::LoadArgs;
use super::report::Report;
use super::signed::{Required, Trust, say_signed};
use super::write::carry_out;

/// How often a directory is looked into.
const LOOK: Duration = Duration::from_secs(1);
/// The longest answer that is read.
const LONGEST_ANSWER: usize = 4096;

/// The parts among the words of a load.
pub(crate) struct Parts {
    /// The words, each set once.
    pub(crate) words: Vec<String>,
    /// Where parts are: the directories of those that were named, and those of `--part-dir`.
    pub(crate) directories: Vec<PathBuf>,
    /// The one set, when there is one and nothing else is loaded.
    pub(crate) only: Option<Only>,
}

/// A set that is loaded alone.
pub(crate) struct Only {
    path: PathBuf,
    set: PartSet,
}

impl Parts {
    /// Finds them.
    pub(crate) fn among(words: &[String], session: &Session<'_>) -> Result<Self, Error> {
        let mut directories = session.global.part_dir.clone();
        let mut paths = Vec::new();
        for word in words {
            let path = path_of_parts(word, &session.global.part_dir);
            if let Some(above) = path.as_ref().map(|path| directory(path)).filter(|above| !directories.contains(above))
            {
                directories.push(above);
            }
            paths.push(path);
        }
        let mut seen: Vec<PathBuf> = Vec::new();
        let mut parts = Self { words: Vec::new(), directories, only: None };
        for (word, path) in words.iter().zip(paths) {
            let set = match &path {
                Some(path) => PartSet::find(path, &parts.directories)?,
                None => None,
            };
            let Some((path, set)) = path.zip(set) else {
                parts.words.push(word.clone());
                continue;
            };
            let name = PathBuf::from(set.archive());
            if !seen.contains(&name) {
                seen.push(name);
                parts.words.push(word.clone());
                parts.only = Some(Only { path, set });
            }
        }
        if parts.words.len() > 1 {
            parts.only = None;
        }
        Ok(parts)
    }

    /// Returns the set when it has to be taken in part by part.
    pub(crate) fn to_take_in(&self, session: &Session<'_>) -> Option<&Only> {
        let only = self.only.as_ref().filter(|only| only.set.set().is_some())?;
        let is_whole = only.set.mode() == Mode::Stream && only.set.complete().is_ok();
        (!is_whole && !session.global.dry_run).then_some(only)
    }
}

fn directory(path: &Path) -> PathBuf {
    barge::store::directory_of(path).to_owned()
}

/// Where the next parts are looked for.
enum Next {
    /// In these directories.
    Look(PathBuf),
    /// Nowhere: the user has enough.
    Stop,
}

/// Takes in what is there, and what comes.
pub(crate) fn run(
    args: &LoadArgs,
    only: &Only,
    directories: &[PathBuf],
    trust: &Trust,
    required: &Required,
    session: &Session<'_>,
) -> Result<Report, Error> {
    let options = args.carry.options()?;
    let bases = args.bases();
    let context = Context { part_dirs: directories, bases: &bases, ..session.context() };
    let target = Target::open(args.output.as_deref(), &context, args.write.options(session))?;
    let location = target.location();
    let Location::Layout(layout) = &location else {
        // says which parts are missing
        only.set.complete()?;
        return Err(Error::Unsupported {
            message: format!("cannot load {} into {location}", escaped(only.set.archive())),
            cause: Some("its parts are archives by themselves, and go into a layout one after the other".to_owned()),
            hint: Some("give a directory with -o".to_owned()),
        });
    };
    drop(target);
    if !barge::ops::load::is_begun(layout, &only.set) {
        check(args, None, &only.set, layout, trust, session)?;
    }
    let mut taking = TakeIn::open(layout, &only.set, &args.write.options(session), &context)?;
    let mut report = Report::default();
    let mut directories = directories.to_vec();
    let mut found = Ok(Some(only.set.clone()));
    let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !session.global.json;
    let waits = !asks && !session.global.part_dir.is_empty();
    let started = Instant::now();
    let mut told = String::new();
    let (mut named, mut before) = (0, directories.len());
    loop {
        let took = found.map_err(Error::from).and_then(|found: Option<PartSet>| match found {
            Some(set) => check(args, Some(&taking), &set, layout, trust, session).and_then(|()| taking.take(&set)),
            None => Ok(0),
        });
        session.ui.finish();
        let took = match took {
            Ok(took) => took,
            // no other medium makes that better
            Err(error @ (Error::Untrusted { .. } | Error::Missing { .. })) => return Err(error),
            // a medium with something else on it is taken out again
            Err(error) if asks && error.class() == Class::Content => {
                session.ui.complain(&error);
                directories.truncate(before);
                1
            }
            // a file may still be on its way
            Err(error) if waits && error.class() == Class::Content => {
                let text = error.to_string();
                if text != told {
                    session.ui.complain(&error);
                    told = text;
                }
                1
            }
            Err(error) => return Err(error),
        };
        if taking.is_wrong() {
            return Err(unfinished(&taking, args));
        }
        let arrived = taking.arrived()?;
        trust.check_fronts(arrived.fronts())?;
        let copying = match arrived.plan(&options, required.keys()) {
            Err(error @ Error::Untrusted { .. }) => {
                let archive = escaped(only.set.archive());
                session.ui.say(&format!("what has come of {archive} is kept in {location}, and has no name there"));
                return Err(error);
            }
            other => other?,
        };
        let needed = taking.needed();
        let is_done = copying.is_some() && (needed.is_empty() || only.set.mode() == Mode::Stream);
        if let Some((copying, signed)) = copying.filter(|(copying, _)| is_done || copying.images.len() > named) {
            say_signed(&signed, session);
            named = copying.images.len();
            report.text.clear();
            report.results.clear();
            let target = Target::open(args.output.as_deref(), &context, args.write.options(session))?;
            if let Err(error) = carry_out(session, target, copying, "load into", &mut report) {
                if error.class() == Class::Content {
                    taking.doubt();
                }
                return Err(error);
            }
        }
        if is_done {
            taking.finish()?;
            return Ok(report);
        }
        let next = match () {
            () if asks => ask(&taking, &needed, only, &directories, session)?,
            // one that was damaged may have been on its way too, and change
            () if waits && (took > 0 || !taking.needs_only_damaged_parts()) => {
                if told.is_empty() {
                    told = format!("waiting for {}", taking.called(&needed));
                    session.ui.say(&told);
                }
                wait(started, args.part_timeout.map(Duration::from_secs), session)?
            }
            () => Next::Stop,
        };
        match next {
            Next::Stop => return Err(unfinished(&taking, args)),
            Next::Look(further) => {
                before = directories.len();
                if !further.as_os_str().is_empty() && !directories.contains(&further) {
                    directories.push(further);
                }
            }
        }
        found = look(only, &directories);
    }
}

/// Checks who signed the parts that are there, and that what they build on is in the layout, before anything of them is taken in.
fn check(
    args: &LoadArgs,
    taking: Option<&TakeIn<'_>>,
    found: &PartSet,
    layout: &Path,
    trust: &Trust,
    session: &Session<'_>,
) -> Result<(), Error> {
    // an earlier run may have asked for no key, and what was there may be gone
    let arrived = taking.map(TakeIn::arrived).transpose()?;
    let fronts = match barge::ops::load::fronts(found, &session.cancel) {
        Ok(fronts) => fronts,
        // what cannot be taken in by parts is not begun: what came of it would be of no use
        Err(error @ Error::Store(StoreError::Unsupported { .. })) => return Err(error),
        // a damaged part is told of when it is taken in
        Err(_) if !trust.is_asked_for() => Vec::new(),
        Err(error) => return Err(error),
    };
    let all = || arrived.iter().flat_map(Arrived::fronts).chain(fronts.iter().map(|(_, front)| front));
    trust.check_fronts(all())?;
    // of a choice of platforms it shows at the end what is needed
    if args.carry.options()?.platforms.is_all() {
        check_base(all(), found, layout, &Context { bases: &[layout.to_owned()], ..session.context() })?;
    }
    if trust.is_asked_for() && fronts.is_empty() && !taking.is_some_and(TakeIn::has_front) {
        let archive = escaped(found.archive());
        return Err(Error::Absent {
            message: format!("cannot tell who signed {archive} before its first part is there"),
            cause: Some("that one has the packing list and its signature".to_owned()),
            hint: Some("begin with the medium that has part 1".to_owned()),
        });
    }
    Ok(())
}

/// Takes in a set that is there as a whole and in which something is wrong: what is right in it is kept, and only the damaged
/// part is needed again.
pub(crate) fn instead(
    args: &LoadArgs,
    parts: &Parts,
    trust: &Trust,
    error: Error,
    session: &Session<'_>,
) -> Result<Report, Error> {
    let Some(only) = parts.only.as_ref().filter(|only| only.set.set().is_some() && !session.global.dry_run) else {
        return Err(error);
    };
    let bases = args.bases();
    let context = Context { part_dirs: &parts.directories, bases: &bases, ..session.context() };
    // also a set of which a part has the wrong length
    match Target::open(args.output.as_deref(), &context, args.write.options(session))?.location() {
        Location::Layout(layout) => {
            // of what nobody trusts nothing is kept, nor of what cannot be used
            if let Err(other) = check(args, None, &only.set, &layout, trust, session) {
                return Err(if matches!(other, Error::Missing { .. }) { other } else { error });
            }
            let mut taking = TakeIn::open(&layout, &only.set, &args.write.options(session), &context)?;
            taking.take(&only.set)?;
            session.ui.finish();
            if taking.needs_damaged_parts() {
                return Err(unfinished(&taking, args));
            }
            // the archive was wrong before it was split: there is nothing to wait for
            taking.finish()?;
            Err(error)
        }
        _ => Err(error),
    }
}

/// Forgets what earlier runs took in of a set that was loaded as a whole.
pub(crate) fn forget(parts: &Parts, location: &Location, session: &Session<'_>) -> Result<(), Error> {
    let set = parts.only.as_ref().and_then(|only| only.set.set());
    if let (Some(set), Location::Layout(layout), false) = (set, location, session.global.dry_run) {
        barge::ops::load::forget(layout, &set, &session.cancel)?;
    }
    Ok(())
}

/// Looks into the directories for what is there by now.
fn look(only: &Only, directories: &[PathBuf]) -> Result<Option<PartSet>, StoreError> {
    PartSet::find(&only.path, directories)
}

/// Tells why it is not done, and the command that goes on.
fn unfinished(taking: &TakeIn<'_>, args: &LoadArgs) -> Error {
    taking.unfinished(&|part| {
        let to = args.output.as_ref().map_or_else(String::new, |output| format!(" -o {}", shell_word(output)));
        let keys = args.signed.words() + &args.required.words();
        format!("barge load{keys} -i {}{to}", shell_word(part))
    })
}

/// Asks for the next medium.
fn ask(
    taking: &TakeIn<'_>,
    needed: &[u64],
    only: &Only,
    directories: &[PathBuf],
    session: &Session<'_>,
) -> Result<Next, Error> {
    let failed = || StoreError::io("read", "the terminal");
    let archive = escaped(only.set.archive());
    let text = match needed {
        [one] => format!("part {one} of {} of {archive}", only.set.count()),
        _ => taking.called(needed).replacen(" (", &format!(" of {archive} ("), 1),
    };
    let question =
        format!("insert the medium with {text} and press Enter (or type the directory where it is, q to stop): ");
    let mut error = std::io::stderr();
    error.write_all(question.as_bytes()).and_then(|()| error.flush()).map_err(failed())?;
    let answer = match read_line(session).map_err(failed())? {
        Some(answer) => answer,
        None if session.cancel.is_cancelled() => return Err(StoreError::Cancelled.into()),
        None => return Ok(Next::Stop),
    };
    match answer.trim() {
        "q" | "Q" => Ok(Next::Stop),
        // the same ones
        "" => Ok(Next::Look(directories.first().cloned().unwrap_or_default())),
        path if Path::new(path).is_dir() => Ok(Next::Look(PathBuf::from(path))),
        path => {
            session.ui.say(&format!("{} is no directory", escaped(path)));
            Ok(Next::Look(PathBuf::new()))
        }
    }
}

/// Reads a line; `None` at the end of the input, or when somebody asked to stop: a signal does not end a read that waits.
fn read_line(session: &Session<'_>) -> std::io::Result<Option<String>> {
    const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let stdin = std::io::stdin();
    let mut line = Vec::new();
    while !session.cancel.is_cancelled() {
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&GLANCE)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut byte = [0];
        match rustix::io::read(&stdin, &mut byte) {
            Ok(0) => return Ok((!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned())),
            Ok(_) if byte[0] == b'\n' => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            Ok(_) if line.len() < LONGEST_ANSWER => line.push(byte[0]),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Waits a moment, unless the time is over.
fn wait(started: Instant, timeout: Option<Duration>, session: &Session<'_>) -> Result<Next, Error> {
    if timeout.is_some_and(|timeout| started.elapsed() >= timeout) {
        return Ok(Next::Stop);
    }
    if session.cancel.sleep(LOOK) { Ok(Next::Look(PathBuf::new())) } else { Err(StoreError::Cancelled.into()) }
}
