//! Tests `tasks.yml`, saved by an editor, changed by two command lines and written by the daemon, all at once: no
//! change is lost or duplicated.

use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, poll, wait_until};
use serde_json::Value;
use std::fs::{File, read_to_string, remove_file, rename};
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

const FIRST: &str =
    "# The head\ntasks:\n  - id: 1\n    title: mine # kept\n    odd: [ a,  b ]\n  - id: 2\n    title: 'yours'\n";

/// The changes, which must be there in the end.
#[derive(Default)]
struct Said {
    /// Titles of new tasks.
    added: Vec<String>,
    /// Comments.
    comments: Vec<String>,
    /// The last title of task 1, by the editor, and of task 2, by a command.
    titles: [Option<String>; 2],
}

/// Saves `text` in one of the ways in which editors save.
fn save(path: &Path, text: &str, way: u32) {
    let beside = path.with_extension("yml.editor");
    let put = |path: &Path| File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
    match way % 4 {
        0 => {
            put(&beside);
            rename(&beside, path).expect("renamed");
        }
        1 | 2 => {
            let parts = if way % 4 == 1 { 2 } else { 5 };
            let mut file = File::create(path).expect("opens");
            for part in text.as_bytes().chunks(text.len().div_ceil(parts)) {
                file.write_all(part).expect("written");
                std::thread::yield_now();
            }
        }
        _ => {
            rename(path, &beside).ok();
            put(path);
            remove_file(&beside).ok();
        }
    }
}

/// Returns the editor's next edit of the text, and records how it is recognized.
fn edited(text: &str, number: u32, said: &mut Said) -> (String, String) {
    let mark = format!("e{number}.");
    match number % 3 {
        0 => {
            said.added.push(mark.clone());
            (format!("{text}  - title: {mark}\n"), mark)
        }
        1 => {
            said.comments.push(format!("# {mark}"));
            (text.replacen("tasks:\n", &format!("tasks:\n  # {mark}\n"), 1), mark)
        }
        _ => {
            said.titles[0] = Some(mark.clone());
            let at = text.find("title: ").expect("the first task") + 7;
            let end = at + text[at..].find(" #").expect("its comment");
            (format!("{}{mark}{}", &text[..at], &text[end..]), mark)
        }
    }
}

/// Tasks that the command line has added while an editor saves, at least: otherwise there was no race.
const RACED: usize = 6;

fn added_by_command(said: &Said) -> usize {
    said.added.iter().filter(|title| title.starts_with('a')).count()
}

/// Loads, edits and saves, and waits each time until the change is visible. More often than `saves` if the commands are
/// slow.
fn edits(path: &Path, saves: u32, said: &Mutex<Said>) {
    for number in 0..20 * saves {
        if number >= saves && added_by_command(&said.lock().expect("whole")) >= RACED {
            return;
        }
        let text = poll(RUN, || read_to_string(path).ok().filter(|text| text.contains("# kept"))).expect("a file");
        let (new, mark) = edited(&text, number, &mut said.lock().expect("whole"));
        save(path, &new, number / 3);
        wait_until(&format!("the edit {mark}"), RUN, || read_to_string(path).is_ok_and(|text| text.contains(&mark)));
    }
}

/// Adds tasks, or gives one ever new titles, until the editor is done.
fn commands(sealed: &SealedBox, adds: bool, over: &AtomicBool, said: &Mutex<Said>) {
    for number in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let mark = format!("{}{number}.", if adds { "a" } else { "t" });
        if adds {
            sealed.orch(["task", "add", &mark]).ok();
            said.lock().expect("whole").added.push(mark);
        } else {
            sealed.orch(["task", "edit", "2", "--title", &mark]).ok();
            said.lock().expect("whole").titles[1] = Some(mark);
        }
    }
}

/// Returns the changes that are missing.
fn lost(sealed: &SealedBox, said: &Said) -> Vec<String> {
    let text = sealed.read_tasks();
    let tasks: Value = sealed.orch(["task", "list", "--json"]).ok().json();
    let tasks = tasks.as_array().cloned().unwrap_or_default();
    let mut lost = Vec::new();
    for title in &said.added {
        let named = tasks.iter().filter(|task| task["title"] == *title && task["status"] != "cancelled").count();
        let there = text.matches(&format!("title: {title}\n")).count();
        if (named, there) != (1, 1) {
            lost.push(format!("{title}: {named} tasks, {there} entries"));
        }
    }
    lost.extend(said.comments.iter().filter(|comment| !text.contains(*comment)).cloned());
    for (index, title) in said.titles.iter().enumerate() {
        if title.as_ref().is_some_and(|title| tasks.get(index).is_none_or(|task| task["title"] != *title)) {
            lost.push(format!("title of {}: {title:?}", index + 1));
        }
    }
    for task in &tasks {
        let (id, status) = (&task["id"], task["status"].as_str().unwrap_or_default());
        let entry = text.split("\n  - ").find(|entry| entry.contains(&format!("id: {id}\n")));
        if entry.is_none_or(|entry| !entry.contains(&format!("status: {status}"))) && status != "cancelled" {
            lost.push(format!("status {status} of {id}"));
        }
    }
    for kept in ["# The head\ntasks:\n", "# kept\n", "    odd: [ a,  b ]\n"] {
        if !text.contains(kept) {
            lost.push(kept.to_owned());
        }
    }
    lost
}

/// Returns orch's file and history, to explain a loss.
fn state(sealed: &SealedBox) -> String {
    let (file, history) = (sealed.read_tasks(), sealed.orch(["events", "--since", "0"]).stdout);
    format!("\n---- tasks.yml\n{file}\n---- history\n{history}")
}

/// Makes this many saves by an editor, with two command lines and a daemon. Returns what was lost or duplicated, and
/// the number of changes by commands.
pub fn race(saves: u32) -> (Vec<String>, usize) {
    let mut sealed = SealedBox::new();
    sealed.quiet_repo();
    sealed.write_tasks(FIRST);
    sealed.serve();
    let (said, over) = (Mutex::new(Said::default()), AtomicBool::new(false));
    wait_until("a look", RUN, || sealed.read_tasks().contains("status"));
    std::thread::scope(|scope| {
        let both = [true, false].map(|adds| {
            let (sealed, over, said) = (&sealed, &over, &said);
            scope.spawn(move || commands(sealed, adds, over, said))
        });
        edits(&sealed.orch_home().join("tasks.yml"), saves, &said);
        over.store(true, Ordering::Relaxed);
        both.into_iter().for_each(|thread| thread.join().expect("commands go on to the end"));
    });
    let said = said.into_inner().expect("whole");
    let mut missing = Vec::new();
    poll(RUN, || {
        missing = lost(&sealed, &said);
        missing.is_empty().then_some(())
    });
    let commands = added_by_command(&said);
    if missing.is_empty() {
        sealed.finish();
    } else {
        missing.push(state(&sealed));
    }
    (missing, commands)
}

#[test]
fn nothing_is_lost_between_an_editor_two_commands_and_the_daemon() {
    const SAVES: u32 = 200;
    let (lost, commands) = race(SAVES);
    assert_eq!(lost, Vec::<String>::new());
    assert!(commands >= RACED, "{commands}: there was no race");
}
