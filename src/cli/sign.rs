//! `barge sign`

use std::collections::BTreeMap;
use std::path::PathBuf;

use barge::content::Descriptor;
use barge::ops::Error;
use barge::ops::attached::called;
use barge::ops::lookup::{name_of, select_one};
use barge::ops::open::{Store, open};
use barge::ops::sign::{Form, SignOptions, identity, images, sign};
use barge::ops::target::Target;
use barge::signing::PrivateKey;
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
  barge sign --key release.key --recursive dist:app:v1       each platform too
  barge sign --key cosign.key --identity quay.io/org/app bundle.tar:v1")]
pub(crate) struct SignImageArgs {
    #[command(flatten)]
    write: WriteArgs,
    /// The private key, as PEM; its password is asked for, or taken from BARGE_PASSWORD or COSIGN_PASSWORD
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What the image is called in the signature [default: the repository of its name]
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// Something else that is signed (can be repeated)
    #[arg(short, long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    /// Sign the images for single platforms too: podman and CRI-O ask for a signature of the one that they take
    #[arg(short, long)]
    recursive: bool,
    /// How the signature is found: by a tag, as cosign does it, or by its subject, as the referrers API does it
    #[arg(long = "as", value_enum, default_value = "tag", value_name = "HOW")]
    form: FormArg,
    /// The images
    #[arg(required = true, value_name = "REF")]
    references: Vec<String>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum FormArg {
    Tag,
    Referrer,
}

pub(crate) fn run(args: &SignImageArgs, session: &Session<'_>) -> Result<Report, Error> {
    let key = private_key(&args.key)?;
    let annotations: BTreeMap<String, String> = pairs("annotation", &args.annotation)?.into_iter().collect();
    let form = match args.form {
        FormArg::Tag => Form::Tag,
        FormArg::Referrer => Form::Referrer,
    };
    let options = SignOptions { identity: args.identity.clone(), annotations, form };
    let context = session.context();
    let mut report = Report::default();
    for reference in &args.references {
        let opened = open(reference, &context)?;
        let image = select_one(&opened.store, opened.selector.as_ref())?;
        let options = SignOptions { identity: Some(identity(&image, &options)?), ..options.clone() };
        for image in images(&opened.store, image, args.recursive)? {
            let target = Target::at(place_of(&opened.store)?, &context, args.write.options(session))?;
            sign_one(&opened.store, &image, &key, &options, target, session, &mut report)?;
        }
    }
    Ok(report)
}

/// Signs one image, and says so.
fn sign_one(
    store: &Store,
    image: &Descriptor,
    key: &PrivateKey,
    options: &SignOptions,
    target: Target,
    session: &Session<'_>,
    report: &mut Report,
) -> Result<(), Error> {
    let signing = sign(store, image, key, options)?;
    let (digest, name, location) = (signing.root.digest().to_string(), called(image), target.location().to_string());
    let signer = key.public_key().fingerprint();
    report.text.extend(format!("{digest}\n").into_bytes());
    report.results.push(json!({"place": location, "name": name_of(image), "image": signing.image.to_string(),
        "digest": digest, "identity": signing.identity, "signedBy": signer.to_string(),
        "unchanged": signing.is_there, "dryRun": session.global.dry_run}));
    let identity = escaped(&signing.identity);
    if signing.is_there {
        session.ui.say(&format!("nothing to do: {name} in {location} is signed with key {signer} already"));
    } else if session.global.dry_run {
        session.ui.say(&format!("would sign {name} in {location} as {identity}"));
    } else {
        target.deliver(signing.plan, &session.cancel, &session.ui)?;
        session.ui.finish();
        session.ui.say(&format!("signed {name} in {location} as {identity} with key {signer}"));
    }
    Ok(())
}
