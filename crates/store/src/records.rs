//! The records: what is stored of each type of the domain, with the names of its keys and what is allowed for
//! rows of older versions. Nothing else in this crate turns a value of the domain into JSON or reads one from it.
//!
//! A type of the domain that gains, loses or renames a field or a variant does not compile here before its record says
//! what that means for the rows that exist. The words of enums are literals, and `records/tests.rs` holds the keys.
//!
//! The facts of the history have no records: `orch_core::audit::history::Fact` is the record format of the history itself, with
//! a version in each row and a fixture of what is stored of each fact (`crates/core/src/audit/history/tests.rs`). Projects and
//! what channels keep stand in columns.

mod batch;
mod job;
mod message;
mod notice;
mod route;
mod run;
mod spending;
mod state;
mod switch;
mod task;
#[cfg(test)]
mod tests;
mod work;

use crate::tasks_file::Agreed;
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::money::Usd;
use orch_core::operations::job::JobId;
use orch_core::planning::batch::BatchName;
use orch_core::tasks::message::MessageId;
use orch_core::tasks::outcome::FailureClass;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

/// A type whose values are stored, by way of its record.
pub trait Stored: Sized {
    /// The form on the disk.
    type Record: Serialize + DeserializeOwned;

    /// Converts a value to its record.
    fn to_record(&self) -> Self::Record;

    /// Converts a record to its value.
    fn from_record(record: Self::Record) -> Self;
}

/// Returns the JSON that is stored of a value.
///
/// # Errors
/// The value has no form in JSON: a path is not UTF-8.
pub fn to_json<T: Stored>(value: &T) -> serde_json::Result<String> {
    serde_json::to_string(&value.to_record())
}

/// Returns the value of a stored JSON text.
///
/// # Errors
/// The text is not JSON, or not a record of this type.
pub fn from_json<T: Stored>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text).map(T::from_record)
}

/// Returns what is stored of a value, to be part of another record.
///
/// # Errors
/// As [`to_json`].
pub fn to_value<T: Stored>(value: &T) -> serde_json::Result<Value> {
    serde_json::to_value(value.to_record())
}

/// Returns the value of a part of a record.
///
/// # Errors
/// It is not a record of this type.
pub fn from_value<T: Stored>(stored: Value) -> serde_json::Result<T> {
    serde_json::from_value(stored).map(T::from_record)
}

/// For `#[serde(with = "…")]`: a field whose record is part of another document.
pub mod as_record {
    use super::Stored;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Serializes the record of a value.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<T: Stored, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.to_record().serialize(serializer)
    }

    /// Reads a record and returns its value.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, T: Stored, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::Record::deserialize(deserializer).map(T::from_record)
    }
}

/// Types that are stored as they serialize: texts, numbers, times, ids, and what has a stable form of its own.
macro_rules! stored_as_they_are {
    ($($type:ty),* $(,)?) => {
        $(impl Stored for $type {
            type Record = Self;

            fn to_record(&self) -> Self {
                Clone::clone(self)
            }

            fn from_record(record: Self) -> Self {
                record
            }
        })*
    };
}

stored_as_they_are! {
    (), bool, i32, i64, u32, u64, usize, String, PathBuf, Timestamp, Value,
    TaskId, RunId, MessageId, JobId, BatchName, Usd, FailureClass,
    BTreeSet<i64>, VecDeque<Timestamp>, Agreed,
}

impl<T: Stored> Stored for Option<T> {
    type Record = Option<T::Record>;

    fn to_record(&self) -> Self::Record {
        self.as_ref().map(T::to_record)
    }

    fn from_record(record: Self::Record) -> Self {
        record.map(T::from_record)
    }
}

impl<T: Stored> Stored for Box<T> {
    type Record = Box<T::Record>;

    fn to_record(&self) -> Self::Record {
        Box::new(T::to_record(self))
    }

    fn from_record(record: Self::Record) -> Self {
        Self::new(T::from_record(*record))
    }
}

impl<T: Stored> Stored for Arc<T> {
    type Record = T::Record;

    fn to_record(&self) -> Self::Record {
        T::to_record(self)
    }

    fn from_record(record: Self::Record) -> Self {
        Self::new(T::from_record(record))
    }
}

impl<T: Stored> Stored for Vec<T> {
    type Record = Vec<T::Record>;

    fn to_record(&self) -> Self::Record {
        self.iter().map(T::to_record).collect()
    }

