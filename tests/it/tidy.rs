//! The rules of the sources: who may import whom, what only which adapter may do, how large a
//! piece of code may be. A rule has no list of exceptions unless the list gives the reason.

mod imports;
mod rooms;
mod source;

use imports::{Named, module_of, paths};
use source::{Kind, Source, below};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

/// What a room may import.
enum May {
    /// All of a room.
    Room(&'static str),
    /// One module of a room.
    Module(&'static str, &'static str),
    /// What the room's `mod.rs` hands out, and none of its modules.
    Surface(&'static str),
    /// Everything.
    All,
}
use May::{All, Module, Room, Surface};

/// Who may import whom: crates by the name of their folder, then the rooms of the program's own package. A room always
/// sees itself. What is not listed here is forbidden.
const TABLE: &[(&str, &[May])] = &[
    ("core", &[]),
    ("sys", &[Room("core")]),
    // The document tasks.yml is read by the same YAML adapter as the configuration.
    ("store", &[Room("core"), Module("config", "yaml"), Module("sys", "fs"), Module("sys", "crash")]),
    ("config", &[Room("core"), Module("sys", "fs")]),
    ("runner", &[Room("core"), Room("sys")]),
    ("stream", &[Room("core"), Room("sys")]),
    ("engine", &[Room("core"), Room("config"), Room("sys"), Room("store"), Room("stream"), Surface("runner")]),
    ("api", &[Room("core")]),
    (
        "server",
        &[Room("api"), Room("core"), Room("config"), Module("engine", "handle"), Surface("engine"), Room("stream")],
    ),
    (
        "chat",
        &[
            Room("api"),
            Room("config"),
            Room("core"),
            Module("sys", "clock"),
            Module("sys", "crash"),
            Module("sys", "outgoing"),
            // The desktop is reached by a program.
            Module("sys", "process"),
            Module("engine", "handle"),
            Module("stream", "hub"),
        ],
    ),
    // The engine: what it was started for and the names it shares. Stream: where no daemon runs, a watcher reads a run's
    // files itself. Chat: the terminal is a sink.
    (
        "cli",
        &[
            Room("api"),
            Room("config"),
            Room("core"),
            Room("sys"),
            Room("daemon"),
            Room("telemetry"),
            Surface("engine"),
            Surface("stream"),
            Surface("chat"),
        ],
    ),
    ("telemetry", &[Room("core"), Room("config"), Room("sys")]),
    ("daemon", &[All]),
    ("lib", &[All]),
    // The runner and the bridge are dispatched before any runtime or log is there; what is inherited of signals is reset
    // before all of them.
    ("main", &[Room("cli"), Room("runner"), Module("sys", "process")]),
];

/// What pure code does not touch: files, programs, the network, the environment, and whatever needs a runtime.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::thread",
    "std::os",
    "tokio",
    "tokio_util",
    "rusqlite",
    "axum",
    "hyper",
    "hyper_util",
    "notify",
    "rustix",
    "tracing_subscriber",
];

const CODE_LINES: usize = 500;
const FILE_LINES: usize = 650;
const FUNCTION_LINES: usize = 100;

static SRC: LazyLock<Vec<Source>> =
    LazyLock::new(|| ["src", "crates"].into_iter().flat_map(|folder| below(root(), folder)).collect());
static TESTS: LazyLock<Vec<Source>> = LazyLock::new(|| below(root(), "tests"));
static BENCHES: LazyLock<Vec<Source>> = LazyLock::new(|| below(root(), "benches"));

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn everything() -> impl Iterator<Item = &'static Source> {
    SRC.iter().chain(TESTS.iter()).chain(BENCHES.iter())
}

/// Fails with one line for each breach.
fn must_hold(rule: &str, breaches: impl IntoIterator<Item = String>) {
    let breaches: Vec<String> = breaches.into_iter().collect();
    assert!(breaches.is_empty(), "{rule}\n  {}\n", breaches.join("\n  "));
}

