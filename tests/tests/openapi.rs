//! The OpenAPI documents of `infra/openapi/`, held against the functions themselves: every answer that is declared is
//! produced here, and every answer that is produced is as it is declared, by JSON Schema 2020-12.
//!
//! A document is to name every header: one that it does not declare for a status is a finding, so that a rate header
//! on a 401 is found. Two things no OpenAPI document can tell are looked at beside: `request_id` equals the header.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, OnceLock};

use jsonschema::{Draft, options};
use lambda_http::{Body, Request, Response};
use rondo_shared::config::Reader;
use rondo_shared::identity::{Client, FamilyId, OrgKey, Subject, Tenant};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::mint::AccessPolicy;
use rondo_shared::moment::Timestamp;
use rondo_shared::rotation::RotationPolicy;
use rondo_shared::session::{self, Issuing, NewSession};
use rondo_shared::store::dynamo::DynamoStore;
use rondo_shared::store::item::{AccountStatus, Cause, Project, ProjectStatus, Seal, UserProfile};
use rondo_shared::store::{Item, Meter, Store as _};
use rondo_shared::token::TokenAuthority;
use rondo_shared::wire::Event;
use rondo_tests::dynamo::{TABLE, plain_http};
use rondo_tests::world::{keyring_document, moment};
use rondo_tests::{Fault, Faults, LocalDynamo, T0, secs};
use serde_json::{Map, Value, json};
use ulid::Ulid;

const PRODUCTS: [&str; 4] = ["uniqos", "dreadnode", "elastic", "replyke"];
/// The one origin that every deployment here lists.
const LISTED: (&str, &str) = ("origin", "https://app.example.test");
const OTHER_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");
const JSON: (&str, &str) = ("content-type", "application/json");
const USER: &str = "user-1";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// An OpenAPI document, and which of its answers have been produced.
struct Document {
    name: &'static str,
    json: Value,
    produced: Mutex<BTreeSet<(String, String, String)>>,
}

impl Document {
    fn of(name: &'static str) -> Self {
        let path = root().join("infra/openapi").join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name, json: serde_json::from_str(&text).unwrap(), produced: Mutex::default() }
    }

    /// What stands at `value`, or where its `$ref` points.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.json.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} is nowhere")),
            None => value,
        }
    }

    fn map<'a>(&'a self, value: &'a Value) -> impl Iterator<Item = (&'a String, &'a Value)> {
        value.as_object().into_iter().flatten().map(|(name, value)| (name, self.resolved(value)))
    }

    /// What is wrong with a value that is to be of this schema.
    fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let whole = json!({"components": self.json["components"], "allOf": [schema]});
        let validator = options().with_draft(Draft::Draft202012).build(&whole).unwrap();
        validator.iter_errors(value).map(|error| format!("{} {error}", error.instance_path())).collect()
    }

    /// The template that a path is of: the one with the fewest parameters.
    fn template(&self, path: &str) -> &str {
        let fits = |template: &&String| {
            let (names, segments) = (template.split('/'), path.split('/'));
            names.clone().count() == segments.clone().count()
                && names.zip(segments).all(|(name, segment)| name.starts_with('{') || name == segment)
        };
        let found = self.json["paths"].as_object().unwrap().keys().filter(fits);
        found.min_by_key(|template| template.matches('{').count()).expect("a path of the document")
    }

    /// Holds an answer against what is declared for it, and notes that it was produced. What an undeclared method is
    /// answered with stands, for lack of another place, among the answers of a method that is declared.
    #[track_caller]
    fn check(&self, event: &Value, response: &Response<Body>) {
        let http = &event["requestContext"]["http"];
        let (template, status) = (self.template(http["path"].as_str().unwrap()), response.status());
        let status = status.as_str();
        let item = &self.json["paths"][template];
        let sent = http["method"].as_str().unwrap().to_lowercase();
        let declares = |method: &&String| !item[*method]["responses"][status].is_null();
        let method = match item.get(&sent) {
            Some(_) => sent.as_str(),
            None => item.as_object().unwrap().keys().find(declares).map_or("", String::as_str),
        };
        let context = format!("{}: {method} {template} {status}", self.name);
        let declared = self.resolved(&item[method]["responses"][status]);
        assert!(declared.is_object(), "{context} is not declared: {:?}", response.body());
        let mut faults = self.faults_of_headers(declared, response);
        if sent != "head" {
            faults.extend(self.faults_of_body(declared, response));
        }
        assert!(faults.is_empty(), "{context}\n  {}\n{response:?}", faults.join("\n  "));
        self.produced.lock().unwrap().insert((template.to_owned(), method.to_owned(), status.to_owned()));
    }

    fn faults_of_headers(&self, declared: &Value, response: &Response<Body>) -> Vec<String> {
        let mut faults = Vec::new();
        let mut known = BTreeSet::from(["content-type".to_owned()]);
        for (name, header) in self.map(&declared["headers"]) {
            let values: Vec<_> = response.headers().get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
            if values.is_empty() && header["required"] == true {
                faults.push(format!("{name} is missing"));
            }
            let is_number = self.resolved(&header["schema"])["type"] == "integer";
            for text in values {
                let value = if is_number { serde_json::from_str(text).unwrap_or(json!(text)) } else { json!(text) };
                faults.extend(self.faults(&header["schema"], &value).iter().map(|fault| format!("{name}: {fault}")));
            }
            known.insert(name.to_lowercase());
        }
        let unknown = response.headers().keys().filter(|name| !known.contains(name.as_str()));
        faults.extend(unknown.map(|name| format!("{name} is not declared")));
        faults
    }

    fn faults_of_body(&self, declared: &Value, response: &Response<Body>) -> Vec<String> {
        let (headers, body) = (response.headers(), response.body().as_ref());
        let Some(sent) = headers.get("content-type").map(|kind| kind.to_str().unwrap()) else {
            let is_wanted = !declared["content"].is_null() || !body.is_empty();
            return if is_wanted { vec!["there is no Content-Type".to_owned()] } else { Vec::new() };
        };
        let media = &declared["content"][sent];
        if media.is_null() {
            return vec![format!("{sent} is not declared")];
        }
        let value = match sent {
            "application/json" => serde_json::from_slice(body).unwrap(),
            _ => json!(std::str::from_utf8(body).unwrap()),
        };
        let mut faults = self.faults(&media["schema"], &value);
        let told = ["/request_id", "/error/request_id"].into_iter().find_map(|at| value.pointer(at));
        if told.is_some_and(|told| told.as_str() != headers["x-request-id"].to_str().ok()) {
            faults.push("request_id is not that of the header".to_owned());
        }
        faults
    }

    /// Every answer that is declared, each with its path, method and status.
    fn answers(&self) -> impl Iterator<Item = ((String, String, String), &Value)> {
        let operations =
            self.map(&self.json["paths"]).flat_map(|(path, item)| self.map(item).map(move |(m, o)| (path, m, o)));
        operations.flat_map(|(path, method, operation)| {
            let declared = self.map(&operation["responses"]);
            declared.map(|(status, answer)| ((path.clone(), method.clone(), status.clone()), answer))
        })
    }

    /// Fails for what is declared and was not produced.
    #[track_caller]
    fn assert_all_produced(&self) {
        let produced = self.produced.lock().unwrap();
        let missing: Vec<_> = self.answers().map(|(answer, _)| answer).filter(|a| !produced.contains(a)).collect();
        assert!(missing.is_empty(), "{}: declared, and not produced by any request here: {missing:#?}", self.name);
    }
}

