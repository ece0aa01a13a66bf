//! The terminal: the only place for clap, standard output, the environment and signals.
//!
//! A command is a file with its `Args` and a thin `run` that calls one operation and turns its result into a
//! [`report::Report`].

mod access_log;
mod align;
mod attach;
mod build;
mod cat;
mod changes;
mod check;
mod compact;
mod completions;
mod convert;
mod copy;
mod diff;
mod edit;
mod gc;
mod help;
mod host;
mod inspect;
mod key;
mod keys;
mod layers;
mod listen;
mod lists;
mod load;
mod lock;
mod login;
mod ls;
mod manifest;
mod merge;
mod network;
mod packed;
mod packing_list;
mod page;
mod pull;
mod push;
mod receipt;
mod referrers;
mod report;
mod reworked;
mod rm;
mod save;
mod serve;
mod sign;
mod signed;
mod split;
mod sync;
mod tag;
mod take_in;
mod terminal;
mod tree;
mod ui;
mod unpack;
mod verify;
mod watch;
mod write;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use barge::blob::Cancel;
use barge::error::Class;
use barge::ops::Error;
use barge::ops::workspace::Workspace;
use barge::store::local_lanes;
use barge::store::registry::{Notice, Registries};
use barge::transfer::{Event, Observer as _};
use clap::{Args, FromArgMatches as _, Parser, Subcommand};

use network::NetworkArgs;
use report::{Format, Report};
use ui::{Progress, Ui};

/// Merge, verify, carry and publish multi-arch container images: no daemon, no root and, until you push, no network.
///
/// Everything happens in OCI image layouts (directories) and archives (tar files). Only a word that means a registry makes it
/// open a connection.
#[derive(Parser, Debug)]
#[command(name = "barge", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The commands. What each does stands beside its options.
#[derive(Subcommand, Debug)]
enum Command {
    Build(build::BuildArgs),
    Merge(merge::MergeArgs),
    Edit(edit::EditArgs),
    Convert(convert::ConvertArgs),
    Manifest(manifest::ManifestArgs),
    #[command(visible_aliases = ["fsck", "validate"])]
    Verify(verify::VerifyArgs),
    #[command(visible_alias = "images")]
    Ls(ls::LsArgs),
    Inspect(inspect::InspectArgs),
    Tree(tree::TreeArgs),
    Cat(cat::CatArgs),
    #[command(visible_alias = "cp")]
    Copy(copy::CopyArgs),
    Push(push::PushArgs),
    Pull(pull::PullArgs),
    #[command(visible_alias = "export")]
    Save(save::SaveArgs),
    #[command(visible_alias = "import")]
    Load(load::LoadArgs),
    Sync(sync::SyncArgs),
    Lock(lock::LockArgs),
    Receipt(receipt::ReceiptArgs),
    Tag(tag::TagArgs),
    Attach(attach::AttachArgs),
    Referrers(referrers::ReferrersArgs),
    #[command(visible_aliases = ["rmi", "delete"])]
    Rm(rm::RmArgs),
    Gc(gc::GcArgs),
    Diff(diff::DiffArgs),
    Check(check::CheckArgs),
    Report(page::PageArgs),
    Unpack(unpack::UnpackArgs),
    Serve(serve::ServeArgs),
    Sign(sign::SignImageArgs),
    Key(key::KeyArgs),
    Login(login::LoginArgs),
    Logout(login::LogoutArgs),
    /// Print the version
    #[command(after_help = "\
Examples:
  barge version
  barge version --json | jq -r '.results[].version'")]
    Version,
    Completions(completions::CompletionsArgs),
    Man(help::man::ManArgs),
    /// Say what may come next on a command line
    #[command(name = "__complete", hide = true)]
    Complete(completions::CompleteArgs),
}

