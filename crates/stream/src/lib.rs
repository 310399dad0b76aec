//! Live output. The transcript of a run is the stream: append-only, so an offset is a cursor. One thread follows the
//! transcripts that somebody watches and hands what is new to everybody; whoever comes late, or was too slow, reads
//! the file. Mechanism only: whoever watches never slows the one who writes.

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
