//! Who may say something, and what is told of those who may not: nothing to them, and to the owner once per stranger and
//! day. The id decides; how somebody calls themselves is shown and never believed.

use super::shelf::Shelf;
use super::words::plain;
use crate::domain::channel::{Passage, Saying, Span};
use crate::engine::handle::EngineError;
use jiff::civil::Date;
use std::collections::BTreeSet;

/// Keys under which the day is kept on which the owner was told of a stranger.
pub const TOLD: &str = "stranger/";
/// The longest name that is shown, in characters.
const LONGEST_NAME: usize = 40;

/// Whether somebody with this id may say something. Where nobody is listed, nobody may.
pub fn is_listed(listed: &BTreeSet<String>, user: &str) -> bool {
    !user.is_empty() && listed.contains(user)
}

/// Somebody who is not on the list, and what they did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Their id; of who has none (a post in a channel), that of the place.
    pub id: String,
    /// How they call themselves.
    pub name: String,
    /// What they did, in a few words: `wrote`, `pressed a button`.
    pub did: &'static str,
}

/// Those of them of whom the owner was not told today. From now on they count as told.
///
/// # Errors
/// The journal cannot be read or written.
pub async fn unheard(shelf: &Shelf, strangers: Vec<Stranger>, today: Date) -> Result<Vec<Stranger>, EngineError> {
    let mut unheard: Vec<Stranger> = Vec::new();
    let today = today.to_string();
    for stranger in strangers {
        let key = format!("{TOLD}{}", stranger.id);
        if shelf.kept(&key).await?.as_deref() != Some(&today) {
            shelf.keep(&key, Some(today.clone())).await?;
            unheard.push(stranger);
        }
    }
    Ok(unheard)
}

/// What the owner is told of them; `None`: nothing.
pub fn told(strangers: &[Stranger]) -> Option<Saying> {
    let line = |stranger: &Stranger| {
        let name: String =
            plain(&stranger.name).lines().next().unwrap_or_default().chars().take(LONGEST_NAME).collect();
        let called = if name.is_empty() { String::new() } else { format!(" calls itself “{name}” and") };
        Passage::Line(vec![Span::Code(stranger.id.clone()), Span::Plain(format!("{called} {}", stranger.did))])
    };
    let head = match strangers {
        [] => return None,
        [_] => "Somebody who is not on the list spoke to the bot. Nothing was done or answered.",
        [_, ..] => "Some who are not on the list spoke to the bot. Nothing was done or answered.",
    };
    let passages = std::iter::once(Passage::plain(head)).chain(strangers.iter().map(line)).collect();
    Some(Saying { passages, ..Saying::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn stranger(id: &str, name: &str) -> Stranger {
        Stranger { id: id.to_owned(), name: name.to_owned(), did: "wrote" }
    }

    #[tokio::test]
    async fn the_owner_is_told_of_each_once_a_day() {
        let shelf = Shelf::in_memory();
        let (one, two) = (stranger("1", "a"), stranger("2", "a"));
        let today = date(2026, 3, 1);
        let come = vec![one.clone(), two.clone(), one.clone()];
        assert_eq!(unheard(&shelf, come, today).await.expect("memory"), [one.clone(), two.clone()]);
        assert_eq!(unheard(&shelf, vec![two.clone(), one.clone()], today).await.expect("memory"), []);
        let tomorrow = date(2026, 3, 2);
        assert_eq!(unheard(&shelf, vec![two.clone()], tomorrow).await.expect("memory"), [two]);
    }

    #[test]
    fn a_name_is_cut_made_plain_and_never_taken_for_an_id() {
        let listed = BTreeSet::from(["42".to_owned()]);
        assert!(is_listed(&listed, "42"));
        for user in ["", "043", "42 ", "owner", "４２", "-42"] {
            assert!(!is_listed(&listed, user), "{user}");
        }
        assert!(!is_listed(&BTreeSet::new(), "42") && !is_listed(&BTreeSet::from([String::new()]), ""));
        let name = format!("\u{202e}own\u{7}er\nsecond {}", "x".repeat(90));
        let saying = told(&[stranger("9", &name)]).expect("one");
        assert!(saying.plain_text().ends_with("9 calls itself “owner” and wrote\n"), "{}", saying.plain_text());
        assert_eq!(told(&[]), None);
    }
}
