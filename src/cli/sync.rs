//! `barge sync`

use std::path::{Path, PathBuf};
use std::time::Duration;

use barge::error::Class;
use barge::ops::Error;
use barge::ops::sync::{Found, Keys, Prepared, SyncOptions, check, check_lock, described, find, prepare};
use barge::store::StoreError;
use barge::sync_file::{Entry, LARGEST_FILE, Lock, SyncFile, Target, TargetKind};
use barge::text::escaped;
use clap::Args;
use serde_json::{Map, Value, json};

use super::Session;
use super::keys::{private_key, public_key};
use super::network::NetworkArgs;
use super::report::{Failure, Report, error_as_json};
use super::split::say_plan;
use super::watch;
use super::write::{WriteArgs, carry_out, count, line};

/// Bring images from where to where a file says: registries, layouts, archives and bundles.
///
/// All sources are looked up before anything is written. What is at a target already is not fetched or sent again.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge sync                            # what barge.yaml says
  barge sync -f mirror.yaml --dry-run   # what would be done
  barge lock && barge sync --locked     # these digests, and no others
  barge sync --watch --interval 10m     # again and again, and when the file changes")]
pub(crate) struct SyncArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// Take the digests of the lock, and fail where they are not to be had
    #[arg(long)]
    pub(crate) locked: bool,
    /// Do the rest when something fails; exit code 7 then
    #[arg(long)]
    keep_going: bool,
    /// Begin again after a while, and when the file changes, until a signal comes
    #[arg(long)]
    pub(crate) watch: bool,
    /// How long to wait before beginning again: 30s, 10m, 2h
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = watch::parse_time, requires = "watch")]
    pub(crate) interval: Duration,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// The file, and its lock.
#[derive(Args, Debug)]
pub(crate) struct FileArgs {
    /// What to do, as docs/sync.md says; - for standard input
    #[arg(short, long, value_name = "FILE", default_value = "barge.yaml")]
    pub(crate) file: String,
    /// The lock [default: beside FILE, with the suffix .lock]
    #[arg(long, value_name = "FILE")]
    lock_file: Option<PathBuf>,
}

impl FileArgs {
    /// Returns the path of the lock.
    pub(crate) fn lock_path(&self) -> PathBuf {
        self.lock_file.clone().unwrap_or_else(|| match self.file.as_str() {
            "-" => PathBuf::from("barge.lock"),
            file => Path::new(file).with_extension("lock"),
        })
    }

    /// Returns the directory that paths in the file are relative to.
    fn directory(&self) -> PathBuf {
        Path::new(&self.file).parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// Reads the bytes of the file.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Error> {
        match self.file.as_str() {
            "-" => bounded(std::io::stdin().lock(), "standard input"),
            file => {
                let opened = std::fs::File::open(file);
                let absent = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
                if opened.as_ref().is_err_and(absent) {
                    return Err(Error::Absent {
                        message: format!("cannot find {}", escaped(file)),
                        cause: None,
                        hint: Some("write one, as docs/sync.md shows, or give another with -f".to_owned()),
                    });
                }
                bounded(opened.map_err(StoreError::io("open", file))?, file)
            }
        }
    }

    /// Parses the file.
    pub(crate) fn parse(&self, bytes: &[u8]) -> Result<SyncFile, Error> {
        let name = if self.file == "-" { "standard input" } else { &self.file };
        let file = SyncFile::parse(name, bytes)?;
        check(&file)?;
        Ok(file)
    }

    /// Reads the bytes of the lock; none when they cannot be had.
    pub(crate) fn lock_bytes(&self) -> Option<Vec<u8>> {
        let path = self.lock_path();
        bounded(std::fs::File::open(&path).ok()?, &path.to_string_lossy()).ok()
    }

