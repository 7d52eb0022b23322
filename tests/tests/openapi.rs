//! The OpenAPI documents of `infra/openapi/`, held against the functions themselves: every answer that is declared is
//! produced here, and every answer that is produced is as it is declared, by JSON Schema 2020-12.
//!
//! A document is to name every header: one that it does not declare for a status is a finding, so that a rate header
//! on a 401 is found. Two things no OpenAPI document can tell are looked at beside: `request_id` equals the header.

#[macro_use]
#[path = "openapi/refresh_function.rs"]
mod refresh_function;
#[path = "openapi/document.rs"]
mod document;
#[path = "openapi/dreadnode.rs"]
mod dreadnode;
#[path = "openapi/elastic.rs"]
mod elastic;
#[path = "openapi/jwks.rs"]
mod jwks;
#[path = "openapi/replyke.rs"]
mod replyke;
#[path = "openapi/sessions.rs"]
mod sessions;
#[path = "openapi/stage.rs"]
mod stage;
#[path = "openapi/uniqos.rs"]
mod uniqos;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use document::Document;
use lambda_http::{Body, Response};
use rondo_shared::config::Reader;
use serde_json::{Value, json};
use stage::{event, request};
use ulid::Ulid;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
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

/// The tests of the functions produce every answer that is declared, and hold it to this. A key set is to be stored.
#[test]
fn every_answer_is_declared_with_a_request_id_and_to_be_stored_by_nobody() {
    for document in NAMES.into_iter().filter(|name| *name != "jwks").map(Document::of) {
        for ((path, method, status), answer) in document.answers() {
            for (wanted, values) in
                [("x-request-id", ["01JD0000000000000000000000", "1"]), ("cache-control", ["no-store", "no-cache"])]
            {
                let what = format!("{}: {wanted} of {method} {path} {status}", document.name);
                let mut headers = document.map(&answer["headers"]);
                let (_, header) = headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).expect(&what);
                assert_eq!(header["required"], true, "{what}");
                let is_one = values.map(|value| document.faults(&header["schema"], &json!(value)).is_empty());
                assert_eq!(is_one, [true, false], "{what}");
            }
        }
    }
}

/// An answer that is as declared, with what it answers.
fn uniqos_not_started() -> (Value, Response<Body>) {
    let event = event("POST", "/v1/auth/refresh", &[], "");
    let cross_site = uniqos_refresh::policy::cross_site(&mut Reader::new::<String, String>([]));
    let url = "https://docs.uniqos.com/errors";
    let response = uniqos_refresh::response::not_started(&cross_site, url, &request(&event), Ulid::nil());
    Document::of("uniqos-refresh").check(&event, &response);
    (event, response)
}

#[test]
#[should_panic(expected = "x-ratelimit-limit is not declared")]
fn a_header_that_is_not_declared_is_found() {
    let (event, mut response) = uniqos_not_started();
    response.headers_mut().insert("x-ratelimit-limit", "1".parse().unwrap());
    Document::of("uniqos-refresh").check(&event, &response);
}

#[test]
#[should_panic(expected = "is not declared")]
fn a_status_that_is_not_declared_is_found() {
    let (event, mut response) = uniqos_not_started();
    *response.status_mut() = lambda_http::http::StatusCode::NOT_FOUND;
    Document::of("uniqos-refresh").check(&event, &response);
}

#[test]
#[should_panic(expected = "declared, and not produced")]
fn an_answer_that_nothing_produces_is_found() {
    Document::of("uniqos-refresh").assert_all_produced();
}
