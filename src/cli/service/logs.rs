//! `orch service logs`: prints the end of the daemon's log, and follows it. Needs no daemon.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::text;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// The polling interval.
const LOOK: Duration = Duration::from_millis(200);
/// How many bytes at the end are searched for lines.
const END: u64 = 4 << 20;

/// Arguments of `orch service logs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Follow until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// The number of lines
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100)]
    lines: usize,
}

/// Prints the log.
pub async fn run(args: Args, context: &Context) -> Result<Exit, CliError> {
    let path = context.setup()?.home.log();
    let failed = |source| CliError::System { what: format!("cannot read {}", path.display()), source };
    let file = match File::open(&path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound && args.follow => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("there is no log yet: {}", path.display());
            return Err(CliError::NotFound { message, hint: Some("orch service status".to_owned()) });
        }
        Err(error) => return Err(failed(error)),
    };
    let mut log = Log { file, rest: Vec::new() };
    let end = log.end(args.lines).map_err(failed)?;
    context.ui.data(&text::output(&end))?;
    if !args.follow {
        return Ok(Exit::Done);
    }
    let mut stopped = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let more = log.more(&path).map_err(failed)?;
        if !more.is_empty() {
            context.ui.data(&text::output(&more))?;
        }
        tokio::select! {
            _ = &mut stopped => return Ok(Exit::Interrupted),
            () = sleep(LOOK) => {}
        }
    }
}

/// A log that is rotated when it is full.
struct Log {
    file: Option<File>,
    /// The start of an incomplete line.
    rest: Vec<u8>,
}

impl Log {
    /// Returns the last lines.
    fn end(&mut self, lines: usize) -> io::Result<String> {
        let Some(file) = &mut self.file else { return Ok(String::new()) };
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
        let whole = self.read()?;
        let found: Vec<&str> = whole.lines().collect();
        let last = found.get(found.len().saturating_sub(lines)..).unwrap_or_default();
        Ok(last.iter().map(|line| format!("{line}\n")).collect())
    }

    /// Returns the new lines, also from a file that was rotated meanwhile.
    fn more(&mut self, path: &Path) -> io::Result<String> {
        let mut text = self.read()?;
        let next = File::open(path).ok();
        let number = |file: &Option<File>| file.as_ref().and_then(|file| Some(file.metadata().ok()?.ino()));
        if next.is_some() && number(&next) != number(&self.file) {
            self.file = next;
            text.push_str(&self.read()?);
        }
        Ok(text)
    }

    /// Reads whole lines from the present position.
    fn read(&mut self) -> io::Result<String> {
        let Some(file) = &mut self.file else { return Ok(String::new()) };
        file.read_to_end(&mut self.rest)?;
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        Ok(String::from_utf8_lossy(&lines).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_sys::fs::append_private;

    #[test]
    fn a_log_is_followed_over_its_rotation_line_by_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("orch.log");
        append_private(&path, b"one\ntwo\nthree\nhalf").expect("written");
        let mut log = Log { file: File::open(&path).ok(), rest: Vec::new() };
        assert_eq!(log.end(2).expect("read"), "two\nthree\n");
        append_private(&path, b" a line\nlast\n").expect("written");
        std::fs::rename(&path, dir.path().join("orch.log.1")).expect("moved");
        append_private(&path, b"anew\n").expect("written");
        assert_eq!(log.more(&path).expect("read"), "half a line\nlast\nanew\n");
        assert_eq!(log.more(&path).expect("read"), "");
        let mut none = Log { file: None, rest: Vec::new() };
        assert_eq!(none.end(5).expect("read"), "");
        assert_eq!(none.more(&path).expect("read"), "anew\n", "it began later");
    }
}
