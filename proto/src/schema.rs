//! OpenAPI schemas of the types whose JSON is a text of their own, said where each is read from text.
//!
//! What a schema says is exactly what the type's parser takes; the node's tests hold the two against each other. Patterns are
//! those of ECMA 262 with Unicode, as JSON Schema has them, and lengths are in characters.

#[cfg(feature = "schema")]
use utoipa::openapi::RefOr;
#[cfg(feature = "schema")]
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

/// A text that a type is read from.
#[derive(Debug, Clone, Copy)]
pub struct TextSchema {
    /// The type's name in the description.
    pub name: &'static str,
    /// What it is, for people.
    pub description: &'static str,
    /// One.
    pub example: &'static str,
    /// What every such text matches, and no other text.
    pub pattern: &'static str,
    /// The fewest and the most characters; `None` for no bound but the pattern's.
    pub length: (usize, Option<usize>),
}

#[cfg(feature = "schema")]
impl TextSchema {
    pub(crate) fn schema(&self) -> RefOr<Schema> {
        let (min, max) = self.length;
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .description(Some(self.description))
            .examples([self.example])
            .pattern(Some(self.pattern))
            .min_length(Some(min))
            .max_length(max)
            .into()
    }
}

/// A type that is read from a text with a schema.
pub trait Text {
    /// What the text may be.
    const TEXT: TextSchema;
}

/// Says what texts a type is read from.
macro_rules! text_schema {
    ($type:ty, $text:expr) => {
        #[cfg(feature = "schema")]
        impl $crate::schema::Text for $type {
            const TEXT: $crate::schema::TextSchema = $text;
        }

        #[cfg(feature = "schema")]
        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                <Self as $crate::schema::Text>::TEXT.schema()
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed(<Self as $crate::schema::Text>::TEXT.name)
            }
        }
    };
}

pub(crate) use text_schema;
