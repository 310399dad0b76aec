//! The outline of `tasks.yml` that the next write needs.

use orch_store::tasks_file::Outline;

/// The places of all entries in the file, as far as they are kept between two writes.
#[derive(Default)]
pub enum Layout {
    #[default]
    Unknown,
    /// Not known, and the next read must bring it.
    Wanted,
    Known(Outline),
}

impl Layout {
    /// Takes a known outline out; what is wanted stays wanted.
    pub fn take(&mut self) -> Option<Outline> {
        match std::mem::take(self) {
            Self::Unknown => None,
            Self::Wanted => {
                *self = Self::Wanted;
                None
            }
            Self::Known(outline) => Some(outline),
        }
    }

    /// Keeps this outline in place of the one before. Without one, what is wanted stays so.
    pub fn replace(&mut self, outline: Option<Outline>) {
        drop(self.take());
        if let Some(outline) = outline {
            *self = Self::Known(outline);
        }
    }

    /// Returns whether the next read must bring the outline.
    pub fn is_wanted(&self) -> bool {
        matches!(self, Self::Wanted)
    }
}
