//! How a registry that misbehaves is met: by every command that asks it for that, within limits, beside things that must not
//! be touched, and once more when it has come to its senses.
//!
//! What must hold in every run: an end in time and within 512 MiB, an exit code of the contract and an `error:` with it, no
//! control character, no password and no token in what is printed, nothing half-done at the target, nothing shown to
//! anybody but the registry that was named, no connection to anybody that the case does not allow.

use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use barge::digest::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::bench::{Bench, image, noise};
use crate::environment::{Running, available, listing, temporaries};
use crate::pull::publish;
use crate::registry::{Auth, Bearer, FakeRegistry, Options, Rule};
use crate::support::belonging::artifact;
use crate::support::image::{Images, Layer, digest, named};
use crate::support::tar::Tar;

/// A password that stands nowhere else.
pub(crate) const SECRET: &str = "hunter2-correct-horse";

/// What a process may have of memory that it can write to, in bytes, and of the processors, in seconds.
const LIMITS: [&str; 3] = ["--data=536870912", "--cpu=20", "--core=0"];
/// How long no run here lasts, on a machine that has a lot else to do.
const PATIENCE: Duration = Duration::from_secs(40);

/// What shows an image without a look at all of it: as of a layout, what is no manifest is listed as what it is.
const SHOWS: [&str; 5] = ["ls ", "tree ", "receipt ", "referrers ", "diff "];
/// How many lines try a case, but for `make faults`: where there are more, they take turns.
const MOST_LINES: usize = 3;

/// What is asked of a registry, and so who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The first question, and who may ask.
    Door,
    /// The manifest that a name means.
    Manifest,
    /// Configs and layers.
    Content,
    Tags,
    Catalog,
    Referrers,
    /// A blob on its way there.
    Upload,
    /// A blob that another repository of the registry has.
    Mount,
    /// A manifest on its way there.
    Name,
}

impl Stage {
    /// Returns who asks for it: the lines, in which `HOST` stands for the registry. `out` is a layout with another image.
    const fn lines(self) -> &'static [&'static str] {
        match self {
            Self::Door => &[
                "pull --no-sync -o out HOST/app:v1",
                "push dist HOST/new:v1",
                "ls docker://HOST",
                "login HOST",
                "inspect docker://HOST/app:v1",
                "tag docker://HOST/app:v1 docker://HOST/app:v2",
                "copy docker://HOST/app:v1 docker://HOST/new:v1",
            ],
            Self::Manifest => &[
                "pull --no-sync -o out HOST/app:v1",
                "pull --no-sync -o out.tar HOST/app:v1",
                "copy --no-sync docker://HOST/app:v1 out",
                "copy docker://HOST/app:v1 docker://HOST/new:v1",
                "save --no-sync -o out.tar docker://HOST/app:v1",
                "merge --no-sync -o out -t x:v1 docker://HOST/app:v1",
                "convert --no-sync --to docker -o out docker://HOST/app:v1",
                "edit --no-sync --label a=b -o out docker://HOST/app:v1",
                "receipt docker://HOST/app:v1",
                "inspect docker://HOST/app:v1",
                "ls docker://HOST/app:v1",
                "tree docker://HOST/app:v1",
                "verify docker://HOST/app:v1",
                "cat manifest docker://HOST/app:v1",
                "referrers docker://HOST/app:v1",
                "diff docker://HOST/app:v1 docker://HOST/app:v1",
                "unpack docker://HOST/app:v1 files",
                "tag docker://HOST/app:v1 docker://HOST/app:v2",
                "manifest inspect docker://HOST/app:v1",
            ],
            Self::Content => &[
                "pull --no-sync -o out HOST/app:v1",
                "pull --no-sync -o out.tar HOST/app:v1",
                "copy --no-sync docker://HOST/app:v1 out",
                "save --no-sync -o out.tar docker://HOST/app:v1",
                "merge --no-sync -o out -t x:v1 docker://HOST/app:v1",
                "verify docker://HOST/app:v1",
                "cat layer docker://HOST/app:v1",
                "unpack docker://HOST/app:v1 files",
            ],
            Self::Tags => &["ls docker://HOST/app"],
            Self::Catalog => &["ls docker://HOST"],
            Self::Referrers => &[
                "referrers docker://HOST/app:v1",
                "pull --no-sync -o out HOST/app:v1",
                "copy --no-sync docker://HOST/app:v1 out",
                "save --no-sync -o out.tar docker://HOST/app:v1",
            ],
            Self::Upload => {
                &["push dist HOST/new:v1", "push --chunk-size 100k dist HOST/new:v1", "copy dist docker://HOST/new:v1"]
            }
            Self::Mount => &["copy docker://HOST/app:v1 docker://HOST/new:v1"],
            Self::Name => &[
                "push dist HOST/new:v1",
                "copy docker://HOST/app:v1 docker://HOST/new:v1",
                "tag docker://HOST/app:v1 docker://HOST/app:v2",
            ],
        }
    }
}

