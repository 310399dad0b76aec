//! Which files decide how the checks go: scripts that a check runs, and configuration of the programs it uses. A file
//! that a check only reads is the work itself.

use super::ChangedFile;
use super::patch::Line;
use serde_json::Value;

/// The configuration files of a program.
struct Decider {
    /// The programs.
    of: &'static [&'static str],
    /// File names, in any directory; with a `/`, the end of a path; a trailing `*` matches any rest.
    files: &'static [&'static str],
    /// A changed line counts only if it contains one of these; any line if empty. Most changes of a manifest do not
    /// affect checks.
    words: &'static [&'static str],
}

const JAVASCRIPT: &[&str] = &["npm", "npx", "yarn", "pnpm", "bun", "bunx", "jest", "vitest", "mocha", "eslint"];
const PYTHON: &[&str] = &["python", "python3", "pytest", "py.test", "tox", "nox", "unittest"];
const DECIDERS: &[Decider] = &[
    Decider { of: &["make", "gmake"], files: &["Makefile", "makefile", "GNUmakefile"], words: &[] },
    Decider { of: &["just"], files: &["justfile", "Justfile", ".justfile"], words: &[] },
    Decider { of: &["task"], files: &["Taskfile.yml", "Taskfile.yaml"], words: &[] },
    Decider { of: &["rake"], files: &["Rakefile"], words: &[] },
    Decider {
        of: &["cargo"],
        files: &["build.rs", ".cargo/config.toml", ".cargo/config", "rust-toolchain", "rust-toolchain.toml"],
        words: &[],
    },
    Decider {
        of: &["cargo"],
        files: &["Cargo.toml"],
        words: &["[[test]]", "harness", "autotests", "test =", "test=", "doctest", "default-members"],
    },
    Decider {
        of: JAVASCRIPT,
        files: &["package.json"],
        words: &["\"test", "\"pretest", "\"posttest", "\"jest\"", "\"mocha\"", "\"vitest\"", "\"scripts\"", "|| true"],
    },
    Decider {
        of: JAVASCRIPT,
        files: &[".npmrc", "jest.config.*", "vitest.config.*", ".mocharc*", ".eslintrc*", "eslint.config.*"],
        words: &[],
    },
    Decider { of: JAVASCRIPT, files: &["node_modules/.bin/*"], words: &[] },
    Decider {
        of: PYTHON,
        files: &["conftest.py"],
        words: &["pytest_", "collect", "skip", "xfail", "exit", "deselect", "sys.modules"],
    },
    Decider { of: PYTHON, files: &["sitecustomize.py", "usercustomize.py"], words: &[] },
    Decider { of: PYTHON, files: &["pytest.ini", ".pytest.ini", "tox.ini", "noxfile.py"], words: &[] },
    Decider {
        of: PYTHON,
        files: &["pyproject.toml", "setup.cfg"],
        words: &["pytest", "addopts", "testpaths", "python_files", "python_functions", "ignore", "deselect"],
    },
    Decider {
        of: &["mvn", "mvnw", "gradle", "gradlew"],
        files: &["pom.xml", "build.gradle", "build.gradle.kts", "gradle.properties"],
        words: &["skip", "ignore", "exclude", "enabled", "onlyIf"],
    },
];

/// Programs that run the file they are given.
const INTERPRETERS: &[&str] = &[
    "sh", "bash", "dash", "zsh", "fish", ".", "source", "python", "python3", "node", "deno", "bun", "ruby", "perl",
    "php",
];
/// Words that may precede a program.
const PREFIXES: &[&str] = &["env", "exec", "time", "nice", "command", "!", "(", "{", "if", "then", "do", "while", "@"];
/// The number of leading words of a command that may name its program: `python3 -m pytest`, `uv run pytest`.
const LEADING: usize = 3;

