//! The published keys, every answer of theirs.

use ::jwks::{App, configure, handle, response};
use rondo_tests::T0;
use rondo_tests::world::moment;
use ulid::Ulid;

use super::document::Document;
use super::stage::{LISTED, Stage, event, request};

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
            let known = ask(&app, method, path, &[("if-none-match", served.headers()["etag"].to_str().unwrap())]).await;
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
