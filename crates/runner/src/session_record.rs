//! Finds the session record that a CLI keeps below its home (codex), and reads it line by line.

use super::lines::{LONGEST, Splitter};
use orch_core::agents::EventReader;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// How many directories are looked into, newest first: years of daily ones.
const DIRECTORIES: usize = 4000;

/// How much of a record is read.
const LARGEST: u64 = 512 << 20;

/// Hands the record to the reader, when the reader knows its name and it can be found.
pub(super) fn read(reader: &mut dyn EventReader, env: &BTreeMap<String, String>) {
    let Some(suffix) = reader.session_record_suffix().filter(|suffix| !suffix.is_empty()) else { return };
    let Some(file) = home(env).and_then(|home| find(&home, &suffix)).and_then(|path| File::open(path).ok()) else {
        return;
    };
    let mut file = file.take(LARGEST);
    let mut splitter = Splitter::new(LONGEST);
    let mut piece = vec![0; 64 << 10];
    while let Ok(count @ 1..) = file.read(&mut piece) {
        splitter.push(&piece[..count], &mut |line| reader.session_record_line(&line.text));
    }
    splitter.finish(&mut |line| reader.session_record_line(&line.text));
}

fn home(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("CODEX_HOME").or_else(|| Some(set("HOME")?.join(".codex")))?;
    Some(home.join("sessions"))
}

/// The file whose name ends in `suffix`, below directories named by date. Links are not followed.
fn find(root: &Path, suffix: &str) -> Option<PathBuf> {
    let mut open = vec![root.to_owned()];
    for _ in 0..DIRECTORIES {
        let dir = open.pop()?;
        let Ok(items) = fs::read_dir(&dir) else { continue };
        let mut below = Vec::new();
        for item in items.flatten() {
            let Ok(kind) = item.file_type() else { continue };
            if kind.is_dir() {
                below.push(item.path());
            } else if kind.is_file() && item.file_name().to_str().is_some_and(|name| name.ends_with(suffix)) {
                return Some(item.path());
            }
        }
        // The newest is looked into next.
        below.sort();
        open.extend(below);
    }
    None
}
