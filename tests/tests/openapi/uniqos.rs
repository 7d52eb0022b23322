//! Uniqos's endpoint, every answer of it.

use rondo_shared::identity::{OrgKey, Tenant};
use rondo_shared::store::item::Quota;
use rondo_tests::{Fault, Faults, LocalDynamo, secs};
use ulid::Ulid;

use super::stage::OTHER_SITE;

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

    for method in ["POST", "OPTIONS", "GET"] {
        let event = event(method, PATH, &[LISTED], "");
        let cross_site = &app.policy().cross_site;
        let response = uniqos_refresh::response::not_started(
            cross_site,
            "https://docs.uniqos.com/errors",
            &request(&event),
            Ulid::from_parts(1, 1),
        );
        DOCUMENT.check(&event, &response);
    }
    DOCUMENT.assert_all_produced();
}
