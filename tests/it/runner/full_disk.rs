//! Tests a disk that is full for a while: the agent continues, the gap is marked, and the report is written when there
//! is space.

use super::Fixture;
use crate::kit::process::Program;
use crate::kit::wait::{RUN, wait_until};
use crate::kit::{read_file, write_file};
use orch_runner::RunReport;

/// Mounts a small disk over the run's directory, runs the runner there, and takes its files out again. The agent's own
/// output is on another disk: what an agent cannot write itself is its own affair.
const ON_A_SMALL_DISK: &str = r#"
set -e
mkdir "$HOME_DIR/disk"; mount -t tmpfs -o size=256k none "$HOME_DIR/disk"
cp -a "$RUN_DIR/." "$HOME_DIR/disk/"; mount --bind "$HOME_DIR/disk" "$RUN_DIR"
: > "$HOME_DIR/events"; : > "$RUN_DIR/events.jsonl"; mount --bind "$HOME_DIR/events" "$RUN_DIR/events.jsonl"
"$ORCH" __run "$RUN_DIR" > "$HOME_DIR/pane" 2>&1 &
until grep -q 'run ended' "$HOME_DIR/pane"; do sleep 0.02; done
: > "$HOME_DIR/ended"
until [ -e "$HOME_DIR/go-on" ]; do sleep 0.02; done
[ ! -e "$RUN_DIR/outcome.json" ]
rm "$RUN_DIR/filler"
wait $!
cp "$RUN_DIR/outcome.json" "$RUN_DIR/transcript.log" "$HOME_DIR/"
"#;

/// Prints, fills the disk, prints, frees space, prints, and fills it again.
const AGENT: &str = r#"
# It fails when the disk is full, as it should be.
fill() { dd if=/dev/zero of="$RUN_DIR/filler" bs=1k count=1024 2> /dev/null || true; }
shown() { until grep -q "$1" "$HOME_DIR/pane"; do sleep 0.02; done; }
echo before; shown before; fill
i=0; while [ $i -lt 2000 ]; do echo "lost $i of a flood that no page has room for"; i=$((i+1)); done; shown 'lost 1999'
rm "$RUN_DIR/filler"
echo after; shown after; fill
"#;

#[test]
fn a_full_disk_ends_nothing_and_the_gap_is_marked() {
    let fixture = Fixture::new(AGENT);
    let [home, run] = [fixture.home.path(), fixture.dir().path()].map(|path| path.to_str().expect("text").to_owned());
    let fixture = fixture.env("HOME_DIR", &home).env("RUN_DIR", &run);
    let env = [("HOME_DIR", home.as_str()), ("RUN_DIR", run.as_str()), ("ORCH", env!("CARGO_BIN_EXE_orch"))];
    let may_mount = "mkdir -p \"$HOME_DIR/try\" && mount -t tmpfs none \"$HOME_DIR/try\"";
    let unshare = |script: &str| {
        let program = Program::new("unshare", fixture.home.path()).args(["-rm", "sh", "-c", script]);
        program.envs(env).deadline(RUN)
    };
    let can_try = Program::new("sh", fixture.home.path()).args(["-c", "command -v unshare"]).run().code == Some(0);
    if !can_try || unshare(may_mount).run().code != Some(0) {
        // Only Linux lets anybody mount a disk of his own, and not everywhere.
        return;
    }
    fixture.prepare();
    let ran = unshare(ON_A_SMALL_DISK).start();
    wait_until("the run to end on a full disk", RUN, || fixture.home.path().join("ended").exists());
    write_file(&fixture.home.path().join("go-on"), "");
    let ran = ran.finish(RUN);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let transcript = read_file(&fixture.home.path().join("transcript.log"));
    let lines: Vec<&str> = transcript.lines().collect();
    let place = |wanted: &str| lines.iter().position(|line| *line == wanted);
    let is_gap = |line: &&str| line.ends_with("could not be written here: the disk was full");
    let gap = lines.iter().position(is_gap).unwrap_or_else(|| panic!("no gap in {transcript}"));
    assert!(place("before") < Some(gap) && Some(gap) < place("after"), "{transcript}");
    let lost: usize = lines[gap].split(' ').nth(1).and_then(|number| number.parse().ok()).expect("a number");
    let flood = lines.iter().filter(|line| line.starts_with("lost ")).count();
    assert_eq!(lost + flood, 2000, "every line is there or counted");
    assert!(lines.iter().all(|line| !line.starts_with("lost ") || line.ends_with("has room for")), "no half lines");
    let report =
        serde_json::from_str::<RunReport>(&read_file(&fixture.home.path().join("outcome.json"))).expect("a report");
    let lost =
        report.warnings.iter().any(|text| text.starts_with("the transcript misses ") && text.contains("was full"));
    assert!(lost, "{:?}", report.warnings);
    assert_eq!(report.exit.and_then(|exit| exit.code), Some(0));
}
