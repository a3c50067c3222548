//! Values of which there are few, so that shells complete them.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use popmesh_proto::identity::{Role, Roles};
use popmesh_proto::money::Currency;

use super::currency;

/// Reads a value, and says what there is.
#[derive(Clone)]
pub(super) struct Known<T> {
    read: fn(&str) -> Result<T, String>,
    names: fn() -> Vec<&'static str>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Known<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        self.read.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.names)().into_iter().map(PossibleValue::new)))
    }
}

/// Roles, such as `pos,hq`.
pub(super) fn roles() -> Known<Roles> {
    let names = || Role::ALL.into_iter().map(Role::name).collect();
    Known { read: |text| text.parse(), names }
}

/// A currency that people pay with.
pub(super) fn currency() -> Known<Currency> {
    Known { read: currency::in_use, names: || currency::codes().collect() }
}

/// Any three letters, since a shop may have its own: for who founds an event in all its steps.
pub(super) fn any_currency() -> Known<Currency> {
    let read = |text: &str| text.parse::<Currency>().map_err(|error| error.to_string());
    Known { read, names: || currency::codes().collect() }
}
