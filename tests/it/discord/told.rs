//! What a daemon shows in a Discord channel over time: output that grows, through restarts and changes of the settings, and
//! notices. The channel as a whole is `fixtures/rendered/discord-chat.txt` and `discord-notices.txt`.

use super::{House, button, owner};
use crate::kit::discord::{CHANNEL, Discord as Server, OWNER, Posted, TOKEN};
use crate::kit::golden;
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, wait_some, wait_until};
use crate::kit::write_file;
use std::path::PathBuf;

/// Says a word as soon as there is a file of that name, and commits something at the end.
const TALKS: &str = "#!/bin/sh
cat > /dev/null
echo first
for word in second third fourth; do
  while [ ! -e 'NOTES'/$word ]; do sleep 0.02; done
  echo $word
done
echo work > work.txt && git add . && git commit -q -m work
";

/// A daemon that speaks in the channel and obeys the owner, and an agent that says what it is let say.
struct Told {
    server: Server,
    sealed: SealedBox,
    notes: PathBuf,
}

impl Told {
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
        let told = Self { server, sealed, notes };
        told.until_it_listens(0);
        told
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
    let mut told = Told::open("");
    told.sealed.orch(["add", "Work", "-l", "agent:talks"]).ok();
    told.server.command(&owner(), CHANNEL, "stream", &[("task", "1")]);
    let message = told.until_shown("first").id;
    let before = told.server.sessions().0;
    told.sealed.orch(["config", "set", "notifications.level", "errors_only"]).ok();
    told.until_it_listens(before);
    told.let_say("second");
    assert_eq!(told.until_shown("second").id, message);
    assert_eq!(told.sealed.stop_daemon().code, Some(0));
    told.sealed.serve();
    told.let_say("third");
    assert_eq!(told.until_shown("third").id, message);
    told.sealed.kill_daemon();
    // It ends while nobody shows it.
    told.let_say("fourth");
    told.sealed.serve();
    let ended = told.until_shown("■ done");
    assert!(ended.id == message && ended.text.contains("fourth"), "{}", ended.text);
    // It had its last word: nothing of it goes on.
    told.sealed.stop_daemon();
    let edits = told.stream().expect("there").edits;
    let before = told.server.sessions().0;
    told.sealed.serve();
    told.until_it_listens(before);
    told.sealed.orch(["notify", "a mark"]).ok();
    told.until_said("a mark");
    assert_eq!(told.stream().expect("there").edits, edits);
    told.sealed.finish();
}

#[test]
fn nobody_sees_more_of_a_stream_who_may_not_speak_any_more() {
    let mut told = Told::open("");
    told.sealed.orch(["add", "Work", "-l", "agent:talks"]).ok();
    told.server.command(&owner(), CHANNEL, "stream", &[("task", "1")]);
    told.until_shown("first");
    told.sealed.stop_daemon();
    told.sealed.orch(["config", "set", "channels.discord.allowed_users", "[]"]).ok();
    told.sealed.serve();
    told.sealed.orch(["notify", "a mark"]).ok();
    told.until_said("a mark");
    for word in ["second", "third", "fourth"] {
        told.let_say(word);
    }
    told.until_said("is done");
    assert!(!told.stream().expect("there").text.contains("second"));
    told.sealed.finish();
}

#[test]
fn a_channel_with_notices_and_a_stream_is_as_it_is_kept() {
    let told = Told::open(", review: human");
    let server = &told.server;
    server.write(&owner(), CHANNEL, "/add Work", None);
    told.until_said("is added");
    server.write(&owner(), CHANNEL, "/stream 1", None);
    told.until_shown("first");
    for word in ["second", "third", "fourth"] {
        told.let_say(word);
    }
    told.until_shown("■ needs\\_review");
    let asks =
        wait_some("buttons", RUN, || server.said().into_iter().find(|message| button(message, "Approve").is_some()));
    server.press(&owner(), &asks, &button(&asks, "Show diff").expect("a button"));
    told.until_said("+work");
    server.press(&owner(), &asks, &button(&asks, "Request changes").expect("a button"));
    told.until_said("What should change");
    server.command(&owner(), CHANNEL, "approve", &[("task", "1")]);
    told.until_said("is approved");
    told.until_said("(shop) is done");
    let seen = golden::steady(&server.transcript(), told.sealed.root());
    golden::assert_is("discord-notices.txt", &seen.replace("it is in_review now", "it is done now"));
    told.sealed.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_in_which_a_person_adds_looks_and_approves_is_as_it_is_kept() {
    let house = House::open().await;
    let (room, server) = (&house.room, &house.room.server);
    server.write(&owner(), CHANNEL, "/ADD Say hello\nin a file\nof its own", None);
    room.until_said("is added: Say hello");
    house.until(1, "needs_review").await;
    let shown = server.command(&owner(), CHANNEL, "show", &[("task", "#1")]);
    let message = wait_some("buttons", RUN, || {
        server.answered(&shown).1.into_iter().find(|message| button(message, "Approve").is_some())
    });
    let diff = server.press(&owner(), &message, &button(&message, "Show diff").expect("a button"));
    wait_until("the difference", RUN, || server.answered(&diff).1.iter().any(|m| m.text.contains("+hello")));
    server.press(&owner(), &message, &button(&message, "Approve").expect("a button"));
    house.until(1, "done").await;
    room.until_said("is approved at ");
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
        room.until_said(answer);
    }
    room.until_quiet();
    let seen = golden::steady(&server.transcript(), house.sealed.root());
    golden::assert_is("discord-chat.txt", &seen.replace("it is in_review now", "it is done now"));
    assert_eq!(server.too_fast(), 0);
    house.close().await;
}
