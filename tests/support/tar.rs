//! Tars made by hand, in every dialect and with every lie: nothing here checks anything.
//!
//! Used by unit tests (as `tar::made`) and by integration tests; each uses a part of it.
#![allow(dead_code)]

/// A header block under way.
#[derive(Clone)]
pub(crate) struct Block {
    bytes: [u8; 512],
    signed: bool,
}

impl Block {
    fn new(name: &[u8], magic: &[u8]) -> Self {
        let mut block = Self { bytes: [0; 512], signed: false };
        block.bytes[..name.len()].copy_from_slice(name);
        block.bytes[257..257 + magic.len()].copy_from_slice(magic);
        block.bytes[100..108].copy_from_slice(b"0000644\0");
        block.bytes[156] = b'0';
        block.size(0)
    }

    /// POSIX.
    pub(crate) fn ustar(name: &str) -> Self {
        Self::new(name.as_bytes(), b"ustar\x0000")
    }

    /// GNU.
    pub(crate) fn gnu(name: &str) -> Self {
        Self::new(name.as_bytes(), b"ustar  \0")
    }

    /// Before POSIX: no magic, and a type flag of zero.
    pub(crate) fn v7(name: &str) -> Self {
        Self::new(name.as_bytes(), b"").flag(0)
    }

    /// POSIX, with a name that need not be text.
    pub(crate) fn raw(name: &[u8]) -> Self {
        Self::new(name, b"ustar\x0000")
    }

    pub(crate) fn prefix(mut self, prefix: &str) -> Self {
        self.bytes[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
        self
    }

    pub(crate) fn flag(mut self, flag: u8) -> Self {
        self.bytes[156] = flag;
        self
    }

    pub(crate) fn link(mut self, target: &str) -> Self {
        self.bytes[157..157 + target.len()].copy_from_slice(target.as_bytes());
        self
    }

    fn octal(mut self, at: usize, length: usize, value: u64) -> Self {
        let digits = format!("{value:0width$o}\0", width = length - 1);
        self.bytes[at..at + length].copy_from_slice(digits.as_bytes());
        self
    }

    pub(crate) fn mode(self, mode: u32) -> Self {
        self.octal(100, 8, mode.into())
    }

    pub(crate) fn owner(self, uid: u32, gid: u32) -> Self {
        self.octal(108, 8, uid.into()).octal(116, 8, gid.into())
    }

    pub(crate) fn mtime(self, seconds: u64) -> Self {
        self.octal(136, 12, seconds)
    }

    pub(crate) fn device(self, major: u32, minor: u32) -> Self {
        self.octal(329, 8, major.into()).octal(337, 8, minor.into())
    }

    pub(crate) fn size(self, size: u64) -> Self {
        let mut field = [0; 12];
        field[..11].copy_from_slice(format!("{size:011o}").as_bytes());
        self.size_field(field)
    }

    /// Writes bytes over whatever stands there.
    pub(crate) fn field(mut self, at: usize, bytes: &[u8]) -> Self {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn size_field(mut self, field: [u8; 12]) -> Self {
        self.bytes[124..136].copy_from_slice(&field);
        self
    }

    /// Sums signed bytes, as some old tars do.
    pub(crate) fn signed_sum(mut self) -> Self {
        self.signed = true;
        self
    }

    /// Returns the block with its check sum.
    pub(crate) fn finished(mut self) -> [u8; 512] {
        self.bytes[148..156].fill(b' ');
        let sum: i64 = if self.signed {
            self.bytes.iter().map(|byte| i64::from(i8::from_ne_bytes([*byte]))).sum()
        } else {
            self.bytes.iter().map(|byte| i64::from(*byte)).sum()
        };
        self.bytes[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.bytes
    }
}

/// A tar under way.
#[derive(Clone, Default)]
pub(crate) struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a header, its content and the padding, whatever the header says.
    pub(crate) fn entry(mut self, header: Block, content: &[u8]) -> Self {
        self.bytes.extend(header.finished());
        self.bytes.extend(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(Block::ustar(name).size(content.len() as u64), content)
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.entry(Block::ustar(name).flag(b'5'), b"")
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(Block::ustar(name).flag(b'2').link(target), b"")
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(Block::ustar(name).flag(b'1').link(target), b"")
    }

    /// Adds an extension of a type: `x`, `g`, `L` or `K`.
    pub(crate) fn extension(self, flag: u8, content: &[u8]) -> Self {
        self.entry(Block::ustar("extension").flag(flag).size(content.len() as u64), content)
    }

    /// Adds a PAX header for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        let records: String = records.iter().map(|(key, value)| pax_record(key, value)).collect();
        self.extension(b'x', records.as_bytes())
    }

    /// Adds bytes as they are.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    /// Returns where the next entry will be.
    pub(crate) fn position(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the tar without its end.
    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the tar with the two blocks of zeros that end it.
    pub(crate) fn finished(self) -> Vec<u8> {
        self.bytes(&[0; 1024]).unfinished()
    }
}

/// Returns a PAX record: its length counts its own digits.
pub(crate) fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

/// Returns the files of a plain tar, in their order: names of at most 100 bytes, sizes below 8 GiB.
#[allow(dead_code)] // not every test file looks into tars
pub(crate) fn files(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut at = 0;
    while tar[at] != 0 {
        let text = |from: usize, length: usize| {
            let field = &tar[at + from..at + from + length];
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
            String::from_utf8(field[..end].to_vec()).unwrap()
        };
        let size = usize::from_str_radix(text(124, 11).trim(), 8).unwrap();
        files.push((text(0, 100), tar[at + 512..at + 512 + size].to_vec()));
        at += 512 + size.next_multiple_of(512);
    }
    files
}
