//! The last line of a transcript, for who only wants to know what an agent is about.

use super::files::RunFiles;
use orch_core::output::last_line_of;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// How much of the end is looked at, in bytes.
const END: u64 = 8 << 10;

/// The last line with something in it; of one that is longer than a few kilobytes, its end. `None`: nothing was said
/// yet, or it cannot be read. Blocking.
pub fn last_line(files: &RunFiles) -> Option<String> {
    let file = File::open(&files.followed).ok()?;
    let length = file.metadata().ok()?.len();
    let begin = length.saturating_sub(END);
    let mut bytes = vec![0; usize::try_from(length - begin).ok()?];
    file.read_exact_at(&mut bytes, begin).ok()?;
    last_line_of(&String::from_utf8_lossy(&bytes)).map(str::to_owned)
}
