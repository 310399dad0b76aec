//! Checks that orch understands every command in the runbooks.

use super::Cli;
use clap::Parser;
use std::path::{Path, PathBuf};

/// Returns the commands of orch in a page, from code blocks and backticks, with their line numbers.
fn commands(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut in_block) = (Vec::new(), false);
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            let command = line.split("  #").next().unwrap_or(line);
            found.extend(
                command
                    .split("&&")
                    .filter(|part| part.trim().starts_with("orch "))
                    .map(|part| (number + 1, part.to_owned())),
            );
        } else {
            let inside = line.split('`').skip(1).step_by(2);
            found.extend(inside.filter(|code| code.starts_with("orch ")).map(|code| (number + 1, code.to_owned())));
        }
    }
    found
}

/// Splits a line into words as a shell does.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    for c in line.trim().chars() {
        match c {
            '"' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

fn pages() -> Vec<PathBuf> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let runbooks =
        std::fs::read_dir(docs.join("how-to/runbooks")).expect("runbooks").flatten().map(|entry| entry.path());
    runbooks.chain([docs.join("how-to/service.md")]).collect()
}

#[test]
fn every_command_in_a_runbook_is_understood() {
    let pages = pages();
    assert!(pages.len() >= 5, "{pages:?}");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages {
        let text = orch_sys::fs::read_text(&page, 1 << 20).expect("a page");
        for (line, command) in commands(&text) {
            count += 1;
            if let Err(error) = Cli::try_parse_from(words(&command))
                && error.use_stderr()
            {
                let why = error.to_string().lines().next().unwrap_or_default().to_owned();
                wrong.push(format!("{}:{line}: {command}: {why}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 80, "{count} commands were found");
}

#[test]
fn a_command_that_is_none_is_found() {
    let text = "Do `orch tsak list` and\n```\norch task list   # all\nls && orch \"service\" status\n```\n";
    let found = commands(text);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(Cli::try_parse_from(words(&found[0].1)).is_err());
    assert_eq!(words(&found[2].1), ["orch", "service", "status"]);
}