/// A table, a keyring for every product, and faults on the way of one client.
struct Stage {
    dynamo: LocalDynamo,
    faults: Faults,
}

impl Stage {
    async fn new() -> Self {
        let stage = Self { dynamo: LocalDynamo::start().await, faults: Faults::default() };
        for tenant in ["uniqos", "dreadnode", "elastic", "replyke:p1"] {
            stage.put_user(tenant, USER, AccountStatus::Active, |item| item).await;
        }
        stage
    }

    fn store(&self) -> DynamoStore {
        self.dynamo.store(plain_http())
    }

    async fn put(&self, item: &Item) {
        self.store().replace(item, &Meter::default()).await.unwrap();
    }

    async fn put_user(&self, tenant: &str, user: &str, status: AccountStatus, fill: impl FnOnce(Item) -> Item) {
        let profile = UserProfile { status, name: None, email: None };
        self.put(&fill(profile.to_item(&Tenant::new(tenant).unwrap(), &Subject::new(user).unwrap()))).await;
    }

    async fn put_project(&self, tenant: &str, status: ProjectStatus) {
        let key = Project::key(&Tenant::new(tenant).unwrap()).unwrap();
        self.put(&Project { status, name: None }.to_item(key)).await;
    }

    fn reader(&self, settings: &[(&str, &str)]) -> Reader {
        let file = keyring_file().display().to_string();
        let own = [("TABLE_NAME", TABLE), ("KEYRING_FILE", &file), ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamo.url())];
        let mut reader = Reader::new(own.iter().chain(settings).copied());
        for product in PRODUCTS {
            reader = reader.with(&format!("{}_ALLOWED_ORIGINS", product.to_uppercase()), LISTED.1);
        }
        reader
    }

    /// Opens a session of [`USER`], and returns its family and refresh token.
    async fn open(
        &self,
        tenant: &str,
        authority: &TokenAuthority,
        rotation: &RotationPolicy,
        access: &AccessPolicy,
        at: Timestamp,
    ) -> (FamilyId, String) {
        let new = NewSession {
            tenant: Tenant::new(tenant).unwrap(),
            subject: Subject::new(USER).unwrap(),
            org: Some(OrgKey::new("acme").unwrap()),
            label: None,
            client: Client::new(None, ""),
        };
        let keys = ProductKeys::parse(&ring().to_string(), tenant.split(':').next().unwrap()).unwrap();
        let issuing = Issuing { keys: &keys, authority, rotation, access };
        let opened = session::open(&new, issuing, &self.store(), &moment(at), &Meter::default()).await;
        let (family, pair) = opened.unwrap();
        (family, pair.refresh_token().to_owned())
    }

    async fn seal(&self, tenant: &str, family: FamilyId, cause: Cause) -> Seal {
        let (tenant, client) = (Tenant::new(tenant).unwrap(), Client::new(None, ""));
        let (moment, ends) = (moment(T0), secs(86_400));
        session::revoke(&tenant, family, cause, ends, client, &self.store(), &moment, &Meter::default()).await.unwrap()
    }
}

