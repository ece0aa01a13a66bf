//! What a command costs that does nothing.

use super::environment::Barge;
use super::trace::{Call, strace, traced};

/// From where the program itself begins; half of them are the allocator's.
const CALLS: usize = 50;

#[test]
fn a_start_reads_no_file_of_anybody_and_begins_no_thread() {
    if !strace() {
        return;
    }
    let barge = Barge::new();
    let threads = traced(&barge, &[], "--version");
    assert_eq!(threads.len(), 1, "{threads:?}");
    // what comes before this loads the program: the standard library looks at its streams first
    let begin = threads[0].iter().position(|call| call.name == "poll").unwrap();
    let calls = &threads[0][begin..];
    assert!(calls.len() <= CALLS, "{} system calls: {calls:#?}", calls.len());
    // a file that is looked for is one that would be read; the standard library asks where the stack ends. Of buffers nothing
    // is shown, of paths all
    let name = |call: &'_ Call| call.arguments.split('"').nth(1).unwrap_or_default().to_owned();
    let looked: Vec<_> = calls.iter().filter(|call| !["", "/proc/self/maps"].contains(&&*name(call))).collect();
    assert!(looked.is_empty(), "{looked:?}");
}
