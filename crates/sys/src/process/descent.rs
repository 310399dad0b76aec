//! Finds the run that a process belongs to: the process or one of its ancestors carries the run's mark or is the run's
//! runner. Runners adopt orphans, so a process cannot escape by dropping its parents and its environment.
use super::RUN_MARK;
use super::table;

/// The most ancestors that are followed; more than any real process has.
const MAX_ANCESTORS: usize = 1000;

/// Returns the run that a process belongs to, or `None`. `runner` is the subcommand that starts runners; the directory
/// of the run follows it.
///
/// # Errors
/// It is unknown, because the process is gone.
pub fn run_of(pid: u32, runner: &str) -> Result<Option<String>, String> {
    let mut current = pid;
    for _ in 0..MAX_ANCESTORS {
        let Some(entry) = table::entry(current).filter(|entry| !entry.zombie) else {
            return Err(format!("the calling process {pid} is gone"));
        };
        if let Some(run) = table::value(&entry, RUN_MARK).filter(|run| !run.is_empty()) {
            return Ok(Some(run));
        }
        if let [_, subcommand, dir, ..] = table::arguments(current).as_slice()
            && subcommand == runner
        {
            return Ok(Some(dir.rsplit('/').next().unwrap_or(dir).to_owned()));
        }
        if entry.parent <= 1 {
            return Ok(None);
        }
        current = entry.parent;
    }
    Err(format!("process {pid} has more than {MAX_ANCESTORS} ancestors"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Invocation;
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    /// Starts a script that prints a process number and waits; returns the run of that process.
    fn run_of_printed(mark: &str, script: &str) -> Result<Option<String>, String> {
        let call = Invocation::new("/bin/sh", "/").args(["-c", script, "__run-test"]).env("PATH", "/usr/bin:/bin");
        let mut command = call.env(RUN_MARK, mark).group_command();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a number");
        let found = run_of(line.trim().parse().expect("a number"), "__run");
        let group = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).expect("it is ours");
        child.wait().expect("was ended");
        found
    }

    #[test]
    fn what_an_agent_starts_belongs_to_its_run_without_its_environment_too() {
        assert_eq!(run_of_printed("7-1-0000abcd", "echo $$; read x"), Ok(Some("7-1-0000abcd".to_owned())));
        // A background job has no stdin, so it has to wait for something else.
        let bare = "env -i sh -c 'echo $$; exec sleep 1000' & wait";
        assert_eq!(run_of_printed("7-2-0000abcd", bare), Ok(Some("7-2-0000abcd".to_owned())));
        let runner = "env -i sh -c 'env -i sleep 100 & echo $!; wait' __run /runs/7-3-0000abcd";
        // `sh -c script __run dir` has the subcommand in another position: it is no runner.
        assert_eq!(run_of_printed("", runner), Ok(None));
    }

    #[test]
    fn a_process_that_is_gone_is_not_taken_for_a_persons() {
        assert!(run_of(u32::MAX - 7, "__run").is_err());
        assert_eq!(run_of(1, "__run"), Ok(None));
    }
}
