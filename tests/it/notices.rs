//! Tests notifications: `orch channel`, `orch notify`, and a webhook whose server behaves like real ones.

use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::terminal::Terminal;
use crate::kit::wait::{RUN, SOON, wait_some, wait_until};
use crate::kit::webhook::{Answer, Receiver};
use crate::kit::{read_file, write_file};
use orch_sys::clock::instant;
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

/// Commits a file named after its branch.
const GOOD: &str = "#!/bin/sh
cat > /dev/null
name=$(git rev-parse --abbrev-ref HEAD | tr / -)
echo work > \"$name.txt\" && git add . && git commit -q -m work && echo finished
";
/// Changes nothing.
const LAZY: &str = "#!/bin/sh\ncat > /dev/null\necho finished\n";
const SECRET: &str = "a-secret-of-the-hook-0123456789";

/// A box whose webhook goes to `receiver`.
fn sealed(receiver: &Receiver) -> SealedBox {
    let sealed = SealedBox::new();
    sealed.program("good", GOOD);
    sealed.program("lazy", LAZY);
    write_file(&sealed.orch_home().join("hook.secret"), &format!("{SECRET}\n"));
    sealed.config(&format!(
        "agents: {{good: {{kind: command, command: good}}, lazy: {{kind: command, command: lazy}}}}\n\
         workflow: {{max_attempts: 1}}\n\
         channels: {{webhook: {{url: '{}', secret: 'file:hook.secret'}}}}\n",
        receiver.url()
    ));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed
}

fn webhook(sealed: &SealedBox) -> Value {
    let all = sealed.orch(["channel", "list", "--json"]).ok().json();
    all.as_array().expect("a list").iter().find(|view| view["name"] == "webhook").expect("a webhook").clone()
}

fn notify(sealed: &SealedBox, text: &str) {
    sealed.orch(["notify", text]).ok();
}

#[test]
fn a_finished_and_a_failed_task_are_reported_once_signed_and_with_their_facts() {
    let receiver = Receiver::start();
    let mut sealed = sealed(&receiver);
    sealed.serve();
    sealed.orch(["add", "Make a file", "-l", "agent:good"]).ok();
    sealed.orch(["add", "Be lazy", "-l", "agent:lazy"]).ok();
    wait_until("both to be reported", RUN, || receiver.taken().len() >= 2);
    let taken = receiver.taken();
    let of = |id: u64| taken.iter().find(|one| one.json()["task_id"] == id).expect("told").json();
    assert_eq!((of(1)["notice"]["kind"].clone(), of(1)["kind"].clone()), ("finished".into(), "done".into()));
    assert_eq!(
        (of(1)["notice"]["title"].clone(), of(1)["notice"]["project"].clone()),
        ("Make a file".into(), "shop".into())
    );
    assert_eq!(of(2)["notice"]["kind"], "failed");
    for one in &taken {
        let (time, mac) = one.header("orch-signature").split_once(",v1=").expect("signed");
        let time = time.strip_prefix("t=").expect("a time");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
        let expected = ring::hmac::sign(&key, format!("{time}.{}", one.body).as_bytes());
        let expected: String = expected.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(mac, expected);
    }
    sealed.stop_daemon();
    sealed.serve();
    notify(&sealed, "after the restart");
    wait_until("that to be reported", RUN, || receiver.messages().contains(&"after the restart".to_owned()));
    assert_eq!(receiver.taken().len(), 3, "nothing is told a second time");
    sealed.finish();
}

#[test]
fn a_busy_a_broken_and_a_cut_off_server_get_each_notice_in_the_end_and_know_it_by_its_key() {
    let receiver = Receiver::start();
    receiver.answers(&[
        Answer::Status(500, None),
        Answer::Status(429, Some(1)),
        Answer::Cut,
        Answer::Status(503, None),
    ]);
    let mut sealed = sealed(&receiver);
    sealed.serve();
    notify(&sealed, "one");
    notify(&sealed, "two");
    wait_until("both to be reported", RUN, || receiver.messages().len() == 2);
    assert_eq!(receiver.messages(), ["one", "two"]);
    let taken = receiver.taken();
    let keys: BTreeSet<&str> =
        taken.iter().filter(|one| one.json()["text"] == "one").map(|one| one.header("idempotency-key")).collect();
    assert_eq!((taken.len(), keys.len()), (6, 1), "the same notice has the same key");
    wait_until("the channel to be well", RUN, || webhook(&sealed)["state"] == "on");
    sealed.finish();
}

