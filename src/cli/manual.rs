//! `orch completions` and `orch man`: shell completions and manual pages, generated from the definition of the command
//! line.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use clap::CommandFactory;
use clap_complete::generate;
use clap_complete::shells::{Bash, Fish, Zsh};
use orch_sys::fs;
use std::path::PathBuf;

/// Arguments of `orch completions`.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// bash, zsh or fish
    shell: Known,
}

/// The shells whose completions are in the packages.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

/// Arguments of `orch man`.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// The directory for the pages of all commands; without it, the page of orch is printed
    dir: Option<PathBuf>,
}

/// Prints the completions of a shell.
pub fn completions(args: &Completions, context: &Context) -> Result<Exit, CliError> {
    let (mut command, mut text) = (super::Cli::command(), Vec::new());
    match args.shell {
        Known::Bash => generate(Bash, &mut command, "orch", &mut text),
        Known::Zsh => generate(Zsh, &mut command, "orch", &mut text),
        Known::Fish => generate(Fish, &mut command, "orch", &mut text),
    }
    context.ui.bytes(&text)?;
    Ok(Exit::Done)
}

/// Prints the page of orch, or writes all pages.
pub fn man(args: &Man, context: &Context) -> Result<Exit, CliError> {
    let failed = CliError::system("cannot make the page");
    let mut command = super::Cli::command();
    // The page of each command has the global options, too.
    command.build();
    let Some(dir) = &args.dir else {
        context.ui.bytes(&page(command).map_err(failed)?)?;
        return Ok(Exit::Done);
    };
    fs::create_dirs(dir)?;
    let mut all = Vec::new();
    gather(command, &mut all);
    for command in all {
        let file = dir.join(format!("{}.1", command.get_display_name().unwrap_or("orch")));
        fs::write_private(
            &file,
            &page(command).map_err(CliError::system("cannot make the page"))?,
            fs::Durability::Cached,
        )?;
        fs::readable_by_all(&file)?;
    }
    let manual = dir.parent().filter(|_| dir.file_name().is_some_and(|name| name == "man1"));
    match manual {
        Some(manual) => context
            .ui
            .note(&format!("next: man orch (where man does not look there: man -M '{}' orch)", manual.display())),
        None => context.ui.note("man looks for pages in directories called man1: orch man ~/.local/share/man/man1"),
    }
    Ok(Exit::Done)
}

fn page(command: clap::Command) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let source = concat!("orch ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command).manual("orch").source(source).render(&mut text)?;
    Ok(text)
}

/// Collects the command and all visible commands below it.
fn gather(command: clap::Command, all: &mut Vec<clap::Command>) {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        gather(below.clone(), all);
    }
    all.push(command);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_of_its_own() {
        let mut command = super::super::Cli::command();
        command.build();
        let mut all = Vec::new();
        gather(command, &mut all);
        let names: Vec<&str> = all.iter().map(|command| command.get_display_name().unwrap_or("orch")).collect();
        for name in ["orch", "orch-task", "orch-task-add", "orch-service-install"] {
            assert_eq!(names.iter().filter(|found| **found == name).count(), 1, "{name} in {names:?}");
        }
        let page = all.into_iter().find(|command| command.get_display_name() == Some("orch-task")).map(page);
        let page = String::from_utf8(page.expect("a page").expect("made")).expect("text");
        assert!(page.contains(".TH orch-task 1") && page.contains("steer tasks"), "{page}");
    }
}