    /// Reads the lock; none when there is no such file.
    pub(crate) fn lock(&self) -> Result<Option<(Vec<u8>, Lock)>, Error> {
        let path = self.lock_path();
        let text = path.to_string_lossy();
        match std::fs::File::open(&path) {
            Ok(file) => {
                let bytes = bounded(file, &text)?;
                let lock = Lock::parse(&text, &bytes)?;
                Ok(Some((bytes, lock)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("open", &path)(error).into()),
        }
    }

    /// Returns how the file is carried out, with the keys that it names.
    pub(crate) fn options(
        &self,
        file: &SyncFile,
        write: &WriteArgs,
        keep_going: bool,
        session: &Session<'_>,
    ) -> Result<SyncOptions, Error> {
        let mut write = write.options(session);
        if session.global.jobs.is_none() {
            write.jobs = write.jobs.max(barge::store::registry::LANES);
        }
        let mut options = SyncOptions { directory: self.directory(), keys: Keys::default(), write, keep_going };
        let mut keys = Keys::default();
        for entry in &file.entries {
            let of_sources = entry.sources.iter().flat_map(|source| &source.verify_key);
            let bundles = || {
                entry.targets.iter().filter_map(|target| match &target.kind {
                    TargetKind::Bundle(bundle) => Some(bundle),
                    _ => None,
                })
            };
            let of_bases = bundles().flat_map(|bundle| &bundle.base_key);
            for path in entry.require_signature.iter().chain(of_sources).chain(of_bases) {
                if !keys.public.contains_key(path) {
                    keys.public.insert(path.clone(), public_key(&options.path(&path.to_string_lossy()))?);
                }
            }
            for path in bundles().filter_map(|bundle| bundle.sign_key.as_ref()) {
                if !keys.private.contains_key(path) {
                    let key = private_key(&options.path(&path.to_string_lossy()))?;
                    keys.private.insert(path.clone(), key.into());
                }
            }
        }
        options.keys = keys;
        Ok(options)
    }
}

fn bounded(from: impl std::io::Read, name: &str) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    // one more than is allowed: whoever parses it refuses it
    from.take(LARGEST_FILE as u64 + 1).read_to_end(&mut bytes).map_err(StoreError::io("read", name))?;
    Ok(bytes)
}

/// A file that has been read, with all that it names.
pub(crate) struct Loaded {
    file: SyncFile,
    lock: Option<Lock>,
    options: SyncOptions,
}

impl Loaded {
    /// Reads what there is to read before anything is looked up.
    pub(crate) fn read(args: &SyncArgs, bytes: &[u8], session: &Session<'_>) -> Result<Self, Error> {
        let file = args.file.parse(bytes)?;
        let lock = if args.locked { Some(locked(&args.file, &file)?) } else { None };
        let options = args.file.options(&file, &args.write, args.keep_going, session)?;
        Ok(Self { file, lock, options })
    }
}

fn locked(args: &FileArgs, file: &SyncFile) -> Result<Lock, Error> {
    let path = args.lock_path();
    let Some((_, lock)) = args.lock()? else {
        return Err(Error::Absent {
            message: format!("cannot find the lock {}", escaped(&path.to_string_lossy())),
            cause: None,
            hint: Some("make it with `barge lock`".to_owned()),
        });
    };
    check_lock(file, &lock, &path.to_string_lossy())?;
    Ok(lock)
}

pub(crate) fn run(args: &SyncArgs, session: &Session<'_>) -> Result<Report, Error> {
    if args.watch {
        return watch::run(args, session);
    }
    let bytes = args.file.read()?;
    round(&Loaded::read(args, &bytes, session)?, &mut watch::Done::default(), session)
}

/// Finds everything, and brings it to where it belongs. `done` is what earlier rounds have done.
pub(crate) fn round(loaded: &Loaded, done: &mut watch::Done, session: &Session<'_>) -> Result<Report, Error> {
    let mut rounds = Round { loaded, session, report: Report::default(), tried: 0, failed: 0 };
    let found = rounds.find_all()?;
    for (entry, found) in loaded.file.entries.iter().zip(&found) {
        let Some(found) = found else { continue };
        for target in &entry.targets {
            rounds.carry_out(entry, target, found, done)?;
        }
    }
    let Round { mut report, tried, failed, .. } = rounds;
    report.stats.insert("steps".to_owned(), json!(tried));
    if failed > 0 {
        report.failure = Some(Failure {
            class: Class::Partial,
            message: format!("{failed} of {} failed", count(tried, "step")),
            hint: Some("run the same command again: what has arrived is not brought again".to_owned()),
        });
    }
    Ok(report)
}

/// What is under way.
struct Round<'a> {
    loaded: &'a Loaded,
    session: &'a Session<'a>,
    report: Report,
    tried: u64,
    failed: u64,
}

