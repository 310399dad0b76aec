//! Tests `tasks.yml` on a real file system: ten thousand tasks, a full disk, and an editor that saves at the same time.

use orch_core::base::ids::TaskId;
use orch_core::tasks::task::{Spec, Status};
use orch_store::tasks_file::{At, Edit, NewEntry, TasksDoc};
use orch_sys::fs::{self, Durability, WriteError, exchange_write};
use std::fs::{File, read_to_string, remove_file, rename};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const MAX: usize = 64 * 1024 * 1024;

fn put(path: &Path, content: &str) {
    File::create(path).and_then(|mut file| file.write_all(content.as_bytes())).expect("writable");
}

fn nothing(_: TaskId) -> bool {
    false
}

#[test]
fn ten_thousand_tasks_are_read_changed_and_written() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (path, lock) = (dir.path().join("tasks.yml"), dir.path().join(".orch/tasks.yml.lock"));
    let mut text = String::from("# all my tasks\ntasks:\n");
    for id in 1..=10_000 {
        text.push_str(&format!(
            "  # number {id}\n  - id: {id}\n    title: Task {id}\n    body: |\n      First line of {id}.\n      Second: line.\n    \
             labels: [agent:claude, area/{}]\n    status: new\n    depends_on: [{}]\n    mine: {{kept: {id}}}\n",
            id % 7,
            if id > 1 { (id - 1).to_string() } else { String::new() },
        ));
    }
    exchange_write(&path, &lock, text.as_bytes(), None).expect("written");
    let doc = TasksDoc::parse(fs::read_text(&path, MAX).expect("readable"), &nothing).expect("valid");
    assert_eq!((doc.entries().len(), doc.problems().len()), (10_000, 0));
    let spec = Spec { title: "One more".into(), ..Spec::default() };
    let edits = [
        Edit::Set { at: At::Id(TaskId(5_000)), key: "status", value: "done".into() },
        Edit::Append(Box::new(NewEntry { id: TaskId(10_001), spec, status: None })),
    ];
    let (new, outline) = doc.into_outline().apply(&text, &edits).into_outline().expect("changed");
    exchange_write(&path, &lock, new.as_bytes(), Some(text.as_bytes())).expect("written");
    let found = fs::read_text(&path, MAX).expect("readable");
    assert!(outline.is_of(&found));
    assert_eq!(found, changed_by_hand(&text));
    let doc = TasksDoc::parse(found, &nothing).expect("valid");
    assert_eq!(doc.entry(TaskId(5_000)).expect("there").status, Some(Status::Done));
    assert_eq!(doc.entry(TaskId(10_001)).expect("there").spec.title, "One more");
}

/// What the edits above amount to, done with text alone.
fn changed_by_hand(text: &str) -> String {
    let task = text.find("  - id: 5000\n").expect("there");
    let status = task + text[task..].find("status: new").expect("there");
    format!("{}status: done{}  - id: 10001\n    title: One more\n", &text[..status], &text[status + 11..])
}

/// Set in the process that the test below starts of itself: there it writes, under a limit on the size of files.
const LIMITED: &str = "ORCH_TEST_LIMITED_FILE_SIZE";

#[test]
fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    if std::env::var_os(LIMITED).is_some() {
        return writes_with_a_limit_on_the_size_of_files();
    }
    let dir = tempfile::tempdir().expect("temporary directory");
    put(&dir.path().join("tasks.yml"), "old");
    // A limit on the size of files, and its signal ignored, make a write fail half way like a full disk does.
    let child = std::process::Command::new("sh")
        .args(["-c", "ulimit -f 8 && trap '' XFSZ && exec \"$@\"", "sh"])
        .arg(std::env::current_exe().expect("known"))
        .args(["--exact", "tasks_file::a_full_disk_leaves_the_old_file_and_nothing_else", "--test-threads=1"])
        .env(LIMITED, "1")
        .current_dir(dir.path())
        .output()
        .expect("sh runs");
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && text.contains("1 passed"), "{text}");
    assert_eq!(read_to_string(dir.path().join("tasks.yml")).expect("readable"), "old");
    assert_eq!(files_below(dir.path()), ["tasks.yml", "tasks.yml.lock"]);
}

fn files_below(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for path in std::fs::read_dir(dir).expect("readable").map(|entry| entry.expect("entry").path()) {
        if path.is_dir() {
            names.extend(files_below(&path));
        } else {
            names.push(path.file_name().expect("named").to_string_lossy().into_owned());
        }
    }
    names.sort();
    names
}

