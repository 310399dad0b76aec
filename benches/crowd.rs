//! Measures a thousand watchers of one run over server-sent events: the delay of the slowest percent, and the daemon's
//! resources.

use crate::Scale;
use crate::agent;
use crate::fixture::{Fixture, repository, this_program};
use crate::idle::{pss_mb, watched};
use crate::kit::wait::{self, RUN};
use crate::measure::{Samples, figure, ms_between, now_ns};
use crate::table::{Row, Table};
use crate::watch::parsed;
use orch_sys::process::raise_file_limit;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::runtime::Builder;

/// How many watch.
const WATCHERS: usize = 1000;

/// What all of them saw.
#[derive(Default)]
struct Seen {
    latency: Samples,
    lines: u64,
}

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    raise_file_limit();
    let program = json!(this_program());
    let teller = format!(
        "  teller: {{kind: command, command: {program}, args: [{}, STAMPS, \"{{task_id}}\"]}}\n",
        agent::TELLER
    );
    let mut fixture = Fixture::with(&teller, "");
    let repo = repository(fixture.sealed(), 10);
    fixture.serve();
    fixture.register(&repo);
    let id = fixture.add_for("Tell a thousand", "teller");
    fixture.await_stamp(&id.to_string(), "begin");
    let pid = fixture.daemon_pid();
    let before = pss_mb(pid);
    let socket = fixture.sealed().socket().expect("the daemon's socket");
    let seen = Arc::new(Mutex::new(Seen::default()));
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let connected = Arc::new(tokio::sync::Semaphore::new(0));
    let crowd = {
        let (seen, connected) = (Arc::clone(&seen), Arc::clone(&connected));
        std::thread::spawn(move || {
            runtime.block_on(async {
                let all = (0..WATCHERS).map(|_| follow(&socket, id, &seen, &connected));
                futures::future::join_all(all).await;
            });
        })
    };
    wait::wait_until("all to be connected", RUN, || connected.available_permits() == WATCHERS);
    std::fs::File::create(fixture.stamps().join("go")).expect("a file in the box");
    let busy = watched(pid, Duration::from_secs(scale.pick(20, 6)));
    let memory = pss_mb(pid);
    std::fs::File::create(fixture.stamps().join("stop")).expect("a file in the box");
    let said = fixture.await_stamp(&id.to_string(), "said");
    wait::wait_until("the task to be done", 2 * RUN, || fixture.count("done") == 1);
    crowd.join().expect("all streams end with the run");
    let seen = seen.lock().expect("no watcher failed");
    report(&seen, said, (memory - before, busy.cpu), table);
    drop(seen);
    fixture.finish();
}

/// Reads one stream to its end.
async fn follow(socket: &std::path::Path, id: u64, seen: &Mutex<Seen>, connected: &tokio::sync::Semaphore) {
    let mut stream = UnixStream::connect(socket).await.expect("the daemon takes a thousand");
    let request =
        format!("GET /v1/tasks/{id}/stream?from=0 HTTP/1.1\r\nHost: orch\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut lines = BufReader::new(stream).lines();
    let mut is_answered = false;
    while let Ok(Some(line)) = lines.next_line().await {
        if !is_answered {
            assert!(line.contains("200"), "{line}");
            is_answered = true;
            connected.add_permits(1);
        }
        let at = now_ns();
        if line.is_empty() || !line.starts_with("data:") {
            if line == "0" {
                return;
            }
            continue;
        }
        let mut seen = seen.lock().expect("no watcher failed");
        for text in line.split("\\n") {
            if let Some((_, written)) = parsed(text) {
                seen.latency.add(ms_between(written, at));
                seen.lines += 1;
            }
        }
        if line.contains("\"is_final\":true") {
            return;
        }
    }
}

fn report(seen: &Seen, said: u64, (memory, cpu): (f64, f64), table: &mut Table) {
    let p99 = seen.latency.percentile(99);
    let lost = said as i64 * WATCHERS as i64 - seen.lines as i64;
    table.add(Row {
        name: format!("{WATCHERS} watchers of one run over SSE: p50 / p99 (n={})", seen.latency.count()),
        orch: format!("{} / {} ms", figure(seen.latency.p50()), figure(p99)),
        ..Row::default()
    });
    table.add(Row {
        name: "  · lost".to_owned(),
        orch: lost.to_string(),
        goal: "0".to_owned(),
        reached: Some(lost == 0),
        ..Row::default()
    });
    table.add(Row {
        name: "  · memory of the daemon for them (PSS), and its processor time".to_owned(),
        orch: format!("{} MB, {} %", figure(memory), figure(cpu)),
        ..Row::default()
    });
}
