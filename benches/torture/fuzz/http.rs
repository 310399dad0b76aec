//! Fuzzes the socket's protocol: an engine in this process, and arbitrary bytes over its socket. Each connection must
//! be answered or closed.

use super::Target;
use crate::kit::dice::Dice;
use crate::kit::mutate::{noise, spoilt};
use orch::daemon::Setup;
use orch_config::Home;
use orch_engine::Mode;
use orch_server::operations;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest time without an answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Http {
    samples: Vec<Vec<u8>>,
    /// Where the engine listens.
    socket: Option<PathBuf>,
    _runtime: Option<tokio::runtime::Runtime>,
}

impl Http {
    /// With an engine whose home is below `dir`.
    pub fn new(dir: Option<&Path>) -> Self {
        let (runtime, socket) = dir.map(engine).unzip();
        Self { samples: samples(), socket, _runtime: runtime }
    }
}

fn engine(dir: &Path) -> (tokio::runtime::Runtime, PathBuf) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let home = Home::new(dir.join("home"), None);
    let socket = home.state().join("orch.sock");
    let environment = BTreeMap::from([("HOME".to_owned(), dir.to_string_lossy().into_owned())]);
    let setup = Setup { home, environment, flags: Vec::new(), orch: PathBuf::from("/nowhere/orch") };
    let running = runtime.block_on(setup.open(Mode::Serve)).expect("an engine");
    // It lives as long as this process.
    std::mem::forget(running);
    (runtime, socket)
}

/// Returns one request of each route, and requests that no client of orch's sends. None asks the engine to stop.
fn samples() -> Vec<Vec<u8>> {
    let bodies = [
        "{\"title\": \"a task\", \"body\": \"text\", \"labels\": [\"agent:claude\"], \"priority\": 3}",
        "{\"text\": \"go on\"}",
        "{\"scope\": \"all\", \"by\": \"ada\"}",
        "{\"dry_run\": true}",
        "",
    ];
    let mut samples = Vec::new();
    for (at, operation) in operations().iter().enumerate().filter(|(_, operation)| !operation.path.contains("shutdown"))
    {
        let path = operation.path.replace("{id}", "1");
        let body = bodies[at % bodies.len()];
        for method in ["GET", "POST", "PATCH"] {
            samples.push(format!(
                "{method} {path}?after=0&limit=5 HTTP/1.1\r\nhost: orch\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            ));
        }
    }
    samples.push(
        "POST /v1/tasks HTTP/1.1\r\nhost: orch\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"tit\r\n0\r\n\r\n"
            .to_owned(),
    );
    samples.push("GET /healthz HTTP/1.1\r\nhost: orch\r\n\r\nGET /v1/status HTTP/1.0\r\n\r\n".to_owned());
    samples.push("OPTIONS * HTTP/1.1\r\nhost: orch\r\nexpect: 100-continue\r\nupgrade: h2c\r\n\r\n".to_owned());
    samples.into_iter().map(String::into_bytes).collect()
}

impl Target for Http {
    fn input(&self, dice: &mut Dice) -> Vec<u8> {
        let sample = &self.samples[dice.at(self.samples.len())];
        let input = match dice.below(12) {
            0 => noise(dice, 500).into_bytes(),
            1 => sample.clone(),
            2 => {
                let many = format!("x-{}: y\r\n", noise(dice, 5).replace(char::is_control, "")).repeat(dice.at(300));
                let text = String::from_utf8_lossy(sample).replacen("\r\n", &format!("\r\n{many}"), 1);
                text.into_bytes()
            }
            _ => spoilt(sample, dice),
        };
        // What only a flip of bits could make of another route.
        if String::from_utf8_lossy(&input).to_ascii_lowercase().contains("shut") { Vec::new() } else { input }
    }

    /// The first bytes of an answer, or the end: a feed never ends by itself.
    fn read(&mut self, input: &[u8]) {
        let Some(socket) = &self.socket else { return };
        let mut stream = UnixStream::connect(socket).expect("the engine listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        if let Err(error) = stream.write_all(input) {
            assert!(!is_silence(&error), "it does not take what is sent");
        }
        stream.shutdown(Shutdown::Write).ok();
        let mut answer = [0; 512];
        if let Err(error) = stream.read(&mut answer) {
            assert!(!is_silence(&error), "no answer within {PATIENCE:?}");
        }
    }
}

fn is_silence(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
