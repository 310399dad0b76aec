//! Tests what a daemon shows in a Discord channel over time: growing output, across restarts and changes of the
//! settings, and notices. The whole channel is in `fixtures/rendered/discord-chat.txt` and `discord-notices.txt`.

use super::{EngineFixture, button, owner};
use crate::kit::discord::{CHANNEL, Discord as Server, OWNER, Posted, TOKEN};
use crate::kit::golden;
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, wait_some, wait_until};
use crate::kit::write_file;
use std::path::PathBuf;

/// Prints a word as soon as there is a file with its name, and commits at the end.
const TALKS: &str = "#!/bin/sh
cat > /dev/null
echo first
for word in second third fourth; do
  while [ ! -e 'NOTES'/$word ]; do sleep 0.02; done
  echo $word
done
echo work > work.txt && git add . && git commit -q -m work
";

/// A daemon that posts in the channel and obeys the owner, and an agent that prints on request.
struct Fixture {
    server: Server,
    sealed: SealedBox,
    notes: PathBuf,
}

impl Fixture {
    fn open(more: &str) -> Self {
        let (server, mut sealed) = (Server::start(), SealedBox::new());
        sealed.set("TZ", "UTC");
        let notes = sealed.root().join("notes");
        sealed.program("talks", &TALKS.replace("NOTES", &notes.display().to_string()));
        write_file(&sealed.orch_home().join("bot.token"), TOKEN);
        sealed.config(&format!(
            "agents: {{talks: {{kind: command, command: talks}}}}\nrouter: {{mode: round_robin, agents: [talks]}}\nworkflow: {{max_attempts: 1{more}}}\n\
             channels: {{discord: {{bot_token: 'file:bot.token', channel_id: '{CHANNEL}', allowed_users: ['{OWNER}'], \
             api_url: '{}', gateway_url: '{}'}}}}\n",
            server.api_url(),
            server.gateway_url()
        ));
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        sealed.serve();
        let fixture = Self { server, sealed, notes };
        fixture.until_it_listens(0);
        fixture
    }

    fn until_it_listens(&self, before: usize) {
        wait_until("it to listen", RUN, || self.server.sessions().0 > before && !self.server.commands().is_empty());
    }

    fn let_say(&self, word: &str) {
        write_file(&self.notes.join(word), "");
    }

    /// The message of the stream: there is one.
    fn stream(&self) -> Option<Posted> {
        let mut all = self.server.said().into_iter().filter(|seen| seen.text.starts_with("**\\#1 Work**\n"));
        let first = all.next();
        assert!(all.next().is_none(), "{}", self.server.transcript());
        first
    }

    fn until_shown(&self, words: &str) -> Posted {
        wait_some(&format!("{words:?} in {}", self.server.transcript()), RUN, || {
            self.stream().filter(|seen| seen.text.contains(words))
        })
    }

    fn until_said(&self, words: &str) -> Posted {
        let said = || self.server.said().into_iter().find(|message| message.text.contains(words));
        wait_some(&format!("{words:?} in {}", self.server.transcript()), RUN, said)
    }
}

#[test]
fn a_stream_goes_on_in_its_message_through_changed_settings_a_restart_and_a_crash() {
    let mut fixture = Fixture::open("");
    fixture.sealed.orch(["add", "Work", "-l", "agent:talks"]).ok();
    fixture.server.command(&owner(), CHANNEL, "stream", &[("task", "1")]);
    let message = fixture.until_shown("first").id;
    let before = fixture.server.sessions().0;
    fixture.sealed.orch(["config", "set", "notifications.level", "errors_only"]).ok();
    fixture.until_it_listens(before);
    fixture.let_say("second");
    assert_eq!(fixture.until_shown("second").id, message);
    assert_eq!(fixture.sealed.stop_daemon().code, Some(0));
    fixture.sealed.serve();
    fixture.let_say("third");
    assert_eq!(fixture.until_shown("third").id, message);
    fixture.sealed.kill_daemon();
    // It ends while no daemon shows it.
    fixture.let_say("fourth");
    fixture.sealed.serve();
    let ended = fixture.until_shown("■ done");
    assert!(ended.id == message && ended.text.contains("fourth"), "{}", ended.text);
    // Its message is final: it is not edited again.
    fixture.sealed.stop_daemon();
    let edits = fixture.stream().expect("there").edits;
    let before = fixture.server.sessions().0;
    fixture.sealed.serve();
    fixture.until_it_listens(before);
    fixture.sealed.orch(["notify", "a mark"]).ok();
    fixture.until_said("a mark");
    assert_eq!(fixture.stream().expect("there").edits, edits);
    fixture.sealed.finish();
}

