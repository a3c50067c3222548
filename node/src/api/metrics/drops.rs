//! Drops, by how far they are.

use popmesh_proto::command::{DropInfo, DropState};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::signed;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    drop: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    drop: String,
}

/// Every state, by the name that the API has for it.
const STATES: [(DropState, &str); 5] = [
    (DropState::Planned, "planned"),
    (DropState::Announced, "announced"),
    (DropState::Open, "open"),
    (DropState::LastCall, "last_call"),
    (DropState::Closed, "closed"),
];

pub(super) fn register(registry: &mut Registry, drops: &[DropInfo]) {
    let states = Family::<StateLabels, Gauge>::default();
    let rounds = Family::<DropLabels, Gauge>::default();
    let steps = Family::<DropLabels, Gauge>::default();
    let late = Family::<DropLabels, Gauge>::default();
    for info in drops {
        for (state, name) in STATES {
            let labels = StateLabels { drop: info.drop.to_string(), state: name };
            states.get_or_create(&labels).set(i64::from(info.state == state));
        }
        let labels = DropLabels { drop: info.drop.to_string() };
        rounds.get_or_create(&labels).set(i64::from(info.round));
        steps.get_or_create(&labels).set(signed(info.taken));
        late.get_or_create(&labels).set(signed(info.late));
    }
    registry.register(
        "drop_state",
        "1 for how far a drop is at this device's venue, 0 for the others",
        states,
    );
    registry.register("drop_round", "How often a drop was opened again at this device's venue", rounds);
    registry.register("drop_steps", "Steps of a drop that were taken, in all rounds and venues", steps);
    registry.register("drop_sales_after_close", "Sales that were made after the close of their round", late);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drop_is_in_one_state() {
        let mut registry = Registry::with_prefix("popmesh");
        let night = DropInfo::planned("night".parse().unwrap(), "Night".to_owned());
        register(&mut registry, &[DropInfo { state: DropState::LastCall, late: 3, taken: 5, ..night }]);
        let text = super::super::encode(&Registry::default(), &registry).unwrap();
        for line in [
            "popmesh_drop_state{drop=\"night\",state=\"last_call\"} 1",
            "popmesh_drop_state{drop=\"night\",state=\"open\"} 0",
            "popmesh_drop_round{drop=\"night\"} 0",
            "popmesh_drop_steps{drop=\"night\"} 5",
            "popmesh_drop_sales_after_close{drop=\"night\"} 3",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in:\n{text}");
        }
    }
}
