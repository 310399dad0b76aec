//! One watcher: first the content of the file, then live output, without a gap or a duplicate between the two.

use super::capture::{Capture, Joined, Message, PIECE, Piece, read_piece};
use super::files::RunFiles;
use super::text::Text;
use orch_core::audit::timeline::time_at;
use orch_core::text::output::OutputChunk;
use orch_sys::clock::{Clock, SystemClock};
use std::io;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// What a watcher receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A chunk of output.
    Output(Arc<OutputChunk>),
    /// The watcher was too slow for live output: these bytes follow from the file.
    Lagged {
        /// The offset of the first such byte.
        from: u64,
        /// The offset after the last such byte.
        to: u64,
    },
    /// The transcript was truncated: output continues at this offset.
    Cut {
        /// The offset of the following output.
        offset: u64,
    },
}

/// A watcher of one run.
pub struct Subscription {
    files: RunFiles,
    /// The offset before which everything was delivered.
    cursor: u64,
    /// The live output; `None` when the run was over before and everything is in the file.
    live: Option<broadcast::Receiver<Message>>,
    /// The offset up to which the file is read before anything live; `None` for its end.
    file_until: Option<u64>,
    text: Option<Arc<Text>>,
    /// The write times, as they were when the file was first read.
    marks: Option<Arc<Vec<u8>>>,
    /// A live chunk that waits until the file was read up to it.
    next: Option<Arc<OutputChunk>>,
    ended: bool,
    /// Keeps the task alive as long as there is a watcher.
    _capture: Option<Arc<Capture>>,
}

impl Subscription {
    pub(super) fn new(files: RunFiles, cursor: u64, joined: Option<(Joined, Arc<Capture>)>) -> Self {
        let file_until = joined.as_ref().map(|(joined, _)| joined.offset);
        let (live, capture) = joined.map(|(joined, capture)| (joined.live, capture)).unzip();
        Self { _capture: capture, files, cursor, live, file_until, text: None, marks: None, next: None, ended: false }
    }

    /// Returns the files of the run.
    pub fn files(&self) -> &RunFiles {
        &self.files
    }

    /// Returns the offset before which everything was delivered.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Waits for the next delivery; `None` after the final chunk. Cancel-safe.
    ///
    /// # Errors
    /// The transcript cannot be read.
    pub async fn next(&mut self) -> io::Result<Option<Delivery>> {
        if self.ended {
            return Ok(None);
        }
        loop {
            if self.file_until.is_none_or(|until| self.cursor < until) {
                if let Some(chunk) = self.read_from_file().await? {
                    return Ok(Some(Delivery::Output(chunk)));
                }
                if self.live.is_none() {
                    self.ended = true;
                    return Ok(Some(Delivery::Output(Arc::new(self.chunk(String::new(), 0, true)))));
                }
                // The file ends here, whatever was announced.
                let offset = self.next.as_ref().map_or(self.cursor, |next| next.offset);
                self.file_until = Some(offset);
                if offset > self.cursor {
                    self.cursor = offset;
                    return Ok(Some(Delivery::Cut { offset }));
                }
            }
            if let Some(chunk) = self.next.take()
                && let Some(chunk) = self.admit(chunk)
            {
                return Ok(Some(chunk));
            }
            let Some(live) = &mut self.live else { continue };
            match live.recv().await {
                Ok(Message::Piece(chunk)) => {
                    if let Some(delivery) = self.admit(chunk) {
                        return Ok(Some(delivery));
                    }
                }
                Ok(Message::Cut(offset)) => {
                    self.cursor = offset;
                    self.file_until = Some(offset);
                    return Ok(Some(Delivery::Cut { offset }));
                }
                // The next chunk says how much it was.
                Err(RecvError::Lagged(_)) => {}
                // The run ended without an announcement: the file has the rest.
                Err(RecvError::Closed) => {
                    self.live = None;
                    self.file_until = None;
                }
            }
        }
    }

    /// Returns the new part of a live chunk; a gap before it is read first.
    fn admit(&mut self, chunk: Arc<OutputChunk>) -> Option<Delivery> {
        if chunk.offset > self.cursor {
            let (from, to) = (self.cursor, chunk.offset);
            self.file_until = Some(to);
            self.next = Some(chunk);
            return Some(Delivery::Lagged { from, to });
        }
        if chunk.is_final {
            self.ended = true;
            self.cursor = self.cursor.max(chunk.end);
            return Some(Delivery::Output(chunk));
        }
        if chunk.end <= self.cursor {
            return None;
        }
        let seen = usize::try_from(self.cursor - chunk.offset).unwrap_or(usize::MAX);
        self.cursor = chunk.end;
        if seen == 0 {
            return Some(Delivery::Output(chunk));
        }
        // A cursor inside a character, or in invalid UTF-8, starts with the next chunk.
        let content = chunk.content.get(seen..)?.to_owned();
        Some(Delivery::Output(Arc::new(OutputChunk {
            offset: chunk.offset + seen as u64,
            content,
            ..(*chunk).clone()
        })))
    }

    async fn read_from_file(&mut self) -> io::Result<Option<Arc<OutputChunk>>> {
        let text = match &self.text {
            Some(text) => Arc::clone(text),
            None => match Text::open(&self.files)? {
                Some(text) => Arc::clone(self.text.insert(Arc::new(text))),
                None => return Ok(None),
            },
        };
        let left = self.file_until.map_or(u64::MAX, |until| until.saturating_sub(self.cursor));
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        let (cursor, files, marks) = (self.cursor, self.files.clone(), self.marks.clone());
        let read = tokio::task::spawn_blocking(move || {
            let marks = marks.unwrap_or_else(|| Arc::new(files.marks().unwrap_or_default()));
            let piece = read_piece(&text, cursor, &mut vec![0; most], true)?;
            Ok::<_, io::Error>((piece, marks))
        });
        let (piece, marks) = read.await.map_err(io::Error::other)??;
        self.marks = Some(marks);
        let Some(Piece { content, length, .. }) = piece else { return Ok(None) };
        let chunk = self.chunk(content, length, false);
        self.cursor = chunk.end;
        Ok(Some(Arc::new(chunk)))
    }

    fn chunk(&self, content: String, length: u64, is_final: bool) -> OutputChunk {
        let marks = self.marks.as_deref().map_or(&[][..], Vec::as_slice);
        OutputChunk {
            task_id: self.files.task,
            run_id: self.files.run.clone(),
            offset: self.cursor,
            end: self.cursor + length,
            timestamp: time_at(marks, self.cursor).unwrap_or_else(|| SystemClock.now()),
            content,
            is_final,
        }
    }
}
