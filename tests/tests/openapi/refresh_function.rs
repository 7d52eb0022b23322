//! What the refresh functions are alike in, for the module of each.

/// What the functions that are alike in it share: an instance of them, and a request to one that is checked.
macro_rules! refresh_function {
    ($function:ident, $name:literal, $path:literal) => {
        use std::sync::LazyLock;

        use lambda_http::{Body, Response};
        use rondo_shared::identity::FamilyId;
        use rondo_shared::moment::Timestamp;
        use rondo_shared::store::dynamo::DynamoStore;
        use rondo_tests::T0;
        use rondo_tests::world::moment;
        use serde_json::Value;

        use super::document::Document;
        use super::stage::{LISTED, Stage, event, request};

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
