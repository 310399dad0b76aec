//! Tests the crash points of tests: each is in the list once and in the source once, and not in an ordinary build.
//! `make torture` crashes at each of them.

use crate::kit::sealed_box::{ORCH, SealedBox};
use orch_sys::crash::POINTS;
use std::collections::BTreeMap;
use std::path::Path;

/// Counts the names in `point!("…")`.
fn in_source(dir: &Path, found: &mut BTreeMap<String, usize>) {
    for entry in std::fs::read_dir(dir).expect("a directory of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            in_source(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = crate::kit::read_file(&path);
            for rest in text.split("point!(\"").skip(1) {
                let name = rest.split('"').next().unwrap_or_default();
                *found.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
}

#[test]
fn each_crash_point_is_listed_once_and_passed_in_one_place() {
    let mut found = BTreeMap::new();
    for folder in ["src", "crates"] {
        in_source(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    let twice: Vec<&String> = found.iter().filter(|(_, count)| **count != 1).map(|(name, _)| name).collect();
    assert!(twice.is_empty(), "a name stands in several places: {twice:?}");
    let mut listed: Vec<&str> = POINTS.to_vec();
    listed.sort_unstable();
    assert!(listed.windows(2).all(|pair| pair[0] != pair[1]), "a name is listed twice");
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), listed, "source (left) and list (right)");
}

#[test]
fn an_ordinary_build_knows_no_crash_points() {
    let wanted = [POINTS, &["ORCH_CRASH_AT"]].concat().join("\n");
    let sealed = SealedBox::new();
    let ran = sealed.run_program("grep").args(["-aoF", "-f", "-", ORCH]).stdin(&wanted).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "the program names crash points: {ran}");
    sealed.finish();
}
