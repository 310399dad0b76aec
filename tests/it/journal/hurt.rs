//! Harm done to a file: what disks, file systems and people do to one.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// One kind of harm.
#[derive(Debug, Clone)]
pub enum Harm {
    /// The file ends here.
    Cut { to: u64 },
    /// A stretch is zeros.
    Zeroed { from: u64, length: u64 },
    /// One bit is another one.
    Flipped { at: u64, bit: u8 },
    /// The same damage to the write-ahead log; `None` removes it.
    Log(Option<Box<Harm>>),
}

/// Does it. Places beyond the end of the file are counted from its beginning again.
pub fn hurt(path: &Path, harm: &Harm) {
    let length = path.metadata().map_or(0, |found| found.len());
    let place = |at: u64| at.checked_rem(length).unwrap_or(0);
    let open = || OpenOptions::new().write(true).read(true).open(path).expect("a file");
    match harm {
        Harm::Log(inner) => {
            let log = PathBuf::from(format!("{}-wal", path.display()));
            match inner {
                None => drop(std::fs::remove_file(log)),
                Some(inner) if log.exists() => hurt(&log, inner),
                Some(_) => {}
            }
        }
        Harm::Cut { to } => open().set_len(place(*to)).expect("cut"),
        Harm::Zeroed { from, length: zeros } => {
            let from = place(*from);
            let zeros = (*zeros).min(length - from);
            open().write_all_at(&vec![0; usize::try_from(zeros).expect("fits")], from).expect("zeroed");
        }
        Harm::Flipped { .. } if length == 0 => {}
        Harm::Flipped { at, bit } => {
            let (file, at) = (open(), place(*at));
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("read");
            file.write_all_at(&[byte[0] ^ (1 << (bit % 8))], at).expect("flipped");
        }
    }
}