/// The room that a file belongs to: its crate, or, in the program's own package, the first folder below `src/`;
/// `src/lib.rs` and `src/main.rs` are rooms of their own.
fn room_of(source: &Source) -> String {
    let file = || source.path.trim_start_matches("src/").trim_end_matches(".rs").to_owned();
    module_of(&source.path).into_iter().next().unwrap_or_else(file)
}

/// The same within a crate: the first module below its `lib.rs`, which is a room of its own. `None`: it is no file of that crate.
fn room_within(source: &Source, of_crate: &str) -> Option<String> {
    let mut module = module_of(&source.path).into_iter();
    (module.next()? == of_crate).then(|| module.next().unwrap_or_else(|| "lib".to_owned()))
}

/// The modules directly below a room, as the files tell.
fn modules_in(room: &str) -> BTreeSet<String> {
    SRC.iter().map(|s| module_of(&s.path)).filter(|m| m.len() > 1 && m[0] == room).map(|m| m[1].clone()).collect()
}

/// The crate's `lib.rs` hands out what `path` names below it: no module, unless something of the same name is taken up
/// from a module there.
fn is_handed_out(room: &str, path: &[String]) -> bool {
    let Some(name) = path.first() else { return true };
    let modules = modules_in(room);
    if !modules.contains(name) {
        return name != "*";
    }
    let takes_up =
        |found: &Named| found.path.len() > 1 && found.path.last() == Some(name) && modules.contains(&found.path[0]);
    let entry = SRC.iter().find(|source| source.path == format!("crates/{room}/src/lib.rs"));
    path.len() == 1 && entry.is_some_and(|source| paths(source).foreign.iter().any(takes_up))
}

/// All paths of this crate that a source names, also those that begin at a room it imported as a whole.
fn own_paths(source: &Source) -> Vec<Named> {
    let found = paths(source);
    let whole: BTreeSet<String> =
        found.own.iter().filter(|named| named.path.len() == 1).map(|named| named.path[0].clone()).collect();
    let through_it = found.foreign.into_iter().filter(|named| whole.contains(&named.path[0]));
    found.own.into_iter().chain(through_it).collect()
}

fn is_allowed(room: &str, path: &[String], may: &[May]) -> bool {
    let second = path.get(1).map(String::as_str);
    path.is_empty()
        || path[0] == room
        || may.iter().any(|may| match may {
            Room(other) => path[0] == *other,
            Module(other, module) => path[0] == *other && second == Some(module),
            // The room's name alone gives nothing yet; what is reached through it is looked at by itself.
            Surface(other) => path[0] == *other && is_handed_out(other, &path[1..]),
            All => true,
        })
}

/// Breaches of a table whose rows are the rooms of the workspace, or those within a crate.
fn breaches_of(table: &[(&str, &[May])], of_crate: Option<&str>) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in SRC.iter() {
        let found = of_crate.map_or_else(|| Some(room_of(source)), |of_crate| room_within(source, of_crate));
        let Some(room) = found else { continue };
        let Some((_, may)) = table.iter().find(|(name, _)| *name == room) else {
            breaches.push(format!("{}: {room} has no row in the table", source.path));
            continue;
        };
        for Named { path, line } in own_paths(source) {
            let path = match of_crate {
                Some(of_crate) if path.first().is_none_or(|first| first != of_crate) => continue,
                Some(_) => &path[1..],
                None => &path[..],
            };
            if !is_allowed(&room, path, may) {
                breaches.push(format!("{}: {room} must not see {}", source.at(line), path.join("::")));
            }
        }
    }
    breaches
}

#[test]
fn every_room_imports_only_what_the_table_allows() {
    must_hold("a room imports only what TABLE in tests/it/tidy.rs allows", breaches_of(TABLE, None));
}

/// Breaches of "only files that `is_home` accepts name one of these paths of other crates".
fn foreign_outside(names: &'static [&str], is_home: fn(&str) -> bool) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in SRC.iter().filter(|source| !is_home(&source.path)) {
        for Named { path, line } in paths(source).foreign {
            let path = path.join("::");
            let is_below = |name: &&&str| path == **name || path.starts_with(&format!("{name}::"));
            if let Some(name) = names.iter().find(is_below) {
                breaches.push(format!("{}: {path} ({name})", source.at(line)));
            }
        }
    }
    breaches
}

