//! Who somebody is for claims: the name that they chose, else their login at the forge as its CLI has written it down,
//! else who they are on which machine. No network, and pure: the file's text is handed in.

use super::yaml;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The variable by which somebody chooses a name.
pub const VARIABLE: &str = "ORCH_IDENTITY";
/// The largest file of logins that is read, in bytes.
pub const LARGEST: usize = 64 << 10;
/// The forge whose login counts first.
const FORGE: &str = "github.com";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Host {
    user: Option<String>,
}

/// Where the forge's CLI (`gh`) keeps its logins.
pub fn logins_file(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    let dir = |name: &str| said(environment, name).map(PathBuf::from);
    let config = || dir("XDG_CONFIG_HOME").or_else(|| dir("HOME").map(|home| home.join(".config")));
    let dir = dir("GH_CONFIG_DIR").or_else(|| config().map(|config| config.join("gh")))?;
    Some(dir.join("hosts.yml")).filter(|file| file.is_absolute() && file != Path::new("/"))
}

/// The name of whoever has this environment. `logins`: the text of [`logins_file`]; `host`: how the machine is called.
pub fn identity(environment: &BTreeMap<String, String>, logins: Option<&str>, host: &str) -> String {
    let chosen = said(environment, VARIABLE).map(str::to_owned);
    chosen.or_else(|| logins.and_then(login)).unwrap_or_else(|| {
        let user = said(environment, "USER").or_else(|| said(environment, "LOGNAME")).unwrap_or("somebody");
        format!("{user}@{host}")
    })
}

fn said<'a>(environment: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

/// The login that the file tells; of several forges the usual one, else the first.
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
