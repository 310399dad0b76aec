//! Versions of orch beside each other: which is newer, and what waits on the disk. PURE.

use serde::Serialize;
use std::cmp::Ordering;

/// How the program on the disk stands to the daemon that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisk {
    /// It is what runs.
    Same,
    /// A newer version.
    Newer,
    /// An older version.
    Older,
    /// Another build of the same version.
    OtherBuild,
    /// The program is not there any more.
    Missing,
    /// It cannot be told.
    Unknown,
}

impl OnDisk {
    /// A restart would change what runs.
    pub fn waits(self) -> bool {
        match self {
            Self::Newer | Self::Older | Self::OtherBuild => true,
            Self::Same | Self::Missing | Self::Unknown => false,
        }
    }
}

/// Compares what runs with what is on the disk. `same_file`: whether both are one file, where that can be told.
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

/// Compares two versions as semver does, without what stands behind `+`. `None` where one is no version.
pub fn compare(one: &str, other: &str) -> Option<Ordering> {
    let (one, other) = (Version::of(one)?, Version::of(other)?);
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

/// Numbers come before words, as semver has it.
fn identifier(text: &str) -> (bool, u64, &str) {
    text.parse().map_or((true, 0, text), |number| (false, number, ""))
}

struct Version<'a> {
    numbers: [u64; 3],
    pre: Option<&'a str>,
}

impl<'a> Version<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v').split('+').next()?;
        let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
        let mut parts = core.split('.').map(str::parse);
        let numbers = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?];
        parts.next().is_none().then_some(Self { numbers, pre })
    }
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

    proptest! {
        #[test]
        fn comparing_is_an_order(one in "[0-9]{1,3}\\.[0-9]\\.[0-9](-[a-z0-9]{1,3})?", other in "[0-9]{1,3}\\.[0-9]\\.[0-9](-[a-z0-9]{1,3})?") {
            prop_assert_eq!(compare(&one, &other), compare(&other, &one).map(Ordering::reverse));
            prop_assert_eq!(compare(&one, &one), Some(Ordering::Equal));
        }
    }
}
