//! The HTTP client for external services: no redirects, no retries, and a size limit on response bodies. Knows no
//! particular service.

use reqwest::{Client, Response, redirect, retry};
use std::net::IpAddr;
use std::time::Duration;

/// Builds a client for a server. `is_here` means that the server runs on this machine and is reached without a proxy.
///
/// # Errors
/// There are no trusted certificates on this machine.
pub fn client(is_encrypted: bool, is_here: bool, connect: Duration) -> Result<Client, reqwest::Error> {
    // Fails when a provider is installed already.
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = Client::builder()
        .user_agent(concat!("orch/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(connect);
    let client = if is_here { client.no_proxy() } else { client };
    if is_encrypted {
        return client.build();
    }
    // Without encryption no certificate is checked, so none needs to be installed on the machine.
    let none = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
    client.tls_backend_preconfigured(none.with_no_client_auth()).build()
}

/// Returns whether the host of a URL is this machine.
pub fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Reads the body of a response; `None` when it is larger than `largest` bytes.
///
/// # Errors
/// The connection broke.
pub async fn body(mut response: Response, largest: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > largest {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Describes why a request got no answer, without its address, which may be a secret.
pub fn describe_failure(error: &reqwest::Error) -> &'static str {
    match (error.is_timeout(), error.is_connect()) {
        (true, _) => "the server did not answer in time",
        (false, true) => "the server cannot be reached",
        (false, false) => "the connection broke",
    }
}
