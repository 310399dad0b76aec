//! The settings under which git runs: what it must never do here, whatever the repository's own configuration says.
//! PURE.
//!
//! A repository is data. Its `.git/config` can name programs for hooks, filters, merge drivers, credentials and more;
//! an agent can write that file. What the user configured for himself (system and global scope) is trusted: a
//! git-lfs in `~/.gitconfig` works. The same in the repository's scope is overridden: by the user's own value where
//! there is one, else by a value that runs nothing. Command scope wins over every file, so overriding is enough.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// A configuration key and its value, as git reads them from the environment.
pub(super) type Setting = (Vec<u8>, Vec<u8>);

/// Environment variables for every call. No other `GIT_*` variable is inherited.
pub(super) const VARIABLES: &[(&str, &str)] = &[
    ("LANG", "C.UTF-8"),
    ("LC_ALL", "C"),
    ("GIT_TERMINAL_PROMPT", "0"),
    // Judge and merge what the commits contain, not replacements of the repository.
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    // Empty: git runs no program to ask for a password, and ignores the repository's core.askPass.
    ("GIT_ASKPASS", ""),
    // git treats ":" as "do nothing" and starts no program.
    ("GIT_EDITOR", ":"),
    ("GIT_SEQUENCE_EDITOR", ":"),
    ("GIT_PAGER", "cat"),
    ("GIT_ALLOW_PROTOCOL", "file:http:https:ssh"),
    // The user's own commands in the same checkout must never meet a lock for a read-only command of ours.
    ("GIT_OPTIONAL_LOCKS", "0"),
    // Paths are literal, even those that begin with ":(".
    ("GIT_LITERAL_PATHSPECS", "1"),
];

/// Configuration settings for every call.
const ALWAYS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("protocol.ext.allow", "never"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    // Inspecting a submodule would run git under that repository's configuration.
    ("diff.ignoreSubmodules", "dirty"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    // Signing starts a program and may wait for a passphrase.
    ("commit.gpgSign", "false"),
    ("merge.verifySignatures", "false"),
    ("merge.autoStash", "false"),
    ("rerere.enabled", "false"),
    ("worktree.guessRemote", "false"),
    ("i18n.commitEncoding", "UTF-8"),
];

/// The ssh command, which fails instead of asking.
const SSH: &str = "ssh -oBatchMode=yes";

/// One entry of `git config --list --show-scope -z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whether it comes from the repository and is not trusted.
    pub(super) of_repository: bool,
    /// The key: section and variable in lower case, subsection unchanged.
    pub(super) key: Vec<u8>,
    /// The value; `None` for a bare key, which means true.
    pub(super) value: Vec<u8>,
}

/// What is derived from a listing of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    /// Overrides for the command scope, in this order.
    pub(super) pairs: Vec<Setting>,
    /// The repository's filter drivers that are disabled.
    pub(crate) filters_off: BTreeSet<Vec<u8>>,
    /// Whether the user's identity is configured.
    pub(super) has_identity: bool,
    /// Whether there is a remote to fetch from.
    pub(crate) has_remote: bool,
    /// Whether the repository's scope includes other files, so that no file's age tells whether it changed.
    pub(super) includes: bool,
}

/// Parses a listing; `None` when it is malformed.
pub(super) fn parse_listing(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut fields = bytes.split(|b| *b == 0);
    let mut entries = Vec::new();
    loop {
        let scope = fields.next()?;
        if scope.is_empty() {
            return fields.next().is_none().then_some(entries);
        }
        let line = fields.next()?;
        let (key, value) = match line.iter().position(|b| *b == b'\n') {
            Some(end) => (&line[..end], &line[end + 1..]),
            None => (line, &b"true"[..]),
        };
        let of_repository = match scope {
            b"system" | b"global" => false,
            b"command" => continue,
            // "local", "worktree", and scopes of later git versions.
            _unknown => true,
        };
        entries.push(Entry { of_repository, key: key.to_vec(), value: value.to_vec() });
    }
}

/// Splits a key into section, subsection (empty when there is none) and variable.
pub(super) fn parts(key: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let first = key.iter().position(|b| *b == b'.').unwrap_or(key.len());
    let last = key.iter().rposition(|b| *b == b'.').unwrap_or(key.len());
    let section = &key[..first];
    let variable = key.get(last + 1..).unwrap_or_default();
    (section, key.get(first + 1..last).unwrap_or_default(), variable)
}

