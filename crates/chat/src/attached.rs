//! Reads a file that a person attached to a chat message, so that it becomes part of a task: text of limited size. Knows
//! no service.

use super::conversation::render;
use orch_core::operations::channel::Document;
use std::future::Future;

/// Largest accepted file, in bytes.
pub const LARGEST: usize = 256 << 10;
/// Longest file name in messages, in characters.
const NAME: usize = 100;

/// Reads an attached file. `size` is the size that the service reports, if it does; `fetched` yields the bytes or the
/// reason why they cannot be fetched.
///
/// # Errors
/// The file is too large, cannot be fetched, or is not text; the error is a message for the person.
pub async fn read(
    name: &str,
    size: Option<u64>,
    fetched: impl Future<Output = Result<Vec<u8>, String>>,
) -> Result<Document, String> {
    let name = render::cut(name, NAME);
    if size.is_some_and(|size| size > LARGEST as u64) {
        return Err(format!("{name} is too large: at most {} kB become a part of a task.", LARGEST >> 10));
    }
    let bytes = fetched.await.map_err(|why| format!("{name} cannot be fetched: {why}. Nothing was done."))?;
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| format!("{name} is no text: only text files become a part of a task."))?;
    Ok(Document { name, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_text_of_a_bearable_size_becomes_a_part_of_a_task() {
        let of = |size: u64, bytes: &'static [u8]| read("n.txt", Some(size), async move { Ok(bytes.to_vec()) });
        let taken = of(3, b"one").await.expect("text");
        assert_eq!((taken.name.as_str(), taken.text.as_str()), ("n.txt", "one"));
        assert_eq!(
            of(1 << 20, b"one").await,
            Err("n.txt is too large: at most 256 kB become a part of a task.".into())
        );
        for bytes in [&b"\xff\xfe"[..], b"one\0two"] {
            assert!(of(3, bytes).await.is_err_and(|why| why.contains("no text")));
        }
        let lost = read("n.txt", None, async { Err("the server cannot be reached".to_owned()) }).await;
        assert_eq!(lost, Err("n.txt cannot be fetched: the server cannot be reached. Nothing was done.".into()));
    }
}
