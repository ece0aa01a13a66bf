//! Bundles that were signed and split go to docker and containerd.

use std::collections::BTreeSet;

use crate::check::listed;
use crate::daemons;
use crate::parts::parts;
use crate::work::work;

#[test]
fn docker_and_containerd_take_the_joined_pieces_and_each_part_that_is_an_archive() {
    let Some(work) = work(&["containerd", "ctr", "docker", "dockerd", "root", "tar"]) else { return };
    let mut files = parts(&work);
    let all = files.iter().flat_map(|(_, names)| names.clone()).collect();
    files.push(("joined.tar".to_owned(), all));
    let _daemons = daemons::docker(&work);
    for (at, (file, names)) in files.iter().enumerate() {
        work.run(&format!("docker load -i {file}"));
        assert_eq!(listed(&work, "docker"), (true, names.clone()), "{file}");
        if cfg!(target_arch = "x86_64") {
            for name in names {
                let ran = work.run(&format!("docker run --rm --network none {name}"));
                assert_eq!(ran, "hello from linux/amd64", "{file}: {name}");
            }
        }
        work.run(&format!("docker rmi --force {}", names.iter().cloned().collect::<Vec<_>>().join(" ")));
        // a namespace sees nothing of another one
        work.run(&format!("ctr -n part{at} images import --all-platforms {file}"));
        let there: BTreeSet<String> = work.lines(&format!("ctr -n part{at} images ls -q")).into_iter().collect();
        assert_eq!(there, *names, "{file}");
    }
}