#[test]
fn core_does_no_io_and_needs_no_runtime() {
    must_hold("core is pure", foreign_outside(IMPURE, |path| !path.starts_with("crates/core/")));
}

#[test]
fn the_yaml_crates_are_named_only_behind_their_door() {
    let breaches =
        foreign_outside(&["serde_saphyr", "granit_parser"], |path| path.starts_with("crates/config/src/yaml"));
    must_hold("YAML is read and written below crates/config/src/yaml only", breaches);
}

#[test]
fn the_paths_of_the_api_stand_only_in_the_table_of_endpoints() {
    // Providers have addresses of their own.
    let is_home =
        |path: &str| path.starts_with("crates/api/src/endpoint") || path.starts_with("crates/sys/src/provider_api");
    let mut breaches = Vec::new();
    for source in SRC.iter().filter(|source| !is_home(&source.path)) {
        let texts = source.code.iter().filter(|token| token.kind == Kind::Text && token.text.contains("/v1/"));
        breaches.extend(texts.map(|token| source.at(token.line)));
    }
    must_hold("a request is an item of crates/api/src/endpoint.rs, and no other file spells its path", breaches);
}

#[test]
fn the_database_is_named_only_in_the_store() {
    let breaches = foreign_outside(&["rusqlite"], |path| path.starts_with("crates/store/"));
    must_hold("rusqlite stays in crates/store", breaches);
}

#[test]
fn the_store_writes_and_reads_json_only_through_records() {
    // The witness is a file of its own, with a type of its own.
    let is_home = |path: &str| path.starts_with("crates/store/src/records") || path == "crates/store/src/witness.rs";
    let converts = ["to_string", "to_vec", "to_value", "from_str", "from_slice", "from_value"];
    let mut breaches = Vec::new();
    for source in SRC.iter().filter(|s| s.path.starts_with("crates/store/") && !is_home(&s.path)) {
        let is_one = |at: usize| converts.iter().any(|name| source.matches(at, &format!("serde_json :: {name}")));
        breaches.extend((0..source.code.len()).filter(|at| is_one(*at)).map(|at| source.at(source.code[at].line)));
    }
    must_hold("what is stored is a record: crates/store/src/records.rs", breaches);
}

#[test]
fn tmux_and_git_are_started_only_by_their_adapters() {
    let mut breaches = Vec::new();
    // sys/process starts programs in general and knows none of them.
    for source in SRC.iter().filter(|s| !s.path.starts_with("crates/sys/src/process")) {
        for at in 0..source.code.len() {
            if !source.matches(at, "Invocation :: new (") {
                continue;
            }
            let arguments = &source.code[at + 3..source.closing(at + 3)];
            for (program, door) in [("tmux", "crates/sys/src/tmux"), ("git", "crates/sys/src/git")] {
                let named =
                    |text: &str| text.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|w| w == program);
                if arguments.iter().any(|token| named(token.text)) && !source.path.starts_with(door) {
                    breaches.push(format!("{}: {program} is called here", source.at(source.code[at].line)));
                }
            }
        }
    }
    must_hold("tmux and git are called through sys::tmux and sys::git", breaches);
}

#[test]
fn only_doors_lift_the_ban_on_outside_effects() {
    let is_door =
        |path: &str| path.starts_with("crates/sys/") || path == "src/main.rs" || path.starts_with("src/cli/ui");
    let mut breaches = Vec::new();
    for source in SRC.iter() {
        for (at, token) in source.code.iter().enumerate() {
            let is_ban = token.is("disallowed_methods") || token.is("disallowed_macros");
            if is_ban && !is_door(&source.path) {
                breaches.push(format!("{}: {} is lifted outside a door", source.at(token.line), token.text));
            }
            if source.matches(at, "[ allow (") {
                breaches.push(format!("{}: allow(…); write expect(…, reason = \"…\")", source.at(token.line)));
            }
        }
    }
    must_hold("the bans of clippy.toml are lifted in sys, cli::ui and main only, by #[expect] with a reason", breaches);
}

