//! Wire to what is asked for. No IO.
//!
//! In this order: the IAM identity, the route, the method, the body's form, its fields. Whoever has no identity learns
//! of nothing else.

use lambda_http::http::Method;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use rondo_shared::identity::{Client, FamilyId, OrgKey, Subject, Tenant};
use rondo_shared::session::{ClientToken, NewSession};
use rondo_shared::store::item::{AccountStatus, Cause};

use crate::fields::{Fields, Problem};
use crate::policy::{BODY_MAX_BYTES, CLIENT_TOKEN_MAX_BYTES, PAGE_DEFAULT, PAGE_MAX, Policy};
use crate::products::{Product, Products};

/// Whose sessions are meant.
#[derive(Clone, Debug)]
pub struct Owner<'a> {
    /// The product.
    pub product: &'a Product,
    /// The product, or one of its projects.
    pub tenant: Tenant,
    /// The user.
    pub subject: Subject,
}

/// A session to be opened.
#[derive(Debug)]
pub struct Opening<'a> {
    /// The product.
    pub product: &'a Product,
    /// Whose it is to be, and where from.
    pub new: NewSession,
    /// What a repeat is told by.
    pub client_token: ClientToken,
}

/// Sessions to be listed.
#[derive(Debug)]
pub struct Listing<'a> {
    /// Whose.
    pub owner: Owner<'a>,
    /// Where the page begins.
    pub from: Option<FamilyId>,
    /// How many at most.
    pub limit: u8,
}

/// What a request asks for.
#[derive(Debug)]
pub enum Asked<'a> {
    /// `POST /sessions`
    Open(Opening<'a>),
    /// `GET /sessions`
    List(Listing<'a>),
    /// `DELETE /sessions/{family}`
    RevokeOne {
        /// Whose.
        owner: Owner<'a>,
        /// Which; none where the path names nothing that could be one.
        family: Option<FamilyId>,
    },
    /// `POST /sessions/revoke`
    RevokeAll {
        /// Whose.
        owner: Owner<'a>,
        /// The one to keep.
        kept: Option<FamilyId>,
        /// Why.
        cause: Cause,
    },
}

/// Why a request asks for nothing that can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// The gateway has not authorized it by IAM.
    #[error("the event carries no IAM identity")]
    NoIamIdentity,
    /// There is no such path.
    #[error("there is no such route")]
    NoSuchRoute,
    /// The path does not take the method.
    #[error("the route takes only {allow}")]
    MethodNotAllowed {
        /// What it takes.
        allow: &'static str,
    },
    /// The body is larger than any that is needed.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The body is not JSON.
    #[error("the body is not JSON")]
    BodyNotJson,
    /// Fields are missing, wrong or not known.
    #[error("{} fields are not what they must be", .0.len())]
    Fields(Vec<Problem>),
}

/// Finds out what is asked for.
///
/// # Errors
/// [`ExtractError`]; none of it passes.
pub fn extract<'a>(request: &Request, policy: &Policy, products: &'a Products) -> Result<Asked<'a>, ExtractError> {
    if !policy.without_iam && caller(request).is_none() {
        return Err(ExtractError::NoIamIdentity);
    }
    let method = request.method();
    match Route::of(request.uri().path()).ok_or(ExtractError::NoSuchRoute)? {
        Route::Sessions if *method == Method::POST => opening(body(request, OPENING_FIELDS)?, products),
        Route::Sessions if *method == Method::GET => listing(Fields::of_query(request, LISTING_FIELDS), products),
        Route::Sessions => Err(ExtractError::MethodNotAllowed { allow: "GET, POST" }),
        Route::Session(family) if *method == Method::DELETE => {
            revoking_one(Fields::of_query(request, OWNER_FIELDS), family, products)
        }
        Route::Session(_) => Err(ExtractError::MethodNotAllowed { allow: "DELETE" }),
        Route::Revoke if *method == Method::POST => revoking_all(body(request, REVOKING_FIELDS)?, products),
        Route::Revoke => Err(ExtractError::MethodNotAllowed { allow: "POST" }),
    }
}

/// Whose signature (SigV4) the gateway has verified, as an ARN of IAM: an HTTP API or a function URL says so in
/// `authorizer.iam`, a REST API in `identity`. Nothing that a caller sends gets there.
#[must_use]
pub fn caller(request: &Request) -> Option<String> {
    let arn = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            context.authorizer.as_ref().and_then(|authorizer| authorizer.iam.as_ref()?.user_arn.as_deref())
        }
        Some(RequestContext::ApiGatewayV1(context)) => context.identity.user_arn.as_deref(),
        Some(_) | None => None,
    };
    arn.filter(|arn| arn.starts_with("arn:")).map(str::to_owned)
}

#[derive(Debug, PartialEq, Eq)]
enum Route {
    Sessions,
    Session(Option<FamilyId>),
    Revoke,
}

impl Route {
    /// By what follows the first `sessions` in the path; a stage or a base path of another name may stand before it. By the
    /// last one, whoever is allowed `/sessions/*`, to end sessions, could open one at `/sessions/sessions`.
    fn of(path: &str) -> Option<Self> {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let at = names.iter().position(|name| *name == "sessions")?;
        match names.get(at + 1..)? {
            [] => Some(Self::Sessions),
            ["revoke"] => Some(Self::Revoke),
            [family] => Some(Self::Session(family.parse().ok())),
            [_, _, ..] => None,
        }
    }
}

fn body(request: &Request, known: &[&str]) -> Result<Fields, ExtractError> {
    let body = request.body().as_ref();
    if body.len() > BODY_MAX_BYTES {
        return Err(ExtractError::BodyTooLarge);
    }
    Fields::of_body(body, known).ok_or(ExtractError::BodyNotJson)
}