/// Returns the changed files that decide how the checks go. `followed`: the commands of the scripts that the checks
/// run. What such a script runs is the work itself, unless its name says that it checks something.
pub fn deciding_files(
    checks: &[String],
    followed: &[String],
    files: &[ChangedFile],
    lines: &[Line<'_>],
) -> Vec<String> {
    let direct: Vec<Vec<&str>> = checks.iter().flat_map(|line| commands_of(line)).collect();
    let further: Vec<Vec<&str>> = followed.iter().flat_map(|line| commands_of(line)).collect();
    let decides = |file: &&ChangedFile| {
        let path = file.path.as_str();
        let changed = || lines.iter().filter(|line| line.path == path).map(|line| line.text);
        let runs = |words: &Vec<&str>| script_of(words) == Some(path);
        direct.iter().any(runs)
            || (is_for_checking(path) && further.iter().any(runs))
            || direct.iter().chain(&further).any(|words| {
                shadows(words, file) || DECIDERS.iter().any(|decider| decider.matches(words, path, changed()))
            })
    };
    files.iter().filter(decides).map(|file| file.path.clone()).collect()
}

/// Returns the files that `commands` run or read commands from, which may run others.
pub fn scripts(commands: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let lines: Vec<Vec<&str>> = commands.iter().flat_map(|line| commands_of(line)).collect();
    for words in &lines {
        found.extend(script_of(words).map(str::to_owned));
        let holders = [("make", "Makefile"), ("just", "justfile")].into_iter().filter(|(of, _)| words.contains(of));
        found.extend(holders.map(|(_, file)| file.to_owned()));
        if words.first().is_some_and(|program| JAVASCRIPT.contains(program)) {
            found.push("package.json".to_owned());
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Returns the commands in the file at `path`. Only build files and shell scripts are followed: a program of the
/// project is the work itself.
pub fn commands_in(path: &str, text: &str) -> Vec<String> {
    if path.ends_with("package.json") {
        let scripts = serde_json::from_str::<Value>(text).ok().and_then(|all| all.get("scripts").cloned());
        let texts = scripts.iter().flat_map(|all| all.as_object().into_iter().flatten());
        return texts.filter_map(|(_, script)| script.as_str().map(str::to_owned)).collect();
    }
    let own_name = path.rsplit('/').next().unwrap_or(path);
    let is_holder = ["Makefile", "justfile"].contains(&own_name);
    let is_shell = own_name.ends_with(".sh") || text.starts_with("#!") && text.lines().next().is_some_and(is_shell);
    if !is_holder && !is_shell {
        return Vec::new();
    }
    let lines = text.lines().map(|line| line.trim().trim_start_matches(['@', '-']));
    lines.filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// Returns whether the name of a script says that it checks something.
pub fn is_for_checking(path: &str) -> bool {
    const WORDS: [&str; 6] = ["test", "check", "verify", "lint", "spec", "ci"];
    path.to_lowercase().split(['/', '.', '-', '_']).any(|part| WORDS.iter().any(|word| part.starts_with(word)))
}

fn is_shell(first: &str) -> bool {
    first.contains("sh")
}

impl Decider {
    fn matches<'a>(&self, words: &[&str], path: &str, mut changed: impl Iterator<Item = &'a str>) -> bool {
        let leading = || words.iter().filter(|word| !word.starts_with('-')).take(LEADING);
        leading().any(|word| self.of.contains(&word.rsplit('/').next().unwrap_or(word)))
            && self.files.iter().any(|pattern| is_named(path, pattern))
            && (self.words.is_empty() || changed.any(|line| self.words.iter().any(|word| line.contains(word))))
    }
}

/// Returns whether a file's name matches the pattern.
fn is_named(path: &str, pattern: &str) -> bool {
    let name = if pattern.contains('/') { path } else { path.rsplit('/').next().unwrap_or(path) };
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern || name.strip_suffix(pattern).is_some_and(|before| before.ends_with('/')),
    }
}

/// Returns the file that a command runs.
fn script_of<'a>(words: &[&'a str]) -> Option<&'a str> {
    let (program, arguments) = words.split_first()?;
    let name = program.rsplit('/').next().unwrap_or(program);
    if INTERPRETERS.contains(&name) {
        return arguments.iter().find(|word| !word.starts_with('-')).copied();
    }
    Some(*program).filter(|program| !program.is_empty())
}

/// Returns whether a new file is found before the installed module of the same name.
fn shadows(words: &[&str], file: &ChangedFile) -> bool {
    let module = words.iter().position(|word| *word == "-m").and_then(|at| words.get(at + 1));
    let is_python =
        words.first().is_some_and(|program| program.rsplit('/').next().is_some_and(|n| n.starts_with("python")));
    file.old_mode == 0
        && is_python
        && module.is_some_and(|module| {
            let place = module.replace('.', "/");
            file.path == format!("{place}.py") || file.path.starts_with(&format!("{place}/"))
        })
}

