//! Closed sets of words: enums whose values are the same word in tables, in JSON and on the command line.

/// An enum with a word for each value: `ALL`, `as_str`, `Display`, `FromStr` and serde agree on it.
///
/// ```
/// qd_base::words!(
///     /// How an answer was meant.
///     Tone, "tone", {
///         /// Nothing is asked for.
///         Calm = "calm",
///         /// Something is to be done now.
///         Urgent = "urgent",
///     }
/// );
/// assert_eq!("urgent".parse(), Ok(Tone::Urgent));
/// assert_eq!("loud".parse::<Tone>().unwrap_err().to_string(), r#""loud" is not a tone: use one of calm, urgent"#);
/// ```
#[macro_export]
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, $crate::serde::Serialize, $crate::serde::Deserialize)]
        #[serde(crate = "qd_base::serde")]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),* }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word in tables, in JSON and on the command line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(text: &str) -> ::std::result::Result<Self, $crate::Error> {
                let found = Self::ALL.iter().copied().find(|word| word.as_str() == text);
                found.ok_or_else(|| $crate::Error::word($what, text, &[$($word),*]))
            }
        }
    };
}
