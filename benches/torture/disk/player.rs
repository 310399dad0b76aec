//! What a disk would hold if the power were cut after a call: the calls up to there are played on a picture of what was
//! there before, without those that nobody had flushed, or with some of them, or with parts of them. A name and a content
//! are flushed by themselves: `fsync` of a file makes its bytes last, `fsync` of a directory the names in it.

use super::trace::{Call, Record};
use crate::row::Dice;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a disk writes at once.
const SECTOR: u64 = 512;

/// What became of the calls that were not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// They are lost.
    Nothing,
    /// They are there: it was no power cut.
    Everything,
    /// Names are there, bytes are not.
    Names,
    /// Names are there, and zeros where a file became longer.
    Zeros,
    /// Bytes are there, names are not.
    Bytes,
    /// In each directory the older ones of the names, and of the bytes any sectors.
    Some,
}

impl Kept {
    /// All kinds.
    pub const ALL: [Self; 6] = [Self::Nothing, Self::Everything, Self::Names, Self::Zeros, Self::Bytes, Self::Some];
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
    Link(PathBuf),
}

/// A disk's content, below the roots.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    names: BTreeMap<PathBuf, Node>,
    contents: Vec<Vec<u8>>,
}

impl Disk {
    /// Reads the content of a directory, with the numbers of its files.
    pub fn photograph(&mut self, root: &Path, numbers: &mut HashMap<u64, usize>) {
        for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
            let (path, Ok(found)) = (entry.path(), entry.metadata()) else { continue };
            let node = if found.is_dir() {
                self.photograph(&path, numbers);
                Node::Directory
            } else if found.is_symlink() {
                Node::Link(std::fs::read_link(&path).expect("a link"))
            } else if found.is_file() {
                let id = *numbers.entry(found.ino()).or_insert(self.contents.len());
                if id == self.contents.len() {
                    self.contents.push(std::fs::read(&path).expect("a file"));
                }
                Node::File(id)
            } else {
                continue;
            };
            self.names.insert(path, node);
        }
    }

    /// The bytes of a file.
    pub fn bytes(&self, path: &Path) -> Option<&[u8]> {
        match self.names.get(path)? {
            Node::File(id) => Some(&self.contents[*id]),
            Node::Directory | Node::Link(_) => None,
        }
    }

    /// Writes the content below `root` into a directory.
    pub fn put(&self, root: &Path, dir: &Path, wanted: impl Fn(&Path) -> bool) {
        for (path, node) in &self.names {
            let Ok(inner) = path.strip_prefix(root) else { continue };
            // Shared memory is no content of a disk.
            if !wanted(inner) || path.to_string_lossy().ends_with("-shm") {
                continue;
            }
            let target = dir.join(inner);
            match node {
                Node::Directory => std::fs::create_dir_all(&target).expect("a directory"),
                Node::File(id) => {
                    std::fs::create_dir_all(target.parent().expect("a parent")).expect("a directory");
                    std::fs::write(&target, &self.contents[*id]).expect("a file");
                }
                Node::Link(to) => std::os::unix::fs::symlink(to, &target).expect("a link"),
            }
        }
    }

    fn has_parent(&self, path: &Path, roots: &[PathBuf]) -> bool {
        path.parent().is_some_and(|parent| {
            roots.iter().any(|root| root == parent) || self.names.get(parent) == Some(&Node::Directory)
        })
    }

    /// A call on names, where it is possible.
    fn apply(&mut self, call: &Call, roots: &[PathBuf]) {
        match call {
            Call::Create { path, file } => {
                if self.has_parent(path, roots) {
                    let id = usize::try_from(*file).expect("small");
                    self.names.insert(path.clone(), Node::File(id));
                }
            }
            Call::Rename { from, to } => self.rename(from, to, roots),
            Call::Exchange { one, other } => {
                if let (Some(first), Some(second)) = (self.names.get(one).cloned(), self.names.get(other).cloned()) {
                    self.names.insert(one.clone(), second);
                    self.names.insert(other.clone(), first);
                }
            }
            Call::Link { from, to } => {
                if let Some(node) = self.names.get(from).cloned().filter(|_| self.has_parent(to, roots)) {
                    self.names.insert(to.clone(), node);
                }
            }
            Call::Unlink { path } | Call::Rmdir { path } => drop(self.names.remove(path)),
            Call::Mkdir { path } => {
                if self.has_parent(path, roots) {
                    self.names.insert(path.clone(), Node::Directory);
                }
            }
            Call::Symlink { path, target } => {
                if self.has_parent(path, roots) {
                    self.names.insert(path.clone(), Node::Link(target.clone()));
                }
            }
            Call::Write { .. } | Call::Truncate { .. } | Call::Sync { .. } | Call::SyncDir { .. } | Call::SyncAll => {}
        }
    }

    fn rename(&mut self, from: &Path, to: &Path, roots: &[PathBuf]) {
        if !self.names.contains_key(from) || !self.has_parent(to, roots) {
            return;
        }
        let moved: Vec<PathBuf> = self.names.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in moved {
            let inner = path.strip_prefix(from).expect("it starts so");
            let target = if inner.as_os_str().is_empty() { to.to_owned() } else { to.join(inner) };
            if let Some(node) = self.names.remove(&path) {
                self.names.insert(target, node);
            }
        }
    }

    fn write(&mut self, file: u64, at: u64, bytes: &[u8]) {
        let content = &mut self.contents[usize::try_from(file).expect("small")];
        let (from, to) = (usize::try_from(at).expect("small"), usize::try_from(at).expect("small") + bytes.len());
        if content.len() < to {
            content.resize(to, 0);
        }
        content[from..to].copy_from_slice(bytes);
    }

    /// Extends the file to a length with zeros.
    fn reserve(&mut self, file: u64, to: u64) {
        let content = &mut self.contents[usize::try_from(file).expect("small")];
        content.resize(content.len().max(usize::try_from(to).expect("small")), 0);
    }

    fn truncate(&mut self, file: u64, to: u64) {
        self.contents[usize::try_from(file).expect("small")].resize(usize::try_from(to).expect("small"), 0);
    }
}

