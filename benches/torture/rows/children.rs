//! R28: every call of git and tmux by orch fails once, one at a time, in each way in which a program can fail. The
//! agents' own calls are not affected.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job};
use crate::kit::process::find_program;
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Dice, Findings, Row, Run, Size, Tally, finding, trials};
use std::path::Path;

/// The row.
pub const ROW: Row = Row {
    id: "R28",
    code: file!(),
    fault: "each child alone: one call of git or tmux that orch makes ends with 1, 127 or 128, is killed, hangs, prints nothing or half of its answer, or finds no space",
    goal: "0 done without the work, 0 questions, 0 more agent runs than tasks",
    run: Run::Trials { quick: 24, full: 1000, run },
};

/// How a call fails.
const FAULTS: [&str; 8] = ["1", "127", "128", "killed", "hangs", "silent", "half", "full"];

/// A program that counts its calls, and has one of them fail. Whatever an agent calls goes through.
const WRAPPER: &str = "#!/bin/sh
case \"$ORCH_RUN_ID\" in git-*|'') ;; *) exec 'REAL' \"$@\" ;; esac
exec 8>>'AT/lock'
flock 8
n=$(($(cat 'AT/count' 2>/dev/null || echo 0) + 1))
echo $n > 'AT/count'
exec 8>&-
[ \"$n\" = \"$(cat 'AT/which' 2>/dev/null)\" ] || exec 'REAL' \"$@\"
echo \"$n NAME $*\" > 'AT/struck'
fault=$(cat 'AT/fault')
case $fault in
killed) kill -9 $$ ;;
hangs) exec sleep 1000 ;;
silent) 'REAL' \"$@\" > /dev/null; exit $? ;;
half) 'REAL' \"$@\" > 'AT/answer'; code=$?; head -c $(($(wc -c < 'AT/answer') / 2)) 'AT/answer'; exit $code ;;
full) echo 'fatal: unable to write: No space left on device' >&2; exit 128 ;;
*) exit $fault ;;
esac
";

fn run(times: usize, size: Size) -> Tally {
    let count = played(None).1;
    let mut all: Vec<(u64, &str)> = (1..=count).flat_map(|n| FAULTS.map(|fault| (n, fault))).collect();
    let mut dice = Dice::new(all.len() as u64);
    while all.len() > times {
        let gone = dice.below(all.len() as u64);
        all.swap_remove(usize::try_from(gone).expect("small"));
    }
    let mut tally = trials(all.len(), 3, |number| {
        let (n, fault) = all[number];
        let (found, _, struck) = played(Some((n, fault)));
        let output = |text: &str| format!("{fault} at call {struck}: {text}");
        found.into_iter().map(|one| finding(one.broken, output(&one.text))).collect()
    });
    if size == Size::Full {
        tally.note = format!("every one of {count} calls");
    }
    tally
}

/// Two tasks from the list to the merge, the agent of the second leaves its work uncommitted. What was found, how many calls
/// orch made, and which one was struck.
fn played(fault: Option<(u64, &str)>) -> (Findings, u64, String) {
    let leaver = Job { script: "write two.txt right".to_owned(), ..Job::plain("two", "") };
    let jobs = [Job::plain("one", ""), leaver];
    let fixture = Fixture::open(&jobs, "");
    let path = fixture.sealed.env().into_iter().find(|(key, _)| key == "PATH").expect("a PATH").1;
    let at = fixture.notes.display().to_string();
    for name in ["git", "tmux"] {
        let real = find_program(Path::new(name), &path).expect("a program of this machine");
        let script = WRAPPER.replace("REAL", &real.display().to_string()).replace("AT/", &format!("{at}/"));
        fixture.sealed.program(name, &script.replace("NAME", name));
    }
    if let Some((n, fault)) = fault {
        crate::kit::write_file(&fixture.note("which"), &n.to_string());
        crate::kit::write_file(&fixture.note("fault"), fault);
    }
    let ran = fixture.until_idle(&[]).finish(RUN * 2);
    let mut found = Findings::new();
    if ran.code != Some(0) {
        found.push(finding(Broken::Stuck, format!("it does not come to rest: {ran}")));
    }
    let note = |name: &str| std::fs::read_to_string(fixture.note(name)).unwrap_or_default().trim().to_owned();
    let (count, struck) = (note("count").parse().unwrap_or(0), note("struck"));
    for name in ["git", "tmux"] {
        std::fs::remove_file(fixture.sealed.bin().join(name)).expect("a file in the box");
    }
    // A command that hung has ended by now.
    wait::poll(RUN, || fixture.left_behind().is_empty().then_some(()));
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    (found, count, struck)
}
