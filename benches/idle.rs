//! A daemon with ten thousand finished tasks and nothing to do, watched through `/proc`.
//!
//! Processor time is the sum over all threads that were ever seen, to the nanosecond: the clock ticks of `stat` would
//! be as coarse as the goal. The page faults of children that were waited for show whether a program was run:
//! no program runs without one, and none can end without being counted.

use crate::Scale;
use crate::fixture::Fixture;
use crate::kit::discord::{CHANNEL, Discord, OWNER, TOKEN as DISCORD};
use crate::kit::telegram::{BotApi, Kind, TOKEN as TELEGRAM};
use crate::kit::wait::{SOON, wait_until};
use crate::kit::write_file;
use crate::many::with_many;
use crate::measure::{figure, ms_between, now_ns, pause};
use crate::table::{Row, Table};
use std::collections::BTreeMap;
use std::time::Duration;

/// Percent of one core.
const CPU: f64 = 0.02;
/// Megabytes.
const PSS: f64 = 20.0;
/// Megabytes that chats may cost on top before they become a process of their own.
const CHATS: f64 = 8.0;
/// The chat of one person with the bot.
const OWN: i64 = 42;

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    let watch = Duration::from_secs(scale.pick(60, 20));
    let mut fixture = with_many();
    pause(Duration::from_secs(2));
    let pid = fixture.daemon_pid();
    let after_import = pss_mb(pid);
    fixture.stop();
    fixture.serve();
    pause(Duration::from_secs(5));
    let pid = fixture.daemon_pid();
    let seen = watched(pid, watch);
    let pss = pss_mb(pid);
    let text = fixture.sealed().read_tasks();
    fixture.sealed().write_tasks(&text.replacen("mend what", "mend at last what", 1));
    pause(Duration::from_secs(2));
    let after_edit = pss_mb(pid);
    finish(fixture);
    report("idle daemon, 10,000 done tasks", &seen, watch, table);
    let name = |when: &str| format!("idle daemon, 10,000 done tasks: memory (PSS) {when}");
    for (when, pss) in [("after a start", pss), ("after an edit", after_edit), ("after reading them in", after_import)]
    {
        table.add(limit(name(when), format!("{} MB", figure(pss)), format!("≤ {PSS} MB"), pss <= PSS));
    }
    with_chats(watch, table);
}

/// A daemon that listens in both chats, where nobody says anything: Telegram's server holds each question for 50 seconds,
/// Discord's gateway wants a heartbeat every 41.
fn with_chats(watch: Duration, table: &mut Table) {
    let (telegram, discord) = (BotApi::start(), Discord::start());
    telegram.chat(OWN, Kind::Private);
    let config = format!(
        "channels:\n  telegram: {{bot_token: 'file:telegram.secret', chat_id: '{OWN}', allowed_users: ['{OWN}'], api_url: '{}'}}\n  \
         discord: {{bot_token: 'file:discord.secret', channel_id: '{CHANNEL}', allowed_users: ['{OWNER}'], api_url: '{}', gateway_url: '{}'}}\n",
        telegram.url(),
        discord.api_url(),
        discord.gateway_url()
    );
    let mut without = Fixture::new("");
    without.serve();
    pause(Duration::from_secs(5));
    let alone = anonymous_mb(without.daemon_pid());
    finish(without);
    let mut fixture = Fixture::new(&config);
    for (name, token) in [("telegram", TELEGRAM), ("discord", DISCORD)] {
        write_file(&fixture.sealed().orch_home().join(format!("{name}.secret")), token);
    }
    fixture.serve();
    let listens = || telegram.calls("getUpdates") > 0 && discord.sessions().0 > 0;
    wait_until("both to be listened to", SOON, listens);
    pause(Duration::from_secs(5));
    let pid = fixture.daemon_pid();
    let seen = watched(pid, watch);
    let (pss, own) = (pss_mb(pid), anonymous_mb(pid));
    finish(fixture);
    const IDLE: &str = "idle daemon that listens in Telegram and Discord";
    report(IDLE, &seen, watch, table);
    table.add(limit(format!("{IDLE}: memory (PSS)"), format!("{} MB", figure(pss)), format!("≤ {PSS} MB"), pss <= PSS));
    let cost = own - alone;
    table.add(Row {
        baseline: format!("{} MB without them", figure(alone)),
        own: format!("{} MB", figure(cost)),
        ..limit(
            format!("{IDLE}: memory of its own"),
            format!("{} MB", figure(own)),
            format!("own ≤ {CHATS} MB"),
            cost <= CHATS,
        )
    });
}

