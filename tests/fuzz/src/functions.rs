//! Every function whole, from an event to its answer, over a store that is down: so that whatever is sent is read,
//! proven or refused, and the refusal written, and nothing is ever granted.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use lambda_http::{Body, Response};
use rondo_shared::config::Reader;
use rondo_shared::log::LogLine;
use rondo_shared::moment::Moment;
use rondo_shared::store::item::Item;
use rondo_shared::store::{Charge, Charged, Checks, Key, Meter, Opened, Put, Query, Replaced, Store, StoreError};
use rondo_shared::wire::Event;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::message;
use crate::ring::{self, T0};

/// What stands for a token in functions that take none.
const NOBODYS: &str = "no.token.8f1c0a7eb35d";

/// A store that answers no call, and counts them.
#[derive(Debug)]
pub struct Down;

static CALLS: AtomicU64 = AtomicU64::new(0);

/// How often a store was called until now.
pub fn calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

impl Down {
    fn fail<T>(&self) -> Result<T, StoreError> {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Err(StoreError::Unavailable("down".to_owned()))
    }
}

impl Store for Down {
    async fn put_if_absent(&self, _: &Item, _: &Meter) -> Result<Put, StoreError> {
        self.fail()
    }

    async fn charge(&self, _: &Key, _: Charge, _: i64, _: &Meter) -> Result<Charged, StoreError> {
        self.fail()
    }

    async fn query(&self, _: &Query, _: &Meter) -> Result<Vec<Item>, StoreError> {
        self.fail()
    }

    async fn get(&self, _: &Key, _: bool, _: &Meter) -> Result<Option<Item>, StoreError> {
        self.fail()
    }

    async fn open(&self, _: Checks<'_>, _: &[Item], _: &Meter) -> Result<Opened, StoreError> {
        self.fail()
    }

    async fn replace_if(&self, _: Option<&Item>, _: &Item, _: &Meter) -> Result<Replaced, StoreError> {
        self.fail()
    }
}

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());

fn reader() -> Reader {
    let file = ring::file().display().to_string();
    let mut reader = Reader::new([
        ("TABLE_NAME", "rondo"),
        ("KEYRING_FILE", &file),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"),
        ("SESSIONS_WITHOUT_IAM", "true"),
        ("JWKS_PUBLIC_URL", "https://auth.example.test"),
        ("DREADNODE_MIN_CLIENT_VERSION", "1.2.3"),
        ("REPLYKE_RATE_LIMIT", "1000"),
    ]);
    for product in ring::PRODUCTS {
        reader = reader.with(&format!("{}_ALLOWED_ORIGINS", product.to_uppercase()), "https://app.example.test");
    }
    reader
}

/// What holds for every answer of every function; its body as JSON, if it is.
fn check(response: &Response<Body>, line: &LogLine, declared: &[u16], good: &str) -> Value {
    let status = response.status().as_u16();
    assert!(declared.contains(&status), "{status} is not declared: {response:?}");
    assert_eq!(line.status, status);
    let id = line.request_id.to_string();
    assert_eq!(response.headers()["x-request-id"], id.as_str());
    let (_, signature) = good.rsplit_once('.').unwrap();
    let told = format!("{:?} {} {line:?}", response.headers(), String::from_utf8_lossy(response.body().as_ref()));
    assert!(!told.contains(signature), "the answer tells what was presented");
    for set in response.headers().get_all("set-cookie") {
        assert!(status == 401 && set.to_str().unwrap().ends_with("Max-Age=0"), "{status}: {set:?}");
    }
    serde_json::from_slice(response.body().as_ref()).unwrap_or_default()
}