#[test]
fn a_notice_that_a_server_refuses_holds_up_no_other_and_no_two_homes_use_one_id() {
    let receiver = Receiver::start();
    let ids = |text: &str| -> BTreeSet<String> {
        let of_text = receiver.taken().into_iter().filter(|one| one.json()["text"] == text);
        of_text.map(|one| one.json()["id"].as_str().expect("an id").to_owned()).collect()
    };
    for home in 1..=2 {
        receiver.answers(&[Answer::Status(422, None)]);
        let mut sealed = sealed(&receiver);
        sealed.serve();
        notify(&sealed, "not taken");
        notify(&sealed, "taken");
        wait_until("the other to be reported", RUN, || ids("taken").len() == home);
        let view = webhook(&sealed);
        assert_eq!((&view["state"], view["pending"].as_u64()), (&"on".into(), Some(1)), "{view}");
        sealed.finish();
    }
    assert_eq!(ids("not taken").len(), 2);
    assert!(ids("taken").iter().all(|id| id.len() == "orch-".len() + 36), "{:?}", ids("taken"));
}

#[test]
fn a_server_that_is_gone_gets_everything_when_it_is_back_also_over_a_kill_of_the_daemon() {
    let mut receiver = Receiver::start();
    let mut sealed = sealed(&receiver);
    sealed.serve();
    notify(&sealed, "before");
    wait_until("that to be reported", RUN, || receiver.messages() == ["before"]);
    receiver.down();
    for number in 0..5 {
        notify(&sealed, &format!("while it is gone {number}"));
    }
    let view =
        wait_some("the trouble to show", RUN, || Some(webhook(&sealed)).filter(|view| view["state"] == "trouble"));
    assert!(view["trouble"].as_str().expect("words").contains("cannot be reached"), "{view}");
    wait_until("all to be written down", RUN, || webhook(&sealed)["pending"] == 5);
    sealed.kill_daemon();
    receiver.up();
    sealed.serve();
    // And the daemon's absence.
    wait_until("all to be reported", RUN, || receiver.messages().len() >= 7);
    let is_reported = receiver.messages();
    for number in 0..5 {
        let text = format!("while it is gone {number}");
        assert_eq!(is_reported.iter().filter(|known| **known == text).count(), 1, "{is_reported:?}");
    }
    assert!(is_reported.len() == 7 && is_reported[6].contains("is gone: it left no word"), "{is_reported:?}");
    sealed.finish();
}

#[test]
fn a_daemon_killed_while_the_server_is_silent_says_it_again_under_the_same_key() {
    let receiver = Receiver::start();
    receiver.answers(&[Answer::Never]);
    let mut sealed = sealed(&receiver);
    sealed.serve();
    notify(&sealed, "heard twice");
    wait_until("it to be heard", RUN, || receiver.taken().len() == 1);
    sealed.kill_daemon();
    sealed.serve();
    // The daemon's death is reported as well, afterwards.
    wait_until("both to be reported", RUN, || receiver.messages().len() == 2);
    let is_reported = receiver.messages();
    assert!(is_reported[0] == "heard twice" && is_reported[1].contains("left no word"), "{is_reported:?}");
    let heard: Vec<_> = receiver.taken().into_iter().filter(|one| one.body.contains("heard twice")).collect();
    let keys: BTreeSet<&str> = heard.iter().map(|one| one.header("idempotency-key")).collect();
    assert_eq!((heard.len(), keys.len()), (2, 1), "{heard:?}");
    sealed.finish();
}

