//! Files that people sent, fetched from where Discord keeps them and from nowhere else: the address comes with a message.

use crate::attached;
use orch_sys::outgoing;
use reqwest::Url;
use std::time::Duration;

/// Where Discord keeps them.
const HOSTS: [&str; 2] = ["cdn.discordapp.com", "media.discordapp.net"];
/// How long a connection may take, and everything.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(30));

/// Where files may be fetched.
#[derive(Debug, Clone)]
pub struct Files {
    /// Another API than Discord's: its files are there, too.
    elsewhere: Option<Url>,
}

impl Files {
    /// Of Discord, or of whoever stands at `api_url`.
    pub fn new(api_url: Option<&str>) -> Self {
        Self { elsewhere: api_url.and_then(|url| url.parse().ok()) }
    }

    fn allows(&self, url: &Url) -> bool {
        let is_discords = url.scheme() == "https" && url.host_str().is_some_and(|host| HOSTS.contains(&host));
        let is_elsewhere = self.elsewhere.as_ref().is_some_and(|api| api.origin() == url.origin());
        (is_discords && url.port().is_none() || is_elsewhere) && url.username().is_empty()
    }

    /// Fetches one, at most as much as a task takes.
    ///
    /// # Errors
    /// It is not to be had; in words.
    pub async fn fetch(&self, url: &str) -> Result<Vec<u8>, String> {
        let url = url.parse::<Url>().ok().filter(|url| self.allows(url));
        let url = url.ok_or("it is kept somewhere else than files of Discord are")?;
        let (connect, whole) = PATIENCE;
        let is_encrypted = url.scheme() == "https";
        let client = outgoing::client(is_encrypted, !is_encrypted, connect);
        let client = client.map_err(|_| "no trusted certificates on this machine; install ca-certificates")?;
        let told = |error: reqwest::Error| outgoing::describe_failure(&error).to_owned();
        let response = client.get(url).timeout(whole).send().await.map_err(told)?;
        if !response.status().is_success() {
            return Err(format!("the server answers {}", response.status().as_u16()));
        }
        outgoing::body(response, attached::LARGEST).await.map_err(told)?.ok_or_else(|| "it is too large".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_fetched_from_anywhere_else() {
        let (discords, own) = (Files::new(None), Files::new(Some("http://127.0.0.1:8081/api/v10")));
        let allows = |files: &Files, url: &str| url.parse().is_ok_and(|url| files.allows(&url));
        for url in
            ["https://cdn.discordapp.com/attachments/1/2/n.txt?ex=1", "https://media.discordapp.net/attachments/1"]
        {
            assert!(allows(&discords, url), "{url}");
        }
        for url in [
            "http://cdn.discordapp.com/n.txt",
            "https://cdn.discordapp.com.example/n.txt",
            "https://me@cdn.discordapp.com/n.txt",
            "https://cdn.discordapp.com:8443/n.txt",
            "http://127.0.0.1:8081/n.txt",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
            "nonsense",
        ] {
            assert!(!allows(&discords, url), "{url}");
            assert!(discords.fetch(url).await.is_err(), "{url}");
        }
        assert!(allows(&own, "http://127.0.0.1:8081/files/n.txt") && !allows(&own, "http://127.0.0.1:9/n.txt"));
    }
}
