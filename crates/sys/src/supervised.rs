//! The connection to the supervisor that started this process: datagrams of systemd's notification protocol, which
//! other supervisors speak too. It only sends; the caller decides what and when.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

/// A connection to the supervisor.
#[derive(Debug)]
pub struct Supervised {
    socket: UnixDatagram,
    watchdog: Option<Duration>,
}

impl Supervised {
    /// Connects to the supervisor that `environment` names; `None` where there is none or it cannot be reached.
    pub fn from_environment(environment: &BTreeMap<String, String>) -> Option<Self> {
        let address = environment.get("NOTIFY_SOCKET").filter(|address| !address.is_empty())?;
        let socket =
            connect(address).inspect_err(|error| tracing::warn!(%error, "the supervisor cannot be reached")).ok()?;
        Some(Self { socket, watchdog: watchdog(environment, std::process::id()) })
    }

    /// Returns the longest time between two signs of life that the supervisor accepts, if it expects any.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Reports that this process is ready to serve.
    pub fn ready(&self, status: &str) {
        let status: String = status.chars().filter(|c| !c.is_control()).collect();
        self.send(&format!("READY=1\nMAINPID={}\nWATCHDOG=1\nSTATUS={status}", std::process::id()));
    }

    /// Sends a sign of life to the watchdog.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// Reports that this process is about to end.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Sends a datagram. A supervisor that does not listen must not stop the daemon, so a failure is only logged.
    fn send(&self, message: &str) {
        if let Err(error) = self.socket.send(message.as_bytes()) {
            tracing::debug!(%error, "a notification to the supervisor was lost");
        }
    }
}

fn connect(address: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A supervisor that reads slowly must not block this process.
    socket.set_nonblocking(true)?;
    match address.strip_prefix('@') {
        Some(name) => connect_by_name(&socket, name)?,
        None => socket.connect(Path::new(address))?,
    }
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn connect_by_name(socket: &UnixDatagram, name: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn connect_by_name(_: &UnixDatagram, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Reads the watchdog's interval, if it is meant for this process.
fn watchdog(environment: &BTreeMap<String, String>, own: u32) -> Option<Duration> {
    let number = |name: &str| environment.get(name).and_then(|value| value.parse::<u64>().ok());
    let is_for_us = environment.get("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(own));
    number("WATCHDOG_USEC").filter(|time| is_for_us && *time > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn receive(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        let count = socket.recv(&mut bytes).expect("a datagram");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    #[test]
    fn a_supervisor_receives_each_notification() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let named = environment(&[("NOTIFY_SOCKET", path.to_str().expect("text")), ("WATCHDOG_USEC", "3000000")]);
        let supervised = Supervised::from_environment(&named).expect("a supervisor");
        assert_eq!(supervised.watchdog(), Some(Duration::from_secs(3)));
        supervised.ready("serves\n/home");
        assert_eq!(
            receive(&socket),
            format!("READY=1\nMAINPID={}\nWATCHDOG=1\nSTATUS=serves/home", std::process::id())
        );
        supervised.alive();
        supervised.stopping();
        assert_eq!([receive(&socket), receive(&socket)], ["WATCHDOG=1", "STOPPING=1"]);
        drop(socket);
        supervised.alive();
    }

    #[test]
    fn without_a_supervisor_there_is_no_connection() {
        assert!(Supervised::from_environment(&environment(&[])).is_none());
        assert!(Supervised::from_environment(&environment(&[("NOTIFY_SOCKET", "/nowhere/at/all")])).is_none());
    }

    #[test]
    fn a_watchdog_for_another_process_is_none() {
        let for_one = |pid| environment(&[("WATCHDOG_USEC", "5"), ("WATCHDOG_PID", pid)]);
        assert_eq!(watchdog(&for_one("7"), 7), Some(Duration::from_micros(5)));
        assert_eq!(watchdog(&for_one("8"), 7), None);
        assert_eq!(watchdog(&environment(&[("WATCHDOG_USEC", "0")]), 7), None);
        assert_eq!(watchdog(&environment(&[("WATCHDOG_USEC", "x")]), 7), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_abstract_address_is_understood() {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("orch-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("a socket");
        Supervised::from_environment(&environment(&[("NOTIFY_SOCKET", &format!("@{name}"))]))
            .expect("a supervisor")
            .alive();
        assert_eq!(receive(&socket), "WATCHDOG=1");
    }
}
