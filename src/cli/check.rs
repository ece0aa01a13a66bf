//! `barge check`

use barge::error::Class;
use barge::ops::Error;
use barge::ops::check::{Loader, Prediction, Verdict, check};
use barge::ops::open::{Store, open};
use barge::platform::Platform;
use barge::store::Source as _;
use barge::text::escaped;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Session;
use super::report::{Failure, Report};
use super::terminal::{Ink, Surface};

/// Say whether docker, podman, containerd and skopeo will load an archive, and under which names.
///
/// By what these programs were seen to do. Exit code 1 when one of them refuses it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge check bundle.tar
  barge check --for podman,docker-classic --platform linux/arm64 bundle.tar")]
pub(crate) struct CheckArgs {
    /// The loaders to ask about (can be repeated, takes commas) [default: all]
    #[arg(long = "for", value_enum, value_delimiter = ',', value_name = "LOADER")]
    loaders: Vec<LoaderArg>,
    /// The platform of the machines that load it [default: linux, and this machine's architecture]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// The archive
    #[arg(value_name = "FILE")]
    file: String,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum LoaderArg {
    Docker,
    DockerClassic,
    Podman,
    Ctr,
    Nerdctl,
    Skopeo,
}

impl LoaderArg {
    const fn loader(self) -> Loader {
        match self {
            Self::Docker => Loader::Docker,
            Self::DockerClassic => Loader::DockerClassic,
            Self::Podman => Loader::Podman,
            Self::Ctr => Loader::Ctr,
            Self::Nerdctl => Loader::Nerdctl,
            Self::Skopeo => Loader::Skopeo,
        }
    }
}

pub(crate) fn run(args: &CheckArgs, session: &Session<'_>) -> Result<Report, Error> {
    let host = match &args.platform {
        Some(text) => {
            text.parse::<Platform>().map_err(|error| Error::Usage { hint: error.hint(), message: error.to_string() })?
        }
        None => host(),
    };
    let opened = open(&args.file, &session.context())?;
    let Store::Archive(archive) = &opened.store else {
        return Err(Error::Usage {
            message: format!("cannot check {}: it is a layout, and loaders take files", opened.label),
            hint: Some("write it with `barge save -o FILE.tar` first".to_owned()),
        });
    };
    let loaders: Vec<Loader> = match args.loaders.as_slice() {
        [] => Loader::ALL.to_vec(),
        some => some.iter().map(|arg| arg.loader()).collect(),
    };
    let file = archive.location().path().map_or_else(|| "-".to_owned(), |path| path.to_string_lossy().into_owned());
    let predictions = check(archive, &file, &loaders, &host)?;
    let mut report = Report::default();
    for prediction in &predictions {
        report.text.extend(as_text(Surface::out(), prediction).into_bytes());
        report.results.push(as_json(&archive.location().to_string(), prediction));
    }
    let refusing: Vec<String> = predictions
        .iter()
        .filter(|prediction| prediction.verdict == Verdict::Refuses)
        .map(|prediction| prediction.loader.to_string())
        .collect();
    if !refusing.is_empty() {
        report.failure = Some(Failure {
            class: Class::Failed,
            message: format!("{} will not take {}", refusing.join(", "), escaped(&file)),
            hint: None,
        });
    }
    Ok(report)
}

/// The machine that loads, when nothing is said: containers run on Linux, whatever this is.
pub(super) fn host() -> Platform {
    Platform { os: "linux".to_owned(), ..Platform::local() }
}

fn as_text(surface: Surface, prediction: &Prediction) -> String {
    let ink = match prediction.verdict {
        Verdict::Takes => Ink::Good,
        Verdict::Refuses => Ink::Bad,
        Verdict::TakesPart => Ink::Warning,
    };
    let mut text = format!("{}: {}\n", prediction.loader, surface.paint(ink, prediction.verdict.name()));
    for name in &prediction.names {
        text.push_str(&format!("  as {}\n", escaped(name)));
    }
    for remark in &prediction.remarks {
        text.push_str(&format!("{}\n", surface.fold(&format!("  {}", remark.reason), 2)));
        if let Some(fix) = &remark.fix {
            text.push_str(&format!("{}\n", surface.fold(&format!("    fix: {fix}"), 2)));
        }
    }
    for command in &prediction.commands {
        text.push_str(&format!("  $ {command}\n"));
    }
    text
}

fn as_json(place: &str, prediction: &Prediction) -> Value {
    let remarks: Vec<Value> =
        prediction.remarks.iter().map(|remark| json!({"reason": remark.reason, "fix": remark.fix})).collect();
    json!({"place": place, "loader": prediction.loader.name(), "verdict": prediction.verdict.name(),
        "names": prediction.names, "remarks": remarks, "commands": prediction.commands})
}
