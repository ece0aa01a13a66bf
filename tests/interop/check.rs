//! What `barge check` says of an archive is what podman and skopeo then do.

use std::collections::BTreeSet;

use barge::reference::ImageName;
use serde_json::Value;

use crate::archives;
use crate::images::strings;
use crate::work::{Work, work};

/// What `barge check` says of one loader.
#[derive(Debug)]
pub(crate) struct Predicted {
    pub(crate) verdict: String,
    pub(crate) names: BTreeSet<String>,
    pub(crate) remarks: String,
    pub(crate) commands: Vec<String>,
}

/// What a loader did.
#[derive(Debug)]
pub(crate) struct Happened {
    /// Whether it ended well and something is there.
    pub(crate) taken: bool,
    /// The names that are there.
    pub(crate) names: BTreeSet<String>,
    pub(crate) said: String,
}

fn predicted(work: &Work, loader: &str, file: &str) -> Predicted {
    let output = work.output(&format!("barge check --json --for {loader} {file}"));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = &report["results"][0];
    assert_eq!(result["loader"], loader, "{file}: {report}");
    let names = strings(&result["names"]);
    let predicted = Predicted {
        verdict: result["verdict"].as_str().unwrap().to_owned(),
        names: names.iter().cloned().collect(),
        remarks: result["remarks"].to_string(),
        commands: strings(&result["commands"]),
    };
    assert_eq!(predicted.names.len(), names.len(), "{file}: {names:?}");
    assert_eq!(output.status.success(), predicted.verdict != "no", "{file}: {report}");
    assert_eq!(predicted.commands.is_empty(), predicted.verdict == "no", "{file}: {report}");
    assert_eq!(result["remarks"].as_array().unwrap().is_empty(), predicted.verdict == "yes", "{file}: {report}");
    predicted
}

/// Compares what is said with what happens, for every archive. `usual` is the command for an archive that is refused;
/// `happens` runs the commands.
pub(crate) fn compare(
    work: &Work,
    loader: &str,
    files: &[String],
    usual: &str,
    happens: impl Fn(&str, &Predicted, &[String]) -> Happened,
) {
    let mut wrong = Vec::new();
    for file in files {
        let predicted = predicted(work, loader, file);
        let commands = match predicted.commands.as_slice() {
            [] => vec![usual.replace("FILE", file)],
            some => some.to_vec(),
        };
        let happened = happens(file, &predicted, &commands);
        if (predicted.verdict != "no", &predicted.names) != (happened.taken, &happened.names) {
            let said = happened.said.trim_end().replace('\n', "\n  ");
            wrong.push(format!("{file}:\n  {predicted:?}\n  {} {:?}\n  {said}", happened.taken, happened.names));
        }
    }
    assert!(wrong.is_empty(), "{loader}, {} of {}:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

/// The names that a store of docker or podman lists, and whether it holds anything.
pub(crate) fn listed(work: &Work, program: &str) -> (bool, BTreeSet<String>) {
    let lines = work.lines(&format!("{program} images --format {{{{.Repository}}}}:{{{{.Tag}}}}"));
    let names = lines.iter().filter(|line| !line.contains("<none>")).cloned().collect();
    (!lines.is_empty(), names)
}

#[test]
fn podman_does_what_was_predicted() {
    let Some(work) = work(&["podman", "skopeo", "tar", "root"]) else { return };
    compare(&work, "podman", &archives::all(&work), "podman load -i FILE", |_, _, commands| {
        let output = work.output(&commands[0]);
        let (any, names) = listed(&work, "podman");
        if any {
            work.run("podman rmi --all --force");
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Happened { taken: output.status.success() && any, names, said }
    });
}

#[test]
fn skopeo_does_what_was_predicted() {
    let Some(work) = work(&["skopeo", "tar"]) else { return };
    compare(&work, "skopeo", &archives::all(&work), "skopeo copy --all oci-archive:FILE to", |file, _, commands| {
        let scheme = if has_layout(&work, file) { "oci-archive" } else { "docker-archive" };
        let mut said = String::new();
        let mut copies = |from: &str| {
            let output = work.output(&format!("{from} dir:tmp/copy"));
            said.push_str(&String::from_utf8_lossy(&output.stderr));
            output.status.success()
        };
        // to a directory in place of a registry
        let taken = commands.iter().all(|command| copies(command.rsplit_once(' ').unwrap().0));
        let mut names: BTreeSet<String> = names_in(&work, scheme, file).into_iter().collect();
        names.retain(|name| copies(&format!("skopeo copy --all {scheme}:{file}:{name}")));
        Happened { taken, names, said }
    });
}

#[test]
fn an_image_gets_its_name_as_the_fix_says() {
    let Some(work) = work(&["skopeo"]) else { return };
    work.run("skopeo copy oci-archive:fixtures/skopeo-arm64.tar oci-archive:unnamed.tar");
    for (at, file) in ["fixtures/skopeo-arm64.tar", "unnamed.tar"].into_iter().enumerate() {
        let report = work.json(&format!("barge check --json --for docker,podman {file}"));
        let fixes = report["results"].as_array().unwrap().iter().map(|result| result["remarks"][0]["fix"].as_str());
        let fixes: BTreeSet<&str> = fixes.map(Option::unwrap).collect();
        assert_eq!(fixes.len(), 1, "{fixes:?}");
        let command = fixes.first().unwrap().split('`').nth(1).unwrap();
        let new = format!("{at}.tar");
        work.run(&command.replace("NEW.tar", &new).replace("HOST/REPOSITORY:TAG", "example.com/hello:v1"));
        let report = work.json(&format!("barge check --json --platform linux/arm64 {new}"));
        for result in report["results"].as_array().unwrap() {
            assert_eq!(result["verdict"], "yes", "{result}");
        }
    }
}

fn has_layout(work: &Work, file: &str) -> bool {
    work.lines(&format!("tar -tf {file}")).iter().any(|name| name == "oci-layout")
}

/// The names that stand in an archive, as skopeo asks for them.
fn names_in(work: &Work, scheme: &str, file: &str) -> Vec<String> {
    if scheme == "docker-archive" {
        let elements = work.json(&format!("tar -xOf {file} manifest.json"));
        let tags = elements.as_array().unwrap().iter().flat_map(|element| element["RepoTags"].as_array());
        return tags.flatten().map(|tag| ImageName::parse(tag.as_str().unwrap()).unwrap().to_string()).collect();
    }
    let index = work.json(&format!("tar -xOf {file} index.json"));
    let own = |entry: &Value| entry["annotations"]["org.opencontainers.image.ref.name"].as_str().map(str::to_owned);
    index["manifests"].as_array().unwrap().iter().filter_map(own).collect()
}
