//! The shortest counterexample. Stateright's own search goes on for up to 1,500 states after it has found one and keeps the
//! last that it met; this one goes breadth first and stops at the first, so that there is no shorter one.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

use stateright::{Expectation, Model};

/// How each state was first reached: from which, and by which step.
type Reached<Step> = Vec<Option<(usize, Step)>>;

/// The shortest way to break a promise, if there is one: which, and how. Where one step breaks several at once, the first
/// of the model's list.
pub fn counterexample<M: Model>(model: &M) -> Option<(&'static str, Vec<M::Action>)>
where
    M::State: Clone + Eq + Hash,
    M::Action: Clone,
{
    let mut promises = model.properties();
    promises.retain(|promise| matches!(promise.expectation, Expectation::Always));
    let mut waiting: VecDeque<M::State> = model.init_states().into();
    let mut seen: HashSet<M::State> = waiting.iter().cloned().collect();
    let mut reached: Reached<M::Action> = vec![None; waiting.len()];
    let mut steps = Vec::new();
    for current in 0.. {
        let state = waiting.pop_front()?;
        if let Some(broken) = promises.iter().find(|promise| !(promise.condition)(model, &state)) {
            return Some((broken.name, story(&reached, current)));
        }
        model.actions(&state, &mut steps);
        for step in steps.drain(..) {
            let Some(next) = model.next_state(&state, step.clone()) else { continue };
            if seen.insert(next.clone()) {
                waiting.push_back(next);
                reached.push(Some((current, step)));
            }
        }
    }
    None
}

fn story<Step: Clone>(reached: &Reached<Step>, mut at: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some((before, step)) = reached[at].clone() {
        steps.push(step);
        at = before;
    }
    steps.reverse();
    steps
}
