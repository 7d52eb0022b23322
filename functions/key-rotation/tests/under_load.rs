//! A rotation by schedule, from publishing to forgetting, while sessions are opened and refreshed without a pause by
//! instances whose copies of the ring are up to five minutes old, and access tokens are verified against a key set that
//! is kept for as long as it may be. Not one token fails.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use key_rotation::{Ran, run};
use lambda_http::Response;
use rondo_shared::config::Reader;
use rondo_shared::identity::{Client, OrgKey, Subject};
use rondo_shared::keyring::KeyringDocument;
use rondo_shared::keyring::lifecycle::Step;
use rondo_shared::keyring::source::{Keyring, KeyringSource};
use rondo_shared::moment::Timestamp;
use rondo_shared::session::{self, NewSession};
use rondo_shared::store::Meter;
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::wire::Event;
use rondo_tests::World;
use rondo_tests::dynamo::{TABLE, plain_http};
use rondo_tests::secrets::{SECRET, SecretsManager};
use rondo_tests::world::{event, issuing, keyring_document, moment, refresh_event, send_to};
use serde_json::{Value, json};
use uniqos_refresh::App;

/// Short lives, so that a rotation is over within days: an idle hour, and access tokens of five minutes.
const LIVES: [(&str, &str); 2] = [("UNIQOS_IDLE_SECS", "3600"), ("UNIQOS_ACCESS_TOKEN_SECS", "300")];
const MAX_AGE: Duration = Duration::from_secs(300);

struct Load {
    world: World,
    service: SecretsManager,
    instances: Vec<App<DynamoStore>>,
    /// Where backends open sessions.
    issuer: Keyring,
    jwks: jwks::App,
    /// What the verifier was told, and when.
    known: (Value, Timestamp),
    refreshed: usize,
    opened: usize,
}

async fn source(service: &SecretsManager) -> KeyringSource {
    let mut source = KeyringSource::secret(service.secret());
    source.read_ahead().await.unwrap();
    source
}

impl Load {
    async fn new(start: Timestamp) -> Self {
        let world = World::with(&LIVES).await;
        let service = SecretsManager::holding(&keyring_document().to_string());
        let mut instances = Vec::new();
        for n in 0..4 {
            let own = [
                ("TABLE_NAME", TABLE),
                ("KEYRING_SECRET_ID", SECRET),
                ("AWS_ENDPOINT_URL_DYNAMODB", world.dynamo.url()),
            ];
            let (mut common, policy) = uniqos_refresh::configure(Reader::new(own.into_iter().chain(LIVES))).unwrap();
            common.keyring = source(&service).await;
            // Each has read the ring at another time, and will read it again at another.
            let read_at = Timestamp::from_millis(start.millis() - n * 75_000);
            instances.push(App::new(common, policy, world.dynamo.store(plain_http()), read_at).unwrap());
        }
        let issuer = Keyring::open(source(&service).await, "uniqos", start).unwrap();
        let (_, policy) = jwks::configure(Reader::new([("KEYRING_SECRET_ID", SECRET)])).unwrap();
        // The worst that may be: the verifier asks an instance whose ring is as old as a ring may be, and was read just
        // before the keys were published.
        let before = |secs: i64| Timestamp::from_millis(start.millis() - secs * 1_000);
        let jwks = jwks::App::new(source(&service).await, policy, before(20)).unwrap();
        let known = (Value::Null, before(40));
        let mut load = Self { world, service, instances, issuer, jwks, known, refreshed: 0, opened: 0 };
        load.known.0 = load.published(start).await;
        load
    }

    async fn published(&self, now: Timestamp) -> Value {
        let mut asked = event(json!({"rawPath": "/.well-known/jwks.json"}));
        asked["requestContext"]["http"]["method"] = json!("GET");
        let request = Event::from_json(&asked.to_string()).unwrap().into_request();
        let (response, _): (Response<_>, _) = jwks::handle(&self.jwks, &moment(now), &request).await;
        assert_eq!(response.status(), 200);
        serde_json::from_slice(response.body().as_ref()).unwrap()
    }

