//! A layer between orch and its files: one call fails, or all are recorded. `disk/shim.c` implements it; here it is
//! compiled, configured, and read.

pub mod player;
pub mod trace;

use crate::fixture::Fixture;
use crate::kit::process::Program;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const EINTR: u32 = 4;
const EIO: u32 = 5;
const EMFILE: u32 = 24;
const ENOSPC: u32 = 28;
const EROFS: u32 = 30;
const SHORT: u32 = 1000;
const DIE: u32 = 2000;

/// A place for homes that are looked at and thrown away: where there is one, in memory, because nothing of them is to
/// outlast anything.
pub fn scratch() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory } else { Path::new("/tmp") }
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk does not take or give it.
    Io,
    /// No space.
    Full,
    /// No more open files.
    Descriptors,
    /// A signal came.
    Interrupted,
    /// Half of it is written.
    Short,
    /// Nothing may be changed.
    ReadOnly,
    /// The process dies before the call.
    Death,
}

impl Fault {
    fn code(self) -> u32 {
        match self {
            Self::Io => EIO,
            Self::Full => ENOSPC,
            Self::Descriptors => EMFILE,
            Self::Interrupted => EINTR,
            Self::Short => SHORT,
            Self::ReadOnly => EROFS,
            Self::Death => DIE,
        }
    }
}

/// Which calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// Those that change something, or may.
    Changes,
    /// Opening to read, too.
    Opens,
    /// Reading, too.
    Reads,
}

/// The library, compiled when it is first wanted.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/torture/disk/shim.c");
        let library = crate::orch().with_file_name(format!("disk-{}.so", std::process::id()));
        let ran = Program::new("/usr/bin/env", "/")
            .envs([("PATH", std::env::var_os("PATH").unwrap_or_default())])
            .args(["cc", "-shared", "-fPIC", "-O2", "-o"])
            .args([library.as_os_str(), source.as_os_str()])
            .args(["-ldl", "-lpthread"])
            .run();
        assert_eq!(ran.code, Some(0), "the C compiler with which Rust links makes the layer: {ran}");
        library
    })
}

/// Removes the library.
pub fn clean_up() {
    std::fs::remove_file(crate::orch().with_file_name(format!("disk-{}.so", std::process::id()))).ok();
}

/// The layer of one trial.
pub struct Layer {
    control: PathBuf,
    trace: Option<PathBuf>,
    roots: String,
    only: bool,
}

impl Layer {
    /// Intercepts calls below these directories, with its own files in `notes`. Nothing fails yet.
    pub fn over(roots: &[&Path], notes: &Path) -> Self {
        let control = notes.join("disk-control");
        std::fs::write(&control, [0; 4096]).expect("a file");
        let roots: Vec<String> = roots.iter().map(|root| root.to_string_lossy().into_owned()).collect();
        Self { control, trace: None, roots: roots.join(":"), only: true }
    }

    /// All calls are written down.
    pub fn traced(mut self, notes: &Path) -> Self {
        self.trace = Some(notes.join("disk-trace"));
        self
    }

    /// Also those of other programs than orch.
    pub fn of_everybody(mut self) -> Self {
        self.only = false;
        self
    }

    /// Where calls are written down.
    pub fn trace(&self) -> &Path {
        self.trace.as_deref().expect("a layer that writes down")
    }

    /// For a program that is to be under the layer.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut env = vec![
            ("LD_PRELOAD", text(library())),
            ("ORCH_DISK_ROOT", self.roots.clone()),
            ("ORCH_DISK_CONTROL", text(&self.control)),
        ];
        if self.only {
            env.push(("ORCH_DISK_ONLY", "orch".to_owned()));
        }
        env.extend(self.trace.as_ref().map(|trace| ("ORCH_DISK_TRACE", text(trace))));
        env
    }

    /// Makes calls `from` to `to` fail, counted from 1; counting starts again.
    pub fn fail(&self, fault: Fault, calls: Calls, (from, to): (u64, u64)) {
        let mask: u32 = match calls {
            Calls::Changes => 1,
            Calls::Opens => 3,
            Calls::Reads => 7,
        };
        let mut bytes = [0; 1072];
        bytes[8..16].copy_from_slice(&from.to_ne_bytes());
        bytes[16..24].copy_from_slice(&to.to_ne_bytes());
        bytes[24..28].copy_from_slice(&fault.code().to_ne_bytes());
        bytes[28..32].copy_from_slice(&mask.to_ne_bytes());
        self.file().write_all_at(&bytes, 0).expect("a file");
    }

    /// From now on nothing fails.
    pub fn heal(&self) {
        self.file().write_all_at(&[0; 16], 8).expect("a file");
    }

    /// How many calls there were.
    pub fn counted(&self) -> u64 {
        self.number(0)
    }

    /// How many failed.
    pub fn struck(&self) -> u64 {
        self.number(32)
    }

    /// The first that failed: what it was, and the path.
    pub fn first(&self) -> String {
        let mut bytes = vec![0; 1024];
        self.file().read_exact_at(&mut bytes, 40).expect("a file");
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    fn number(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file().read_exact_at(&mut bytes, at).expect("a file");
        u64::from_ne_bytes(bytes)
    }

    fn file(&self) -> std::fs::File {
        OpenOptions::new().read(true).write(true).open(&self.control).expect("a file")
    }
}

impl Fixture {
    /// orch under a layer, to be given arguments.
    pub fn under(&self, layer: &Layer) -> Program {
        self.orch_program().envs(layer.env())
    }
}
