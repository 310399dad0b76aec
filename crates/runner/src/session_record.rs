//! Finds the session record that a CLI keeps below its home (codex), and feeds it to the dialect's reader line by line.

use super::lines::{MAX_LINE, Splitter};
use orch_core::models::agents::EventReader;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most directories that are searched, newest first: years of daily ones.
const MAX_DIRECTORIES: usize = 4000;

/// The most bytes of a record that are read.
const MAX_RECORD: u64 = 512 << 20;

/// Reads the record into `reader`, if the reader knows its name and it can be found.
pub(super) fn read(reader: &mut dyn EventReader, env: &BTreeMap<String, String>) {
    let Some(suffix) = reader.session_record_suffix().filter(|suffix| !suffix.is_empty()) else { return };
    let Some(file) = sessions_dir(env).and_then(|dir| find(&dir, &suffix)).and_then(|path| File::open(path).ok())
    else {
        return;
    };
    let mut file = file.take(MAX_RECORD);
    let mut splitter = Splitter::new(MAX_LINE);
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = file.read(&mut buffer) {
        splitter.push(&buffer[..count], &mut |line| reader.session_record_line(&line.text));
    }
    splitter.finish(&mut |line| reader.session_record_line(&line.text));
}

fn sessions_dir(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("CODEX_HOME").or_else(|| Some(set("HOME")?.join(".codex")))?;
    Some(home.join("sessions"))
}

/// Finds the file whose name ends in `suffix`, below directories named by date. Symbolic links are not followed.
fn find(root: &Path, suffix: &str) -> Option<PathBuf> {
    let mut pending = vec![root.to_owned()];
    for _ in 0..MAX_DIRECTORIES {
        let dir = pending.pop()?;
        let Ok(items) = fs::read_dir(&dir) else { continue };
        let mut subdirectories = Vec::new();
        for item in items.flatten() {
            let Ok(kind) = item.file_type() else { continue };
            if kind.is_dir() {
                subdirectories.push(item.path());
            } else if kind.is_file() && item.file_name().to_str().is_some_and(|name| name.ends_with(suffix)) {
                return Some(item.path());
            }
        }
        // The newest is searched next.
        subdirectories.sort();
        pending.extend(subdirectories);
    }
    None
}
