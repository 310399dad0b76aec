//! Starts and ends `opencode serve`. It gets the agent's directory and environment, and a password of its own.

use super::client::Client;
use orch_sys::process::{Identity, Invocation, ProcessError, environment, signal, start_server};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::time::timeout;
use uuid::Uuid;

/// How long the server may take to exit when it is asked to.
const GRACE: Duration = Duration::from_secs(2);

/// The user name for the password.
const USER: &str = "orch";

/// A running server.
pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Starts `program` in `directory` and waits until it listens. The client is `None` when it exited before.
    pub(super) async fn start(
        program: &OsStr,
        args: &[OsString],
        directory: &Path,
    ) -> Result<(Self, Option<Client>), ProcessError> {
        let password = Uuid::new_v4().simple().to_string();
        let mut env: BTreeMap<String, String> = environment();
        env.insert("OPENCODE_SERVER_USERNAME".to_owned(), USER.to_owned());
        env.insert("OPENCODE_SERVER_PASSWORD".to_owned(), password.clone());
        let mut child = start_server(&Invocation::new(program, directory).args(args).envs(env))?;
        let mut address = None;
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                address = listening(&line);
                if address.is_some() {
                    break;
                }
            }
            // Its further output must not fill the pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        }
        let client = address.map(|address| Client { address, user: USER, password });
        Ok((Self { child }, client))
    }

    /// Waits until the server exits by itself. Returns its exit code, or 1 if that is 0 or unknown.
    pub(super) async fn gone(&mut self) -> u8 {
        let code = self.child.wait().await.ok().and_then(|status| status.code());
        code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(1)
    }

    /// Like [`Self::gone`], for a server that has closed its stdout and is about to exit.
    pub(super) async fn exiting(&mut self) -> u8 {
        timeout(GRACE, self.gone()).await.unwrap_or(1)
    }

    /// Ends the server.
    pub(super) async fn end(mut self) {
        if let Some(server) = self.child.id().and_then(Identity::from_pid) {
            signal(&server, Signal::TERM);
        }
        if timeout(GRACE, self.child.wait()).await.is_err() {
            // It has just exited, or the sweep of the run finds it.
            let _ = self.child.kill().await;
        }
    }
}

/// Parses the address in the line with which the server announces that it listens.
fn listening(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on http://")?;
    rest.trim().trim_end_matches('/').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_parsed_from_the_line_that_announces_it() {
        let line = "opencode server listening on http://127.0.0.1:36367";
        assert_eq!(listening(line).map(|address| address.port()), Some(36367));
        assert_eq!(listening("Warning: OPENCODE_SERVER_PASSWORD is not set; server is unsecured."), None);
    }
}