/// Splits a shell line into simple commands, each as its words without quotes and without prefixes of the program.
fn commands_of(check: &str) -> Vec<Vec<&str>> {
    check
        .split(|c: char| "&|;\n()".contains(c))
        .map(|command| {
            let words = command.split_whitespace().map(|word| word.trim_matches(|c| "\"'`{}".contains(c)));
            let words = words.map(|word| word.strip_prefix("./").unwrap_or(word)).filter(|word| !word.is_empty());
            words.skip_while(|word| PREFIXES.contains(word) || word.contains('=')).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::patch::Mark;
    use super::*;
    use proptest::prelude::*;

    fn file(path: &str) -> ChangedFile {
        ChangedFile { path: path.to_owned(), old_mode: 0o100_644, new_mode: 0o100_644 }
    }

    /// Whether a change of `path` by one added line decides about `check`.
    fn decides(check: &str, path: &str, line: &str) -> bool {
        let line = Line { path: path.to_owned(), number: 1, mark: Mark::Added, text: line };
        !deciding_files(&[check.to_owned()], &[], &[file(path)], &[line]).is_empty()
    }

    #[test]
    fn a_file_that_a_check_only_looks_at_is_the_work_itself() {
        let decide = |check: &str| {
            let files = ["answer", "check.sh", "tests/run.py"].map(file);
            deciding_files(&[check.to_owned()], &[], &files, &[])
        };
        for check in [
            "test -f answer",
            "test \"$(cat answer)\" = 42",
            "grep -q x answer && cat check.sh",
            "diff answer check.sh",
        ] {
            assert_eq!(decide(check), [""; 0], "{check}");
        }
        for check in
            ["./check.sh", "sh -e check.sh", "CI=1 bash ./check.sh answer", "true && time sh check.sh", "(sh check.sh)"]
        {
            assert_eq!(decide(check), ["check.sh"], "{check}");
        }
        assert_eq!(decide("python3 -u tests/run.py"), ["tests/run.py"]);
    }

    #[test]
    fn what_a_program_reads_its_rules_from_decides_wherever_it_lies() {
        for (check, path, line) in [
            ("make -C sub test", "sub/Makefile", "test: ; true"),
            ("cargo test", "core/build.rs", "x"),
            ("cargo test", ".cargo/config.toml", "x"),
            ("cargo test", "Cargo.toml", "[[test]]"),
            ("npm run test", "package.json", "  \"test\": \"exit 0\""),
            ("npx jest", "jest.config.js", "x"),
            ("npm test", "node_modules/.bin/jest", "exit 0"),
            ("python3 -m pytest -q", "tests/conftest.py", "def pytest_runtest_call(item):"),
            ("uv run pytest", "pyproject.toml", "addopts = '--ignore=tests'"),
            ("./gradlew test", "app/build.gradle", "ignoreFailures = true"),
        ] {
            assert!(decides(check, path, line), "{check}: {path}");
        }
    }

    #[test]
    fn the_ordinary_change_of_a_manifest_decides_nothing() {
        for (check, path, line) in [
            ("npm test", "package.json", "    \"left-pad\": \"^1.3.0\","),
            ("cargo test", "Cargo.toml", "serde = \"1\""),
            ("pytest", "conftest.py", "def shop():"),
            ("pytest", "pyproject.toml", "dependencies = [\"requests\"]"),
            ("mvn test", "pom.xml", "<artifactId>guava</artifactId>"),
            ("cargo test", "Makefile", "test: ; true"),
        ] {
            assert!(!decides(check, path, line), "{check}: {path}");
        }
    }

    #[test]
    fn a_new_module_with_the_name_of_the_checks_own_program_decides_and_an_old_one_is_work() {
        let check = ["python3 -m unittest -q".to_owned()];
        let new = ChangedFile { old_mode: 0, ..file("unittest/__main__.py") };
        assert_eq!(deciding_files(&check, &[], &[new], &[]), ["unittest/__main__.py"]);
        assert_eq!(deciding_files(&check, &[], &[file("unittest/__main__.py")], &[]), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_line_of_shell_breaks_the_search(line in "[-a-z./ &|;()\"'`$={}@\\\\\n]{0,60}", path in "[a-zA-Z./]{0,20}") {
            let lines = [line.clone()];
            scripts(&lines);
            commands_in(&path, &line);
            // What a check does not speak of does not decide about it.
            let found = deciding_files(&lines, &[], &[file("Zz/Qq.rs")], &[]);
            prop_assert!(found.is_empty());
        }
    }

    #[test]
    fn scripts_lead_to_the_scripts_that_they_run() {
        assert_eq!(scripts(&["sh check.sh && make -s test".to_owned()]), ["Makefile", "check.sh", "make"]);
        assert_eq!(scripts(&["npm test".to_owned()]), ["npm", "package.json"]);
        assert_eq!(commands_in("Makefile", "test:\n\t@sh scripts/verify.sh\n"), ["test:", "sh scripts/verify.sh"]);
        assert_eq!(commands_in("package.json", r#"{"scripts": {"test": "sh t.sh"}}"#), ["sh t.sh"]);
        assert_eq!(commands_in("server.js", "sh x.sh"), [""; 0]);
        let (checks, lines) = (["sh check.sh".to_owned()], ["sh scripts/verify.sh && sh greet.sh".to_owned()]);
        let files = ["scripts/verify.sh", "greet.sh"].map(file);
        assert_eq!(deciding_files(&checks, &lines, &files, &[]), ["scripts/verify.sh"]);
        assert!(is_for_checking("scripts/run-tests.sh") && is_for_checking("ci/all.sh"));
        assert!(!is_for_checking("install.sh") && !is_for_checking("src/server.js"));
    }
}