#[test]
fn every_file_says_first_what_it_owns() {
    let silent = everything().filter(|source| !source.text.starts_with("//!"));
    must_hold("a file begins with //! and says what it owns", silent.map(|source| source.at(1)));
}

#[test]
fn no_file_is_too_long() {
    let mut breaches = Vec::new();
    for source in everything() {
        let lines = source.text.lines().count();
        let code = lines - test_lines(source);
        if lines > FILE_LINES {
            breaches.push(format!("{}: {lines} lines, at most {FILE_LINES}", source.path));
        } else if !source.path.starts_with("tests/") && !source.path.starts_with("benches/") && code > CODE_LINES {
            breaches.push(format!("{}: {code} lines without its tests, at most {CODE_LINES}", source.path));
        }
    }
    must_hold("a file holds one thought and fits the limit: split it", breaches);
}

/// Lines of items under `#[cfg(test)]`; all of them in a file that holds nothing else.
fn test_lines(source: &Source) -> usize {
    let (_, name) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    if name == "tests.rs" || name.ends_with("_tests.rs") || source.path.contains("/tests/") {
        return source.text.lines().count();
    }
    let (mut lines, mut at) = (0, 0);
    while at < source.code.len() {
        if !source.matches(at, "# [ cfg ( test ) ]") {
            at += 1;
            continue;
        }
        let begin = source.code[at].line;
        at += 7;
        while at + 1 < source.code.len() && !source.code[at].is("{") && !source.code[at].is(";") {
            at += 1;
        }
        if source.code[at].is("{") {
            at = source.closing(at);
        }
        lines += source.code[at].line + 1 - begin;
    }
    lines
}

#[test]
fn no_function_is_too_long() {
    let mut breaches = Vec::new();
    for source in everything() {
        for (name, line, lines) in functions(source) {
            if lines > FUNCTION_LINES {
                breaches.push(format!("{}: fn {name} has {lines} lines, at most {FUNCTION_LINES}", source.at(line)));
            }
        }
    }
    must_hold("a function does one thing and fits the limit", breaches);
}

/// Name, first line and number of lines of every function with a body.
fn functions(source: &Source) -> Vec<(&'static str, usize, usize)> {
    let mut found = Vec::new();
    for at in 0..source.code.len() {
        let Some(name) = source.code.get(at + 1).filter(|next| next.kind == Kind::Word) else { continue };
        if !source.code[at].is("fn") {
            continue;
        }
        let mut body = at;
        while body + 1 < source.code.len() && !source.code[body].is("{") && !source.code[body].is(";") {
            let opens = source.code[body].is("(") || source.code[body].is("[");
            body = if opens { source.closing(body) + 1 } else { body + 1 };
        }
        if source.code.get(body).is_some_and(|token| token.is("{")) {
            let line = source.code[at].line;
            found.push((name.text, line, source.code[source.closing(body)].line + 1 - line));
        }
    }
    found
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
    let mut breaches = Vec::new();
    for source in everything() {
        for token in source.comments.iter().chain(&source.code) {
            let is_mark = |word: &str| marks.contains(&word);
            let in_words = token.text.split(|c: char| !c.is_alphanumeric() && c != '_').any(is_mark);
            let is_macro = token.is("todo") || token.is("unimplemented");
            if (token.kind != Kind::Text && in_words) || is_macro {
                breaches.push(format!("{}: {}", source.at(token.line), token.text.lines().next().unwrap_or_default()));
            }
        }
    }
    must_hold("what is not done is an issue, not a mark in the code", breaches);
}

