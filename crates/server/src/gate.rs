//! The gate before requests that come over TCP. A port on loopback is open to every program and every user of the
//! machine, and to every page in a browser; so each request must bear the token, name this address as its host, and
//! come from no other site. The Unix socket needs none of it: the file system says who may open it.

use super::error::ApiError;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use orch_api::error::ErrorCode;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;

/// The header in which a browser names the page that asks.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request must say to get through.
#[derive(Clone)]
pub struct Gate {
    /// The hosts by which this address may be named.
    hosts: Arc<[String]>,
    /// Compared instead of the token itself: how long a comparison takes tells nothing about it.
    digest: [u8; 32],
}

impl Gate {
    /// Creates the gate of a listener on `address`, with its token.
    pub fn new(address: SocketAddr, token: &str) -> Self {
        let port = address.port();
        let names = [address.ip().to_string(), "127.0.0.1".to_owned(), "localhost".to_owned(), "::1".to_owned()];
        let names = names.map(|name| if name.contains(':') { format!("[{name}]") } else { name });
        let with_port = names.iter().map(|name| format!("{name}:{port}"));
        let without = names.iter().filter(|_| port == 80).cloned();
        Self { hosts: with_port.chain(without).collect(), digest: Sha256::digest(token).into() }
    }

    /// The routes behind this gate.
    pub fn before(self, routes: Router) -> Router {
        routes.layer(from_fn_with_state(self, pass))
    }

    fn check(&self, request: &Request) -> Result<(), Refused> {
        let headers = request.headers();
        let is_here = |host: &str| self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
        let host = only(headers, &HOST)?.ok_or(Refused::Host)?;
        let named = request.uri().authority().map(|authority| authority.as_str());
        if !is_here(host) || !named.is_none_or(is_here) {
            return Err(Refused::Host);
        }
        let origin = only(headers, &ORIGIN)?;
        if !origin.is_none_or(|origin| origin.strip_prefix("http://").is_some_and(is_here)) {
            return Err(Refused::Origin);
        }
        if only(headers, &SITE)?.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
            return Err(Refused::Origin);
        }
        let bearer = only(headers, &AUTHORIZATION)?.ok_or(Refused::NoToken)?;
        let (scheme, token) = bearer.split_once(' ').ok_or(Refused::NoToken)?;
        let given: [u8; 32] = Sha256::digest(token.trim()).into();
        let differs = given.iter().zip(&self.digest).fold(0, |differs, (a, b)| differs | (a ^ b));
        if scheme.eq_ignore_ascii_case("bearer") && differs == 0 { Ok(()) } else { Err(Refused::WrongToken) }
    }
}

/// Returns the value of a header that must not be repeated; a second one is a trick.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refused> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(|value| value.to_str().map_err(|_| Refused::Garbled)).transpose()?;
    if values.next().is_some() { Err(Refused::Garbled) } else { Ok(first) }
}

/// Why a request is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    Host,
    Origin,
    NoToken,
    WrongToken,
    Garbled,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let hint = "`orch http` tells the address, and the file that holds the token";
        let (status, message) = match self {
            Self::Host => (StatusCode::FORBIDDEN, "this is not the host that was asked for"),
            Self::Origin => (StatusCode::FORBIDDEN, "pages of other sites may not ask"),
            Self::Garbled => (StatusCode::BAD_REQUEST, "a required header is repeated, or is not text"),
            Self::NoToken => (StatusCode::UNAUTHORIZED, "there is no token: Authorization: Bearer TOKEN"),
            Self::WrongToken => (StatusCode::UNAUTHORIZED, "the token is wrong"),
        };
        let mut response = ApiError::new(ErrorCode::Denied, message, Some(hint)).with(status).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"orch\""));
        }
        response
    }
}

async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    match gate.check(&request) {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            tracing::warn!(path = request.uri().path(), reason = ?refused, "a request over TCP is refused");
            refused.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use proptest::prelude::*;

    const HERE: &str = "127.0.0.1:7777";

    fn check(uri: &str, headers: &[(&str, &str)]) -> Result<(), Refused> {
        let gate = Gate::new(HERE.parse().expect("an address"), "right");
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        gate.check(&request.body(Body::empty()).expect("a request"))
    }

    const TOKEN: (&str, &str) = ("authorization", "Bearer right");

    #[test]
    fn the_right_token_at_the_right_address_gets_through() {
        for host in [HERE, "localhost:7777", "LOCALHOST:7777", "[::1]:7777"] {
            assert_eq!(check("/tasks", &[("host", host), TOKEN]), Ok(()), "{host}");
            let origin = format!("http://{host}");
            assert_eq!(check("/", &[("host", host), ("origin", &origin), TOKEN]), Ok(()), "{host}");
        }
        assert_eq!(check("/", &[("host", HERE), ("authorization", "bearer  right")]), Ok(()));
        assert_eq!(check("/", &[("host", HERE), ("sec-fetch-site", "none"), TOKEN]), Ok(()));
    }

    #[test]
    fn a_foreign_host_is_refused_whatever_else_it_says() {
        let hosts = ["evil.example:7777", "127.0.0.1", "127.0.0.1:7778", "127.0.0.1.evil.example:7777", "", "0:7777"];
        for host in hosts {
            assert_eq!(check("/", &[("host", host), TOKEN]), Err(Refused::Host), "{host}");
        }
        assert_eq!(check("/", &[TOKEN]), Err(Refused::Host));
        assert_eq!(check("http://evil.example:7777/", &[("host", HERE), TOKEN]), Err(Refused::Host));
        assert_eq!(check("/", &[("host", HERE), ("host", HERE), TOKEN]), Err(Refused::Garbled));
        assert_eq!(check("/", &[("host", HERE), TOKEN, TOKEN]), Err(Refused::Garbled));
    }

    #[test]
    fn a_foreign_page_is_refused_even_with_the_token() {
        let https = format!("https://{HERE}");
        for origin in ["http://evil.example", "null", "", "file://", "http://127.0.0.1:7778", &https] {
            assert_eq!(check("/", &[("host", HERE), ("origin", origin), TOKEN]), Err(Refused::Origin), "{origin}");
        }
        for site in ["cross-site", "same-site", "?"] {
            assert_eq!(check("/", &[("host", HERE), ("sec-fetch-site", site), TOKEN]), Err(Refused::Origin), "{site}");
        }
    }

    proptest! {
        #[test]
        fn only_the_token_itself_opens(said in "(Bearer |bearer |Basic |)[a-z]{0,8}") {
            prop_assume!(!said.to_lowercase().eq("bearer right"));
            prop_assert!(check("/", &[("host", HERE), ("authorization", &said)]).is_err());
        }
    }
}
