//! The definition files of supervisors: their paths and contents.

use orch_core::operations::service::definition::{Definition, LABEL, UNIT};
use orch_core::operations::service::supervisor::Supervisor;
use orch_sys::fs;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest definition that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// An installed definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its supervisor.
    pub supervisor: Supervisor,
    /// Its path.
    pub file: PathBuf,
    /// Its parsed content, including drop-ins.
    pub definition: Definition,
    /// Its text.
    pub text: String,
    /// Whether it belongs to a package, so that orch must not change it.
    pub is_packaged: bool,
}

/// Returns the directory of a person's systemd units.
fn units(dir: &Path, config: Option<&Path>) -> PathBuf {
    config.map_or_else(|| dir.join(".config"), Path::to_owned).join("systemd/user")
}

/// Returns the path that orch writes for a supervisor; Homebrew writes its own.
pub fn file_for(supervisor: Supervisor, dir: &Path, config: Option<&Path>) -> Option<PathBuf> {
    match supervisor {
        Supervisor::Systemd => Some(units(dir, config).join(UNIT)),
        Supervisor::Launchd => Some(dir.join("Library/LaunchAgents").join(format!("{LABEL}.plist"))),
        Supervisor::Homebrew => None,
    }
}

/// Returns all installed definitions. A person's unit replaces one from a package.
pub fn found(dir: &Path, config: Option<&Path>) -> Vec<Found> {
    let agents = dir.join("Library/LaunchAgents");
    let own_unit = units(dir, config).join(UNIT);
    let drop_ins = drop_ins(dir, config);
    let read = |supervisor, file| read(supervisor, file, &drop_ins);
    let mut all = vec![
        read(Supervisor::Homebrew, agents.join("homebrew.mxcl.orch.plist")),
        read(Supervisor::Homebrew, units(dir, config).join("homebrew.orch.service")),
        read(Supervisor::Launchd, agents.join(format!("{LABEL}.plist"))),
        read(Supervisor::Systemd, own_unit.clone()),
    ];
    if !own_unit.exists() {
        let unit = packaged(dir).into_iter().find_map(|place| read(Supervisor::Systemd, place.join(UNIT)));
        all.push(unit.map(|unit| Found { is_packaged: true, ..unit }));
    }
    all.into_iter().flatten().collect()
}

/// Returns the directories of packaged user units, in order of precedence.
fn packaged(dir: &Path) -> Vec<PathBuf> {
    let places = ["/etc/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"];
    std::iter::once(dir.join(".local/share/systemd/user")).chain(places.map(PathBuf::from)).collect()
}

/// Returns the drop-ins that a person has added to the unit (`systemctl --user edit orch`). Of two with the same name,
/// the person's wins.
fn drop_ins(dir: &Path, config: Option<&Path>) -> String {
    let mut texts = BTreeMap::new();
    for place in packaged(dir).into_iter().rev().chain([units(dir, config)]) {
        for entry in std::fs::read_dir(place.join(format!("{UNIT}.d"))).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "conf")
                && let Ok(text) = fs::read_text(&path, LARGEST)
            {
                texts.insert(entry.file_name(), text);
            }
        }
    }
    texts.into_values().fold(String::new(), |all, text| all + "\n" + &text)
}

fn read(supervisor: Supervisor, file: PathBuf, drop_ins: &str) -> Option<Found> {
    let text = fs::read_text(&file, LARGEST).ok()?;
    let is_unit = file.extension().is_some_and(|extension| extension == "service");
    let definition = match supervisor {
        // Homebrew's unit has another name, so drop-ins of this one do not apply.
        Supervisor::Homebrew if is_unit => Definition::of_unit(&text),
        Supervisor::Systemd => Definition::of_unit(&format!("{text}{drop_ins}")),
        Supervisor::Homebrew | Supervisor::Launchd => Definition::of_plist(&text),
    };
    Some(Found { supervisor, file, definition, text, is_packaged: false })
}

/// Writes a definition.
///
/// # Errors
/// It cannot be written; the previous file is unchanged.
pub fn write(file: &Path, text: &str) -> Result<(), fs::FsError> {
    if let Some(dir) = file.parent() {
        fs::create_dirs(dir)?;
    }
    fs::write_private(file, text.as_bytes(), fs::Durability::Synced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_found_where_their_supervisors_look() {
        let dir = tempfile::tempdir().expect("a directory");
        let unit = file_for(Supervisor::Systemd, dir.path(), None).expect("a place");
        let list = file_for(Supervisor::Launchd, dir.path(), None).expect("a place");
        assert_eq!(file_for(Supervisor::Homebrew, dir.path(), None), None);
        let definition = Definition { program: "/bin/orch".to_owned(), ..Definition::default() };
        write(&unit, &definition.unit().expect("a unit")).expect("written");
        write(&list, &definition.plist("/l").expect("a list")).expect("written");
        let all = found(dir.path(), None);
        let who: Vec<Supervisor> = all.iter().map(|found| found.supervisor).collect();
        assert_eq!(who, [Supervisor::Launchd, Supervisor::Systemd]);
        assert!(all.iter().all(|found| found.definition == definition));
        let added = dir.path().join(".config/systemd/user/orch.service.d/override.conf");
        write(&added, "[Service]\nEnvironment=PATH=/added\n").expect("written");
        let unit = found(dir.path(), None).pop().expect("the unit");
        assert_eq!(unit.definition.path.as_deref(), Some("/added"));
        assert!(!unit.text.contains("/added"), "what orch wrote is told from what a person added");
        let elsewhere = dir.path().join("elsewhere");
        let kept: Vec<_> = found(dir.path(), Some(&elsewhere)).into_iter().filter(|one| !one.is_packaged).collect();
        assert_eq!(kept.len(), 1, "units lie below XDG_CONFIG_HOME");
    }
}
