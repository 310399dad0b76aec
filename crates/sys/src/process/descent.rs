//! Whether a process belongs to a run: it, or one that it descends from, bears a run's mark, or is a run's runner. Runners
//! adopt what agents cut loose, so that forgetting its parents and its environment does not get a process out.

use super::RUN_MARK;
use super::table;

/// More generations than there are.
const GENERATIONS: usize = 1000;

/// The run that a process belongs to; `None`: to none. `runner` is the word by which runners are started, before the directory
/// of their run.
///
/// # Errors
/// It cannot be told, because the process is gone.
pub fn run_of(pid: u32, runner: &str) -> Result<Option<String>, String> {
    let mut at = pid;
    for _ in 0..GENERATIONS {
        let Some(entry) = table::entry(at).filter(|entry| !entry.zombie) else {
            return Err(format!("whoever asks is gone (process {pid})"));
        };
        if let Some(run) = table::value(&entry, RUN_MARK).filter(|run| !run.is_empty()) {
            return Ok(Some(run));
        }
        if let [_, word, dir, ..] = table::words(at).as_slice()
            && word == runner
        {
            return Ok(Some(dir.rsplit('/').next().unwrap_or(dir).to_owned()));
        }
        if entry.parent <= 1 {
            return Ok(None);
        }
        at = entry.parent;
    }
    Err(format!("process {pid} has no end of parents"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Invocation;
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    /// Starts something that prints the number of a process and waits; what the process belongs to.
    fn told(mark: &str, script: &str) -> Result<Option<String>, String> {
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
        assert_eq!(told("7-1-0000abcd", "echo $$; read x"), Ok(Some("7-1-0000abcd".to_owned())));
        // In the background its input is empty: it has to wait for something else.
        let bare = "env -i sh -c 'echo $$; exec sleep 1000' & wait";
        assert_eq!(told("7-2-0000abcd", bare), Ok(Some("7-2-0000abcd".to_owned())));
        let runner = "env -i sh -c 'env -i sleep 100 & echo $!; wait' __run /runs/7-3-0000abcd";
        // `sh -c script __run dir` has the word elsewhere: only a runner is one.
        assert_eq!(told("", runner), Ok(None));
    }

    #[test]
    fn a_process_that_is_gone_is_not_taken_for_a_persons() {
        assert!(run_of(u32::MAX - 7, "__run").is_err());
        assert_eq!(run_of(1, "__run"), Ok(None));
    }
}
