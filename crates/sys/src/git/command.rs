//! Determines from a git command's arguments what it changes beyond its own branch. PURE.

use std::path::PathBuf;

/// Options of git itself that take the next argument as their value.
const GLOBAL_WITH_VALUE: &[&str] =
    &["-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path", "--config-env"];
/// Commands that write into the checkout in which they run, or move the branch that is checked out there.
const OF_CHECKOUT: &[&str] = &[
    "add",
    "am",
    "apply",
    "bisect",
    "checkout",
    "checkout-index",
    "cherry-pick",
    "clean",
    "commit",
    "filter-branch",
    "merge",
    "mv",
    "pull",
    "read-tree",
    "rebase",
    "reset",
    "restore",
    "revert",
    "rm",
    "sparse-checkout",
    "stash",
    "switch",
    "symbolic-ref",
    "update-index",
];
/// Of these, the ones that move the branch that is checked out, and the ones that check something else out.
const MOVING: &[&str] = &["am", "cherry-pick", "commit", "filter-branch", "merge", "pull", "rebase", "reset", "revert"];
const SWITCHING: &[&str] = &["bisect", "checkout", "rebase", "switch", "symbolic-ref"];
/// Of these, the ones that leave changes behind when they stop with a conflict.
const STOPPING: &[&str] = &["am", "cherry-pick", "merge", "pull", "rebase", "revert", "stash"];
/// Options with which `git branch` and `git tag` only list.
const LOOKING: &[&str] = &[
    "-l",
    "--list",
    "-a",
    "--all",
    "-r",
    "--remotes",
    "-v",
    "-vv",
    "--verbose",
    "--verify",
    "--contains",
    "--no-contains",
    "--merged",
    "--no-merged",
    "--points-at",
    "--show-current",
    "-u",
    "--set-upstream-to",
    "--unset-upstream",
    "--edit-description",
    "--sort",
    "--format",
];
/// Options of `git config` that only read.
const LOOKING_AT_SETTINGS: &[&str] = &[
    "get",
    "list",
    "--get",
    "--get-all",
    "--get-regexp",
    "--get-urlmatch",
    "--get-color",
    "--get-colorbool",
    "-l",
    "--list",
    "--global",
    "--system",
    "--file",
    "-f",
    "--blob",
    "--worktree",
];
/// Subcommands of `git remote` that change the configuration.
const CHANGING_REMOTES: &[&str] = &["add", "rename", "remove", "rm", "set-url", "set-branches"];

/// A git command that a run executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitCommand {
    /// The arguments after `git`.
    args: Vec<String>,
    /// The checkout or bare directory it worked in; `None` outside of repositories.
    pub(super) place: Option<PathBuf>,
    /// The local directory it pushed to, if any.
    pub(super) pushed_to: Option<PathBuf>,
    /// Its exit code; `None` when its end was not recorded.
    pub(super) code: Option<i32>,
}

impl GitCommand {
    /// Parses the arguments of a process, program first.
    pub(super) fn new(argv: Vec<String>) -> Self {
        let program = argv.first().and_then(|program| program.rsplit('/').next()).unwrap_or_default();
        let dashed = program.strip_prefix("git-").map(str::to_owned);
        let args = dashed.into_iter().chain(argv.into_iter().skip(1)).collect();
        Self { args, place: None, pushed_to: None, code: None }
    }

    /// Renders the command as one would type it.
    pub fn line(&self) -> String {
        format!("git {}", self.args.join(" "))
    }

    /// Returns whether it created, moved or deleted the ref with this full name, which it names.
    pub fn moves(&self, full: &str) -> bool {
        let (name, args) = self.split();
        let short =
            ["refs/heads/", "refs/tags/", "refs/"].iter().find_map(|space| full.strip_prefix(space)).unwrap_or(full);
        let is_named = |arg: &str| arg == full || arg == short || arg.strip_prefix("heads/") == Some(short);
        let positional = || args.iter().filter(|arg| !arg.starts_with('-')).map(String::as_str);
        let has = |options: &[&str]| args.iter().any(|arg| options.contains(&arg.split('=').next().unwrap_or(arg)));
        let is_target = |arg: &str| arg.trim_start_matches('+').rsplit_once(':').is_some_and(|(_, to)| is_named(to));
        self.code == Some(0)
            && match name {
                "update-ref" => args.iter().any(|arg| arg == full || arg == "--stdin"),
                "branch" if full.starts_with("refs/heads/") => !has(LOOKING) && positional().any(is_named),
                "tag" if full.starts_with("refs/tags/") => !has(LOOKING) && positional().any(is_named),
                "fetch" | "pull" => positional().skip(1).any(is_target),
                "push" if self.pushed_to.is_some() => {
                    let is_target_or_both =
                        |spec: &str| is_target(spec) || !spec.contains(':') && is_named(spec.trim_start_matches('+'));
                    has(&["--all", "--branches", "--mirror"]) || positional().skip(1).any(is_target_or_both)
                }
                "checkout" => follows(args, &["-b", "-B", "--orphan"]).is_some_and(is_named),
                "switch" => {
                    follows(args, &["-c", "--create", "-C", "--force-create", "--orphan"]).is_some_and(is_named)
                }
                "worktree" => follows(args, &["-b", "-B"]).is_some_and(is_named),
                "rebase" => rebased(args).is_some_and(is_named),
                "replace" => full.starts_with("refs/replace/") && !has(LOOKING),
                _other => false,
            }
    }

