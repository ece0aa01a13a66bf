//! `barge report`

use std::path::PathBuf;

use barge::error::Class;
use barge::ops::Error;
use barge::ops::report::{Attachment, GENERATOR, Image, Layer, Survey, SurveyOptions, Variant, Verdict, page, survey};
use barge::ops::verify::{Depth, Problem};
use barge::store::beside::{SmallFile, sync_name};
use barge::text::escaped;
use clap::Args;
use serde_json::{Value, json};

use super::Session;
use super::keys::public_key;
use super::ls::{entries, places};
use super::receipt::must_be;
use super::report::{Failure, Report};
use super::write::count;

/// Write a page about what a place holds: images, layers and who shares them, signatures, everything wrong.
///
/// For a browser or a printer: one file without script and without anything to fetch. Every reachable byte is read and checked first, as `barge verify` does;
/// exit code 4 when anything is wrong, and the page is written all the same.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge report bundle.tar -o report.html
  barge report --key release.pub --deep dist -o report.html
  barge report --json bundle.tar | jq '.results[].bytes'")]
pub(crate) struct PageArgs {
    /// The file for the page, or - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Check signatures with this public key, or another one given so: of images and of the bundle (can be repeated)
    #[arg(long, value_name = "KEY")]
    key: Vec<PathBuf>,
    /// Unpack layers too, and check the diff_ids of the configs
    #[arg(long)]
    deep: bool,
    /// Read no layers: the page says that nothing was verified
    #[arg(long, conflicts_with = "deep")]
    no_verify: bool,
    /// A layout or an archive, or one image in it [default: the current layout]
    #[arg(value_name = "PLACE|REF")]
    place: Option<String>,
}

pub(crate) fn run(args: &PageArgs, session: &Session<'_>) -> Result<Report, Error> {
    let to_stdout = args.output.as_deref().is_some_and(|path| path.as_os_str() == "-");
    check_usage(args, to_stdout, session)?;
    let keys = args.key.iter().map(|path| public_key(path)).collect::<Result<Vec<_>, _>>()?;
    let words: Vec<String> = args.place.iter().cloned().collect();
    let (store, selector, _) = places(&words, session)?.swap_remove(0);
    let options = SurveyOptions {
        depth: match (args.no_verify, args.deep) {
            (true, _) => Depth::Presence,
            (_, true) => Depth::DiffIds,
            _ => Depth::Digests,
        },
        keys: &keys,
        jobs: session.global.jobs(),
        cancel: &session.cancel,
        observer: &*session.ui,
    };
    let survey = survey(&store, selector.as_ref(), &options)?;
    session.ui.finish();
    let mut report = Report::default();
    if let Some(path) = &args.output {
        let page = page(&survey);
        match (to_stdout, session.global.dry_run) {
            (true, _) => report.text = page.into_bytes(),
            (false, true) => {}
            (false, false) => {
                must_be(path, "a report", is_report)?;
                SmallFile::write(path, page.as_bytes(), 0o644)?.replace()?;
                sync_name(path)?;
            }
        }
        if !to_stdout {
            session.ui.say(&format!("{}: {}", escaped(&path.to_string_lossy()), summary(&survey)));
        }
    }
    let problems = survey.verified.problems.len() as u64 + survey.verified.more_problems;
    report.results.push(as_json(&survey, session.global.dry_run));
    report.stats.insert("bytes".to_owned(), json!(survey.verified.bytes));
    report.stats.insert("problems".to_owned(), json!(problems));
    if problems > 0 {
        report.failure = Some(Failure {
            class: Class::Content,
            message: format!("{} found", count(problems, "problem")),
            hint: Some("the page lists them; `barge verify` prints them".to_owned()),
        });
    }
    Ok(report)
}

/// Returns whether a file begins as a page of ours does.
fn is_report(start: &[u8]) -> bool {
    let mark = format!("<meta name=\"generator\" content=\"{GENERATOR}\"/>");
    start.windows(mark.len()).any(|bytes| bytes == mark.as_bytes())
}

fn check_usage(args: &PageArgs, to_stdout: bool, session: &Session<'_>) -> Result<(), Error> {
    let refuse =
        |message: &str, hint: &str| Err(Error::Usage { message: message.to_owned(), hint: Some(hint.to_owned()) });
    match (&args.output, session.global.json) {
        (None, false) => refuse("cannot tell where the page goes", "give a file with -o, or -o - for standard output"),
        (Some(_), true) if to_stdout => {
            refuse("cannot write the page and JSON to standard output", "give the page a file with -o, or leave out -o")
        }
        _ => Ok(()),
    }
}

