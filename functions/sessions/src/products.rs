//! The products that sessions are opened for: the terms of each, which its own crate tells, and its keys.

use std::fmt;
use std::time::Duration;

use rondo_shared::config::{Common, Reader};
use rondo_shared::directory;
use rondo_shared::identity::Tenant;
use rondo_shared::keyring::KeyringError;
use rondo_shared::keyring::source::{Keyring, KeyringSource};
use rondo_shared::mint;
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::session::{Begun, Terms};
use rondo_shared::store::{Meter, Store, StoreError};
use rondo_shared::token::SigningError;

/// The terms of every product: a line for each. What is wrong with its settings is noted with the reader.
pub fn all(reader: &mut Reader, common: &Common) -> Vec<Terms> {
    vec![
        uniqos_refresh::policy::Policy::read(reader, common).terms(),
        dreadnode_refresh::policy::Policy::read(reader, common).terms(),
        elastic_refresh::policy::Policy::read(reader, common).terms(),
        replyke_refresh::policy::Policy::read(reader, common).terms(),
    ]
}

/// A product with its keys.
#[derive(Debug)]
pub struct Product {
    terms: Terms,
    keyring: Keyring,
}

/// Every product that this deployment has keys for.
#[derive(Debug)]
pub struct Products(Vec<Product>);

impl Products {
    /// Reads each product's keys. A product that the keyring knows nothing of is not one of this deployment.
    ///
    /// # Errors
    /// [`KeyringError`] where the ring cannot be used, or has keys for none of them.
    pub fn open(terms: Vec<Terms>, source: &KeyringSource, now: Timestamp) -> Result<Self, KeyringError> {
        let (mut products, mut missing) = (Vec::new(), Vec::new());
        for terms in terms {
            match Keyring::open(source.clone(), terms.name, now) {
                Ok(keyring) => products.push(Product { terms, keyring }),
                Err(KeyringError::NoKeys(name)) => missing.push(name),
                Err(error) => return Err(error),
            }
        }
        if products.is_empty() { Err(KeyringError::NoKeys(missing.join(", "))) } else { Ok(Self(products)) }
    }

    /// The product that a tenant is of.
    #[must_use]
    pub fn of(&self, tenant: &Tenant) -> Option<&Product> {
        let (name, project) = (tenant.product(), tenant.project());
        self.0.iter().find(|product| product.terms.name == name && product.terms.has_projects == project.is_some())
    }
}

/// The tokens that an opened session begins with, as a backend gets them. `Debug` shows none.
pub struct FirstTokens {
    /// The refresh token.
    pub refresh_token: String,
    /// The access token; for a product whose one token is both, the same.
    pub access_token: String,
    /// How long the access token is good.
    pub expires_in: Duration,
    /// The `Set-Cookie` that carries the refresh token, where the product has one.
    pub set_cookie: Option<String>,
    /// The `Set-Cookie` that carries the access token, where the product has one.
    pub set_access_cookie: Option<String>,
}

impl fmt::Debug for FirstTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstTokens").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// Why a session that stands got no tokens. A repeat of its opening may get them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// A key did not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// What the access token says of the user could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Product {
    /// What opening a session asks of it.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Mints a session's first tokens, in the product's own form, and the cookies that carry them.
    ///
    /// # Errors
    /// [`MintError`]; the session stands.
    pub async fn mint<S: Store>(
        &self,
        begun: &Begun,
        store: &S,
        moment: &Moment,
        meter: &Meter,
    ) -> Result<FirstTokens, MintError> {
        let Terms { authority, access, .. } = &self.terms;
        let keys = self.keyring.current(moment.now).await;
        let pair = mint::first(begun, &keys, authority, access, moment)?;
        let expires_in = pair.access_expires_in();
        let access_token = match self.terms.access_token_of_user {
            Some(mint) => {
                let claims = begun.claims();
                let user = directory::profile(&claims.tenant, &claims.sub, true, store, meter).await?;
                mint(&self.terms, begun, user.as_ref(), &keys, moment)?
            }
            None => pair.access_token().to_owned(),
        };
        let refresh_max_age = pair.refresh_expires_at().since(moment.now);
        Ok(FirstTokens {
            set_cookie: self
                .terms
                .refresh_cookie
                .as_ref()
                .map(|cookie| cookie.set(pair.refresh_token(), refresh_max_age)),
            set_access_cookie: self.terms.access_cookie.as_ref().map(|cookie| cookie.set(&access_token, expires_in)),
            refresh_token: pair.refresh_token().to_owned(),
            access_token,
            expires_in,
        })
    }
}
