//! The page on `serve`: its servers run while the lines below them ask, each until the next one begins.

use std::fs;

use super::harness::Serving;
use super::page::{self, Command};
use super::setting::Setting;

/// What the lines of the page start. Other indented lines are files, or programs that need a daemon: tests with real
/// clients are elsewhere.
const STARTED: [&str; 6] = ["barge", "curl", "echo", "htpasswd", "openssl", "skopeo"];
/// Where the page says that the server is; the tests have any free port of this machine.
const AUTHORITIES: [&str; 2] = ["127.0.0.1:5000", "10.0.0.5:5000"];

/// What is there before the first line.
const PREPARED: &str = "
set -e
for arch in amd64 arm64; do
    mkdir -p out/$arch
    echo app for $arch >out/$arch/app
    barge build -q -o $arch.tar -t ghcr.io/org/app:v1 --platform linux/$arch --from scratch --add out/$arch:/bin
done
barge merge -q -o bundle.tar -t ghcr.io/org/app:v1 -t ghcr.io/org/app:v2 amd64.tar arm64.tar
barge merge -q -o bundle.tar -t web:1 amd64.tar arm64.tar
";

/// A page under way.
struct Reader<'a> {
    setting: &'a Setting,
    serving: Option<Serving>,
    failed: Vec<String>,
}

impl Reader<'_> {
    fn read(&mut self, command: &Command) {
        let Command { line, text, exits } = command;
        if text.starts_with("barge serve ") && !text.contains("--dry-run") {
            self.stop();
            self.serving = Some(Serving::start(&mut self.setting.server(&with_a_free_port(text))));
            return;
        }
        let authority = self.serving.as_ref().map_or("127.0.0.1:1", Serving::authority);
        let (code, said) = self.setting.run(&at(authority, text));
        if code != Some(*exits) {
            self.failed.push(format!("docs/serve.md:{line}: {text}\nends with {code:?}, not {exits}:\n{said}"));
        }
    }

    fn stop(&mut self) {
        let Some(serving) = self.serving.take() else { return };
        let ended = serving.stop();
        if ended.code != Some(0) || ended.said.contains("warning") {
            self.failed.push(format!("{ended:?}"));
        }
    }
}

/// Returns a command line for the server that is there.
fn at(authority: &str, text: &str) -> String {
    let text = AUTHORITIES.iter().fold(text.to_owned(), |text, written| text.replace(written, authority));
    text.replace("10.0.0.5", "127.0.0.1")
}

/// Returns the line of a server for this machine alone: others may have the port of the page.
fn with_a_free_port(text: &str) -> String {
    let text = text.replace("--listen :5000", "").replace("barge serve", "barge serve --listen 127.0.0.1:0");
    assert_eq!(text.matches("--listen").count(), 1, "{text}");
    text
}

/// Returns the block of a page that begins with a comment, which is the name of the file.
fn block(page: &str, name: &str) -> String {
    let indented = page.lines().map(|line| line.strip_prefix("    ").or(line.is_empty().then_some("")));
    let begun = indented.skip_while(|line| line.is_none_or(|line| !line.starts_with(&format!("# {name}"))));
    begun.map_while(|line| Some(format!("{}\n", line?))).collect()
}

#[test]
fn what_serve_says_runs() {
    let text = fs::read_to_string(super::docs().join("serve.md")).unwrap();
    let first = |command: &Command| command.text.split(' ').next().unwrap_or_default().to_owned();
    // the first is the form of the command
    let lines = page::lines(&text).into_iter().skip(1);
    let commands: Vec<Command> = lines.filter(|line| STARTED.contains(&first(line).as_str())).collect();
    assert!(commands.len() >= 15, "{commands:?}");
    let Some(setting) = Setting::bare(&page::programs(&commands), "file") else { return };
    assert_eq!(setting.run(PREPARED).0, Some(0));
    let mut reader = Reader { setting: &setting, serving: None, failed: Vec::new() };
    for command in &commands {
        reader.read(command);
    }
    reader.stop();
    let failed = reader.failed;
    assert!(failed.is_empty(), "{} of {} commands:\n\n{}", failed.len(), commands.len(), failed.join("\n"));
}

#[test]
fn the_settings_of_podman_and_crio_lead_to_the_server() {
    let text = fs::read_to_string(super::docs().join("serve.md")).unwrap();
    let Some(setting) = Setting::bare(&["skopeo".to_owned()], "file") else { return };
    assert_eq!(setting.run(PREPARED).0, Some(0));
    let serving = Serving::start(&mut setting.server("barge serve --listen 127.0.0.1:0 bundle.tar"));
    let registries = block(&text, "/etc/containers/registries.conf.d/site.conf");
    assert!(registries.contains("[[registry.mirror]]"), "{registries}");
    fs::write(setting.path("home/.config/containers/registries.conf"), at(serving.authority(), &registries)).unwrap();
    for image in ["ghcr.io/org/app:v1", "docker.io/library/web:1"] {
        let (code, said) = setting.run(&format!("skopeo inspect --raw docker://{image}"));
        assert_eq!(code, Some(0), "{said}");
    }
    let said = serving.stop().said;
    for target in ["/v2/ghcr.io/org/app/manifests/v1", "/v2/docker.io/library/web/manifests/1"] {
        assert!(said.contains(&format!("\"GET {target}\" 200")), "{said}");
    }
}
