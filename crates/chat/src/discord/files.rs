//! Downloads attached files, only from Discord's own hosts, because the URL comes with a message.

use crate::attached;
use orch_sys::outgoing;
use reqwest::Url;
use std::time::Duration;

/// Hosts of Discord's files.
const HOSTS: [&str; 2] = ["cdn.discordapp.com", "media.discordapp.net"];
/// Time limits of connecting, and of the whole request.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(30));

/// Downloads files from allowed hosts.
#[derive(Debug, Clone)]
pub struct Files {
    /// URL of another API than Discord's, whose host also has the files.
    elsewhere: Option<Url>,
}

impl Files {
    /// Creates a downloader for Discord, or for the server at `api_url`.
    pub fn new(api_url: Option<&str>) -> Self {
        Self { elsewhere: api_url.and_then(|url| url.parse().ok()) }
    }

    fn allows(&self, url: &Url) -> bool {
        let is_discords = url.scheme() == "https" && url.host_str().is_some_and(|host| HOSTS.contains(&host));
        let is_elsewhere = self.elsewhere.as_ref().is_some_and(|api| api.origin() == url.origin());
        (is_discords && url.port().is_none() || is_elsewhere) && url.username().is_empty()
    }

    /// Downloads a file of limited size.
    ///
    /// # Errors
    /// The file cannot be downloaded; the error is a message for the user.
    pub async fn fetch(&self, url: &str) -> Result<Vec<u8>, String> {
        let url = url.parse::<Url>().ok().filter(|url| self.allows(url));
        let url = url.ok_or("its URL is not one of Discord's files")?;
        let (connect, whole) = PATIENCE;
        let is_encrypted = url.scheme() == "https";
        let client = outgoing::client(is_encrypted, !is_encrypted, connect);
        let client = client.map_err(|_| "no trusted certificates on this machine; install ca-certificates")?;
        let describe = |error: reqwest::Error| outgoing::describe_failure(&error).to_owned();
        let response = client.get(url).timeout(whole).send().await.map_err(describe)?;
        if !response.status().is_success() {
            return Err(format!("the server answers {}", response.status().as_u16()));
        }
        outgoing::body(response, attached::LARGEST).await.map_err(describe)?.ok_or_else(|| "it is too large".to_owned())
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
