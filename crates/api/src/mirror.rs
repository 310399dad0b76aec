//! Two macros for what the wire has in common with the core: structs that repeat one of the core, and closed sets of words.

/// Defines a struct of the wire that has the fields of a struct of the core, and the conversions both ways. Each field is
/// named once; one that the core adds or loses does not compile until it is named here.
///
/// `field: Type as each` converts the elements of a list, `field: Type as one` a value; other fields are the same on both
/// sides.
macro_rules! mirror {
    ($(#[$meta:meta])* pub struct $name:ident for $core:path {
        $($(#[$field_meta:meta])* pub $field:ident: $type:ty $(as $how:ident)?,)*
    }) => {
        #[derive(Debug, Clone, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema)]
        $(#[$meta])*
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl From<&$core> for $name {
            fn from(of: &$core) -> Self {
                let $core { $($field,)* } = of;
                Self { $($field: $crate::mirror::convert!($field $($how)?),)* }
            }
        }

        impl From<&$name> for $core {
            fn from(of: &$name) -> Self {
                let $name { $($field,)* } = of;
                $core { $($field: $crate::mirror::convert!($field $($how)?),)* }
            }
        }
    };
}

/// Converts a field of a [`mirror!`].
macro_rules! convert {
    ($field:ident) => {
        ::std::clone::Clone::clone($field)
    };
    ($field:ident one) => {
        ::std::convert::Into::into($field)
    };
    ($field:ident each) => {
        $field.iter().map(::std::convert::Into::into).collect()
    };
}

/// Defines a closed set of words of the wire, where it says so with the conversion from the same set of the core.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident $(for $core:path)? {
        $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)*
    }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema)]
        $(#[$meta])*
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Returns the word on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        $crate::mirror::words!(@from $name $($core)? { $($variant)* });
    };
    (@from $name:ident { $($variant:ident)* }) => {};
    (@from $name:ident $core:path { $($variant:ident)* }) => {
        impl From<$core> for $name {
            fn from(of: $core) -> Self {
                type Core = $core;
                match of {
                    $(Core::$variant => Self::$variant,)*
                }
            }
        }
    };
}

pub(crate) use {convert, mirror, words};