fn finish(mut fixture: Fixture) {
    fixture.stop();
    fixture.finish();
}

fn limit(name: String, orch: String, goal: String, reached: bool) -> Row {
    Row { name, orch, goal, reached: Some(reached), ..Row::default() }
}

fn report(who: &str, seen: &Watched, watch: Duration, table: &mut Table) {
    let name = |what: &str| format!("{who}, {} s: {what}", watch.as_secs());
    let programs = if seen.programs { "some" } else { "0" };
    table.add(limit(name("programs run"), programs.to_owned(), "0".to_owned(), !seen.programs));
    table.add(limit(name("processor"), format!("{:.4} %", seen.cpu), format!("≤ {CPU} % of a core"), seen.cpu <= CPU));
    table.add(Row {
        name: "  · wake-ups of all its threads".to_owned(),
        orch: format!("{:.2} a second", seen.wakeups),
        ..Row::default()
    });
}

/// What a process did while it was watched.
pub struct Watched {
    /// A program was run.
    pub programs: bool,
    /// Percent of one core, children included.
    pub cpu: f64,
    /// A second.
    wakeups: f64,
}

/// Watches a process for a time.
pub fn watched(pid: i32, time: Duration) -> Watched {
    let (first, children) = (threads(pid), children_of(pid));
    let begun = now_ns();
    let mut last = first.clone();
    while ms_between(begun, now_ns()) < time.as_secs_f64() * 1e3 {
        pause(Duration::from_millis(500));
        // A thread that ended keeps what was last seen of it.
        last.extend(threads(pid));
    }
    let took_ms = ms_between(begun, now_ns());
    let before = |thread: &u64| first.get(thread).copied().unwrap_or_default();
    let own_ns: u64 = last.iter().map(|(thread, now)| now.ns - before(thread).ns).sum();
    let wakeups: u64 = last.iter().map(|(thread, now)| now.switches - before(thread).switches).sum();
    let now = children_of(pid);
    let of_children_ms = (now.ticks - children.ticks) as f64 * 10.0;
    Watched {
        programs: now.faults != children.faults || now.running > 0,
        cpu: (own_ns as f64 / 1e6 + of_children_ms) / took_ms * 100.0,
        wakeups: wakeups as f64 / took_ms * 1e3,
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Thread {
    /// On a processor, in nanoseconds.
    ns: u64,
    /// How often it was put on one.
    switches: u64,
}

fn threads(pid: i32) -> BTreeMap<u64, Thread> {
    let dir = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    dir.filter_map(|entry| {
        let text = std::fs::read_to_string(entry.path().join("schedstat")).ok()?;
        let mut fields = text.split_whitespace().map(str::parse::<u64>);
        let (ns, _waited, switches) = (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
        Some((entry.file_name().to_str()?.parse().ok()?, Thread { ns, switches }))
    })
    .collect()
}

struct Children {
    /// Minor page faults of those that were waited for.
    faults: u64,
    /// Their processor time in clock ticks.
    ticks: u64,
    /// Those that are there now.
    running: usize,
}

fn children_of(pid: i32) -> Children {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let dir = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = dir.map(|entry| std::fs::read_to_string(entry.path().join("children")).unwrap_or_default());
    let running = lists.map(|list| list.split_whitespace().count()).sum();
    Children { faults: number(8), ticks: number(13) + number(14), running }
}

/// Its share of the memory, in megabytes.
pub fn pss_mb(pid: i32) -> f64 {
    memory_mb(pid, "Pss:")
}

/// Memory that no other process shares and no file backs, in megabytes: what the process itself costs, without the pages
/// of its program, which the kernel drops when it needs them.
fn anonymous_mb(pid: i32) -> f64 {
    memory_mb(pid, "Pss_Anon:")
}

/// A line of the kernel's sums over all mappings of a process, in megabytes.
fn memory_mb(pid: i32, label: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line =
        text.lines().find_map(|line| line.strip_prefix(label)?.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    line.unwrap_or(f64::NAN) * 1024.0 / 1e6
}