/// Returns the settings used before anything is known of the repository.
pub(super) fn always() -> Vec<Setting> {
    ALWAYS.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// Returns the settings under which git runs with this configuration.
pub(super) fn settings(entries: &[Entry]) -> Settings {
    let mut result = Settings { pairs: always(), ..Settings::default() };
    let ssh = trusted(entries, b"core.sshcommand").unwrap_or(SSH.as_bytes());
    result.pairs.push((b"core.sshCommand".to_vec(), ssh.to_vec()));
    for entry in entries.iter().filter(|entry| entry.of_repository) {
        override_entry(entry, entries, &mut result);
    }
    if entries.iter().any(|entry| entry.of_repository && is_credential_helper(&entry.key)) {
        // An empty value clears the list of helpers read so far.
        result.pairs.push((b"credential.helper".to_vec(), Vec::new()));
        let own = entries.iter().filter(|entry| !entry.of_repository && is_credential_helper(&entry.key));
        result.pairs.extend(own.map(|entry| (entry.key.clone(), entry.value.clone())));
    }
    let has = |key: &[u8]| entries.iter().any(|entry| entry.key == key && !entry.value.is_empty());
    result.has_identity = has(b"user.name") && has(b"user.email");
    result.has_remote = entries.iter().any(|entry| matches!(parts(&entry.key), (b"remote", _, b"url")));
    result
}

/// Overrides one untrusted entry that would make git start a program.
fn override_entry(entry: &Entry, entries: &[Entry], result: &mut Settings) {
    let (section, name, variable) = parts(&entry.key);
    match (section, variable) {
        (b"filter", b"clean" | b"smudge" | b"process") => override_filter(entry, name, entries, result),
        // A driver cannot be unset, and an empty one would "succeed" and lose one side: this one reports a conflict.
        (b"merge", b"driver") => result.pairs.push((entry.key.clone(), neutral(entries, &entry.key, b"false"))),
        (b"core", b"alternaterefscommand") => {
            result.pairs.push((entry.key.clone(), neutral(entries, &entry.key, b"true")))
        }
        (b"hook", _) => result.pairs.push((join(b"hook", name, "enabled"), b"false".to_vec())),
        (b"include" | b"includeif", _) => result.includes = true,
        (_, _) => {}
    }
}

/// Replaces a filter program of the repository by the user's own one, or by none.
fn override_filter(entry: &Entry, name: &[u8], entries: &[Entry], result: &mut Settings) {
    let value = neutral(entries, &entry.key, b"");
    if value.is_empty() {
        // Otherwise git would refuse the files instead of storing them unchanged.
        result.pairs.push((join(b"filter", name, "required"), b"false".to_vec()));
        result.filters_off.insert(name.to_vec());
    }
    result.pairs.push((entry.key.clone(), value));
}

fn join(section: &[u8], name: &[u8], variable: &str) -> Vec<u8> {
    [section, name, variable.as_bytes()].join(&b'.')
}

fn neutral(entries: &[Entry], key: &[u8], nothing: &[u8]) -> Vec<u8> {
    trusted(entries, key).unwrap_or(nothing).to_vec()
}

/// Returns the user's own value; the last one wins.
fn trusted<'a>(entries: &'a [Entry], key: &[u8]) -> Option<&'a [u8]> {
    entries.iter().rev().find(|entry| !entry.of_repository && entry.key == key).map(|entry| entry.value.as_slice())
}

fn is_credential_helper(key: &[u8]) -> bool {
    let (section, _, variable) = parts(key);
    section == b"credential" && variable == b"helper"
}

/// Returns whether a change of this key could start a program or redirect work when another program uses git there.
pub(super) fn is_dangerous(key: &[u8]) -> bool {
    let (section, _, variable) = parts(key);
    let section = String::from_utf8_lossy(section);
    let variable = String::from_utf8_lossy(variable);
    match section.as_ref() {
        "alias" | "filter" | "hook" | "include" | "includeif" | "credential" | "url" | "gpg" | "pager" | "protocol"
        | "http" => true,
        "core" => matches!(
            variable.as_ref(),
            "hookspath"
                | "fsmonitor"
                | "sshcommand"
                | "editor"
                | "pager"
                | "askpass"
                | "gitproxy"
                | "alternaterefscommand"
                | "worktree"
                | "attributesfile"
                | "bare"
        ),
        "remote" => {
            matches!(variable.as_ref(), "url" | "pushurl" | "uploadpack" | "receivepack" | "vcs" | "proxy" | "push")
        }
        "submodule" => matches!(variable.as_ref(), "url" | "update"),
        "extensions" => true,
        _other => {
            ["command", "cmd", "program", "driver", "textconv", "external", "editor", "difffilter", "path", "helper"]
                .contains(&variable.as_ref())
                || variable.ends_with("hook")
        }
    }
}