/// The keys of every product; one of them RSA (RFC 7515, appendix A.2).
fn ring() -> Value {
    let mut document = keyring_document();
    let keys = document["products"]["uniqos"].clone();
    for product in PRODUCTS {
        document["products"][product] = keys.clone();
    }
    let rsa: Value = serde_json::from_str(include_str!("../../shared/src/keyring/rfc7515_a2.json")).unwrap();
    let key = json!({"kid": "r1", "state": "retired", "published_at": "2026-11-01T00:00:00Z", "jwk": rsa});
    document["products"]["uniqos"]["signing"].as_array_mut().unwrap().push(key);
    document
}

fn keyring_file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("rondo-openapi-{}.json", std::process::id()));
        std::fs::write(&path, ring().to_string()).unwrap();
        path
    })
}

/// An HTTP API event.
fn event(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let headers: Map<_, _> = headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let mut event = rondo_tests::world::event(json!({"rawPath": path, "rawQueryString": query, "headers": headers}));
    event["requestContext"]["http"]["method"] = json!(method);
    event["requestContext"]["http"]["path"] = json!(path);
    if !body.is_empty() {
        event["body"] = json!(body);
    }
    event
}

fn request(event: &Value) -> Request {
    Event::from_json(&event.to_string()).expect("an event").into_request()
}

fn json_of(response: &Response<Body>) -> Value {
    serde_json::from_slice(response.body().as_ref()).unwrap_or(Value::Null)
}

fn cookie_of(response: &Response<Body>, name: &str) -> String {
    let set = response.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let found = set.filter_map(|set| set.strip_prefix(name)?.strip_prefix('=')?.split(';').next()).next();
    found.unwrap_or_else(|| panic!("no cookie {name}: {response:?}")).to_owned()
}

/// What the functions that are alike in it share: an instance of them, and a request to one that is checked.
macro_rules! refresh_function {
    ($function:ident, $name:literal, $path:literal) => {
        const PATH: &str = $path;
        static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::of($name));

        fn instance(stage: &Stage, settings: &[(&str, &str)]) -> $function::App<DynamoStore> {
            let (common, policy) = $function::configure(stage.reader(settings)).unwrap();
            $function::App::new(common, policy, stage.dynamo.store(stage.faults.http()), T0).unwrap()
        }

        async fn send(app: &$function::App<DynamoStore>, event: &Value, now: Timestamp) -> Response<Body> {
            let (response, _) = $function::handle(app, &moment(now), &request(event)).await;
            DOCUMENT.check(event, &response);
            response
        }

        /// Posts with these headers, and expects this status.
        async fn post(
            app: &$function::App<DynamoStore>,
            headers: &[(&str, &str)],
            body: &str,
            status: u16,
        ) -> Response<Body> {
            let response = send(app, &event("POST", PATH, headers, body), T0).await;
            assert_eq!(response.status().as_u16(), status, "{headers:?} {body} {response:?}");
            response
        }

        /// What is answered alike by all of them: preflights, and methods that are not there.
        async fn other_methods(app: &$function::App<DynamoStore>) {
            for origin in [LISTED, ("origin", "https://other.example")] {
                assert_eq!(send(app, &event("OPTIONS", PATH, &[origin], ""), T0).await.status(), 204);
            }
            for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE"] {
                assert_eq!(send(app, &event(method, PATH, &[LISTED], ""), T0).await.status(), 405);
            }
        }

        /// A token of a session that was just opened.
        async fn open(stage: &Stage, app: &$function::App<DynamoStore>, tenant: &str) -> (FamilyId, String) {
            let policy = app.policy();
            stage.open(tenant, &policy.authority, &policy.rotation, &policy.access, T0).await
        }
    };
}

mod uniqos {
    use super::*;
    use rondo_shared::store::item::Quota;

    refresh_function!(uniqos_refresh, "uniqos-refresh", "/v1/auth/refresh");