fn summary(survey: &Survey) -> String {
    let (images, layers) = (count(survey.images.len() as u64, "image"), count(survey.layers.len() as u64, "layer"));
    match survey.depth {
        Depth::Presence => format!("{images}, {layers}, not verified"),
        Depth::Digests | Depth::DiffIds => format!("{images}, {layers}"),
    }
}

fn as_json(survey: &Survey, dry_run: bool) -> Value {
    let verified = &survey.verified;
    let problem = |problem: &Problem| {
        json!({"digest": problem.subject, "status": problem.status.name(), "about": problem.about,
            "referencedBy": problem.referenced_by.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "detail": problem.detail})
    };
    let depth = match survey.depth {
        Depth::Presence => "presence",
        Depth::Digests => "digests",
        Depth::DiffIds => "diff-ids",
    };
    let bundle = survey.bundle.as_ref().map(|bundle| {
        json!({"digest": bundle.digest.to_string(), "current": bundle.is_current, "bases": bundle.bases,
            "signature": bundle.signature.as_ref().map(verdict)})
    });
    let bytes = &survey.bytes;
    json!({"place": survey.place, "ok": verified.problems.is_empty() && verified.more_problems == 0, "checked": depth,
        "blobs": verified.pieces, "parts": survey.parts, "bundle": bundle,
        "bytes": {"total": bytes.total(), "shared": bytes.shared, "single": bytes.single, "documents": bytes.documents,
            "other": bytes.other, "unreferenced": bytes.unreferenced, "saved": bytes.saved},
        "images": survey.images.iter().map(|image| image_as_json(survey, image)).collect::<Vec<_>>(),
        "layers": survey.layers.iter().map(|layer| layer_as_json(survey, layer)).collect::<Vec<_>>(),
        "attachments": survey.attachments.iter().map(attachment).collect::<Vec<_>>(),
        "problems": verified.problems.iter().map(problem).collect::<Vec<_>>(), "moreProblems": verified.more_problems,
        "unreferenced": verified.unreferenced.iter().map(|(digest, _)| digest.to_string()).collect::<Vec<_>>(),
        "dryRun": dry_run})
}

fn image_as_json(survey: &Survey, image: &Image) -> Value {
    let listed = &image.listed;
    let variant = |(variant, entry): (&Variant, Value)| {
        let mut object = entry;
        let layers = variant.layers.iter().filter_map(|&at| survey.layers.get(at));
        object["layers"] = json!(layers.map(|layer| layer.digest.to_string()).collect::<Vec<_>>());
        object
    };
    json!({"names": listed.names, "digest": listed.digest.to_string(), "kind": listed.kind.name(),
        "mediaType": listed.media_type.as_str(),
        "platforms": listed.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "size": listed.size, "uniqueSize": listed.unique, "missing": listed.missing, "broken": listed.broken,
        "inBase": listed.left_out, "created": listed.created, "attachments": image.attachments,
        "signatures": image.signatures, "signedBy": image.signers,
        "entries": image.variants.iter().zip(entries(listed)).map(variant).collect::<Vec<_>>()})
}

fn layer_as_json(survey: &Survey, layer: &Layer) -> Value {
    let user = |(image, variant): &(usize, usize)| {
        let variant = survey.images.get(*image).and_then(|image| image.variants.get(*variant));
        variant.map(|variant| variant.digest.to_string())
    };
    json!({"digest": layer.digest.to_string(), "size": layer.size, "mediaType": layer.media_type.as_str(),
        "state": layer.state.name(), "saved": layer.saved(),
        "images": layer.users.iter().filter_map(user).collect::<Vec<_>>()})
}

fn attachment(one: &Attachment) -> Value {
    let referrer = &one.referrer;
    json!({"digest": referrer.digest.to_string(), "size": referrer.size, "mediaType": referrer.media_type.as_str(),
        "types": referrer.types, "subject": referrer.subject.to_string(),
        "platform": referrer.platform.as_ref().map(ToString::to_string), "depth": referrer.depth,
        "by": referrer.by.iter().map(|by| by.name()).collect::<Vec<_>>(), "name": referrer.name,
        "problem": referrer.problem, "signatures": one.signatures.iter().map(verdict).collect::<Vec<_>>()})
}

fn verdict(verdict: &Verdict) -> Value {
    let (signer, identity, detail) = match verdict {
        Verdict::Unchecked => (None, None, None),
        Verdict::Holds { signer, identity } => (Some(signer), identity.as_ref(), None),
        Verdict::Fails(reason) => (None, None, Some(reason)),
    };
    json!({"result": verdict.name(), "signedBy": signer, "identity": identity, "detail": detail})
}