/// Names of a language of our own, each with the one that the field uses.
const RENAMED: &[(&str, &str)] = &[
    ("Book", "Ledger, Queue"),
    ("Bulletin", "HealthReport"),
    ("Clerk", "Sender"),
    ("Courier", "Dispatcher"),
    ("Desk", "Queue"),
    ("Doors", "Deps"),
    ("Errand", "Delivery"),
    ("Farewell", "EngineExit"),
    ("House", "Fixture"),
    ("Lack", "Missing"),
    ("Leave", "ShutdownMode"),
    ("Letters", "Inbox"),
    ("Parcel", "OutboxItem"),
    ("Passage", "Block"),
    ("Purse", "Balances"),
    ("Rhythm", "RateLimiter"),
    ("Room", "Fixture, Capacity"),
    ("Ruling", "ReviewDecision"),
    ("Saying", "ChatMessage"),
    ("Seam", "ChunkRedactor"),
    ("Sheet", "DetailView"),
    ("Shelf", "Store"),
    ("Shop", "Fixture"),
    ("Told", "Report"),
    ("Usability", "ProviderAccess"),
    ("World", "State"),
    ("Yard", "Fixture"),
    ("clerk", "sender"),
    ("courier", "dispatcher"),
    ("desk", "queue"),
    ("doors", "deps"),
    ("farewell", "exit"),
    ("heed", "apply"),
    ("odd_model", "model_warning"),
    ("parcel", "item"),
    ("purse", "balances"),
    ("room", "capacity, space"),
    ("sheet", "details"),
    ("shelf", "store"),
    ("shop", "fixture"),
    ("tell", "print, report"),
    ("told", "render, describe, text"),
    ("wants_room", "needs_capacity"),
    ("world", "state"),
    ("yard", "fixture"),
];

/// Names that do not say what a function returns or does.
const VAGUE: &[(&str, &str)] = &[("look", "poll, load, snapshot"), ("of", "new, from_…, for_…")];

#[test]
fn names_are_those_that_the_field_uses() {
    let mut breaches = Vec::new();
    for source in everything() {
        let code: Vec<_> = source.code.iter().filter(|token| !token.is("mut")).collect();
        for pair in code.windows(2) {
            let defines = ["struct", "enum", "trait", "type", "mod", "fn", "let"].iter().any(|word| pair[0].is(word));
            let vague = if pair[0].is("fn") { VAGUE } else { &[] };
            let renamed = RENAMED.iter().chain(vague).find(|(name, _)| defines && pair[1].is(name));
            if let Some((name, better)) = renamed {
                breaches.push(format!("{}: {name}, say {better}", source.at(pair[1].line)));
            }
        }
    }
    must_hold("a name is the standard term of the field", breaches);
}

/// Words of other contracts that are kinds of the history as well: the daemon's state, the record of a run's end, words of stored records.
const ALSO_KINDS: [(&str, &str); 7] = [
    ("crates/store/src/records/task.rs", "handed_on"),
    ("crates/store/src/records/task.rs", "put_back"),
    ("crates/store/src/records/state.rs", "shutting_down"),
    ("crates/api/src/status.rs", "shutting_down"),
    ("crates/api/src/error.rs", "shutting_down"),
    ("crates/api/src/status.rs", "shutting_down"),
    ("crates/runner/src/records.rs", "run_ended"),
];

#[test]
fn kinds_of_the_history_stand_in_one_place() {
    // What was released before facts were typed is read by its kinds.
    let is_home = |path: &str| {
        path.starts_with("crates/core/src/audit/history")
            || ["crates/store/src/actors.rs", "crates/store/src/typed_history.rs"].contains(&path)
    };
    let is_test = |path: &str| path.ends_with("tests.rs") || path.starts_with("crates/engine/src/simulation/");
    // A single word is not known for one by itself.
    let kinds: Vec<String> = orch_core::audit::history::KINDS
        .concat()
        .into_iter()
        .filter(|kind| kind.contains(['_', '.', ':']))
        .map(|kind| format!("\"{kind}\""))
        .collect();
    let mut breaches = Vec::new();
    for source in SRC.iter().filter(|source| !is_home(&source.path) && !is_test(&source.path)) {
        let end = source.text.lines().count() - test_lines(source);
        for token in source.code.iter().filter(|token| token.line <= end && kinds.iter().any(|kind| kind == token.text))
        {
            if !ALSO_KINDS.contains(&(source.path.as_str(), token.text.trim_matches('"'))) {
                breaches.push(format!("{}: {}", source.at(token.line), token.text));
            }
        }
    }
    must_hold("a kind of the history is a literal in crates/core/src/audit/history only: match on facts", breaches);
}

