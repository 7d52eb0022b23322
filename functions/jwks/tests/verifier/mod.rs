use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

/// What an access token says; RFC 9068 §2.2.
#[derive(Debug, Deserialize)]
pub struct AccessClaims {
    pub sub: String,
    /// None in Replyke's tokens, which have the product's own claims.
    pub client_id: Option<String>,
    /// The session: what to name when somebody asks for it to be ended. None in Replyke's tokens.
    pub sid: Option<String>,
    pub exp: i64,
}

/// Why a request is not let in. `Keys` is a failure of ours: answer 503, not 401.
#[derive(Debug)]
pub enum Refused {
    Token(&'static str),
    Keys(String),
}

pub struct Verifier {
    pub jwks_url: String,
    pub issuer: String,
    pub audience: String,
    pub keys: Mutex<Option<(Instant, JwkSet)>>,
}

impl Verifier {
    pub fn verify(&self, token: &str) -> Result<AccessClaims, Refused> {
        let header = decode_header(token).map_err(|_| Refused::Token("not a JWT"))?;
        // Another kind of token is no access token, whoever signed it (RFC 8725 §3.11).
        if header.typ.as_deref() != Some("at+jwt") {
            return Err(Refused::Token("not an access token"));
        }
        let kid = header.kid.ok_or(Refused::Token("names no key"))?;
        let (key, algorithm) = self.key(&kid)?;
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let verified = decode::<AccessClaims>(token, &key, &validation);
        verified.map(|verified| verified.claims).map_err(|_| Refused::Token("does not verify"))
    }

    /// The key with its own algorithm: what the token says of its algorithm is compared with it, never believed.
    fn key(&self, kid: &str) -> Result<(DecodingKey, Algorithm), Refused> {
        let mut kept = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let age = kept.as_ref().map(|(read_at, _)| read_at.elapsed());
        let known = kept.as_ref().is_some_and(|(_, set)| set.find(kid).is_some());
        // Every five minutes; for an unknown key, which anybody may invent, at most once a minute.
        let patience = Duration::from_secs(if known { 300 } else { 60 });
        if age.is_none_or(|age| age >= patience) {
            match (self.fetch(), &mut *kept) {
                (Ok(set), kept) => *kept = Some((Instant::now(), set)),
                // Keys that were good stay good while their server cannot be reached.
                (Err(_), Some((read_at, _))) if known => *read_at = Instant::now(),
                (Err(error), _) => return Err(Refused::Keys(error)),
            }
        }
        let set = kept.as_ref().map(|(_, set)| set);
        let jwk = set.and_then(|set| set.find(kid)).ok_or(Refused::Token("names no key of the issuer's"))?;
        let algorithm = match jwk.common.key_algorithm {
            Some(KeyAlgorithm::EdDSA) => Algorithm::EdDSA,
            Some(KeyAlgorithm::RS256) => Algorithm::RS256,
            _ => return Err(Refused::Keys(format!("{kid} is of an unknown kind"))),
        };
        let key = DecodingKey::from_jwk(jwk).map_err(|error| Refused::Keys(error.to_string()))?;
        Ok((key, algorithm))
    }

    fn fetch(&self) -> Result<JwkSet, String> {
        let mut answer = ureq::get(&self.jwks_url).call().map_err(|error| error.to_string())?;
        let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }
}
