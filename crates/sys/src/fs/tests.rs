//! Private files, locks, and the write that loses nobody's edit.

use super::*;
use std::fs;

/// A directory with a file in it, and the lock that its writers take.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("temporary directory") }
    }

    fn with(content: &str) -> Self {
        let home = Self::new();
        put(&home.file(), content);
        home
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("tasks.yml")
    }

    fn lock(&self) -> PathBuf {
        self.dir.path().join(".orch/tasks.yml.lock")
    }

    fn write(&self, new: &str, old: Option<&str>) -> Result<Written, WriteError> {
        exchange_write(&self.file(), &self.lock(), new.as_bytes(), old.map(str::as_bytes))
    }

    /// Names of the files beside `tasks.yml`.
    fn clutter(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).expect("readable").map(|e| e.expect("entry").file_name());
        names.map(|n| n.into_string().expect("text")).filter(|n| n != "tasks.yml" && n != ".orch").collect()
    }

    fn kept(&self) -> Vec<PathBuf> {
        let kept = fs::read_dir(self.dir.path().join(".orch/swap")).expect("readable");
        kept.map(|entry| entry.expect("entry").path()).collect()
    }
}

fn put(path: &Path, content: &str) {
    File::create(path).and_then(|mut file| file.write_all(content.as_bytes())).expect("writable");
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("exists").permissions().mode() & 0o7777
}

#[test]
fn a_write_replaces_the_expected_content_and_leaves_nothing_beside_it() {
    let home = Home::with("old");
    home.write("new", Some("old")).expect("written");
    home.write("newer", Some("new")).expect("written");
    assert_eq!(fs::read_to_string(home.file()).expect("readable"), "newer");
    assert_eq!(home.clutter(), Vec::<String>::new());
    assert_eq!(home.kept().len(), 1, "only the last displaced file is kept");
}

#[test]
fn a_file_that_changed_is_handed_back_and_not_touched() {
    let home = Home::with("edited");
    let refused = home.write("new", Some("old")).expect_err("changed");
    assert!(matches!(refused, WriteError::Changed { current: Some(text) } if text == b"edited"));
    let refused = home.write("new", None).expect_err("there is a file");
    assert!(matches!(refused, WriteError::Changed { current: Some(_) }));
    assert_eq!(fs::read_to_string(home.file()).expect("readable"), "edited");
    fs::remove_file(home.file()).expect("removable");
    let refused = home.write("new", Some("old")).expect_err("gone");
    assert!(matches!(refused, WriteError::Changed { current: None }));
    assert_eq!(home.clutter(), Vec::<String>::new());
}

#[test]
fn a_missing_file_is_made() {
    let home = Home::new();
    home.write("first", None).expect("written");
    assert_eq!(fs::read_to_string(home.file()).expect("readable"), "first");
    assert_eq!(home.clutter(), Vec::<String>::new());
}

#[test]
fn what_is_appended_stands_after_what_was_expected_or_nowhere() {
    let home = Home::with("old\n");
    let append = |added: &str, old: &str| {
        exchange_append(&home.file(), &home.lock(), added.as_bytes(), Digest::from_bytes(old.as_bytes()))
    };
    let (written, digest) = append("more\n", "old\n").expect("written");
    assert_eq!((written.rescued.is_empty(), digest), (true, Digest::from_bytes(b"old\nmore\n")));
    assert_eq!(fs::read_to_string(home.file()).expect("readable"), "old\nmore\n");
    let refused = append("again\n", "old\n").expect_err("changed");
    assert!(matches!(refused, WriteError::Changed { current: Some(text) } if text == b"old\nmore\n"));
    assert_eq!(fs::read_to_string(home.file()).expect("readable"), "old\nmore\n");
    let mut editor = OpenOptions::new().append(true).open(home.file()).expect("opens");
    append("last\n", "old\nmore\n").expect("written");
    editor.write_all(b"late edit").expect("written");
    let refused = append("x", "old\nmore\nlast\n").expect_err("somebody has saved");
    assert!(matches!(refused, WriteError::Changed { current: Some(text) } if text == b"old\nmore\nlate edit"));
    fs::remove_file(home.file()).expect("removable");
    assert!(matches!(append("x", "y").expect_err("gone"), WriteError::Changed { current: None }));
    assert_eq!(home.clutter(), Vec::<String>::new());
}

