//! The program's own log: to a file of limited size while it serves, to stderr on request. Tokens never reach the file:
//! every line passes the redactor. It is not for messages to users.

use orch_core::text::redact::Redactor;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The filter when `ORCH_LOG` is not set.
const DEFAULT_FILTER: &str = "warn,orch=info";

/// A log file that is rotated when it is full.
pub struct RotatingFile {
    path: PathBuf,
    file: File,
    written: u64,
    max_bytes: u64,
    keep: u32,
    redactor: Redactor,
}

impl RotatingFile {
    /// Opens the file (mode 0600) for appending. Every line passes `redactor`.
    pub fn open(path: &Path, max_bytes: u64, keep: u32, redactor: Redactor) -> io::Result<Self> {
        let file = append_to(path)?;
        let written = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, written, max_bytes, keep, redactor })
    }

    fn rotated(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.keep).rev() {
            if self.rotated(number).exists() {
                std::fs::rename(self.rotated(number), self.rotated(number + 1))?;
            }
        }
        if self.keep > 0 {
            std::fs::rename(&self.path, self.rotated(1))?;
        } else {
            std::fs::remove_file(&self.path)?;
        }
        self.file = append_to(&self.path)?;
        self.written = 0;
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.written > 0 && self.written + line.len() as u64 > self.max_bytes {
            // A log that cannot be rotated grows beyond its limit, so that no line is lost.
            self.rotate().ok();
        }
        let text = String::from_utf8_lossy(line);
        let safe = self.redactor.text(&text);
        self.file.write_all(safe.as_bytes())?;
        self.written += safe.len() as u64;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[derive(Clone)]
struct SharedFile(Arc<Mutex<RotatingFile>>);

impl Write for SharedFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).line(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for SharedFile {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Where log lines go.
pub enum Sink {
    /// A file.
    File(RotatingFile),
    /// Standard error.
    Stderr,
}

/// Starts logging. `filter` is `ORCH_LOG`; an invalid filter is reported on the first line of the log.
pub fn start(sink: Sink, filter: Option<&str>) {
    let (parsed, bad) = match filter.map(EnvFilter::try_new) {
        Some(Ok(parsed)) => (parsed, None),
        Some(Err(error)) => (EnvFilter::new(DEFAULT_FILTER), Some(error)),
        None => (EnvFilter::new(DEFAULT_FILTER), None),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(parsed).with_target(false);
    // A second start in one process (tests) keeps the first.
    match sink {
        Sink::File(file) => {
            builder.with_ansi(false).with_writer(SharedFile(Arc::new(Mutex::new(file)))).try_init().ok()
        }
        Sink::Stderr => builder.with_writer(io::stderr).try_init().ok(),
    };
    if let Some(error) = bad {
        tracing::warn!(%error, "ORCH_LOG is not a filter; using {DEFAULT_FILTER}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_rotated_and_a_limited_number_is_kept() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("orch.log");
        let mut log = RotatingFile::open(&path, 64, 2, Redactor::new(Vec::<(String, String)>::new())).expect("open");
        for number in 0..40 {
            log.line(format!("line {number:04} of the log\n").as_bytes()).expect("write");
        }
        let mut names: Vec<_> =
            std::fs::read_dir(dir.path()).expect("read").map(|e| e.expect("entry").file_name()).collect();
        names.sort();
        assert_eq!(names, ["orch.log", "orch.log.1", "orch.log.2"]);
        let newest = std::fs::read_to_string(&path).expect("read");
        assert!(newest.ends_with("line 0039 of the log\n"));
        assert!(newest.len() <= 64);
    }
}
