//! The last line of a transcript, for a short view of what an agent is doing.

use super::files::RunFiles;
use orch_core::text::output::last_line_of;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// How much of the end is read, in bytes.
const END: u64 = 8 << 10;

/// Returns the last non-empty line; of one that is longer than a few kilobytes, its end. `None` when there is none yet,
/// or it cannot be read. Blocking.
pub fn last_line(files: &RunFiles) -> Option<String> {
    let file = File::open(&files.followed).ok()?;
    let length = file.metadata().ok()?.len();
    let begin = length.saturating_sub(END);
    let mut bytes = vec![0; usize::try_from(length - begin).ok()?];
    file.read_exact_at(&mut bytes, begin).ok()?;
    last_line_of(&String::from_utf8_lossy(&bytes)).map(str::to_owned)
}
