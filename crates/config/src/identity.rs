//! Determines the person's identity for claims: the name that they chose, else their login in the configuration of the
//! forge's CLI, else user@host. PURE, without network: the file's text is an argument.

use super::yaml;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Variable with the chosen name.
pub const VARIABLE: &str = "ORCH_IDENTITY";
/// Largest file of logins that is read, in bytes.
pub const LARGEST: usize = 64 << 10;
/// The forge whose login is preferred.
const FORGE: &str = "github.com";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Host {
    user: Option<String>,
}

/// Returns the file in which the forge's CLI (`gh`) keeps its logins.
pub fn logins_file(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    let dir = |name: &str| non_empty(environment, name).map(PathBuf::from);
    let config = || dir("XDG_CONFIG_HOME").or_else(|| dir("HOME").map(|home| home.join(".config")));
    let dir = dir("GH_CONFIG_DIR").or_else(|| config().map(|config| config.join("gh")))?;
    Some(dir.join("hosts.yml")).filter(|file| file.is_absolute() && file != Path::new("/"))
}

/// Returns the identity of the person with this environment. `logins` is the text of [`logins_file`], `host` the name of
/// the machine.
pub fn identity(environment: &BTreeMap<String, String>, logins: Option<&str>, host: &str) -> String {
    let chosen = non_empty(environment, VARIABLE).map(str::to_owned);
    chosen.or_else(|| logins.and_then(login)).unwrap_or_else(|| {
        let user = non_empty(environment, "USER").or_else(|| non_empty(environment, "LOGNAME")).unwrap_or("somebody");
        format!("{user}@{host}")
    })
}

fn non_empty<'a>(environment: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

/// Returns the login in the file: of [`FORGE`], else of the first forge.
fn login(text: &str) -> Option<String> {
    let hosts: BTreeMap<String, Host> = yaml::read_or_default(text).ok()?;
    let usual = hosts.get(FORGE).and_then(|host| host.user.clone());
    let user = usual.or_else(|| hosts.into_values().find_map(|host| host.user))?;
    Some(user.trim().to_owned()).filter(|user| !user.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_chosen_name_comes_before_the_login_and_that_before_the_machine() {
        let hosts = "example.org:\n    user: other\ngithub.com:\n    git_protocol: https\n    users:\n        ada:\n    user: ada\n";
        let chosen = environment(&[("ORCH_IDENTITY", " boss "), ("USER", "root")]);
        assert_eq!(identity(&chosen, Some(hosts), "mill"), "boss");
        let user = environment(&[("USER", "root"), ("ORCH_IDENTITY", "")]);
        assert_eq!(identity(&user, Some(hosts), "mill"), "ada");
        assert_eq!(identity(&user, Some("example.org: {user: other}"), "mill"), "other");
        for nothing in [None, Some(""), Some("]["), Some("github.com: {}")] {
            assert_eq!(identity(&user, nothing, "mill"), "root@mill", "{nothing:?}");
        }
        assert_eq!(identity(&environment(&[]), None, "mill"), "somebody@mill");
    }

    #[test]
    fn the_logins_are_where_the_forges_cli_keeps_them() {
        let file = |pairs: &[(&str, &str)]| logins_file(&environment(pairs)).map(|file| file.display().to_string());
        assert_eq!(file(&[("HOME", "/home/ada")]).as_deref(), Some("/home/ada/.config/gh/hosts.yml"));
        assert_eq!(file(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]).as_deref(), Some("/x/gh/hosts.yml"));
        assert_eq!(file(&[("HOME", "/h"), ("GH_CONFIG_DIR", "/gh")]).as_deref(), Some("/gh/hosts.yml"));
        assert_eq!(file(&[]), None);
    }
}
