//! The repository of the demo: a greeting in shell, and a check that all work must pass.

/// The name of a file and its content.
pub(super) type File = (&'static str, &'static str);

/// The files of the first commit, including `.orch.yml`, as in any project.
pub(super) const FILES: [File; 4] = [
    ("README.md", "# greet\n\nSays hello: `sh greet.sh Ada`. `sh check.sh` checks it.\n"),
    ("greet.sh", "#!/bin/sh\n# Greets whom the first argument names.\necho \"Hello, ${1:-world}!\"\n"),
    ("check.sh", CHECK),
    (".orch.yml", "name: greet\nworkflow:\n  checks: [sh check.sh]\n  integrate: merge\n"),
];

/// While an agent works (`ORCH_AGENT`), the check is lenient; its result must satisfy more. So the first attempt at a
/// new script fails, and the output of the check says what is missing.
const CHECK: &str = r##"#!/bin/sh
# Checks the project. orch runs it on everything that shall land.
fail() {
  echo "check.sh: $1" >&2
  exit 1
}
sh greet.sh Ada | grep -qx 'Hello, Ada!' || fail 'greet.sh does not greet Ada'
[ -f farewell.sh ] || exit 0
sh farewell.sh Ada | grep -qx 'Goodbye, Ada!' || fail 'farewell.sh does not say goodbye to Ada'
[ -n "${ORCH_AGENT:-}" ] || grep -q '^# Usage: ' farewell.sh ||
  fail 'farewell.sh has no line "# Usage: ..." that tells how it is called'
"##;