/// Who is there while a case is tried.
pub(crate) struct Scene {
    /// The registry that is named, which asks for a password unless the case says otherwise.
    pub(crate) registry: FakeRegistry,
    /// Another one on this machine, with the same content, that nothing may be shown to.
    pub(crate) other: FakeRegistry,
    /// The digest of the manifest of `app:v1`, of its layer, and of what belongs to it.
    pub(crate) manifest: String,
    pub(crate) layer: String,
    pub(crate) referrer: Value,
    /// All the content of `app`.
    pub(crate) images: Images,
}

type Rules = Box<dyn Fn(&Scene) -> Vec<Rule>>;

/// A way to misbehave.
pub(crate) struct Row {
    what: &'static str,
    why: &'static str,
    /// The exit codes that it may end with; 0: it is taken as it is.
    codes: &'static [i32],
    said: &'static str,
    rules: Rules,
    options: Options,
    only: &'static [&'static str],
    lasting: bool,
    retries: u32,
    shown: bool,
}

/// Makes a case: what the registry does, why it is tried, the exit codes, a part of what has to be said, and the rules.
pub(crate) fn row(
    what: &'static str,
    why: &'static str,
    codes: &'static [i32],
    said: &'static str,
    rules: impl Fn(&Scene) -> Vec<Rule> + 'static,
) -> Row {
    let options = Options { auth: Auth::basic("me", SECRET), ..Options::default() };
    Row { what, why, codes, said, rules: Box::new(rules), options, only: &[], lasting: false, retries: 0, shown: false }
}

impl Row {
    /// Tries it on a registry of another kind.
    pub(crate) fn on(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Tries it on a registry that wants tokens.
    pub(crate) fn with_tokens(self, bearer: Bearer) -> Self {
        let users = vec![("me".to_owned(), SECRET.to_owned())];
        self.on(Options { auth: Auth::Bearer(Bearer { users, ..bearer }), ..Options::default() })
    }

    /// Lets it be tried again so often.
    pub(crate) fn again(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// Tries only the lines with one of these words.
    pub(crate) fn only(self, words: &'static [&'static str]) -> Self {
        Self { only: words, ..self }
    }

    /// Is how the registry is set up: it does not come to its senses.
    pub(crate) fn lasting(self) -> Self {
        Self { lasting: true, ..self }
    }

    /// Lets lines that show what there is show this as well.
    pub(crate) fn shown(self) -> Self {
        Self { shown: true, ..self }
    }
}

static APP: LazyLock<(Images, String, Value)> = LazyLock::new(app);
static DIST: LazyLock<Images> = LazyLock::new(|| image(&[noise(9, 300_000), noise(8, 2000)]).0);

/// Returns what `app` is to hold: an image with a layer that can be unpacked and is worth ranges, and what belongs to it.
fn app() -> (Images, String, Value) {
    let mut images = Images::new();
    let layer = Layer::plain(&Tar::new().file("noise", &noise(5, 300_000)).finished());
    let image = images.image("linux/amd64", std::slice::from_ref(&layer));
    images.root(named(image.clone(), "v1"));
    let referrer = artifact(&mut images, &image, "application/spdx+json", "what is in it");
    (images, layer.diff_id, referrer)
}

/// Tries cases with every line of a stage, and says all that is wrong.
#[track_caller]
pub(crate) fn tried(stage: Stage, rows: &[Row]) {
    judged(stage, rows, false);
}

/// As [`tried`], and watches whom a run connects to.
#[track_caller]
pub(crate) fn watched(stage: Stage, rows: &[Row]) {
    let is_there = std::process::Command::new("strace").arg("-V").output().is_ok();
    judged(stage, rows, available("strace", is_there));
}

#[track_caller]
fn judged(stage: Stage, rows: &[Row], watch: bool) {
    let mut faults = Vec::new();
    let count = rows.len();
    let all = std::env::var_os("BARGE_FAULTS").is_some_and(|value| value == "full");
    for (number, row) in rows.iter().enumerate() {
        let mut lines: Vec<&str> = stage.lines().to_vec();
        let every = if all || !row.only.is_empty() { 1 } else { lines.len().div_ceil(MOST_LINES) };
        lines.retain(|line| row.only.is_empty() || row.only.iter().any(|word| line.contains(word)));
        for line in lines.iter().skip(number % every).step_by(every) {
            let mut trial = Trial::new(row, watch);
            trial.hold(row, line);
            faults.append(&mut trial.faults);
        }
    }
    println!("{count} cases");
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

/// One case with one line.
struct Trial {
    bench: Bench,
    scene: Scene,
    watch: bool,
    faults: Vec<String>,
}

/// What came of a run.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
    took: Duration,
    connected: Vec<String>,
}

impl Trial {
    fn new(row: &Row, watch: bool) -> Self {
        let (images, layer, referrer) = APP.clone();
        let registry = FakeRegistry::with(row.options.clone());
        publish(&registry, "app", "v1", &images);
        let other = FakeRegistry::sharing(&registry, Options::default());
        let manifest = digest(&images.roots[0]).to_owned();
        let scene = Scene { registry, other, manifest, layer, referrer, images };
        scene.registry.script((row.rules)(&scene));
        let bench = Bench::new();
        DIST.layout(&bench.path("dist"));
        bench.images("out", &["example.com/old:v1"]);
        for canary in ["../canary/secret", "../escaped", "../work-canary"] {
            bench.0.write(canary, "untouched");
        }
        Self { bench, scene, watch, faults: Vec::new() }
    }

