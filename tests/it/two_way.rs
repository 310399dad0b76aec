//! Tests `tasks.yml`, edited by a person and written by orch: both sides' changes arrive, and an apparent accident
//! cancels nothing.

use crate::kit::process::Ran;
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, SOON, wait_until};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

const THREE: &str = "# mine\ntasks:\n  - id: 1\n    title: One # first\n    status: new\n  - id: 2\n    title: Two\n    \
                     status: new\n  - id: 3\n    title: Three\n    status: new\n";

fn json(sealed: &SealedBox, args: &[&str]) -> Value {
    sealed.orch(args.iter().copied().chain(["--json"])).ok().json()
}

fn show(sealed: &SealedBox, id: u64) -> Value {
    json(sealed, &["task", "show", &id.to_string()])
}

fn status(sealed: &SealedBox, id: u64) -> String {
    show(sealed, id)["status"].as_str().unwrap_or_default().to_owned()
}

fn tasks_file(sealed: &SealedBox) -> PathBuf {
    sealed.orch_home().join("tasks.yml")
}

fn problems(sealed: &SealedBox) -> String {
    json(sealed, &["status"])["problems"].to_string()
}

/// A home with three tasks that nothing runs: everything is paused.
fn with_three() -> SealedBox {
    let sealed = SealedBox::new();
    sealed.quiet_repo();
    sealed.write_tasks(THREE);
    sealed.orch(["task", "list"]).ok();
    sealed
}

fn edit(sealed: &SealedBox, args: &[&str]) -> Ran {
    sealed.orch(["task", "edit"].into_iter().chain(args.iter().copied()))
}

#[test]
fn options_change_a_task_in_the_file_and_nothing_else_there() {
    for served in [false, true] {
        let mut sealed = with_three();
        if served {
            sealed.serve();
        }
        let args =
            ["1", "--title", "Uno", "--body", "a\nb", "--add-label", "x", "--priority", "-2", "--depends-on", "2,3"];
        edit(&sealed, &args).ok();
        let expected = THREE.replacen(
            "title: One # first\n    status: new\n",
            "title: Uno # first\n    priority: -2\n    labels: [x]\n    depends_on: [2, 3]\n    status: new\n",
            1,
        );
        wait_until("the file", SOON, || sealed.read_tasks().contains("body:"));
        let text = sealed.read_tasks();
        for line in ["# mine", "title: Uno # first", "priority: -2", "labels: [x]", "depends_on: [2, 3]"] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(text.ends_with(&expected[expected.find("  - id: 2").expect("there")..]), "{text}");
        let shown = show(&sealed, 1);
        assert_eq!(
            (&shown["title"], &shown["body"], &shown["priority"]),
            (&"Uno".into(), &"a\nb".into(), &(-2).into())
        );
        edit(&sealed, &["1", "--remove-label", "x", "--depends-on", "", "--json"]).ok();
        wait_until("the file", SOON, || sealed.read_tasks().contains("labels: []\n    depends_on: []"));
        edit(&sealed, &["3", "--depends-on", "1"]).ok();
        edit(&sealed, &["1", "--depends-on", "3"]).code_is(2);
        edit(&sealed, &["1", "--title", ""]).code_is(2);
        edit(&sealed, &["77", "--title", "x"]).code_is(3);
        sealed.finish();
    }
}

