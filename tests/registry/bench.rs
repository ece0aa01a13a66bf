//! How barge is run against registries, what it leaves there, and layouts to send.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::distribution::Distribution;
use crate::harness::sleep;
use crate::images::six;
use crate::support::image::{FULL_NAME, Images, Layer, REF_NAME, annotated, named};
use crate::work::{Work, work};

/// No command here takes more than a few seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The first words of the lines of the result.
    pub(crate) fn digests(&self) -> Vec<String> {
        self.stdout.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }
}

/// A directory where barge runs, with nobody's settings.
pub(crate) struct Bench {
    pub(crate) work: Work,
    environment: Vec<(String, String)>,
}

impl Bench {
    /// None where this machine lacks something.
    pub(crate) fn new(needs: &[&str]) -> Option<Self> {
        let needs: Vec<&str> = ["docker-registry"].iter().chain(needs).copied().collect();
        Some(Self { work: work(&needs)?, environment: Vec::new() })
    }

    /// Sets a variable for the commands from here on.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.environment.push((name.to_owned(), value.into()));
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barge"));
        self.work.isolate(&mut command);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(line.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a command, which is ended when it takes too long.
    pub(crate) fn start(&self, line: &str) -> Started {
        Started { child: Some(self.command(line).spawn().unwrap()) }
    }

    pub(crate) fn run(&self, line: &str) -> Ran {
        self.start(line).end()
    }

    pub(crate) fn run_with_input(&self, line: &str, input: &str) -> Ran {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Started { child: Some(child) }.end()
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, Some(0), "{line}\n{}{}", ran.stdout, ran.stderr);
        ran
    }

    /// Runs a command that must fail with a code, and returns what it said.
    pub(crate) fn fails(&self, code: i32, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.code, Some(code), "{line}\n{}{}", ran.stdout, ran.stderr);
        ran.stderr
    }

    /// Merges six images into one under a name, and returns its digest.
    pub(crate) fn merged(&self, place: &str, name: &str) -> String {
        self.ok(&format!("merge -o {place} -t {name} {}", six())).digests().remove(0)
    }

    /// Writes a layout with one image under a name, and returns the digests of its layers, sorted. They are random: no
    /// two seeds have one in common.
    pub(crate) fn layers(&self, place: &str, name: &str, seed: u64, sizes: &[usize]) -> Vec<String> {
        let mut images = Images::new();
        let layers: Vec<Layer> =
            sizes.iter().zip(1..).map(|(size, at)| Layer::plain(&noise(seed * 1000 + at, *size))).collect();
        let image = images.image("linux/amd64", &layers);
        let tag = name.rsplit(':').next().unwrap();
        images.root(annotated(named(image, tag), FULL_NAME, name));
        images.write(&self.work.path(place));
        let mut digests: Vec<String> = layers.into_iter().map(|layer| layer.diff_id).collect();
        digests.sort();
        digests
    }

    /// What a name of a layout means.
    pub(crate) fn digest_of(&self, layout: &str, name: &str) -> String {
        let index: Value = serde_json::from_slice(&self.work.read(&format!("{layout}/index.json"))).unwrap();
        let is = |root: &&Value| [FULL_NAME, REF_NAME].iter().any(|key| root["annotations"][key] == name);
        let root = index["manifests"].as_array().unwrap().iter().find(is);
        root.unwrap_or_else(|| panic!("{name} in {index}"))["digest"].as_str().unwrap().to_owned()
    }

    /// Everything that a digest of a layout reaches: documents, and blobs.
    pub(crate) fn reach(&self, layout: &str, digest: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut documents, mut blobs) = (BTreeSet::new(), BTreeSet::new());
        let mut open = vec![digest.to_owned()];
        while let Some(digest) = open.pop() {
            let document: Value = serde_json::from_slice(&self.blob(layout, &digest)).unwrap();
            documents.insert(digest);
            let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
            let text = |descriptor: &Value| descriptor["digest"].as_str().map(str::to_owned);
            open.extend(list("manifests").iter().filter_map(text));
            blobs.extend(list("layers").iter().chain([&document["config"]]).filter_map(text));
        }
        (documents, blobs)
    }

    pub(crate) fn blob(&self, layout: &str, digest: &str) -> Vec<u8> {
        self.work.read(&format!("{layout}/blobs/{}", digest.replace(':', "/")))
    }

    /// Compares, byte for byte, what a name means in a registry with what it means in a layout. Returns how many
    /// documents and blobs that are.
    pub(crate) fn same(&self, layout: &str, digest: &str, registry: &Distribution, name: &str) -> (usize, usize) {
        let (repository, tag) = name.rsplit_once(':').unwrap();
        let there = registry.manifest(repository, tag).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(there.digest, digest, "{name}");
        let (documents, blobs) = self.reach(layout, digest);
        for document in &documents {
            let there = registry.manifest(repository, document).unwrap_or_else(|| panic!("no {document} in {name}"));
            assert_eq!((&there.digest, there.bytes), (document, self.blob(layout, document)), "{name}");
        }
        for blob in &blobs {
            assert_eq!(registry.blob(repository, blob).as_ref(), Some(&self.blob(layout, blob)), "{blob} in {name}");
        }
        (documents.len(), blobs.len())
    }
}

/// A command under way.
pub(crate) struct Started {
    child: Option<Child>,
}

impl Started {
    fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    pub(crate) fn kill(mut self) -> Ran {
        self.child().kill().unwrap();
        self.end()
    }

    /// Asks it to stop, as Ctrl-C does.
    pub(crate) fn interrupt(&mut self) {
        let id = i32::try_from(self.child().id()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), rustix::process::Signal::INT)
            .unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let mut child = self.child.take().unwrap();
        let id = child.id();
        // whoever waits reads what it says, too: a full pipe would hold it up
        let (sender, ended) = std::sync::mpsc::channel::<()>();
        let watch = std::thread::spawn(move || {
            if ended.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                && let Some(pid) = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let output = std::thread::scope(|scope| {
            let errors = scope.spawn(move || {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut stderr, &mut bytes).unwrap();
                bytes
            });
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut stdout, &mut bytes).unwrap();
            (bytes, errors.join().unwrap())
        });
        // before its number is free for another process
        drop(sender);
        watch.join().unwrap();
        Ran::of(Output { status: child.wait().unwrap(), stdout: output.0, stderr: output.1 })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Bytes that are the same on every run, and in no two blocks or for two seeds.
pub(crate) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let block: Vec<u8> =
        (0..8192_u64).flat_map(|at| (at + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    let mut bytes = Vec::with_capacity(size + block.len());
    while bytes.len() < size {
        let at = bytes.len();
        bytes.extend_from_slice(&block);
        bytes[at..at + 8].copy_from_slice(&(at as u64 ^ seed << 40).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Waits until something is so.
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(15), "{what} did not come");
        sleep(5);
    }
}