impl Command {
    const fn name(&self) -> &'static str {
        match self {
            Self::Build(_) => "build",
            Self::Merge(_) => "merge",
            Self::Manifest(_) => "manifest",
            Self::Edit(_) => "edit",
            Self::Convert(_) => "convert",
            Self::Verify(_) => "verify",
            Self::Ls(_) => "ls",
            Self::Inspect(_) => "inspect",
            Self::Tree(_) => "tree",
            Self::Cat(_) => "cat",
            Self::Copy(_) => "copy",
            Self::Push(_) => "push",
            Self::Pull(_) => "pull",
            Self::Sign(_) => "sign",
            Self::Key(_) => "key",
            Self::Login(_) => "login",
            Self::Logout(_) => "logout",
            Self::Save(_) => "save",
            Self::Serve(_) => "serve",
            Self::Load(_) => "load",
            Self::Sync(_) => "sync",
            Self::Lock(_) => "lock",
            Self::Receipt(_) => "receipt",
            Self::Tag(_) => "tag",
            Self::Attach(_) => "attach",
            Self::Referrers(_) => "referrers",
            Self::Rm(_) => "rm",
            Self::Gc(_) => "gc",
            Self::Check(_) => "check",
            Self::Report(_) => "report",
            Self::Diff(_) => "diff",
            Self::Unpack(_) => "unpack",
            Self::Version => "version",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
            Self::Complete(_) => "__complete",
        }
    }

    /// Returns how the command reaches registries; none for one that never does.
    const fn network(&self) -> Option<&NetworkArgs> {
        match self {
            Self::Build(args) => Some(&args.network),
            Self::Merge(args) => Some(&args.network),
            Self::Manifest(args) => args.network(),
            Self::Edit(args) => Some(&args.network),
            Self::Convert(args) => Some(&args.network),
            Self::Verify(args) => Some(&args.network),
            Self::Ls(args) => Some(&args.network),
            Self::Inspect(args) => Some(&args.network),
            Self::Tree(args) => Some(&args.network),
            Self::Cat(args) => Some(&args.network),
            Self::Copy(args) => Some(&args.network),
            Self::Push(args) => Some(&args.network),
            Self::Pull(args) => Some(&args.network),
            Self::Login(args) => Some(&args.network),
            Self::Logout(args) => Some(&args.network),
            Self::Save(args) => Some(&args.network),
            Self::Sync(args) => Some(&args.network),
            Self::Lock(args) => Some(&args.network),
            Self::Receipt(args) => Some(&args.network),
            Self::Tag(args) => Some(&args.network),
            Self::Rm(args) => Some(&args.network),
            Self::Diff(args) => Some(&args.network),
            Self::Unpack(args) => Some(&args.network),
            Self::Referrers(args) => Some(&args.network),
            Self::Attach(_)
            | Self::Load(_)
            | Self::Sign(_)
            | Self::Gc(_)
            | Self::Check(_)
            | Self::Report(_)
            | Self::Serve(_)
            | Self::Key(_)
            | Self::Version
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Complete(_) => None,
        }
    }
}

/// Options of every command.
#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a switch that the user types
struct Global {
    /// The current layout [default: $BARGE_LAYOUT, else . when it is a layout]
    #[arg(short = 'L', long, global = true, value_name = "DIR", help_heading = help::GLOBAL)]
    layout: Option<PathBuf>,
    /// Print nothing but the result and errors
    #[arg(short, long, global = true, help_heading = help::GLOBAL)]
    quiet: bool,
    /// Say what happens to every piece
    #[arg(short, long, global = true, help_heading = help::GLOBAL, conflicts_with = "quiet")]
    verbose: bool,
    /// Print one JSON object instead of text
    #[arg(long, global = true, help_heading = help::GLOBAL)]
    json: bool,
    /// How to show progress on standard error
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "HOW",
        help_heading = help::GLOBAL
    )]
    progress: Progress,
    /// How many pieces to work on at once [default: one for each core, one more to copy, six from and to registries]
    #[arg(long, global = true, value_name = "N", help_heading = help::GLOBAL)]
    jobs: Option<NonZeroUsize>,
    /// Say what would be done, and write nothing
    #[arg(long, global = true, help_heading = help::GLOBAL)]
    dry_run: bool,
    /// Refuse whatever would open a connection
    #[arg(long, global = true, help_heading = help::GLOBAL)]
    no_network: bool,
    /// Where temporary files go, such as archives that are unpacked to be read [default: beside what they are for]
    #[arg(long, global = true, value_name = "DIR", help_heading = help::GLOBAL)]
    tmpdir: Option<PathBuf>,
    /// A further directory with parts of a split archive, such as another medium (can be repeated)
    #[arg(long, global = true, value_name = "DIR", help_heading = help::GLOBAL)]
    part_dir: Vec<PathBuf>,
}