const OWNER_FIELDS: &[&str] = &["tenant", "user"];
const OPENING_FIELDS: &[&str] = &["tenant", "user", "org", "label", "client_token", "ip", "user_agent"];
const LISTING_FIELDS: &[&str] = &["tenant", "user", "limit", "cursor"];
const REVOKING_FIELDS: &[&str] = &["tenant", "user", "except", "cause"];

const NAME_RULE: &str = "must be a text of 1 to 128 bytes without control characters";
const FAMILY_RULE: &str = "must be a family's ULID";
const TENANT_RULE: &str = "must be a tenant of this deployment: a product, or product:project";
const CLIENT_TOKEN_RULE: &str = "must be a text of 1 to 128 bytes";
const CAUSE_RULE: &str = "must be sign_out, operator, account_suspended or account_removed";
const KEPT_RULE: &str = "must be left out where all sessions end for the account's status";
const PAGE_RULE: &str = "must be a number from 1 to 100";

fn opening(mut fields: Fields, products: &Products) -> Result<Asked<'_>, ExtractError> {
    let owner = owner(&mut fields, products);
    let org = fields.optional("org", NAME_RULE, |org| OrgKey::new(org).ok());
    let label = fields.optional("label", "must be a text", |label| Some(label.to_owned()));
    let fits = |token: &str| (1..=CLIENT_TOKEN_MAX_BYTES).contains(&token.len());
    let client_token =
        fields.required("client_token", CLIENT_TOKEN_RULE, |token| fits(token).then(|| ClientToken::of(token)));
    let ip = fields.optional("ip", "must be an IP address", |ip| ip.parse().ok());
    let user_agent = fields.optional("user_agent", "must be a text", |agent| Some(agent.to_owned()));
    let opening = owner.zip(client_token).map(|(Owner { product, tenant, subject }, client_token)| {
        let client = Client::new(ip, &user_agent.unwrap_or_default());
        Opening { product, new: NewSession { tenant, subject, org, label, client }, client_token }
    });
    finish(fields, opening).map(Asked::Open)
}

fn listing(mut fields: Fields, products: &Products) -> Result<Asked<'_>, ExtractError> {
    let owner = owner(&mut fields, products);
    let fits = |limit: &u8| (1..=PAGE_MAX).contains(limit);
    let limit = fields.optional("limit", PAGE_RULE, |limit| limit.parse().ok().filter(fits));
    let from = fields.optional("cursor", "must be the next_cursor of an answer", |cursor| cursor.parse().ok());
    let listing = owner.map(|owner| Listing { owner, from, limit: limit.unwrap_or(PAGE_DEFAULT) });
    finish(fields, listing).map(Asked::List)
}

fn revoking_one(mut fields: Fields, family: Option<FamilyId>, products: &Products) -> Result<Asked<'_>, ExtractError> {
    let owner = owner(&mut fields, products);
    finish(fields, owner).map(|owner| Asked::RevokeOne { owner, family })
}

fn revoking_all(mut fields: Fields, products: &Products) -> Result<Asked<'_>, ExtractError> {
    let owner = owner(&mut fields, products);
    let kept = fields.optional("except", FAMILY_RULE, |family| family.parse().ok());
    let cause = fields.optional("cause", CAUSE_RULE, |cause| match cause {
        "sign_out" => Some(Cause::SignOut),
        "operator" => Some(Cause::Operator),
        "account_suspended" => Some(Cause::AccountSuspended),
        "account_removed" => Some(Cause::AccountRemoved),
        _ => None,
    });
    if kept.is_some() && cause.and_then(AccountStatus::that_ends_sessions_by).is_some() {
        fields.problem("except", KEPT_RULE);
    }
    let asked = owner.map(|owner| Asked::RevokeAll { owner, kept, cause: cause.unwrap_or(Cause::SignOut) });
    finish(fields, asked)
}

fn owner<'a>(fields: &mut Fields, products: &'a Products) -> Option<Owner<'a>> {
    let known = |name: &str| {
        let tenant = Tenant::new(name).ok()?;
        products.of(&tenant).map(|product| (product, tenant))
    };
    let tenant = fields.required("tenant", TENANT_RULE, known);
    let subject = fields.required("user", NAME_RULE, |user| Subject::new(user).ok());
    let (product, tenant) = tenant?;
    Some(Owner { product, tenant, subject: subject? })
}

/// What was found, if nothing was wrong.
fn finish<T>(fields: Fields, found: Option<T>) -> Result<T, ExtractError> {
    let problems = fields.problems();
    match found {
        Some(found) if problems.is_empty() => Ok(found),
        Some(_) | None => Err(ExtractError::Fields(problems)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_what_follows_the_first_sessions_of_the_path() {
        let family = "01JD0000000000000000000000";
        for before in ["", "/prod", "//base/path"] {
            let route = |after: &str| Route::of(&format!("{before}/sessions{after}"));
            assert_eq!(route(""), Some(Route::Sessions));
            assert_eq!(route("/"), Some(Route::Sessions));
            assert_eq!(route("/revoke"), Some(Route::Revoke));
            assert_eq!(route(&format!("/{family}")), Some(Route::Session(family.parse().ok())));
            assert_eq!(route("/nothing"), Some(Route::Session(None)));
            assert_eq!(route("/a/b"), None);
            assert_eq!(route("/sessions"), Some(Route::Session(None)));
            assert_eq!(route("/sessions/revoke"), None);
        }
        for path in ["", "/", "/session", "/sessionsx"] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
