//! The second level of the table: the rooms within a crate, and who may import whom among them. What is larger than one room is
//! held together by imports that go one way.

use super::imports::{Named, module_of, paths};
use super::source::Source;
use super::{May, SRC, breaches_of, must_hold};
use May::{All, Room};
use std::collections::{BTreeMap, BTreeSet};

/// Rooms, each with the rooms that it may import.
type Table = &'static [(&'static str, &'static [May])];

/// The rooms within a crate: the modules directly below its `lib.rs`, each named from the crate's root. A crate that has no row
/// has one room. The exports of `lib.rs` are for other crates: within a crate, a thing is named where it is.
const WITHIN: &[(&str, Table)] = &[("core", CORE), ("engine", ENGINE)];

const CORE: Table = &[
    ("base", &[]),
    ("text", &[Room("base")]),
    ("tasks", &[Room("base")]),
    ("operations", &[Room("base"), Room("tasks")]),
    ("models", &[Room("base"), Room("text"), Room("tasks"), Room("operations")]),
    ("prompts", &[Room("base"), Room("tasks"), Room("models")]),
    ("economics", &[Room("base"), Room("text"), Room("tasks"), Room("models"), Room("prompts")]),
    ("planning", &[Room("base"), Room("tasks"), Room("operations"), Room("economics")]),
    ("audit", &[Room("base"), Room("tasks"), Room("operations"), Room("economics"), Room("planning")]),
    ("notices", &[Room("base"), Room("tasks"), Room("operations"), Room("economics"), Room("planning"), Room("audit")]),
    ("lib", &[All]),
];

const ENGINE: Table = &[
    // What knows no engine, from below.
    ("error", &[]),
    ("settings", &[]),
    ("deps", &[Room("settings")]),
    ("state", &[Room("error")]),
    ("files", &[Room("deps"), Room("error"), Room("settings")]),
    ("upkeep", &[Room("deps"), Room("settings")]),
    ("verify", &[Room("deps"), Room("error"), Room("settings")]),
    ("catalog", &[Room("deps"), Room("settings")]),
    ("job", &[Room("deps"), Room("error"), Room("files"), Room("state"), Room("upkeep"), Room("verify")]),
    ("launch", &[Room("catalog"), Room("deps"), Room("job"), Room("settings"), Room("verify")]),
    ("integrate", &[Room("deps"), Room("job"), Room("launch"), Room("settings"), Room("verify")]),
    // The struct, and the parts that own its state.
    (
        "engine",
        &[
            Room("catalog"),
            Room("deps"),
            Room("error"),
            Room("files"),
            Room("job"),
            Room("launch"),
            Room("settings"),
            Room("state"),
            Room("upkeep"),
            Room("verify"),
        ],
    ),
    // What extends it.
    ("models", &[Room("catalog"), Room("engine"), Room("error"), Room("job"), Room("settings"), Room("state")]),
    ("planning", &[Room("deps"), Room("engine"), Room("error"), Room("job"), Room("settings"), Room("state")]),
    ("runs", &[Room("engine"), Room("error"), Room("job"), Room("launch"), Room("settings"), Room("state")]),
    ("tasks_file", &[Room("engine"), Room("error"), Room("files"), Room("job"), Room("settings"), Room("state")]),
    (
        "recurring",
        &[Room("deps"), Room("engine"), Room("error"), Room("files"), Room("job"), Room("settings"), Room("state")],
    ),
    ("service", &[Room("deps"), Room("engine"), Room("error"), Room("job"), Room("state"), Room("upkeep")]),
    (
        "tasks",
        &[
            Room("deps"),
            Room("engine"),
            Room("error"),
            Room("job"),
            Room("launch"),
            Room("runs"),
            Room("settings"),
            Room("state"),
            Room("tasks_file"),
            Room("verify"),
        ],
    ),
    // Those who dispatch: jobs to what carries them out, reports and inputs to what applies them, requests to commands.
    (
        "apply",
        &[
            Room("deps"),
            Room("error"),
            Room("files"),
            Room("integrate"),
            Room("job"),
            Room("launch"),
            Room("planning"),
            Room("recurring"),
            Room("settings"),
            Room("upkeep"),
            Room("verify"),
        ],
    ),
    (
        "reports",
        &[
            Room("deps"),
            Room("engine"),
            Room("error"),
            Room("files"),
            Room("job"),
            Room("launch"),
            Room("recurring"),
            Room("state"),
        ],
    ),
    ("main_loop", &[Room("deps"), Room("engine"), Room("job"), Room("runs"), Room("state")]),
    (
        "handle",
        &[
            Room("engine"),
            Room("error"),
            Room("files"),
            Room("recurring"),
            Room("service"),
            Room("state"),
            Room("tasks"),
            Room("tasks_file"),
            Room("upkeep"),
            Room("verify"),
        ],
    ),
    // Beside the engine.
    ("search", &[]),
    ("rebuild", &[Room("deps"), Room("launch"), Room("upkeep")]),
    ("backup", &[Room("rebuild")]),
    ("checkup", &[Room("files"), Room("launch"), Room("settings"), Room("upkeep")]),
    // Tests of the whole.
    ("file_tests", &[All]),
    ("trouble_tests", &[All]),
    ("simulation", &[All]),
    ("lib", &[All]),
];

/// The most modules of such a crate that may import each other in a circle. A module of a room and its own submodules are one.
const CIRCLE: usize = 4;

/// The length of a module's path: crate, room, module.
const MODULE: usize = 3;

