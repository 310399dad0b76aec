//! Live output. The transcript of a run is the stream: append-only, so an offset is a cursor. One task follows the
//! watched transcripts and passes new output to all watchers; late or slow ones read the file. Mechanism only: a
//! watcher never slows the writer.

mod capture;
mod chunks;
mod files;
mod find;
mod hub;
mod keep;
mod last;
mod packed;
mod style_reader;
mod subscription;
#[cfg(test)]
mod tests;
mod text;

pub use chunks::{Piece, Pieces};
pub use files::{RunFiles, Start};
pub use find::{Hit, Line, Span, count, find, lines_before};
pub use hub::Hub;
pub use keep::{Kept, drop_raw, drop_text, kept, pack};
pub use last::last_line;
pub use style_reader::StyleReader;
pub use subscription::{Delivery, Subscription};
pub use text::Text;