#[test]
fn a_server_that_refuses_is_shown_and_asked_no_more_than_now_and_then() {
    let receiver = Receiver::start();
    receiver.answers(&[Answer::Status(404, None); 50]);
    let mut sealed = sealed(&receiver);
    sealed.serve();
    let test = sealed.orch(["channel", "test", "webhook"]).code_is(1);
    assert!(test.stdout.contains("404"), "{test}");
    let view = webhook(&sealed);
    assert_eq!((view["state"].as_str(), view["pending"].as_u64()), (Some("trouble"), Some(1)));
    assert!(receiver.taken().len() <= 2, "no hot loop: {}", receiver.taken().len());
    // Once corrected, pending messages are sent at once.
    let other = Receiver::start();
    sealed.orch(["config", "set", "channels.webhook.url", &other.url()]).ok();
    wait_until("it to be reported there", RUN, || other.messages().len() == 1);
    sealed.finish();
}

#[test]
fn a_channel_is_set_up_with_its_secret_in_a_file_of_its_own_and_taken_out_again() {
    let receiver = Receiver::start();
    let mut sealed = SealedBox::new();
    sealed.config("# mine\nengine: {tick_seconds: 5} # this too\n");
    sealed.serve();
    let added = sealed.orch(["channel", "add", "webhook", "--url", &receiver.url(), "--json"]).ok().json();
    assert_eq!(added["test"]["state"], "sent", "{added}");
    let file = sealed.orch_home().join(".orch/channels/webhook.secret");
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (config, secret) = (read_file(&sealed.orch_home().join("config.yml")), read_file(&file));
    assert!(config.starts_with("# mine\nengine: {tick_seconds: 5} # this too\n"), "{config}");
    assert!(config.contains("file:.orch/channels/webhook.secret") && !config.contains(&secret), "{config}");
    let shown = sealed.orch(["config", "show"]).ok().stdout;
    assert!(!shown.contains(&secret) && shown.contains("file:.orch/channels/webhook.secret"), "{shown}");
    sealed.orch(["channel", "remove", "webhook"]).ok();
    assert!(!file.exists());
    assert_eq!(webhook(&sealed)["state"], "off", "the daemon has taken it up by now");
    sealed.orch(["notify", "to nobody"]).code_is(3);
    assert!(!read_file(&sealed.orch_home().join(".orch/orch.log")).contains(&secret));
    sealed.finish();
}