    fn from_record(record: Self::Record) -> Self {
        record.into_iter().map(T::from_record).collect()
    }
}

impl<T: Stored> Stored for BTreeMap<String, T> {
    type Record = BTreeMap<String, T::Record>;

    fn to_record(&self) -> Self::Record {
        self.iter().map(|(key, value)| (key.clone(), value.to_record())).collect()
    }

    fn from_record(record: Self::Record) -> Self {
        record.into_iter().map(|(key, value)| (key, T::from_record(value))).collect()
    }
}

/// Defines the record of a type of the domain, and both conversions. The fields have the types of the domain; what is
/// stored of each is its record. Attributes of serde on a record, a field or a variant are those of the stored form; each
/// variant of an enum has its stored word. The fields of a part that follows `with` are keys of the same record.
macro_rules! record {
    ($(#[$meta:meta])* struct $record:ident = $value:ty {
        $($(#[$of_field:meta])* $field:ident: $type:ty),* $(,)?
    } $(with $part:ident: $part_type:ident {
        $($(#[$of_inner:meta])* $inner:ident: $inner_type:ty),* $(,)?
    })?) => {
        #[derive(serde::Serialize, serde::Deserialize)]
        $(#[$meta])*
        pub struct $record {
            $($(#[$of_field])* $field: <$type as $crate::records::Stored>::Record,)*
            $($($(#[$of_inner])* $inner: <$inner_type as $crate::records::Stored>::Record,)*)?
        }

        impl $crate::records::Stored for $value {
            type Record = $record;

            fn to_record(&self) -> $record {
                let Self { $($field,)* $($part)? } = self;
                $(let $part_type { $($inner),* } = $part;)?
                $record {
                    $($field: $crate::records::Stored::to_record($field),)*
                    $($($inner: $crate::records::Stored::to_record($inner),)*)?
                }
            }

            fn from_record(record: $record) -> Self {
                let $record { $($field,)* $($($inner,)*)? } = record;
                Self {
                    $($field: $crate::records::Stored::from_record($field),)*
                    $($part: $part_type { $($inner: $crate::records::Stored::from_record($inner)),* },)?
                }
            }
        }
    };
    ($(#[$meta:meta])* enum $record:ident = $value:ty {
        $($(#[$of_variant:meta])* $variant:ident
            $(($inner:ident: $newtype:ty))?
            $({ $($(#[$of_field:meta])* $field:ident: $type:ty),* $(,)? })?
            = $word:literal),* $(,)?
    }) => {
        #[derive(serde::Serialize, serde::Deserialize)]
        $(#[$meta])*
        pub enum $record {
            $($(#[$of_variant])* #[serde(rename = $word)] $variant
                $((<$newtype as $crate::records::Stored>::Record))?
                $({ $($(#[$of_field])* $field: <$type as $crate::records::Stored>::Record),* })?),*
        }

        impl $crate::records::Stored for $value {
            type Record = $record;

            fn to_record(&self) -> $record {
                match self {
                    $(Self::$variant $(($inner))? $({ $($field),* })? => $record::$variant
                        $(($crate::records::Stored::to_record($inner)))?
                        $({ $($field: $crate::records::Stored::to_record($field)),* })?),*
                }
            }

            fn from_record(record: $record) -> Self {
                match record {
                    $($record::$variant $(($inner))? $({ $($field),* })? => Self::$variant
                        $(($crate::records::Stored::from_record($inner)))?
                        $({ $($field: $crate::records::Stored::from_record($field)),* })?),*
                }
            }
        }
    };
}
use record;

/// Defines records one after the other, each as [`record!`] does.
macro_rules! records {
    () => {};
    ($(#[$meta:meta])* $kind:ident $record:ident = $value:ty { $($body:tt)* } with $part:ident: $part_type:ident {
        $($inner:tt)*
    } $($rest:tt)*) => {
        $crate::records::record! {
            $(#[$meta])* $kind $record = $value { $($body)* } with $part: $part_type { $($inner)* }
        }
        $crate::records::records! { $($rest)* }
    };
    ($(#[$meta:meta])* $kind:ident $record:ident = $value:ty { $($body:tt)* } $($rest:tt)*) => {
        $crate::records::record! { $(#[$meta])* $kind $record = $value { $($body)* } }
        $crate::records::records! { $($rest)* }
    };
}
use records;

/// Tells serde to leave out a number that is 0.
fn is_zero(number: &u32) -> bool {
    *number == 0
}
