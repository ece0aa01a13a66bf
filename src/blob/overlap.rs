//! A large blob on its way: one thread reads and hashes it, another writes it.
//!
//! A hash has to take its bytes one after the other, so that a blob alone is no faster than one processor hashes. Writing in
//! the same thread would come on top of that.

use std::io::{self, Write};
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use super::reader::BlobReader;
use super::{BlobError, CHUNK};

/// How large content is for which a thread is worth it, in bytes.
pub(super) const LEAST: u64 = 4 << 20;
/// How many buffers are under way.
const BUFFERS: usize = 4;

/// Passes the whole content on. Returns false, and has done nothing, where there is no thread to be had.
///
/// # Errors
/// What [`BlobReader::copy_to`] fails with.
pub(super) fn pass(blob: &mut BlobReader<'_>, to: &mut (dyn Write + Send)) -> Result<bool, BlobError> {
    let (send_full, full) = sync_channel::<(Vec<u8>, usize)>(BUFFERS);
    let (send_empty, empty) = channel::<Vec<u8>>();
    thread::scope(|scope| {
        let give_back = send_empty.clone();
        let write = move || -> io::Result<()> {
            for (buffer, count) in full {
                to.write_all(&buffer[..count])?;
                let _ = give_back.send(buffer); // nobody wants it behind the end
            }
            Ok(())
        };
        let Ok(writer) = thread::Builder::new().spawn_scoped(scope, write) else { return Ok(false) };
        for _ in 0..BUFFERS {
            let _ = send_empty.send(vec![0; CHUNK]);
        }
        drop(send_empty);
        let mut read = || -> Result<(), BlobError> {
            // a writer that failed gives no buffer back, and takes none
            while let Ok(mut buffer) = empty.recv() {
                let count = blob.next(&mut buffer)?;
                if count == 0 || send_full.send((buffer, count)).is_err() {
                    break;
                }
            }
            Ok(())
        };
        let read = read();
        drop(send_full);
        let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("a thread that writes has died")));
        read.and_then(|()| written.map_err(BlobError::Write)).map(|()| true)
    })
}