/// A refresh function as a target. `$status` are the statuses of its contract that need no answer of the store.
macro_rules! refresh_function {
    ($module:ident, $function:ident, $tenant:literal, $other:literal, [$($status:literal),*], $sound:expr) => {
        /// This function, from an event to its answer.
        pub mod $module {
            use super::*;

            type App = $function::App<Down>;

            static APP: LazyLock<App> = LazyLock::new(|| {
                let (common, policy) = $function::configure(reader()).unwrap();
                $function::App::new(common, policy, Down, T0).unwrap()
            });
            static GOOD: LazyLock<[String; 2]> = LazyLock::new(|| {
                let authority = &APP.policy().authority;
                [ring::good_token($tenant, authority), ring::good_token($other, authority)]
            });

            /// Sends what these bytes say.
            pub fn run(data: &[u8]) {
                let text = message::event(data, &GOOD[0], &GOOD[1]);
                let Ok(event) = Event::from_json(&text) else { return };
                let request = event.into_request();
                let moment: Moment = ring::next_moment();
                let before = calls();
                let (response, line) = RUNTIME.block_on(Box::pin($function::handle(&*APP, &moment, &request)));
                let body = check(&response, &line, &[$($status),*], &GOOD[0]);
                let sound: fn(&str, u16, &Value) -> bool = $sound;
                assert!(sound(&text, line.status, &body), "{} {body}", line.status);
                // The other token is nobody's, but of the other project, where the path names that. What counts is the
                // request: an event's path may lack its slash, and its stage becomes a part of it.
                let of_other_project = |(_, project): (&str, &str)| {
                    text.contains(&GOOD[1]) && request.uri().path().contains(&format!("/{project}/"))
                };
                let mut credentials = request.headers().get_all("authorization").iter();
                let proves = text.contains(&GOOD[0])
                    || credentials.any(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"basic"))
                    || $other.split_once(':').is_some_and(of_other_project);
                let asked = calls() > before;
                assert!(proves || !asked, "{line:?} asked the store for nobody");
            }
        }
    };
}

refresh_function!(
    uniqos,
    uniqos_refresh,
    "uniqos",
    "dreadnode",
    [204, 400, 401, 403, 405, 422, 429, 500],
    |_, status, body| status == 204 || body["error"]["code"].is_string()
);
refresh_function!(
    dreadnode,
    dreadnode_refresh,
    "dreadnode",
    "uniqos",
    [204, 400, 401, 403, 405, 422, 426, 429, 502],
    |_, status, body| status == 204 || (body["code"] == status && body["detail"].is_string())
);
refresh_function!(elastic, elastic_refresh, "elastic", "uniqos", [204, 401, 405, 429, 502], |_, status, body| status
    == 204
    || body["errors"][0]["code"].is_string());
refresh_function!(
    replyke,
    replyke_refresh,
    "replyke:p1",
    "replyke:p2",
    [200, 204, 400, 403, 405, 413, 429, 500],
    |_, status, body| match status {
        200 => *body == serde_json::json!({"user": null, "accessToken": null}),
        204 | 429 => true,
        _ => body["error"].is_string() && body["code"].is_string(),
    }
);

/// This function, from an event to its answer.
pub mod sessions {
    use super::*;

    static APP: LazyLock<::sessions::App<Down>> = LazyLock::new(|| {
        let (common, policy, terms) = ::sessions::configure(reader()).unwrap();
        ::sessions::App::new(common, policy, terms, Down, T0).unwrap()
    });

    /// Sends what these bytes say.
    pub fn run(data: &[u8]) {
        let Ok(event) = Event::from_json(&message::event(data, NOBODYS, NOBODYS)) else { return };
        let (request, moment) = (event.into_request(), ring::next_moment());
        let before = calls();
        let (response, line) = RUNTIME.block_on(Box::pin(::sessions::handle(&APP, &moment, &request)));
        check(&response, &line, &[400, 403, 404, 405, 422, 500, 503], NOBODYS);
        let asked = calls() > before;
        assert!(!asked || line.status >= 500, "{line:?} made something of a store that is down");
    }
}

/// This function, from an event to its answer.
pub mod jwks {
    use super::*;

    static APP: LazyLock<::jwks::App> = LazyLock::new(|| {
        let (keyring, policy) = ::jwks::configure(reader()).unwrap();
        ::jwks::App::new(keyring, policy, T0).unwrap()
    });

    /// Sends what these bytes say.
    pub fn run(data: &[u8]) {
        let Ok(event) = Event::from_json(&message::event(data, NOBODYS, NOBODYS)) else { return };
        let (request, moment) = (event.into_request(), ring::next_moment());
        let (response, line) = RUNTIME.block_on(::jwks::handle(&APP, &moment, &request));
        check(&response, &line, &[200, 204, 304, 404, 405], NOBODYS);
        let told = String::from_utf8_lossy(response.body().as_ref());
        assert!(!told.contains("\"d\"") && !told.contains("\"k\""), "{told}");
    }
}
