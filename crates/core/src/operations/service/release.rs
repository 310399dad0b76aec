//! Compares versions of orch, and finds the version that is installed on disk. Pure.

use serde::Serialize;
use std::cmp::Ordering;

/// How the program on disk relates to the running daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisk {
    /// The same build.
    Same,
    /// A newer version.
    Newer,
    /// An older version.
    Older,
    /// Another build of the same version.
    OtherBuild,
    /// The program is not there any more.
    Missing,
    /// The relation is unknown.
    Unknown,
}

impl OnDisk {
    /// Whether a restart would change the running version.
    pub fn waits(self) -> bool {
        match self {
            Self::Newer | Self::Older | Self::OtherBuild => true,
            Self::Same | Self::Missing | Self::Unknown => false,
        }
    }
}

/// Compares the running version with the one on disk. `same_file`: whether both are the same file, where that is known.
pub fn on_disk(running: &str, disk: Option<&str>, same_file: Option<bool>) -> OnDisk {
    let Some(disk) = disk else { return OnDisk::Unknown };
    match compare(disk, running) {
        None => OnDisk::Unknown,
        Some(Ordering::Greater) => OnDisk::Newer,
        Some(Ordering::Less) => OnDisk::Older,
        Some(Ordering::Equal) if same_file == Some(false) => OnDisk::OtherBuild,
        Some(Ordering::Equal) => OnDisk::Same,
    }
}

/// Compares two versions by semver, ignoring build metadata. `None` if one is not a version.
pub fn compare(one: &str, other: &str) -> Option<Ordering> {
    let (one, other) = (Version::parse(one)?, Version::parse(other)?);
    let pre = match (one.pre.map(identifiers), other.pre.map(identifiers)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(one), Some(other)) => one.cmp(&other),
    };
    Some(one.numbers.cmp(&other.numbers).then(pre))
}

fn identifiers(pre: &str) -> Vec<(bool, u64, &str)> {
    pre.split('.').map(identifier).collect()
}

/// Returns a sort key that orders numbers before words, as semver does.
fn identifier(text: &str) -> (bool, u64, &str) {
    text.parse().map_or((true, 0, text), |number| (false, number, ""))
}

struct Version<'a> {
    numbers: [u64; 3],
    pre: Option<&'a str>,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v').split('+').next()?;
        let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
        let mut parts = core.split('.').map(str::parse);
        let numbers = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?];
        parts.next().is_none().then_some(Self { numbers, pre })
    }
}

/// Returns the version that apt would install, from `apt-cache policy`. `None` if no repository has the package: for a
/// package installed from a file, apt reports the installed version.
pub fn candidate_of_apt(text: &str) -> Option<String> {
    let is_of_repository = |line: &str| {
        let mut words = line.split_whitespace();
        let priority = words.next().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        priority && words.next().is_some_and(|place| place.contains('/') && place != "/var/lib/dpkg/status")
    };
    let table = text.lines().skip_while(|line| line.trim() != "Version table:");
    table.skip(1).any(is_of_repository).then_some(())?;
    let candidate = text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    Some(candidate.split('-').next().unwrap_or(candidate).to_owned())
}

/// The source from which cargo has installed a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CargoSource {
    /// A local directory.
    Checkout(String),
    /// A git repository.
    Git(String),
    /// A registry.
    Registry,
}

/// Returns the source from cargo's list of installed programs (`.crates2.json`).
pub fn source_of_cargo(list: &serde_json::Value, name: &str) -> Option<CargoSource> {
    let installs = list.get("installs")?.as_object()?;
    let source = installs.keys().find_map(|key| {
        let (_, rest) = key.strip_prefix(name)?.strip_prefix(' ')?.split_once(" (")?;
        rest.strip_suffix(')')
    })?;
    if let Some(path) = source.strip_prefix("path+file://") {
        let plain = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
        return Some(CargoSource::Checkout(plain.split('#').next().unwrap_or_default().to_owned()));
    }
    if let Some(url) = source.strip_prefix("git+") {
        return Some(CargoSource::Git(url.split(['?', '#']).next().unwrap_or_default().to_owned()));
    }
    Some(CargoSource::Registry)
}

