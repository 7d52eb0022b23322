//! Proving a session without rotating it, in a family that a client with a cookie rotates: a retired token is believed
//! for its own window, however far behind it is, and no longer.

use std::num::NonZeroU32;
use std::time::Duration;

use rondo_shared::identity::Client;
use rondo_shared::keyring::source::{Keyring, KeyringSource};
use rondo_shared::limit::{Admission, Allowance};
use rondo_shared::mint::access_token;
use rondo_shared::moment::Timestamp;
use rondo_shared::rotation::{Grace, Lag, ProveError, Proven, Revocation, RotationPolicy, SealedFamilies, prove};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::Cause;
use rondo_shared::store::{Meter, Usage, keys as table_keys};
use rondo_shared::token::{Presented, UnverifiedToken};
use rondo_tests::world::{keyring_file, keys, millis, moment};
use rondo_tests::{Fault, Gate, T0, World, secs};
use serde_json::{Value, json};

const WINDOW: Grace = Grace::Window(Duration::from_secs(10));

/// One that proves, over some client of the table.
struct Prover {
    policy: RotationPolicy,
    store: DynamoStore,
    sealed: SealedFamilies,
}

impl Prover {
    fn new(world: &World, grace: Grace) -> Self {
        let policy = RotationPolicy { grace, ..world.app.policy().rotation };
        Self { policy, store: world.store(), sealed: SealedFamilies::default() }
    }

    /// What comes of a token that `agent` presents, and what that costs beside the bucket.
    async fn prove(&self, world: &World, token: &str, agent: &str, now: Timestamp) -> (Result<(), ProveError>, Usage) {
        let (proven, usage) = self.proven(world, token, agent, now).await;
        (proven.map(drop), usage)
    }

    async fn proven(
        &self,
        world: &World,
        token: &str,
        agent: &str,
        now: Timestamp,
    ) -> (Result<Proven, ProveError>, Usage) {
        let keyring = Keyring::open(KeyringSource::File(keyring_file().clone()), "uniqos", T0).unwrap();
        let (moment, meter) = (moment(now), Meter::default());
        let client = Client::new(Some("192.0.2.1".parse().unwrap()), agent);
        let authority = &world.app.policy().authority;
        let token = UnverifiedToken::parse(token).unwrap();
        let presented = Presented::verify(token, &keyring, authority, client, &moment).await.unwrap();
        let admission = Admission::new(Allowance::per_period(NonZeroU32::MIN, Duration::from_millis(1)));
        let bucket = table_keys::bucket("proving", &[&moment.request_id.to_string()]);
        let admitted =
            admission.admit(presented, &bucket, &self.sealed, &self.store, now, &Meter::default()).await.unwrap();
        let proven = prove(admitted, &self.policy, &self.sealed, &self.store, &moment, &meter).await;
        (proven, meter.usage())
    }

    async fn outcome(&self, world: &World, token: &str, now: Timestamp) -> Result<(), ProveError> {
        self.prove(world, token, "browser", now).await.0
    }
}

/// A session that was rotated at 60, 62 and 64 s, with its four tokens, oldest first.
async fn rotated_thrice(world: &World) -> [String; 4] {
    let zero = world.open(secs(0)).await;
    let one = world.refresh(&zero, secs(60)).await.ok();
    let two = world.refresh(&one, secs(62)).await.ok();
    let three = world.refresh(&two, secs(64)).await.ok();
    [zero, one, two, three]
}

fn is_sealed(world: &World) -> bool {
    world.dynamo.sort_keys("FAMILY#").contains(&"SEAL".to_owned())
}

const fn reads(calls: u32) -> Usage {
    Usage::of(calls, if calls == 1 { 1.0 } else { 2.0 }, 0.0)
}

#[tokio::test]
async fn a_session_is_proven_by_its_live_token_at_any_time() {
    let world = World::new().await;
    let [.., live] = rotated_thrice(&world).await;
    let prover = Prover::new(&world, WINDOW);
    for second in [64, 3_600, 86_400] {
        assert_eq!(prover.prove(&world, &live, "whoever", secs(second)).await, (Ok(()), reads(1)));
    }
}

#[tokio::test]
async fn a_retired_token_is_believed_for_its_own_window_however_far_behind_it_is() {
    use Lag::{RecentPredecessor, StaleLineage};
    // Each token's window begins where its own successor was put. The third behind costs a read more: its successor.
    let cases = [(2, 74_000, 1, RecentPredecessor), (1, 72_000, 1, StaleLineage), (0, 70_000, 2, StaleLineage)];
    for (token, ends, calls, lag) in cases {
        let world = World::new().await;
        let tokens = rotated_thrice(&world).await;
        let prover = Prover::new(&world, WINDOW);
        let believed = prover.prove(&world, &tokens[token], "browser", millis(ends - 1)).await;
        assert_eq!(believed, (Ok(()), reads(calls)), "token {token}");
        assert!(!is_sealed(&world));
        let reused = prover.outcome(&world, &tokens[token], millis(ends)).await;
        assert_eq!(reused, Err(ProveError::Revoked(Revocation::Reuse(lag))), "token {token}");
        assert!(is_sealed(&world));
        assert_eq!(world.refresh(&tokens[3], secs(80)).await.status, 401);
    }
}

#[tokio::test]
async fn where_a_window_lasts_until_the_successor_is_used_a_token_two_behind_is_a_reuse() {
    let world = World::new().await;
    let [_, one, two, _] = rotated_thrice(&world).await;
    let prover = Prover::new(&world, Grace::UntilSuccessorUsed { at_most: Duration::from_secs(300) });
    assert_eq!(prover.outcome(&world, &two, secs(65)).await, Ok(()));
    let reused = prover.outcome(&world, &one, secs(65)).await;
    assert_eq!(reused, Err(ProveError::Revoked(Revocation::Reuse(Lag::StaleLineage))));
}

