//! The attacks that RFC 8725 and the registers of JWT flaws name, each on every product's function, whole: from the wire
//! to the answer. The answer is a clear refusal, the same for all that is refused alike; the store is not asked; no cookie
//! is taken away but on a 401; and the session that was attacked goes on.

#[path = "attacks/claims.rs"]
mod claims;
#[path = "attacks/encodings.rs"]
mod encodings;
#[path = "attacks/keys.rs"]
mod keys;
#[path = "attacks/signatures.rs"]
mod signatures;
#[path = "attacks/stage.rs"]
mod stage;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rondo_tests::secs;
use serde_json::Value;
use stage::{Stage, TENANTS, changed, part};

/// A good token, what it is made of, and what makes others like it.
struct Target<'a> {
    stage: &'a Stage,
    tenant: &'static str,
    good: String,
}

impl Target<'_> {
    fn header(&self) -> Value {
        part(&self.good, 0)
    }

    fn claims(&self) -> Value {
        part(&self.good, 1)
    }

    /// The good claims under another header, signed by us.
    fn with_header(&self, changes: &Value) -> String {
        self.stage.made(self.tenant, &changed(self.header(), changes).to_string(), &self.claims().to_string())
    }

    /// Other claims under the good header, signed by us.
    fn with_claims(&self, changes: &Value) -> String {
        self.stage.made(self.tenant, &self.header().to_string(), &changed(self.claims(), changes).to_string())
    }

    /// The good token's claims under a header of an attacker's, with whatever signature.
    fn with_signature(&self, header: &Value, signature: &str) -> String {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        format!("{header}.{}.{signature}", self.good.split('.').nth(1).unwrap())
    }
}

/// Presents every token that `attacks` makes to each product, and holds what all refusals must be.
async fn on_every_product(stage: &Stage, attacks: impl Fn(&Target<'_>) -> Vec<(String, String)>) {
    for tenant in TENANTS {
        let target = Target { stage, tenant, good: stage.open(tenant).await };
        let mut told = BTreeSet::new();
        let forged = attacks(&target);
        assert!(!forged.is_empty());
        for (what, token) in forged {
            assert_ne!(token, target.good, "{what}");
            let answer = stage.present(tenant, &token).await;
            answer.assert_refused(&format!("{tenant}: {what}"));
            let body = answer.body();
            // What is of no token's form is told as such, by the two products whose contracts say so.
            let is_by_contract = answer.status == 422 || tenant.starts_with("replyke");
            if !is_by_contract {
                told.insert((answer.status, body));
            }
        }
        assert!(told.len() <= 1, "{tenant} tells refusals apart: {told:#?}");
        assert_eq!(stage.present_at(tenant, &target.good, secs(2)).await.status, 200, "{tenant}: the session goes on");
    }
}

/// A list of named tokens.
fn named<N: ToString>(tokens: impl IntoIterator<Item = (N, String)>) -> Vec<(String, String)> {
    tokens.into_iter().map(|(name, token)| (name.to_string(), token)).collect()
}
