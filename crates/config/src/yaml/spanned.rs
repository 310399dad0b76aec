//! A value with its position in the text.

use serde::{Deserialize, Deserializer};
use std::ops::Deref;

/// A value with the position it was read from; line and column count from 1, and are 0 when it was not read from YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spanned<T> {
    /// The deserialized value.
    pub value: T,
    /// The line of the value.
    pub line: u32,
    /// The column of the value, in characters.
    pub column: u32,
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Self { value: read.value, line: number(read.referenced.line()), column: number(read.referenced.column()) })
    }
}