#[tokio::test]
async fn with_the_grace_window_off_a_race_changes_nothing_for_two_seconds_and_is_a_reuse_after() {
    let world = World::new().await;
    let [_, _, two, live] = rotated_thrice(&world).await;
    let prover = Prover::new(&world, Grace::Off);
    assert_eq!(prover.outcome(&world, &two, millis(65_999)).await, Err(ProveError::Conflict));
    assert_eq!((is_sealed(&world), prover.outcome(&world, &live, secs(66)).await), (false, Ok(())));
    let reused = prover.outcome(&world, &two, secs(66)).await;
    assert_eq!(reused, Err(ProveError::Revoked(Revocation::Reuse(Lag::RecentPredecessor))));
}

#[tokio::test]
async fn a_retired_token_that_another_client_presents_is_served_and_written_down() {
    let world = World::new().await;
    let [_, _, two, _] = rotated_thrice(&world).await;
    let prover = Prover::new(&world, WINDOW);
    assert_eq!(prover.prove(&world, &two, "curl/8", secs(65)).await.0, Ok(()));
    assert!(world.dynamo.sort_keys("FAMILY#").iter().any(|sk| sk.starts_with("CLIENT#0000000003#")));
}

#[tokio::test]
async fn a_line_that_is_broken_ends_the_family_and_one_that_is_gone_is_unknown() {
    let world = World::new().await;
    let [zero, _, _, live] = rotated_thrice(&world).await;
    let prover = Prover::new(&world, WINDOW);
    let generation = |sk: &str| world.dynamo.items("FAMILY#").into_iter().find(|item| item["sk"]["S"] == sk).unwrap();
    world.dynamo.delete(&[generation("GEN#0000000001")]);
    let broken = prover.outcome(&world, &zero, secs(65)).await;
    assert_eq!(broken, Err(ProveError::Revoked(Revocation::UnknownGeneration)));
    assert_eq!(prover.sealed.cause_of(family_of(&live)), Some(Cause::UnknownGeneration));

    let world = World::new().await;
    let token = world.open(secs(0)).await;
    world.dynamo.delete(&world.dynamo.items("FAMILY#"));
    assert_eq!(Prover::new(&world, WINDOW).outcome(&world, &token, secs(1)).await, Err(ProveError::Unknown));
    assert!(world.dynamo.items("FAMILY#").is_empty());
}

/// Its successor is read for it, and the one after that.
#[tokio::test]
async fn a_retired_token_from_four_behind_is_believed_only_where_its_line_goes_on() {
    let believed = Ok(());
    let unknown = Err(ProveError::Revoked(Revocation::UnknownGeneration));
    for (gone, outcome, write_units) in [(None, believed, 0.0), (Some("GEN#0000000002"), unknown, 1.0)] {
        let world = World::new().await;
        let [zero, .., three] = rotated_thrice(&world).await;
        world.refresh(&three, secs(65)).await.ok();
        let is_gone = |item: &&Value| gone.is_some_and(|sk| item["sk"]["S"] == sk);
        world.dynamo.delete(&world.dynamo.items("FAMILY#").iter().filter(is_gone).cloned().collect::<Vec<_>>());
        let calls = 3 + u32::from(gone.is_some());
        let proven = Prover::new(&world, WINDOW).prove(&world, &zero, "browser", secs(66)).await;
        assert_eq!(proven, (outcome, Usage::of(calls, 3.0, write_units)), "{gone:?}");
        assert_eq!(is_sealed(&world), gone.is_some());
    }
}

#[tokio::test]
async fn a_revocation_that_loses_to_another_says_and_remembers_the_cause_that_stands() {
    let world = World::new().await;
    let [_, _, two, _] = rotated_thrice(&world).await;
    let gate = Gate::default();
    let prover = Prover { store: world.dynamo.store(world.faults.http()), ..Prover::new(&world, WINDOW) };
    world.faults.queue("PutItem", Fault::HeldBefore(gate.clone()));
    let meanwhile = async {
        gate.reached().await;
        world.sign_out(family_of(&two), secs(120)).await;
        gate.open();
    };
    let (outcome, ()) = tokio::join!(prover.outcome(&world, &two, secs(120)), meanwhile);
    assert_eq!(outcome, Err(ProveError::Sealed(Cause::SignOut)));
    assert_eq!(prover.sealed.cause_of(family_of(&two)), Some(Cause::SignOut));
}

#[tokio::test]
async fn whom_an_access_token_is_for_comes_from_the_session_whatever_else_is_claimed() {
    let world = World::new().await;
    let token = world.open(secs(0)).await;
    let proven = Prover::new(&world, WINDOW).proven(&world, &token, "browser", secs(60)).await.0.unwrap();
    let policy = world.app.policy();
    let own = json!({"role": "admin", "sub": "somebody-else", "aud": "elsewhere", "exp": 9_999_999_999_i64});
    let minted = access_token(&proven, &own, &keys(), &policy.authority, &policy.access, &moment(secs(60))).unwrap();
    let claims = UnverifiedToken::parse(&minted).unwrap().payload_unverified();
    let expected = json!({"role": "admin", "sub": "user-1", "aud": "uniqos-api", "iss": "uniqos",
                          "iat": secs(60).secs(), "exp": secs(960).secs()});
    assert_eq!(Value::Object(claims), expected);
    let no_object = access_token(&proven, &"admin", &keys(), &policy.authority, &policy.access, &moment(secs(60)));
    assert!(no_object.is_err());
}

fn family_of(token: &str) -> rondo_shared::identity::FamilyId {
    UnverifiedToken::parse(token).unwrap().claims_unverified().unwrap().sid
}