/// Converts settings to environment variables: this form allows `=` in a name and is invisible in process lists.
pub(super) fn as_variables(pairs: &[Setting]) -> Vec<(OsString, OsString)> {
    let count = (OsString::from("GIT_CONFIG_COUNT"), OsString::from(pairs.len().to_string()));
    let pair = |(index, (key, value)): (usize, &Setting)| {
        let key = (OsString::from(format!("GIT_CONFIG_KEY_{index}")), OsString::from_vec(key.clone()));
        [key, (OsString::from(format!("GIT_CONFIG_VALUE_{index}")), OsString::from_vec(value.clone()))]
    };
    std::iter::once(count).chain(pairs.iter().enumerate().flat_map(pair)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(lines: &[(&str, &str, &str)]) -> Vec<Entry> {
        let text: String = lines.iter().map(|(scope, key, value)| format!("{scope}\0{key}\n{value}\0")).collect();
        parse_listing(text.as_bytes()).expect("a listing")
    }

    fn value<'a>(settings: &'a Settings, key: &str) -> Option<&'a str> {
        settings.pairs.iter().rev().find(|(k, _)| k == key.as_bytes()).and_then(|(_, v)| std::str::from_utf8(v).ok())
    }

    #[test]
    fn a_filter_of_the_repository_does_nothing_and_one_of_the_user_stays() {
        let own = listing(&[
            ("global", "filter.lfs.clean", "git-lfs clean -- %f"),
            ("global", "filter.lfs.required", "true"),
        ]);
        assert_eq!(value(&settings(&own), "filter.lfs.clean"), None, "not touched");
        let mixed =
            [own, listing(&[("local", "filter.lfs.clean", "evil"), ("worktree", "filter.a=b.c.smudge", "evil")])]
                .concat();
        let result = settings(&mixed);
        assert_eq!(value(&result, "filter.lfs.clean"), Some("git-lfs clean -- %f"));
        assert_eq!(value(&result, "filter.lfs.process"), None, "an empty one would switch the others off");
        assert_eq!(value(&result, "filter.lfs.required"), None, "not touched");
        assert_eq!(value(&result, "filter.a=b.c.smudge"), Some(""));
        assert_eq!(value(&result, "filter.a=b.c.required"), Some("false"));
        assert_eq!(result.filters_off, BTreeSet::from([b"a=b.c".to_vec()]));
    }

    #[test]
    fn credential_helpers_of_the_repository_are_dropped_and_those_of_the_user_kept() {
        let result = settings(&listing(&[
            ("system", "credential.helper", "store"),
            ("global", "credential.https://x.helper", "own"),
            ("local", "credential.helper", "!evil"),
        ]));
        let helpers: Vec<_> =
            result.pairs.iter().filter(|(key, _)| key.starts_with(b"credential")).map(|(_, v)| v.as_slice()).collect();
        assert_eq!(helpers, [&b""[..], b"store", b"own"]);
    }

    #[test]
    fn programs_for_merging_fetching_and_hooks_are_overridden() {
        let result = settings(&listing(&[
            ("local", "merge.x.driver", "evil"),
            ("local", "core.sshcommand", "evil"),
            ("local", "hook.x.command", "evil"),
            ("local", "include.path", "other"),
        ]));
        assert_eq!(value(&result, "merge.x.driver"), Some("false"));
        assert_eq!(value(&result, "core.sshCommand"), Some(SSH));
        assert_eq!(value(&result, "hook.x.enabled"), Some("false"));
        assert!(result.includes && !result.has_identity);
    }

    #[test]
    fn a_listing_is_read_with_bare_keys_and_odd_bytes() {
        let entries = parse_listing(b"local\0core.bare\0local\0x.\xff.y\na\nb\0command\0z.z\n1\0").expect("a listing");
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[0].key.as_slice(), entries[0].value.as_slice()), (&b"core.bare"[..], &b"true"[..]));
        assert_eq!((entries[1].key.as_slice(), entries[1].value.as_slice()), (&b"x.\xff.y"[..], &b"a\nb"[..]));
        assert_eq!(parts(b"filter.a.b.clean"), (&b"filter"[..], &b"a.b"[..], &b"clean"[..]));
        assert_eq!(parts(b"gc.auto"), (&b"gc"[..], &b""[..], &b"auto"[..]));
    }

    #[test]
    fn a_listing_cut_short_is_none() {
        assert_eq!(parse_listing(b"local"), None);
        assert_eq!(parse_listing(b""), Some(Vec::new()));
    }

    #[test]
    fn dangerous_keys_are_known_by_what_they_do() {
        for key in [
            "core.hookspath",
            "filter.x.clean",
            "diff.x.textconv",
            "merge.x.driver",
            "remote.o.url",
            "alias.st",
            "gpg.ssh.program",
        ] {
            assert!(is_dangerous(key.as_bytes()), "{key}");
        }
        for key in ["branch.main.remote", "user.name", "core.autocrlf", "remote.origin.fetch"] {
            assert!(!is_dangerous(key.as_bytes()), "{key}");
        }
    }
}