    fn hold(&mut self, row: &Row, line: &str) {
        let Row { what, why, codes, said, .. } = row;
        let around = self.surroundings();
        let index = fs::read(self.bench.path("out/index.json")).unwrap();
        let ran = self.run(line, row.retries);
        let mut wrong: Vec<String> = Vec::new();
        let is_shown = row.shown && SHOWS.iter().any(|it| line.starts_with(it)) && ran.code == 0;
        if !codes.contains(&ran.code) && !is_shown {
            let end: String = ran.stderr.chars().take(600).collect();
            wrong.push(format!("ends with {}, expected {codes:?}: {end}", ran.code));
        }
        let told = ran.stderr.contains("error: ") || (line.starts_with("verify") && !ran.stdout.is_empty());
        if ran.code != 0 && !told {
            wrong.push(format!("tells no error: {}", ran.stderr));
        }
        if (ran.code != 0 || codes == &[0]) && !format!("{}{}", ran.stdout, ran.stderr).contains(said) {
            wrong.push(format!("does not say {said:?}: {}", ran.stderr));
        }
        wrong.extend(self.harmless(line, &ran));
        if self.surroundings() != around {
            wrong.push("touched something".to_owned());
        }
        if ran.code != 0 && fs::read(self.bench.path("out/index.json")).unwrap() != index {
            wrong.push("failed and changed what the target names".to_owned());
        }
        wrong.extend(self.whole(&ran));
        wrong.extend(self.shown());
        // as if nothing had been
        let changes = ["-o out", " out", "push", "copy", "tag ", "login"].iter().any(|it| line.contains(it));
        if ran.code != 0 && changes && !row.lasting {
            self.scene.registry.clear_script();
            self.scene.other.clear_script();
            let again = self.run(line, 0);
            if again.code != 0 {
                wrong.push(format!("afterwards it ends with {}: {}", again.code, again.stderr));
            }
            wrong.extend(self.whole(&again));
        }
        self.faults.extend(wrong.into_iter().map(|wrong| format!("{what} ({why}): `{line}` {wrong}")));
    }

    fn run(&self, line: &str, retries: u32) -> Ran {
        let line = line.replace("HOST", self.scene.registry.host());
        let line = format!("{line} --retry {retries} --creds me:{SECRET}");
        let with_surroundings = self.bench.command(&line);
        let mut command = self.bench.0.around(if self.watch { "strace" } else { "prlimit" });
        if self.watch {
            command.args(["--seccomp-bpf", "-f", "-qq", "-e", "trace=connect,sendto", "-o", "../trace", "prlimit"]);
        }
        command.args(LIMITS).arg(env!("CARGO_BIN_EXE_barge")).args(with_surroundings.get_args());
        for (name, value) in with_surroundings.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let began = Instant::now();
        let output = Running::start(&mut command).output(&self.bench.0);
        let took = began.elapsed();
        let trace = self.bench.path("../trace");
        let trace = fs::read_to_string(&trace).inspect(|_| fs::remove_file(&trace).unwrap()).unwrap_or_default();
        let connected = trace.lines().filter_map(address).collect();
        let (code, stdout, stderr) = output.parts();
        Ran { code: code.unwrap_or(-1), stdout: stdout.to_owned(), stderr: stderr.to_owned(), took, connected }
    }

