//! Families: what happened to one, for a person who wants to know.

use std::fmt;
use std::io::BufRead;

use clap::{Args, Subcommand};
use rondo_shared::identity::{FamilyId, Tenant};
use rondo_shared::keyring::ProductKeys;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::rotation::family;
use rondo_shared::store::Meter;
use rondo_shared::token::{Claims, TOKEN_MAX_BYTES, TokenAuthority, TokenError, UnverifiedToken};
use serde_json::json;

use crate::arguments::{FamilyOrToken, FamilyOrTokenParser, TenantArgument};
use crate::directory::absent;
use crate::failure::Failure;
use crate::product::Product;
use crate::report::Report;
use crate::target::Target;
use crate::timeline::Timeline;

/// What can be done with families.
#[derive(Debug, Subcommand)]
pub enum FamilyCommand {
    /// Show a family's timeline: when, from where and by which client each generation came to be, and how it ended.
    Show(ShowArguments),
}

/// Which family is meant.
#[derive(Args, Debug)]
pub struct ShowArguments {
    /// The family, or - to read one of its refresh tokens from standard input. A token is never taken as an argument.
    #[arg(value_name = "FAMILY | -", value_parser = FamilyOrTokenParser)]
    pub family: FamilyOrToken,
    /// Whose items are meant; a token tells by itself.
    #[command(flatten)]
    pub tenant: TenantArgument,
}

/// What a token that was read is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It verifies in every respect.
    Good,
    /// The keyring's key signed it, and something else is wrong with it.
    SignedBut(TokenError),
    /// Nothing proves that it is ours: what it says may be made up.
    Unverified(TokenError),
}

impl Proof {
    fn of(token: UnverifiedToken<'_>, keys: &ProductKeys, authority: &TokenAuthority, now: Timestamp) -> Self {
        match token.verify(authority.form.keys(keys), authority, now) {
            Ok(_) => Self::Good,
            Err(
                error @ (TokenError::WrongType
                | TokenError::WrongClaims
                | TokenError::WrongAuthority
                | TokenError::NotYetValid
                | TokenError::Expired
                | TokenError::SessionsEnded),
            ) => Self::SignedBut(error),
            Err(
                error @ (TokenError::TooLong
                | TokenError::NotThreeParts
                | TokenError::Undecodable
                | TokenError::SignatureMissing
                | TokenError::UnknownKey
                | TokenError::WrongAlgorithm
                | TokenError::BadSignature),
            ) => Self::Unverified(error),
        }
    }

    /// Whether the signature is by a key of the keyring.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Good | Self::SignedBut(_))
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("the token's signature verifies"),
            Self::SignedBut(error) => write!(f, "the token's signature verifies, but {error}"),
            Self::Unverified(error) => write!(f, "the token is unverified, what it says may be made up: {error}"),
        }
    }
}

/// Runs one of these commands.
///
/// # Errors
/// [`Failure`] where there is no such family, or the table or the token cannot be read.
pub async fn run(command: &FamilyCommand, target: &Target, input: &mut dyn BufRead) -> Result<Report, Failure> {
    let FamilyCommand::Show(ShowArguments { family, tenant }) = command;
    match family {
        FamilyOrToken::Family(family) => {
            let timeline = timeline(&tenant.tenant, *family, target).await?;
            Ok(Report::new(timeline.text(), timeline.json()))
        }
        FamilyOrToken::TokenOnInput => of_token(target, input).await,
    }
}

/// The timeline of a family.
///
/// # Errors
/// [`Failure::NotFound`] where nothing of it stands, [`Failure::Store`] where the table gave no answer.
pub async fn timeline(tenant: &Tenant, family: FamilyId, target: &Target) -> Result<Timeline, Failure> {
    let history = family::history(tenant, family, target.store(), &Meter::default()).await?;
    if history.generations.is_empty() && history.seal.is_none() {
        return Err(absent("family", &family, target));
    }
    Ok(Timeline::of(family, &history))
}

async fn of_token(target: &Target, input: &mut dyn BufRead) -> Result<Report, Failure> {
    let text = read_token(input)?;
    let token = UnverifiedToken::parse(&text).map_err(Failure::NoToken)?;
    let claims: Claims = token.claims_unverified().ok_or(Failure::NoToken(TokenError::WrongClaims))?;
    let product = Product::of(&claims.tenant).ok_or(Failure::NoToken(TokenError::WrongAuthority))?;
    let (keys, products) = (target.keys(product).await?, target.products().await?);
    let terms = products.of(&claims.tenant).ok_or(Failure::NoToken(TokenError::WrongAuthority))?.terms();
    let proof = Proof::of(token, &keys, &terms.authority, Moment::read()?.now);
    let timeline = timeline(&claims.tenant, claims.sid, target).await?;
    let place = match timeline.live() {
        Some(live) if claims.generation < live => "retired",
        Some(live) if claims.generation == live && timeline.ending.is_none() => "live",
        Some(live) if claims.generation == live => "the last one",
        Some(_) | None => "not on record",
    };
    let text = format!("{proof}\nit speaks for generation {}: {place}\n\n{}", claims.generation, timeline.text());
    let mut json = timeline.json();
    if let Some(object) = json.as_object_mut() {
        let of_token = json!({
            "generation": claims.generation,
            "generation_is": place,
            "signature_verifies": proof.is_signed(),
            "finding": proof.to_string(),
        });
        object.insert("token".to_owned(), of_token);
    }
    Ok(Report::new(text, json))
}

/// Reads one line, bounded, with or without a cookie's name or `Authorization: Bearer` before it: people paste either.
fn read_token(input: &mut dyn BufRead) -> Result<String, Failure> {
    let most = u64::try_from(TOKEN_MAX_BYTES).unwrap_or(u64::MAX).saturating_mul(2);
    let mut line = String::new();
    std::io::Read::take(input, most).read_line(&mut line).map_err(Failure::Input)?;
    let line = line.trim();
    let token = line.split_once('=').map_or(line, |(_, value)| value);
    let token = token.split(';').next().unwrap_or_default().trim();
    Ok(token.split_whitespace().last().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_be_pasted_with_its_cookie_or_its_header_around_it() {
        let read = |mut text: &[u8]| read_token(&mut text).unwrap();
        assert_eq!(read(b"a.b.c\nmore"), "a.b.c");
        assert_eq!(read(b"uniqos_refresh=a.b.c; HttpOnly; Path=/v1/auth"), "a.b.c");
        assert_eq!(read(b"Authorization: Bearer a.b.c\n"), "a.b.c");
        assert!(read("x".repeat(100_000).as_bytes()).len() <= 2 * TOKEN_MAX_BYTES);
    }
}