    #[tokio::test]
    async fn uniqos_answers_as_declared() {
        let stage = Stage::new().await;
        let app = instance(&stage, &[]);
        let opened = || async { format!("uniqos_refresh={}", open(&stage, &app, "uniqos").await.1) };
        other_methods(&app).await;

        let (one, other) = (opened().await, opened().await);
        post(&app, &[("cookie", &one), LISTED], "{}", 200).await;
        post(&app, &[("cookie", &one)], "", 200).await;
        post(&app, &[("cookie", &format!("{one}; {other}"))], "", 400).await;
        post(&app, &[LISTED], "{", 400).await;
        post(&app, &[], &format!("\"{}\"", "x".repeat(20_000)), 400).await;
        post(&app, &[LISTED], "", 401).await;
        post(&app, &[("cookie", &one), OTHER_SITE], "", 403).await;
        post(&app, &[("cookie", "uniqos_refresh=one")], "", 422).await;
        post(&app, &[("cookie", &format!("uniqos_refresh={}", "x".repeat(5_000)))], "", 422).await;
        post(&app, &[], "[]", 422).await;

        let without_grace = instance(&stage, &[("UNIQOS_GRACE_SECS", "0")]);
        post(&without_grace, &[("cookie", &other)], "", 200).await;
        post(&without_grace, &[("cookie", &other), LISTED], "", 409).await;

        stage.faults.queue_for_all_attempts("Query", &Fault::Refused);
        post(&app, &[("cookie", &opened().await), LISTED], "", 500).await;

        let limits = [("UNIQOS_RATE_LIMIT", "1"), ("UNIQOS_ADDRESS_RATE_LIMIT", "1")];
        let limited = instance(&Stage { dynamo: LocalDynamo::start().await, faults: Faults::default() }, &limits);
        post(&limited, &[], "", 401).await;
        post(&limited, &[LISTED], "", 429).await;
        let limited = instance(&stage, &limits);
        let quota =
            Quota { turns_used: 1, turns_limit: 2, relationships_used: 3, relationships_limit: 4, resets_at: secs(9) };
        stage.put(&quota.to_item(&Tenant::new("uniqos").unwrap(), &OrgKey::new("acme").unwrap(), "2026-11-01")).await;
        send(&limited, &event("POST", PATH, &[("cookie", &opened().await)], ""), secs(8)).await;
        let refused = send(&limited, &event("POST", PATH, &[("cookie", &opened().await)], ""), secs(8)).await;
        assert_eq!((refused.status().as_u16(), refused.headers().get("x-quota-turns-used").is_some()), (429, true));

        for method in ["POST", "OPTIONS"] {
            let response =
                uniqos_refresh::response::not_started("https://docs.uniqos.com/errors", Ulid::from_parts(1, 1));
            DOCUMENT.check(&event(method, PATH, &[], ""), &response);
        }
        DOCUMENT.assert_all_produced();
    }
}

mod dreadnode {
    use super::*;
    use rondo_shared::store::item::Membership;

    refresh_function!(dreadnode_refresh, "dreadnode-refresh", "/api/v1/auth/refresh");

    #[tokio::test]
    async fn dreadnode_answers_as_declared() {
        let stage = Stage::new().await;
        let app = instance(&stage, &[]);
        let opened = || async { format!("refresh_token={}", open(&stage, &app, "dreadnode").await.1) };
        other_methods(&app).await;

        let one = opened().await;
        let first = post(&app, &[("cookie", &one), LISTED], "", 200).await;
        assert_eq!(first.headers().get_all("set-cookie").iter().count(), 2);
        let body = json!({"refresh_token": cookie_of(&first, "refresh_token")}).to_string();
        let acme = Membership { org: OrgKey::new("acme").unwrap(), name: "Acme".to_owned(), is_default: true };
        stage.put(&acme.to_item(&Tenant::new("dreadnode").unwrap(), &Subject::new(USER).unwrap())).await;
        let second = post(&app, &[JSON], &body, 200).await;
        assert_eq!(json_of(&second)["default_org"]["key"], "acme");

        post(&app, &[JSON, LISTED], &format!("\"{}\"", "x".repeat(20_000)), 400).await;
        post(&app, &[JSON], &"[".repeat(1_000), 400).await;
        post(&app, &[LISTED], "", 401).await;
        post(&app, &[JSON], "null", 401).await;
        post(&app, &[("cookie", &one), OTHER_SITE], "", 403).await;
        for (cause, status) in [(Cause::AccountSuspended, 403), (Cause::AccountRemoved, 404), (Cause::SignOut, 401)] {
            let (family, token) = open(&stage, &app, "dreadnode").await;
            stage.seal("dreadnode", family, cause).await;
            post(&app, &[("cookie", &format!("refresh_token={token}")), LISTED], "", status).await;
        }
        for body in ["{}", r#"{"refresh_token":1}"#, "[]", "{", "\u{a0}{", r#"{"refresh_token":null}"#] {
            post(&app, &[JSON, LISTED], body, 422).await;
        }
        post(&app, &[("content-type", "text/plain")], "{}", 422).await;

        let (other, without_grace) = (opened().await, instance(&stage, &[("DREADNODE_GRACE_SECS", "0")]));
        post(&without_grace, &[("cookie", &other)], "", 200).await;
        post(&without_grace, &[("cookie", &other), LISTED], "", 409).await;
        let newer = instance(&stage, &[("DREADNODE_MIN_CLIENT_VERSION", "2.0.0")]);
        post(&newer, &[("user-agent", "dreadnode-sdk/1.17.2"), LISTED], "", 426).await;
        let limited = instance(&stage, &[("DREADNODE_ADDRESS_RATE_LIMIT", "1")]);
        post(&limited, &[], "", 401).await;
        post(&limited, &[LISTED], "", 429).await;

        (0..2).for_each(|_| stage.faults.queue_for_all_attempts("Query", &Fault::Refused));
        post(&app, &[("cookie", &opened().await), LISTED], "", 502).await;
        stage.faults.clear();
        (0..2).for_each(|_| stage.faults.queue_for_all_attempts("UpdateItem", &Fault::Hung));
        post(&app, &[("cookie", &opened().await), LISTED], "", 504).await;
        for method in ["POST", "OPTIONS"] {
            let response = dreadnode_refresh::response::not_started(Ulid::from_parts(1, 1));
            DOCUMENT.check(&event(method, PATH, &[], ""), &response);
        }
        DOCUMENT.assert_all_produced();
    }
}

