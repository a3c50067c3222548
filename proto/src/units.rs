//! Sets of serials.
/// A set of serials.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitSet(Vec<(u32, u32)>);
impl serde::Serialize for UnitSet {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("")
    }
}
impl<'de> serde::Deserialize<'de> for UnitSet {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d).map(|_| Self(Vec::new()))
    }
}
impl std::fmt::Display for UnitSet {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
