//! What other projects' refresh tokens were found to get wrong, or are tested for, told again for this one: each test
//! names the project and its test or issue, and is written anew from what that says should happen.
//!
//! Where Rondo means something else than they do, the test says so and holds what Rondo means.

#[path = "scenarios/order.rs"]
mod order;
#[path = "scenarios/retries.rs"]
mod retries;
#[path = "scenarios/reuse.rs"]
mod reuse;
#[path = "scenarios/rotation.rs"]
mod rotation;

use rondo_tests::{Answer, World, secs};

/// That the session is over: 401, and the cookie is taken away.
#[track_caller]
fn assert_over(answer: &Answer) {
    assert_eq!((answer.status, answer.clears_cookie()), (401, true), "{:?}", answer.line);
    assert_eq!(answer.token(), None);
}

/// A session and its tokens, oldest first: rotated `times` times, a minute apart, the last time at `60 * times` seconds.
async fn rotated(world: &World, times: i64) -> Vec<String> {
    let mut tokens = vec![world.open(secs(0)).await];
    for n in 1..=times {
        tokens.push(world.refresh(tokens.last().unwrap(), secs(60 * n)).await.ok());
    }
    tokens
}

/// The generation that a token says it is of, unverified.
fn generation_of(token: &str) -> u32 {
    rondo_shared::token::UnverifiedToken::parse(token).unwrap().claims_unverified().unwrap().generation
}