    /// Returns whether it removed entries from the stash, or may have.
    pub fn empties_stash(&self) -> bool {
        let (name, args) = self.split();
        let is_fitting = match name {
            "stash" => args.first().is_some_and(|does| ["drop", "pop", "clear", "branch"].contains(&does.as_str())),
            "reflog" => args.iter().any(|arg| arg.contains("stash") || arg == "--all"),
            _other => self.writes_stash_ref(),
        };
        is_fitting && self.code == Some(0)
    }

    /// Returns whether it added an entry to the stash, or may have.
    pub fn fills_stash(&self) -> bool {
        let (name, args) = self.split();
        let does = args.first().map_or("push", String::as_str);
        let is_fitting = match name {
            "stash" => ["push", "save", "store"].contains(&does) || does.starts_with('-'),
            _other => self.writes_stash_ref(),
        };
        is_fitting && self.code == Some(0)
    }

    fn writes_stash_ref(&self) -> bool {
        let (name, args) = self.split();
        name == "update-ref" && args.iter().any(|arg| arg == "refs/stash" || arg == "--stdin")
    }

    /// Returns whether it moved the branch that was checked out where it worked.
    pub fn moves_branch(&self) -> bool {
        self.code == Some(0) && self.changes_checkout() && MOVING.contains(&self.split().0)
    }

    /// Returns whether it checked something else out where it worked.
    pub fn switches(&self) -> bool {
        self.code == Some(0) && self.changes_checkout() && SWITCHING.contains(&self.split().0)
    }

    /// Returns whether it wrote into the checkout in which it worked, or moved what is checked out there.
    pub fn changes_checkout(&self) -> bool {
        let (name, args) = self.split();
        let looks = match name {
            "stash" => args.first().is_some_and(|word| ["list", "show", "create"].contains(&word.as_str())),
            "symbolic-ref" => args.iter().filter(|arg| !arg.starts_with('-')).count() < 2,
            "apply" => args.iter().any(|arg| ["--check", "--stat", "--numstat"].contains(&arg.as_str())),
            _other => args.iter().any(|arg| arg == "--dry-run"),
        };
        OF_CHECKOUT.contains(&name) && !looks && (self.code == Some(0) || STOPPING.contains(&name))
    }

    /// Returns whether it set or removed a key of the repository's configuration.
    pub fn sets(&self, key: &str) -> bool {
        let (name, args) = self.split();
        let section = key.rsplit_once('.').map_or(key, |(section, _)| section);
        let is_of = |arg: &String| arg.eq_ignore_ascii_case(key) || arg.eq_ignore_ascii_case(section);
        let ends_with = |arg: &String| section.split_once('.').is_some_and(|(_, own)| own == arg);
        self.code == Some(0)
            && match name {
                "config" => {
                    !args.iter().any(|arg| LOOKING_AT_SETTINGS.contains(&arg.as_str())) && args.iter().any(is_of)
                }
                "remote" => {
                    let does = args.first().is_some_and(|word| CHANGING_REMOTES.contains(&word.as_str()));
                    key.starts_with("remote.") && does && args.iter().any(ends_with)
                }
                _other => false,
            }
    }

    /// Returns the directory that a `receive-pack`, the other end of a push, was called with.
    pub(super) fn received_at(&self) -> Option<PathBuf> {
        let (name, args) = self.split();
        let dir = || args.iter().rfind(|arg| !arg.starts_with('-')).map(PathBuf::from);
        (name == "receive-pack").then(dir).flatten()
    }

    /// Returns the subcommand and its arguments.
    fn split(&self) -> (&str, &[String]) {
        let mut rest = self.args.as_slice();
        while let Some((first, after)) = rest.split_first() {
            if GLOBAL_WITH_VALUE.contains(&first.as_str()) {
                rest = after.get(1..).unwrap_or_default();
            } else if first.starts_with('-') {
                rest = after;
            } else {
                return (first, after);
            }
        }
        ("", &[])
    }
}

/// Returns the value of one of these options.
fn follows<'a>(args: &'a [String], options: &[&str]) -> Option<&'a str> {
    // The last of several combined short options takes the value.
    let is_one = |arg: &str, option: &str| match option.strip_prefix('-').filter(|letter| letter.len() == 1) {
        Some(letter) => arg.starts_with('-') && !arg.starts_with("--") && arg.ends_with(letter),
        None => arg == option,
    };
    let at = args.iter().position(|arg| options.iter().any(|option| is_one(arg, option)))?;
    args.get(at + 1).map(String::as_str)
}

