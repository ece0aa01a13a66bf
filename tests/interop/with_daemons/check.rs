//! What `barge check` says of an archive is what docker and containerd then do.

use std::collections::BTreeSet;

use barge::reference::ImageName;

use crate::archives;
use crate::check::{Happened, compare, listed};
use crate::daemons;
use crate::work::work;

#[test]
fn docker_does_what_was_predicted() {
    let Some(work) = work(&["docker", "dockerd", "containerd", "ctr", "skopeo", "tar", "root"]) else { return };
    let files = archives::all(&work);
    let _daemons = daemons::docker(&work);
    compare(&work, "docker-classic", &files, "docker load -i FILE", |_, _, commands| {
        let output = work.output(&commands[0]);
        let (any, names) = listed(&work, "docker");
        if any {
            let ids: BTreeSet<String> = work.lines("docker images -aq").into_iter().collect();
            work.run(&format!("docker rmi --force {}", ids.into_iter().collect::<Vec<_>>().join(" ")));
        }
        let names = names.iter().map(|name| ImageName::parse(name).unwrap().to_string()).collect();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Happened { taken: output.status.success() && any, names, said }
    });
}

#[test]
fn containerd_does_what_was_predicted() {
    let Some(work) = work(&["containerd", "ctr", "skopeo", "tar", "root"]) else { return };
    let files = archives::all(&work);
    let _daemons = daemons::containerd(&work);
    let usual = "ctr -n k8s.io images import --all-platforms FILE";
    compare(&work, "ctr", &files, usual, |file, predicted, commands| {
        // a namespace sees nothing of another one
        let namespace: String = file.chars().filter(char::is_ascii_alphanumeric).collect();
        let output = work.output(&commands[0].replace("k8s.io", &namespace));
        let mut names: BTreeSet<String> = work.lines(&format!("ctr -n {namespace} images ls -q")).into_iter().collect();
        let taken = output.status.success() && !names.is_empty();
        // what is named by the day cannot be told before: it is told of instead
        names.retain(|name| match name.strip_prefix("import-") {
            Some(rest) => !predicted.remarks.contains(&format!("import-YYYY-MM-DD{}", &rest["YYYY-MM-DD".len()..])),
            // what cannot be unpacked has its name already, and does not run
            None => taken,
        });
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Happened { taken, names, said }
    });
}
