//! File systems of their own for the working directory: small ones, and ones that lose their power.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::environment::available;
use super::lab::Lab;

/// A file system on the working directory, which is unmounted however the test ends: by a process in a session of its own, which
/// waits until nobody holds the other end of its standard input.
pub(crate) struct Mounted {
    at: PathBuf,
    image: Option<PathBuf>,
    /// What holds the image, when it is not a file of the machine's.
    below: Option<Box<Mounted>>,
    guard: Child,
}

fn guard(at: &Path) -> Child {
    let script =
        "cat >/dev/null; for i in 1 2 3 4 5 6 7 8 9; do umount \"$1\" && exit; sleep 0.2; done; umount -l \"$1\"";
    let mut guard = Command::new("setsid");
    guard.args(["sh", "-c", script, "sh"]).arg(at).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    guard.spawn().unwrap()
}

fn done(command: &mut Command) -> bool {
    let output = command.output();
    output.is_ok_and(|output| {
        if !output.status.success() {
            println!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        output.status.success()
    })
}

fn mount(image: &Path, at: &Path) -> bool {
    done(Command::new("mount").args(["-o", "loop"]).arg(image).arg(at))
}

impl Mounted {
    /// Mounts a file system in memory of so many bytes. None, and that is said, without the right to.
    pub(crate) fn memory(lab: &Lab) -> Option<Self> {
        let at = lab.path("").canonicalize().unwrap();
        let mounted = done(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(&at));
        available("right to mount a tmpfs", mounted).then(|| Self { guard: guard(&at), at, image: None, below: None })
    }

    /// Changes how large it is, in bytes.
    pub(crate) fn resize(&self, bytes: u64) {
        assert!(done(Command::new("mount").args(["-o", &format!("remount,size={bytes}")]).arg(&self.at)));
    }

    /// Makes it read-only, or writable again.
    pub(crate) fn set_writable(&self, is_writable: bool) {
        let how = if is_writable { "remount,rw" } else { "remount,ro" };
        assert!(done(Command::new("mount").args(["-o", how]).arg(&self.at)));
    }

    /// Makes a file system in a file, and mounts it by a loop device. None, and that is said, where the kernel has none.
    pub(crate) fn disk(lab: &Lab, kind: &str) -> Option<Self> {
        let at = lab.path("").canonicalize().unwrap();
        let image = at.parent().unwrap().join("disk");
        Self::in_file(kind, image, 320 << 20, &at)
    }

    /// Makes a file system on a disk that forgets, when its power goes, what it was not told to flush: the disk is a file in another
    /// file system. So all kinds lose their power alike, also those that cannot be shut down.
    pub(crate) fn forgetful_disk(lab: &Lab, kind: &str) -> Option<Self> {
        let at = lab.path("").canonicalize().unwrap();
        let above = at.parent().unwrap();
        let beneath = above.join("beneath");
        fs::create_dir_all(&beneath).unwrap();
        let below = Self::in_file("ext4", above.join("disk"), 480 << 20, &beneath)?;
        let image = beneath.join("disk");
        // what is allocated already needs no journal: the content of the disk is all that counts
        File::create(&image).unwrap();
        if !available("room for a disk", done(Command::new("fallocate").args(["-l", "320M"]).arg(&image))) {
            return None;
        }
        let mut disk = Self::in_file(kind, image, 320 << 20, &at)?;
        below.flush();
        disk.below = Some(Box::new(below));
        Some(disk)
    }

    fn in_file(kind: &str, image: PathBuf, size: u64, at: &Path) -> Option<Self> {
        File::options().write(true).create(true).truncate(false).open(&image).unwrap().set_len(size).unwrap();
        let force = if kind == "ext4" { "-F" } else { "-f" };
        let made = done(Command::new(format!("/usr/sbin/mkfs.{kind}")).args(["-q", force]).arg(&image));
        let mounted = made && mount(&image, at);
        let what = format!("loop device with {kind}, or right to mount it");
        available(&what, mounted).then(|| Self { guard: guard(at), at: at.to_owned(), image: Some(image), below: None })
    }

    /// Brings everything in it to the disk.
    pub(crate) fn flush(&self) {
        rustix::fs::syncfs(File::open(&self.at).unwrap()).unwrap();
    }

    /// Takes its power: nothing more reaches the disk, neither what waits in memory nor the journal.
    pub(crate) fn cut(&self) {
        // FS_IOC_SHUTDOWN, with FS_SHUTDOWN_FLAGS_NOLOGFLUSH
        let script = "import fcntl, os, struct, sys\n\
                      fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
        let shut = self.below.as_ref().map_or(&self.at, |below| &below.at);
        assert!(done(Command::new("python3").args(["-c", script]).arg(shut)));
    }

    /// Gives it power again: what it had written down in its journal is carried out.
    pub(crate) fn restart(&self) {
        assert!(done(Command::new("umount").arg(&self.at)));
        if let Some(below) = &self.below {
            // its loop device goes a moment after the last that used it
            let is_free = || done(Command::new("umount").arg(&below.at));
            assert!((0..100).any(|_| is_free() || {
                std::thread::sleep(Duration::from_millis(20));
                false
            }));
            assert!(mount(below.image.as_ref().unwrap(), &below.at));
        }
        assert!(mount(self.image.as_ref().unwrap(), &self.at));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let gone = self.guard.wait();
        let _ = self.image.as_ref().map(fs::remove_file);
        assert!(gone.is_ok_and(|status| status.success()) || std::thread::panicking(), "it is still mounted");
    }
}