impl Global {
    /// Returns how many pieces to work on at once, where that takes the processor.
    fn jobs(&self) -> NonZeroUsize {
        self.jobs.unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// Returns how many pieces to copy at once on this machine.
    fn lanes(&self) -> NonZeroUsize {
        self.jobs.unwrap_or_else(local_lanes)
    }
}

/// What a command runs with.
struct Session<'a> {
    global: &'a Global,
    ui: Arc<Ui>,
    workspace: Workspace,
    /// Set when the result stands on standard output already, and the command goes on.
    answered: Arc<AtomicBool>,
}

/// Returns what tells the user that a connection was cut, or what a registry warns of.
fn notice(ui: &Arc<Ui>) -> Notice {
    let ui = Arc::clone(ui);
    Arc::new(move |text| ui.hear(Event::Warning(text.to_owned())))
}

impl<'a> Session<'a> {
    fn new(
        global: &'a Global,
        ui: &Arc<Ui>,
        cancel: Cancel,
        registries: Registries,
        answered: &Arc<AtomicBool>,
    ) -> Self {
        let mut workspace = Workspace::with(cancel, registries, Arc::<Ui>::clone(ui));
        workspace.layout = current_layout(global.layout.as_deref(), std::env::var_os("BARGE_LAYOUT"));
        workspace.tmpdir.clone_from(&global.tmpdir);
        workspace.part_dirs.clone_from(&global.part_dir);
        Self { global, ui: Arc::clone(ui), workspace, answered: Arc::clone(answered) }
    }

    fn notice(&self) -> Notice {
        notice(&self.ui)
    }
}

/// A session is a workspace with a terminal.
impl Deref for Session<'_> {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.workspace
    }
}

/// Parses the command line, runs the command, and returns the exit code.
pub(crate) fn main() -> ExitCode {
    let mut command = help::for_terminal();
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    let parsed =
        matches.and_then(|matches| Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command)));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let error = help::advised(error);
            let code = error.exit_code();
            // a closed pipe is the reader's choice
            let _ = error.print();
            return ExitCode::from(u8::try_from(code).unwrap_or(2));
        }
    };
    if let Command::Complete(args) = &cli.command {
        return completions::answer(args);
    }
    let format = if cli.global.json { Format::Json } else { Format::Text };
    let started = Instant::now();
    let ui = Arc::new(Ui::new(cli.global.progress, cli.global.quiet, cli.global.verbose, cli.command.name()));
    let cancel = listen_to_signals();
    raise_file_limit();
    let registries = match cli.command.network() {
        Some(network) => network.registries(&cli.global, &cancel, notice(&ui)),
        None => {
            let hint = Some("pull it first: `barge pull -o PLACE HOST/REPOSITORY:TAG`");
            Ok(Registries::forbidden("this command works on layouts and archives only", hint, &cancel))
        }
    };
    let answered = Arc::new(AtomicBool::new(false));
    let result = registries.and_then(|registries| {
        let session = Session::new(&cli.global, &ui, cancel, registries, &answered);
        run(&cli.command, &session).map_err(|error| {
            let error = session.split.explain(error, &session.cancel, &session.ui);
            barge::ops::bundle::explain(error, &session.context())
        })
    });
    ui.finish();
    let warnings = ui.warnings();
    // one result is all that standard output gets
    let format = if answered.load(Ordering::Relaxed) { Format::Text } else { format };
    let code = report::print(cli.command.name(), &result, &warnings, started.elapsed(), format, cli.global.quiet);
    match (&cli.command, result) {
        (Command::Manifest(args), Err(error)) if args.fails_with_125() && error.class() != Class::Interrupted => {
            ExitCode::from(125)
        }
        _ => code,
    }
}