/// Structs that are made of parts, and of how many at most: (file, struct, fields).
const FIELDS: &[(&str, &str, usize)] = &[("crates/engine/src/engine.rs", "Engine", 12)];

#[test]
fn a_room_within_a_crate_imports_only_what_the_table_allows() {
    for (of_crate, table) in WITHIN {
        let rule = "a room within a crate imports only what WITHIN in tests/it/tidy/rooms.rs allows";
        must_hold(rule, breaches_of(table, Some(of_crate)));
    }
}

#[test]
fn rooms_within_a_crate_are_in_no_circle() {
    let mut breaches = Vec::new();
    for (of_crate, table) in WITHIN {
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for (room, may) in *table {
            let others = may.iter().filter_map(|may| match may {
                Room(other) => Some(other),
                May::Module(..) | May::Surface(_) | All => None,
            });
            for other in others.filter(|other| !known.contains(*other)) {
                breaches.push(format!("{of_crate}: {room} may see {other}, whose row is not above its own"));
            }
            known.insert(room);
        }
    }
    must_hold("a room sees only rooms whose rows are above its own in WITHIN", breaches);
}

#[test]
fn few_files_of_a_crate_with_rooms_import_each_other_in_a_circle() {
    let mut breaches = Vec::new();
    for (of_crate, _) in WITHIN {
        let imports = imports_within(of_crate);
        for circle in circles(&imports).into_iter().filter(|circle| circle.len() > CIRCLE) {
            breaches.push(format!("{of_crate}: {} modules: {}", circle.len(), circle.join(", ")));
        }
    }
    must_hold("a circle of imports is broken by moving the item to whom it belongs", breaches);
}

#[test]
fn a_struct_has_few_parts() {
    let mut breaches = Vec::new();
    for (path, name, most) in FIELDS {
        let fields = SRC.iter().find(|source| source.path == *path).and_then(|source| fields_of(source, name));
        match fields {
            None => breaches.push(format!("{path}: there is no struct {name}")),
            Some(fields) if fields > *most => {
                breaches.push(format!("{path}: {name} has {fields} fields, at most {most}"))
            }
            Some(_) => {}
        }
    }
    must_hold("what belongs together is a part that owns its state", breaches);
}

/// How many named fields a struct of this source has.
fn fields_of(source: &Source, name: &str) -> Option<usize> {
    let begin = (0..source.code.len()).find(|at| source.matches(*at, &format!("struct {name} {{")))? + 2;
    let end = source.closing(begin);
    let (mut at, mut fields) = (begin + 1, 0);
    while at < end {
        let token = source.code[at];
        if token.is("(") || token.is("[") || token.is("{") {
            at = source.closing(at);
        } else if token.is(":") {
            // A bound or a path has two of them, or none.
            fields += 1;
        }
        at += 1;
    }
    Some(fields)
}

/// For each module of a crate's rooms, with its submodules, the modules that it imports. Tests are left out: nothing is built on
/// them.
fn imports_within(of_crate: &str) -> BTreeMap<String, BTreeSet<String>> {
    let is_test = |module: &[String]| module.iter().any(|name| name.ends_with("tests") || name == "simulation");
    let files: Vec<(Vec<String>, &Source)> = SRC.iter().map(|source| (module_of(&source.path), source)).collect();
    let files: Vec<_> =
        files.into_iter().filter(|(module, _)| module.len() > 1 && module[0] == of_crate && !is_test(module)).collect();
    let modules: BTreeSet<&[String]> = files.iter().map(|(module, _)| module.as_slice()).collect();
    let file_of = |path: &[String]| {
        let len = (2..=path.len()).rev().find(|len| modules.contains(&path[..*len]))?;
        Some(path[..len.min(MODULE)].join("::"))
    };
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, source) in &files {
        let found = paths(source);
        // What begins with a module of its own is named from there.
        let below = found.foreign.into_iter().map(|Named { path, .. }| [module.as_slice(), &path].concat());
        let all = found.own.into_iter().map(|Named { path, .. }| path).chain(below);
        let others = all.filter_map(|path| file_of(&path));
        let own = module[..module.len().min(MODULE)].join("::");
        imports.entry(own.clone()).or_default().extend(others.filter(|other| *other != own));
    }
    imports
}

/// The sets of nodes of which each reaches each other.
fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = graph.keys().map(|node| (node, reach(graph, node))).collect();
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (node, others) in &reached {
        let circle: Vec<String> =
            others.iter().filter(|other| reached[*other].contains(node)).map(|other| (*other).clone()).collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reach<'a>(graph: &'a BTreeMap<String, BTreeSet<String>>, from: &'a String) -> BTreeSet<&'a String> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(node) = open.pop() {
        for next in graph.get(node).into_iter().flatten() {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached
}

#[test]
fn the_second_level_sees_what_it_should() {
    let text = "//! t\npub struct Engine {\n  pub(crate) a: Arc<crate::B>,\n  b: Box<dyn Fn(&Path) -> bool>,\n}\n";
    let source = Source::new("crates/engine/src/engine.rs", text.to_owned());
    assert_eq!(fields_of(&source, "Engine"), Some(2));
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let graph: BTreeMap<String, BTreeSet<String>> = [("a", names(&["b"])), ("b", names(&["c"])), ("c", names(&["b"]))]
        .map(|(node, to)| (node.to_owned(), to))
        .into();
    assert_eq!(circles(&graph), [["b", "c"]]);
}
