//! Requests to a service that is not ours: they follow nobody elsewhere and do nothing twice, and what is read of an answer
//! has an end. Knows no service.

use reqwest::{Client, Response, redirect, retry};
use std::time::Duration;

/// A client for a server; `is_here`: on this machine, which is reached without a proxy.
///
/// # Errors
/// There are no trusted certificates on this machine.
pub fn client(is_encrypted: bool, is_here: bool, connect: Duration) -> Result<Client, reqwest::Error> {
    // It fails when it was done before.
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
    // Where no certificate is looked at, none needs to be on the machine.
    let none = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
    client.tls_backend_preconfigured(none.with_no_client_auth()).build()
}

/// The body of an answer; `None`: it is larger than that.
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

/// What became of a request that was not answered, without its address: that may be a secret.
pub fn told(error: &reqwest::Error) -> &'static str {
    match (error.is_timeout(), error.is_connect()) {
        (true, _) => "the server did not answer in time",
        (false, true) => "the server cannot be reached",
        (false, false) => "the connection broke",
    }
}
