//! Row S9. orch receives no webhooks: it polls chats. Only its own requests can be forged. A receiver that follows
//! docs/how-to/channels.md refuses all forged requests: ten thousand that were changed after signing, and requests that
//! were never signed.

use crate::kit::dice::Dice;
use crate::kit::mutate::spoilt;
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, wait_until};
use crate::kit::webhook::Receiver;
use crate::kit::write_file;
use orch_sys::clock::{Clock, SystemClock};
use ring::hmac;
use serde_json::Value;
use std::collections::BTreeSet;

const SECRET: &str = "a-secret-of-the-hook-0123456789";
const MUTATIONS: u64 = 10_000;
/// The largest body that a receiver reads.
const LARGEST: usize = 1 << 20;

/// A request, as anybody may send it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    signature: Option<String>,
    key: String,
    body: Vec<u8>,
}

/// The verification that docs/how-to/channels.md describes.
#[derive(Default)]
struct Verifier {
    had: BTreeSet<String>,
}

impl Verifier {
    fn takes(&mut self, request: &Request, now: i64) -> bool {
        self.verify(request, now).is_some_and(|id| self.had.insert(id))
    }

    fn verify(&self, request: &Request, now: i64) -> Option<String> {
        let (time, mac) = request.signature.as_deref()?.strip_prefix("t=")?.split_once(",v1=")?;
        let second: i64 = time.parse().ok()?;
        let is_fresh = (now - second).abs() <= 300 && request.body.len() <= LARGEST;
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signed = [time.as_bytes(), b".", &request.body].concat();
        // In constant time: ring's own.
        let is_ours = is_fresh && hmac::verify(&key, &signed, &bytes(mac)?).is_ok();
        let document: Value = is_ours.then(|| serde_json::from_slice(&request.body).ok())??;
        Some(document["id"].as_str()?.to_owned())
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let is_hex = hex.len().is_multiple_of(2) && hex.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    let pairs = is_hex.then(|| hex.as_bytes().chunks(2))?;
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the signature with this key, by this algorithm.
fn signed(algorithm: hmac::Algorithm, key: &[u8], second: i64, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(algorithm, key), &[format!("{second}.").as_bytes(), body].concat());
    format!("t={second},v1={}", hex(tag.as_ref()))
}

/// One notice, as orch has sent it.
fn genuine() -> Request {
    let receiver = Receiver::start();
    let mut sealed = SealedBox::new();
    write_file(&sealed.orch_home().join("hook.secret"), SECRET);
    sealed.config(&format!("channels: {{webhook: {{url: '{}', secret: 'file:hook.secret'}}}}\n", receiver.url()));
    sealed.serve();
    sealed.orch(["notify", "Merge the branch of #7: ja, 日本語"]).ok();
    wait_until("it to be reported", RUN, || !receiver.taken().is_empty());
    let taken = receiver.taken().remove(0);
    sealed.finish();
    let header = |name: &str| taken.header(name).to_owned();
    Request { signature: Some(header("orch-signature")), key: header("idempotency-key"), body: taken.body.into_bytes() }
}

/// Returns the request, forged in one of the known ways, and the way.
fn forged(sound: &Request, now: i64, dice: &mut Dice) -> (&'static str, Request) {
    let mut request = sound.clone();
    let (time, mac) = sound.signature.as_deref().and_then(|text| text.split_once(",v1=")).expect("signed");
    let second: i64 = time.trim_start_matches("t=").parse().expect("a time");
    let body = &sound.body;
    let mut sign = |signature: String| request.signature = Some(signature);
    let way = match dice.below(14) {
        0 => {
            request.signature = None;
            "no signature"
        }
        1 => {
            sign(format!("{time},v1={}", &mac[..dice.at(mac.len())]));
            "a short one"
        }
        2 => {
            let at = dice.at(mac.len());
            let other = if &mac[at..=at] == "0" { "1" } else { "0" };
            sign(format!("{time},v1={}{other}{}", &mac[..at], &mac[at + 1..]));
            "a wrong digit"
        }
        3 => {
            sign(signed(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes(), second, body));
            "SHA-1"
        }
        4 => {
            sign(format!("{time},v1={}", hex(ring::digest::digest(&ring::digest::SHA256, body).as_ref())));
            "a sum that needs no secret"
        }
        5 => {
            sign(signed(hmac::HMAC_SHA256, &dice.next().to_be_bytes(), second, body));
            "another secret"
        }
        6 => {
            sign(format!("t={},v1={mac}", now - 299 + i64::try_from(dice.below(599)).expect("small")));
            "another time"
        }
        7 => {
            // Signed correctly, but recorded and replayed later.
            let old = now - 301 - i64::try_from(dice.below(1_000_000)).expect("small");
            sign(signed(hmac::HMAC_SHA256, SECRET.as_bytes(), old, body));
            "an old one"
        }
        8 => {
            request.body = spoilt(body, dice);
            "a changed body"
        }
        9 => {
            let text = String::from_utf8(body.clone()).expect("text");
            request.body = text.replace("#7", &format!("#{}", 8 + dice.below(90))).into_bytes();
            "another task in the words"
        }
        10 => {
            request.key = format!("orch-{}", dice.next());
            "the same once more, under another key"
        }
        11 => {
            // As long as 25 MB, which is not read to its end.
            request.body.resize(LARGEST + 1 + dice.at(4_096), b' ');
            "a body without end"
        }
        12 => {
            request.signature =
                Some(String::from_utf8_lossy(&spoilt(format!("{time},v1={mac}").as_bytes(), dice)).into());
            "a spoilt header"
        }
        _ => "the same once more",
    };
    (way, request)
}

#[test]
fn of_ten_thousand_forged_webhooks_none_is_taken_and_the_true_one_is_taken_once() {
    let sound = genuine();
    let now = SystemClock.now().as_second();
    let document: Value = serde_json::from_slice(&sound.body).expect("a document");
    assert_eq!(document["id"], sound.key.as_str(), "the key is signed, as a part of the body");
    let mut verifier = Verifier::default();
    assert!(verifier.takes(&sound, now), "{sound:?}");
    let (mut ways, mut dice) = (BTreeSet::new(), Dice::new(9));
    for trial in 0..MUTATIONS {
        let (way, request) = forged(&sound, now, &mut dice);
        ways.insert(way);
        assert!(!verifier.takes(&request, now), "seed 9, trial {trial}: {way}: {request:?}");
        // Where the true one has not come yet, only what is just as it was signed is let in.
        let is_let_in = Verifier::default().takes(&request, now);
        let is_as_signed = request.signature == sound.signature && request.body == sound.body;
        assert_eq!(is_let_in, is_as_signed, "seed 9, trial {trial}: {way}: {request:?}");
    }
    assert_eq!(ways.len(), 14, "{ways:?}");
    let endless = Request { body: vec![b' '; 25 << 20], ..sound };
    assert!(!Verifier::default().takes(&endless, now));
}
