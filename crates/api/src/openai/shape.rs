//! The pieces of OpenAI's requests: read to be checked, without copying texts out of the body.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A text that borrows from the body where no escape forbids it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Reader<'a> {
            type Value = Text<'a>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Reader(PhantomData))
    }
}

impl PartialSchema for Text<'_> {
    fn schema() -> RefOr<Schema> {
        string()
    }
}

impl ToSchema for Text<'_> {}

/// Any JSON value, passed on unread.
#[derive(Clone, Copy, Debug)]
pub struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl PartialSchema for Anything {
    fn schema() -> RefOr<Schema> {
        utoipa::openapi::schema::empty().into()
    }
}

impl ToSchema for Anything {}

/// A JSON object, passed on unread.
#[derive(Clone, Copy, Debug)]
pub struct AnyObject;

impl<'de> Deserialize<'de> for AnyObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = AnyObject;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyObject, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(AnyObject)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl PartialSchema for AnyObject {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Object).into()
    }
}

impl ToSchema for AnyObject {}

/// One value or many of them, as `stop` and `content` take.
#[derive(Clone, Debug)]
pub enum OneOrMany<T> {
    /// A single string.
    One,
    /// The items of an array.
    Many(Vec<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = OneOrMany<T>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string or an array")
            }
            fn visit_str<E>(self, _: &str) -> Result<OneOrMany<T>, E> {
                Ok(OneOrMany::One)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMany<T>, A::Error> {
                let mut many = Vec::new();
                while let Some(item) = items.next_element()? {
                    many.push(item);
                }
                Ok(OneOrMany::Many(many))
            }
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// The schema of a text or several texts.
pub struct Texts;

impl PartialSchema for Texts {
    fn schema() -> RefOr<Schema> {
        any_of([string(), array(string())])
    }
}

impl ToSchema for Texts {}

/// The schema of a text or several parts.
pub struct Parts;

impl PartialSchema for Parts {
    fn schema() -> RefOr<Schema> {
        any_of([string(), array(Part::schema())])
    }
}

impl ToSchema for Parts {}

/// One part of a message's content.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct Part<'a> {
    /// `text`, `image_url`, `input_audio`, `file`, `refusal`, …
    #[serde(rename = "type", borrow)]
    #[schema(value_type = String)]
    pub kind: Text<'a>,
}

/// What completions and embeddings take: a text, texts, tokens, or lists of tokens.
#[derive(Clone, Debug)]
pub enum Input {
    /// A single text.
    Text {
        /// Whether it has no characters.
        empty: bool,
    },
    /// The items of an array.
    Items(Vec<Item>),
}

/// One item of an [`Input`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A text.
    Text {
        /// Whether it has no characters.
        empty: bool,
    },
    /// One token of a single input.
    Token,
    /// An input as tokens.
    Tokens {
        /// How many.
        count: usize,
    },
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Input;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string or an array of strings, integers or arrays of integers")
            }
            fn visit_str<E>(self, text: &str) -> Result<Input, E> {
                Ok(Input::Text { empty: text.is_empty() })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Input, A::Error> {
                let mut items: Vec<Item> = Vec::new();
                while let Some(item) = seq.next_element::<Item>()? {
                    if items.first().is_some_and(|first| !first.is_like(item)) {
                        return Err(A::Error::custom(
                            "all items must be of one kind: strings, integers or arrays of integers",
                        ));
                    }
                    items.push(item);
                }
                Ok(Input::Items(items))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl Item {
    fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Item;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string, an integer or an array of integers")
            }
            fn visit_str<E>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Text { empty: text.is_empty() })
            }
            fn visit_u64<E>(self, _: u64) -> Result<Item, E> {
                Ok(Item::Token)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut tokens: A) -> Result<Item, A::Error> {
                let mut count = 0;
                while tokens.next_element::<u32>()?.is_some() {
                    count += 1;
                }
                Ok(Item::Tokens { count })
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl PartialSchema for Input {
    fn schema() -> RefOr<Schema> {
        any_of([string(), array(string()), array(integer()), array(array(integer()))])
    }
}

impl ToSchema for Input {}

pub(crate) fn string() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).into()
}

fn integer() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Integer).into()
}

pub(crate) fn array(items: RefOr<Schema>) -> RefOr<Schema> {
    ArrayBuilder::new().items(items).into()
}

pub(crate) fn any_of(forms: impl IntoIterator<Item = RefOr<Schema>>) -> RefOr<Schema> {
    let any = forms.into_iter().fold(AnyOfBuilder::new(), AnyOfBuilder::item);
    RefOr::T(Schema::AnyOf(any.build()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<usize>) {
        let found = serde_json::from_str::<Input>(body).ok().map(|input| match input {
            Input::Text { .. } => 1,
            Input::Items(items) => items.len(),
        });
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn the_four_forms_of_an_input() {
        check(r#""text""#, Some(1));
        check(r#"["a","b"]"#, Some(2));
        check(r#"[1,2,3]"#, Some(3));
        check(r#"[[1,2],[3]]"#, Some(2));
        check(r#"[]"#, Some(0));
    }

    #[test]
    fn inputs_of_no_form() {
        for body in [r#"["a",1]"#, r#"[[1],"a"]"#, r#"[["a"]]"#, r#"[-1]"#, r#"[1.5]"#, r#"{"a":1}"#, "7", "null"] {
            check(body, None);
        }
    }

    #[test]
    fn texts_borrow_unless_they_are_escaped() {
        assert!(matches!(serde_json::from_str::<Text>(r#""plain""#).unwrap().0, Cow::Borrowed("plain")));
        assert_eq!(serde_json::from_str::<Text>(r#""a\nb""#).unwrap().0, "a\nb");
        assert!(serde_json::from_str::<Text>("7").is_err());
    }
}
