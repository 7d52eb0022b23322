//! What this function knows of the products: for each, one arm that takes from its own crate's settings what opening a
//! session asks for, so that a session opened here is one that its endpoint refreshes.

use std::fmt;
use std::time::Duration;

use rondo_shared::config::{Common, Reader};
use rondo_shared::directory;
use rondo_shared::identity::Tenant;
use rondo_shared::keyring::lifecycle::Lifetimes;
use rondo_shared::keyring::source::{Keyring, KeyringSource};
use rondo_shared::keyring::{KeyringError, ProductKeys};
use rondo_shared::mint::{self, AccessPolicy};
use rondo_shared::moment::{Moment, Timestamp};
use rondo_shared::rotation::policy::RotationPolicy;
use rondo_shared::session::Begun;
use rondo_shared::store::{Item, Meter, Store, StoreError};
use rondo_shared::token::{SigningError, TokenAuthority, TokenForm};
use rondo_shared::wire::cookies::CookieShape;

/// What opening a session asks of a product.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The product's name: its keys in the keyring, and what its tenants begin with.
    pub name: &'static str,
    /// Whether each of its projects is a tenant of its own, or the product itself is its only one.
    pub has_projects: bool,
    /// What its tokens say of who issues them.
    pub authority: TokenAuthority,
    /// How long its sessions and tokens live.
    pub rotation: RotationPolicy,
    /// What its access tokens say.
    pub access: AccessPolicy,
    /// The cookie that carries its refresh token, where one does.
    pub refresh_cookie: Option<CookieShape>,
    /// The cookie that carries its access token too, where one does.
    pub access_cookie: Option<CookieShape>,
    /// Mints its access token, where that says more of the user than the session does.
    pub access_token_of_user: Option<AccessTokenOfUser>,
}

/// Mints an access token as the product's own endpoint does, from the user's item, which is read for it.
pub type AccessTokenOfUser = fn(&Terms, &Begun, Option<&Item>, &ProductKeys, &Moment) -> Result<String, SigningError>;

/// The terms of every product. What is wrong with its settings is noted with the reader.
pub fn all(reader: &mut Reader, common: &Common) -> Vec<Terms> {
    vec![uniqos(reader, common), dreadnode(reader, common), elastic(reader, common), replyke(reader, common)]
}

impl Terms {
    /// How long the product's tokens live at most, of those that each kind of key makes.
    #[must_use]
    pub fn lifetimes(&self) -> Lifetimes {
        let session = self.rotation.idle.min(self.rotation.absolute);
        match self.authority.form {
            TokenForm::Refresh => Lifetimes { signed: self.access.lifetime, mac: session },
            TokenForm::Combined => Lifetimes { signed: session, mac: session },
        }
    }
}

fn uniqos(reader: &mut Reader, common: &Common) -> Terms {
    use uniqos_refresh::policy::{PRODUCT, Policy};
    let Policy { authority, rotation, access, cookie, .. } = Policy::read(reader, common);
    Terms {
        name: PRODUCT,
        has_projects: false,
        authority,
        rotation,
        access,
        refresh_cookie: Some(cookie),
        access_cookie: None,
        access_token_of_user: None,
    }
}

fn dreadnode(reader: &mut Reader, common: &Common) -> Terms {
    use dreadnode_refresh::policy::{PRODUCT, Policy};
    let Policy { authority, rotation, access, refresh_cookie, access_cookie, .. } = Policy::read(reader, common);
    Terms {
        name: PRODUCT,
        has_projects: false,
        authority,
        rotation,
        access,
        refresh_cookie: Some(refresh_cookie),
        access_cookie: Some(access_cookie),
        access_token_of_user: None,
    }
}

fn elastic(reader: &mut Reader, common: &Common) -> Terms {
    use elastic_refresh::policy::{PRODUCT, Policy};
    let Policy { authority, rotation, access, .. } = Policy::read(reader, common);
    Terms {
        name: PRODUCT,
        has_projects: false,
        authority,
        rotation,
        access,
        refresh_cookie: None,
        access_cookie: None,
        access_token_of_user: None,
    }
}

fn replyke(reader: &mut Reader, common: &Common) -> Terms {
    use replyke_refresh::policy::{PRODUCT, Policy};
    let Policy { authority, rotation, access, cookie, .. } = Policy::read(reader, common);
    Terms {
        name: PRODUCT,
        has_projects: true,
        authority,
        rotation,
        access,
        refresh_cookie: Some(cookie),
        access_cookie: None,
        access_token_of_user: Some(replykes_access_token),
    }
}

/// The user's role is in it.
fn replykes_access_token(
    terms: &Terms,
    begun: &Begun,
    user: Option<&Item>,
    keys: &ProductKeys,
    moment: &Moment,
) -> Result<String, SigningError> {
    use replyke_refresh::{OwnClaims, policy, user::User};
    let claims = begun.claims();
    let user = user.map(|item| User::from_item(&claims.sub, item, moment.now));
    let role = user.as_ref().and_then(User::role);
    let own = OwnClaims { project_id: policy::project_of(&claims.tenant), role };
    mint::access_token(begun, &own, keys, &terms.authority, &terms.access, moment)
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
