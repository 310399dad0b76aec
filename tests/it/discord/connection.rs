//! Tests the connection to Discord's gateway: how it ends, and what follows.

use super::{Fixture, counting, fixture, owner, saying};
use crate::kit::discord::{CHANNEL, Discord as Server};
use crate::kit::wait::{RUN, wait_until};
use orch_chat::Channel;
use orch_chat::conversation::channel_store::ChannelStore;
use std::sync::atomic::Ordering;

/// How a connection ends that can be opened again, and whether its session can be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// By a code after which Discord wants a new session.
    Closed(u16),
    /// Discord asks for another connection.
    Asked,
    /// The session is none; it may be tried, or not.
    Invalid(bool),
    /// Nobody answers any more.
    Dead,
}

impl Ends {
    fn goes_on(self) -> bool {
        matches!(self, Self::Asked | Self::Invalid(true) | Self::Dead)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_resumed_or_begun_anew_as_discord_wants_and_every_order_is_carried_out_once() {
    let server = Server::start();
    // A connection that is dead is noticed at the second beat.
    server.beats(2_000);
    let (client, asked) = counting();
    let fixture = Fixture::open(server, ChannelStore::in_memory(), client).caught_up();
    let server = &fixture.server;
    let all = [
        Ends::Asked,
        Ends::Closed(4003),
        Ends::Invalid(true),
        Ends::Closed(4007),
        Ends::Dead,
        Ends::Closed(4009),
        Ends::Invalid(false),
        Ends::Asked,
    ];
    for (done, ends) in all.into_iter().enumerate() {
        let (begun, resumed) = server.sessions();
        match ends {
            Ends::Closed(code) => server.close(code, true),
            Ends::Asked => server.ask_to_reconnect(),
            Ends::Invalid(resumable) => server.invalidate(resumable),
            Ends::Dead => server.deafen(),
        }
        server.write(&owner(), CHANNEL, "/run 7", None);
        wait_until(&format!("the order after {ends:?}"), RUN, || asked.load(Ordering::SeqCst) > done);
        let new = if ends.goes_on() { (begun, resumed + 1) } else { (begun + 1, resumed) };
        // It may have been delivered before the connection was closed.
        wait_until(&format!("{new:?} after {ends:?}"), RUN, || server.sessions() == new);
        wait_until("the connection to be well", RUN, || fixture.discord.trouble().is_none());
    }
    let help = server.command(&owner(), CHANNEL, "help", &[]);
    wait_until("help", RUN, || !server.answered(&help).1.is_empty());
    assert_eq!(asked.load(Ordering::SeqCst), all.len(), "each once");
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_person_mends_is_reported_with_what_to_do_and_not_tried_all_the_time() {
    let upgrade = "orch upgrade check";
    let cases = [(4010, upgrade), (4011, "make an application for orch alone"), (4012, upgrade), (4013, upgrade)];
    for (code, does) in cases {
        // From the beginning, and in the middle.
        for was_well in [false, true] {
            let (fixture, server) = if was_well {
                let (fixture, _) = fixture();
                let fixture = fixture.listening();
                fixture.server.refuse(Some(code));
                fixture.server.close(code, true);
                (fixture, 1)
            } else {
                let server = Server::start();
                server.refuse(Some(code));
                (Fixture::open(server, ChannelStore::in_memory(), counting().0), 0)
            };
            let text =
                || fixture.discord.trouble().is_some_and(|why| why.contains(does) && why.contains(&code.to_string()));
            wait_until(&format!("what to do about {code}"), RUN, text);
            // What goes out goes out all the same.
            assert!(fixture.discord.send(&saying("hello")).await.is_ok());
            assert!(fixture.server.attempts() <= 2, "{code}: {} attempts", fixture.server.attempts());
            assert_eq!(fixture.server.sessions().0, server);
            fixture.close().await;
        }
    }
}
