//! Searching through a model, breadth first.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Instant;

use stateright::{Checker, Expectation, Model, Property};

/// What a search came to.
#[derive(Debug)]
pub struct Found<A> {
    /// States that differ.
    pub states: usize,
    /// Promises that are broken, by name, each with the fewest steps that break it.
    pub broken: BTreeMap<&'static str, Vec<A>>,
    /// What can come to pass and did, by name, each with the fewest steps that lead there.
    pub reached: BTreeMap<&'static str, Vec<A>>,
    /// What should be able to come to pass, and never did.
    pub never: Vec<&'static str>,
}

/// Searches through all that `model` can reach, and prints the states, the time, and the steps to whatever is found.
pub fn search<M>(name: &str, model: M) -> Found<M::Action>
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let began = Instant::now();
    let checker = model.clone().checker().spawn_bfs().join();
    let states = checker.unique_state_count();
    println!("{name}: {states} states in {:.1} s", began.elapsed().as_secs_f64());
    let mut found = Found { states, broken: BTreeMap::new(), reached: BTreeMap::new(), never: Vec::new() };
    for property in model.properties() {
        let name = property.name;
        let (all, word) = match property.expectation {
            Expectation::Sometimes => (&mut found.reached, "reached"),
            _ => (&mut found.broken, "BROKEN"),
        };
        if checker.discovery(name).is_none() {
            if word == "reached" {
                println!("  never: {name}");
                found.never.push(name);
            }
            continue;
        }
        let steps = Only { model: model.clone(), name }.fewest_steps();
        println!("  {word}: {name}, by");
        for (number, action) in steps.iter().enumerate() {
            println!("    {}. {action:?}", number + 1);
        }
        all.insert(name, steps);
    }
    found
}

/// A model with one of its properties: a search of it ends with the first state that shows that. One of several goes on, and
/// keeps the last.
#[derive(Clone)]
struct Only<M> {
    model: M,
    name: &'static str,
}

impl<M> Only<M>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    fn fewest_steps(self) -> Vec<M::Action> {
        let name = self.name;
        // One thread: with more the first to be found is not the nearest.
        let checker = self.checker().threads(1).spawn_bfs().join();
        checker.discovery(name).map(stateright::Path::into_actions).unwrap_or_default()
    }
}

impl<M: Model> Model for Only<M> {
    type State = M::State;
    type Action = M::Action;

    fn init_states(&self) -> Vec<M::State> {
        self.model.init_states()
    }

    fn actions(&self, state: &M::State, actions: &mut Vec<M::Action>) {
        self.model.actions(state, actions);
    }

    fn next_state(&self, last: &M::State, action: M::Action) -> Option<M::State> {
        self.model.next_state(last, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let named = self.model.properties().into_iter().find(|property| property.name == self.name);
        let of = |property: Property<M>| {
            // A property is a plain function, and knows its own model only: the name finds it again.
            let holds: fn(&Self, &M::State) -> bool = |only, state| {
                let all = only.model.properties().into_iter();
                let mut named = all.filter(|property| property.name == only.name);
                named.next().is_some_and(|property| (property.condition)(&only.model, state))
            };
            Property { expectation: property.expectation, name: property.name, condition: holds }
        };
        named.map(of).into_iter().collect()
    }
}
