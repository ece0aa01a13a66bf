//! Memory stays what it is for a machine of any number of processors, and for files of any size.

use std::fs::{self, File};
use std::io::Write as _;

use super::*;

/// The promise for builds on all processors, in KiB.
const LIMIT: u64 = 256 * 1024;
/// Of one file, in bytes; what is not written of it is a hole.
const SIZE: u64 = 600 << 20;
/// Bytes that nothing makes smaller: so many at once, and so often; zstd does not look back that far.
const NOISE: (usize, usize) = (8 << 20, 16);

#[test]
fn a_build_on_many_processors_takes_no_more_memory_than_is_promised() {
    let barge = Barge::new();
    let mut file = File::create(barge.write("context/large", "")).unwrap();
    let mut state = 1_u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32).to_le_bytes()
    };
    let noise: Vec<u8> =
        (0..NOISE.0 / 4).map(step).flat_map(|bytes| [bytes[0], bytes[1], bytes[2], bytes[3]]).collect();
    (0..NOISE.1).for_each(|_| file.write_all(&noise).unwrap());
    file.set_len(SIZE).unwrap();
    for compression in ["gzip", "zstd"] {
        let line = format!(
            "build -q --no-sync --jobs 64 -o {compression} -t app:v1 --platform linux/amd64 --from scratch \
             --add context/:/ --compression {compression}"
        );
        let mut running = Running::start(barge.command().args(line.split_whitespace()));
        let mut most = 0;
        while !running.has_ended() {
            most = most.max(resident(running.id()));
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
        let _ = running.output(&barge).exits(0);
        println!("{compression}: {} MiB", most / 1024);
        assert!((1..LIMIT).contains(&most), "{compression}: {} MiB", most / 1024);
        fs::remove_dir_all(barge.path(compression)).unwrap();
    }
}

/// Returns the most that a process has had in memory so far, in KiB.
fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