#[test]
fn no_test_is_switched_off() {
    let mut breaches = Vec::new();
    for source in everything() {
        for at in 0..source.code.len() {
            if source.matches(at, "# [ ignore") {
                breaches.push(source.at(source.code[at].line));
            }
        }
    }
    must_hold("a test runs, or it is removed", breaches);
}

/// Where a test may let time pass, and why.
const MAY_SLEEP: &[&str] = &[
    // The one loop that waits for a state, with a deadline.
    "tests/kit/wait.rs",
    // The scripted model server answers late when its scenario says so; no test waits for that time to pass.
    "tests/kit/model_server/serve.rs",
];

#[test]
fn tests_wait_for_a_state_and_never_for_a_time() {
    let mut breaches = Vec::new();
    for source in TESTS.iter().filter(|source| !MAY_SLEEP.contains(&source.path.as_str())) {
        for at in 0..source.code.len() {
            if source.matches(at, "sleep (") {
                breaches.push(source.at(source.code[at].line));
            }
        }
    }
    must_hold("a test waits with tests/kit/wait.rs, for a state", breaches);
}

#[test]
fn no_source_file_is_forgotten() {
    let mut breaches = Vec::new();
    for sources in [&*SRC, &*TESTS] {
        let declared: BTreeSet<&str> = sources.iter().flat_map(declarations).collect();
        for source in sources {
            let path = source.path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
            let name = path.rsplit('/').next().unwrap_or(path);
            let is_root =
                ["lib", "main"].contains(&name) || (0..source.code.len()).any(|at| source.matches(at, "fn main ("));
            if !declared.contains(name) && !is_root {
                breaches.push(format!("{}: no `mod {name};`", source.path));
            }
        }
    }
    must_hold("a file that no module declares is never compiled", breaches);
}

/// The names of the files that a source declares as modules.
fn declarations(source: &Source) -> Vec<&'static str> {
    let mut names = Vec::new();
    for at in 0..source.code.len() {
        if source.code[at].is("mod") && source.code.get(at + 2).is_some_and(|token| token.is(";")) {
            names.push(source.code[at + 1].text);
        }
        let file = source.code.get(at + 2).map_or("", |token| token.text.trim_matches('"'));
        if source.matches(at, "path =") && file.ends_with(".rs") {
            let path = file.trim_end_matches("/mod.rs").trim_end_matches(".rs");
            names.push(path.rsplit('/').next().unwrap_or(path));
        }
    }
    names
}

#[test]
fn the_measures_see_what_they_should() {
    let text = "//! t\nfn short() {}\nfn long(a: [u8; { 2 }]) -> u8 {\n  let f = |x| { x };\n  1\n}\n\
                #[cfg(test)]\nmod tests {\n  fn t() {}\n}\n";
    let source = Source::new("src/room/a.rs", text.to_owned());
    assert_eq!(functions(&source), [("short", 2, 1), ("long", 3, 4), ("t", 9, 1)]);
    assert_eq!(test_lines(&source), 4);
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    assert!(is_allowed("cli", &path("api::types"), &[Room("api")]));
    assert!(!is_allowed("cli", &path("store::journal"), &[Room("api")]));
    assert!(!is_allowed("store", &path("config::raw"), &[Module("config", "yaml")]));
    assert!(is_allowed("server", &path("engine::EngineHandle::snapshot"), &[Surface("engine")]));
    assert!(!is_allowed("server", &path("engine::handle::Request"), &[Surface("engine")]));
    assert!(!is_allowed("server", &path("engine::*"), &[Surface("engine")]));
    let whole = "use crate::cli; fn f() { cli::task::run() } fn g() { orch_engine::state::EngineState::new() }";
    let through = Source::new("src/daemon/a.rs", whole.to_owned());
    for named in ["cli::task", "engine::state"] {
        assert!(own_paths(&through).iter().any(|found| found.path.starts_with(&path(named))), "{named}");
    }
}