mod elastic {
    use super::*;
    use elastic_refresh::BootError;
    use elastic_refresh::password::credential;
    use elastic_refresh::request::Password;
    use elastic_refresh::response::{not_started, without_randomness};

    refresh_function!(elastic_refresh, "elastic-refresh", "/api/v1/users/auth/_refresh");

    #[tokio::test]
    async fn elastic_answers_as_declared() {
        let stage = Stage::new().await;
        let app = instance(&stage, &[]);
        let opened = || async { format!("Bearer {}", open(&stage, &app, "elastic").await.1) };
        other_methods(&app).await;

        let one = opened().await;
        post(&app, &[("authorization", &one), LISTED], "", 200).await;
        let password = credential(&Password::new("secret".to_owned()).unwrap(), [9; 16]).unwrap();
        stage.put(&password.to_item(&Tenant::new("elastic").unwrap(), &Subject::new(USER).unwrap())).await;
        // `user-1:secret` and `user-1:wrong`
        post(&app, &[("authorization", "Basic dXNlci0xOnNlY3JldA==")], "", 200).await;
        post(&app, &[("authorization", "Basic dXNlci0xOndyb25n")], "", 401).await;
        for authorization in ["ApiKey x", "Bearer x", "Basic x"] {
            post(&app, &[("authorization", authorization), LISTED], "", 401).await;
        }
        post(&app, &[], "", 401).await;
        let limited = instance(&stage, &[("ELASTIC_ADDRESS_RATE_LIMIT", "1")]);
        post(&limited, &[], "", 401).await;
        post(&limited, &[LISTED], "", 429).await;

        let (other, without_grace) = (opened().await, instance(&stage, &[("ELASTIC_GRACE_SECS", "0")]));
        post(&without_grace, &[("authorization", &other)], "", 200).await;
        post(&without_grace, &[("authorization", &other), LISTED], "", 502).await;
        stage.faults.queue_for_all_attempts("Query", &Fault::Refused);
        post(&app, &[("authorization", &opened().await), LISTED], "", 502).await;
        stage.faults.clear();
        (0..2).for_each(|_| stage.faults.queue_for_all_attempts("UpdateItem", &Fault::Hung));
        post(&app, &[("authorization", &opened().await)], "", 502).await;

        let not_configured = BootError::NotConfigured("TABLE_NAME is not set");
        let misconfigured = elastic_refresh::configure(stage.reader(&[("ELASTIC_GRACE_SECS", "x")])).unwrap_err();
        for error in [&not_configured, &misconfigured] {
            for method in ["POST", "OPTIONS", "GET"] {
                let event = event(method, PATH, &[], "");
                DOCUMENT.check(&event, &not_started(error, &request(&event), Ulid::from_parts(1, 1)));
            }
        }
        DOCUMENT.check(&event("POST", PATH, &[], ""), &without_randomness());
        DOCUMENT.assert_all_produced();
    }
}

mod replyke {
    use super::*;

    refresh_function!(replyke_refresh, "replyke-refresh", "/api/v6/p1/auth/request-new-access-token");

