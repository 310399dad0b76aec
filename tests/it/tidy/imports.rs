//! Which paths a source names: of this workspace, with `super` resolved, and of foreign crates. Whatever goes through a
//! `use` or is in the code in full is found; what a macro makes up is not.

use super::source::{Kind, Source};

/// A path as the source names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its parts. A path of the workspace begins with the component; `*` means everything below.
    pub path: Vec<String>,
    /// Where.
    pub line: usize,
}

/// All the paths that a source names.
#[derive(Debug, Default)]
pub struct Paths {
    /// Of this workspace: from the crate's folder, or from the component of the program's own package.
    pub own: Vec<Named>,
    /// Of foreign crates, from the crate's name.
    pub foreign: Vec<Named>,
}

/// The modules from the workspace's root to the file: `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`,
/// `crates/a/src/b.rs` is `a::b` too.
pub fn module_of(path: &str) -> Vec<String> {
    let root = root_of(path);
    let inner = match path.strip_prefix("crates/").and_then(|below| below.split_once("/src/")) {
        Some((_, inner)) => inner,
        None => path.strip_prefix("src/").unwrap_or(path),
    };
    let inner = inner.trim_end_matches(".rs");
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    let is_root = ["lib", "main", "mod"].contains(&inner);
    let below = if is_root { Vec::new() } else { inner.split('/').map(str::to_owned).collect() };
    root.into_iter().chain(below).collect()
}

/// What `crate` means in a file: the crate's folder below `crates/`; nothing in the program's own package.
fn root_of(path: &str) -> Option<String> {
    let below = path.strip_prefix("crates/")?;
    below.split('/').next().map(str::to_owned)
}

/// Finds the paths. In `src/main.rs`, the library's name `orch` means this crate.
pub fn paths(source: &Source) -> Paths {
    let mut reader = Reader { source, module: module_of(&source.path), opened: Vec::new(), found: Paths::default() };
    let mut at = 0;
    while at < source.code.len() {
        at = reader.read(at);
    }
    reader.found
}

struct Reader<'a> {
    source: &'a Source,
    /// The module that contains the code, inline ones included.
    module: Vec<String>,
    /// For each open brace, whether it opened a module.
    opened: Vec<bool>,
    found: Paths,
}

impl Reader<'_> {
    fn is(&self, at: usize, text: &str) -> bool {
        self.source.code.get(at).is_some_and(|token| token.is(text))
    }

    /// Reads the item at `at`, and returns where to continue.
    fn read(&mut self, at: usize) -> usize {
        let token = self.source.code[at];
        if token.is("{") {
            let is_module = at >= 2 && self.is(at - 2, "mod");
            if is_module {
                self.module.push(self.source.code[at - 1].text.to_owned());
            }
            self.opened.push(is_module);
        } else if token.is("}") && self.opened.pop() == Some(true) {
            self.module.pop();
        } else if token.kind == Kind::Word && self.begins_path(at) {
            return self.path(at);
        }
        at + 1
    }

    fn begins_path(&self, at: usize) -> bool {
        let goes_on = self.is(at + 1, "::") || (at > 0 && self.is(at - 1, "use"));
        let is_inner = at > 0 && (self.is(at - 1, ".") || (self.is(at - 1, "::") && !self.is_absolute(at)));
        goes_on && !is_inner
    }

    /// The `::` before `at` begins a path (`::std::fs`), it does not go on with one (`a::b`, `<T>::b`).
    fn is_absolute(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(2).and_then(|before| self.source.code.get(before)) else { return true };
        before.is("use") || (before.kind == Kind::Mark && !before.is(">"))
    }

    fn path(&mut self, at: usize) -> usize {
        let word = self.source.code[at].text;
        let is_crate = word == "crate" || (word == "orch" && self.source.path == "src/main.rs");
        let member = word.strip_prefix("orch_").map(str::to_owned);
        let own = is_crate || word == "self" || word == "super" || member.is_some();
        let mut found = Vec::new();
        let end = if own {
            let mut base = match member {
                Some(member) => vec![member],
                None if is_crate => root_of(&self.source.path).into_iter().collect(),
                None => self.module.clone(),
            };
            if word == "super" {
                base.pop();
            }
            self.tree(at + 2, base, &mut found)
        } else {
            self.tree(at, Vec::new(), &mut found)
        };
        if own {
            self.found.own.append(&mut found)
        } else {
            self.found.foreign.append(&mut found)
        }
        end.max(at + 1)
    }

    /// Reads a tree of `use` or a plain path that begins at `at` below `base`; tells where it ends.
    fn tree(&self, mut at: usize, mut base: Vec<String>, found: &mut Vec<Named>) -> usize {
        let line = self.source.code[at.min(self.source.code.len() - 1)].line;
        while let Some(token) = self.source.code.get(at) {
            if token.is("{") {
                return self.group(at, &base, found);
            }
            if token.is("*") {
                base.push("*".to_owned());
                at += 1;
                break;
            }
            if token.kind != Kind::Word {
                break;
            }
            match token.text {
                "self" => {}
                "super" => drop(base.pop()),
                name => base.push(name.to_owned()),
            }
            at += 1;
            if !self.is(at, "::") {
                break;
            }
            at += 1;
        }
        found.push(Named { path: base, line });
        at
    }

    fn group(&self, open: usize, base: &[String], found: &mut Vec<Named>) -> usize {
        let close = self.source.closing(open);
        let mut at = open + 1;
        while at < close {
            at = self.tree(at, base.to_vec(), found);
            if self.is(at, "as") {
                at += 2;
            }
            while at < close && !self.is(at, ",") {
                at += 1;
            }
            at += 1;
        }
        close + 1
    }
}

#[test]
fn nested_groups_inline_paths_and_super_are_resolved() {
    let text = "
        use crate::{a, b::{self, c::D as E, f::*}};
        use super::sibling; use orch_store::journal; use std::{fs, io::Read};
        mod tests { use super::*; fn f() { super::super::x::y(); crate::g::h::<u8>(); self::own(); } }
        fn k(t: ::tokio::net::X) -> crate::m::N { pub(crate) fn z() {} t.super_; T::fs() }
    ";
    let found = paths(&Source::new("src/room/inner.rs", text.to_owned()));
    let joined = |all: &[Named]| all.iter().map(|n| n.path.join("::")).collect::<Vec<_>>();
    let own = ["a", "b", "b::c::D", "b::f::*", "room::sibling", "store::journal", "room::inner::*", "room::x::y"];
    assert_eq!(joined(&found.own), [&own[..], &["g::h", "room::inner::tests::own", "m::N"]].concat());
    assert_eq!(joined(&found.foreign), ["std::fs", "std::io::Read", "tokio::net::X", "T::fs"]);
    assert_eq!(found.own[0].line, 2);
}
