//! `barge sign`

use std::collections::BTreeMap;
use std::path::PathBuf;

use barge::ops::Error;
use barge::ops::attached::called;
use barge::ops::lookup::{name_of, select_one};
use barge::ops::open::{Store, open};
use barge::ops::sign::{Form, SignOptions, Signing, ToSign, sign, to_sign};
use barge::ops::target::Target;
use barge::signing::PrivateKey;
use barge::store::Source as _;
use barge::text::escaped;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::Session;
use super::changes::pairs;
use super::keys::private_key;
use super::report::Report;
use super::tag::place_of;
use super::write::WriteArgs;

/// Sign an image with a private key, where it lies: the form is that of cosign.
///
/// What is signed is the digest of the image, and so all of it. The signature lies beside the image and goes where it goes;
/// `barge verify --key` and `cosign verify --key` check it. Keys are those of barge, cosign and openssl.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge sign --key release.key dist:ghcr.io/org/app:v1
  barge sign --key release.key --recursive dist:app:v1   # each platform too
  barge sign --key release.key --as bundle dist:app:v1   # as cosign 3 does it
  barge sign --key cosign.key --identity quay.io/org/app bundle.tar:v1")]
pub(crate) struct SignImageArgs {
    #[command(flatten)]
    write: WriteArgs,
    /// The private key, as PEM; its password is asked for, or taken from BARGE_PASSWORD or COSIGN_PASSWORD
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What the image is called in the signature [default: the repository of its name; nothing in a bundle]
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// Something else that is signed (can be repeated)
    #[arg(short, long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    /// Sign the images for single platforms too: podman and CRI-O ask for a signature of the one that they take
    #[arg(short, long)]
    recursive: bool,
    /// What the signature is, and how it is found
    #[arg(long = "as", value_enum, default_value = "tag", value_name = "HOW")]
    form: FormArg,
    /// The images
    #[arg(required = true, value_name = "REF")]
    references: Vec<String>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum FormArg {
    /// Under the tag sha256-HEX.sig, as cosign 2 does it
    Tag,
    /// By its subject, as the referrers API has it; the form is that of cosign 2
    Referrer,
    /// By its subject, as a sigstore bundle: the form of cosign 3
    Bundle,
}

/// Images of one place that are to be signed.
struct Batch {
    store: Store,
    images: Vec<ToSign>,
}

pub(crate) fn run(args: &SignImageArgs, session: &Session<'_>) -> Result<Report, Error> {
    let key = private_key(&args.key)?;
    let annotations: BTreeMap<String, String> = pairs("annotation", &args.annotation)?.into_iter().collect();
    let form = match args.form {
        FormArg::Tag => Form::Tag,
        FormArg::Referrer => Form::Referrer,
        FormArg::Bundle => Form::Bundle,
    };
    let options = SignOptions { identity: args.identity.clone(), annotations, form };
    let context = session.context();
    // an archive is written anew once, however many of its images are signed
    let mut batches: Vec<Batch> = Vec::new();
    for reference in &args.references {
        let opened = open(reference, &context)?;
        let image = select_one(&opened.store, opened.selector.as_ref())?;
        let images = to_sign(&opened.store, image, args.recursive, &options)?;
        match batches.iter_mut().find(|batch| batch.store.location() == opened.store.location()) {
            Some(batch) => batch.images.extend(images),
            None => batches.push(Batch { store: opened.store, images }),
        }
    }
    let mut report = Report::default();
    for batch in &batches {
        let target = Target::at(place_of(&batch.store)?, &context, args.write.options(session))?;
        sign_batch(batch, &key, &options, target, session, &mut report)?;
    }
    Ok(report)
}

/// Signs the images of one place, and says so.
fn sign_batch(
    batch: &Batch,
    key: &PrivateKey,
    options: &SignOptions,
    target: Target,
    session: &Session<'_>,
    report: &mut Report,
) -> Result<(), Error> {
    let Signing { plan, signed } = sign(&batch.store, &batch.images, key, options)?;
    let (location, signer) = (target.location().to_string(), key.public_key().fingerprint().to_string());
    if !session.global.dry_run && signed.iter().any(|one| !one.is_there) {
        target.deliver(plan, &session.cancel, &session.ui)?;
        session.ui.finish();
    }
    for one in &signed {
        let (digest, name) = (one.root.digest().to_string(), called(&one.image));
        report.text.extend(format!("{digest}\n").into_bytes());
        report.results.push(json!({"place": location, "name": name_of(&one.image),
            "image": one.image.digest().to_string(), "digest": digest, "identity": one.identity, "signedBy": signer,
            "unchanged": one.is_there, "dryRun": session.global.dry_run}));
        let identity = one.identity.as_deref().map_or_else(String::new, |name| format!(" as {}", escaped(name)));
        session.ui.say(&match (one.is_there, session.global.dry_run) {
            (true, _) => format!("nothing to do: {name} in {location} is signed with key {signer} already"),
            (false, true) => format!("would sign {name} in {location}{identity}"),
            (false, false) => format!("signed {name} in {location}{identity} with key {signer}"),
        });
    }
    Ok(())
}
