//! Resolved settings with what a file sets.

/// Builds `Self` from resolved settings and those that a file sets: `[…]` names fields that a file may set, `?[…]` those that
/// may have no value. All other fields follow.
macro_rules! overlay {
    ($own:ident with $raw:ident {
        $([$($set:ident),+])? $(?[$($optional:ident),+])? $($field:ident $(: $value:expr)?),* $(,)?
    }) => {
        Self {
            $($($set: $raw.$set.unwrap_or($own.$set),)+)?
            $($($optional: $raw.$optional.or($own.$optional),)+)?
            $($field $(: $value)?),*
        }
    };
}
pub(super) use overlay;