#[test]
fn a_digest_is_the_same_in_whatever_pieces_the_content_comes() {
    let text: Vec<u8> = (0..1000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let whole = Digest::from_bytes(&text);
    for chunk_length in [1, 3, 31, 32, 33, 64, 999] {
        let mut digester = digest::Digester::new();
        text.chunks(chunk_length).for_each(|chunk| digester.update(chunk));
        assert_eq!(digester.finish(), whole, "{chunk_length}");
    }
    for at in 0..text.len() {
        let mut other = text.clone();
        other[at] ^= 1;
        assert_ne!(Digest::from_bytes(&other), whole, "{at}");
    }
    assert_ne!(Digest::from_bytes(b"a"), Digest::from_bytes(b"a\0"));
}

#[test]
fn mode_and_symbolic_link_survive() {
    let home = Home::new();
    let dotfiles = home.dir.path().join("dot files");
    fs::create_dir(&dotfiles).expect("made");
    let real = dotfiles.join("my tasks.yml");
    put(&real, "old");
    fs::set_permissions(&real, Permissions::from_mode(0o640)).expect("permitted");
    std::os::unix::fs::symlink("dot files/my tasks.yml", home.file()).expect("linked");
    home.write("new", Some("old")).expect("written");
    assert!(home.file().symlink_metadata().expect("exists").is_symlink());
    assert_eq!(fs::read_to_string(&real).expect("readable"), "new");
    assert_eq!(mode(&real), 0o640);
    assert_eq!(fs::read_dir(&dotfiles).expect("readable").count(), 1);
}

#[test]
fn a_link_to_a_file_that_is_not_there_yet_makes_that_file() {
    let home = Home::new();
    std::os::unix::fs::symlink("real.yml", home.file()).expect("linked");
    home.write("new", None).expect("written");
    assert_eq!(fs::read_to_string(home.dir.path().join("real.yml")).expect("readable"), "new");
    let looped = home.dir.path().join("loop");
    std::os::unix::fs::symlink("loop", &looped).expect("linked");
    assert!(exchange_write(&looped, &home.lock(), b"x", None).is_err());
}

#[test]
fn a_write_tells_the_fingerprint_of_its_own_file_and_a_save_has_another() {
    let home = Home::new();
    for (new, old) in [("first", None), ("second", Some("first"))] {
        let written = home.write(new, old).expect("written");
        assert_eq!(Fingerprint::read(&home.file()), Some(written.fingerprint));
        put(&home.file(), "saved by somebody");
        assert_ne!(Fingerprint::read(&home.file()), Some(written.fingerprint));
        put(&home.file(), new);
    }
}

#[test]
fn an_edit_saved_into_the_displaced_file_is_rescued_by_the_next_write() {
    let home = Home::with("old");
    let mut editor = OpenOptions::new().write(true).open(home.file()).expect("opens");
    home.write("new", Some("old")).expect("written");
    editor.write_all(b"late edit").expect("written");
    let written = home.write("newer", Some("new")).expect("written");
    let [rescued] = written.rescued.as_slice() else { panic!("one rescued file: {written:?}") };
    let state = home.dir.path().join(".orch");
    assert_eq!(set_aside(&[home.file()], &state), std::slice::from_ref(rescued));
    // Of a link to another file system, beside where it leads.
    let (elsewhere, link) = (Home::with("far away"), home.dir.path().join("link.yml"));
    std::os::unix::fs::symlink(elsewhere.file(), &link).expect("made");
    let far = elsewhere.dir.path().canonicalize().expect("there").join("tasks.yml.rescued-00000000000000ab");
    put(&far, "late");
    put(&far.with_file_name("tasks.yml.rescued-notes"), "somebody's own");
    assert_eq!(set_aside(&[link], &home.dir.path().join("nowhere")), [far]);
    assert_eq!(fs::read_to_string(rescued).expect("readable"), "late edit");
    assert_eq!(fs::read_to_string(home.file()).expect("readable"), "newer");
    assert!(home.write("newest", Some("newer")).expect("written").rescued.is_empty());
}

#[test]
fn an_edit_saved_into_the_displaced_file_takes_its_place_again_where_it_is_merged() {
    let home = Home::with("old");
    let late = || reclaim_late(&home.file(), &home.lock()).expect("looks");
    let mut editor = OpenOptions::new().write(true).open(home.file()).expect("opens");
    home.write("new", Some("old")).expect("written");
    assert!(!late(), "nothing was saved");
    editor.write_all(b"late").expect("written");
    assert!(late());
    editor.write_all(b" edit").expect("written");
    assert_eq!(fs::read_to_string(home.file()).expect("readable"), "late edit", "the editor writes into the live file");
    assert!(!late());
    let merged = exchange_merged(&home.file(), &home.lock(), b"merged", Some(b"late edit")).expect("written");
    assert!(merged.rescued.is_empty());
    // Somebody else has saved since: both are kept.
    editor.write_all(b"!").expect("written");
    put(&home.file(), "other");
    assert!(!late());
    let written = home.write("newest", Some("other")).expect("written");
    assert_eq!(fs::read_to_string(&written.rescued[0]).expect("readable"), "late edit!");
}

#[test]
fn what_a_killed_writer_left_behind_is_swept_or_rescued() {
    let home = Home::with("old");
    let swap = exchange::Swap::stage(&home.file(), b"never published", Digest::from_bytes(b"old")).expect("staged");
    std::mem::forget(swap);
    put(&home.dir.path().join(".tasks.yml.1-2.orch-tmp"), "half a te");
    assert_eq!(home.clutter().len(), 2);
    assert!(home.write("new", Some("old")).expect("written").rescued.is_empty());
    assert_eq!(home.clutter(), Vec::<String>::new());

    // Killed after the exchange displaced an edit, before it was put back.
    let swap = exchange::Swap::stage(&home.file(), b"ours", Digest::from_bytes(b"new")).expect("staged");
    let path = swap.path.clone();
    std::mem::forget(swap);
    put(&home.dir.path().join("edit"), "the person's edit");
    fs::rename(home.dir.path().join("edit"), path).expect("renamed");
    let written = home.write("newer", Some("new")).expect("written");
    assert_eq!(fs::read_to_string(&written.rescued[0]).expect("readable"), "the person's edit");
    assert_eq!(home.clutter(), Vec::<String>::new());
}

#[test]
fn putting_back_prefers_the_newest_save() {
    let home = Home::with("old");
    let keep = home.dir.path().join(".orch/swap");
    create_dir_private(&keep).expect("made");
    let swap = exchange::Swap::stage(&home.file(), b"ours", Digest::from_bytes(b"old")).expect("staged");
    // The editor saved E1 before our exchange, and E2 over our content after it.
    put(&home.dir.path().join("e1"), "E1");
    fs::rename(home.dir.path().join("e1"), home.file()).expect("renamed");
    exchange::swap_names(&swap.path, &home.file()).expect("exchanged");
    put(&home.dir.path().join("e2"), "E2");
    fs::rename(home.dir.path().join("e2"), home.file()).expect("renamed");
    swap.put_back(&home.file(), &keep, Digest::from_bytes(b"ours")).expect("put back");
    assert_eq!(fs::read_to_string(home.file()).expect("readable"), "E2");

    // The same with an editor that writes in place, and one that removes the file first.
    let swap = exchange::Swap::stage(&home.file(), b"ours", Digest::from_bytes(b"E2")).expect("staged");
    exchange::swap_names(&swap.path, &home.file()).expect("exchanged");
    put(&home.file(), "E3");
    swap.put_back(&home.file(), &keep, Digest::from_bytes(b"ours")).expect("put back");
    assert_eq!(fs::read_to_string(home.file()).expect("readable"), "E3");
    let swap = exchange::Swap::stage(&home.file(), b"ours", Digest::from_bytes(b"E3")).expect("staged");
    exchange::swap_names(&swap.path, &home.file()).expect("exchanged");
    fs::remove_file(home.file()).expect("removable");
    swap.put_back(&home.file(), &keep, Digest::from_bytes(b"ours")).expect("put back");
    assert_eq!(fs::read_to_string(home.file()).expect("readable"), "E3");
}

#[test]
fn a_directory_that_took_the_files_place_right_before_a_write_goes_back_there_and_the_next_write_is_served() {
    let home = Home::with("old");
    let keep = home.dir.path().join(".orch/swap");
    create_dir_private(&keep).expect("made");
    let swap = exchange::Swap::stage(&home.file(), b"ours", Digest::from_bytes(b"old")).expect("staged");
    fs::remove_file(home.file()).expect("removable");
    fs::create_dir(home.file()).expect("made");
    exchange::swap_names(&swap.path, &home.file()).expect("exchanged");
    swap.put_back(&home.file(), &keep, Digest::from_bytes(b"ours")).expect("put back");
    drop(swap);
    assert!(home.file().is_dir());
    assert_eq!(home.clutter(), Vec::<String>::new());
    fs::remove_dir(home.file()).expect("it is empty");
    put(&home.file(), "mended");
    assert!(home.write("new", Some("mended")).expect("written").rescued.is_empty());
    assert_eq!(home.clutter(), Vec::<String>::new());
}

#[test]
fn a_file_system_without_exchange_is_served_by_a_plain_rename() {
    let home = Home::with("old");
    let keep = home.dir.path().join(".orch/swap");
    create_dir_private(&keep).expect("made");
    let swap = exchange::Swap::stage(&home.file(), b"new", Digest::from_bytes(b"old")).expect("staged");
    exchange::replace_without_exchange(&swap, &home.file(), &keep, Digest::from_bytes(b"old")).expect("replaced");
    assert_eq!(fs::read_to_string(home.file()).expect("readable"), "new");
    let swap = exchange::Swap::stage(&home.file(), b"newer", Digest::from_bytes(b"other")).expect("staged");
    let refused = exchange::replace_without_exchange(&swap, &home.file(), &keep, Digest::from_bytes(b"other"))
        .expect_err("changed");
    assert!(matches!(refused, WriteError::Changed { current: Some(text) } if text == b"new"));
    drop(swap);
    assert_eq!(home.clutter(), Vec::<String>::new());
}

#[test]
fn private_files_and_directories_are_for_their_owner_alone() {
    let home = Home::new();
    let dir = home.dir.path().join("a/b");
    create_dir_private(&dir).expect("made");
    assert_eq!((mode(&dir), mode(dir.parent().expect("has one"))), (0o700, 0o700));
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("permitted");
    create_dir_private(&dir).expect("exists");
    assert_eq!(mode(&dir), 0o700);
    for durability in [Durability::Synced, Durability::Cached] {
        write_private(&dir.join("f"), b"one", durability).expect("written");
        assert_eq!((mode(&dir.join("f")), fs::read(dir.join("f")).expect("readable")), (0o600, b"one".to_vec()));
    }
    append_private(&dir.join("log"), b"a\n").expect("written");
    append_private(&dir.join("log"), b"b\n").expect("written");
    assert_eq!((mode(&dir.join("log")), fs::read(dir.join("log")).expect("readable")), (0o600, b"a\nb\n".to_vec()));
    assert_eq!(fs::read_dir(&dir).expect("readable").count(), 2);
}

#[test]
fn reading_is_bounded_and_never_waits() {
    let home = Home::with("12345");
    assert_eq!(read_limited(&home.file(), 5).expect("fits"), b"12345");
    assert!(matches!(read_limited(&home.file(), 4), Err(FsError::TooLarge { max: 4, .. })));
    assert!(matches!(read_limited(home.dir.path(), 4), Err(FsError::NotAFile { .. })));
    let pipe = home.dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
    assert!(matches!(read_limited(&pipe, 4), Err(FsError::NotAFile { .. })));
    assert!(read_limited(&home.dir.path().join("none"), 4).expect_err("missing").is_not_found());
    File::create(home.file()).and_then(|mut f| f.write_all(b"a\nb\n\xff\n")).expect("writable");
    assert!(matches!(read_text(&home.file(), 99), Err(FsError::NotText { line: 3, .. })));
}

#[test]
fn a_lock_is_held_by_one_and_freed_by_dropping_it() {
    let home = Home::new();
    let path = home.dir.path().join("lock");
    let held = lock_exclusive(&path).expect("works").expect("free");
    assert!(lock_exclusive(&path).expect("works").is_none());
    drop(held);
    assert!(lock_exclusive(&path).expect("works").is_some());
}

#[test]
fn errors_name_the_path_and_the_cause() {
    let home = Home::new();
    let missing = home.dir.path().join("no/such/dir/tasks.yml");
    let message = exchange_write(&missing, &home.lock(), b"x", None).expect_err("no directory").to_string();
    assert!(message.contains("no/such/dir") && message.contains("No such file"), "{message}");
    let message = write_private(&missing, b"x", Durability::Cached).expect_err("no directory").to_string();
    assert!(message.contains("cannot write") && message.contains("tasks.yml"), "{message}");
}