    #[tokio::test]
    async fn replyke_answers_as_declared() {
        let stage = Stage::new().await;
        let app = instance(&stage, &[]);
        let body = |token: &str| json!({"refreshToken": token}).to_string();
        other_methods(&app).await;

        let (_, one) = open(&stage, &app, "replyke:p1").await;
        post(&app, &[LISTED], "", 200).await;
        post(&app, &[JSON], r#"{"refreshToken":null}"#, 200).await;
        post(&app, &[JSON, LISTED], &body(&one), 200).await;
        let fill = |item: Item| {
            let suspensions = json!([{"reason": "spam", "start_date": "2026-01-01T00:00:00Z", "end_date": null}]);
            let item = item.text("role", "admin".to_owned()).number("reputation", 7).number("is_active", 1);
            let item = item.json("location", json!({"type": "Point", "coordinates": [13.4, -52]}));
            item.json("metadata", json!({"a": [1]})).json("suspensions", suspensions).text("bio", "…".to_owned())
        };
        stage.put_user("replyke:p1", USER, AccountStatus::Active, fill).await;
        let shown = post(&app, &[JSON], &body(&one), 200).await;
        assert_eq!(json_of(&shown)["user"]["suspensions"][0]["reason"], "spam");
        let rotating = instance(&stage, &[("REPLYKE_ROTATE_COOKIES", "true")]);
        let (_, other) = open(&stage, &app, "replyke:p1").await;
        let rotated = post(&rotating, &[("cookie", &format!("replyke-refresh-jwt={other}")), LISTED], "", 200).await;
        cookie_of(&rotated, "replyke-refresh-jwt");

        post(&app, &[JSON, LISTED], "{", 400).await;
        post(&app, &[JSON], "[]", 400).await;
        post(&app, &[JSON, LISTED], &body(&"x".repeat(110_000)), 413).await;
        let codes: Vec<_> =
            [body("x"), body("a.b.c"), body(&format!("{one}x")), r#"{"refreshToken":1}"#.to_owned()].into();
        for body in &codes {
            post(&app, &[JSON, LISTED], body, 403).await;
        }
        let elsewhere = event("POST", &PATH.replace("p1", "p2"), &[JSON], &body(&one));
        assert_eq!(json_of(&send(&app, &elsewhere, T0).await)["code"], "auth/invalid-refresh-token");
        let late = event("POST", PATH, &[JSON], &body(&one));
        assert_eq!(json_of(&send(&instance(&stage, &[]), &late, secs(31 * 86_400)).await)["details"], "jwt expired");
        for (cause, code) in
            [(Cause::SignOut, "auth/refresh-token-mismatch"), (Cause::AccountRemoved, "auth/no-user-found")]
        {
            let (family, token) = open(&stage, &app, "replyke:p1").await;
            stage.seal("replyke:p1", family, cause).await;
            assert_eq!(json_of(&post(&app, &[JSON], &body(&token), 403).await)["code"], code);
        }
        let foreign = post(&app, &[("cookie", &format!("replyke-refresh-jwt={one}")), OTHER_SITE], "", 403).await;
        assert_eq!(json_of(&foreign)["code"], "auth/origin-not-allowed");

        let limited = instance(&stage, &[("REPLYKE_RATE_LIMIT", "1")]);
        post(&limited, &[], "", 200).await;
        post(&limited, &[LISTED], "", 429).await;
        stage.faults.queue_for_all_attempts("Query", &Fault::Refused);
        post(&app, &[JSON, LISTED], &body(&one), 500).await;
        for method in ["POST", "OPTIONS"] {
            let response = replyke_refresh::response::not_started(Ulid::from_parts(1, 1));
            DOCUMENT.check(&event(method, PATH, &[], ""), &response);
        }
        DOCUMENT.assert_all_produced();
    }
}

mod jwks {
    use super::*;
    use ::jwks::{App, configure, handle, response};

    #[tokio::test]
    async fn the_public_keys_are_answered_as_declared() {
        let document = Document::of("jwks");
        let stage = Stage::new().await;
        let instance = |settings: &[(&str, &str)]| {
            let (keyring, policy) = configure(stage.reader(settings)).unwrap();
            App::new(keyring, policy, T0).unwrap()
        };
        let ask = async |app: &App, method: &str, path: &str, headers: &[(&str, &str)]| {
            let event = event(method, path, headers, "");
            let (response, _) = handle(app, &moment(T0), &request(&event)).await;
            document.check(&event, &response);
            response
        };
        let app = instance(&[("JWKS_PUBLIC_URL", "https://auth.example.test")]);
        let paths: Vec<_> = document.json["paths"].as_object().unwrap().keys().cloned().collect();
        for path in &paths {
            for method in ["GET", "HEAD"] {
                let served = ask(&app, method, path, &[LISTED]).await;
                assert_eq!(served.status(), 200);
                let known =
                    ask(&app, method, path, &[("if-none-match", served.headers()["etag"].to_str().unwrap())]).await;
                assert_eq!(known.status(), 304);
            }
            for method in ["OPTIONS", "POST", "PUT", "DELETE"] {
                ask(&app, method, path, &[]).await;
            }
            for method in ["GET", "HEAD", "OPTIONS"] {
                document.check(&event(method, path, &[], ""), &response::not_started(Ulid::from_parts(1, 1)));
                // Without an issuer there is nothing to discover.
                ask(&instance(&[]), method, path, &[]).await;
            }
        }
        document.assert_all_produced();
    }
}

mod sessions {
    use super::*;
    use ::sessions::{App, configure, handle, response};

    static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::of("sessions"));

    fn instance(stage: &Stage, settings: &[(&str, &str)]) -> App<DynamoStore> {
        let (common, policy, terms) = configure(stage.reader(settings)).unwrap();
        App::new(common, policy, terms, stage.dynamo.store(stage.faults.http()), T0).unwrap()
    }

    /// An event of a route that the gateway has authorized by IAM.
    fn signed(method: &str, path: &str, body: &str) -> Value {
        let mut event = event(method, path, &[JSON], body);
        let arn = "arn:aws:sts::123456789012:assumed-role/backend/session";
        event["requestContext"]["authorizer"] = json!({"iam": {"accessKey": "ASIAEXAMPLE", "accountId": "123456789012",
            "callerId": "AROAEXAMPLE:backend", "userArn": arn, "userId": "AROAEXAMPLE:backend"}});
        event
    }

    async fn send(app: &App<DynamoStore>, event: &Value) -> Response<Body> {
        let (response, _) = handle(app, &moment(T0), &request(event)).await;
        DOCUMENT.check(event, &response);
        response
    }

    async fn ask(app: &App<DynamoStore>, method: &str, path: &str, body: &str, status: u16) -> Value {
        let response = send(app, &signed(method, path, body)).await;
        assert_eq!(response.status().as_u16(), status, "{method} {path} {body} {response:?}");
        json_of(&response)
    }

    #[tokio::test]
    async fn sessions_are_answered_as_declared() {
        let stage = Stage::new().await;
        let app = instance(&stage, &[]);
        let opening = |tenant: &str, user: &str, token: &str, org: Option<&str>| {
            json!({"tenant": tenant, "user": user, "client_token": token, "org": org, "label": "laptop", "ip": "::1"})
                .to_string()
        };
        let mut family = String::new();
        for tenant in ["uniqos", "dreadnode", "elastic", "replyke:p1"] {
            let body = opening(tenant, USER, "one", None);
            family = ask(&app, "POST", "/sessions", &body, 201).await["session"]["family"].as_str().unwrap().to_owned();
            ask(&app, "POST", "/sessions", &body, 200).await;
            let page = ask(&app, "GET", &format!("/sessions?tenant={tenant}&user={USER}&limit=1"), "", 200).await;
            assert_eq!(page["sessions"][0]["state"], "live");
        }
        ask(&app, "POST", "/sessions", &opening("replyke:p1", USER, "one", Some("acme")), 409).await;
        let capped = instance(&stage, &[("SESSIONS_PER_USER_MAX", "1")]);
        ask(&capped, "POST", "/sessions", &opening("replyke:p1", USER, "two", None), 409).await;
        ask(&app, "POST", "/sessions", &opening("uniqos", "nobody", "one", None), 404).await;
        stage.put_user("uniqos", "user-2", AccountStatus::Suspended, |item| item).await;
        ask(&app, "POST", "/sessions", &opening("uniqos", "user-2", "one", None), 403).await;
        stage.put_project("replyke:p2", ProjectStatus::Removed).await;
        ask(&app, "POST", "/sessions", &opening("replyke:p2", USER, "one", None), 403).await;

        let owner = format!("tenant=replyke:p1&user={USER}");
        let revoking = json!({"tenant": "replyke:p1", "user": USER, "cause": "operator"}).to_string();
        ask(&app, "DELETE", &format!("/sessions/{family}?{owner}"), "", 200).await;
        ask(&app, "DELETE", &format!("/sessions/nothing?{owner}"), "", 404).await;
        ask(&app, "POST", "/sessions", &opening("replyke:p1", USER, "one", None), 409).await;
        ask(&app, "GET", &format!("/sessions?{owner}"), "", 200).await;
        ask(&app, "POST", "/sessions/revoke", &revoking, 200).await;
        let kept = json!({"tenant": "uniqos", "user": "user-2", "except": family}).to_string();
        ask(&app, "POST", "/sessions/revoke", &kept, 404).await;
        ask(&app, "POST", "/sessions/revoke", &revoking.replace(USER, "nobody"), 404).await;
        ask(&app, "GET", "/sessions?tenant=uniqos&user=nobody", "", 404).await;

        let by_route = [
            ("POST", "/sessions", opening("uniqos", USER, "three", None)),
            ("GET", "/sessions", String::new()),
            ("DELETE", &format!("/sessions/{family}"), String::new()),
            ("POST", "/sessions/revoke", revoking),
        ];
        for (method, path, body) in &by_route {
            assert_eq!(send(&app, &event(method, path, &[], body)).await.status(), 403);
            let fields = if body.is_empty() { format!("{path}?surprise=1") } else { (*path).to_owned() };
            ask(&app, method, &fields, r#"{"surprise":1}"#, 422).await;
            if !body.is_empty() {
                ask(&app, method, path, "{", 400).await;
                ask(&app, method, path, &format!("\"{}\"", "x".repeat(20_000)), 400).await;
                ask(&app, method, path, "[]", 422).await;
            }
            ask(&app, "PUT", path, "", 405).await;
            let path = if body.is_empty() { format!("{path}?{owner}") } else { (*path).to_owned() };
            for operation in ["Query", "TransactWriteItems", "GetItem", "PutItem"] {
                stage.faults.queue_for_all_attempts(operation, &Fault::Refused);
            }
            ask(&app, method, &path, body, 503).await;
            stage.faults.clear();
            DOCUMENT.check(&signed(method, &path, body), &response::not_started(Ulid::from_parts(1, 1)));
        }
        DOCUMENT.assert_all_produced();
    }
}

const NAMES: [&str; 6] =
    ["dreadnode-refresh", "elastic-refresh", "jwks", "replyke-refresh", "sessions", "uniqos-refresh"];

#[test]
fn every_function_has_its_document_and_no_document_is_of_nothing() {
    let names_in = |folder: &str, is_one: &dyn Fn(&Path) -> bool| -> BTreeSet<String> {
        let paths = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| is_one(path)).map(|path| path.file_stem().unwrap().display().to_string()).collect()
    };
    // A function that is called by a schedule or a stream has no endpoint to document: it makes no response.
    let functions = names_in("functions", &|path| path.join("src/response.rs").is_file());
    let documents = names_in("infra/openapi", &|path| path.extension().is_some_and(|extension| extension == "json"));
    assert_eq!(functions, documents, "a function's document is infra/openapi/<function>.json");
    assert_eq!(documents, NAMES.map(str::to_owned).into(), "give a new document its module here");
}

#[test]
fn every_path_of_the_documents_is_routed_to_its_function_locally() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let router = manifest.split("[workspace.metadata.lambda.watch.router]").nth(1).unwrap();
    let routes: Vec<_> = router.lines().take_while(|line| !line.starts_with('[')).collect();
    for name in NAMES {
        for path in Document::of(name).json["paths"].as_object().unwrap().keys() {
            let (exactly, below) = (path.as_str(), format!("{}/{{*path}}", path.rsplit_once('/').unwrap().0));
            let leads = |route: &&str| [exactly, &below].iter().any(|at| *route == format!("\"{at}\" = \"{name}\""));
            assert!(routes.iter().any(leads), "{path} is not routed to {name} in Cargo.toml");
        }
    }
}