fn writes_with_a_limit_on_the_size_of_files() {
    let (path, lock) = (PathBuf::from("tasks.yml"), PathBuf::from(".orch/tasks.yml.lock"));
    let large = vec![b'x'; 256 * 1024];
    for old in [Some(b"old".as_slice()), None] {
        let target = if old.is_some() { path.clone() } else { PathBuf::from("new.yml") };
        let failed = exchange_write(&target, &lock, &large, old).expect_err("must not fit");
        assert!(matches!(failed, WriteError::Fs(_)), "{failed}");
        let text = failed.to_string();
        assert!(text.contains(&*target.to_string_lossy()) && text.contains("unchanged"), "{text}");
    }
    assert!(fs::write_private(Path::new("private"), &large, Durability::Synced).is_err());
    assert_eq!(read_to_string(&path).expect("readable"), "old");
}

/// The editor's number, the one orch has seen, and orch's own counter; `None` in the middle of a save.
fn numbers(text: &str) -> Option<[u64; 3]> {
    let mut lines = text.strip_suffix("end\n")?.lines();
    let mut next = |key: &str| lines.next()?.strip_prefix(key)?.parse().ok();
    Some([next("edit: ")?, next("seen: ")?, next("orch: ")?])
}

fn lines([edit, seen, orch]: [u64; 3]) -> String {
    format!("edit: {edit}\nseen: {seen}\norch: {orch}\nend\n")
}

/// Writes as orch does, as fast as it can: read, merge, write, and read again after a concurrent save.
fn orch_writes(path: &Path, lock: &Path, stop: &AtomicBool) -> (u64, u64) {
    let (mut written, mut refused) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let Some((text, [edit, _, orch])) = read_to_string(path).ok().and_then(|t| numbers(&t).map(|n| (t, n))) else {
            continue;
        };
        let mut new = [edit, edit, orch + 1];
        match exchange_write(path, lock, lines(new).as_bytes(), Some(text.as_bytes())) {
            Ok(done) => {
                written += 1;
                // An edit that came too late for the exchange is merged from where it was set aside.
                for rescued in done.rescued {
                    let late = numbers(&read_to_string(&rescued).expect("readable")).map_or(0, |[edit, ..]| edit);
                    let live = lines(new);
                    new = [new[0].max(late), new[0].max(late), new[2] + 1];
                    let merged = exchange_write(path, lock, lines(new).as_bytes(), Some(live.as_bytes()));
                    assert!(matches!(merged, Ok(_) | Err(WriteError::Changed { .. })));
                }
            }
            Err(WriteError::Changed { .. }) => refused += 1,
            Err(WriteError::Fs(error)) => panic!("{error}"),
        }
    }
    (written, refused)
}

/// Saves the editor's next version in one of the ways in which editors save.
fn editor_saves(path: &Path, edit: u64) {
    let seen = read_to_string(path).ok().and_then(|text| numbers(&text)).unwrap_or_default();
    let text = lines([edit, seen[1], seen[2]]);
    let beside = path.with_extension("yml.editor");
    match edit % 3 {
        0 => {
            put(&beside, &text);
            rename(&beside, path).expect("renamed");
        }
        1 => {
            let (first, rest) = text.split_at(text.len() / 2);
            let mut file = File::create(path).expect("opens");
            file.write_all(first.as_bytes()).expect("written");
            std::thread::yield_now();
            file.write_all(rest.as_bytes()).expect("written");
        }
        _ => {
            let _ = rename(path, &beside);
            put(path, &text);
            let _ = remove_file(&beside);
        }
    }
}

#[test]
fn no_save_of_an_editor_is_lost_while_orch_writes() {
    const SAVES: u64 = 500;
    const LOOKS: u32 = 2_000_000;
    let dir = tempfile::tempdir().expect("temporary directory");
    let (path, lock) = (dir.path().join("tasks.yml"), dir.path().join(".orch/tasks.yml.lock"));
    put(&path, &lines([0, 0, 0]));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let orch = scope.spawn(|| orch_writes(&path, &lock, &stop));
        let mut lost = None;
        for edit in 1..=SAVES {
            editor_saves(&path, edit);
            let seen =
                || read_to_string(&path).ok().and_then(|t| numbers(&t)).is_some_and(|[e, seen, _]| e.min(seen) >= edit);
            if !(0..LOOKS).any(|_| seen()) {
                lost = Some(edit);
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let (written, refused) = orch.join().expect("orch writes to the end");
        assert_eq!(lost, None, "an edit vanished after {written} writes and {refused} refusals");
        assert!(written >= SAVES && refused > 0, "{written} writes, {refused} refused: no race took place");
    });
    let last = numbers(&read_to_string(&path).expect("readable")).expect("whole");
    assert_eq!([last[0], last[1]], [SAVES, SAVES]);
}