#[test]
fn an_editor_changes_what_it_was_shown_and_a_mistake_keeps_the_text() {
    let mut sealed = with_three();
    let editor =
        sealed.program("ed1", "#!/bin/sh\nsed -i 's/^title: .*/title: Neu/; s/^labels: .*/labels: [a]/' \"$1\"\n");
    sealed.set("EDITOR", format!("{} ", editor.display()));
    edit(&sealed, &["2"]).ok();
    assert!(sealed.read_tasks().contains("title: Neu\n    labels: [a]\n    status: new\n"), "{}", sealed.read_tasks());
    let drafts = || fs::read_dir(sealed.orch_home().join(".orch/edit")).map_or(0, Iterator::count);
    assert_eq!(drafts(), 0);

    let broken = sealed.program("ed2", "#!/bin/sh\nprintf 'title: x\\npriority: soon\\n' > \"$1\"\n");
    sealed.set("VISUAL", &broken);
    let ran = edit(&sealed, &["2"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(ran.stderr.contains("line 2, column 11") && ran.stderr.contains(".orch/edit/task-2-"), "{ran}");
    assert_eq!(fs::read_dir(sealed.orch_home().join(".orch/edit")).expect("there").count(), 1);
    assert_eq!(show(&sealed, 2)["title"], "Neu");
    sealed.finish();
}

#[test]
fn what_was_changed_while_the_editor_was_open_is_not_written_over() {
    let mut sealed = with_three();
    let file = tasks_file(&sealed);
    // The person saves tasks.yml while the editor with the task is open.
    let script = format!(
        "#!/bin/sh\nsed -i 's/title: Two/title: Mine/' '{}'\nsed -i 's/^title: .*/title: Other/' \"$1\"\n",
        file.display()
    );
    let editor = sealed.program("ed", &script);
    sealed.set("EDITOR", &editor);
    let ran = edit(&sealed, &["2"]);
    assert_eq!(ran.code, Some(7), "{ran}");
    assert!(
        ran.stderr.contains("\"Mine\"") && ran.stderr.contains("\"Other\"") && ran.stderr.contains("kept in"),
        "{ran}"
    );
    assert!(sealed.read_tasks().contains("title: Mine"));
    // Another field of the same task is no conflict.
    let script = format!(
        "#!/bin/sh\nsed -i 's/title: Mine/title: Mine 2/' '{}'\nsed -i 's/^priority: .*/priority: 4/' \"$1\"\n",
        file.display()
    );
    let editor = sealed.program("ed3", &script);
    sealed.set("EDITOR", &editor);
    edit(&sealed, &["2"]).ok();
    assert!(sealed.read_tasks().contains("title: Mine 2\n    priority: 4\n"), "{}", sealed.read_tasks());
    sealed.finish();
}

#[test]
fn an_old_copy_that_is_saved_over_a_command_loses_nothing() {
    let mut sealed = with_three();
    sealed.serve();
    let old = sealed.read_tasks();
    edit(&sealed, &["1", "--title", "Uno"]).ok();
    sealed.orch(["task", "add", "Four"]).ok();
    wait_until("both in the file", SOON, || {
        sealed.read_tasks().contains("Uno") && sealed.read_tasks().contains("Four")
    });
    sealed.write_tasks(&old.replace("Three", "Drei"));
    wait_until("all of it", RUN, || {
        let text = sealed.read_tasks();
        ["Uno", "Four", "Drei"].iter().all(|title| text.contains(title))
    });
    assert_ne!(status(&sealed, 4), "cancelled");
    let output = show(&sealed, 1)["conflicts"].to_string();
    assert!(output.contains("One") && output.contains("Uno"), "{output}");
    assert!(sealed.orch(["task", "show", "1"]).ok().stdout.contains("Conflicts"));
    // A save with that value confirms it; from then on the old value is an ordinary edit.
    sealed.write_tasks(&format!("{}  - title: Five\n", sealed.read_tasks()));
    wait_until("the look", SOON, || sealed.read_tasks().contains("id: 5"));
    sealed.write_tasks(&sealed.read_tasks().replace("title: Uno", "title: One"));
    wait_until("the person's word", SOON, || show(&sealed, 1)["title"] == "One");
    sealed.finish();
}

#[test]
fn an_entry_that_an_editor_saves_again_without_its_id_is_the_same_task() {
    let mut sealed = with_three();
    sealed.serve();
    let typed = format!("{}  - title: Typed\n", sealed.read_tasks());
    sealed.write_tasks(&typed);
    wait_until("its id", SOON, || sealed.read_tasks().contains("id: 4"));
    wait_until("the task", SOON, || json(&sealed, &["task", "list"]).as_array().map(Vec::len) == Some(4));
    sealed.write_tasks(&format!("{typed}    priority: 3\n"));
    wait_until("its id again", SOON, || show(&sealed, 4)["priority"] == 3);
    assert!(sealed.read_tasks().contains("id: 4"), "{}", sealed.read_tasks());
    assert_eq!(json(&sealed, &["task", "list"]).as_array().map(Vec::len), Some(4));
    sealed.finish();
}

#[test]
fn an_entry_whose_number_was_spoilt_is_the_same_task_and_gets_it_again() {
    for (line, spoilt) in [("- id: 2", "- ud: 2"), ("- id: 2", "- i$: 2"), ("- id: 2\n    title", "- title")] {
        let sealed = with_three();
        sealed.write_tasks(&sealed.read_tasks().replacen(line, spoilt, 1));
        wait_until(spoilt, SOON, || {
            let listed = json(&sealed, &["task", "list"]);
            let ids: Vec<u64> =
                listed.as_array().expect("tasks").iter().filter_map(|task| task["id"].as_u64()).collect();
            assert_eq!(ids, [1, 2, 3], "{}", sealed.read_tasks());
            sealed.read_tasks().contains("id: 2")
        });
        assert_eq!(show(&sealed, 2)["title"], "Two");
        assert_eq!(status(&sealed, 2), "new");
    }
    // A new one of that name beside one that was taken out is a new one.
    let sealed = with_three();
    let new = sealed.read_tasks().replacen("  - id: 2\n    title: Two\n    status: new\n", "  - title: Two\n", 1);
    sealed.write_tasks(&new);
    wait_until("a task of its own", SOON, || {
        let listed = json(&sealed, &["task", "list"]);
        listed.as_array().is_some_and(|tasks| tasks.iter().any(|task| task["id"] == 4 && task["title"] == "Two"))
    });
}

#[test]
fn an_empty_lost_or_cut_file_gives_nothing_up_and_a_person_decides() {
    let half = &THREE[..THREE.find("  - id: 2").expect("there")];
    for lost in [Some(""), None, Some("tasks: []\n"), Some(half), Some(&THREE[..THREE.len() / 2])] {
        let mut sealed = with_three();
        sealed.serve();
        match lost {
            Some(text) => sealed.write_tasks(text),
            None => fs::remove_file(tasks_file(&sealed)).expect("there"),
        }
        wait_until("the problem", SOON, || problems(&sealed).contains("tasks.yml"));
        sealed.orch(["task", "add", "Four"]).ok();
        for id in 1..=4 {
            assert_ne!(status(&sealed, id), "cancelled", "{lost:?} {id}");
        }
        assert_eq!(fs::read_to_string(tasks_file(&sealed)).ok().as_deref(), lost, "it is left as it is");
        if lost == Some(half) {
            let answer = json(&sealed, &["task", "missing"]);
            assert_eq!(answer.as_array().map(Vec::len), Some(2), "{answer}");
            json(&sealed, &["task", "missing", "--cancel", "--dry-run"]);
            assert_eq!(status(&sealed, 2), "new");
            json(&sealed, &["task", "missing", "--cancel"]);
            assert_eq!((status(&sealed, 1).as_str(), status(&sealed, 2).as_str()), ("new", "cancelled"));
        } else if lost.is_none() || lost == Some("") {
            json(&sealed, &["task", "missing", "--restore"]);
            wait_until("the file", SOON, || {
                let text = fs::read_to_string(tasks_file(&sealed)).unwrap_or_default();
                ["One", "Two", "Three", "Four"].iter().all(|title| text.contains(title))
            });
        } else {
            sealed.write_tasks(THREE);
            wait_until("the file in force", SOON, || sealed.read_tasks().contains("Four"));
            assert!(sealed.read_tasks().starts_with(THREE));
        }
        wait_until("no problem", SOON, || problems(&sealed) == "[]");
        sealed.finish();
    }
}

#[test]
fn a_file_that_is_held_for_what_it_lacks_is_no_edit_because_a_task_is_taken_up_again() {
    let mut sealed = with_three();
    sealed.serve();
    sealed.orch(["task", "add", "Four"]).ok();
    sealed.orch(["task", "cancel", "4"]).ok();
    wait_until("its line", SOON, || sealed.read_tasks().contains("status: cancelled"));
    let whole = sealed.read_tasks();
    let (two, three) = (whole.find("  - id: 2").expect("there"), whole.find("  - id: 3").expect("there"));
    let four = whole.find("  - id: 4").expect("there");
    sealed.write_tasks(&format!("{}{}", &whole[..two], &whole[three..four]));
    wait_until("the problem", SOON, || problems(&sealed).contains("lacks 2 of 4"));
    // Of the two missing tasks, orch adds one again: that decides nothing about the other.
    sealed.orch(["task", "retry", "4"]).ok();
    sealed.orch(["task", "add", "Five"]).ok();
    let held = problems(&sealed);
    assert!(held.contains("tasks.yml lacks"), "{held}");
    assert_eq!(status(&sealed, 2), "new");
    // The next daemon knows what it lacked.
    sealed.kill_daemon();
    sealed.serve();
    wait_until("it is held again", SOON, || problems(&sealed).contains("tasks.yml lacks"));
    assert_eq!(status(&sealed, 2), "new");
    sealed.write_tasks(&whole);
    wait_until("no problem", SOON, || problems(&sealed) == "[]");
    assert_eq!(status(&sealed, 2), "new");
    sealed.finish();
}

#[test]
fn an_edit_that_comes_too_late_for_the_file_is_kept_and_reported_until_it_is_removed() {
    let sealed = with_three();
    // Another editor still has the file open when orch writes, and one has saved before it continues.
    let mut late = fs::OpenOptions::new().append(true).open(tasks_file(&sealed)).expect("there");
    sealed.orch(["task", "add", "Four"]).ok();
    let text = sealed.read_tasks();
    sealed.write_tasks(&format!("# somebody else\n{text}"));
    late.write_all(b"# my late thought\n").expect("room");
    sealed.orch(["task", "add", "Five"]).ok();
    assert!(sealed.read_tasks().starts_with("# somebody else\n"));
    let output = sealed.orch(["status"]).ok().stderr;
    let path = output.split_whitespace().find(|word| word.contains("tasks.yml.rescued-")).expect(&output);
    assert!(output.contains("saved too late to be taken over"), "{output}");
    assert!(fs::read_to_string(path).expect(path).ends_with("# my late thought\n"));
    assert!(sealed.orch(["events"]).ok().stdout.contains("tasks.yml.rescued-"), "the history has it");
    fs::remove_file(path).expect("it is there");
    assert!(!sealed.orch(["status"]).ok().stderr.contains("rescued"));
    sealed.finish();
}

#[test]
fn what_is_decided_while_a_file_may_still_be_saved_is_about_all_that_it_lacks() {
    let mut sealed = with_three();
    sealed.serve();
    fs::remove_file(tasks_file(&sealed)).expect("there");
    let restored = json(&sealed, &["task", "missing", "--restore"]);
    assert_eq!(restored.as_array().map(Vec::len), Some(3), "{restored}");
    wait_until("the file", SOON, || {
        let text = fs::read_to_string(tasks_file(&sealed)).unwrap_or_default();
        ["One", "Two", "Three"].iter().all(|title| text.contains(title))
    });
    wait_until("no problem", SOON, || problems(&sealed) == "[]");
    sealed.finish();
}

#[test]
fn without_a_daemon_an_emptied_file_gives_nothing_up_either() {
    let sealed = with_three();
    sealed.write_tasks("");
    let ran = sealed.orch(["task", "add", "Four"]).ok();
    assert!(ran.stderr.contains("orch task missing --restore"), "{ran}");
    assert_eq!(sealed.read_tasks(), "");
    sealed.orch(["task", "missing", "--restore"]).ok();
    let text = sealed.read_tasks();
    for title in ["One", "Two", "Three", "Four"] {
        assert!(text.contains(title), "{text}");
    }
    sealed.finish();
}

#[test]
fn an_entry_taken_out_cancels_and_one_that_comes_back_is_taken_up_again() {
    let mut sealed = with_three();
    sealed.serve();
    let all = sealed.read_tasks();
    let two = &all[..all.find("  - id: 3").expect("there")];
    sealed.write_tasks(two);
    wait_until("the cancel", SOON, || status(&sealed, 3) == "cancelled");
    sealed.write_tasks(&all);
    wait_until("its return", SOON, || status(&sealed, 3) == "new");
    sealed.write_tasks(two);
    wait_until("the cancel", SOON, || status(&sealed, 3) == "cancelled");
    sealed.orch(["task", "retry", "3"]).ok();
    wait_until("its line", SOON, || sealed.read_tasks().contains("title: Three"));
    sealed.finish();
}

#[test]
fn a_finished_task_may_leave_the_file_and_is_not_done_again_when_an_old_file_comes_back() {
    let mut sealed = SealedBox::new();
    sealed.write_tasks(
        "tasks:\n  - id: 1\n    title: Old\n    status: done\n  - id: 2\n    title: Other\n    status: new\n",
    );
    sealed.serve();
    wait_until("the tasks", SOON, || status(&sealed, 1) == "done");
    sealed.write_tasks("tasks:\n  - id: 2\n    title: Other\n    status: new\n");
    let text = |kind: &str| sealed.orch(["events", "--task", "1"]).stdout.contains(kind);
    wait_until("the removal", SOON, || text("task_removed"));
    sealed.write_tasks(
        "tasks:\n  - id: 1\n    title: Old\n    status: new\n  - id: 2\n    title: Other\n    status: new\n",
    );
    wait_until("its return", SOON, || text("task_returned"));
    wait_until("its status in the file", SOON, || sealed.read_tasks().contains("title: Old\n    status: done"));
    assert_eq!(status(&sealed, 1), "done");
    sealed.finish();
}

#[test]
fn a_running_task_that_is_taken_out_is_stopped_and_its_work_is_kept() {
    let mut sealed = SealedBox::new();
    let repo = sealed.repo("shop");
    let script =
        "#!/bin/sh\ncat > /dev/null\necho x > x.txt\ngit add x.txt\ngit commit -qm Work\necho ready\nexec sleep 1000\n";
    sealed.program("bot", script);
    sealed.config("agents: {bot: {kind: command, command: bot}}\n");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.serve();
    sealed.orch_in(repo.dir(), ["task", "add", "Stay", "-l", "agent:bot"]).ok();
    sealed.orch_in(repo.dir(), ["task", "add", "Later", "-l", "agent:bot", "--depends-on", "1"]).ok();
    let branch = || show(&sealed, 1)["branch"].as_str().unwrap_or_default().to_owned();
    wait_until("the commit", RUN, || {
        !branch().is_empty() && repo.subjects(&branch()).first().is_some_and(|s| s == "Work")
    });
    wait_until("its status in the file", SOON, || sealed.read_tasks().contains("status: in_progress"));
    let text = sealed.read_tasks();
    // Seen by a save first: a task that no save contained may be missing in an old copy.
    sealed.write_tasks(&format!("# seen\n{text}"));
    wait_until("a look", SOON, || sealed.read_tasks().starts_with("# seen"));
    let text = sealed.read_tasks();
    edit(&sealed, &["1", "--title", "Other"]).ok();
    wait_until("the title", SOON, || sealed.read_tasks().contains("Other"));
    let (start, end) = (text.find("  - id: 1").expect("there"), text.find("  - id: 2").expect("there"));
    sealed.write_tasks(&format!("{}{}", &text[..start], &text[end..]));
    wait_until("the end of its run", RUN, || status(&sealed, 1) == "cancelled");
    assert_eq!(repo.subjects(&branch()).first().map(String::as_str), Some("Work"));
    assert!(!sealed.read_tasks().contains("id: 1\n"));
    sealed.finish();
}

#[test]
fn a_link_stays_a_link_and_its_target_is_written_and_watched() {
    let mut sealed = SealedBox::new();
    sealed.quiet_repo();
    let dotfiles = sealed.base().join("dotfiles");
    fs::create_dir_all(&dotfiles).expect("made");
    fs::create_dir_all(sealed.orch_home()).expect("made");
    let target = dotfiles.join("my-tasks.yml");
    fs::File::create(&target).expect("made");
    std::os::unix::fs::symlink(&target, tasks_file(&sealed)).expect("made");
    sealed.serve();
    sealed.orch(["task", "add", "One"]).ok();
    let text = || fs::read_to_string(&target).unwrap_or_default();
    wait_until("the task", SOON, || text().contains("title: One"));
    // An editor replaces the target, not the link.
    let beside = dotfiles.join("new");
    crate::kit::write_file(&beside, &format!("{}  - title: Two\n", text()));
    fs::rename(&beside, &target).expect("renamed");
    wait_until("the id", SOON, || text().contains("id: 2"));
    wait_until("the task", SOON, || json(&sealed, &["task", "list"]).as_array().map(Vec::len) == Some(2));
    assert!(tasks_file(&sealed).is_symlink());
    fs::remove_file(&target).expect("there");
    wait_until("the problem", SOON, || problems(&sealed).contains("is a link to"));
    for id in [1, 2] {
        assert_ne!(status(&sealed, id), "cancelled");
    }
    sealed.finish();
}

#[test]
fn a_directory_in_its_place_is_reported_and_nothing_is_lost() {
    let mut sealed = with_three();
    sealed.serve();
    let (file, away) = (tasks_file(&sealed), sealed.base().join("away"));
    fs::rename(&file, &away).expect("renamed");
    fs::create_dir(&file).expect("made");
    wait_until("the problem", SOON, || problems(&sealed).contains("not a regular file"));
    sealed.orch(["task", "add", "Four"]).ok();
    fs::remove_dir(&file).expect("empty");
    fs::rename(&away, &file).expect("renamed");
    wait_until("the task in the file", SOON, || sealed.read_tasks().contains("Four"));
    assert!(sealed.read_tasks().starts_with(THREE));
    sealed.finish();
}

#[test]
fn a_slow_save_into_a_file_that_orch_replaced_arrives() {
    use std::io::Write as _;
    let mut sealed = with_three();
    sealed.serve();
    let text = sealed.read_tasks();
    let (first, rest) = text.split_at(text.find("  - id: 3").expect("there"));
    // Truncates, writes the first part, and while the editor waits orch has something to write.
    let mut editor = fs::File::create(tasks_file(&sealed)).expect("opens");
    editor.write_all(format!("{first}  - title: Typed slowly\n").as_bytes()).expect("written");
    wait_until("the id", SOON, || sealed.read_tasks().contains("id: 4"));
    editor.write_all(format!("    body: All of it\n{rest}").as_bytes()).expect("written");
    drop(editor);
    wait_until("all of it", RUN, || {
        let text = sealed.read_tasks();
        let ids = text.lines().filter(|line| line.contains(" id: ")).count();
        text.contains("All of it") && text.contains("title: Three") && ids == 4
    });
    wait_until("the task", SOON, || json(&sealed, &["task", "list"]).to_string().contains("Typed slowly"));
    assert_eq!(status(&sealed, 3), "new");
    let list = json(&sealed, &["task", "list"]);
    assert_eq!(list.as_array().map(Vec::len), Some(4), "{list}");
    sealed.finish();
}

#[test]
fn what_a_write_that_was_cut_off_left_beside_the_file_goes_with_the_next_start() {
    let mut sealed = with_three();
    sealed.serve();
    sealed.orch(["task", "add", "Four"]).ok();
    wait_until("a write", SOON, || sealed.read_tasks().contains("Four"));
    sealed.stop_daemon().ok();
    let (home, keep) = (sealed.orch_home(), sealed.orch_home().join(".orch/swap"));
    let swaps = |dir: &PathBuf| -> Vec<PathBuf> {
        let found = fs::read_dir(dir).expect("readable").flatten().map(|entry| entry.path());
        found.filter(|path| path.to_string_lossy().contains(".orch-")).filter(|path| path.is_file()).collect()
    };
    // As after the exchange, before the displaced file was moved away.
    let displaced = swaps(&keep).pop().expect("a displaced file");
    let (name, text) = (displaced.file_name().expect("named"), fs::read_to_string(&displaced).expect("readable"));
    fs::rename(&displaced, home.join(name)).expect("moved");
    // As before the exchange: the inode in the name is its own. And one that is not whole yet.
    let staged = home.join("staged");
    fs::write(&staged, "tasks: []\n").expect("written");
    let inode = std::os::unix::fs::MetadataExt::ino(&staged.metadata().expect("there"));
    fs::rename(&staged, home.join(format!(".tasks.yml.{inode:x}-{0:016x}-{0:016x}.orch-swap", 7))).expect("moved");
    fs::write(home.join(".tasks.yml.1-2.orch-tmp"), "half a te").expect("written");
    let before = sealed.read_tasks();
    sealed.serve();
    wait_until("a clean home", SOON, || swaps(&home).is_empty());
    assert_eq!(fs::read_to_string(keep.join(name)).expect("kept, somebody may have it open"), text);
    assert_eq!(sealed.read_tasks(), before);
    sealed.finish();
}
