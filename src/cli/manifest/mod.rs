//! `barge manifest`: the commands of `docker manifest`, `buildah manifest` and `podman manifest`.

mod change;
mod create;
mod look;
mod push;

use std::ffi::OsStr;

use barge::ops::Error;
use barge::ops::lookup::is_attached;
use barge::ops::open::{Opened, Store, is_empty_directory, open, open_path};
use barge::ops::target::{Target, names_of};
use barge::plan::Plan;
use barge::reference::ImageName;
use barge::store::StoreError;
use barge::text::escaped;
use barge::transfer::Summary;
use clap::{Args, Subcommand};

use super::Session;
use super::network::NetworkArgs;
use super::report::Report;
use super::write::WriteArgs;

/// Make and change lists (image indexes) by name, as docker, buildah and podman do, in the current layout.
///
/// A bare name always means a list of the current layout (-L DIR, $BARGE_LAYOUT), `docker://` always a registry. Nothing is
/// sent anywhere before `push`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge -L dist manifest create app:v1 amd64.tar arm64.tar
  barge -L dist manifest create --amend app:v1 docker://quay.io/org/app:v1-riscv64
  barge -L dist manifest annotate app:v1 linux/arm/v7 --annotation a=b
  barge -L dist manifest remove app:v1 linux/s390x
  barge -L dist manifest inspect app:v1")]
pub(crate) struct ManifestArgs {
    #[command(subcommand)]
    pub(crate) command: ManifestCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ManifestCommand {
    Create(create::CreateArgs),
    Add(create::AddArgs),
    Annotate(change::AnnotateArgs),
    Remove(change::RemoveArgs),
    Rm(change::RmArgs),
    Inspect(look::InspectArgs),
    Exists(look::ExistsArgs),
    /// Show the lists that there are
    #[command(after_help = "\
Examples:
  barge -L dist manifest ls
  barge -L dist manifest ls --json | jq -r '.results[].names[]'")]
    Ls,
    Push(push::PushArgs),
}

impl ManifestArgs {
    /// Returns how the command reaches registries; none for one that never does.
    pub(crate) const fn network(&self) -> Option<&NetworkArgs> {
        match &self.command {
            ManifestCommand::Create(args) => Some(&args.network),
            ManifestCommand::Add(args) => Some(&args.network),
            ManifestCommand::Inspect(args) => Some(&args.network),
            ManifestCommand::Push(args) => Some(&args.network),
            _ => None,
        }
    }

    /// Returns whether a failure has the exit code that buildah and podman give it.
    pub(crate) const fn fails_with_125(&self) -> bool {
        matches!(self.command, ManifestCommand::Exists(_))
    }
}

pub(crate) fn run(args: &ManifestArgs, session: &Session<'_>) -> Result<Report, Error> {
    match &args.command {
        ManifestCommand::Create(args) => create::create(args, session),
        ManifestCommand::Add(args) => create::add(args, session),
        ManifestCommand::Annotate(args) => change::annotate(args, session),
        ManifestCommand::Remove(args) => change::remove(args, session),
        ManifestCommand::Rm(args) => change::rm(args, session),
        ManifestCommand::Inspect(args) => look::inspect(args, session),
        ManifestCommand::Exists(args) => look::exists(args, session),
        ManifestCommand::Ls => look::ls(session),
        ManifestCommand::Push(args) => push::push(args, session),
    }
}

/// Opens what a word means. docker's scripts have bare names for images in registries: what is not here is told with the word for
/// those.
fn open_image(word: &str, session: &Session<'_>) -> Result<Opened, Error> {
    open(word, &session.context()).map_err(|error| match error {
        Error::Absent { message, cause, hint: None } => {
            let is_name = !word.starts_with(['.', '/', ':']) && ImageName::parse(word).is_ok();
            let hint = is_name.then(|| format!("if a registry is meant, write docker://{}", escaped(word)));
            Error::Absent { message, cause, hint }
        }
        other => other,
    })
}

/// Opens the current layout; none when it is yet to be made.
fn here(session: &Session<'_>) -> Result<Option<Store>, Error> {
    let context = session.context();
    let Some(path) = context.layout else { return Ok(None) };
    match open_path(path, &context) {
        Ok(store) => Ok(Some(store)),
        Err(Error::Store(StoreError::Absent { .. })) => Ok(None),
        Err(Error::Store(StoreError::Io { source, .. })) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // an empty directory is about to become one
        Err(_) if is_empty_directory(path) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens the current layout, which has to be there.
fn layout(session: &Session<'_>) -> Result<Store, Error> {
    match (here(session)?, session.context().layout) {
        (Some(store), _) => Ok(store),
        (None, Some(path)) => Err(Error::Absent {
            message: format!("cannot find the layout {}", escaped(&path.to_string_lossy())),
            cause: None,
            hint: Some("check -L DIR and BARGE_LAYOUT".to_owned()),
        }),
        (None, None) => Err(Error::Absent {
            message: "cannot tell where the lists are: there is no current layout".to_owned(),
            cause: None,
            hint: Some("give it with -L DIR or BARGE_LAYOUT".to_owned()),
        }),
    }
}

/// Reads the name of a list: never one in a registry.
fn list_name(text: &str) -> Result<ImageName, Error> {
    if text.starts_with("docker://") {
        return Err(Error::Usage {
            message: format!(
                "cannot use {} as the name of a list here: it is in a registry",
                barge::text::quoted(text)
            ),
            hint: Some("lists are made in the current layout: leave out docker://, and push it afterwards".to_owned()),
        });
    }
    let mut names = super::write::names(&[text.to_owned()])?;
    Ok(names.swap_remove(0))
}

/// Writes a change into the current layout; none with `--dry-run`.
fn deliver(plan: Plan<'_>, write: &WriteArgs, session: &Session<'_>) -> Result<(Vec<String>, Option<Summary>), Error> {
    // what belongs to images may have names too
    let lists: Vec<_> = plan.inventory().roots.iter().filter(|root| !is_attached(root)).cloned().collect();
    let names = names_of(&lists);
    let context = session.context();
    let target = Target::open(None, &context, write.options(session))?;
    let summary = match session.global.dry_run {
        true => None,
        false => Some(target.deliver(plan, &session.cancel, &session.ui)?),
    };
    session.ui.finish();
    Ok((names, summary))
}

/// Returns whether a word is written like a digest, and so means no list.
fn looks_like_digest(word: &OsStr) -> bool {
    let text = word.to_string_lossy();
    text.starts_with("sha256:") || text.starts_with("sha512:") || text.starts_with('@')
}
