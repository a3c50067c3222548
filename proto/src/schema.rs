//! OpenAPI schemas of the types whose JSON is a text of their own.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! text_schema {
    ($type:ty, $name:literal, $description:literal, $example:literal) => {
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(SchemaType::Type(Type::String))
                    .description(Some($description))
                    .examples([$example])
                    .into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    };
}

text_schema!(
    crate::id::Ref,
    "Ref",
    "One entry: chain id, colon, position",
    "0f3a5b0c6d1e2f4a8b9c0d1e2f3a4b5c:7"
);
text_schema!(crate::units::UnitSet, "UnitSet", "Serials: ranges and single ones, ascending", "1-5,9");