/// Returns the package version in a `Cargo.toml`.
pub fn version_of_manifest(text: &str) -> Option<&str> {
    let package = text.lines().skip_while(|line| line.trim() != "[package]").skip(1);
    let mut own = package.take_while(|line| !line.trim_start().starts_with('['));
    own.find_map(|line| line.strip_prefix("version")?.trim_start().strip_prefix('=')?.trim().trim_matches('"').into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_stand_in_the_order_of_semver() {
        let order = [
            "0.1.0-alpha",
            "0.1.0-alpha.1",
            "0.1.0-alpha.beta",
            "0.1.0-beta.2",
            "0.1.0-beta.11",
            "0.1.0",
            "0.2.0",
            "0.10.0",
            "1.0.0",
        ];
        for (at, one) in order.iter().enumerate() {
            for (beside, other) in order.iter().enumerate() {
                assert_eq!(compare(one, other), Some(at.cmp(&beside)), "{one} {other}");
            }
        }
        assert_eq!(compare("v1.2.3+abc", "1.2.3"), Some(Ordering::Equal));
        for odd in ["", "1", "1.2", "1.2.3.4", "a.b.c", "1.2.-3"] {
            assert_eq!(compare(odd, "1.2.3"), None, "{odd}");
        }
    }

    #[test]
    fn what_waits_on_the_disk_is_told() {
        assert_eq!(on_disk("0.1.0", Some("0.2.0"), None), OnDisk::Newer);
        assert_eq!(on_disk("0.2.0", Some("0.1.0"), Some(false)), OnDisk::Older);
        assert_eq!(on_disk("0.2.0", Some("0.2.0"), Some(false)), OnDisk::OtherBuild);
        assert_eq!(on_disk("0.2.0", Some("0.2.0"), None), OnDisk::Same);
        assert_eq!(on_disk("0.2.0", None, None), OnDisk::Unknown);
        assert!(OnDisk::OtherBuild.waits() && !OnDisk::Missing.waits());
    }

    #[test]
    fn apt_knows_of_a_newer_one_only_where_a_repository_does() {
        let table = |more: &str| {
            format!(
                "orch:\n  Installed: 0.1.0\n  Candidate: 0.2.0-1\n  Version table:\n *** 0.1.0 100\n        \
                 100 /var/lib/dpkg/status\n{more}"
            )
        };
        assert_eq!(candidate_of_apt(&table("")), None, "it was installed from a file");
        let known = table("     0.2.0-1 500\n        500 https://deb.example.test stable/main amd64 Packages\n");
        assert_eq!(candidate_of_apt(&known).as_deref(), Some("0.2.0"));
        assert_eq!((candidate_of_apt(""), candidate_of_apt("Candidate: 1.0.0\n")), (None, None));
    }

    #[test]
    fn cargo_has_written_down_from_where_it_installed() {
        let of = |key: &str| source_of_cargo(&serde_json::json!({"installs": {"fd 1.0.0 (x)": {}, key: {}}}), "orch");
        let checkout = |path: &str| Some(CargoSource::Checkout(path.to_owned()));
        assert_eq!(of("orch 0.1.0 (path+file:///home/ada/my%20orch)"), checkout("/home/ada/my orch"));
        assert_eq!(of("orch 0.1.0 (path+file:///o#orch@0.1.0)"), checkout("/o"));
        let git = CargoSource::Git("https://example.test/orch".to_owned());
        assert_eq!(of("orch 0.1.0 (git+https://example.test/orch?branch=main#0123)"), Some(git));
        assert_eq!(of("orch 0.1.0 (registry+https://example.test)"), Some(CargoSource::Registry));
        assert_eq!((of("orchid 0.1.0 (path+file:///o)"), of("orch")), (None, None));
        assert_eq!(source_of_cargo(&serde_json::json!([1]), "orch"), None);
    }

    #[test]
    fn a_manifest_tells_its_own_version_and_not_that_of_a_dependency() {
        let text = "[workspace]\nversion = \"9\"\n[package]\nname = \"orch\"\nversion = \"0.3.0\"\n[dependencies]\n";
        assert_eq!(version_of_manifest(text), Some("0.3.0"));
        assert_eq!(version_of_manifest("[package]\nname = \"x\"\n[dependencies]\nversion = \"1\"\n"), None);
    }

    proptest! {
        #[test]
        fn what_others_say_is_read_or_not(text in ".{0,200}") {
            candidate_of_apt(&text);
            version_of_manifest(&text);
            source_of_cargo(&serde_json::json!({"installs": {text: {}}}), "orch");
        }

        #[test]
        fn comparing_is_an_order(one in "[0-9]{1,3}\\.[0-9]\\.[0-9](-[a-z0-9]{1,3})?", other in "[0-9]{1,3}\\.[0-9]\\.[0-9](-[a-z0-9]{1,3})?") {
            prop_assert_eq!(compare(&one, &other), compare(&other, &one).map(Ordering::reverse));
            prop_assert_eq!(compare(&one, &one), Some(Ordering::Equal));
        }
    }
}
