//! A value whose changes are written to the journal.

/// The value, and whether the journal does not know of it yet.
#[derive(Debug, Default)]
pub(super) struct Journaled<T> {
    value: T,
    is_new: bool,
}

impl<T: Clone + PartialEq> Journaled<T> {
    /// A value that the journal knows.
    pub(super) fn known(value: T) -> Self {
        Self { value, is_new: false }
    }

    pub(super) fn get(&self) -> &T {
        &self.value
    }

    pub(super) fn set(&mut self, value: T) {
        self.is_new |= self.value != value;
        self.value = value;
    }

    /// Returns the value, when the journal is to record it; once.
    pub(super) fn take_new(&mut self) -> Option<T> {
        std::mem::take(&mut self.is_new).then(|| self.value.clone())
    }
}