/// Returns the branch that `git rebase <upstream> <branch>` checks out first.
fn rebased(args: &[String]) -> Option<&str> {
    const WITH_VALUE: [&str; 6] = ["--onto", "-s", "--strategy", "-X", "-x", "--exec"];
    let mut names = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if WITH_VALUE.contains(&arg.as_str()) {
            rest.next();
        } else if !arg.starts_with('-') {
            names.push(arg.as_str());
        }
    }
    names.get(1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> GitCommand {
        let argv = line.split(' ').map(str::to_owned).collect();
        let pushed_to = line.contains("push .").then(|| PathBuf::from("/m"));
        GitCommand { code: Some(0), pushed_to, ..GitCommand::new(argv) }
    }

    #[test]
    fn a_command_moves_the_ref_that_it_names_as_its_target() {
        let main = "refs/heads/main";
        for line in [
            "git update-ref refs/heads/main HEAD~1",
            "/usr/lib/git-core/git update-ref -m x refs/heads/main abc",
            "git -C /m branch -f main HEAD",
            "git branch --force main",
            "git branch -D main",
            "git push . HEAD:main",
            "git push . +HEAD:refs/heads/main",
            "git push . --delete main",
            "git fetch . HEAD:main",
            "git checkout -B main",
            "git rebase --onto a b main",
        ] {
            assert!(command(line).moves(main), "{line}");
        }
        for line in [
            "git log main",
            "git rebase main",
            "git rebase --onto main a",
            "git merge main",
            "git switch -qc topic main",
            "git branch --contains main",
            "git branch -u origin/main",
            "git branch topic",
            "git push origin HEAD:main",
            "git push . main:topic",
            "git fetch origin main",
            "git update-ref refs/heads/topic main",
            "git checkout main",
        ] {
            assert!(!command(line).moves(main), "{line}");
        }
        for line in
            ["git switch -qc topic main", "git checkout -b topic", "git branch topic", "git worktree add -b topic ../x"]
        {
            assert!(command(line).moves("refs/heads/topic"), "{line}");
        }
        let failed = GitCommand { code: Some(128), ..command("git branch -f main HEAD") };
        assert!(!failed.moves(main), "git refused");
        assert!(command("git tag -d v1").moves("refs/tags/v1") && !command("git tag -d v1").moves("refs/heads/v1"));
    }

    #[test]
    fn what_goes_into_the_stash_and_what_comes_out_are_told_apart() {
        for line in ["git stash", "git stash -u", "git stash push -m x", "git -C /m stash save"] {
            assert!(command(line).fills_stash() && !command(line).empties_stash(), "{line}");
        }
        for line in ["git stash pop", "git stash drop stash@{1}", "git reflog delete refs/stash@{0}"] {
            assert!(command(line).empties_stash() && !command(line).fills_stash(), "{line}");
        }
        for line in ["git stash list", "git stash show", "git stash apply", "git log"] {
            assert!(!command(line).empties_stash() && !command(line).fills_stash(), "{line}");
        }
        assert!(
            command("git replace a b").moves("refs/replace/a") && !command("git replace -l").moves("refs/replace/a")
        );
    }

    #[test]
    fn a_command_that_only_looks_changes_no_checkout() {
        for line in ["git commit -am x", "git -C /m reset --hard", "git stash", "git -c a.b=c checkout -- ."] {
            assert!(command(line).changes_checkout(), "{line}");
        }
        for line in ["git status", "git stash list", "git symbolic-ref HEAD", "git apply --check p", "git diff", "git"]
        {
            assert!(!command(line).changes_checkout(), "{line}");
        }
        let stopped = |line| GitCommand { code: Some(1), ..command(line) };
        assert!(stopped("git merge x").changes_checkout() && !stopped("git commit -m x").changes_checkout());
        assert!(command("git commit -m x").moves_branch() && !command("git add x").moves_branch());
        assert!(command("git switch x").switches() && !command("git commit -m x").switches());
        assert!(!stopped("git merge x").moves_branch());
    }

    #[test]
    fn a_setting_is_known_by_its_key() {
        for line in [
            "git config core.hooksPath x",
            "git config --local --unset core.hookspath",
            "git config set core.hooksPath x",
        ] {
            assert!(command(line).sets("core.hookspath"), "{line}");
        }
        for line in
            ["git config --get core.hooksPath", "git config --global core.hooksPath x", "git config user.name x"]
        {
            assert!(!command(line).sets("core.hookspath"), "{line}");
        }
        assert!(command("git remote add up url").sets("remote.up.url"));
        assert!(!command("git remote show up").sets("remote.up.url"));
        assert!(command("git config --remove-section filter.x").sets("filter.x.smudge"));
    }
}
