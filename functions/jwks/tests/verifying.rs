//! Access tokens that the walk minted, verified as others verify them: by the served set alone. The verifier is the
//! Rust one of infra/verifying.md, and the set comes over HTTP.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

mod ring;
#[allow(clippy::wildcard_enum_match_arm, missing_docs, missing_debug_implementations, reason = "an example's brevity")]
mod verifier;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use jwks::App;
use jwks::request::KEYS_PATH;
use ring::{Ring, event, key, rsa_jwk, send, signing_with_rsa};
use rondo_shared::config::Reader;
use rondo_shared::identity::Client;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::wire::Event;
use rondo_tests::dynamo::{TABLE, plain_http};
use rondo_tests::products::{Function, Product, keyring};
use rondo_tests::world::keyring_document;
use rondo_tests::{LocalDynamo, World};
use serde_json::{Value, json};
use verifier::{Refused, Verifier};

/// Verifiers read the real clock.
fn now() -> Timestamp {
    Moment::read().unwrap().now
}

/// The function behind a socket; counts its answers. Its thread ends with the test's process.
fn serve(app: App) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}{KEYS_PATH}", listener.local_addr().unwrap());
    let answered = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&answered);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            answer_on(&stream.unwrap(), &app);
        }
    });
    (url, answered)
}