fn run(command: &Command, session: &Session<'_>) -> Result<Report, Error> {
    match command {
        Command::Build(args) => build::run(args, session),
        Command::Merge(args) => merge::run(args, session),
        Command::Manifest(args) => manifest::run(args, session),
        Command::Edit(args) => edit::run(args, session),
        Command::Convert(args) => convert::run(args, session),
        Command::Verify(args) => verify::run(args, session),
        Command::Ls(args) => ls::run(args, session),
        Command::Inspect(args) => inspect::run(args, session),
        Command::Tree(args) => tree::run(args, session),
        Command::Cat(args) => cat::run(args, session),
        Command::Copy(args) => copy::run(args, session),
        Command::Push(args) => push::run(args, session),
        Command::Pull(args) => pull::run(args, session),
        Command::Sign(args) => sign::run(args, session),
        Command::Key(args) => key::run(args, session),
        Command::Login(args) => login::run(args, session),
        Command::Logout(args) => login::logout(args, session),
        Command::Save(args) => save::run(args, session),
        Command::Serve(args) => serve::run(args, session),
        Command::Load(args) => load::run(args, session),
        Command::Sync(args) => sync::run(args, session),
        Command::Lock(args) => lock::run(args, session),
        Command::Receipt(args) => receipt::run(args, session),
        Command::Tag(args) => tag::run(args, session),
        Command::Attach(args) => attach::run(args, session),
        Command::Referrers(args) => referrers::run(args, session),
        Command::Rm(args) => rm::run(args, session),
        Command::Gc(args) => gc::run(args, session),
        Command::Diff(args) => diff::run(args, session),
        Command::Check(args) => check::run(args, session),
        Command::Report(args) => page::run(args, session),
        Command::Unpack(args) => unpack::run(args, session),
        Command::Version => Ok(Report::version()),
        Command::Completions(args) => completions::run(args, session),
        Command::Man(args) => help::man::run(args, session),
        // answered before a session begins
        Command::Complete(_) => Ok(Report::default()),
    }
}

/// Returns the current layout: what was asked for, else the working directory when it is one.
fn current_layout(said: Option<&Path>, variable: Option<OsString>) -> Option<PathBuf> {
    let asked = said.map(Path::to_path_buf).or_else(|| variable.filter(|path| !path.is_empty()).map(PathBuf::from));
    asked.or_else(|| Path::new("oci-layout").is_file().then(|| PathBuf::from(".")))
}

/// Lets this process have as many files open as it may: each layer that is made stays open until all of them get their names,
/// and the usual limit of 1024 is one for programs that call select(2).
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // what is not given is told when it is needed
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Turns the first SIGINT, SIGTERM or SIGHUP into a request to stop; the second one ends the process at once.
fn listen_to_signals() -> Cancel {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // without a handler the signal ends the process, which is no worse than any kill
        let _ = signal_hook::flag::register_conditional_default(signal, Arc::clone(&flag));
        let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
    }
    // A file that became too large is told where it is written, and what is under way is cleared: without a handler the kernel
    // ends the process in the midst of it. Ignored instead, it would stay so in the programs that are started from here.
    let _ = signal_hook::flag::register(rustix::process::Signal::XFSZ.as_raw(), Arc::default());
    Cancel::from_flag(flag)
}