/// The calls of a play, to be played again.
pub struct Film {
    roots: Vec<PathBuf>,
    base: Disk,
    /// Files are numbered by their place in the list of contents instead of by inode, which is used again.
    calls: Vec<Record>,
}

/// The content of the roots before a play.
pub struct Before {
    roots: Vec<PathBuf>,
    disk: Disk,
    numbers: HashMap<u64, usize>,
}

impl Before {
    /// As it is now.
    pub fn read(roots: &[&Path]) -> Self {
        let (mut disk, mut numbers) = (Disk::default(), HashMap::new());
        roots.iter().for_each(|root| disk.photograph(root, &mut numbers));
        Self { roots: roots.iter().map(|root| root.to_path_buf()).collect(), disk, numbers }
    }

    /// With what was done since.
    pub fn and(self, records: Vec<Record>) -> Film {
        let Self { roots, disk: mut base, mut numbers } = self;
        let mut calls = Vec::new();
        for Record { mut call, end } in records {
            if let Call::Create { file, .. } = &call {
                numbers.insert(*file, base.contents.len());
                base.contents.push(Vec::new());
            }
            let (Call::Create { file, .. }
            | Call::Write { file, .. }
            | Call::Truncate { file, .. }
            | Call::Sync { file }) = &mut call
            else {
                calls.push(Record { call, end });
                continue;
            };
            // Files of other programs are kept.
            let Some(id) = numbers.get(file) else { continue };
            *file = *id as u64;
            calls.push(Record { call, end });
        }
        Film { roots, base, calls }
    }
}

impl Film {
    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// How far the trace was when only `count` calls had been made.
    pub fn end(&self, count: usize) -> u64 {
        count.checked_sub(1).map_or(0, |last| self.calls[last].end)
    }

    /// Describes the last call before the cut.
    pub fn last(&self, count: usize) -> String {
        let text = format!("{:?}", count.checked_sub(1).map(|last| &self.calls[last].call));
        text.chars().take(200).collect()
    }

    /// Every content that a path ever had.
    pub fn versions(&self, path: &Path) -> Vec<Vec<u8>> {
        let mut disk = self.base.clone();
        let mut versions: Vec<Vec<u8>> = disk.bytes(path).map(<[u8]>::to_vec).into_iter().collect();
        for Record { call, .. } in &self.calls {
            play(&mut disk, call, &self.roots);
            let now = disk.bytes(path);
            if now.is_some() && now != versions.last().map(Vec::as_slice) {
                versions.extend(now.map(<[u8]>::to_vec));
            }
        }
        versions
    }