#[test]
fn nobody_sees_more_of_a_stream_who_may_not_speak_any_more() {
    let mut fixture = Fixture::open("");
    fixture.sealed.orch(["add", "Work", "-l", "agent:talks"]).ok();
    fixture.server.command(&owner(), CHANNEL, "stream", &[("task", "1")]);
    fixture.until_shown("first");
    fixture.sealed.stop_daemon();
    fixture.sealed.orch(["config", "set", "channels.discord.allowed_users", "[]"]).ok();
    fixture.sealed.serve();
    fixture.sealed.orch(["notify", "a mark"]).ok();
    fixture.until_said("a mark");
    for word in ["second", "third", "fourth"] {
        fixture.let_say(word);
    }
    fixture.until_said("is done");
    assert!(!fixture.stream().expect("there").text.contains("second"));
    fixture.sealed.finish();
}

#[test]
fn a_channel_with_notices_and_a_stream_is_as_it_is_kept() {
    let fixture = Fixture::open(", review: human");
    let server = &fixture.server;
    server.write(&owner(), CHANNEL, "/add Work", None);
    fixture.until_said("is added");
    server.write(&owner(), CHANNEL, "/stream 1", None);
    fixture.until_shown("first");
    for word in ["second", "third", "fourth"] {
        fixture.let_say(word);
    }
    fixture.until_shown("■ needs\\_review");
    let asks =
        wait_some("buttons", RUN, || server.said().into_iter().find(|message| button(message, "Approve").is_some()));
    server.press(&owner(), &asks, &button(&asks, "Show diff").expect("a button"));
    fixture.until_said("+work");
    server.press(&owner(), &asks, &button(&asks, "Request changes").expect("a button"));
    fixture.until_said("What should change");
    server.command(&owner(), CHANNEL, "approve", &[("task", "1")]);
    fixture.until_said("is approved");
    fixture.until_said("(shop) is done");
    let seen = golden::steady(&server.transcript(), fixture.sealed.root());
    golden::assert_is("discord-notices.txt", &seen.replace("it is in_review now", "it is done now"));
    fixture.sealed.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_in_which_a_person_adds_looks_and_approves_is_as_it_is_kept() {
    let system = EngineFixture::open().await;
    let (chat, server) = (&system.fixture, &system.fixture.server);
    server.write(&owner(), CHANNEL, "/ADD Say hello\nin a file\nof its own", None);
    chat.until_said("is added: Say hello");
    system.until(1, "needs_review").await;
    let shown = server.command(&owner(), CHANNEL, "show", &[("task", "#1")]);
    let message = wait_some("buttons", RUN, || {
        server.answered(&shown).1.into_iter().find(|message| button(message, "Approve").is_some())
    });
    let diff = server.press(&owner(), &message, &button(&message, "Show diff").expect("a button"));
    wait_until("the difference", RUN, || server.answered(&diff).1.iter().any(|m| m.text.contains("+hello")));
    server.press(&owner(), &message, &button(&message, "Approve").expect("a button"));
    system.until(1, "done").await;
    chat.until_said("is approved at ");
    wait_until("the buttons to go", RUN, || {
        server.messages(CHANNEL).iter().any(|seen| seen.id == message.id && seen.buttons.is_empty())
    });
    for (order, answer) in [
        ("/tasks", "no open tasks"),
        ("/shwo 1", "did you mean"),
        ("/show 99", "there is no task 99"),
        ("/frobnicate", "frobnicate; "),
    ] {
        server.write(&owner(), CHANNEL, order, None);
        chat.until_said(answer);
    }
    chat.until_quiet();
    let seen = golden::steady(&server.transcript(), system.sealed.root());
    golden::assert_is("discord-chat.txt", &seen.replace("it is in_review now", "it is done now"));
    assert_eq!(server.too_fast(), 0);
    system.close().await;
}
