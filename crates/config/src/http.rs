//! Parses the TCP address of the API, which must be a loopback address. PURE.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Parses an address such as `127.0.0.1:7777`. `localhost` is 127.0.0.1; port 0 lets the system choose.
///
/// # Errors
/// The text is not an address, or the address is reachable from other machines.
pub fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address = match text.strip_prefix("localhost:").map(str::parse) {
        Some(Ok(port)) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        Some(Err(_)) | None => text.parse::<SocketAddr>(),
    };
    let address = address.map_err(|_| format!("{text:?} is not an address: expected 127.0.0.1:PORT or [::1]:PORT"))?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "{text} is reached from other machines, and orch listens on loopback only: 127.0.0.1:{}; \
             for other machines put ssh or a proxy with TLS before it",
            address.port()
        ));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_taken_and_everything_else_refused() {
        for (text, address) in [
            ("127.0.0.1:7777", "127.0.0.1:7777"),
            ("127.9.9.9:0", "127.9.9.9:0"),
            ("localhost:80", "127.0.0.1:80"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(loopback(text).map(|a| a.to_string()).as_deref(), Ok(address));
        }
        for text in
            ["0.0.0.0:7777", "[::]:7777", "192.168.1.2:80", "8.8.8.8:1", "[::ffff:127.0.0.1]:1", "169.254.0.1:2"]
        {
            let message = loopback(text).expect_err("not loopback");
            assert!(message.contains("loopback only"), "{message}");
        }
        for text in ["", "7777", "localhost", "127.0.0.1", "127.0.0.1:x", "example.com:80", "127.0.0.1:70000"] {
            assert!(loopback(text).expect_err("no address").contains("is not an address"), "{text}");
        }
    }
}