    /// The disk when the power is cut after so many calls.
    pub fn cut(&self, count: usize, kept: Kept, dice: &mut Dice) -> Disk {
        let calls = &self.calls[..count];
        let flushed = flushed(calls);
        let mut broken: HashSet<PathBuf> = HashSet::new();
        let mut disk = self.base.clone();
        for (Record { call, .. }, sure) in calls.iter().zip(flushed) {
            let directories = directories(call);
            if sure || kept == Kept::Everything {
                play(&mut disk, call, &self.roots);
            } else if !directories.is_empty() {
                let stays = match kept {
                    Kept::Names | Kept::Zeros | Kept::Everything => true,
                    Kept::Nothing | Kept::Bytes => false,
                    // A later change of a directory requires the earlier ones.
                    Kept::Some => !directories.iter().any(|dir| broken.contains(*dir)) && dice.below(4) > 0,
                };
                if stays {
                    disk.apply(call, &self.roots);
                } else {
                    broken.extend(directories.into_iter().map(Path::to_owned));
                }
            } else {
                spill(&mut disk, call, kept, dice);
            }
        }
        disk
    }
}

fn play(disk: &mut Disk, call: &Call, roots: &[PathBuf]) {
    if let Call::Write { file, at, bytes } = call {
        disk.write(*file, *at, bytes);
    } else if let Call::Truncate { file, to } = call {
        disk.truncate(*file, *to);
    } else {
        disk.apply(call, roots);
    }
}

/// Applies a write or a truncation that was not flushed.
fn spill(disk: &mut Disk, call: &Call, kept: Kept, dice: &mut Dice) {
    match (call, kept) {
        (Call::Write { file, at, bytes }, Kept::Zeros) => disk.reserve(*file, at + bytes.len() as u64),
        (Call::Write { file, at, bytes }, Kept::Bytes) => disk.write(*file, *at, bytes),
        (Call::Truncate { file, to }, Kept::Bytes | Kept::Zeros) => disk.truncate(*file, *to),
        (Call::Truncate { file, to }, Kept::Some) if dice.below(2) == 0 => disk.truncate(*file, *to),
        (Call::Write { file, at, bytes }, Kept::Some) => {
            let whole = dice.below(3);
            let mut from = 0;
            while from < bytes.len() {
                let to_edge = SECTOR - (at + from as u64) % SECTOR;
                let to = bytes.len().min(from + usize::try_from(to_edge).expect("small"));
                if whole == 0 || (whole == 1 && dice.below(2) == 0) {
                    disk.write(*file, at + from as u64, &bytes[from..to]);
                }
                from = to;
            }
        }
        _ => {}
    }
}

/// The directories whose names a call changes.
fn directories(call: &Call) -> Vec<&Path> {
    match call {
        Call::Create { path, .. }
        | Call::Unlink { path }
        | Call::Mkdir { path }
        | Call::Rmdir { path }
        | Call::Symlink { path, .. } => path.parent().into_iter().collect(),
        Call::Rename { from, to } => from.parent().into_iter().chain(to.parent()).collect(),
        Call::Exchange { one, other } => one.parent().into_iter().chain(other.parent()).collect(),
        Call::Link { to, .. } => to.parent().into_iter().collect(),
        Call::Write { .. } | Call::Truncate { .. } | Call::Sync { .. } | Call::SyncDir { .. } | Call::SyncAll => {
            Vec::new()
        }
    }
}

/// Returns for each call whether it is certainly on the disk: from the end to the start, what was flushed later.
fn flushed(calls: &[Record]) -> Vec<bool> {
    let (mut files, mut dirs, mut all) = (HashSet::new(), HashSet::new(), false);
    let mut sure = vec![false; calls.len()];
    for (index, Record { call, .. }) in calls.iter().enumerate().rev() {
        if let Call::SyncAll = call {
            all = true;
        } else if let Call::Sync { file } = call {
            files.insert(*file);
        } else if let Call::SyncDir { path } = call {
            dirs.insert(path.as_path());
        } else if let Call::Write { file, .. } | Call::Truncate { file, .. } = call {
            sure[index] = all || files.contains(file);
        } else {
            sure[index] = all || directories(call).into_iter().any(|dir| dirs.contains(dir));
        }
    }
    sure
}
