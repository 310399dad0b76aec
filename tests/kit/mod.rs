//! The test kit: a sealed box to run real programs in, a scripted model server, and the real agent CLIs set up
//! to talk to it. `README.md` beside this file tells how to use it. Nothing here reaches beyond the machine.

#![allow(dead_code, reason = "the kit is whole; a suite uses what it needs")]

pub mod clis;
pub mod dice;
pub mod discord;
pub mod fixture;
pub mod golden;
pub mod http;
pub mod inmates;
pub mod journals;
pub mod last_words;
pub mod lives;
pub mod model_server;
pub mod mutate;
pub mod process;
pub mod provider;
pub mod readers;
pub mod repo;
pub mod sealed_box;
pub mod talkers;
pub mod telegram;
pub mod terminal;
pub mod user_manager;
pub mod wait;
pub mod webhook;
pub mod worktree_states;

use std::path::Path;

/// Writes a file, with the directories above it.
#[expect(clippy::disallowed_methods, reason = "tests play the user who writes files")]
pub fn write_file(path: &Path, text: &str) {
    let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, text));
    written.unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

/// Asserts that no file below a directory contains a secret.
pub fn nothing_holds(secret: &str, dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            nothing_holds(secret, &path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{}", path.display());
        }
    }
}

/// Reads a file; the test fails if it cannot be read.
pub fn read_file(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}
