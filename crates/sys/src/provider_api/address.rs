//! The addresses of a provider's API, and whether a key may be sent there. PURE.

use super::Style;
use crate::outgoing;
use orch_core::models::model_api::ModelApi;
use reqwest::Url;

/// Why an address cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The address is invalid.
    #[error("it is no address of an API: write https://HOST/v1, without a question mark")]
    NotOne,
    /// The address contains a user name or a password.
    #[error("it holds a name or a password; put the key into a variable, and name that in key_variable")]
    Credentials,
    /// The key would be sent unencrypted over a network.
    #[error("the key would go there unencrypted; use https://, or http:// to 127.0.0.1")]
    Unsafe,
    /// The key contains characters that a header cannot hold.
    #[error("the key holds a line break or another character that no key has; set the variable again")]
    Key,
}

/// A URL below the address of an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// Returns the URL of the list of models, below the address of an API.
    ///
    /// # Errors
    /// The address is invalid or contains credentials.
    pub fn of_models(base_url: &str, style: Style) -> Result<Self, AddressError> {
        let (version, query) = match style {
            Style::Anthropic => ("/v1", Some("limit=1000")),
            Style::Google => ("/v1beta", Some("pageSize=1000")),
            Style::OpenAi => ("", None),
        };
        let mut address = Self::below(base_url, |base| {
            let version = if is_versioned(base) { "" } else { version };
            format!("{base}{version}/models")
        })?;
        address.0.set_query(query);
        Ok(address)
    }

    /// Returns the URL for questions, below the address of an API.
    ///
    /// # Errors
    /// The address is invalid or contains credentials.
    pub fn of_questions(base_url: &str, provider: &str, api: ModelApi) -> Result<Self, AddressError> {
        Self::below(base_url, |base| {
            let version = match (provider, api) {
                // Google's OpenAI-compatible API has its own path.
                ("google", ModelApi::Chat) if base.ends_with("/openai") => "",
                ("google", ModelApi::Chat) if is_versioned(base) => "/openai",
                ("google", ModelApi::Chat) => "/v1beta/openai",
                (_, ModelApi::Messages) if !is_versioned(base) => "/v1",
                (_, ModelApi::Messages | ModelApi::Responses | ModelApi::Chat) => "",
            };
            format!("{base}{version}{}", api.path())
        })
    }

    fn below(base_url: &str, path: impl FnOnce(&str) -> String) -> Result<Self, AddressError> {
        let mut url = Url::parse(base_url.trim()).map_err(|_| AddressError::NotOne)?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::NotOne);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        let path = path(url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }

    /// Returns the URL to request.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn url(&self) -> Url {
        self.0.clone()
    }

    /// Returns whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        self.0.host_str().is_some_and(outgoing::is_here)
    }

    /// Checks that a key may be sent there.
    pub fn is_safe(&self) -> bool {
        self.is_encrypted() || self.is_loopback()
    }
}

fn is_versioned(base: &str) -> bool {
    base.rsplit('/').next().is_some_and(|last| last.starts_with('v') && last.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_api_has_its_list_below_its_address() {
        for (base, style, expected) in [
            ("https://api.anthropic.com", Style::Anthropic, "https://api.anthropic.com/v1/models?limit=1000"),
            ("https://x.test/anthropic/v1/", Style::Anthropic, "https://x.test/anthropic/v1/models?limit=1000"),
            ("https://api.openai.com/v1", Style::OpenAi, "https://api.openai.com/v1/models"),
            ("https://api.deepseek.com", Style::OpenAi, "https://api.deepseek.com/models"),
            (" http://127.0.0.1:8080/v1/ ", Style::OpenAi, "http://127.0.0.1:8080/v1/models"),
            ("https://g.test", Style::Google, "https://g.test/v1beta/models?pageSize=1000"),
            ("https://g.test/v1", Style::Google, "https://g.test/v1/models?pageSize=1000"),
        ] {
            assert_eq!(Address::of_models(base, style).expect("an address").as_str(), expected);
        }
    }

    #[test]
    fn each_api_has_its_place_for_questions_below_its_address() {
        let messages = ModelApi::Messages;
        for (base, provider, api, expected) in [
            ("https://api.anthropic.com", "anthropic", messages, "https://api.anthropic.com/v1/messages"),
            ("https://x.test/anthropic/v1/", "minimax", messages, "https://x.test/anthropic/v1/messages"),
            ("https://api.openai.com/v1", "openai", ModelApi::Responses, "https://api.openai.com/v1/responses"),
            ("http://[::1]:8080/v1/", "local", ModelApi::Chat, "http://[::1]:8080/v1/chat/completions"),
            ("https://api.deepseek.com", "deepseek", ModelApi::Chat, "https://api.deepseek.com/chat/completions"),
            ("https://g.test", "google", ModelApi::Chat, "https://g.test/v1beta/openai/chat/completions"),
            ("https://g.test/v1beta", "google", ModelApi::Chat, "https://g.test/v1beta/openai/chat/completions"),
            ("https://g.test/v1/openai/", "google", ModelApi::Chat, "https://g.test/v1/openai/chat/completions"),
        ] {
            assert_eq!(Address::of_questions(base, provider, api).expect("an address").as_str(), expected);
        }
    }

    #[test]
    fn what_is_no_address_of_an_api_is_refused() {
        for (base, error) in [
            ("", AddressError::NotOne),
            ("localhost:8080", AddressError::NotOne),
            ("ftp://x.test", AddressError::NotOne),
            ("https://", AddressError::NotOne),
            ("https://x.test/?key=1", AddressError::NotOne),
            ("https://x.test/#v1", AddressError::NotOne),
            ("https://sk-1@x.test", AddressError::Credentials),
            ("https://a:b@x.test", AddressError::Credentials),
        ] {
            assert_eq!(Address::of_models(base, Style::OpenAi), Err(error), "{base}");
        }
    }

    #[test]
    fn a_key_goes_over_tls_or_stays_on_the_machine() {
        for (base, safe, loopback) in [
            ("https://x.test", true, false),
            ("https://127.0.0.1", true, true),
            ("http://127.0.0.1:1", true, true),
            ("http://127.9.9.9", true, true),
            ("http://[::1]:8080/v1", true, true),
            ("http://LOCALHOST", true, true),
            ("http://localhost.evil.test", false, false),
            ("http://127.0.0.1.evil.test", false, false),
            ("http://0.0.0.0", false, false),
            ("http://192.168.1.2", false, false),
            ("http://x.test", false, false),
        ] {
            let address = Address::of_models(base, Style::OpenAi).expect("an address");
            assert_eq!((address.is_safe(), address.is_loopback()), (safe, loopback), "{base}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(base in "(https?://)?\\PC{0,40}") {
            if let Ok(address) = Address::of_models(&base, Style::Anthropic) {
                prop_assert!(address.as_str().ends_with("/models?limit=1000"));
                let url = address.url();
                prop_assert!(url.username().is_empty() && url.password().is_none() && url.host_str().is_some());
            }
        }
    }
}
