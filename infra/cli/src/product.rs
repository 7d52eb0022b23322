//! The products that the tool knows. The one file to touch when a product is added: its tenant, its settings, the path
//! and the cookie of its refresh endpoint.

use clap::ValueEnum;
use rondo_shared::config::{Common, Reader};
use rondo_shared::identity::Tenant;
use rondo_shared::mint::AccessPolicy;
use rondo_shared::rotation::RotationPolicy;
use rondo_shared::token::TokenAuthority;
use rondo_shared::wire::cookies::CookieShape;
use uniqos_refresh::policy as uniqos;

/// A product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Product {
    /// Uniqos.
    Uniqos,
}

/// What the tool needs of a product's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who issues tokens.
    pub authority: TokenAuthority,
    /// How long sessions and tokens live.
    pub rotation: RotationPolicy,
    /// What access tokens say.
    pub access: AccessPolicy,
    /// The refresh cookie.
    pub cookie: CookieShape,
}

impl Product {
    /// The product's name in the keyring.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniqos => uniqos::PRODUCT,
        }
    }

    /// What the names of its variables begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Uniqos => "UNIQOS_",
        }
    }

    /// The product of a tenant, if the tool knows it.
    #[must_use]
    pub fn of(tenant: &Tenant) -> Option<Self> {
        let name = tenant.as_str().split(':').next().unwrap_or_default();
        Self::value_variants().iter().copied().find(|product| product.name() == name)
    }

    /// The product's tenant.
    #[must_use]
    pub fn tenant(self) -> Tenant {
        match self {
            Self::Uniqos => uniqos::tenant(),
        }
    }

    /// The function that answers refreshes.
    #[must_use]
    pub const fn function(self) -> &'static str {
        match self {
            Self::Uniqos => "uniqos-refresh",
        }
    }

    /// The path that it answers at.
    #[must_use]
    pub const fn refresh_path(self) -> &'static str {
        match self {
            Self::Uniqos => "/v1/auth/refresh",
        }
    }

    /// Reads the product's settings, as its function does; what is wrong is noted with the reader.
    pub fn settings(self, reader: &mut Reader, common: &Common) -> Settings {
        match self {
            Self::Uniqos => {
                let policy = uniqos::Policy::read(reader, common);
                let uniqos::Policy { authority, rotation, access, cookie, .. } = policy;
                Settings { authority, rotation, access, cookie }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_gateway_routes_every_product_to_its_function() {
        let workspace = include_str!("../../../Cargo.toml");
        for product in Product::value_variants() {
            let route = format!("\"{}\" = \"{}\"", product.refresh_path(), product.function());
            assert!(workspace.contains(&route), "{route} is missing from [workspace.metadata.lambda.watch.router]");
        }
    }

    #[test]
    fn a_project_belongs_to_its_product() {
        assert_eq!(Product::of(&Tenant::new("uniqos").unwrap()), Some(Product::Uniqos));
        assert_eq!(Product::of(&Tenant::new("another:project").unwrap()), None);
    }
}