impl Round<'_> {
    /// Finds the images of all entries, before anything is written; none where that failed and the rest goes on.
    fn find_all(&mut self) -> Result<Vec<Option<Found>>, Error> {
        let mut all = Vec::new();
        for entry in &self.loaded.file.entries {
            let context = self.session.context();
            match find(entry, self.loaded.lock.as_ref(), &self.loaded.options, &context) {
                Ok(found) => all.push(Some(found)),
                Err(error) => {
                    let steps = entry.targets.len() as u64;
                    self.fail(error, &entry.name, steps)?;
                    all.push(None);
                }
            }
        }
        Ok(all)
    }

    /// Takes note of a failure; returns it when nothing is to go on.
    fn fail(&mut self, error: Error, what: &str, steps: u64) -> Result<(), Error> {
        if !self.loaded.options.keep_going || error.class() == Class::Interrupted {
            return Err(error);
        }
        let error = self.session.split.explain(error, &self.session.cancel, &*self.session.ui);
        let error = barge::ops::bundle::explain(error, &self.session.context());
        self.session.ui.finish();
        self.session.ui.complain(&error);
        self.report.results.push(json!({"step": what, "error": error_as_json(&error)}));
        self.tried += steps;
        self.failed += steps;
        Ok(())
    }

    fn carry_out(
        &mut self,
        entry: &Entry,
        target: &Target,
        found: &Found,
        done: &mut watch::Done,
    ) -> Result<(), Error> {
        let step = described(entry, target);
        let (session, report) = (self.session, &mut self.report);
        let mut partly = false;
        let result =
            prepare(entry, target, found, &self.loaded.options, &session.context(), |prepared| match prepared {
                Prepared::Same { location, roots } => {
                    session.ui.say(&format!("nothing to do: {location} is there"));
                    for root in roots {
                        tell(&location.to_string(), &root, session, report);
                    }
                    Ok(())
                }
                Prepared::Copy { target, mut copying, split } => {
                    let location = target.location();
                    let coming = copying.plan.inventory().roots.clone();
                    if done.has(&step, &coming, &target.roots()?) {
                        session.ui.say(&format!("nothing to do: {location} was brought up to date before"));
                        for image in &copying.images {
                            tell(&location.to_string(), &image.to, session, report);
                        }
                        return Ok(());
                    }
                    if let (true, Some(split)) = (session.global.dry_run, split) {
                        say_plan(session, &target, &mut copying, split, report)?;
                    }
                    carry_out(session, *target, *copying, "write to", report)?;
                    done.add(&step, coming);
                    Ok(())
                }
                Prepared::Push { pushing, options } => {
                    let pushed = super::push::carry_out(&pushing, &options, session)?;
                    partly = pushed.failure.is_some();
                    report.text.extend(pushed.text);
                    report.results.extend(pushed.results);
                    add(&mut report.stats, pushed.stats);
                    Ok(())
                }
            });
        match result {
            Ok(()) => {
                self.tried += 1;
                self.failed += u64::from(partly);
                Ok(())
            }
            Err(error) => self.fail(error, &step, 1),
        }
    }
}

/// Tells of an image that was there.
fn tell(place: &str, root: &barge::content::Descriptor, session: &Session<'_>, report: &mut Report) {
    let name = barge::ops::lookup::name_of(root);
    report.text.extend(line(&root.digest().to_string(), name).into_bytes());
    report.results.push(json!({"place": place, "name": name, "digest": root.digest().to_string(), "unchanged": true,
        "dryRun": session.global.dry_run}));
}

/// Adds counts to those of the steps before.
fn add(total: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        let sum = match (total.get(&key).and_then(Value::as_u64), value.as_u64()) {
            (Some(before), Some(now)) => json!(before + now),
            _ => value,
        };
        total.insert(key, sum);
    }
}