#[test]
fn every_example_is_of_its_own_schema() {
    for name in NAMES {
        let document = Document::of(name);
        let mut examples = 0;
        let mut hold = |place: &str, media: &Value| {
            let named = media["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
            for example in named.chain(media.get("example")) {
                let faults = document.faults(&media["schema"], example);
                assert!(faults.is_empty(), "{name} {place}: {faults:?}\n{example}");
                examples += 1;
            }
        };
        for ((path, method, status), answer) in document.answers() {
            document.map(&answer["content"]).for_each(|(_, media)| hold(&format!("{method} {path} {status}"), media));
        }
        for (path, item) in document.map(&document.json["paths"]) {
            for (method, operation) in document.map(item) {
                let content = &operation["requestBody"]["content"];
                document.map(content).for_each(|(_, media)| hold(&format!("{method} {path}"), media));
            }
        }
        assert!(examples > 2, "{name} has no examples, or this test no longer finds them");
    }
}

#[test]
#[should_panic(expected = "x-ratelimit-limit is not declared")]
fn a_header_that_is_not_declared_is_found() {
    let mut response = uniqos_refresh::response::not_started("https://docs.uniqos.com/errors", Ulid::nil());
    response.headers_mut().insert("x-ratelimit-limit", "1".parse().unwrap());
    Document::of("uniqos-refresh").check(&event("POST", "/v1/auth/refresh", &[], ""), &response);
}

#[test]
#[should_panic(expected = "is not declared")]
fn a_status_that_is_not_declared_is_found() {
    let mut response = uniqos_refresh::response::not_started("https://docs.uniqos.com/errors", Ulid::nil());
    *response.status_mut() = lambda_http::http::StatusCode::NOT_FOUND;
    Document::of("uniqos-refresh").check(&event("POST", "/v1/auth/refresh", &[], ""), &response);
}

#[test]
#[should_panic(expected = "declared, and not produced")]
fn an_answer_that_nothing_produces_is_found() {
    Document::of("uniqos-refresh").assert_all_produced();
}