    async fn open(&mut self, now: Timestamp) -> String {
        let policy = self.instances[0].policy();
        let new = NewSession {
            tenant: policy.tenant.clone(),
            subject: Subject::new("user-1").unwrap(),
            org: Some(OrgKey::new("acme").unwrap()),
            label: None,
            client: Client::new(Some("192.0.2.1".parse().unwrap()), "browser"),
        };
        let keys = self.issuer.current(now).await;
        let store = self.world.store();
        let opened = session::open(&new, issuing(policy, &keys), &store, &moment(now), &Meter::default()).await;
        let (_, pair) = opened.unwrap();
        let token = pair.refresh_token().to_owned();
        let access = pair.access_token().to_owned();
        self.opened += 1;
        self.verify(&access, now).await;
        token
    }

    async fn refresh(&mut self, token: &str, now: Timestamp) -> String {
        let instance = &self.instances[self.refreshed % self.instances.len()];
        self.refreshed += 1;
        let answer = send_to(instance, refresh_event(token), now).await;
        assert_eq!(answer.status, 200, "{:?} at {}", answer.line, now.iso8601());
        let access = answer.json()["access_token"].as_str().map(str::to_owned);
        let access = access.unwrap_or_else(|| panic!("no access token in {}", answer.json()));
        let successor = answer.ok();
        self.verify(&access, now).await;
        successor
    }

    /// A verifier that asks again when its max-age is over, and never sooner.
    async fn verify(&mut self, token: &str, now: Timestamp) {
        if now.since(self.known.1) >= MAX_AGE {
            self.known = (self.published(now).await, now);
        }
        let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let keys = self.known.0["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["kid"] == kid.as_str());
        let key = key.unwrap_or_else(|| panic!("{kid} signs at {}, and the verifier does not know it", now.iso8601()));
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.validate_aud = false;
        let key = DecodingKey::from_ed_components(key["x"].as_str().unwrap()).unwrap();
        jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
    }

    fn kids(&self) -> Vec<String> {
        let ring = KeyringDocument::parse(&self.service.current().unwrap()).unwrap();
        ring.products["uniqos"].keys().map(|key| key.kid.clone()).collect()
    }
}

#[tokio::test]
async fn no_token_fails_while_the_keys_rotate_under_load() {
    // The world's keys are of 1 November, and a key signs for thirty days here.
    let start = Timestamp::parse("2026-11-30T23:30:00Z").unwrap();
    let mut load = Load::new(start).await;
    let own = [("TABLE_NAME", TABLE), ("KEYRING_SECRET_ID", SECRET), ("KEY_ROTATION_DAYS", "30")];
    let rotation = key_rotation::configure(Reader::new(own.into_iter().chain(LIVES))).unwrap();
    let rotation = rotation.over(load.service.secret());

    // Every 20 seconds through publishing and promoting, then every 20 minutes until the old keys are forgotten.
    let dense = (0..180).map(|n| n * 20);
    let sparse = (3..90).map(|n| n * 1_200);
    let (mut busy, mut steps) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        busy.push(load.open(start).await);
    }
    // One that refreshes as seldom as it may, so that its token is of a key that has been retired for long.
    let mut lazy = (load.open(start).await, 0);
    for secs in dense.chain(sparse) {
        let now = start.plus(Duration::from_secs(secs));
        if let Ran::Took(taken) = run(&rotation, &moment(now)).await.unwrap() {
            steps.extend(taken.into_iter().map(|(_, step)| step));
        }
        for session in &mut busy {
            *session = load.refresh(session, now).await;
        }
        if secs - lazy.1 >= 2_400 {
            lazy = (load.refresh(&lazy.0, now).await, secs);
        }
        let opened = load.open(now).await;
        load.refresh(&opened, now).await;
        // Another verifier asks, at other times.
        load.published(now).await;
    }

    // The first notes since when the keys that the ring had retired before are known to be.
    assert_eq!(steps[..3], [Step::Retire, Step::Publish, Step::Promote]);
    assert_eq!(steps[3..], [Step::Retire; 4], "each kind of both retired generations of keys");
    let kids = load.kids();
    assert_eq!(kids.len(), 2, "{kids:?}");
    assert!(kids.iter().all(|kid| kid.starts_with("20261130-")), "{kids:?}");
    assert!(load.refreshed > 1_300 && load.opened > 260, "{} {}", load.refreshed, load.opened);
    println!("{} refreshes and {} openings through a rotation, none failed", load.refreshed, load.opened);
}