    /// Returns what is wrong with a run whatever the registry did.
    fn harmless(&self, line: &str, ran: &Ran) -> Vec<String> {
        let mut wrong = Vec::new();
        if !matches!(ran.code, 0 | 1 | 3..=10) || ran.stderr.contains("panicked") {
            wrong.push(format!("ends with {}", ran.code));
        }
        if ran.took > PATIENCE {
            wrong.push(format!("took {:?}", ran.took));
        }
        let stdout = if line.starts_with("cat ") { "" } else { &ran.stdout };
        if let Some(odd) = stdout.chars().chain(ran.stderr.chars()).find(|odd| is_unsafe(*odd)) {
            wrong.push(format!("prints {odd:?}: {}", ran.stderr));
        }
        if ran.stderr.len() > 8000 {
            wrong.push(format!("complains with {} bytes", ran.stderr.len()));
        }
        for secret in [SECRET, &STANDARD.encode(format!("me:{SECRET}")), "Bearer ey", "token-of-"] {
            if format!("{}{}", ran.stdout, ran.stderr).contains(secret) {
                wrong.push(format!("tells {secret}: {}{}", ran.stdout, ran.stderr));
            }
        }
        let allowed = [self.scene.registry.host(), self.scene.other.host()];
        if let Some(odd) = ran.connected.iter().find(|it| !allowed.contains(&it.as_str())) {
            wrong.push(format!("connects to {odd}"));
        }
        wrong
    }

    /// Returns what is half-done.
    fn whole(&self, ran: &Ran) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, _) in listing(&self.bench.path("out")) {
            let Some(hex) = name.strip_prefix("./blobs/sha256/").filter(|hex| hex.len() == 64) else { continue };
            if Digest::of(&fs::read(self.bench.path("out").join(&name)).unwrap()).hex() != hex {
                wrong.push(format!("gave {hex} to something else"));
            }
        }
        for target in ["out.tar", "files"] {
            if ran.code != 0 && self.bench.path(target).exists() {
                wrong.push(format!("failed and left {target}"));
            }
        }
        if !temporaries(&self.bench.path("")).is_empty() {
            wrong.push(format!("left {:?}", temporaries(&self.bench.path(""))));
        }
        for target in ["out", "out.tar"] {
            if ran.code == 0 && self.bench.path(target).exists() {
                let verified = self.bench.run(&format!("verify {target}"));
                if let (Some(1..) | None, stdout, _) = verified.parts() {
                    wrong.push(format!("made something broken: {stdout}"));
                }
            }
        }
        // a name that a repository has got stands for all of it
        let repository = "new";
        for tag in self.scene.registry.tags(repository) {
            let manifest = self.scene.registry.manifest(repository, &tag).unwrap().document();
            let layers = manifest["layers"].as_array().into_iter().flatten().chain([&manifest["config"]]);
            for piece in layers.filter(|piece| self.scene.registry.blob(repository, digest(piece)).is_none()) {
                if ran.code == 0 {
                    wrong.push(format!("named {tag} without {}", digest(piece)));
                }
            }
        }
        wrong
    }

    /// Returns what was shown to somebody whom it is not for.
    fn shown(&self) -> Vec<String> {
        let secret = STANDARD.encode(format!("me:{SECRET}"));
        let told = self.scene.other.log().into_iter().filter(|it| {
            let all = format!("{it:?}");
            it.authorization.is_some() || all.contains(&secret) || all.contains(SECRET)
        });
        told.map(|it| format!("shows the other registry {:?} {} {}", it.authorization, it.method, it.path)).collect()
    }

    /// Everything that has to stay.
    fn surroundings(&self) -> BTreeMap<String, String> {
        let mut all = listing(&self.bench.path(".."));
        let ours =
            ["./work/out", "./work/files", "./work/state", "./work/config", "./work/runtime", "./home", "./trace"];
        all.retain(|name, _| !ours.iter().any(|own| name.starts_with(own)) && name != "." && name != "./work");
        all
    }
}

/// Returns whom a line of a trace connects to, as `ADDRESS:PORT`.
fn address(line: &str) -> Option<String> {
    let port = line.split_once("_port=htons(")?.1.split_once(')')?.0;
    let (_, address) = line.split_once("inet_addr(\"").or_else(|| line.split_once("inet_pton(AF_INET6, \""))?;
    Some(format!("{}:{port}", address.split_once('"')?.0))
}

/// Returns whether a terminal would do something with it, or show something else than what stands there.
fn is_unsafe(odd: char) -> bool {
    let bidi = matches!(odd, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    (odd.is_control() && odd != '\n') || bidi
}