fn answer_on(mut stream: &TcpStream, app: &App) {
    let head: Vec<_> = BufReader::new(stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    let asked: Vec<_> = head[0].split(' ').collect();
    let answer = send(app, &event(asked[0], asked[1], &json!({})), now());
    let mut text = format!("HTTP/1.1 {} -\r\nconnection: close\r\n", answer.status);
    for (name, value) in answer.response.headers() {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    text += &format!("content-length: {}\r\n\r\n{}", answer.text().len(), answer.text());
    stream.write_all(text.as_bytes()).unwrap();
}

fn verifier(jwks_url: &str) -> Verifier {
    let (issuer, audience) = ("https://auth.example.com".to_owned(), "uniqos-api".to_owned());
    Verifier { jwks_url: jwks_url.to_owned(), issuer, audience, keys: Mutex::default() }
}

/// The access token and the refresh token of a refresh, with such a keyring.
async fn refreshed(ring: &Ring) -> (String, String) {
    let path = ring.path.display().to_string();
    let world = World::with(&[("KEYRING_FILE", &path), ("UNIQOS_ISSUER", "https://auth.example.com")]).await;
    let answer = world.refresh(&world.open(now()).await, now()).await;
    let access = answer.json()["access_token"].as_str().unwrap().to_owned();
    (access, answer.ok())
}

/// The access token of one refresh of another product's function, with its default issuer and audience.
async fn access_token_of(product: Product, ring: &Ring) -> String {
    let dynamo = LocalDynamo::start().await;
    let (store, file) = (dynamo.store(plain_http()), ring.path.display().to_string());
    let reader = Reader::new([("TABLE_NAME", TABLE), ("KEYRING_FILE", &file)]);
    let function = Function::boot(product, reader, store, now());
    let client = Client::new(Some("192.0.2.1".parse().unwrap()), "browser");
    let moment = Moment::read().unwrap();
    let opened = function.open("user-1", None, client.clone(), &moment, &dynamo.store(plain_http())).await;
    let event = product.event(&opened.unwrap().1, &client);
    let request = Event::from_json(&event.to_string()).unwrap().into_request();
    let (response, _) = function.handle(&Moment::read().unwrap(), &request).await;
    let body: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
    let token = ["access_token", "token", "accessToken"].iter().find_map(|name| body[*name].as_str());
    token.unwrap_or_else(|| panic!("{product:?}: {body}")).to_owned()
}

fn header_of(token: &str) -> Value {
    json!(jsonwebtoken::decode_header(token).unwrap())
}

#[tokio::test]
async fn a_minted_access_token_verifies_by_the_served_set_for_either_algorithm() {
    for (document, alg, kid) in [(keyring_document(), "EdDSA", "s1"), (signing_with_rsa(), "RS256", "r1")] {
        let ring = Ring::new(&document);
        let (access, _) = refreshed(&ring).await;
        let header = header_of(&access);
        assert_eq!((&header["alg"], &header["kid"], &header["typ"]), (&json!(alg), &json!(kid), &json!("at+jwt")));
        let (url, answered) = serve(ring.app(&[]).unwrap());
        let verifier = verifier(&url);
        for _ in 0..3 {
            let claims = verifier.verify(&access).unwrap();
            assert_eq!((claims.sub.as_str(), claims.client_id.as_deref()), ("user-1", Some("uniqos")));
            assert_eq!(claims.sid.map(|sid| sid.len()), Some(26));
            assert!(claims.exp > now().secs());
        }
        assert_eq!(answered.load(Ordering::SeqCst), 1, "the set is kept");
    }
}

#[tokio::test]
async fn the_access_tokens_of_every_other_product_verify_by_its_issuer_and_audience_and_by_no_others() {
    let ring = Ring::new(&keyring());
    let (url, _) = serve(ring.app(&[]).unwrap());
    for (product, issuer, audience, is_of_rfc_9068) in [
        (Product::Dreadnode, "dreadnode", "dreadnode-api", true),
        (Product::Elastic, "elastic", "elastic-api", true),
        (Product::Replyke, "replyke.com", "replyke.com", false),
    ] {
        let access = access_token_of(product, &ring).await;
        let own = Verifier { issuer: issuer.to_owned(), audience: audience.to_owned(), ..verifier(&url) };
        let claims = own.verify(&access).unwrap_or_else(|refused| panic!("{product:?}: {refused:?}"));
        assert_eq!((claims.sub.as_str(), claims.exp > now().secs()), ("user-1", true), "{product:?}");
        assert_eq!((claims.client_id.is_some(), claims.sid.is_some()), (is_of_rfc_9068, is_of_rfc_9068), "{product:?}");
        let refused = verifier(&url).verify(&access).unwrap_err();
        assert!(matches!(refused, Refused::Token("does not verify")), "{product:?}: {refused:?}");
    }
}

#[tokio::test]
async fn a_token_of_a_retired_key_verifies_after_another_key_has_taken_over() {
    let ring = Ring::new(&keyring_document());
    let (access, _) = refreshed(&ring).await;
    let (url, _) = serve(Ring::new(&signing_with_rsa()).app(&[]).unwrap());
    assert_eq!(verifier(&url).verify(&access).unwrap().sub, "user-1");
}

#[tokio::test]
async fn a_verifier_that_fetched_the_set_before_a_promotion_knows_the_key() {
    let mut document = keyring_document();
    document["products"]["uniqos"]["signing"].as_array_mut().unwrap().push(key("r1", "next", rsa_jwk()));
    let ring = Ring::new(&document);
    let (url, answered) = serve(ring.app(&[]).unwrap());
    let verifier = verifier(&url);
    let (before, _) = refreshed(&ring).await;
    verifier.verify(&before).unwrap();

    ring.write(&signing_with_rsa().to_string());
    let (after, _) = refreshed(&ring).await;
    assert_eq!(header_of(&after)["kid"], "r1");
    verifier.verify(&after).unwrap();
    assert_eq!(answered.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_no_access_token_of_this_audience_is_refused() {
    let ring = Ring::new(&signing_with_rsa());
    let (access, refresh) = refreshed(&ring).await;
    let (url, answered) = serve(ring.app(&[]).unwrap());
    let verifier = verifier(&url);
    let why = |verifier: &Verifier, token: &str| match verifier.verify(token).unwrap_err() {
        Refused::Token(why) => why,
        Refused::Keys(error) => panic!("{error}"),
    };
    assert_eq!(why(&verifier, &refresh), "not an access token");
    assert_eq!(why(&verifier, "x"), "not a JWT");
    let (signed, signature) = access.rsplit_once('.').unwrap();
    let reversed: String = signature.chars().rev().collect();
    assert_eq!(why(&verifier, &format!("{signed}.{reversed}")), "does not verify");

    // The confusion of old: the public key as the secret of a MAC.
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    (header.typ, header.kid) = (Some("at+jwt".to_owned()), Some("r1".to_owned()));
    let secret = jsonwebtoken::EncodingKey::from_secret(rsa_jwk()["n"].as_str().unwrap().as_bytes());
    let claims = json!({"sub": "user-1", "client_id": "uniqos", "sid": "", "iss": "https://auth.example.com",
        "aud": "uniqos-api", "exp": now().secs() + 60});
    assert_eq!(why(&verifier, &jsonwebtoken::encode(&header, &claims, &secret).unwrap()), "does not verify");
    header.kid = Some("r9".to_owned());
    let unknown = jsonwebtoken::encode(&header, &claims, &secret).unwrap();
    for _ in 0..5 {
        assert_eq!(why(&verifier, &unknown), "names no key of the issuer's");
    }
    assert_eq!(answered.load(Ordering::SeqCst), 1, "invented keys do not have the set fetched again and again");

    let elsewhere = Verifier { audience: "another-api".to_owned(), ..self::verifier(&url) };
    assert_eq!(why(&elsewhere, &access), "does not verify");
    let foreign = Verifier { issuer: "https://other.example.com".to_owned(), ..self::verifier(&url) };
    assert_eq!(why(&foreign, &access), "does not verify");
}

#[tokio::test]
async fn without_keys_a_verifier_says_that_it_cannot_tell() {
    let (access, _) = refreshed(&Ring::new(&keyring_document())).await;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = verifier(&format!("http://{closed}{KEYS_PATH}")).verify(&access).unwrap_err();
    assert!(matches!(refused, Refused::Keys(_)));
}

#[test]
fn the_documents_rust_example_is_the_one_that_is_tested() {
    let document = include_str!("../../../infra/verifying.md");
    let shown = document.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a Rust example");
    assert_eq!(shown, include_str!("verifier/mod.rs"), "copy functions/jwks/tests/verifier/mod.rs into the document");
}
