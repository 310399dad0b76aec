//! Tests what an installation leaves open: the `PATH` of a unit without one, and the source of newer versions.

use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::{read_file, write_file};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The package's unit, as it lies there, and the agent of a person where only that person's `PATH` finds it.
fn packaged(place: &str) -> (SealedBox, PathBuf) {
    let sealed = SealedBox::new();
    let unit = read_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/orch.service"));
    let program = sealed.orch_program().to_string_lossy().into_owned();
    let file = sealed.home().join(place).join("orch.service");
    // The box's home is not the usual one.
    let home = format!("[Service]\nEnvironment=\"ORCH_HOME={}\"", sealed.orch_home().display());
    write_file(&file, &unit.replace("/usr/bin/orch", &program).replace("[Service]", &home));
    sealed.program("worker", "#!/bin/sh\n");
    sealed.config("agents: {worker: {kind: command, command: worker}}\nrouter: {agents: [worker]}\n");
    (sealed, file)
}

/// A systemd of a few lines, whose services have this `PATH`.
fn systemd(sealed: &SealedBox, path: &str, enabled: &str) {
    sealed.program(
        "systemctl",
        &format!(
            "#!/bin/sh\ncase \"$*\" in\n*show-environment*) echo 'HOME=/h'; echo 'PATH={path}' ;;\n\
             *show*) echo LoadState=loaded; echo UnitFileState={enabled} ;;\nesac\n"
        ),
    );
}

fn service(sealed: &SealedBox) -> Value {
    let report: Value = serde_json::from_str(&sealed.orch(["doctor", "--json"]).stdout).expect("a report");
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().find(|finding| finding["name"] == "service").unwrap_or_else(|| panic!("{report}")).clone()
}

#[test]
fn doctor_finds_that_a_unit_without_a_path_does_not_reach_the_agents() {
    let (sealed, _) = packaged(".config/systemd/user");
    let found = service(&sealed);
    assert_eq!(found["verdict"], "bad", "{found}");
    let text = found.to_string();
    for part in
        ["PATH of its supervisor, which has none of the agents", "your PATH finds worker", "orch service install"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    // As its systemd reports it; a PATH with the agent is fine.
    let bin = sealed.bin().to_string_lossy().into_owned();
    systemd(&sealed, &format!("{bin}:/usr/bin:/bin"), "enabled");
    assert_eq!(service(&sealed)["verdict"], "ok");
    systemd(&sealed, "/nowhere", "enabled");
    assert!(service(&sealed).to_string().contains("no tmux and no git"));
    // What a person adds to it by `systemctl --user edit` counts.
    let added = sealed.home().join(".config/systemd/user/orch.service.d/override.conf");
    write_file(&added, &format!("[Service]\nEnvironment=\"PATH={bin}:/usr/bin:/bin\"\n"));
    assert_eq!(service(&sealed)["verdict"], "ok");
    sealed.finish();
}

#[test]
fn a_unit_of_a_package_that_nobody_uses_is_no_fault_and_install_puts_one_with_a_path_in_its_place() {
    let (sealed, file) = packaged(".local/share/systemd/user");
    systemd(&sealed, "/usr/bin:/bin", "disabled");
    let found = service(&sealed);
    assert_eq!(found["verdict"], "ok", "{found}");
    assert!(found["detail"].as_str().is_some_and(|detail| detail.contains("orch service install")), "{found}");
    systemd(&sealed, "/usr/bin:/bin", "enabled");
    assert_eq!(service(&sealed)["verdict"], "bad", "it starts with the next login");
    let before = read_file(&file);
    let written = sealed.orch(["service", "install", "--dry-run", "--supervisor", "systemd"]).ok().stdout;
    assert!(written.contains(&format!("Environment=\"PATH={}", sealed.bin().display())), "{written}");
    write_file(&sealed.home().join(".config/systemd/user/orch.service"), &written);
    assert_eq!(service(&sealed)["verdict"], "ok");
    assert_eq!(read_file(&file), before, "the package's own is left alone");
    sealed.finish();
}

#[test]
fn what_cargo_has_installed_is_compared_with_the_checkout_it_came_from() {
    let mut sealed = SealedBox::new();
    let program = sealed.home().join(".cargo/bin/orch");
    std::fs::create_dir_all(program.parent().expect("a directory")).expect("made");
    sealed.run_program("cp").args([ORCH.as_ref(), program.as_os_str()]).run().ok();
    sealed.is_run_by(&program);
    let release = |sealed: &SealedBox| sealed.orch(["upgrade", "check", "--json"]).ok().json()["release"].clone();
    assert!(release(&sealed)["source"].is_null(), "nobody knows of it");
    assert!(sealed.orch(["upgrade", "check"]).ok().stdout.contains("/releases"));
    let checkout = sealed.home().join("src/orch");
    write_file(&checkout.join("Cargo.toml"), "[package]\nname = \"orch\"\nversion = \"99.0.0\"\n");
    let list = serde_json::json!({"installs": {format!("orch 0.1.0 (path+file://{})", checkout.display()): {}}});
    write_file(&sealed.home().join(".cargo/.crates2.json"), &list.to_string());
    let found = release(&sealed);
    assert_eq!(
        (&found["source"], &found["newest"], &found["is_newer"]),
        (&"cargo".into(), &"99.0.0".into(), &true.into()),
        "{found}"
    );
    let output = sealed.orch(["upgrade", "check"]).ok();
    assert!(output.stderr.contains(&format!("cargo install --locked --path '{}'", checkout.display())), "{output}");
    write_file(&checkout.join("Cargo.toml"), "nonsense");
    assert!(release(&sealed)["is_newer"].is_null());
    write_file(&sealed.home().join(".cargo/.crates2.json"), "{");
    assert!(release(&sealed)["source"].is_null());
    sealed.finish();
}
