//! The life of `opencode serve`: started where and as the agent would be, with a password that nobody else knows, and
//! ended with us.

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

/// How long the server may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(2);

/// The name that goes with the password.
const USER: &str = "orch";

/// A server that runs.
pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Starts `program` in `directory` and waits until it listens. `None`: it ended before.
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
            // Whatever else it prints must not fill the pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        }
        let client = address.map(|address| Client { address, user: USER, password });
        Ok((Self { child }, client))
    }

    /// Waits until it has ended by itself. Returns its exit code; of one that a signal ended, that of a shell.
    pub(super) async fn gone(&mut self) -> u8 {
        let code = self.child.wait().await.ok().and_then(|status| status.code());
        code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(1)
    }

    /// Likewise of one that is about to: it has closed its stdout.
    pub(super) async fn ended(&mut self) -> u8 {
        timeout(GRACE, self.gone()).await.unwrap_or(1)
    }

    /// Ends it.
    pub(super) async fn end(mut self) {
        if let Some(server) = self.child.id().and_then(Identity::from_pid) {
            signal(&server, Signal::TERM);
        }
        if timeout(GRACE, self.child.wait()).await.is_err() {
            // It ended just now, or the sweep of the run finds it.
            let _ = self.child.kill().await;
        }
    }
}

/// The address in the line by which it tells that it listens.
fn listening(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on http://")?;
    rest.trim().trim_end_matches('/').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_out_of_the_line_that_tells_it() {
        let told = "opencode server listening on http://127.0.0.1:36367";
        assert_eq!(listening(told).map(|address| address.port()), Some(36367));
        assert_eq!(listening("Warning: OPENCODE_SERVER_PASSWORD is not set; server is unsecured."), None);
    }
}