#[test]
fn a_variable_that_the_daemon_does_not_have_is_reported_at_once() {
    let mut sealed = SealedBox::new();
    sealed.serve();
    let begun = instant();
    let add = ["channel", "add", "telegram", "--chat-id", "42", "--allow", "42", "--token-env", "NOT_SET_ANYWHERE"];
    let ran = sealed.orch(add).code_is(1);
    let text = "the test message was not sent: the variable NOT_SET_ANYWHERE is not set";
    assert!(ran.stderr.contains(text), "{ran}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    sealed.finish();
}

#[test]
fn a_channel_that_nobody_may_command_says_so_and_another_token_leaves_the_list_as_it_is() {
    let sealed = SealedBox::new();
    let token = sealed.base().join("token");
    write_file(&token, "123456789:AAEhBOweik6ad6PsVMRxjeQKXkq8rHqJWKI");
    let file = token.to_str().expect("text");
    for (kind, place, id) in [("telegram", "--chat-id", "-1001"), ("discord", "--channel-id", "77")] {
        let add = |more: &[&str]| sealed.orch([&["channel", "add", kind][..], more].concat()).ok();
        let output = add(&[place, id, "--token-env", "ONE"]);
        assert!(output.stderr.contains("send-only"), "{output}");
        let list = sealed.orch(["channel", "list"]).ok().stdout;
        let shown = format!("orch config set channels.{kind}.allowed_users");
        assert!(list.contains("send-only") && list.contains(&shown), "{list}");
        let output = add(&[place, id, "--token-env", "ONE", "--allow", "42", "--allow", "43"]);
        assert!(!output.stderr.contains("send-only"), "{output}");
        // Another token, and nothing else.
        let again = add(&["--token-env", "TWO", "--json"]).json();
        assert_eq!(again["allowed"], 2, "{again}");
        let config = read_file(&sealed.orch_home().join("config.yml"));
        assert!(config.contains("env:TWO") && config.contains(id) && config.contains("42"), "{config}");
        assert!(!sealed.orch(["channel", "list"]).ok().stdout.contains("send-only"));
        // The command suggested by the list works.
        sealed.orch(["config", "set", &shown["orch config set ".len()..], "['7']"]).ok();
        assert_eq!(add(&["--token-env", "TWO", "--json"]).json()["allowed"], 1);
    }
    let roles = ["channel", "add", "discord", "--allow-role", "9", "--token-env", "TWO", "--json"];
    assert_eq!(sealed.orch(roles).ok().json()["allowed"], 2, "beside the people");
    let wrong = ["channel", "add", "telegram", "--token-file", file, "--allow", "ada"];
    assert!(sealed.orch(wrong).code_is(2).stderr.contains("numeric id"));
    assert!(!sealed.orch_home().join(".orch/channels/telegram.secret").exists(), "all of it, or nothing");
    sealed.finish();
}

#[test]
fn a_token_that_moves_into_a_variable_leaves_none_behind_in_a_file() {
    let sealed = SealedBox::new();
    let (token, kept) = (sealed.base().join("token"), sealed.orch_home().join(".orch/channels/telegram.secret"));
    write_file(&token, "123456789:AAEhBOweik6ad6PsVMRxjeQKXkq8rHqJWKI");
    let add = |more: &[&str]| sealed.orch([&["channel", "add", "telegram"][..], more].concat());
    let url = ["--api-url", "http://127.0.0.1:1"];
    let output =
        add(&[&["--chat-id", "42", "--token-file", token.to_str().expect("text")], &url[..]].concat()).code_is(1);
    assert!(output.stderr.contains("telegram.secret, which only you can read") && kept.exists(), "{output}");
    // Where config.yml is not changed, the token stays.
    add(&["--token-env", "ONE", "--allow", "ada"]).code_is(2);
    assert!(kept.exists());
    let output = add(&["--token-env", "ONE"]).ok();
    assert!(output.stderr.contains("its secret is in the variable ONE of the daemon's environment"), "{output}");
    assert!(!output.stderr.contains("telegram.secret") && !kept.exists(), "{output}");
    assert!(add(&["--token-env", "ONE", "--json"]).ok().json()["secret_file"].is_null());
    sealed.finish();
}

#[test]
fn a_webhook_has_the_secret_from_stdin_if_requested_and_else_a_generated_one() {
    let receiver = Receiver::start();
    let sealed = SealedBox::new();
    let kept = sealed.orch_home().join(".orch/channels/webhook.secret");
    let url = receiver.url();
    let add = |more: &[&str]| {
        let args = [&["channel", "add", "webhook", "--url", &url][..], more].concat();
        sealed.run_program(ORCH).args(args).stdin(format!("{SECRET}\n")).run().ok()
    };
    let output = add(&[]);
    assert!(output.stderr.contains("no secret was given, so one was made"), "{output}");
    let made = read_file(&kept);
    assert!(!made.contains(SECRET));
    for more in [&[][..], &["--json"]] {
        let output = add(more);
        assert!(output.stderr.contains("the one of before stays"), "{output}");
        assert_eq!(read_file(&kept), made, "whoever checks requests with it goes on");
    }
    let output = add(&["--token-file", "-"]);
    assert!(!output.stderr.contains("made") && read_file(&kept) == SECRET, "{output}");
    sealed.finish();
}

/// What `orch channel add` asks for at a terminal.
#[test]
fn who_may_give_orders_is_asked_for_at_a_terminal() {
    let sealed = SealedBox::new();
    let terminal =
        Terminal::new(&sealed, &format!("'{ORCH}' channel add telegram --chat-id 42 --token-env ONE; sleep 600"));
    terminal.shows("who may give orders");
    terminal.tmux(&["send-keys", "-t", "=t:", "42, 43", "Enter"]);
    terminal.shows("is set up");
    let config = read_file(&sealed.orch_home().join("config.yml"));
    assert!(config.contains("42") && config.contains("43"), "{config}");
    assert!(!terminal.screen().contains("without buttons"), "{}", terminal.screen());
    terminal.close();
    sealed.finish();
}

#[test]
fn garbage_gets_an_error_with_the_next_step_and_changes_nothing() {
    let sealed = SealedBox::new();
    sealed.config("engine: {tick_seconds: 5}\n");
    for (args, code, words) in [
        (&["channel", "add", "webhook", "--url", "http://example.com/hook"][..], 2, "https://"),
        (&["channel", "add", "webhook", "--url", "nonsense"], 2, "https://"),
        (&["channel", "add", "telegram", "--chat-id", "@me", "--token-env", "TG"], 2, "numeric id"),
        (&["channel", "add", "telegram", "--chat-id", "1", "--allow", "ada", "--token-env", "TG"], 2, "numeric id"),
        (&["channel", "add", "telegram", "--token-env", "TG"], 2, "--chat-id"),
        (&["channel", "add", "telegram", "--chat-id", "1", "--token-env", "123456:AA-BB"], 2, "name of a variable"),
        (&["channel", "add", "telegram", "--chat-id", "1", "--token-file", "nowhere"], 1, "nowhere"),
        (&["channel", "add", "discord", "--channel-id", "1"], 2, "empty"),
        (&["channel", "add", "pigeon"], 2, "pigeon"),
        (&["channel", "test", "webhook"], 3, "orch channel add webhook"),
        (&["channel", "remove", "pigeon"], 2, "telegram, discord, webhook or desktop"),
        (&["notify", ""], 2, "nothing to say"),
        (&["notify", "hello"], 3, "orch channel add"),
        (&["notify", "hello", "--channel", "telegram"], 3, "orch channel add telegram"),
        (&["notify", "hello", "--channel", "pigeon"], 2, "expected telegram"),
    ] {
        let ran = sealed.orch(args).code_is(code);
        assert!(format!("{ran}").contains(words), "{args:?}: {ran}");
    }
    assert_eq!(read_file(&sealed.orch_home().join("config.yml")), "engine: {tick_seconds: 5}\n");
    assert!(!sealed.orch_home().join(".orch/channels/webhook.secret").exists());
    sealed.finish();
}

#[test]
fn a_desktop_gets_the_text_as_an_argument() {
    let mut sealed = SealedBox::new();
    sealed.program("notify-send", "#!/bin/sh\nprintf '%s\\n' \"$@\" >> \"$HOME/shown\"\n");
    sealed.config("channels: {desktop: {enabled: true}}\n");
    sealed.serve();
    notify(&sealed, "--icon=x $(touch evil) <b>bold</b>");
    let shown = sealed.home().join("shown");
    wait_until("it to be shown", RUN, || shown.exists() && read_file(&shown).contains("&lt;b&gt;"));
    let shown = read_file(&shown);
    assert!(shown.contains("--icon=x $(touch evil) &lt;b&gt;bold&lt;/b&gt;"), "{shown}");
    sealed.finish();
}

#[test]
fn a_token_that_is_not_there_is_trouble_that_ends_when_it_is() {
    let receiver = Receiver::start();
    let mut sealed = SealedBox::new();
    sealed.config(&format!("channels: {{webhook: {{url: '{}', secret: 'file:later.secret'}}}}\n", receiver.url()));
    sealed.serve();
    let view =
        wait_some("the trouble to show", RUN, || Some(webhook(&sealed)).filter(|view| view["state"] == "trouble"));
    assert!(view["trouble"].as_str().expect("words").contains("later.secret"), "{view}");
    write_file(&sealed.orch_home().join("later.secret"), SECRET);
    // The file is looked for every half minute, and at each change of the settings.
    sealed.orch(["config", "set", "notifications.level", "all"]).ok();
    notify(&sealed, "now");
    wait_until("it to be reported", RUN, || receiver.messages() == ["now"]);
    wait_until("the channel to be well", RUN, || webhook(&sealed)["state"] == "on");
    sealed.finish();
}
