//! Several processes at once on one layout.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::bench::Bench;
use super::made::{Made, full};

#[test]
fn gc_among_writers_never_breaks_an_image() {
    let bench = Bench::new();
    let words: Vec<String> = (0..4).map(|number| format!("image{number}")).collect();
    for (number, word) in words.iter().enumerate() {
        // every second layer is one of its neighbour's
        let texts: Vec<String> =
            (0..12).map(|layer| format!("layer {layer} of {}", (number + layer % 2) % 4)).collect();
        let layers: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut made = Made::new();
        let images: Vec<_> = ["linux/amd64", "linux/arm64"]
            .into_iter()
            .map(|on| super::made::on_platform(made.image(on, &layers), on))
            .collect();
        let index = made.index(&images);
        made.root(full(&index, &format!("docker.io/library/{word}:v1")));
        made.archive(&bench.path(&format!("{word}.tar")));
    }
    bench.ok("load -i image0.tar -o layout");
    let done = AtomicBool::new(false);
    let (bench, done) = (&bench, &done);
    thread::scope(|scope| {
        let gc = scope.spawn(move || {
            let mut runs = 0;
            while !done.load(Ordering::Relaxed) {
                bench.ok("gc --no-sync --grace 0 --lock-timeout 60 layout");
                runs += 1;
            }
            runs
        });
        let writers: Vec<_> = words
            .iter()
            .enumerate()
            .map(|(number, word)| {
                scope.spawn(move || {
                    for round in 0..8 {
                        let common = "--no-sync --lock-timeout 60";
                        let write = match (number + round) % 3 {
                            0 => format!("merge {common} -t {word}:v1 -o layout {word}.tar"),
                            1 => format!("copy {common} {word}.tar layout"),
                            _ => format!("load {common} -i {word}.tar -o layout"),
                        };
                        bench.ok(&write);
                        // nobody else takes this name away
                        bench.verify(&format!("layout:{word}:v1"));
                        bench.ok(&format!("tag {common} layout:{word}:v1 {word}:v2"));
                        if round < 7 {
                            let how = if round % 2 == 0 { "--gc" } else { "" };
                            bench.ok(&format!("rm {common} {how} layout:{word}:v1 layout:{word}:v2"));
                        }
                    }
                })
            })
            .collect();
        let finished: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        let runs: i32 = gc.join().unwrap();
        finished.into_iter().for_each(|writer| writer.unwrap());
        assert!(runs > 3, "{runs}");
    });
    bench.verify("layout");
    assert_eq!(bench.roots("layout").len(), 8);
    bench.ok("gc --grace 0 layout");
    bench.verify("layout");
    let left = fs::read_dir(bench.path("layout/blobs/sha256")).unwrap();
    assert!(left.map(|entry| entry.unwrap().file_name()).all(|name| name.len() == 64), "a temporary file stayed");
    assert!(!bench.path("layout/index.json.lock").exists());
}

#[test]
fn of_several_saves_to_one_file_one_wins_and_the_others_say_so() {
    let bench = Bench::new();
    super::made::two_images().layout(&bench.path("layout"));
    let expected = bench.ok("save -o - layout").stdout;
    let children: Vec<_> = (0..6).map(|_| bench.start("save -o a.tar layout")).collect();
    let codes: Vec<_> =
        children.into_iter().map(|child| child.wait_with_output().unwrap().status.code().unwrap()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| [0, 8, 9].contains(code)), "{codes:?}");
    assert!(fs::read(bench.path("a.tar")).unwrap() == expected);
    // by force each is whole
    let children: Vec<_> = (0..6).map(|_| bench.start("save --force -o a.tar layout")).collect();
    for child in children {
        let code = child.wait_with_output().unwrap().status.code().unwrap();
        assert!([0, 8].contains(&code), "{code}");
    }
    assert!(fs::read(bench.path("a.tar")).unwrap() == expected);
    assert_eq!(fs::read_dir(bench.root()).unwrap().count(), 2, "a temporary file stayed");
}
