//! Elastic's endpoint, every answer of it.

use elastic_refresh::BootError;
use elastic_refresh::password::credential;
use elastic_refresh::request::Password;
use elastic_refresh::response::{not_started, without_randomness};
use rondo_shared::identity::{Subject, Tenant};
use rondo_tests::Fault;
use ulid::Ulid;

use super::stage::USER;

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
            let event = event(method, PATH, &[LISTED], "");
            let cross_site = &app.policy().cross_site;
            DOCUMENT.check(&event, &not_started(error, cross_site, &request(&event), Ulid::from_parts(1, 1)));
        }
    }
    for method in ["POST", "OPTIONS", "GET"] {
        let event = event(method, PATH, &[LISTED], "");
        DOCUMENT.check(&event, &without_randomness(&app.policy().cross_site, &request(&event)));
    }
    DOCUMENT.assert_all_produced();
}
