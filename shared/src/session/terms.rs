//! What opening a session asks of a product. Each product's own crate tells it of its settings, so that a session that
//! is opened for it is one that its endpoint refreshes.

use super::Begun;
use crate::keyring::ProductKeys;
use crate::keyring::lifecycle::Lifetimes;
use crate::mint::AccessPolicy;
use crate::moment::Moment;
use crate::rotation::RotationPolicy;
use crate::store::Item;
use crate::token::{SigningError, TokenAuthority, TokenForm};
use crate::wire::cookies::CookieShape;

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

impl Terms {
    /// Those of a product without projects and cookies, whose access tokens say of the user what its session does.
    #[must_use]
    pub const fn of(
        name: &'static str,
        authority: TokenAuthority,
        rotation: RotationPolicy,
        access: AccessPolicy,
    ) -> Self {
        let (has_projects, refresh_cookie, access_cookie, access_token_of_user) = (false, None, None, None);
        Self { name, has_projects, authority, rotation, access, refresh_cookie, access_cookie, access_token_of_user }
    }

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
